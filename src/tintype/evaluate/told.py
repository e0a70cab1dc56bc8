"""Random hints: true colours that a network is told at a few points, and whether it keeps them."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import cv2
import numpy as np

from tintype import metrics
from tintype.evaluate.truths import Float, Truth

HINT_SIDE = 7  # pixels, at the network's resolution, of the patch that one hint reveals
KEPT_WITHIN = 6.0  # ΔE2000 of the told colour, at the photograph's own L
VERSION = "1"  # of `share_kept`; scores stored under another are computed anew


class Told(NamedTuple):
    """What a network that sees (H, W) is told of one photograph."""

    hint_ab: Float
    """(1, 2, H, W), Lab units."""
    hint_mask: Float
    """(1, 1, H, W), 1 where a colour is told."""
    patches: tuple[tuple[slice, slice], ...]
    """Rows and columns of each point's patch."""


def random_hints(truth: Truth, size: tuple[int, int], count: int, seed: int) -> Told:
    """`count` points for a network that sees (H, W).

    Each of them reveals the mean true ab of a patch of `HINT_SIDE`, as in Zhang et al. 2017; where they lie
    hangs on the seed and the photograph's name. Where patches overlap, the later one is told.
    """
    height, width = size
    ab = cv2.resize(truth.ab, (width, height), interpolation=cv2.INTER_AREA)
    hint_ab = np.zeros((1, 2, height, width), np.float32)
    mask = np.zeros((1, 1, height, width), np.float32)
    rng = np.random.default_rng((seed, zlib.crc32(truth.name.encode(errors="surrogateescape"))))
    half = HINT_SIDE // 2
    patches = []
    for _ in range(count):
        y, x = rng.integers(height), rng.integers(width)
        patch = np.s_[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
        hint_ab[0][:, *patch] = ab[patch].mean((0, 1))[:, None, None]
        mask[0, 0][patch] = 1
        patches.append(patch)
    return Told(hint_ab, mask, tuple(patches))


def share_kept(ab: Float, L: Float, told: Told) -> float:
    """The share of the told points, 0…1, where painted ab (H, W, 2) keeps to what was told.

    A point is kept where, over its patch, the mean of ab lies within `KEPT_WITHIN` of the mean of what was
    told there, both at the photograph's own mean L (H, W).
    """
    (height, width), (rows, columns) = told.hint_ab.shape[2:], L.shape
    colors = []
    for patch in told.patches:
        place = _brought(patch[0], height, rows), _brought(patch[1], width, columns)
        lightness = L[place].mean()
        asked = told.hint_ab[0][:, *patch].mean((1, 2))
        colors.append([(lightness, *ab[place].mean((0, 1))), (lightness, *asked)])
    painted, asked_for = np.array(colors, np.float64).swapaxes(0, 1)
    return float(np.mean(metrics.delta_e_2000_map(painted, asked_for) <= KEPT_WITHIN))


def _brought(part: slice, length: int, to: int) -> slice:
    """A part of `length` pixels as one of `to` pixels, at least one of them."""
    last = min(part.stop, length)
    start = min(round(part.start * to / length), to - 1)
    return slice(start, max(start + 1, round(last * to / length)))
