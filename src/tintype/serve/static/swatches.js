// The choice of a spot's colour: swatches that its lightness allows, and any other.

import { lightness, mostChroma, toHex, toRgb } from "/color.js";

const HUES = [["pink", 5], ["red", 33], ["orange", 55], ["yellow", 88], ["green", 130], ["teal", 185],
  ["sky blue", 245], ["blue", 280], ["violet", 318]];
const SHARES = [["strong", 0.94], ["", 0.62], ["soft", 0.34]];
// Colours that old photographs ask for most, as hue in degrees and chroma in Lab units.
const COMMON = [["skin", 48, 22], ["tanned skin", 55, 30], ["blond hair", 78, 32], ["brown", 58, 24], ["brick", 40, 38],
  ["grass", 118, 34], ["sky", 255, 24], ["denim", 270, 26], ["grey", 0, 0]];

export class Swatches extends EventTarget {
  #card = document.getElementById("swatches");
  #grid = document.getElementById("grid");
  #picker = document.getElementById("picker");
  #reach = document.getElementById("reach");
  #remove = document.getElementById("swatches-remove");

  constructor() {
    super();
    this.#grid.addEventListener("keydown", (event) => this.#key(event));
    this.#card.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#tell("close");
    });
    this.#picker.addEventListener("input", () => this.#tell("try", { color: this.#picker.value }));
    this.#picker.addEventListener("change", () => this.#tell("pick", { color: this.#picker.value }));
    this.#reach.addEventListener("input", () => {
      this.#showReach();
      this.#tell("try", { radius: Number(this.#reach.value) });
    });
    this.#reach.addEventListener("change", () => this.#tell("pick", { radius: Number(this.#reach.value) }));
    this.#remove.addEventListener("click", () => this.#tell("remove"));
    document.getElementById("swatches-close").addEventListener("click", () => this.#tell("close"));
  }

  get open() { return !this.#card.hidden; }

  /** Open beside `box` for a spot of grey 0…255. */
  show(hint, grey, box, focus) {
    // In nearly black or white one colour looks like another; a little nearer to the middle they still fit.
    const L = Math.min(90, Math.max(24, lightness(grey)));
    const color = (hue, chroma) => {
      const angle = (hue * Math.PI) / 180;
      const bounded = Math.min(chroma, 0.97 * mostChroma(L, angle));
      return toHex(toRgb(L, bounded * Math.cos(angle), bounded * Math.sin(angle)));
    };
    const rows = SHARES.map(([word, share]) => HUES.map(([name, hue]) =>
      [`${word} ${name}`.trim(), color(hue, share * mostChroma(L, (hue * Math.PI) / 180))]));
    rows.push(COMMON.map(([name, hue, chroma]) => [name, color(hue, chroma)]));
    this.#grid.replaceChildren(...rows.flat().map(([name, hex]) => this.#swatch(name, hex, hint.color)));
    this.#picker.value = hint.color;
    this.#reach.value = hint.radius ?? 1 / 64;
    this.#showReach();
    this.#card.hidden = false;
    this.#beside(box);
    if (focus) this.#grid.firstChild.focus();
  }

  hide() {
    this.#card.hidden = true;
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #showReach() {
    document.getElementById("reach-out").textContent = `${(100 * this.#reach.value).toFixed(1)}%`;
  }

  #swatch(name, hex, current) {
    const button = document.createElement("button");
    button.type = "button";
    button.style.background = hex;
    button.title = name;
    button.setAttribute("aria-label", `${name}, ${hex}`);
    button.setAttribute("aria-pressed", hex === current);
    button.addEventListener("click", () => {
      for (const other of this.#grid.children) other.setAttribute("aria-pressed", other === button);
      this.#picker.value = hex;
      this.#tell("pick", { color: hex });
    });
    return button;
  }

  #beside(box) {
    const { offsetWidth: width, offsetHeight: height } = this.#card;
    const right = box.right + 14;
    const left = right + width < innerWidth - 8 ? right : Math.max(8, box.left - width - 14);
    const top = Math.min(Math.max(60, box.top - height / 3), Math.max(8, innerHeight - height - 12));
    [this.#card.style.left, this.#card.style.top] = [`${left}px`, `${top}px`];
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -HUES.length, ArrowDown: HUES.length }[event.key];
    const to = this.#grid.children[[...this.#grid.children].indexOf(event.target) + step];
    if (!step || !to) return;
    event.preventDefault();
    to.focus();
  }
}
