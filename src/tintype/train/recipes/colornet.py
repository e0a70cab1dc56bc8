"""`colornet`: a small encoder and decoder, with which three questions were asked.

After the second network of Patidar, Ippili and Ossa, "Deep Image Colorization": 3×3 convolutions (stride 2,
padding 1) to 8, 32 and 128 channels, each with BatchNorm and ReLU, then 2×2 transposed convolutions (stride
2) to 32, 8 (BatchNorm, ReLU) and 2, and an output activation. Learning rate 0.01 without decay, MSE, at most
20 epochs of 675 face photographs augmented tenfold (`repeats`), stopped after 5 epochs without a better
validation loss.

The report's test MSE over normalised Lab pictures: output activation ReLU 41e-5, sigmoid 38e-5, tanh 46e-5;
widest layer 64 39e-5 (at depth 5), 128 38e-5, 256 36e-5, 512 35e-5; depth 5 40e-5, depth 3 looking best.
The report gives the inner widths of the default alone; others are spaced as these are, by equal factors from
8 channels to the widest. Pictures are normalised to 0…1, under tanh and ReLU as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tintype.train.lab import ab_to_unit, unit_to_ab
from tintype.train.ranges import Positive, Range, Ranged
from tintype.train.recipe import Losses, RecipeModel, Schedule

FIRST_WIDTH = 8
_ACTIVATIONS = {"sigmoid": torch.sigmoid, "relu": torch.relu, "tanh": torch.tanh}


@dataclass(frozen=True, kw_only=True)
class Settings(Ranged):
    """What may be set for `colornet`."""

    activation: Literal["sigmoid", "relu", "tanh"] = "sigmoid"
    """Activation of the output."""
    width: Annotated[int, Range(least=FIRST_WIDTH)] = 128
    """Channels of the widest layer; the report tries 64, 128, 256 and 512."""
    depth: Literal[3, 4, 5, 6] = 3
    """Layers in the encoder, and as many in the decoder; each halves or doubles the size."""
    lr: Positive = 0.01
    """Adam's learning rate."""


SCHEDULE = Schedule(epochs=20, repeats=10, batch=32, size=128, patience=5)


class Model(RecipeModel):
    """The network and its loss."""

    handed_on = ("activation", "width", "depth")

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.multiple = 2**settings.depth
        down = widths(settings.width, settings.depth)
        up = down[::-1]
        self.encoder = nn.Sequential(*(_block(nn.Conv2d(i, o, 3, 2, 1), o) for i, o in pairwise([1, *down])))
        self.decoder = nn.Sequential(
            *(_block(nn.ConvTranspose2d(i, o, 2, 2), o) for i, o in pairwise(up)),
            nn.ConvTranspose2d(up[-1], 2, 2, 2),
        )

    def output(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, to normalised ab (N, 2, H, W): 0…1 are the colours that there are."""
        return _ACTIVATIONS[self.settings.activation](self.decoder(self.encoder(L / 100)).float())

    def forward(self, L: Tensor, *inputs: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, to ab (N, 2, H, W) in Lab units."""
        # ReLU and tanh reach beyond 0…1, where there are no colours.
        return unit_to_ab(self.output(L).clamp(0, 1))

    def loss(self, L: Tensor, ab: Tensor, labels: Tensor) -> Losses:
        """Mean squared error over normalised ab.

        `whole_lab` is the report's figure: the mean over Lab pictures that have the input's own L, a third
        of whose terms is therefore zero.
        """
        loss = F.mse_loss(self.output(L), ab_to_unit(ab))
        return {"loss": loss, "whole_lab": loss.detach() * 2 / 3}


def widths(widest: int, depth: int) -> list[int]:
    """Channels of the encoder's layers: equal factors from 8 to `widest`."""
    return [round(FIRST_WIDTH * (widest / FIRST_WIDTH) ** (i / (depth - 1))) for i in range(depth)]


def _block(conv: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())
