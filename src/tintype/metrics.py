"""Scores of predicted colour, as arithmetic: each of one picture, but for `frechet_distance` of two sets.

`rgb` arrays are (H, W, 3) in 0…1, `lab` (H, W, 3) and `ab` (H, W, 2) in Lab units. What is predicted comes
first, the truth second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

AUC_LIMIT = 150  # Lab units: the thresholds of the accuracy curve run from 0 to here, in steps of 1
TARGET_SCALE = 2 / 255  # Lab units to the −1…1 in which the reports state their losses
TURN = 2 * np.pi
_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


def psnr(rgb: Array, truth: Array) -> float:
    """Peak signal-to-noise ratio in dB of RGB in 0…1, over all pixels and channels; higher is better."""
    error = float(np.mean((rgb.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def ssim(rgb: Array, truth: Array) -> float:
    """Structural similarity (Wang et al. 2004), at most 1; higher is better.

    Its authors' settings: a Gaussian window of σ 1.5 (11 × 11), K₁ 0.01, K₂ 0.03, population covariance, a
    range of 1; of each channel alone, then the mean of the three; the 5 pixels along the borders do not
    count. ValueError for a picture of less than 11 pixels a side.
    """
    if min(rgb.shape[:2]) < _SSIM_WINDOW:
        raise ValueError(f"SSIM needs {_SSIM_WINDOW} pixels a side, and the picture has {rgb.shape[:2]}.")
    x, y = (np.asarray(picture, np.float32) for picture in (rgb, truth))
    mean_x, mean_y = _window(x), _window(y)
    xx, yy, xy = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    covariance = _window(x * y) - xy
    variances = _window(x * x + y * y) - xx - yy
    likeness = (2 * xy + _SSIM_C1) * (2 * covariance + _SSIM_C2)
    likeness /= (xx + yy + _SSIM_C1) * (variances + _SSIM_C2)
    edge = _SSIM_WINDOW // 2
    return float(likeness[edge:-edge, edge:-edge].mean(dtype=np.float64))


def ab_rmse(ab: Array, truth: Array) -> float:
    """Root mean square of the Euclidean ab error per pixel, in Lab units; lower is better."""
    return float(np.sqrt(_mean_square(ab, truth) * 2))


def ab_distance(ab: Array, other: Array) -> float:
    """Mean over pixels of the Euclidean distance of two ab, in Lab units: ΔE of 1976 at equal L."""
    return float(np.linalg.norm(ab - other, axis=-1).mean(dtype=np.float64))


def target_mse(ab: Array, truth: Array) -> float:
    """The reports' mean squared error, over pixels and both channels, of ab scaled to −1…1; lower is better.

    The scaling is 1 + 2 (ab − 128) / 255. Targets scaled to 0…1 give a quarter of it.
    """
    return _mean_square(ab, truth) * TARGET_SCALE**2


def half_sum_loss(ab: Array, truth: Array) -> float:
    """The reports' loss per image, ½ Σ ‖error‖² over pixels, of ab scaled to −1…1; lower is better.

    It grows with the number of pixels. In Lab units (Zhang et al. 2016, eq. 1) it is (255 / 2)² times that.
    """
    return target_mse(ab, truth) * truth.size / 2


def auc(ab: Array, truth: Array, weights: Array | None = None) -> float:
    """Area, in percent, under the share of pixels whose ab error is at most t, t = 0…150; higher is better.

    After Zhang et al. 2016, section 3.1: the share is taken at every whole t, joined by straight lines and
    divided by 150. `weights` (H, W) gives pixels unequal say, so that the share is Σ w [error ≤ t] / Σ w: the
    class-balanced form weighs each by the inverse frequency of its true colour.
    """
    steps = error_steps(ab, truth)
    mass = None if weights is None else weights.ravel().astype(np.float64)
    count = np.bincount(steps, mass, AUC_LIMIT + 2)
    share = count[: AUC_LIMIT + 1].cumsum() / count.sum()
    return float(100 * (share.sum() - (share[0] + share[-1]) / 2) / AUC_LIMIT)


def error_steps(ab: Array, truth: Array) -> NDArray[np.intp]:
    """The least whole threshold that each pixel's ab error reaches, (H·W,); `AUC_LIMIT` + 1 beyond them."""
    difference = (ab - truth).reshape(-1, 2)
    error = np.sqrt(np.einsum("ij,ij->i", difference, difference, dtype=np.float64))
    return np.ceil(error).clip(0, AUC_LIMIT + 1).astype(np.intp)


def delta_e_2000(lab: Array, truth: Array) -> float:
    """CIEDE2000's colour difference, the mean over pixels (Sharma, Wu, Dalal 2005); lower is better."""
    return float(delta_e_2000_map(lab, truth).mean(dtype=np.float64))


def delta_e_2000_map(lab: Array, truth: Array) -> Array:
    """CIEDE2000 of each pixel, with k_L = k_C = k_H = 1: lab and truth (…, 3) to (…), the paper's names."""
    L1, a1, b1, L2, a2, b2 = (x[..., i] for x in (lab, truth) for i in range(3))
    stretch = 1.5 - 0.5 * _pull((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)
    a1, a2 = stretch * a1, stretch * a2
    C1, C2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.arctan2(b1, a1), np.arctan2(b2, a2)
    both = (C1 > 0) & (C2 > 0)
    turn = h2 - h1
    turn = np.where(both, turn - TURN * np.rint(turn / TURN), 0)  # the shorter way round
    L_bar, C_bar = (L1 + L2) / 2, (C1 + C2) / 2
    h_bar = np.where(both, h1 + turn / 2, h1 + h2)
    h_bar = np.where(h_bar < 0, h_bar + TURN, h_bar)
    T = (
        1 - 0.17 * np.cos(h_bar - np.pi / 6) + 0.24 * np.cos(2 * h_bar)
        + 0.32 * np.cos(3 * h_bar + np.pi / 30) - 0.20 * np.cos(4 * h_bar - 63 * np.pi / 180)
    )  # fmt: skip
    from_50 = (L_bar - 50) ** 2
    light = (L2 - L1) / (1 + 0.015 * from_50 / np.sqrt(20 + from_50))
    chroma = (C2 - C1) / (1 + 0.045 * C_bar)
    hue = 2 * np.sqrt(C1 * C2) * np.sin(turn / 2) / (1 + 0.015 * C_bar * T)
    from_blue = (h_bar - 275 * np.pi / 180) / (25 * np.pi / 180)
    rotation = -2 * _pull(C_bar) * np.sin(np.pi / 3 * np.exp(-(from_blue**2)))
    square = light**2 + chroma**2 + hue**2 + rotation * chroma * hue
    return np.sqrt(np.maximum(square, 0))


def colorfulness(rgb: Array) -> float:
    """Hasler and Süsstrunk 2003, eq. 7, for RGB in 0…1 (scaled to 0…255 within); a grey picture has 0."""
    return _spread_and_distance(*_opponents(rgb))


def colorfulness_absolute(rgb: Array) -> float:
    """As DDColor's code measures it: `colorfulness` of the absolute values of both opponent channels.

    It is mostly lower where a picture holds opposite colours; figures in the two forms cannot be compared.
    """
    return _spread_and_distance(*(np.abs(channel) for channel in _opponents(rgb)))


def frechet_distance(mean: Array, covariance: Array, truth_mean: Array, truth_covariance: Array) -> float:
    """Fréchet distance of two Gaussians (Dowson and Landau 1982; for pictures, Heusel et al. 2017).

    ‖μ₁ − μ₂‖² + tr(C₁ + C₂ − 2 (C₁ C₂)^½), means (D,), covariances (D, D); 0 for equal ones, lower is better.
    The trace of the root is that of (C₁^½ C₂ C₁^½)^½, which is symmetric, so that no complex root arises and
    singular covariances do no harm; eigenvalues below 0 are rounding and count as 0.
    """
    values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ truth_covariance @ root)
    apart = float(np.sum((np.asarray(mean, np.float64) - truth_mean) ** 2))
    traces = float(np.trace(covariance) + np.trace(truth_covariance))
    return max(0.0, apart + traces - 2 * float(np.sqrt(product.clip(0)).sum()))


def warped_error(ab: Array, before: Array, flow: Array, visible: Array) -> float:
    """Flicker: mean Euclidean difference, Lab units, of ab to the picture `before`, moved by the flow.

    `ab`, `before` and `flow` (H, W, 2), the latter from each pixel to its place before, x and y in pixels;
    `visible` (H, W) is true where the place was seen before (Lai et al. 2018, section 3.3, on ab instead of
    RGB). Lower is steadier; 0 where nothing was visible.
    """
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in ab.shape[1::-1]))
    moved = cv2.remap(
        before.astype(np.float32), x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    apart = np.sqrt(np.square(ab - moved).sum(-1))[visible.astype(bool)]
    return float(apart.mean()) if apart.size else 0.0


def color_distribution_consistency(pictures: Sequence[NDArray[np.uint8]]) -> float:
    """CDC of Liu et al. 2021 (Temporally consistent video colorization, eq. 17): lower is steadier.

    The Jensen–Shannon divergence (natural logarithm) of the histograms (256 steps) of red, green and blue of
    pictures (H, W, 3) that lie 1, 2 and 4 apart: the mean over channels and pairs, then over the three
    distances. Motion changes histograms too, so compare with the truth's. ValueError below 5 pictures.
    """
    if len(pictures) < 5:
        raise ValueError(f"CDC needs 5 pictures or more, not {len(pictures)}.")
    shares = np.stack(
        [
            [np.bincount(rgb[..., c].ravel(), minlength=256) / rgb[..., c].size for c in range(3)]
            for rgb in pictures
        ]
    )  # N, 3, 256
    return float(np.mean([_js_divergence(shares[gap:], shares[:-gap]).mean() for gap in (1, 2, 4)]))


def _js_divergence(one: Array, other: Array) -> Array:
    """Of distributions along the last axis, in nats."""
    middle = (one + other) / 2

    def from_middle(x: Array) -> Array:
        ratio = np.divide(x, middle, out=np.ones_like(x), where=x > 0)
        return (x * np.log(ratio)).sum(-1)

    return (from_middle(one) + from_middle(other)) / 2


def _opponents(rgb: Array) -> tuple[Array, Array]:
    """Red less green, and yellow less blue, each (H, W), of 0…1 scaled to 0…255."""
    red, green, blue = (255 * rgb[..., i].astype(np.float64) for i in range(3))
    return red - green, (red + green) / 2 - blue


def _spread_and_distance(rg: Array, yb: Array) -> float:
    return float(np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean()))


def _mean_square(ab: Array, truth: Array) -> float:
    difference = (ab - truth).astype(np.float64).ravel()
    return float(difference @ difference) / difference.size


def _window(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    return cv2.GaussianBlur(picture, (_SSIM_WINDOW, _SSIM_WINDOW), _SSIM_SIGMA, borderType=cv2.BORDER_REFLECT)


def _pull(chroma: Array) -> Array:
    """√(C⁷ / (C⁷ + 25⁷)), which tells weak chroma from strong."""
    cube = (chroma / 25) ** 2 * (chroma / 25)
    seventh = cube * cube * (chroma / 25)
    return np.sqrt(seventh / (seventh + 1))
