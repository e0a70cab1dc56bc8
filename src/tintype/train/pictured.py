"""Addends of a loss that compare whole pictures: LPIPS and colourfulness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tintype.train.heads import Term
from tintype.train.lab import colorfulness, lab_to_rgb
from tintype.train.perceptual import LpipsSqueeze


@dataclass
class PictureTerms:
    """The terms whose weights are not 0.

    No module, so that a model that keeps it has no part of SqueezeNet in its checkpoints and exports.
    """

    lpips_weight: float
    colorfulness_weight: float
    features: Path
    heads: Path
    _lpips: LpipsSqueeze | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return bool(self.lpips_weight or self.colorfulness_weight)

    def __call__(self, L: Tensor, ab: Tensor, predicted: Tensor) -> Iterator[Term]:
        """Of L (N, 1, H, W) with its true ab (N, 2, H, W) and the predicted one (N, 2, h, w)."""
        if not self:
            return
        predicted = F.interpolate(predicted, L.shape[2:], mode="bilinear", align_corners=False)
        painted, true = (lab_to_rgb(torch.cat([L, colors], 1)) for colors in (predicted, ab))
        if self.lpips_weight:
            yield "lpips", self.lpips_weight, self._judge(L.device)(painted, true).mean()
        if self.colorfulness_weight:
            apart = (colorfulness(painted) - colorfulness(true)).abs().mean()
            yield "colorfulness", self.colorfulness_weight, apart

    def _judge(self, device: torch.device) -> LpipsSqueeze:
        if self._lpips is None:
            with torch.inference_mode(False):  # it may be called for first in validation
                self._lpips = LpipsSqueeze(self.features, self.heads)
        return self._lpips.to(device)
