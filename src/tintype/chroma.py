"""From the network's small chroma to full-size colour, with the picture's own luma left as it is.

At the network's resolution (L, ab) is turned into Cb, Cr (`small_cbcr`). `ChromaField` brings these to
full size guided by the luma: around every small pixel the chroma is modelled as `slope * luma + offset`,
after the guided filter (He, Sun, Tang, ECCV 2010; its fast form, He and Sun 2015); slope and offset are
smooth and are upsampled bicubically, and the full-size luma puts the edges back. Where a colour would
leave RGB, its chroma is scaled down until it fits; the luma never gives way.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype.color import (
    CB_TO_B,
    CR_TO_R,
    JPEG_SIGNAL,
    LUMA_WEIGHTS,
    SRGB_TONE,
    Signal,
    ToneCurve,
    lab_to_linear,
    linear_to_L,
    rgb_to_cbcr,
)
from tintype.gamut import fit_gamut, gains_of
from tintype.running import processors

Float = NDArray[np.float32]

# Luma variance (luma in 0…1) below which the fit trusts the mean chroma rather than the slope; measured
# by `benchmarks/edges.py` on true chroma brought back from an eighth of its size.
EDGE_EPSILON = 0.015
BAND_PIXELS = 1 << 17  # pixels handled at once: their planes stay in the processor's cache
SMALL_PLANE = 1 << 20  # pixels up to which bands are a quarter of that
_CUBIC_A = -0.75  # the kernel of OpenCV's INTER_CUBIC, which does the horizontal half


def lightness(luma: Float, tone: ToneCurve) -> Float:
    """Code-value luma 0…1, any shape, to CIE lightness L 0…100."""
    return linear_to_L(tone.decode(luma)).astype(np.float32)


def small_cbcr(
    L: Float, ab: Float, tone: ToneCurve, strength: float = 1.0, signal: Signal = JPEG_SIGNAL
) -> Float:
    """Lightness (h, w) and chroma ab (h, w, 2) in Lab units to CbCr (h, w, 2) centred on 0.

    `strength` multiplies ab: 0 is grey, 1 what the model proposes. The result is in the code values of
    `tone`, by the luma of `signal`, and may lie outside the gamut; `ChromaField` sees to that at full size,
    where the luma is known.
    """
    lab = np.concatenate([L[..., None], strength * ab], axis=-1)
    return rgb_to_cbcr(tone.encode(lab_to_linear(lab)), signal.weights).astype(np.float32)


def chroma_field(
    luma: Float,
    ab: Float,
    size: tuple[int, int],
    *,
    strength: float = 1.0,
    tone: ToneCurve = SRGB_TONE,
    signal: Signal = JPEG_SIGNAL,
    threads: int | None = None,
) -> ChromaField:
    """What a model proposes for a small picture, as the chroma of the full one, whose `size` is (H, W).

    `luma` (h', w') is what the model saw, 0…1 in the code values of `tone`, and `ab` (h, w, 2) its answer in
    Lab units, often smaller still. `strength`, `tone` and `signal` as for `small_cbcr`.
    """
    luma = cv2.resize(luma, ab.shape[1::-1], interpolation=cv2.INTER_AREA)
    cbcr = small_cbcr(lightness(luma, tone), ab, tone, strength, signal)
    return ChromaField(cbcr, luma, size, threads)


class ChromaField:
    """Chroma of one picture, to be read off at full size by rows.

    `cbcr` (h, w, 2) as `small_cbcr` gives it; `luma` (h, w) in 0…1 at the same size; `size` (H, W) of
    the full picture. Row bands may be asked for in any order and from several threads.
    """

    def __init__(self, cbcr: Float, luma: Float, size: tuple[int, int], threads: int | None = None) -> None:
        slope, offset = _local_linear(cbcr, luma)
        self._slope_offset = np.concatenate([slope, offset], axis=-1)  # h, w, 4
        self.size = size
        self._threads = threads or processors()
        self._wide: dict[tuple[int, Signal | float], Float] = {}

    def rgb(self, y0: int, luma: NDArray[Any]) -> NDArray[Any]:
        """Colour of the rows from `y0` on: luma (n, W) uint8, uint16 or float 0…1 to RGB of its dtype.

        The RGB's BT.601 luma is the given one; integer results are at most half a code value off. They are
        in the machine's order of bytes, whatever the luma's.
        """
        luma = luma.astype(luma.dtype.newbyteorder("="), copy=False)  # OpenCV takes the other for its own
        out = np.empty((*luma.shape, 3), luma.dtype)
        full = float(np.iinfo(luma.dtype).max) if luma.dtype.kind == "u" else 1.0
        planes = self._wide_planes(self.size[1], full)

        def band(first: int, rows: int) -> None:
            part = luma[first : first + rows]
            Y = part.astype(np.float32)
            fit = _rows(planes, y0 + first, rows, self.size[0])
            chroma = _linear(fit, Y)
            fit_gamut(chroma, Y, full - Y)
            _merge_rgb(part, Y, chroma, full, out[first : first + rows])

        self._in_bands(band, *luma.shape)
        return out

    def planes_420(self, luma: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Full-range Cb and Cr, uint8, of half the width and height (rounded up), for luma (H, W)."""
        cb, cr = self.planes(luma, JPEG_SIGNAL, (2, 2))
        return cb, cr

    def planes(
        self, luma: NDArray[Any], signal: Signal, step: tuple[int, int], interlaced: bool = False
    ) -> NDArray[Any]:
        """Cb and Cr (2, h, w) in the code values of `signal`, for its luma plane (H, W), uint8 or uint16.

        `step` is how many rows and columns of luma share one chroma sample: (2, 2) for 4:2:0, (1, 2) for
        4:2:2, (1, 1) for 4:4:4; sizes are rounded up. `interlaced` 4:2:0 takes each chroma row from rows of
        one field. The field must have been made of CbCr by the same signal's weights.
        """
        height, width = (-(-side // by) for side, by in zip(luma.shape, step, strict=True))
        out = np.empty((2, height, width), luma.dtype)
        planes = self._wide_planes(width, signal)
        if interlaced and step[0] == 2:
            luma = _fields_apart(luma)
        black, white = np.float32(signal.black), np.float32(signal.black + signal.luma_span)
        gains = gains_of(signal)

        def band(first: int, rows: int) -> None:
            mean, low, high = _blocks(luma[step[0] * first : step[0] * (first + rows)], step)
            fit = _rows(planes, first, rows, height)
            chroma = _linear(fit, mean)
            fit_gamut(chroma, low - black, white - high, gains)
            chroma += np.float32(signal.middle + 0.5)  # the cast truncates: with the .5, rounds
            out[:, first : first + rows] = np.minimum(chroma, np.float32((1 << signal.bits) - 1), out=chroma)

        self._in_bands(band, height, width)
        return out

    def _in_bands(self, work: Callable[[int, int], None], height: int, width: int) -> None:
        # Measured: small planes (a film's) are quicker cut finely, large ones (a photograph's) coarsely.
        pixels = BAND_PIXELS if height * width > SMALL_PLANE else BAND_PIXELS // 4
        step = max(1, pixels // width)
        bands = [(y, min(step, height - y)) for y in range(0, height, step)]
        if self._threads == 1 or len(bands) == 1:
            for band in bands:
                work(*band)
            return
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(lambda band: work(*band), bands))

    def _wide_planes(self, width: int, signal: Signal | float) -> Float:
        """Slope and offset of Cb and Cr (4, h, width) at full width; made once.

        From luma in the codes of `signal` to chroma in them; or from luma in 0…`signal` to the same unit.
        """
        key = (width, signal)
        if key not in self._wide:
            slope, offset = np.split(self._slope_offset, 2, axis=-1)
            if isinstance(signal, Signal):
                slope = slope * np.float32(signal.chroma_span / signal.luma_span)
                offset = offset * np.float32(signal.chroma_span) - slope * np.float32(signal.black)
            else:
                offset = offset * np.float32(signal)
            small = np.concatenate([slope, offset], axis=-1)
            method = cv2.INTER_CUBIC if width >= small.shape[1] else cv2.INTER_AREA
            wide = cv2.resize(small, (width, small.shape[0]), interpolation=method)
            self._wide[key] = np.ascontiguousarray(np.moveaxis(wide, -1, 0))
        return self._wide[key]


def _rows(planes: Float, y0: int, rows: int, height: int) -> Float:
    """Planes (4, h, W) at the full rows y0…y0+rows of `height`: (4, rows, W)."""
    first, weights = _row_weights(y0, rows, planes.shape[1], height)
    return np.matmul(weights, planes[:, first : first + weights.shape[1]])


def _linear(fit: Float, luma: Float) -> Float:
    """slope * luma + offset: (4, n, W) and (n, W) to chroma (2, n, W), made in the memory of `fit`."""
    chroma = np.multiply(fit[:2], luma, out=fit[:2])
    return np.add(chroma, fit[2:], out=chroma)


def _merge_rgb(luma: NDArray[Any], Y: Float, chroma: Float, full: float, out: NDArray[Any]) -> None:
    """Luma (n, W), also as float32, and chroma that fits the gamut, to RGB (n, W, 3) in `out`."""
    cb, cr = chroma
    red = np.multiply(cr, np.float32(CR_TO_R), out=cr)
    blue = np.multiply(cb, np.float32(CB_TO_B), out=cb)
    red += Y
    blue += Y
    if luma.dtype.kind == "u":
        # Red and blue are rounded first; green is then what makes the luma come out right.
        np.rint(red, out=red)
        np.rint(blue, out=blue)
    wr, wg, wb = (float(w) for w in LUMA_WEIGHTS)
    green = Y * np.float32(1 / wg)
    green -= red * np.float32(wr / wg)
    green -= blue * np.float32(wb / wg)
    if luma.dtype.kind == "u":
        np.rint(green, out=green)
    np.clip(chroma, 0, full, out=chroma)
    np.clip(green, 0, full, out=green)
    planes = [plane.astype(luma.dtype) for plane in (red, green, blue)]
    if luma.dtype.name in ("uint8", "uint16", "float32"):
        out[:] = cv2.merge(planes)  # many times faster than writing every third value
    else:
        np.stack(planes, axis=-1, out=out)


def _local_linear(cbcr: Float, luma: Float) -> tuple[Float, Float]:
    """Fit cbcr ≈ slope * luma + offset around each pixel; the fit is exact at the pixel itself."""

    def blur(x: Float) -> Float:
        return cv2.GaussianBlur(x, (3, 3), 0, borderType=cv2.BORDER_REFLECT).reshape(x.shape)

    mean_luma = blur(luma)
    variance = np.maximum(blur(luma * luma) - mean_luma**2, 0)
    covariance = blur(cbcr * luma[..., None]) - blur(cbcr) * mean_luma[..., None]
    slope = covariance / (variance + EDGE_EPSILON)[..., None]
    return slope, cbcr - slope * luma[..., None]


def _row_weights(y0: int, rows: int, small: int, full: int) -> tuple[int, Float]:
    """First small row and bicubic weights (rows, k) of the full rows y0…y0+rows over k small rows."""
    center = (np.arange(y0, y0 + rows) + 0.5) * small / full - 0.5
    base = np.floor(center).astype(int)
    taps = base[:, None] + np.arange(-1, 3)
    distance = np.abs(center[:, None] - taps)
    a = _CUBIC_A
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    weight = np.where(distance <= 1, near, far)
    taps = taps.clip(0, small - 1)
    first = int(taps.min())
    matrix = np.zeros((rows, int(taps.max()) - first + 1), np.float32)
    np.add.at(matrix, (np.arange(rows)[:, None], taps - first), weight)
    return first, matrix


def _blocks(luma: NDArray[Any], step: tuple[int, int]) -> tuple[Float, Float, Float]:
    """Mean, minimum and maximum of the blocks of `step` in (n, W); odd edges repeat their last values."""
    down, across = step
    if luma.shape[0] % down or luma.shape[1] % across:
        luma = np.pad(luma, ((0, luma.shape[0] % down), (0, luma.shape[1] % across)), mode="edge")
    low = high = luma
    if down == 2:
        low, high = np.minimum(luma[0::2], luma[1::2]), np.maximum(luma[0::2], luma[1::2])
    if across == 2:
        low, high = np.minimum(low[:, 0::2], low[:, 1::2]), np.maximum(high[:, 0::2], high[:, 1::2])
    size = (luma.shape[1] // across, luma.shape[0] // down)
    mean = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return mean.astype(np.float32), low.astype(np.float32), high.astype(np.float32)


def _fields_apart(luma: NDArray[Any]) -> NDArray[Any]:
    """Interlaced rows (H, W) in an order in which each pair belongs to one field; H a multiple of 4.

    The last rows are repeated to make it so.
    """
    luma = np.pad(luma, ((0, -len(luma) % 4), (0, 0)), mode="edge")
    rows = np.arange(len(luma)).reshape(-1, 4)[:, [0, 2, 1, 3]]
    return luma[rows.ravel()]
