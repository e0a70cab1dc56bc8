// The controls beside the picture. They tell what is wanted; they change nothing themselves.

const byId = (id) => document.getElementById(id);
const VERSIONS = 4;

export class Panel extends EventTarget {
  #versions = [];

  constructor(models) {
    super();
    this.models = models;
    this.standard = models.find((model) => model.default);
    for (const model of models) {
      const option = new Option(model.name, model.name);
      option.title = model.description;
      byId("model").append(option);
    }
    for (const name of ["strength", "vividness"]) {
      byId(name).addEventListener("input", () => {
        byId(`${name}-out`).textContent = Number(byId(name).value).toFixed(2);
        this.#tell("try", { [name]: Number(byId(name).value) });
      });
      byId(name).addEventListener("change", () => this.#tell("set", { [name]: Number(byId(name).value) }));
      byId(name).addEventListener("dblclick", () => this.#tell("set", { [name]: 1 }));
    }
    byId("model").addEventListener("change", () => this.#tell("model", byId("model").value));
    byId("sureness").addEventListener("change", () => this.#tell("sureness", byId("sureness").checked));
    for (const id of ["undo", "redo", "save", "zip", "same", "hints-save", "hints-load", "hints-clear"]) {
      byId(id).addEventListener("click", () => this.#tell(id));
    }
    this.#makeVersions();
  }

  /** The model of a name; the service's own for none. */
  modelOf(name) {
    return this.models.find((model) => model.name === name) || this.standard;
  }

  /** Show a picture's state; `many` says whether there are others. */
  draw(picture, many) {
    const { state } = picture;
    const model = this.modelOf(state.model);
    byId("model").value = model.name;
    for (const name of ["strength", "vividness"]) {
      byId(name).value = state[name];
      byId(`${name}-out`).textContent = state[name].toFixed(2);
    }
    byId("vividness").disabled = !model.vividness;
    byId("undo").disabled = !picture.canUndo;
    byId("redo").disabled = !picture.canRedo;
    const count = state.hints.length;
    byId("hint-count").textContent = count ? `${count}` : "";
    byId("hint-help").hidden = count > 0;
    byId("hint-help").textContent = model.hints
      ? "Click a spot of the picture and choose its colour."
      : `The model ${model.name} takes no hints.`;
    for (const id of ["hints-save", "hints-clear"]) byId(id).disabled = !count;
    byId("hints-load").disabled = !model.hints;
    byId("versions-part").hidden = !model.candidates;
    byId("batch").hidden = !many;
    this.#versions.forEach((button, i) => {
      const chosen = (state.candidate || 1) === i + 1;
      button.setAttribute("aria-checked", chosen);
      button.tabIndex = chosen ? 0 : -1;
    });
  }

  get versionCount() { return VERSIONS; }

  /** Show the small picture of a version; without an address, none. */
  showVersion(number, url) {
    const image = this.#versions[number - 1].firstChild;
    image.hidden = !url;
    if (url) image.src = url;
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #makeVersions() {
    for (let number = 1; number <= VERSIONS; number++) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("role", "radio");
      button.setAttribute("aria-label", number === 1 ? "The usual version" : `Version ${number}`);
      const image = document.createElement("img");
      image.alt = "";
      image.hidden = true;
      button.append(image);
      const choose = () => this.#tell("set", { candidate: number === 1 ? 0 : number });
      button.addEventListener("click", choose);
      button.addEventListener("keydown", (event) => this.#versionKey(event, number - 1));
      this.#versions.push(button);
    }
    byId("versions").append(...this.#versions);
  }

  #versionKey(event, index) {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const to = this.#versions[(index + step + VERSIONS) % VERSIONS];
    to.focus();
    to.click();
  }
}
