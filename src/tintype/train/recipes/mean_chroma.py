"""`mean-chroma`: the two mean chroma values of a picture, and nothing of where they lie.

After the first network of Patidar, Ippili and Ossa, "Deep Image Colorization": six blocks of 4×4 convolution
(stride 2, padding 1) with 32, 64, 128, 256, 256 and 512 channels, each with BatchNorm and LeakyReLU, then a
linear layer on the 512×2×2 map and a sigmoid. MSE on chroma normalised to 0…1, learning rate 1e-4, weight
decay 1e-5, 200 epochs of 675 face photographs augmented tenfold (`repeats`); the report's test MSE is
3.09e-05.

The linear layer fixes the input to 128×128, so the graph resizes what it is given; one colour for the whole
picture suffers nothing from a changed aspect. It is exported as an ab map that is constant over the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tintype.train.lab import ab_to_unit, unit_to_ab
from tintype.train.ranges import NotNegative, Positive, Ranged
from tintype.train.recipe import Losses, RecipeModel, Schedule

SIDE = 128  # the input of the network proper
CHANNELS = (32, 64, 128, 256, 256, 512)
_MAP = SIDE >> len(CHANNELS)  # side of what the linear layer sees


@dataclass(frozen=True, kw_only=True)
class Settings(Ranged):
    """What may be set for `mean-chroma`."""

    lr: Positive = 1e-4
    """Adam's learning rate."""
    weight_decay: NotNegative = 1e-5
    """Adam's weight decay."""
    leak: NotNegative = 0.01
    """Slope of LeakyReLU below zero (not stated in the report; PyTorch's default)."""


SCHEDULE = Schedule(epochs=200, repeats=10, batch=32, size=SIDE)


class Model(RecipeModel):
    """The network and its loss."""

    stride = 8
    handed_on = ("leak",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.features = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(i, o, 4, 2, 1), nn.BatchNorm2d(o), nn.LeakyReLU(settings.leak))
                for i, o in pairwise((1, *CHANNELS))
            )
        )
        self.head = nn.Linear(CHANNELS[-1] * _MAP**2, 2)

    def output(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, to the picture's normalised mean chroma (N, 2) in 0…1."""
        x = F.interpolate(L / 100, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        return self.head(self.features(x).flatten(1)).float().sigmoid()

    def mean_ab(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, to the picture's mean a and b (N, 2) in Lab units."""
        return unit_to_ab(self.output(L))

    def forward(self, L: Tensor, *inputs: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, to a constant ab (N, 2, H/8, W/8) in Lab units."""
        # Adding to a map of zeros, rather than expanding to computed sizes, keeps H and W free in the graph.
        return self.mean_ab(L)[:, :, None, None] + torch.zeros_like(L[:, :, :: self.stride, :: self.stride])

    def loss(self, L: Tensor, ab: Tensor, labels: Tensor) -> Losses:
        """Mean squared error of the normalised mean chroma."""
        return {"loss": F.mse_loss(self.output(L), ab_to_unit(ab.mean(dim=(2, 3))))}

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam with the report's weight decay."""
        s = self.settings
        return torch.optim.Adam(self.parameters(), s.lr, weight_decay=s.weight_decay)
