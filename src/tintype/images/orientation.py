"""EXIF's eight orientations: how a picture as its file stores it comes to be seen upright, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What makes a stored picture upright: quarter turns, then whether to mirror it.
_TO_UPRIGHT = {
    2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False),
}  # fmt: skip
# Where a point, in fractions, of the stored picture is seen.
_SEEN_AT: dict[int, Callable[[float, float], tuple[float, float]]] = {
    1: lambda x, y: (x, y),
    2: lambda x, y: (1 - x, y),
    3: lambda x, y: (1 - x, 1 - y),
    4: lambda x, y: (x, 1 - y),
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}


def upright(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """A picture (H, W) or (H, W, channels) as it is stored, turned as its EXIF orientation says."""
    turns, mirrored = _TO_UPRIGHT.get(orientation, (0, False))
    turned = np.rot90(stored, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def as_stored(turned: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The reverse of `upright`, for (h, w) or (h, w, channels)."""
    turns, mirrored = _TO_UPRIGHT.get(orientation, (0, False))
    return np.rot90(turned[:, ::-1] if mirrored else turned, -turns)


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """The upright picture's (H, W), or (W, H), of the stored one's: exchanged where it lies on its side."""
    turns, _ = _TO_UPRIGHT.get(orientation, (0, False))
    return size[::-1] if turns % 2 else size


def seen_at(x: float, y: float, orientation: int) -> tuple[float, float]:
    """Where a point (x, y), in fractions of the stored picture's width and height, is in the upright one."""
    return _SEEN_AT[orientation](x, y)
