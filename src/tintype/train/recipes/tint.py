"""`tint`: Tintype's own model.

A MobileNetV2 pretrained on ImageNet looks at the grey picture; a light top-down decoder of separable
convolutions brings its features to a quarter of the input's size; a 1×1 head gives the posterior over
the 313 colour bins of Zhang et al. 2016, trained with soft encoding and class rebalancing and decoded
inside the graph by their annealed mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tintype.train import bins as colour_bins
from tintype.train.blocks import MobileNetV2, separable
from tintype.train.recipe import GraphInput, Losses, RecipeModel, Schedule


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What may be set for `tint`."""

    width: int = 128
    """Channels of the decoder at strides 32 to 8."""
    head_width: int = 96
    """Channels of the decoder at stride 4, before the head."""
    lr: float = 1.5e-3
    """Peak learning rate of the decoder (AdamW, warm-up then cosine)."""
    encoder_lr: float = 4e-4
    """Peak learning rate of the pretrained encoder."""
    weight_decay: float = 0.01
    """AdamW's weight decay."""
    rebalance_mix: float = 0.5
    """Share of the uniform distribution in the class weights; 1 switches rebalancing off."""
    T: float = 0.7
    """Temperature of the annealed mean at vividness 1."""
    rebalance_decode: float = -0.35
    """Power of the class weights that multiply the posterior when decoding at vividness 1; 0 leaves it as
    trained, −1 takes the rebalancing of the loss back."""


SCHEDULE = Schedule(epochs=10, batch=48, size=128, lr_schedule="cosine", ema_decay=0.999, clip=1.0)


_COLDEST = 0.05  # the least temperature that vividness can bring about


class Model(RecipeModel):
    """The network, its loss and its decoding."""

    stride = 4
    multiple = 32
    bins: Tensor
    bin_weights: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        bins = colour_bins.hull_bins()
        self.register_buffer("bins", torch.from_numpy(bins))
        self.register_buffer("bin_weights", torch.ones(len(bins)))
        self.soft_encoder = colour_bins.SoftEncoder(bins)
        self.encoder = MobileNetV2()
        width, head_width = settings.width, settings.head_width
        c4, c8, c16, c32 = self.encoder.channels
        self.top = nn.Conv2d(c32, width, 1)
        self.laterals = nn.ModuleList(
            [nn.Conv2d(c16, width, 1), nn.Conv2d(c8, width, 1), nn.Conv2d(c4, head_width, 1)]
        )
        self.refine = nn.ModuleList(
            [
                nn.Sequential(separable(width, width), separable(width, width)),
                nn.Sequential(separable(width, width), separable(width, head_width)),
                nn.Sequential(separable(head_width, head_width), separable(head_width, head_width)),
            ]
        )
        self.head = nn.Conv2d(head_width, len(bins), 1)

    def logits(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) to bin logits (N, 313, H/4, W/4)."""
        f4, f8, f16, f32 = self.encoder(L / 50 - 1)
        x = self.top(f32)
        for feature, lateral, refine in zip((f16, f8, f4), self.laterals, self.refine, strict=True):
            x = refine(F.interpolate(x, scale_factor=2.0, mode="nearest") + lateral(feature))
        return self.head(x)

    @property
    def inputs(self) -> dict[str, GraphInput]:
        """`vividness`, from 0, the mean of the likely colours, over 1 to bolder choices."""
        description = "0 gives the mean of the likely colours, 1 the usual ones, up to 2 bolder ones"
        return {"vividness": GraphInput(default=1.0, shape=(), description=description)}

    def forward(self, L: Tensor, *inputs: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, and `vividness` () to ab (N, 2, H/4, W/4) in Lab units.

        At vividness 0 ab is the posterior mean: temperature 1, and the rebalancing of the loss undone. From
        there the temperature and the power of the class weights run evenly through their settings at 1.
        """
        (vividness,) = inputs or (L.new_ones(()),)
        s = self.settings
        power = vividness * (s.rebalance_decode + 1) - 1
        T = (1 + vividness * (s.T - 1)).clamp(min=_COLDEST)
        logits = self.logits(L) + power * self.bin_weights.log()[:, None, None]
        return colour_bins.annealed_mean(logits, self.bins, T)

    def loss(self, L: Tensor, ab: Tensor, labels: Tensor) -> Losses:
        """Rebalanced soft cross-entropy."""
        index, weight = self.soft_encoder(F.avg_pool2d(ab, self.stride))
        return {"loss": colour_bins.soft_cross_entropy(self.logits(L), index, weight, self.bin_weights)}

    def prepare(self, ab: Tensor) -> None:
        """Set the class weights from true colours (N, 2, H, W) of a sample."""
        index, weight = self.soft_encoder(F.avg_pool2d(ab, self.stride))
        prior = colour_bins.bin_prior(index, weight, len(self.bins))
        weights = colour_bins.rebalancing_weights(prior, self.settings.rebalance_mix)
        self.bin_weights.copy_(weights)

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW; the pretrained encoder learns more slowly than the fresh decoder."""
        encoder = list(self.encoder.parameters())
        known = {id(p) for p in encoder}
        rest = [p for p in self.parameters() if id(p) not in known]
        s = self.settings
        groups = [{"params": encoder, "lr": s.encoder_lr}, {"params": rest, "lr": s.lr}]
        return torch.optim.AdamW(groups, weight_decay=s.weight_decay)
