"""The scores of one prediction, what each is called, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tintype import metrics
from tintype.color import rgb_to_lab
from tintype.evaluate.models import Prediction
from tintype.evaluate.truths import Float, Truth, cell, to_float

VERSION = "1"  # of the arithmetic below; scores stored under another are computed anew


@dataclass(frozen=True)
class Score:
    """What a score is called and how it is shown."""

    title: str
    better: str
    """`higher`, `lower`, or "" where neither is better in itself."""
    digits: int
    meaning: str


SCORES: dict[str, Score] = {
    "psnr": Score("PSNR dB", "higher", 2, "peak signal-to-noise ratio of RGB; the mean over photographs"),
    "ssim": Score("SSIM", "higher", 4, "structural similarity of RGB, Gaussian window of σ 1.5"),
    "delta_e": Score("ΔE2000", "lower", 2, "CIEDE2000, the mean over pixels of the written picture"),
    "ab_rmse": Score("ab RMSE", "lower", 2, "root mean square of the Euclidean ab error, Lab units"),
    "target_mse": Score("MSE", "lower", 5, "mean squared error of ab scaled to −1…1, as in the reports"),
    "half_sum": Score("½ Σ loss", "lower", 0, "½ Σ ‖error‖² per photograph, of ab scaled to −1…1"),
    "auc": Score("AuC %", "higher", 2, "area under the share of pixels with an ab error up to t, t = 0…150"),
    "auc_balanced": Score(
        "AuC bal. %", "higher", 2,
        "AuC with pixels weighted by one over their true colour's frequency; each photograph, then the mean",
    ),
    "auc_balanced_pixels": Score(
        "AuC bal. px %", "higher", 2, "the same over all pixels of all photographs at once"
    ),
    "lpips_alex": Score("LPIPS Alex", "lower", 4, "learned perceptual distance v0.1, AlexNet"),
    "lpips_squeeze": Score("LPIPS Squ.", "lower", 4, "learned perceptual distance v0.1, SqueezeNet 1.1"),
    "class_kept": Score("class kept %", "higher", 1, "share that a classifier names as it names the truth"),
    "class_right": Score("class right %", "higher", 1, "share of labelled photographs named rightly"),
    "frechet_classifier": Score(
        "Fréchet", "lower", 3, "Fréchet distance of the classifier's features to the truth's; not FID"
    ),
    "fid": Score("FID", "lower", 2, "Fréchet distance of Inception's features to the truth's"),
    "colorfulness": Score("colourful", "", 2, "colourfulness after Hasler and Süsstrunk"),
    "colorfulness_difference": Score(
        "ΔCF", "lower", 2, "colourfulness less the truth's, absolute, of each photograph; then the mean"
    ),
    "colorfulness_of_means": Score(
        "ΔCF means", "lower", 2, "mean colourfulness less the truth's mean, absolute"
    ),
    "colorfulness_absolute": Score(
        "CF abs", "", 2, "colourfulness in the form with absolute values that DDColor's code uses"
    ),
    "colorfulness_absolute_difference": Score("ΔCF abs", "lower", 2, "as ΔCF, in that form"),
    "colorfulness_absolute_of_means": Score("ΔCF abs means", "lower", 2, "as ΔCF means, in that form"),
}  # fmt: skip

# What `arithmetic` gives for one photograph.
PER_PICTURE = (
    "psnr", "ssim", "delta_e", "ab_rmse", "target_mse", "half_sum", "auc", "auc_balanced", "balance_mass",
    "colorfulness", "colorfulness_difference", "colorfulness_absolute", "colorfulness_absolute_difference",
)  # fmt: skip


class Judged:
    """A truth with what scoring against it needs, computed once for all models; `weights` are by cell."""

    def __init__(self, truth: Truth, weights: Float) -> None:
        self.truth = truth
        self._table = weights

    @cached_property
    def weights(self) -> Float:
        """The say of each pixel in class-balanced AuC, (H, W)."""
        return self._table[cell(self.truth.ab)]

    @cached_property
    def own(self) -> dict[str, float]:
        """The truth's scores that need no prediction."""
        rgb = self.truth.rgb
        return {
            "colorfulness": metrics.colorfulness(rgb),
            "colorfulness_absolute": metrics.colorfulness_absolute(rgb),
        }


def arithmetic(prediction: Prediction, judged: Judged) -> dict[str, float]:
    """The scores of one prediction that need no network, with the keys `PER_PICTURE`.

    `balance_mass` is the photograph's say in the class-balanced AuC over all pixels.
    """
    truth, ab = judged.truth, prediction.ab
    rgb = to_float(prediction.rgb8)
    values = {
        "psnr": metrics.psnr(rgb, truth.rgb),
        "ssim": metrics.ssim(rgb, truth.rgb),
        "delta_e": metrics.delta_e_2000(rgb_to_lab(rgb), truth.lab),
        "ab_rmse": metrics.ab_rmse(ab, truth.ab),
        "target_mse": metrics.target_mse(ab, truth.ab),
        "half_sum": metrics.half_sum_loss(ab, truth.ab),
        "auc": metrics.auc(ab, truth.ab),
        "auc_balanced": metrics.auc(ab, truth.ab, judged.weights),
        "balance_mass": float(judged.weights.sum(dtype=np.float64)),
        "colorfulness": metrics.colorfulness(rgb),
        "colorfulness_absolute": metrics.colorfulness_absolute(rgb),
    }
    differences = {f"{key}_difference": abs(values[key] - own) for key, own in judged.own.items()}
    return values | differences
