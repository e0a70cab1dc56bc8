// One picture of the page: its file, what was chosen for it, and the way back.

export const PREVIEW = 1024; // pixels of the longer side that colours are tried on
let count = 0;

const START = { strength: 1, vividness: 1, candidate: 0, model: null, hints: [] };

export class Picture {
  #past = [];
  #future = [];

  constructor(file, settings = {}) {
    this.id = ++count;
    this.file = file;
    this.name = file.name || "pasted.png";
    this.state = { ...START, ...settings, hints: [] };
    this.grey = null; // a small JPEG, upright, once the service has read the file
    this.width = this.height = 0; // of the file, upright
    this.orientation = 1;
    this.urls = {}; // what is shown, by name
    this.problem = null;
    this.savedState = this.state; // of which a result was saved last
  }

  /** Take over what the service told of the file. */
  read(grey, headers) {
    this.grey = grey;
    [this.width, this.height] = headers.get("Tintype-Size").split("x").map(Number);
    this.orientation = Number(headers.get("Tintype-Orientation"));
    this.notes = JSON.parse(headers.get("Tintype-Notes") || "[]");
    this.show("grey", grey);
  }

  /** Keep a blob under a name; its address. */
  show(name, blob) {
    if (this.urls[name]) URL.revokeObjectURL(this.urls[name]);
    this.urls[name] = blob ? URL.createObjectURL(blob) : null;
    return this.urls[name];
  }

  /** Change something, so that it can be undone. */
  commit(change) {
    this.#past.push(this.state);
    this.#future = [];
    this.state = { ...this.state, ...change };
  }

  undo() {
    if (!this.#past.length) return false;
    this.#future.push(this.state);
    this.state = this.#past.pop();
    return true;
  }

  redo() {
    if (!this.#future.length) return false;
    this.#past.push(this.state);
    this.state = this.#future.pop();
    return true;
  }

  /** Whether closing it would lose hints. */
  get hasUnsavedHints() { return this.state !== this.savedState && this.state.hints.length > 0; }

  get canUndo() { return this.#past.length > 0; }
  get canRedo() { return this.#future.length > 0; }

  /** The settings of a request, without the hints. */
  query(state = this.state) {
    const { strength, vividness, candidate, model } = state;
    return { strength, vividness, candidate, model };
  }

  /** The hints as `tintype colorize --hints` reads them. */
  hintsJson(hints = this.state.hints) {
    return { units: "fractions", orientation: "upright", points: hints };
  }

  /** Hints from such a text. Throws an Error with a sentence. */
  parseHints(text) {
    let told;
    try {
      told = JSON.parse(text);
    } catch {
      throw new Error("These hints are no JSON.");
    }
    if (!Array.isArray(told?.points) || !told.points.length) throw new Error("These hints have no points.");
    const unknown = Object.keys(told).filter((key) => !["points", "units", "orientation"].includes(key));
    if (unknown.length) throw new Error(`These hints have unknown entries: ${unknown.join(", ")}.`);
    if (!["pixels", "fractions"].includes(told.units ?? "pixels")) throw new Error("The units of hints are pixels or fractions.");
    if (!["upright", "stored"].includes(told.orientation ?? "upright")) throw new Error("The orientation of hints is upright or stored.");
    return told.points.map((point, i) => this.#hint(point, told, i + 1));
  }

  #hint({ x, y, color, radius }, { units = "pixels", orientation = "upright" }, number) {
    if (![x, y].every(Number.isFinite) || !/^#?[0-9a-f]{6}$/i.test(color)) {
      throw new Error(`Point ${number} of these hints needs x, y and a color such as #c04020.`);
    }
    const turned = orientation === "stored" && this.orientation > 4;
    const [width, height] = turned ? [this.height, this.width] : [this.width, this.height];
    const [perX, perY, perR] = units === "pixels" ? [width, height, Math.min(width, height)] : [1, 1, 1];
    const at = orientation === "stored" ? upright(x / perX, y / perY, this.orientation) : [x / perX, y / perY];
    if (at.some((v) => v < 0 || v > 1)) throw new Error(`Point ${number} of these hints lies outside of the picture.`);
    const hint = { x: at[0], y: at[1], color: color.startsWith("#") ? color.toLowerCase() : `#${color}`.toLowerCase() };
    if (radius === undefined || radius === null) return hint;
    if (!(Number.isFinite(radius) && radius > 0)) throw new Error(`The radius of point ${number} of these hints is no number above 0.`);
    return { ...hint, radius: Math.min(1, radius / perR) };
  }

  /** The name of its result with a suffix such as "jpg". */
  resultName(suffix) {
    return `${this.name.replace(/\.[^.]*$/, "")}.color.${suffix}`;
  }
}

/** A place of the stored picture, in fractions, where it is seen upright; orientation is EXIF's. */
function upright(x, y, orientation) {
  return {
    1: [x, y], 2: [1 - x, y], 3: [1 - x, 1 - y], 4: [x, 1 - y],
    5: [y, x], 6: [1 - y, x], 7: [1 - y, 1 - x], 8: [y, 1 - x],
  }[orientation];
}
