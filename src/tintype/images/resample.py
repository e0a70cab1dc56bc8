"""Area averages of luma, of a whole array or band by band."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
SMALL_SIDE = 128  # enough to judge toning by, coarse enough to average the grain and JPEG's noise away


def shrink(values: Pixels, height: int, width: int) -> NDArray[np.float32]:
    """Code values (H, W) to (height, width) in 0…1: area-averaged, bilinear along a side that grows."""
    small: NDArray[np.float32] = resized(values, height, width).astype(np.float32)
    small /= np.iinfo(values.dtype).max
    return small


def small_colors(rgb: Pixels, whole: tuple[int, int] | None = None) -> Pixels:
    """RGB (H, W, 3) area-averaged so that its shorter side has at most SMALL_SIDE pixels, same dtype.

    Of a part of a picture as small as it is in the `whole`, of (H, W), made so.
    """
    import cv2

    H, W = rgb.shape[:2]
    scale = min(1.0, SMALL_SIDE / min(whole or (H, W)))
    size = (max(1, round(W * scale)), max(1, round(H * scale)))
    return rgb if scale == 1 else np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def shrink_bands(
    bands: Iterable[Pixels], size: tuple[int, int], target: tuple[int, int]
) -> NDArray[np.float32]:
    """The same for an (H, W) page that comes as bands of rows, from the top; holds one band at a time."""
    (height, _), (out_height, out_width) = size, target
    total = np.zeros((min(out_height, height), out_width), np.float32)
    step = height / len(total)  # rows of the page to a row of `total`
    y = 0
    for band in bands:
        scale = np.float32(1 / np.iinfo(band.dtype).max)
        narrow = resized(band, len(band), out_width).astype(np.float32) * scale
        first = int(y / step)
        last = min(len(total), int(np.ceil((y + len(band)) / step)))
        total[first:last] += _overlaps(y, len(band), first, last, step) @ narrow
        y += len(band)
    if len(total) == out_height:
        return total
    grown: NDArray[np.float32] = resized(total, out_height, out_width).astype(np.float32)
    return grown


def _overlaps(y: int, rows: int, first: int, last: int, step: float) -> NDArray[np.float32]:
    """Share of each of `rows` rows from `y` in the averages `first` … `last`, (last - first, rows)."""
    top = np.arange(first, last)[:, None] * step
    row = np.arange(y, y + rows)[None, :]
    common = np.minimum(top + step, row + 1) - np.maximum(top, row)
    shares: NDArray[np.float32] = (np.maximum(common, 0) / step).astype(np.float32)
    return shares


def resized(values: Pixels, height: int, width: int) -> Pixels:
    """A plane (H, W) at (height, width), same dtype: area-averaged, bilinear along a side that grows."""
    import cv2

    values = _halved(values, 4 * height, 4 * width)
    H, W = values.shape
    # OpenCV's area mode is bilinear on both sides as soon as one of them grows, so each has its own step.
    small = (min(width, W), min(height, H))
    if small != (W, H):
        values = cv2.resize(values, small, interpolation=cv2.INTER_AREA)
    if small != (width, height):
        values = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(values)


def _halved(values: Pixels, height: int, width: int) -> Pixels:
    """Blocks of 2 × 2 averaged while both sides stay at `height` and `width` or more.

    Ten times as fast as one area average by an odd ratio. An odd last row or column is left out, which
    is only done where the side has 2,000 pixels or more.
    """
    import cv2

    while values.shape[0] >= height and values.shape[1] >= width:
        H, W = values.shape
        if (H % 2 and H < 2000) or (W % 2 and W < 2000):
            break
        even = values[: H // 2 * 2, : W // 2 * 2]
        values = np.asarray(cv2.resize(even, (W // 2, H // 2), interpolation=cv2.INTER_AREA))
    return values
