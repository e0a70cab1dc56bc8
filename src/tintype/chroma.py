"""From the network's small chroma to full-size colour, with the picture's own luma left as it is.

At the network's resolution (L, ab) is turned into Cb, Cr (`small_cbcr`). `ChromaField` brings these to
full size guided by the luma: around every small pixel the chroma is modelled as `slope * luma + offset`,
after the guided filter (He, Sun, Tang, ECCV 2010; its fast form, He and Sun 2015); slope and offset are
smooth and are upsampled bicubically, and the full-size luma puts the edges back. Where a colour would
leave RGB, its chroma is scaled down until it fits; the luma never gives way.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype.color import (
    CB_TO_B,
    CB_TO_G,
    CR_TO_G,
    CR_TO_R,
    LUMA_WEIGHTS,
    ToneCurve,
    lab_to_linear,
    linear_to_L,
    rgb_to_cbcr,
)

Float = NDArray[np.float32]

# Luma variance (luma in 0…1) below which the fit trusts the mean chroma rather than the slope; measured
# by `benchmarks/edges.py` on true chroma brought back from an eighth of its size.
EDGE_EPSILON = 0.015
BAND_ROWS = 64  # rows handled at once: their planes stay in the processor's cache
_CUBIC_A = -0.75  # the kernel of OpenCV's INTER_CUBIC, which does the horizontal half


def lightness(luma: Float, tone: ToneCurve) -> Float:
    """Code-value luma 0…1, any shape, to CIE lightness L 0…100."""
    return linear_to_L(tone.decode(luma)).astype(np.float32)


def small_cbcr(L: Float, ab: Float, tone: ToneCurve, strength: float = 1.0) -> Float:
    """Lightness (h, w) and chroma ab (h, w, 2) in Lab units to CbCr (h, w, 2) centred on 0.

    `strength` multiplies ab: 0 is grey, 1 what the model proposes. The result is in the code values of
    `tone` and may lie outside the gamut; `ChromaField` sees to that at full size, where the luma is known.
    """
    lab = np.concatenate([L[..., None], strength * ab], axis=-1)
    return rgb_to_cbcr(tone.encode(lab_to_linear(lab))).astype(np.float32)


class ChromaField:
    """Chroma of one picture, to be read off at full size by rows.

    `cbcr` (h, w, 2) as `small_cbcr` gives it; `luma` (h, w) in 0…1 at the same size; `size` (H, W) of
    the full picture. Row bands may be asked for in any order and from several threads.
    """

    def __init__(self, cbcr: Float, luma: Float, size: tuple[int, int], threads: int | None = None) -> None:
        slope, offset = _local_linear(cbcr, luma)
        self._planes = np.concatenate([slope, offset], axis=-1)  # h, w, 4
        self.size = size
        self._threads = threads or os.cpu_count() or 1
        self._wide: dict[int, Float] = {}

    def rgb(self, y0: int, luma: NDArray[Any]) -> NDArray[Any]:
        """Colour of the rows from `y0` on: luma (n, W) uint8, uint16 or float 0…1 to RGB of its dtype.

        The RGB's BT.601 luma is the given one; integer results are at most half a code value off.
        """
        out = np.empty((*luma.shape, 3), luma.dtype)
        rows = max(1, BAND_ROWS * 4096 // max(luma.shape[1], 4096))

        def band(y: int) -> None:
            part = luma[y : y + rows]
            _rgb_band(self, y0 + y, part, out[y : y + rows])

        self._run(band, range(0, len(luma), rows))
        return out

    def planes_420(self, luma: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Full-range Cb and Cr, uint8, of half the width and height (rounded up), for luma (H, W)."""
        height, width = luma.shape
        half = ((height + 1) // 2, (width + 1) // 2)
        cb, cr = np.empty(half, np.uint8), np.empty(half, np.uint8)
        self._wide_planes(half[1])

        def band(y: int) -> None:
            rows = min(BAND_ROWS, half[0] - y)
            mean, low, high = _halve(luma[2 * y : 2 * (y + rows)])
            planes = self._rows(y, rows, half)
            chroma = planes[:2] * mean + planes[2:]
            _fit_gamut(chroma, low, high)
            np.add(chroma * 255, 128.5, out=chroma)
            cb[y : y + rows], cr[y : y + rows] = chroma  # the cast truncates: with the .5, rounds

        self._run(band, range(0, half[0], BAND_ROWS))
        return cb, cr

    def _run(self, work: Any, bands: range) -> None:
        if self._threads == 1 or len(bands) == 1:
            for y in bands:
                work(y)
            return
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(work, bands))

    def _wide_planes(self, width: int) -> Float:
        """The four planes (4, h, width), brought to the full width once."""
        if width not in self._wide:
            small_height, small_width = self._planes.shape[:2]
            method = cv2.INTER_CUBIC if width >= small_width else cv2.INTER_AREA
            wide = cv2.resize(self._planes, (width, small_height), interpolation=method)
            self._wide[width] = np.ascontiguousarray(np.moveaxis(wide, -1, 0))
        return self._wide[width]

    def _rows(self, y0: int, rows: int, size: tuple[int, int]) -> Float:
        """Slope and offset of Cb and Cr (4, rows, W) for the rows from `y0` on of a picture of `size`."""
        wide = self._wide_planes(size[1])
        first, weights = _row_weights(y0, rows, wide.shape[1], size[0])
        return np.matmul(weights, wide[:, first : first + weights.shape[1]])


def _rgb_band(field: ChromaField, y0: int, luma: NDArray[Any], out: NDArray[Any]) -> None:
    scale = float(np.iinfo(luma.dtype).max) if luma.dtype.kind == "u" else 1.0
    Y = luma.astype(np.float32) * np.float32(1 / scale)
    planes = field._rows(y0, len(luma), field.size)
    cb, cr = chroma = planes[:2] * Y + planes[2:]
    _fit_gamut(chroma, Y, Y)
    red, blue = Y + np.float32(CR_TO_R) * cr, Y + np.float32(CB_TO_B) * cb
    if luma.dtype.kind == "u":
        # Red and blue are rounded first; green is then what makes the luma come out right.
        red, blue = np.rint(red * scale), np.rint(blue * scale)
        Y = luma.astype(np.float32)
    wr, wg, wb = LUMA_WEIGHTS.astype(np.float32)
    green = (Y - wr * red - wb * blue) / wg
    if luma.dtype.kind == "u":
        green = np.rint(green)
    for i, channel in enumerate((red, green, blue)):
        out[..., i] = np.clip(channel, 0, scale)


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


def _fit_gamut(chroma: Float, darkest: Float, brightest: Float) -> None:
    """Scale chroma (2, n, W) in place so that RGB stays in 0…1 at both the darkest and brightest luma."""
    cb, cr = chroma
    red, blue = np.float32(CR_TO_R) * cr, np.float32(CB_TO_B) * cb
    green = np.float32(CB_TO_G) * cb + np.float32(CR_TO_G) * cr
    highest = np.maximum(np.maximum(red, blue, out=red.copy()), green)
    lowest = np.minimum(np.minimum(red, blue), green)
    tiny = np.float32(1e-6)
    room = np.minimum((1 - brightest) / np.maximum(highest, tiny), darkest / np.maximum(-lowest, tiny))
    chroma *= np.minimum(room, 1)


def _halve(luma: NDArray[np.uint8]) -> tuple[Float, Float, Float]:
    """Mean, minimum and maximum, in 0…1, of the 2×2 blocks of (n, W); odd edges repeat their last row, column."""
    if luma.shape[0] % 2 or luma.shape[1] % 2:
        luma = np.pad(luma, ((0, luma.shape[0] % 2), (0, luma.shape[1] % 2)), mode="edge")
    top, bottom = luma[0::2], luma[1::2]
    low, high = np.minimum(top, bottom), np.maximum(top, bottom)
    low, high = np.minimum(low[:, 0::2], low[:, 1::2]), np.maximum(high[:, 0::2], high[:, 1::2])
    mean = cv2.resize(luma, (luma.shape[1] // 2, luma.shape[0] // 2), interpolation=cv2.INTER_AREA)
    unit = np.float32(1 / 255)
    return mean * unit, low * unit, high * unit
