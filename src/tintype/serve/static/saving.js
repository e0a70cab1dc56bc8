// Results and hints to files of the user's.

import { Zip } from "/zip.js";

const SUFFIXES = {
  "image/jpeg": ["jpg", "jpeg", "jpe", "jfif"], "image/png": ["png"], "image/tiff": ["tif", "tiff"],
  "image/jp2": ["jp2", "jpx", "jpf"], "image/webp": ["webp"], "image/avif": ["avif"], "image/gif": ["gif"], "image/bmp": ["bmp", "dib"],
};

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function nameOf(picture, blob) {
  const own = picture.name.split(".").pop().toLowerCase();
  const fit = SUFFIXES[blob.type] || ["jpg"];
  return picture.resultName(fit.includes(own) ? own : fit[0]);
}

/** Save a picture at full size; what the user should know. */
export async function savePicture(coloring, picture, format) {
  const { state } = picture;
  const { blob, notes } = await coloring.result(picture, format);
  const name = nameOf(picture, blob);
  download(blob, name);
  picture.savedState = state;
  return [`Saved ${name}.`, ...notes].join(" ");
}

/** Save all pictures as one ZIP, whatever fails left out; a sentence on it. `tell` hears of each. */
export async function saveAll(coloring, pictures, format, tell) {
  const all = [...pictures]; // some may be closed meanwhile
  const zip = new Zip();
  const failed = [];
  const saved = [];
  for (const picture of all) {
    tell(`Colouring ${saved.length + failed.length + 1} of ${all.length} …`);
    try {
      if (picture.problem) throw new Error(picture.problem);
      const { state } = picture;
      const { blob } = await coloring.result(picture, format);
      await zip.add(nameOf(picture, blob), blob);
      saved.push([picture, state]);
    } catch (error) {
      failed.push(`${picture.name}: ${error.message}`);
    }
  }
  if (saved.length) download(zip.blob(), "tintype.zip");
  for (const [picture, state] of saved) picture.savedState = state;
  const told = saved.length ? `Saved ${saved.length} of ${all.length} pictures in tintype.zip.` : "Nothing could be saved.";
  return { text: [told, ...failed].join(" "), bad: failed.length > 0 };
}

/** Save a picture's hints as `tintype colorize --hints` reads them. */
export function saveHints(picture) {
  const text = JSON.stringify(picture.hintsJson(), null, 2);
  const name = `${picture.name.replace(/\.[^.]*$/, "")}.hints.json`;
  download(new Blob([`${text}\n`], { type: "application/json" }), name);
  return `Saved ${name}.`;
}
