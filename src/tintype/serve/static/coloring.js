// What is asked of the service for the picture on the stage: its colours at once, and finer when it is zoomed.

import { Newest, post } from "/api.js";
import { PREVIEW } from "/pictures.js";

const LARGEST = 8192; // pixels of the longer side that a browser still shows well
const STILL = 350; // milliseconds without a change before the full size is asked for
const SMALL = 192;

/** What colours are tried on: the grey preview, which is soon sent; of versions, which the least change upsets, the file. */
function seen(picture, state) {
  return state.candidate > 1 ? picture.file : picture.grey;
}

export class Coloring {
  #colors;
  #fine;
  #versions;
  #timer = 0;
  #fineFor = null; // the picture and state whose fine colours are shown

  constructor(viewer, failed) {
    this.viewer = viewer;
    [this.#colors, this.#fine, this.#versions] = [0, 0, 0].map(() => new Newest(failed));
    this.picture = null;
    this.sureness = false;
  }

  /** Read a file: its grey preview, which all colours are tried on. */
  async read(picture) {
    const response = await post("/v1/preview", picture.file, { show: "grey", side: PREVIEW });
    picture.read(await response.blob(), response.headers);
  }

  /** A picture's small version in colour. */
  async thumb(picture) {
    return picture.show("thumb", await this.#preview(picture, picture.state, seen(picture, picture.state), "color", SMALL));
  }

  /** Put a picture on the stage. */
  async open(picture) {
    this.picture = picture;
    this.#fineFor = null;
    this.viewer.open([picture.width, picture.height]);
    await this.viewer.show("after", picture.urls.color || picture.urls.thumb || null);
    await this.viewer.show("before", picture.urls.grey);
  }

  /** Show the colours of `state` of the picture on the stage; of many calls the newest holds. */
  refresh(state = this.picture.state) {
    const picture = this.picture;
    this.#fineFor = null;
    return this.#colors.run(async () => {
      const blob = await this.#preview(picture, state, seen(picture, state), "color", PREVIEW);
      if (picture !== this.picture) return;
      await this.viewer.show("after", picture.show("color", blob));
      if (this.sureness && !this.#colors.stale) await this.#showSureness(picture, state);
      this.sharpen();
    });
  }

  /** Ask for as much detail as the screen can show, once nothing changes any more. */
  sharpen() {
    clearTimeout(this.#timer);
    const picture = this.picture;
    const wanted = Math.min(LARGEST, this.viewer.longest, Math.ceil(this.viewer.longest * this.viewer.zoom));
    if (!picture || wanted <= PREVIEW * 1.05 || this.#fineFor === picture.state) return;
    this.#timer = setTimeout(() => this.#fine.run(async () => {
      const state = picture.state;
      const side = Math.min(LARGEST, this.viewer.longest);
      const grey = await this.#preview(picture, state, picture.file, "grey", side);
      const color = await this.#preview(picture, state, picture.file, "color", side);
      if (picture !== this.picture || state !== picture.state) return;
      await this.viewer.show("before", picture.show("fine-grey", grey));
      await this.viewer.show("after", picture.show("fine-color", color));
      this.#fineFor = state;
    }), STILL);
  }

  /** Addresses of `count` small versions, handed to `show` as they come. */
  versions(picture, count, show) {
    const state = picture.state;
    return this.#versions.run(async () => {
      for (let number = 1; number <= count && state === picture.state; number++) {
        const version = { ...state, candidate: number };
        const blob = await this.#preview(picture, version, seen(picture, version), "color", SMALL);
        if (picture !== this.picture || this.#versions.stale) return;
        show(number, picture.show(`version-${number}`, blob));
      }
    });
  }

  /** The result's bytes: the whole file in colour. */
  async result(picture, format) {
    const response = await post("/v1/colorize", picture.file, { ...picture.query(), format }, picture.hintsJson());
    return { blob: await response.blob(), notes: JSON.parse(response.headers.get("Tintype-Notes") || "[]") };
  }

  async #showSureness(picture, state) {
    const blob = await this.#preview(picture, { ...state, candidate: 0 }, picture.grey, "confidence", PREVIEW);
    if (picture === this.picture) await this.viewer.show("sure", picture.show("sure", blob));
  }

  async #preview(picture, state, blob, show, side) {
    const response = await post("/v1/preview", blob, { ...picture.query(state), show, side }, picture.hintsJson(state.hints));
    return response.blob();
  }
}
