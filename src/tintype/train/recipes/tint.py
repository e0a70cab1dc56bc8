"""`tint`: Tintype's own model.

A MobileNetV2 pretrained on ImageNet looks at the grey picture; a light top-down decoder of separable
convolutions brings its features to a quarter of the input's size; a 1×1 head gives the posterior over
the 313 colour bins of Zhang et al. 2016, trained with soft encoding and class rebalancing and decoded
inside the graph by their annealed mean.

Hints by hand (after Zhang et al. 2017) are read where the decoder works: at strides 16, 8 and 4 as features;
at stride 8 attention carries their colours to all that looks alike; and at the end they are evidence on the
bins, so that the very place is coloured as told. Where there is no hint all of this is exactly 0: weights of
a network without it are taken as a start (`adopt`), and give the same colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tintype.errors import SettingsError
from tintype.train import bins as colour_bins
from tintype.train.blocks import MobileNetV2, separable
from tintype.train.hints import Evidence, HintReader, Spread, hinted_cells, random_hints
from tintype.train.lab import colorfulness, lab_to_rgb
from tintype.train.perceptual import LpipsSqueeze
from tintype.train.recipe import GraphInput, GraphOutput, Losses, RecipeModel, Schedule


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
    hint_none: float = 0.5
    """Share of the training pictures that are shown without a hint, for which the model is mostly used."""
    hint_points: float = 8.0
    """Mean number of points revealed on the others; the numbers are geometric (Zhang et al. 2017: 1/8)."""
    hint_largest: int = 9
    """Side in pixels of the largest patch that a point reveals; sides are even from 1 to this."""
    hint_positions: Literal["uniform", "gaussian"] = "uniform"
    """Where points fall: anywhere, or about the centre with a deviation of a quarter of the side."""

    smallest: int = 0
    """Least side, in pixels, to which the pictures of a batch are shrunk at random before they are learned
    from, so that colours hang little on the size; 0 leaves the size as it is."""
    lpips_weight: float = 0.0
    """Weight of the LPIPS distance (SqueezeNet) between the colours at vividness 1 and the true ones."""
    lpips_among: int = 0
    """Of how many photographs of a batch LPIPS and colourfulness are asked, which cost time; 0 for all."""
    lpips_features: str = ""
    """Safetensors file of SqueezeNet 1.1's features, for `lpips_weight`."""
    lpips_heads: str = ""
    """Safetensors file of LPIPS's heads for them."""
    colorfulness_weight: float = 0.0
    """Weight of the difference in colourfulness (Hasler and Süsstrunk 2003) between the picture at
    vividness 1 and the true one: absolute, of each photograph."""

    def __post_init__(self) -> None:
        if not 0 <= self.hint_none <= 1:
            raise SettingsError(f"hint_none must be from 0 to 1, not {self.hint_none:g}.")
        if self.hint_points < 1 or self.hint_largest < 1:
            raise SettingsError("hint_points and hint_largest must be at least 1.")
        if self.smallest % 32 or self.smallest < 0:
            raise SettingsError(f"smallest must be a multiple of 32, or 0, not {self.smallest}.")


SCHEDULE = Schedule(epochs=10, batch=48, size=128, lr_schedule="cosine", ema_decay=0.999, clip=1.0)


_COLDEST = 0.05  # the least temperature that vividness can bring about


class Hints(nn.Module):
    """All that hints bring to the decoder."""

    def __init__(self, width: int, head_width: int, bins: Tensor) -> None:
        super().__init__()
        self.readers = nn.ModuleList([HintReader(3, width), HintReader(6, width), HintReader(6, head_width)])
        self.spread = Spread(width)
        self.evidence = Evidence(bins)


class Model(RecipeModel):
    """The network, its loss and its decoding."""

    stride = 4
    multiple = 32
    # In 8 bits the first layers lose more than all others; hints must be told exactly.
    stays_float = ("/encoder/stem/", *(f"/encoder/blocks.{i}/" for i in range(4)), "/readers.", "/spread/")
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
        self.hints = Hints(width, head_width, self.bins)
        # Kept in a tuple, where the module does not find it: checkpoints and exports do without SqueezeNet.
        self._lpips: tuple[LpipsSqueeze, ...] = ()

    def logits(self, L: Tensor, *hints: Tensor) -> Tensor:
        """L (N, 1, H, W) and, or not, `hint_ab` and `hint_mask` to bin logits (N, 313, H/4, W/4)."""
        return self._logits(*self._last(L, *hints))

    def _last(self, L: Tensor, *hints: Tensor) -> tuple[Tensor, Tensor]:
        """What the head reads: features (N, c, h, w), and hints (N, 3, h, w), or none (N, 0, h, w)."""
        features = self.encoder(L / 50 - 1)
        x = self.top(features[3])
        cells, spread = L.new_zeros(0), L.new_zeros(0)
        for i, stride in enumerate((16, 8, 4)):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest") + self.laterals[i](features[2 - i])
            if hints:
                cells = hinted_cells(hints[0], hints[1], stride)
                spread = self._spread(stride, x, cells, hints[1], spread)
                x = x + self.hints.readers[i](torch.cat([cells, spread], 1) if i else cells)
            x = self.refine[i](x)
        return x, self.hints.evidence.told(cells, spread) if hints else x[:, :0]

    def _logits(self, x: Tensor, told: Tensor) -> Tensor:
        logits: Tensor = self.head(x)
        return logits + self.hints.evidence(told) if told.shape[1] else logits

    def _spread(self, stride: int, x: Tensor, cells: Tensor, mask: Tensor, spread: Tensor) -> Tensor:
        """Hinted colours carried to where features are alike: found at stride 8, brought up at stride 4."""
        if stride == 8:
            return self.hints.spread(x, cells, F.avg_pool2d(mask, stride))
        if stride == 4:
            return F.interpolate(spread, scale_factor=2.0, mode="bilinear", align_corners=False)
        return spread

    @property
    def inputs(self) -> dict[str, GraphInput]:
        """`vividness`, from 0, the mean of the likely colours, over 1 to bolder choices; hints by hand."""
        vividness = "0 gives the mean of the likely colours, 1 the usual ones, up to 2 bolder ones"
        hint_ab = "colours told by hand, a and b in Lab units, where hint_mask is not 0"
        return {
            "vividness": GraphInput(default=1.0, shape=(), description=vividness),
            "hint_ab": GraphInput(default=0.0, shape=("N", 2, "H", "W"), description=hint_ab),
            "hint_mask": GraphInput(
                default=0.0, shape=("N", 1, "H", "W"), description="1 where a colour is told, 0 elsewhere"
            ),
        }

    @property
    def outputs(self) -> dict[str, GraphOutput]:
        """What the graph can tell beside ab."""
        Q = len(self.bins)
        return {
            "bin_probs": GraphOutput(
                shape=("N", "h", "w", Q), description="the shares of bins whose mean is ab"
            ),
            "bins": GraphOutput(shape=(Q, 2), description="a and b, in Lab units, of the bins"),
        }

    def forward(self, L: Tensor, *inputs: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, and the `inputs`, or none of them, to ab (N, 2, H/4, W/4) in Lab units.

        At vividness 0 ab is the posterior mean: temperature 1, and the rebalancing of the loss undone. From
        there the temperature and the power of the class weights run evenly through their settings at 1.
        """
        return self.everything(L, *inputs)[0]

    def everything(self, L: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """As `forward`: ab, and the `outputs`."""
        vividness, *hints = inputs or (L.new_ones(()),)
        bin_probs = self._decoded(*self._last(L, *hints), vividness)
        # Tied to an input, or the exporter would fold the bins away and their name with them.
        return colour_bins.mean_of(bin_probs, self.bins), bin_probs, self.bins + 0 * vividness

    def _decoded(self, x: Tensor, told: Tensor, vividness: Tensor) -> Tensor:
        """What `_last` gave to the shares (N, h, w, 313) of bins whose mean is ab.

        The same as softmax((logits + power * log_weights) / T), but nothing passes over the many bins that
        may as well be done to the few features: that was a tenth of the network's time.
        """
        s = self.settings
        power = vividness * (s.rebalance_decode + 1) - 1
        T = (1 + vividness * (s.T - 1)).clamp(min=_COLDEST)
        weight, bias = self.head.weight.flatten(1), self.head.bias
        assert bias is not None
        if told.shape[1]:
            x = torch.cat([x, told.to(x.dtype)], 1)
            weight = torch.cat([weight, self.hints.evidence.get_buffer("weight").flatten(1)], 1)
        seen = x.permute(0, 2, 3, 1) / T
        bias = (bias + power * self.bin_weights.log()) / T
        # As one flat product with its bias, which is one node of the graph.
        logits = torch.addmm(bias, seen.flatten(0, 2), weight.t())
        return logits.softmax(-1).reshape(*seen.shape[:3], len(bias))

    def loss(self, L: Tensor, ab: Tensor, labels: Tensor) -> Losses:
        """Rebalanced soft cross-entropy, and LPIPS and colourfulness if they have a weight.

        In training some pictures come with hints and batches in many sizes, in validation none do.
        """
        s = self.settings
        if self.training and s.smallest:
            L, ab = _shrunk(L, ab, s.smallest)
        index, weight = self.soft_encoder(F.avg_pool2d(ab, self.stride))
        seen = self._last(L, *self._revealed(ab)) if self.training else self._last(L)
        losses = {
            "loss": colour_bins.soft_cross_entropy(self._logits(*seen), index, weight, self.bin_weights)
        }
        if s.lpips_weight or s.colorfulness_weight:
            few = slice(s.lpips_among or None)
            losses["cross_entropy"] = losses["loss"]
            for name, weight, term in self._pictured(L[few], ab[few], *(part[few] for part in seen)):
                losses[name] = term
                losses["loss"] = losses["loss"] + weight * term
        return losses

    def _pictured(
        self, L: Tensor, ab: Tensor, x: Tensor, told: Tensor
    ) -> Iterator[tuple[str, float, Tensor]]:
        """Name, weight and value of the terms that compare the picture at vividness 1 with the true one."""
        s = self.settings
        predicted = colour_bins.mean_of(self._decoded(x, told, L.new_ones(())), self.bins)
        predicted = F.interpolate(predicted, L.shape[2:], mode="bilinear", align_corners=False)
        painted, true = (lab_to_rgb(torch.cat([L, colors], 1)) for colors in (predicted, ab))
        if s.lpips_weight:
            yield "lpips", s.lpips_weight, self._judge(L.device)(painted, true).mean()
        if s.colorfulness_weight:
            apart = (colorfulness(painted) - colorfulness(true)).abs().mean()
            yield "colorfulness", s.colorfulness_weight, apart

    def _judge(self, device: torch.device) -> LpipsSqueeze:
        if not self._lpips:
            s = self.settings
            with torch.inference_mode(False):  # it may be called for first in validation
                self._lpips = (LpipsSqueeze(Path(s.lpips_features), Path(s.lpips_heads)),)
        return self._lpips[0].to(device)

    def _revealed(self, ab: Tensor) -> tuple[Tensor, Tensor]:
        s = self.settings
        return random_hints(
            ab,
            none=s.hint_none,
            mean_points=s.hint_points,
            largest=s.hint_largest,
            positions=s.hint_positions,
        )

    def adopt(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take weights of before hints were built in: those of the hint parts are added, as they are here."""
        own = self.state_dict()
        new = {name: own[name].clone() for name in own if name.startswith("hints.")}
        if new.keys() & weights.keys():
            return weights
        new["hints.evidence.log_strength"] = torch.tensor(Evidence.STRENGTHS_ONCE_TRAINED).log()
        print(
            "The start knows no hints; their parts begin fresh, and colours without hints stay as they are."
        )
        return weights | new

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


def _shrunk(L: Tensor, ab: Tensor, smallest: int) -> tuple[Tensor, Tensor]:
    """Both at a random multiple of 32 pixels, from `smallest` to what they have; one size for the batch."""
    largest = L.shape[-1] // 32
    side = 32 * int(torch.randint(min(smallest // 32, largest), largest + 1, ()))
    if side == L.shape[-1]:
        return L, ab
    lab = F.interpolate(torch.cat([L, ab], 1), (side, side), mode="area")
    return lab[:, :1], lab[:, 1:]
