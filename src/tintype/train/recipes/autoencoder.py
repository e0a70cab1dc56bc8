"""`autoencoder`: a colorizer small enough for a Jetson Nano.

After Witte and Konkol's report on colorization on the Jetson Nano. Three 3×3 convolutions of stride 2 with
75, 90 and 105 filters and a 1×1 bottleneck to 3 channels; the same backwards with transposed convolutions
to the two chroma channels. Every one has a bias and is followed by BatchNorm and tanh, the last one too, so
targets are scaled to −1…1. No skip connections, which would hold memory, and no layer of more than 128
filters, one for each CUDA core of the Nano. 298,300 parameters as Keras counts them (encoder 148,155,
decoder 150,145; 1,090 are BatchNorm statistics), 1.2 MB; 10 frames per second on the board. With
`color_space=rgb` it predicts R, G and B instead, which the report found to give right colours of wrong
brightness. Padding and BatchNorm are Keras's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tintype.train.blocks import SameConv
from tintype.train.lab import lab_to_rgb, rgb_to_lab
from tintype.train.ranges import Positive, Ranged
from tintype.train.recipe import Losses, RecipeModel, Schedule

FILTERS = (75, 90, 105)
BOTTLENECK = 3


@dataclass(frozen=True, kw_only=True)
class Settings(Ranged):
    """What may be set for `autoencoder`."""

    color_space: Literal["lab", "rgb"] = "lab"
    """What is predicted: the two chroma channels of Lab, or R, G and B, of which the chroma is used."""
    lr: Positive = 1e-4
    """Adam's learning rate."""


SCHEDULE = Schedule(epochs=13, batch=32, size=256, converged=1e-4)


class SameTransposedConv(nn.ConvTranspose2d):
    """Transposed convolution with TensorFlow's "SAME" padding: the output is `stride` times the input.

    The twin of `SameConv`: what that pads at the right and bottom is cut off here.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(c_in, c_out, kernel, stride)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        y = super().forward(x, output_size)
        return y[..., :-1, :-1] if self.stride[0] == 2 and self.kernel_size[0] == 3 else y


class Model(RecipeModel):
    """The network, its loss and the way back to Lab."""

    channels_last = False  # with 75, 90 and 105 channels it trains at two thirds of the speed
    handed_on = ("color_space",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        down = [_block(SameConv(i, o, 3, 2), o) for i, o in pairwise((1, *FILTERS))]
        self.encoder = nn.Sequential(*down, _block(SameConv(FILTERS[-1], BOTTLENECK, 1), BOTTLENECK))
        up = [_block(SameTransposedConv(i, o, 3, 2), o) for i, o in pairwise((BOTTLENECK, *FILTERS[::-1]))]
        out = 2 if settings.color_space == "lab" else 3
        self.decoder = nn.Sequential(*up, _block(SameTransposedConv(FILTERS[0], out, 1), out))

    def output(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) to the prediction as the target is scaled: (N, 2 or 3, H, W) in −1…1."""
        return self.decoder(self.encoder(L / 50 - 1)).float()

    def target(self, L: Tensor, ab: Tensor) -> Tensor:
        """What `output` should be: scaled ab, or sRGB spread over −1…1.

        That is the true ab on the L that the network was given, damaged or not: in use L is kept, so
        there is nothing to be mended in it.
        """
        if self.settings.color_space == "lab":
            return scale_ab(ab)
        return lab_to_rgb(torch.cat([L, ab], dim=1)) * 2 - 1

    def forward(self, L: Tensor, *inputs: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, to ab (N, 2, H, W) in Lab units."""
        output = self.output(L)
        if self.settings.color_space == "lab":
            return unscale_ab(output)
        return rgb_to_lab((output + 1) / 2)[:, 1:]

    def loss(self, L: Tensor, ab: Tensor, labels: Tensor) -> Losses:
        """Mean squared error; `per_image` is the report's ½ Σ‖y − ŷ‖² over a photograph's pixels."""
        output, target = self.output(L), self.target(L, ab)
        squares = (output.detach() - target) ** 2
        return {"loss": F.mse_loss(output, target), "per_image": squares.sum() / (2 * len(L))}


def scale_ab(ab: Tensor) -> Tensor:
    """ab in Lab units, −127…128, to −1…1: 1 + 2 (ab − 128) / 255."""
    return 1 + 2 * (ab - 128) / 255


def unscale_ab(scaled: Tensor) -> Tensor:
    """What `scale_ab` gave, back to Lab units."""
    return 128 + (scaled - 1) * 255 / 2


def _block(conv: nn.Module, channels: int) -> nn.Sequential:
    # Keras's BatchNorm keeps 0.99 of its averages a step and adds 1e-3 to the variance.
    return nn.Sequential(conv, nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01), nn.Tanh())
