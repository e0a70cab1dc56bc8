// The picture on the stage: zoom, pan, and the line between before and after.

const MOST_ZOOM = 16;
const STILL = 5; // screen pixels that a pointer may move and still be a click

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class Viewer extends EventTarget {
  #view = document.getElementById("view");
  #sheet = document.getElementById("sheet");
  #split = document.getElementById("split");
  #images = Object.fromEntries(["before", "after", "sure"].map((id) => [id, document.getElementById(id)]));
  #tags = [document.getElementById("tag-before"), document.getElementById("tag-after")];
  #size = [1, 1]; // of the picture at full size
  #scale = 1; // screen pixels to one of the picture
  #at = [0, 0]; // where the picture's corner lies
  #fits = true;
  #part = 0.5; // of what is seen of the picture, that is grey
  #pointers = new Map();

  constructor() {
    super();
    this.#view.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.#view.addEventListener("pointerdown", (event) => this.#down(event));
    this.#view.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) this.#view.addEventListener(kind, (event) => this.#up(event));
    this.#view.addEventListener("keydown", (event) => this.#key(event));
    this.#split.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      this.#split.setPointerCapture(event.pointerId);
    });
    this.#split.addEventListener("pointermove", (event) => {
      if (!this.#split.hasPointerCapture(event.pointerId)) return;
      const [left, right] = this.#seen();
      this.divide((event.clientX - this.#view.getBoundingClientRect().left - left) / (right - left));
    });
    this.#split.addEventListener("keydown", (event) => this.#splitKey(event));
    new ResizeObserver(() => (this.#fits ? this.fit() : this.#place())).observe(this.#view);
  }

  /** A new picture of [width, height], which is fitted in. */
  open(size) {
    this.#size = size;
    this.fit();
  }

  /** What an image shows, once it can be drawn, so that nothing flickers. */
  async show(which, url) {
    const image = this.#images[which];
    if (!url) return image.removeAttribute("src");
    const next = new Image();
    next.src = url;
    await next.decode().catch(() => {});
    image.src = url;
  }

  overlay(shown) {
    this.#images.sure.hidden = !shown;
    document.getElementById("scale").hidden = !shown;
  }

  /** Screen pixels, of this screen's own, to one of the picture. */
  get zoom() { return this.#scale * devicePixelRatio; }

  get longest() { return Math.max(...this.#size); }

  /** Where a place of the picture, in fractions, lies on the view. */
  toView([x, y]) {
    return [this.#at[0] + x * this.#size[0] * this.#scale, this.#at[1] + y * this.#size[1] * this.#scale];
  }

  /** The reverse of `toView`, for an event's place; null outside of the picture. */
  toPicture(clientX, clientY, bounded = true) {
    const box = this.#view.getBoundingClientRect();
    const x = (clientX - box.left - this.#at[0]) / (this.#size[0] * this.#scale);
    const y = (clientY - box.top - this.#at[1]) / (this.#size[1] * this.#scale);
    if (bounded && (x < 0 || y < 0 || x > 1 || y > 1)) return null;
    return [clamp(x, 0, 1), clamp(y, 0, 1)];
  }

  /** The middle of what is seen of the picture. */
  middle() {
    const box = this.#view.getBoundingClientRect();
    return this.toPicture(box.left + box.width / 2, box.top + box.height / 2, false);
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.#view;
    if (!width || !height) return;
    this.#scale = this.#fitting();
    this.#at = [(width - this.#size[0] * this.#scale) / 2, (height - this.#size[1] * this.#scale) / 2];
    this.#fits = true;
    this.#place();
  }

  /** One pixel of the picture on one of the screen. */
  full() {
    this.zoomTo(1 / devicePixelRatio);
  }

  zoomBy(factor, center) {
    this.zoomTo(this.#scale * factor, center);
  }

  zoomTo(scale, center = [this.#view.clientWidth / 2, this.#view.clientHeight / 2]) {
    const least = this.#fitting();
    const next = clamp(scale, Math.min(least, 1 / devicePixelRatio), Math.max(MOST_ZOOM, least));
    this.#at = this.#at.map((at, i) => center[i] - ((center[i] - at) * next) / this.#scale);
    this.#scale = next;
    this.#fits = Math.abs(next / least - 1) < 0.001;
    if (this.#fits) this.fit();
    else this.#place();
  }

  pan(x, y) {
    this.#at = [this.#at[0] + x, this.#at[1] + y];
    this.#fits = false;
    this.#place();
  }

  /** Let this part, 0…1, of what is seen be grey. */
  divide(part) {
    this.#part = clamp(part, 0, 1);
    this.#place();
  }

  /** All grey, all colour, half: the next of these. */
  turn() {
    this.divide(this.#part === 0.5 ? 1 : this.#part === 1 ? 0 : 0.5);
  }

  /** Whether a place of the picture shows grey. */
  isGrey(place) {
    const [left, right] = this.#seen();
    return this.toView(place)[0] < left + this.#part * (right - left);
  }

  #fitting() {
    const { clientWidth: width, clientHeight: height } = this.#view;
    const margin = width > 600 ? 40 : 16;
    return Math.min((width - margin) / this.#size[0], (height - margin) / this.#size[1], 4);
  }

  /** Left and right end of what is seen of the picture, on the view. */
  #seen() {
    const left = Math.max(0, this.#at[0]);
    return [left, Math.max(left + 1, Math.min(this.#view.clientWidth, this.#at[0] + this.#size[0] * this.#scale))];
  }

  #place() {
    const { clientWidth, clientHeight } = this.#view;
    const size = this.#size.map((side) => side * this.#scale);
    // Some of the picture stays in sight.
    this.#at = [clientWidth, clientHeight].map((room, i) =>
      size[i] <= room ? (room - size[i]) / 2 : clamp(this.#at[i], room - size[i], 0));
    const { style } = this.#sheet;
    [style.left, style.top] = this.#at.map((at) => `${at}px`);
    [style.width, style.height] = size.map((side) => `${side}px`);
    this.#sheet.classList.toggle("is-pixels", this.zoom >= 4);
    const [left, right] = this.#seen();
    const line = left + this.#part * (right - left);
    const cut = clamp((line - this.#at[0]) / size[0], 0, 1);
    for (const name of ["after", "sure"]) this.#images[name].style.clipPath = `inset(0 0 0 ${100 * cut}%)`;
    const top = Math.max(0, this.#at[1]);
    this.#split.style.left = `${line}px`;
    this.#split.style.top = `${top}px`;
    this.#split.style.height = `${Math.min(clientHeight, this.#at[1] + size[1]) - top}px`;
    this.#split.setAttribute("aria-valuenow", Math.round(100 * this.#part));
    this.#split.setAttribute("aria-valuetext", `${Math.round(100 * this.#part)}% before`);
    this.#tags[0].style.left = `${left + 12}px`;
    this.#tags[1].style.right = `${clientWidth - right + 12}px`;
    for (const tag of this.#tags) tag.style.top = `${top + 12}px`;
    this.#tags[0].hidden = line - left < 84;
    this.#tags[1].hidden = right - line < 76;
    document.getElementById("percent").textContent = `${Math.round(100 * this.zoom)}%`;
    this.dispatchEvent(new Event("placed"));
  }

  #wheel(event) {
    event.preventDefault();
    const box = this.#view.getBoundingClientRect();
    const step = clamp(-event.deltaY * (event.deltaMode ? 20 : 1), -120, 120);
    this.zoomBy(Math.exp(step / 300), [event.clientX - box.left, event.clientY - box.top]);
  }

  #down(event) {
    if (event.button > 0) return;
    this.#view.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, { from: [event.clientX, event.clientY], now: [event.clientX, event.clientY], moved: this.#pointers.size > 0 });
  }

  #move(event) {
    const pointer = this.#pointers.get(event.pointerId);
    if (!pointer) return;
    const before = pointer.now;
    pointer.now = [event.clientX, event.clientY];
    if (Math.hypot(pointer.now[0] - pointer.from[0], pointer.now[1] - pointer.from[1]) > STILL) pointer.moved = true;
    if (this.#pointers.size === 2) return this.#pinch(event.pointerId, before);
    if (!pointer.moved) return;
    this.#view.classList.add("is-panning");
    this.pan(pointer.now[0] - before[0], pointer.now[1] - before[1]);
  }

  #pinch(id, before) {
    for (const pointer of this.#pointers.values()) pointer.moved = true;
    const other = [...this.#pointers].find(([key]) => key !== id)[1].now;
    const now = this.#pointers.get(id).now;
    const apart = (a) => Math.max(1, Math.hypot(a[0] - other[0], a[1] - other[1]));
    const box = this.#view.getBoundingClientRect();
    const center = [(now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top];
    this.zoomBy(apart(now) / apart(before), center);
    this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  }

  #up(event) {
    const pointer = this.#pointers.get(event.pointerId);
    this.#pointers.delete(event.pointerId);
    this.#view.classList.remove("is-panning");
    if (!pointer || pointer.moved || event.type !== "pointerup") return;
    const place = this.toPicture(event.clientX, event.clientY);
    this.dispatchEvent(new CustomEvent("spot", { detail: place }));
  }

  #key(event) {
    if (event.target !== this.#view || event.ctrlKey || event.metaKey) return;
    const step = event.shiftKey ? 10 : 60;
    const way = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (!way) return;
    event.preventDefault();
    this.pan(...way);
  }

  #splitKey(event) {
    const step = event.shiftKey ? 0.01 : 0.05;
    const to = {
      ArrowLeft: this.#part - step, ArrowDown: this.#part - step, ArrowRight: this.#part + step,
      ArrowUp: this.#part + step, Home: 0, End: 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.divide(to);
  }
}
