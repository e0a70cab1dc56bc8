"""Colour as classes: the quantised ab plane, soft encoding, class rebalancing, annealed mean.

After Zhang, Isola and Efros, "Colorful Image Colorization" (ECCV 2016), sections 2.1 to 2.3.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

GRID = 10  # Lab units between neighbouring bins
# Zhang et al.'s 313 bins in reach of sRGB (their `pts_in_hull`), a row for each a: (a, lowest b, highest b).
# They cannot be had from a rule: at 8 bits the gamut touches 261 of the cells, the rest border on it.
_HULL_ROWS = (
    (-90, 50, 90), (-80, 20, 90), (-70, 0, 90), (-60, -20, 90), (-50, -30, 100), (-40, -40, 100),
    (-30, -50, 100), (-20, -50, 100), (-10, -60, 100), (0, -70, 100), (10, -80, 90), (20, -80, 90),
    (30, -90, 90), (40, -100, 90), (50, -100, 80), (60, -110, 80), (70, -110, 80), (80, -110, 70),
    (90, -110, 70), (100, -90, 0),
)  # fmt: skip
_GRID_LIMIT = 110  # Lab units: half the side of the ab square that holds sRGB's colours
_AB_LIMIT = 128  # the lookup table of soft codes covers |a|, |b| up to here, in steps of 1


def hull_bins() -> NDArray[np.float32]:
    """The 313 bin centres (313, 2) in Lab units, in Zhang et al.'s order."""
    rows = [(a, b) for a, low, high in _HULL_ROWS for b in range(low, high + 1, GRID)]
    return np.array(rows, np.float32)


def grid_bins(side: int) -> NDArray[np.float32]:
    """The centres (side², 2) in Lab units of the ab square from −110 to 110 cut into side × side bins."""
    centres = (np.arange(side) + 0.5) * (2 * _GRID_LIMIT / side) - _GRID_LIMIT
    a, b = np.meshgrid(centres, centres, indexing="ij")
    return np.stack([a.ravel(), b.ravel()], axis=1).astype(np.float32)


class SoftEncoder(nn.Module):
    """Maps ab to its `k` nearest bins with Gaussian weights of width `sigma` Lab units.

    A table holds the answer for every whole (a, b), so encoding is one lookup; rounding to whole
    units moves a colour by at most 0.7, a fourteenth of the grid.
    """

    index: Tensor
    weight: Tensor

    def __init__(self, bins: NDArray[np.float32], k: int = 5, sigma: float = 5.0) -> None:
        super().__init__()
        axis = torch.arange(-_AB_LIMIT, _AB_LIMIT + 1, dtype=torch.float32)
        grid = torch.cartesian_prod(axis, axis)  # (S*S, 2)
        distance, index = torch.cdist(grid, torch.from_numpy(bins)).topk(k, largest=False)
        # Distances are taken relative to the nearest, or far colours would underflow to no weight at all.
        weight = torch.exp(-(distance**2 - distance[:, :1] ** 2) / (2 * sigma**2))
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("weight", weight / weight.sum(1, keepdim=True), persistent=False)

    def forward(self, ab: Tensor) -> tuple[Tensor, Tensor]:
        """ab (N, 2, H, W) to bin indices and weights, both (N, k, H, W); weights sum to 1."""
        cell = ab.round().clamp(-_AB_LIMIT, _AB_LIMIT).long() + _AB_LIMIT
        flat = cell[:, 0] * (2 * _AB_LIMIT + 1) + cell[:, 1]  # (N, H, W)
        return self.index[flat].movedim(-1, 1), self.weight[flat].movedim(-1, 1)


class GridEncoder(nn.Module):
    """Maps ab to the one bin of `grid_bins(side)` in which it lies; beyond them to the last."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, ab: Tensor) -> tuple[Tensor, Tensor]:
        """ab (N, 2, H, W) to bin indices and weights of 1, both (N, 1, H, W)."""
        cell = ((ab.float() + _GRID_LIMIT) * (self.side / (2 * _GRID_LIMIT))).floor().long()
        a, b = cell.clamp(0, self.side - 1).unbind(1)
        index = (a * self.side + b)[:, None]
        return index, torch.ones_like(index, dtype=torch.float32)


def bin_prior(index: Tensor, weight: Tensor, Q: int) -> Tensor:
    """Each bin's share (Q,) of the pixels, from their codes (N, k, H, W) by an encoder; sums to 1."""
    prior = weight.new_zeros(Q).index_add_(0, index.flatten(), weight.flatten())
    return prior / prior.sum()


def log_weights(prior: Tensor, floor: float) -> Tensor:
    """Class weights −log p, p being each bin's share (Q,), but at least `floor`: none weighs infinitely."""
    return -prior.clamp(min=floor).log()


def rebalancing_weights(prior: Tensor, mix: float = 0.5) -> Tensor:
    """Class weights 1 / ((1 - mix) p + mix / Q), scaled to expectation 1 under the prior (eq. 4).

    `prior` (Q,) is each bin's share of the training pixels; `mix` 1 switches rebalancing off.
    """
    weights = 1 / ((1 - mix) * prior + mix / len(prior))
    return weights / (prior * weights).sum()


def soft_cross_entropy(logits: Tensor, index: Tensor, weight: Tensor, bin_weights: Tensor) -> Tensor:
    """Mean over pixels of the rebalanced cross-entropy against soft targets (eq. 2).

    `logits` (N, Q, H, W); `index`, `weight` (N, k, H, W) from an encoder; `bin_weights` (Q,).
    A pixel is weighted by the class weight of its nearest bin.
    """
    log_p = logits.float().log_softmax(1).gather(1, index)
    per_pixel = -(weight * log_p).sum(1)
    return (bin_weights[index[:, 0]] * per_pixel).mean()


def annealed_mean(logits: Tensor, bins: Tensor, T: float | Tensor) -> Tensor:
    """ab (N, 2, H, W) as the mean of the bins under softmax(logits / T) (eq. 5).

    T = 1 is the posterior mean, T → 0 the most probable bin; the paper uses 0.38.
    """
    return mean_of(shares(logits / T), bins)


def shares(logits: Tensor) -> Tensor:
    """The softmax of logits (N, Q, H, W) over the bins, channels last: (N, H, W, Q).

    So laid out it takes onnxruntime a quarter of the time, which is a quarter of a small network's.
    """
    return logits.permute(0, 2, 3, 1).softmax(-1)


def mean_of(bin_probs: Tensor, bins: Tensor) -> Tensor:
    """The mean ab (N, 2, H, W) of the bins (Q, 2) under their shares (N, H, W, Q)."""
    return (bin_probs @ bins).permute(0, 3, 1, 2)


def most_probable(logits: Tensor, bins: Tensor) -> Tensor:
    """ab (N, 2, H, W) as the centre of each pixel's most probable bin."""
    return bins[logits.argmax(1)].permute(0, 3, 1, 2)
