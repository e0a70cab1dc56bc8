// Puts the page together: what the user does, and what follows from it.

import { models } from "/api.js";
import { Coloring } from "/coloring.js";
import { Marks } from "/hints.js";
import { Panel } from "/panel.js";
import { Picture } from "/pictures.js";
import { saveAll, saveHints, savePicture } from "/saving.js";
import { setUpPage } from "/setup.js";
import { Strip } from "/strip.js";
import { Swatches } from "/swatches.js";
import { Viewer } from "/viewer.js";

const STILL = 400; // milliseconds without a change before what is not urgent is made anew
const byId = (id) => document.getElementById(id);
const pictures = [];
let current = null;
let pending = null; // a hint that has a place and no colour yet
let sampled = null; // the grey preview's pixels

const viewer = new Viewer();
const coloring = new Coloring(viewer, complain);
const marks = new Marks(viewer);
const swatches = new Swatches();
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
  endHint();
  current = picture;
  byId("main").classList.remove("is-empty");
  for (const id of ["view", "zoom"]) byId(id).hidden = false;
  byId("empty").hidden = true;
  document.title = `${picture.name} – Tintype`;
  sampled = null;
  draw();
  await coloring.open(picture);
  if (picture !== current) return; // it was closed, or another one opened, meanwhile
  refresh();
  sampled = await pixels(picture.grey);
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
  swatches.hide();
  marks.choose(-1);
  pending = null;
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
  marks.draw(current.state.hints.map((hint) => ({ ...hint })), pending);
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
  endHint();
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

async function pixels(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Grey 0…255 of a spot: the median of its neighbourhood, so that grain does not decide. */
function greyAt({ x, y }) {
  if (!sampled) return 128;
  const { data, width, height } = sampled;
  const column = Math.min(width - 1, Math.floor(x * width));
  const row = Math.min(height - 1, Math.floor(y * height));
  const found = [];
  for (let r = Math.max(0, row - 2); r <= Math.min(height - 1, row + 2); r++) {
    for (let c = Math.max(0, column - 2); c <= Math.min(width - 1, column + 2); c++) found.push(data[4 * (r * width + c)]);
  }
  return found.sort((a, b) => a - b)[found.length >> 1];
}

function startHint(place, focus = false) {
  if (swatches.open) {
    endHint();
    if (!focus) return;
  }
  if (!place || !panel.modelOf(current.state.model).hints) return;
  const grey = greyAt({ x: place[0], y: place[1] });
  const code = Math.round(grey).toString(16).padStart(2, "0");
  pending = { x: place[0], y: place[1], color: `#${code}${code}${code}` };
  if (viewer.isGrey(place)) viewer.divide(0);
  draw();
  askColor(current.state.hints.length, focus);
}

function askColor(index, focus = false) {
  const hint = index === current.state.hints.length ? pending : current.state.hints[index];
  if (!hint) return;
  if (hint !== pending) dropPending();
  marks.choose(index);
  swatches.show(hint, greyAt(hint), marks.boxOf(index), focus);
}

function dropPending() {
  if (!pending) return;
  pending = null;
  draw();
}

function endHint() {
  if (!swatches.open) return;
  swatches.hide();
  const index = marks.chosen;
  const returns = byId("swatches").contains(document.activeElement) || document.activeElement === document.body;
  marks.choose(-1);
  dropPending();
  coloring.refresh(); // of what was tried and not chosen nothing stays
  if (returns) index < current.state.hints.length ? marks.focus(index) : byId("view").focus();
}

/** The hints with `change` made to the chosen one. */
function changed(index, change) {
  const all = pending ? [...current.state.hints, pending] : current.state.hints;
  return all.map((hint, i) => (i === index ? { ...hint, ...change } : hint));
}

function pick(change) {
  const index = marks.chosen;
  if (pending && change.radius) {
    pending.radius = change.radius;
    return;
  }
  const hints = changed(index, change);
  pending = null;
  set({ hints });
  marks.choose(index);
}

function tryOut(index, change) {
  if (pending && change.radius) return;
  coloring.refresh({ ...current.state, hints: changed(index, change) });
}

function move({ index, hint }) {
  if (pending && index === current.state.hints.length) {
    Object.assign(pending, { x: hint.x, y: hint.y });
    return draw();
  }
  const hints = current.state.hints.map((other, i) => (i === index ? { ...other, x: hint.x, y: hint.y } : other));
  set({ hints });
}

function remove(index) {
  const isPending = pending && index === current.state.hints.length;
  pending = null;
  swatches.hide();
  marks.choose(-1);
  if (isPending) draw();
  else set({ hints: current.state.hints.filter((_, i) => i !== index) });
  byId("view").focus();
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
  escape: endHint,
  hasPicture: () => current !== null,
  isUnsaved: () => pictures.some((picture) => picture.hasUnsavedHints),
  viewer,
});

viewer.addEventListener("spot", (event) => startHint(event.detail));
viewer.addEventListener("placed", () => coloring.sharpen());
marks.addEventListener("ask", (event) => askColor(event.detail, true));
marks.addEventListener("moving", ({ detail }) => {
  if (detail.index < current.state.hints.length) tryOut(detail.index, { x: detail.hint.x, y: detail.hint.y });
});
marks.addEventListener("moved", (event) => move(event.detail));
marks.addEventListener("remove", (event) => remove(event.detail));
swatches.addEventListener("pick", (event) => pick(event.detail));
swatches.addEventListener("try", (event) => tryOut(marks.chosen, event.detail));
swatches.addEventListener("remove", () => remove(marks.chosen));
swatches.addEventListener("close", endHint);
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
