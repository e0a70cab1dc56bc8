// The marks of hints on the picture: placed, chosen, moved, removed, by pointer and by keys.

const STILL = 4;

export class Marks extends EventTarget {
  #box = document.getElementById("marks");
  #list = document.getElementById("hints");
  #hints = [];
  #pending = null;

  constructor(viewer) {
    super();
    this.viewer = viewer;
    this.chosen = -1;
    viewer.addEventListener("placed", () => this.#place());
  }

  /** Show these hints; `pending` is one that has no colour yet, the last of the marks. */
  draw(hints, pending = null) {
    this.#hints = hints;
    this.#pending = pending;
    if (this.chosen >= this.#all.length) this.chosen = -1;
    const focused = [...this.#box.children].indexOf(document.activeElement);
    this.#box.replaceChildren(...this.#all.map((hint, i) => this.#mark(hint, i)));
    this.#list.replaceChildren(...hints.map((hint, i) => this.#entry(hint, i)));
    this.#place();
    if (focused >= 0) this.#box.children[focused]?.focus();
  }

  /** The one that is being worked on; -1 for none. */
  choose(index) {
    this.chosen = index;
    [...this.#box.children].forEach((mark, i) => mark.classList.toggle("is-chosen", i === index));
    [...this.#list.children].forEach((item, i) => item.firstChild.setAttribute("aria-current", i === index));
  }

  focus(index) {
    this.#box.children[index]?.focus();
  }

  /** Where a mark is on the screen. */
  boxOf(index) {
    return this.#box.children[index]?.getBoundingClientRect();
  }

  get #all() { return this.#pending ? [...this.#hints, this.#pending] : this.#hints; }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #entry(hint, index) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.style.background = hint.color;
    button.setAttribute("aria-label", `Hint ${index + 1}, ${hint.color}`);
    button.setAttribute("aria-current", index === this.chosen);
    button.title = `Hint ${index + 1}, ${hint.color}`;
    button.addEventListener("click", () => this.#tell("ask", index));
    item.append(button);
    return item;
  }

  #mark(hint, index) {
    const mark = document.createElement("button");
    mark.type = "button";
    mark.className = "mark";
    mark.classList.toggle("is-chosen", index === this.chosen);
    mark.classList.toggle("is-pending", hint === this.#pending);
    mark.style.background = hint.color;
    const at = `${Math.round(100 * hint.x)}% from the left, ${Math.round(100 * hint.y)}% from the top`;
    mark.setAttribute("aria-label", `Hint ${index + 1}, ${hint.color}, ${at}. Arrows move it, Enter its colour, Delete removes it.`);
    this.#drag(mark, hint, index);
    mark.addEventListener("keydown", (event) => this.#key(event, hint, index));
    return mark;
  }

  #drag(mark, hint, index) {
    let from = null;
    let moved = false;
    mark.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      mark.setPointerCapture(event.pointerId);
      [from, moved] = [[event.clientX, event.clientY], false];
    });
    mark.addEventListener("pointermove", (event) => {
      if (!from) return;
      moved ||= Math.hypot(event.clientX - from[0], event.clientY - from[1]) > STILL;
      if (!moved) return;
      [hint.x, hint.y] = this.viewer.toPicture(event.clientX, event.clientY, false);
      this.#place();
      this.#tell("moving", { index, hint });
    });
    mark.addEventListener("pointerup", () => {
      if (from && moved) this.#tell("moved", { index, hint });
      from = null;
    });
    mark.addEventListener("click", (event) => {
      event.stopPropagation();
      if (!moved) this.#tell("ask", index);
      moved = false;
    });
  }

  #key(event, hint, index) {
    const step = event.shiftKey ? 0.002 : 0.01;
    const way = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (way) {
      const clamp = (v) => Math.min(1, Math.max(0, v));
      this.#tell("moved", { index, hint: { ...hint, x: clamp(hint.x + way[0]), y: clamp(hint.y + way[1]) } });
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.#tell("remove", index);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #place() {
    this.#all.forEach((hint, i) => {
      const mark = this.#box.children[i];
      if (mark) [mark.style.left, mark.style.top] = this.viewer.toView([hint.x, hint.y]).map((v) => `${v}px`);
    });
  }
}
