// The row of small pictures, where there are several.

export class Strip extends EventTarget {
  #row = document.getElementById("strip");

  /** Show all pictures; `current` is the one on the stage. */
  draw(pictures, current) {
    this.#row.hidden = pictures.length < 2;
    const focused = [...this.#row.children].indexOf(document.activeElement.closest(".item"));
    this.#row.replaceChildren(...pictures.map((picture) => this.#item(picture, picture === current)));
    if (focused >= 0) this.#row.children[Math.min(focused, pictures.length - 1)]?.firstChild.focus();
    this.#row.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #item(picture, isCurrent) {
    const item = document.createElement("div");
    item.className = "item";
    const thumb = document.createElement("button");
    thumb.type = "button";
    thumb.className = "thumb";
    thumb.title = picture.problem || picture.name;
    thumb.setAttribute("aria-label", picture.problem ? `${picture.name}: ${picture.problem}` : picture.name);
    thumb.setAttribute("aria-current", isCurrent);
    const url = picture.urls.thumb || picture.urls.grey;
    if (url) {
      const image = document.createElement("img");
      image.src = url;
      image.alt = "";
      thumb.append(image);
    } else {
      thumb.textContent = picture.problem ? "!" : "…";
      thumb.classList.toggle("is-bad", Boolean(picture.problem));
    }
    thumb.addEventListener("click", () => this.#tell("open", picture));
    const drop = document.createElement("button");
    drop.type = "button";
    drop.className = "drop";
    drop.setAttribute("aria-label", `Close ${picture.name}`);
    drop.title = "Close";
    drop.innerHTML = '<svg><use href="#i-close"/></svg>';
    drop.addEventListener("click", () => this.#tell("close", picture));
    item.append(thumb, drop);
    return item;
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
