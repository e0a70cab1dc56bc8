// Puts the page together: what the user does, and what follows from it.

import { models } from "/api.js";
import { Coloring } from "/coloring.js";
import { Hinting } from "/hinting.js";
import { Panel } from "/panel.js";
import { Picture } from "/pictures.js";
import { saveAll, saveHints, savePicture } from "/saving.js";
import { setUpPage } from "/setup.js";
import { Strip } from "/strip.js";
import { Viewer } from "/viewer.js";

const STILL = 400; // milliseconds without a change before what is not urgent is made anew
const byId = (id) => document.getElementById(id);
const pictures = [];
let current = null;

const viewer = new Viewer();
const coloring = new Coloring(viewer, complain);
const hinting = new Hinting(viewer);
const strip = new Strip();
let panel = null; // once the service has told its models

async function start() {
  try {
    panel = new Panel(await models());
  } catch (error) {
    complain(error);
    throw error;
  }
}

let quiet = 0;
function say(text, bad = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("is-bad", bad);
  clearTimeout(quiet);
  quiet = setTimeout(() => (byId("status").textContent = ""), bad ? 12_000 : 5_000);
}

function complain(error) {
  say(error.message, true);
}

/** Run something that takes a while, with a sign of it. */
async function busily(work) {
  byId("busy").hidden = false;
  try {
    return await work();
  } catch (error) {
    complain(error);
  } finally {
    byId("busy").hidden = true;
  }
}

// --- pictures

async function add(files) {
  const settings = current ? { strength: current.state.strength, vividness: current.state.vividness, model: current.state.model } : {};
  const fresh = [...files].map((file) => new Picture(file, settings));
  pictures.push(...fresh);
  strip.draw(pictures, current);
  let opened = false;
  await busily(async () => {
    for (const picture of fresh) {
      if (!pictures.includes(picture)) continue;
      try {
        if (!picture.file.size) throw new Error("The file is empty.");
        await coloring.read(picture);
        if (!pictures.includes(picture)) continue; // it was closed meanwhile
        if (!opened || !current) open(picture);
        opened = true;
        await coloring.thumb(picture);
      } catch (error) {
        picture.problem = error.message;
        say(`${picture.name}: ${error.message}`, true);
        if (fresh.length === 1) close(picture);
      }
      strip.draw(pictures, current);
    }
  });
}

async function open(picture) {
  if (!picture.grey) return say(picture.problem ? `${picture.name}: ${picture.problem}` : "It is being read …", Boolean(picture.problem));
  hinting.end();
  current = picture;
  hinting.show(picture);
  byId("main").classList.remove("is-empty");
  for (const id of ["view", "zoom"]) byId(id).hidden = false;
  byId("empty").hidden = true;
  document.title = `${picture.name} – Tintype`;
  draw();
  await coloring.open(picture);
  if (picture !== current) return; // it was closed, or another one opened, meanwhile
  refresh();
  await hinting.sample();
  if (picture.notes.length) say(picture.notes.join(" "));
}

/** Take a picture off the page; whoever would lose hints is asked first. */
function close(picture) {
  if (picture.hasUnsavedHints && !confirm(`${picture.name} has hints and was not saved. Close it?`)) return;
  const index = pictures.indexOf(picture);
  pictures.splice(index, 1);
  for (const name of Object.keys(picture.urls)) picture.show(name, null);
  const next = pictures.slice(index).concat(pictures.slice(0, index).reverse()).find((other) => other.grey);
  if (picture === current && next) return open(next);
  if (picture === current) leave();
  strip.draw(pictures, current);
}

/** Clear the stage; where nothing is still to come, begin anew. */
function leave() {
  if (pictures.every((picture) => picture.problem)) return location.reload();
  hinting.show(null);
  current = coloring.picture = null;
  document.title = "Tintype";
  byId("main").classList.add("is-empty");
  for (const id of ["view", "zoom"]) byId(id).hidden = true;
  byId("empty").hidden = false;
}

function step(by) {
  const shown = pictures.filter((picture) => picture.grey);
  const next = shown[shown.indexOf(current) + by];
  if (next) open(next);
}

// --- a picture's state

function draw() {
  panel.draw(current, pictures.length > 1);
  hinting.draw();
  strip.draw(pictures, current);
}

let later = 0;

/** Have the colours made anew, and, once nothing changes any more, the small pictures. */
function refresh() {
  const picture = current;
  coloring.refresh();
  clearTimeout(later);
  later = setTimeout(() => {
    if (picture !== current) return;
    if (panel.modelOf(picture.state.model).candidates) showVersions(picture);
    if (picture.canUndo) coloring.thumb(picture).then(() => strip.draw(pictures, current), complain);
  }, STILL);
}

function showVersions(picture) {
  const key = JSON.stringify({ ...picture.state, candidate: 0, strength: 1 });
  if (picture.versionsOf === key) {
    for (let n = 1; n <= panel.versionCount; n++) panel.showVersion(n, picture.urls[`version-${n}`]);
    return;
  }
  coloring.versions(picture, panel.versionCount, (n, url) => {
    panel.showVersion(n, url);
    if (n === panel.versionCount) picture.versionsOf = key;
  });
}

function set(change) {
  if (!current) return;
  current.commit(change);
  draw();
  refresh();
}

function travel(way) {
  if (!current || !current[way]()) return;
  hinting.end();
  draw();
  refresh();
  say(way === "undo" ? "Undone." : "Done again.");
}

function changeModel(name) {
  const model = panel.modelOf(name);
  const lost = current.state.hints.length > 0 && !model.hints;
  set({
    model: name,
    vividness: model.vividness ? current.state.vividness : 1,
    candidate: model.candidates ? current.state.candidate : 0,
    hints: model.hints ? current.state.hints : [],
  });
  if (!model.candidates) showSureness(false);
  if (lost) say(`The model ${name} takes no hints, so they were removed; undo brings them back.`);
}

function showSureness(shown) {
  byId("sureness").checked = shown;
  coloring.sureness = shown;
  viewer.overlay(shown);
  if (shown) coloring.refresh();
}

// --- hints

function startHint(place, focus = false) {
  hinting.start(panel.modelOf(current.state.model).hints ? place : null, focus);
}

async function loadHints(file) {
  if (!current) return say("Open a picture before its hints.", true);
  try {
    set({ hints: current.parseHints(await file.text()) });
    say(`${current.state.hints.length} hints loaded.`);
  } catch (error) {
    complain(error);
  }
}

// --- wiring

const ready = start();
setUpPage({
  add: (files) => ready.then(() => add(files)),
  loadHints,
  save,
  step,
  undo: () => travel("undo"),
  redo: () => travel("redo"),
  hint: () => current && startHint(viewer.middle(), true),
  escape: () => hinting.end(),
  hasPicture: () => current !== null,
  isUnsaved: () => pictures.some((picture) => picture.hasUnsavedHints),
  viewer,
});

viewer.addEventListener("spot", (event) => startHint(event.detail));
viewer.addEventListener("placed", () => coloring.sharpen());
hinting.addEventListener("draw", draw);
hinting.addEventListener("set", (event) => set({ hints: event.detail }));
hinting.addEventListener("try", (event) => coloring.refresh(event.detail ? { ...current.state, hints: event.detail } : undefined));
strip.addEventListener("open", (event) => open(event.detail));
strip.addEventListener("close", (event) => close(event.detail));

await ready;
panel.addEventListener("try", (event) => coloring.refresh({ ...current.state, ...event.detail }));
panel.addEventListener("set", (event) => set(event.detail));
panel.addEventListener("model", (event) => changeModel(event.detail));
panel.addEventListener("sureness", (event) => showSureness(event.detail));
panel.addEventListener("undo", () => travel("undo"));
panel.addEventListener("redo", () => travel("redo"));
panel.addEventListener("save", save);
panel.addEventListener("zip", zip);
panel.addEventListener("same", () => {
  const { strength, vividness } = current.state;
  for (const picture of pictures) {
    if (picture === current) continue;
    picture.commit({ strength, vividness });
    if (picture.grey) coloring.thumb(picture).then(() => strip.draw(pictures, current), complain);
  }
  say("All pictures have this strength and vividness now.");
});
panel.addEventListener("hints-save", () => say(saveHints(current)));
panel.addEventListener("hints-load", () => byId("hints-file").click());
panel.addEventListener("hints-clear", () => set({ hints: [] }));

function save() {
  if (current) busily(async () => say(await savePicture(coloring, current, byId("format").value)));
}

function zip() {
  busily(async () => {
    byId("zip").disabled = true;
    try {
      const { text, bad } = await saveAll(coloring, pictures, byId("format").value, say);
      say(text, bad);
    } finally {
      byId("zip").disabled = false;
    }
  });
}
