"""Heads: from what a decoder last gave to colours, each with the loss that trains it.

`BinHead` weighs bins of colour, `ResidualHead` adds a small regressed residual to the bins' mean, and
`RegressionHead` knows no bins and gives ab itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tintype.train import bins as colour_bins
from tintype.train.hints import Evidence
from tintype.train.recipe import GraphOutput

Term = tuple[str, float, Tensor]
"""Name, weight and value of one addend of a loss."""

_COLDEST = 0.05  # the least temperature that vividness can bring about
_AB_LIMIT = 110.0  # Lab units: sRGB's colours lie within
_RESIDUAL_LIMIT = 20.0  # Lab units: two bins' distance
# The mean's losses: the cross-entropy keeps shares what they are called. Only their ratio matters to what
# learns from them, so they are small: the gradients of all else are clipped by one norm together with theirs.
_MEAN_CROSS_ENTROPY, _MEAN_DISTANCE = 0.01, 0.1
_HUBER_UNIT = 10.0  # Lab units, up to which an error counts by its square: one bin's distance


class Seen(NamedTuple):
    """What a head reads, all at the output's size."""

    x: Tensor
    """Features (N, c, h, w)."""
    told: Tensor
    """Hints as `Evidence.told` gives them (N, 3, h, w), or none (N, 0, h, w)."""
    free: Tensor
    """1 in cells of which nothing is told and 0 in hinted ones (N, 1, h, w), or no hints (N, 0, h, w)."""


class Palette(NamedTuple):
    """The bins that a model knows, Q = 0 of them where it regresses colours."""

    bins: Tensor
    """Their a and b (Q, 2) in Lab units."""
    weights: Tensor
    """Their class weights (Q,)."""
    evidence: Evidence | None
    """How hints speak of them."""


class Head(nn.Conv2d, ABC):
    """A 1×1 convolution on the decoder's features, and what is made of its answer.

    `settings` are the recipe's, of which T, both rebalance_… and residual_weight are read.
    """

    vivid: bool
    """Whether there is anything for vividness to choose."""

    def __init__(self, c_in: int, c_out: int, settings: Any) -> None:
        super().__init__(c_in, c_out, 1)
        self.settings = settings

    @staticmethod
    @abstractmethod
    def bins() -> Tensor:
        """The bins' a and b (Q, 2) in Lab units; Q = 0 for a head without."""

    @property
    @abstractmethod
    def outputs(self) -> dict[str, GraphOutput]:
        """What `colors` gives beside ab."""

    @abstractmethod
    def colors(self, seen: Seen, vividness: Tensor, palette: Palette) -> tuple[Tensor, ...]:
        """ab (N, 2, h, w) in Lab units at `vividness`, and the `outputs`."""

    @abstractmethod
    def terms(self, seen: Seen, ab: Tensor, palette: Palette) -> Iterator[Term]:
        """The addends of the loss against the true ab (N, 2, h, w)."""


class BinHead(Head):
    """Logits of the 313 bins; ab is their annealed mean (Zhang et al. 2016).

    Vividness has two ends with weights of their own: those of the convolution itself serve 1 and above, those
    of `mean` serve 0; in between they are mixed. `mean` learns to be right and nothing else, and no other
    part learns from it: the features are what vividness 1 asks for.
    """

    vivid = True

    def __init__(self, c_in: int, settings: Any) -> None:
        bins = colour_bins.hull_bins()
        super().__init__(c_in, len(bins), settings)
        self.mean = nn.Conv2d(c_in, len(bins), 1)
        with torch.no_grad():
            self.mean.weight.copy_(self.weight)
            self.mean.bias.copy_(self.bias)  # type: ignore[union-attr,arg-type]
        self.soft_encoder = colour_bins.SoftEncoder(bins)

    @staticmethod
    def bins() -> Tensor:
        return torch.from_numpy(colour_bins.hull_bins())

    @property
    def outputs(self) -> dict[str, GraphOutput]:
        Q = self.out_channels
        return {
            "bin_probs": GraphOutput(shape=("N", "h", "w", Q), description=self._shares_of),
            "bins": GraphOutput(shape=(Q, 2), description="a and b, in Lab units, of the bins"),
        }

    _shares_of = "the shares of bins whose mean is ab"

    def logits(self, seen: Seen, palette: Palette) -> Tensor:
        """The bins' logits (N, Q, h, w), hints being evidence on them."""
        logits: Tensor = self(seen.x)
        return logits + palette.evidence(seen.told) if palette.evidence and seen.told.shape[1] else logits

    def colors(self, seen: Seen, vividness: Tensor, palette: Palette) -> tuple[Tensor, ...]:
        bin_probs = self._shares(seen, vividness, palette)
        # Tied to an input, or the exporter would fold the bins away and their name with them.
        return colour_bins.mean_of(bin_probs, palette.bins), bin_probs, palette.bins + 0 * vividness

    def terms(self, seen: Seen, ab: Tensor, palette: Palette) -> Iterator[Term]:
        index, weight = self.soft_encoder(ab)
        logits = self.logits(seen, palette)
        yield "cross_entropy", 1.0, colour_bins.soft_cross_entropy(logits, index, weight, palette.weights)
        yield from self.mean_terms(seen, ab, palette)

    def mean_terms(self, seen: Seen, ab: Tensor, palette: Palette) -> Iterator[Term]:
        """What `mean` learns from: the plain cross-entropy, and how far its ab lie from the true ones."""
        index, weight = self.soft_encoder(ab)
        fixed = Seen(*(part.detach().float() for part in seen))
        with torch.autocast(ab.device.type, enabled=False):  # a mean of 313 bins in bfloat16 is too coarse
            logits = self._annealed(fixed, ab.new_zeros(()), palette)
            even = torch.ones_like(palette.weights)
            likely = colour_bins.soft_cross_entropy(logits.movedim(-1, 1), index, weight, even)
            far = distance(colour_bins.mean_of(logits.softmax(-1), palette.bins), ab)
        yield "mean_cross_entropy", _MEAN_CROSS_ENTROPY, likely
        yield "mean_distance", _MEAN_DISTANCE, far

    def class_weights(self, ab: Tensor, mix: float) -> Tensor:
        """The bins' weights (Q,) by their shares in true colours (N, 2, h, w); see `rebalancing_weights`."""
        index, weight = self.soft_encoder(ab)
        prior = colour_bins.bin_prior(index, weight, self.out_channels)
        return colour_bins.rebalancing_weights(prior, mix)

    def _shares(self, seen: Seen, vividness: Tensor, palette: Palette) -> Tensor:
        """The shares (N, h, w, Q) of bins whose mean is ab."""
        return self._annealed(seen, vividness, palette).softmax(-1)

    def _annealed(self, seen: Seen, vividness: Tensor, palette: Palette) -> Tensor:
        """The logits (N, h, w, Q) of these shares.

        The same as (logits + power * log_weights) / T, but nothing passes over the many bins that may as well
        be done to the few features or to the weights: that was a tenth of the network's time.
        """
        s = self.settings
        power = s.rebalance_mean + vividness * (s.rebalance_decode - s.rebalance_mean)
        T = (1 + vividness * (s.T - 1)).clamp(min=_COLDEST)
        assert self.bias is not None
        assert self.mean.bias is not None
        vivid = vividness.clamp(max=1)
        weight = (vivid * self.weight + (1 - vivid) * self.mean.weight).flatten(1)
        bias = vivid * self.bias + (1 - vivid) * self.mean.bias
        x = seen.x
        if palette.evidence and seen.told.shape[1]:
            x = torch.cat([x, seen.told.to(x.dtype)], 1)
            weight = torch.cat([weight, palette.evidence.get_buffer("weight").flatten(1)], 1)
        features = x.permute(0, 2, 3, 1) / T
        bias = (bias + power * palette.weights.log()) / T
        # As one flat product with its bias, which is one node of the graph.
        logits = torch.addmm(bias, features.flatten(0, 2), weight.t())
        return logits.reshape(*features.shape[:3], len(bias))


class ResidualHead(BinHead):
    """The bins' annealed mean and a regressed residual of some Lab units, which starts at 0.

    The residual is trained on the colours at vividness 1, the bins' mean being held fast there, so that the
    shares stay what the cross-entropy makes of them; from there to vividness 0, the posterior mean, it fades.
    Hinted cells have none.
    """

    _shares_of = "the shares of bins whose mean is ab but for a small residual"

    def __init__(self, c_in: int, settings: Any) -> None:
        super().__init__(c_in, settings)
        self.residual = nn.Conv2d(c_in, 2, 1)
        nn.init.zeros_(self.residual.weight)
        nn.init.zeros_(self.residual.bias)  # type: ignore[arg-type]

    def colors(self, seen: Seen, vividness: Tensor, palette: Palette) -> tuple[Tensor, ...]:
        ab, *others = super().colors(seen, vividness, palette)
        return ab + vividness.clamp(max=1) * self._residual(seen), *others

    def terms(self, seen: Seen, ab: Tensor, palette: Palette) -> Iterator[Term]:
        yield from super().terms(seen, ab, palette)
        with torch.no_grad():
            mean, *_ = super().colors(seen, ab.new_ones(()), palette)
        yield "huber", self.settings.residual_weight, huber(mean + self._residual(seen), ab)

    def _residual(self, seen: Seen) -> Tensor:
        residual = _RESIDUAL_LIMIT * torch.tanh(self.residual(seen.x))
        return residual * seen.free if seen.free.shape[1] else residual


class RegressionHead(Head):
    """ab itself, bounded: one colour for each place, which is its median in time."""

    vivid = False

    def __init__(self, c_in: int, settings: Any) -> None:
        super().__init__(c_in, 2, settings)

    @staticmethod
    def bins() -> Tensor:
        return torch.zeros(0, 2)

    @property
    def outputs(self) -> dict[str, GraphOutput]:
        return {}

    def colors(self, seen: Seen, vividness: Tensor, palette: Palette) -> tuple[Tensor, ...]:
        return (_AB_LIMIT * torch.tanh(self(seen.x)),)

    def terms(self, seen: Seen, ab: Tensor, palette: Palette) -> Iterator[Term]:
        yield "huber", 1.0, huber(self.colors(seen, ab.new_ones(()), palette)[0], ab)


def huber(found: Tensor, true: Tensor) -> Tensor:
    """The mean smooth L1 distance of two ab in Lab units: square up to 10 units, then straight; in tens."""
    return F.smooth_l1_loss(found.float() / _HUBER_UNIT, true.float() / _HUBER_UNIT)


def distance(found: Tensor, true: Tensor) -> Tensor:
    """The mean distance of two ab (N, 2, h, w) in Lab units, in tens, hardly rounded off at 0."""
    return ((found.float() - true.float()).square().sum(1) + 1).sqrt().mean() / 10


HeadName = Literal["bins", "residual", "regression"]
HEADS: dict[HeadName, type[BinHead] | type[RegressionHead]] = {
    "bins": BinHead,
    "residual": ResidualHead,
    "regression": RegressionHead,
}
