"""Scores of predicted colour, as arithmetic in NumPy: each function scores one picture.

`rgb` arrays are (H, W, 3) in 0…1, `ab` arrays (H, W, 2) in Lab units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

AUC_LIMIT = 150  # Lab units: the thresholds of the accuracy curve run from 0 to here, in steps of 1


def psnr(rgb: Array, truth: Array) -> float:
    """Peak signal-to-noise ratio in dB of RGB in 0…1, over all pixels and channels; higher is better."""
    error = float(np.mean((rgb.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def ab_rmse(ab: Array, truth: Array) -> float:
    """Root mean square of the Euclidean ab error per pixel, in Lab units; lower is better."""
    return float(np.sqrt(np.mean(np.sum((ab.astype(np.float64) - truth) ** 2, axis=-1))))


def auc(ab: Array, truth: Array, weights: Array | None = None) -> float:
    """Area, in percent, under the share of pixels whose ab error is at most t, t = 0…150 (Zhang et al. 2016).

    `weights` (H, W) gives pixels unequal say: class-balanced AuC weighs each by the inverse frequency of
    its true colour bin.
    """
    error = np.sqrt(np.sum((ab.astype(np.float64) - truth) ** 2, axis=-1)).ravel()
    mass = np.ones_like(error) if weights is None else weights.ravel().astype(np.float64)
    first_step = np.ceil(error).clip(0, AUC_LIMIT + 1).astype(int)
    share = np.bincount(first_step, mass, AUC_LIMIT + 2)[: AUC_LIMIT + 1].cumsum() / mass.sum()
    return float(100 * np.trapezoid(share, dx=1 / AUC_LIMIT))


def colorfulness(rgb: Array) -> float:
    """Hasler and Süsstrunk 2003, eq. 7, for RGB in 0…1 (scaled to 0…255 within); a grey picture has 0."""
    red, green, blue = np.moveaxis(255 * rgb.astype(np.float64), -1, 0)
    rg, yb = red - green, (red + green) / 2 - blue
    spread = np.hypot(rg.std(), yb.std())
    return float(spread + 0.3 * np.hypot(rg.mean(), yb.mean()))
