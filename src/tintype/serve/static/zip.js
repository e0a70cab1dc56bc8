// A ZIP of files that are packed as they are: pictures are small already.

const TABLE = new Uint32Array(256).map((_, n) => {
  for (let i = 0; i < 8; i++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Little-endian numbers, as pairs of [bytes, value]. */
function pack(...fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return view.buffer;
}

const UTF8_NAMES = 0x0800;
const MOST_BYTES = 0xffffffff;

export class Zip {
  #parts = [];
  #entries = [];
  #size = 0;
  #names = new Set();

  /** Add a file; one whose name is taken gets a number. Throws an Error where the ZIP would pass 4 GiB. */
  async add(name, blob) {
    const data = new Uint8Array(await blob.arrayBuffer());
    const title = new TextEncoder().encode(this.#free(name));
    if (this.#size + data.length + 2 * title.length + 200 > MOST_BYTES) throw new Error("The ZIP would pass 4 GiB: save fewer at once.");
    const now = new Date();
    const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
    const day = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
    const common = [[2, 20], [2, UTF8_NAMES], [2, 0], [2, time], [2, day], [4, crc32(data)], [4, data.length],
      [4, data.length], [2, title.length], [2, 0]];
    this.#entries.push(pack([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, this.#size]), title);
    const local = pack([4, 0x04034b50], ...common);
    this.#parts.push(local, title, data);
    this.#size += local.byteLength + title.length + data.length;
  }

  blob() {
    const count = this.#entries.length / 2;
    const length = this.#entries.reduce((sum, part) => sum + part.byteLength, 0);
    const end = pack([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, length], [4, this.#size], [2, 0]);
    return new Blob([...this.#parts, ...this.#entries, end], { type: "application/zip" });
  }

  #free(name) {
    const [, stem, suffix] = name.match(/^(.*?)((?:\.color)?\.[^.]*)?$/s);
    let free = name;
    for (let n = 2; this.#names.has(free); n++) free = `${stem}-${n}${suffix || ""}`;
    this.#names.add(free);
    return free;
  }
}
