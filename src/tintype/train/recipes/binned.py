"""`binned`: colour as classification.

From the report of Lu and Liu (Julia, Knet), after Zhang, Isola and Efros, "Colorful Image Colorization" (ECCV
2016). The ab square is cut into 18×18 = 324 bins and each pixel's bin is its class; or the 313 bins of the
paper with soft codes over the five nearest. The network has 22 convolutions of 3×3 in 8 groups with ReLU,
stride 2 at the end of groups 1 to 3, dilation 2 in groups 5 and 6, BatchNorm at the end of a group, and is
initialised at random. Two forms:

- `keras`, the public Keras port: widths 64, 128, 256, 512, 512, 512, 256, 128, nearest-neighbour upsampling
  before group 8. With 313 bins 24,793,081 parameters, 4,736 of them BatchNorm statistics, not trained.
- `zhang`, the paper's own: group 7 has 512 channels; group 8 opens with a 4×4 transposed convolution of
  stride 2 to 256 and has no BatchNorm. 32.24 million parameters with 313 bins; the fixed 1×1 convolution that
  turns probabilities into ab is the buffer `bins` here.

The loss of a photograph is its pixels' mean cross-entropy, each pixel weighted by its true bin: −log p of the
report, p being the bin's share of the pixels of up to 2,000 training photographs, floored so that an unseen
bin weighs no more than −log floor; or the paper's 1 / ((1 − λ) p + λ / Q), scaled to expectation 1.
**The loss of a batch is the sum over its photographs**, so it grows with the batch: Adam does not notice,
plain gradient descent would. Colours are taken at a quarter of the size, where the network gives its bins, as
means of 4×4 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tintype.train import bins as colour_bins
from tintype.train.ranges import Positive, Range, Ranged
from tintype.train.recipe import Losses, RecipeModel, Schedule


@dataclass(frozen=True, kw_only=True)
class Settings(Ranged):
    """What may be set for `binned`."""

    bins: Literal["grid", "hull"] = "grid"
    """`grid`: the ab square in grid_side² bins, each pixel of one class; `hull`: the 313 bins of width 10 in
    reach of sRGB, each pixel softly of its five nearest."""
    grid_side: Annotated[int, Range(least=2)] = 18
    """Bins on a side of the ab square, from −110 to 110 Lab units."""
    form: Literal["keras", "zhang"] = "keras"
    """The Keras port's network or the paper's own."""
    width_factor: Positive = 1.0
    """Factor on the width of every group."""
    batch_norm: bool = True
    """BatchNorm at the end of a group. Without it several processes learn exactly what one does."""
    rebalance: Literal["log", "smooth", "none"] = "log"
    """Weight of a pixel whose bin has the share p: −log p, or 1 / ((1 − λ) p + λ / Q), or 1."""
    rebalance_floor: Annotated[float, Range(above=0, under=1)] = 1e-5
    """The share below which `log` takes no bin to be."""
    rebalance_mix: Annotated[float, Range(above=0, most=1)] = 0.5
    """λ of `smooth`."""
    decoding: Literal["argmax", "annealed"] = "argmax"
    """How the exported graph turns bins into a colour: the most probable, or their annealed mean."""
    T: Positive = 0.38
    """Temperature of the annealed mean."""
    lr: Positive = 1e-4
    """Adam's learning rate."""


SCHEDULE = Schedule(epochs=10, batch=32, size=128)

# Of each group but the last, which the forms build differently: width, convolutions, last stride, dilation.
_GROUPS = ((64, 2, 2, 1), (128, 2, 2, 1), (256, 3, 2, 1), (512, 3, 1, 1), (512, 3, 1, 2), (512, 3, 1, 2))


class Model(RecipeModel):
    """The network, its loss and its decoding."""

    stride = 4
    multiple = 8
    sums_over_batch = True
    handed_on = ("bins", "grid_side", "form", "width_factor", "batch_norm", "decoding", "T")
    prepared_by = ("rebalance", "rebalance_floor", "rebalance_mix")
    bins: Tensor
    bin_weights: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        hull, side = settings.bins == "hull", settings.grid_side
        bins = colour_bins.hull_bins() if hull else colour_bins.grid_bins(side)
        self.register_buffer("bins", torch.from_numpy(bins))
        self.register_buffer("bin_weights", torch.ones(len(bins)))
        self.bin_encoder = colour_bins.SoftEncoder(bins) if hull else colour_bins.GridEncoder(side)
        self.groups = _network(settings, len(bins))

    def logits(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) to bin logits (N, Q, H/4, W/4)."""
        return self.groups(L / 50 - 1)

    def forward(self, L: Tensor, *inputs: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, to ab (N, 2, H/4, W/4) in Lab units."""
        if self.settings.decoding == "annealed":
            return colour_bins.annealed_mean(self.logits(L), self.bins, self.settings.T)
        return colour_bins.most_probable(self.logits(L), self.bins)

    def loss(self, L: Tensor, ab: Tensor, labels: Tensor) -> Losses:
        """The weighted cross-entropy, summed over the photographs; `mean` is the same a photograph."""
        index, weight = self.bin_encoder(F.avg_pool2d(ab, self.stride))
        mean = colour_bins.soft_cross_entropy(self.logits(L), index, weight, self.bin_weights)
        return {"loss": mean * len(L), "mean": mean.detach()}

    def prepare(self, ab: Tensor) -> None:
        """Set the class weights from true colours (N, 2, H, W) of a sample."""
        s = self.settings
        if s.rebalance == "none":
            return
        index, weight = self.bin_encoder(F.avg_pool2d(ab, self.stride))
        prior = colour_bins.bin_prior(index, weight, len(self.bins))
        if s.rebalance == "log":
            self.bin_weights.copy_(colour_bins.log_weights(prior, s.rebalance_floor))
        else:
            self.bin_weights.copy_(colour_bins.rebalancing_weights(prior, s.rebalance_mix))


def _network(settings: Settings, bin_count: int) -> nn.Sequential:
    """(N, 1, H, W) to bin logits (N, bin_count, H/4, W/4): 8 groups, then a 1×1 convolution."""

    def scaled(width: int) -> int:
        return max(1, round(width * settings.width_factor))

    def ended(*layers: nn.Module, width: int) -> nn.Sequential:
        return nn.Sequential(*layers, *([nn.BatchNorm2d(width)] if settings.batch_norm else []))

    groups: list[nn.Module] = []
    c_in = 1
    for width, count, stride, dilation in _GROUPS:
        c_out = scaled(width)
        strides = [1] * (count - 1) + [stride]
        groups.append(ended(*_convolutions(c_in, c_out, strides, dilation), width=c_out))
        c_in = c_out
    keras = settings.form == "keras"
    c_7, c_8 = (scaled(256), scaled(128)) if keras else (scaled(512), scaled(256))
    groups.append(ended(*_convolutions(c_in, c_7, (1, 1, 1)), width=c_7))
    if keras:
        upsample = nn.Upsample(scale_factor=2.0, mode="nearest")
        last = ended(upsample, *_convolutions(c_7, c_8, (1, 1, 1)), width=c_8)
    else:
        grow = _initialised(nn.ConvTranspose2d(c_7, c_8, 4, 2, 1))
        last = nn.Sequential(grow, nn.ReLU(), *_convolutions(c_8, c_8, (1, 1)))
    return nn.Sequential(*groups, last, nn.Conv2d(c_8, bin_count, 1))


def _convolutions(c_in: int, c_out: int, strides: Sequence[int], dilation: int = 1) -> list[nn.Module]:
    """3×3 convolutions with ReLU, one for each stride."""
    layers: list[nn.Module] = []
    for i, stride in enumerate(strides):
        convolution = nn.Conv2d(c_out if i else c_in, c_out, 3, stride, dilation, dilation)
        layers += [_initialised(convolution), nn.ReLU()]
    return layers


def _initialised(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    # Three ReLU layers without normalisation between them would otherwise all but silence their signal.
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution
