"""Addends of a loss that compare whole pictures: LPIPS, what a classifier says, and colourfulness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tintype.train.classifier import Classifier
from tintype.train.heads import Term
from tintype.train.lab import colorfulness, lab_to_rgb
from tintype.train.perceptual import LpipsSqueeze


@dataclass
class PictureTerms:
    """The terms whose weights are not 0.

    No module, so that a model that keeps it has no part of the networks that judge in its checkpoints and
    exports.
    """

    lpips_weight: float
    classifier_weight: float
    colorfulness_weight: float
    lpips_features: Path
    lpips_heads: Path
    classifier: Path
    _judges: dict[str, nn.Module] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.lpips_weight or self.classifier_weight or self.colorfulness_weight)

    def __call__(self, L: Tensor, ab: Tensor, predicted: Tensor) -> Iterator[Term]:
        """Of L (N, 1, H, W) with its true ab (N, 2, H, W) and the predicted one (N, 2, h, w)."""
        if not self:
            return
        predicted = F.interpolate(predicted, L.shape[2:], mode="bilinear", align_corners=False)
        painted, true = (lab_to_rgb(torch.cat([L, colors], 1)) for colors in (predicted, ab))
        if self.lpips_weight:
            files = self.lpips_features, self.lpips_heads
            lpips = self._judge("lpips", lambda: LpipsSqueeze(*files), L.device)
            yield "lpips", self.lpips_weight, lpips(painted, true).mean()
        if self.classifier_weight:
            classifier = self._judge("classifier", lambda: Classifier(self.classifier), L.device)
            yield "classifier", self.classifier_weight, _told_otherwise(classifier, painted, true)
        if self.colorfulness_weight:
            apart = (colorfulness(painted) - colorfulness(true)).abs().mean()
            yield "colorfulness", self.colorfulness_weight, apart

    def _judge(self, name: str, opened: Callable[[], nn.Module], device: torch.device) -> nn.Module:
        if name not in self._judges:
            with torch.inference_mode(False):  # it may be called for first in validation
                self._judges[name] = opened().eval()
        return self._judges[name].to(device)


def _told_otherwise(classifier: nn.Module, painted: Tensor, true: Tensor) -> Tensor:
    """Kullback-Leibler divergence, in nats, of what a classifier says of the painted from what it says of the
    true pictures."""
    with torch.no_grad():
        wanted = classifier(true)[0].float().log_softmax(1)
    said = classifier(painted)[0].float().log_softmax(1)
    return F.kl_div(said, wanted, reduction="batchmean", log_target=True)
