"""Colours that would leave RGB: their chroma is scaled down until it fits; the luma never gives way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tintype.color import JPEG_SIGNAL, Signal

Float = NDArray[np.float32]


def gains_of(signal: Signal) -> tuple[float, float, float, float]:
    """What a code of Cr adds to red, a code of Cb to blue, then both to green, in codes of luma."""
    red, green, blue = (float(weight) for weight in signal.weights)
    scale = signal.luma_span / signal.chroma_span
    return 2 * (1 - red) * scale, 2 * (1 - blue) * scale, -red / green, -blue / green


_GAINS = gains_of(JPEG_SIGNAL)


def fit_gamut(
    chroma: Float,
    above_black: Float,
    below_white: Float,
    gains: tuple[float, float, float, float] = _GAINS,
) -> None:
    """Scale chroma (2, n, W) in place where RGB would leave its range.

    `above_black` and `below_white` (n, W) are how far the luma is from either end; `gains` are those of the
    chroma's signal. Few pixels are near enough to matter, so only for them is the factor worked out.
    """
    cb, cr = chroma
    red, blue = cr * np.float32(gains[0]), cb * np.float32(gains[1])
    # G' - Y' from the other two, by the luma's own equation.
    green = red * np.float32(gains[2])
    green += blue * np.float32(gains[3])
    lowest = np.minimum(red, blue)
    np.minimum(lowest, green, out=lowest)
    np.maximum(red, blue, out=red)
    highest = np.maximum(red, green, out=red)
    outside = (highest > below_white) | (-lowest > above_black)
    where = np.flatnonzero(outside)
    if not len(where):
        return
    tiny = np.float32(1e-6)
    room = np.minimum(
        below_white.ravel()[where] / np.maximum(highest.ravel()[where], tiny),
        above_black.ravel()[where] / np.maximum(-lowest.ravel()[where], tiny),
    )
    room = room.clip(0, 1)  # a film's luma may lie beyond black or white
    cb.reshape(-1)[where] *= room
    cr.reshape(-1)[where] *= room
