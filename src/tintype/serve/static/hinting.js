// The giving of hints by hand: a spot, its colour, and what becomes of both.

import { Marks } from "/hints.js";
import { Swatches } from "/swatches.js";

async function pixels(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** Tells "set" with other hints, "try" with those to be seen meanwhile (none: the picture's own), and "draw". */
export class Hinting extends EventTarget {
  #viewer;
  #marks;
  #swatches = new Swatches();
  #picture = null;
  #pending = null; // a hint that has a place and no colour yet
  #sampled = null; // the grey preview's pixels

  constructor(viewer) {
    super();
    this.#viewer = viewer;
    this.#marks = new Marks(viewer);
    this.#marks.addEventListener("ask", (event) => this.#ask(event.detail, true));
    this.#marks.addEventListener("moving", ({ detail }) => {
      if (detail.index < this.#hints.length) this.#try(detail.index, { x: detail.hint.x, y: detail.hint.y });
    });
    this.#marks.addEventListener("moved", (event) => this.#move(event.detail));
    this.#marks.addEventListener("remove", (event) => this.#remove(event.detail));
    this.#swatches.addEventListener("pick", (event) => this.#pick(event.detail));
    this.#swatches.addEventListener("try", (event) => this.#try(this.#marks.chosen, event.detail));
    this.#swatches.addEventListener("remove", () => this.#remove(this.#marks.chosen));
    this.#swatches.addEventListener("close", () => this.end());
  }

  /** Work on this picture from now on, or, with null, on none. */
  show(picture) {
    this.#swatches.hide();
    this.#marks.choose(-1);
    this.#pending = this.#sampled = null;
    this.#picture = picture;
  }

  /** Look how grey the picture's spots are, of which colours are offered. */
  async sample() {
    const picture = this.#picture;
    const sampled = await pixels(picture.grey);
    if (picture === this.#picture) this.#sampled = sampled;
  }

  draw() {
    this.#marks.draw(this.#hints.map((hint) => ({ ...hint })), this.#pending);
  }

  /** Begin a hint at a place, or end the one that is being given. */
  start(place, focus = false) {
    if (this.#swatches.open) {
      this.end();
      if (!focus) return;
    }
    if (!place) return;
    const code = Math.round(this.#greyAt({ x: place[0], y: place[1] })).toString(16).padStart(2, "0");
    this.#pending = { x: place[0], y: place[1], color: `#${code}${code}${code}` };
    if (this.#viewer.isGrey(place)) this.#viewer.divide(0);
    this.#tell("draw");
    this.#ask(this.#hints.length, focus);
  }

  /** Leave the choice of a colour; what has none yet is dropped. */
  end() {
    if (!this.#swatches.open) return;
    this.#swatches.hide();
    const index = this.#marks.chosen;
    const returns = document.getElementById("swatches").contains(document.activeElement) || document.activeElement === document.body;
    this.#marks.choose(-1);
    this.#dropPending();
    this.#tell("try"); // of what was tried and not chosen nothing stays
    if (returns) index < this.#hints.length ? this.#marks.focus(index) : document.getElementById("view").focus();
  }

  get #hints() { return this.#picture.state.hints; }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** Grey 0…255 of a spot: the median of its neighbourhood, so that grain does not decide. */
  #greyAt({ x, y }) {
    if (!this.#sampled) return 128;
    const { data, width, height } = this.#sampled;
    const column = Math.min(width - 1, Math.floor(x * width));
    const row = Math.min(height - 1, Math.floor(y * height));
    const found = [];
    for (let r = Math.max(0, row - 2); r <= Math.min(height - 1, row + 2); r++) {
      for (let c = Math.max(0, column - 2); c <= Math.min(width - 1, column + 2); c++) found.push(data[4 * (r * width + c)]);
    }
    return found.sort((a, b) => a - b)[found.length >> 1];
  }

  #ask(index, focus = false) {
    const hint = index === this.#hints.length ? this.#pending : this.#hints[index];
    if (!hint) return;
    if (hint !== this.#pending) this.#dropPending();
    this.#marks.choose(index);
    this.#swatches.show(hint, this.#greyAt(hint), this.#marks.boxOf(index), focus);
  }

  #dropPending() {
    if (!this.#pending) return;
    this.#pending = null;
    this.#tell("draw");
  }

  /** The hints with `change` made to one of them. */
  #changed(index, change) {
    const all = this.#pending ? [...this.#hints, this.#pending] : this.#hints;
    return all.map((hint, i) => (i === index ? { ...hint, ...change } : hint));
  }

  #pick(change) {
    const index = this.#marks.chosen;
    if (this.#pending && change.radius) {
      this.#pending.radius = change.radius;
      return;
    }
    const hints = this.#changed(index, change);
    this.#pending = null;
    this.#tell("set", hints);
    this.#marks.choose(index);
  }

  #try(index, change) {
    if (this.#pending && change.radius) return;
    this.#tell("try", this.#changed(index, change));
  }

  #move({ index, hint }) {
    if (this.#pending && index === this.#hints.length) {
      Object.assign(this.#pending, { x: hint.x, y: hint.y });
      return this.#tell("draw");
    }
    this.#tell("set", this.#hints.map((other, i) => (i === index ? { ...other, x: hint.x, y: hint.y } : other)));
  }

  #remove(index) {
    const isPending = this.#pending && index === this.#hints.length;
    this.#pending = null;
    this.#swatches.hide();
    this.#marks.choose(-1);
    if (isPending) this.#tell("draw");
    else this.#tell("set", this.#hints.filter((_, i) => i !== index));
    document.getElementById("view").focus();
  }
}
