"""Several plausible colourings of one picture, clearly different, each coherent over its regions.

They come from one run of the network. A model that weighs bins of colour gives, beside ab, the shares of
the bins whose mean ab is (`bin_probs`); drawing a bin for each pixel would speckle, and running the network
once more for each version would cost as much again each time. Instead:

1. Places that have like distributions are one region: k-means on the square roots of the shares, averaged
   over blocks, so that a sky or a coat is one region though its edges are fine.
2. The modes of a region's distribution, smoothed over the ab plane, are its possible colours: a coat's
   distribution has, say, a blue, a red and a brown one, that of grass a green one alone.
3. A version names a mode for each region. The first is the model's own choice; each further one is the most
   probable that differs enough from all before.
4. To decode it, the shares of each pixel are multiplied by a bump around the mode of the region it is like,
   and their mean is taken anew. A pixel that is sure of its colour keeps it.
"""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

_BLOCKS = 24  # blocks along the shorter side that regions are found on
_REGIONS, _MODES = 5, 4  # at most; every choice of modes is weighed, 4⁵ of them
_ROUNDS = 12  # of k-means, which has then long settled
_SMOOTH = 12.0  # Lab units over which a distribution is smoothed before modes are sought
_APART = 24.0  # Lab units between two modes of a region
_LEAST_MODE = 0.04  # of the greatest mode's density, below which a mode is not plausible
_BUMP, _PULL = 22.0, 6.0  # Lab units: width of the bump; its height in natural logarithms
_LIKE = 0.06  # squared Hellinger distance over which a pixel's belonging to a region fades
_DIFFERENT = 14.0  # Lab units, the mean over the picture, by which versions should differ


def propose(bin_probs: Float, bins: Float, count: int) -> list[Float]:
    """`count` versions of ab (h, w, 2), Lab units, the first being the mean of `bin_probs` (h, w, Q).

    `bins` (Q, 2). The same input gives the same versions. Where the model has but one opinion they are hard
    to tell apart: the distance asked for is lowered until there are enough.
    """
    own = (bin_probs @ bins).astype(np.float32)
    if count == 1:
        return [own]
    blocks, weights = _blocks(bin_probs)
    centers, belongs = _regions(np.sqrt(blocks), weights)
    areas = np.bincount(belongs, weights, len(centers)) / weights.sum()
    means = [
        np.average(blocks[belongs == r], axis=0, weights=weights[belongs == r]) for r in range(len(centers))
    ]
    modes = [_modes(mean, bins) for mean in means]
    chosen = _choose(means, modes, areas, bins, count)
    member = _membership(bin_probs, centers)
    return [own] + [_decode(bin_probs, bins, member, choice) for choice in chosen]


def _blocks(bin_probs: Float) -> tuple[Float, Float]:
    """Mean shares of square blocks (B, Q) and how many pixels each holds (B,)."""
    height, width, Q = bin_probs.shape
    side = max(1, min(height, width) // _BLOCKS)
    rows, columns = np.arange(0, height, side), np.arange(0, width, side)
    sums = np.add.reduceat(np.add.reduceat(bin_probs, rows, axis=0), columns, axis=1)
    pixels = np.outer(np.diff(rows, append=height), np.diff(columns, append=width)).astype(np.float32)
    means: Float = (sums / pixels[..., None]).astype(np.float32).reshape(-1, Q)
    return means, pixels.ravel()


def _regions(points: Float, weights: Float) -> tuple[Float, NDArray[np.intp]]:
    """k-means of points (B, Q): centres (R, Q) and whose each point is. Starts from points far apart."""
    first = int(np.argmin(((points - np.average(points, axis=0, weights=weights)) ** 2).sum(1)))
    centers = points[[first]]
    for _ in range(_REGIONS - 1):
        nearest = _square_distances(points, centers).min(1)
        if nearest.max() < _LIKE:
            break
        centers = np.concatenate([centers, points[[int(nearest.argmax())]]])
    for _ in range(_ROUNDS):
        belongs = _square_distances(points, centers).argmin(1)
        kept = np.unique(belongs)
        centers = np.stack(
            [np.average(points[belongs == r], axis=0, weights=weights[belongs == r]) for r in kept]
        )
    return centers.astype(np.float32), _square_distances(points, centers).argmin(1)


def _square_distances(points: Float, centers: Float) -> Float:
    """Of points (…, Q) to centres (R, Q): (…, R)."""
    square = (points**2).sum(-1)[..., None] + (centers**2).sum(1) - 2 * points @ centers.T
    return square.clip(0)


def _modes(shares: Float, bins: Float) -> list[tuple[Float, float]]:
    """The plausible colours (2,) of a distribution (Q,) with the logarithm of their density, best first."""
    near = np.exp(-_square_distances(bins, bins) / (2 * _SMOOTH**2))
    density = near @ shares
    found: list[tuple[Float, float]] = []
    left = density.copy()
    while len(found) < _MODES and left.max() > max(_LEAST_MODE * density.max(), 0):
        best = int(left.argmax())
        around = near[best] * shares
        found.append(((around @ bins / around.sum()).astype(np.float32), float(np.log(density[best]))))
        left[_square_distances(bins, bins[[best]])[:, 0] < _APART**2] = 0
    return found


def _choose(
    means: list[Float],
    modes: list[list[tuple[Float, float]]],
    areas: NDArray[np.floating],
    bins: Float,
    count: int,
) -> list[list[Float]]:
    """For each version but the first, the mode (2,) of each region."""
    # What a region's mean colour becomes when pulled to each of its modes, and in the model's own version.
    pulled = [[_pulled(mean, bins, mode) for mode, _ in own] for mean, own in zip(means, modes, strict=True)]
    choices = list(product(*(range(len(own)) for own in modes)))
    colors = np.array([[pulled[r][m] for r, m in enumerate(choice)] for choice in choices])  # (C, R, 2)
    score = np.array([sum(areas[r] * modes[r][m][1] for r, m in enumerate(choice)) for choice in choices])
    taken = np.array([[mean @ bins for mean in means]])  # (taken, R, 2)
    free = np.ones(len(choices), bool)
    chosen: list[list[Float]] = []
    least = _DIFFERENT
    while len(chosen) < count - 1:
        apart = np.linalg.norm(colors[:, None] - taken[None], axis=-1) @ areas  # (C, taken)
        fit = free & (apart.min(1) >= least)
        if not fit.any():
            least = least * 0.7 if least > 0.5 and free.any() else 0.0
            free |= not free.any()  # more versions than choices: they come again
            continue
        best = int(np.where(fit, score, -np.inf).argmax())
        free[best] = False
        taken = np.concatenate([taken, colors[[best]]])
        chosen.append([modes[r][m][0] for r, m in enumerate(choices[best])])
    return chosen


def _pulled(shares: Float, bins: Float, mode: Float) -> Float:
    """The mean colour (2,) of a distribution (Q,) that is pulled to a mode."""
    weighted = shares * np.exp(_bump(bins, mode[None])[0])
    return weighted @ bins / weighted.sum()


def _bump(bins: Float, modes: Float) -> Float:
    """What is added to the logarithms of shares (R, Q) to pull them to modes (R, 2)."""
    return _PULL * np.exp(-_square_distances(modes, bins) / (2 * _BUMP**2))


def _membership(bin_probs: Float, centers: Float) -> Float:
    """How much each pixel is of each region, (h, w, R), summing to 1, softened a little along borders."""
    distance = _square_distances(np.sqrt(bin_probs), centers)
    member = np.exp(-(distance - distance.min(-1, keepdims=True)) / _LIKE)
    member = cv2.GaussianBlur(member / member.sum(-1, keepdims=True), (0, 0), 1.0).reshape(member.shape)
    return (member / member.sum(-1, keepdims=True)).astype(np.float32)


def _decode(bin_probs: Float, bins: Float, member: Float, modes: list[Float]) -> Float:
    pull = member @ _bump(bins, np.stack(modes))  # (h, w, Q)
    weighted = bin_probs * np.exp(pull)
    return ((weighted @ bins) / weighted.sum(-1, keepdims=True)).astype(np.float32)
