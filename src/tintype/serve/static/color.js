// Lab and sRGB, to offer colours that a spot of some lightness can have.
const WHITE = [0.95047, 1, 1.08883];

/** Grey 0…255, sRGB, to lightness 0…100. */
export function lightness(grey) {
  const code = grey / 255;
  const linear = code <= 0.04045 ? code / 12.92 : ((code + 0.055) / 1.055) ** 2.4;
  return linear > 0.008856 ? 116 * Math.cbrt(linear) - 16 : 903.3 * linear;
}

/** Lab to sRGB 0…1, three numbers, outside of that where sRGB has no such colour. */
export function toRgb(L, a, b) {
  const fy = (L + 16) / 116;
  const [x, y, z] = [fy + a / 500, fy, fy - b / 200].map(
    (f, i) => WHITE[i] * (f ** 3 > 0.008856 ? f ** 3 : (f - 16 / 116) / 7.787));
  const linear = [3.2406 * x - 1.5372 * y - 0.4986 * z, -0.9689 * x + 1.8758 * y + 0.0415 * z,
    0.0557 * x - 0.204 * y + 1.057 * z];
  return linear.map((v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055));
}

/** sRGB 0…1 as "#rrggbb". */
export function toHex(rgb) {
  const byte = (v) => Math.round(255 * Math.min(1, Math.max(0, v))).toString(16).padStart(2, "0");
  return `#${rgb.map(byte).join("")}`;
}

/** The greatest chroma, Lab units, that sRGB has at this lightness and hue (radians). */
export function mostChroma(L, hue) {
  let [low, high] = [0, 140];
  for (let i = 0; i < 12; i++) {
    const middle = (low + high) / 2;
    const rgb = toRgb(L, middle * Math.cos(hue), middle * Math.sin(hue));
    if (rgb.every((v) => v >= -0.002 && v <= 1.002)) low = middle;
    else high = middle;
  }
  return low;
}
