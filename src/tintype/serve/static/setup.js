// What belongs to the page as a whole: dropping, pasting and choosing files, keys.

const byId = (id) => document.getElementById(id);

/** `does` has a function for everything that the page as a whole can ask for. */
export function setUpPage(does) {
  setUpFiles(does);
  setUpButtons(does);
  addEventListener("keydown", (event) => onKey(event, does));
  addEventListener("beforeunload", (event) => {
    if (does.isUnsaved()) event.preventDefault();
  });
}

function setUpFiles({ add, loadHints }) {
  const take = (files) => {
    const all = [...files];
    const hints = all.filter((file) => file.name.toLowerCase().endsWith(".json"));
    const rest = all.filter((file) => !hints.includes(file));
    if (rest.length) add(rest);
    else if (hints.length) loadHints(hints[0]);
  };
  for (const [id, then] of [["files", take], ["hints-file", take]]) {
    byId(id).addEventListener("change", (event) => {
      then([...event.target.files]);
      event.target.value = "";
    });
  }
  const stage = byId("stage");
  addEventListener("dragover", (event) => {
    event.preventDefault();
    stage.classList.add("is-over");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || stage.classList.remove("is-over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    stage.classList.remove("is-over");
    take(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take(event.clipboardData.files);
  });
}

function setUpButtons({ viewer }) {
  for (const id of ["open", "choose"]) byId(id).addEventListener("click", () => byId("files").click());
  byId("theme").addEventListener("click", () => changeTheme()); // of theme.js, which has run by then
  byId("help").addEventListener("click", () => byId("keys").showModal());
  byId("keys-close").addEventListener("click", () => byId("keys").close());
  byId("in").addEventListener("click", () => viewer.zoomBy(1.5));
  byId("out").addEventListener("click", () => viewer.zoomBy(1 / 1.5));
  byId("fit").addEventListener("click", () => viewer.fit());
  byId("full").addEventListener("click", () => viewer.full());
}

function onKey(event, does) {
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.altKey || byId("keys").open || (!control && event.target.matches("input:not([type=range]), select"))) return;
  const { viewer } = does;
  const actions = control
    ? { z: event.shiftKey ? does.redo : does.undo, y: does.redo, s: does.save, o: () => byId("files").click() }
    : {
        o: () => byId("files").click(), h: does.hint, b: () => viewer.turn(), "?": () => byId("keys").showModal(),
        "+": () => viewer.zoomBy(1.25), "=": () => viewer.zoomBy(1.25), "-": () => viewer.zoomBy(0.8),
        0: () => viewer.fit(), 1: () => viewer.full(), Escape: does.escape,
        PageUp: () => does.step(-1), PageDown: () => does.step(1),
      };
  const action = actions[key];
  if (!action || (!does.hasPicture() && !["o", "?"].includes(key))) return;
  event.preventDefault();
  action();
}
