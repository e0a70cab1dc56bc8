"""The network of `tint`, its loss and its decoding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tintype.train.blocks import separable
from tintype.train.discriminator import PatchDiscriminator
from tintype.train.encoders import ENCODERS
from tintype.train.heads import HEADS, BinHead, Palette, Seen, Term
from tintype.train.hints import Evidence, HintReader, Spread, hinted_cells, random_hints
from tintype.train.pictured import PictureTerms
from tintype.train.recipe import GraphInput, GraphOutput, Losses, RecipeModel
from tintype.train.recipes.tint.settings import Settings

# What earlier weights lack, by how its names begin, and what is told then.
_LATER = {
    "hints.": "The start knows no hints; their parts begin fresh, colours without hints stay as they are.",
    "whole.": "The start has no global features; they begin at 0, and colours stay as they are.",
    "head.mean.": "The start has no weights for vividness 0; they begin as those for 1, colours stay.",
    "head.residual.": "The start has no residual; it begins at 0, and colours stay as they are.",
    "discriminator.": "The start has no discriminator; that begins fresh.",
}


class Hints(nn.Module):
    """All that hints bring to the decoder."""

    def __init__(self, width: int, head_width: int, bins: Tensor) -> None:
        super().__init__()
        self.readers = nn.ModuleList([HintReader(3, width), HintReader(6, width), HintReader(6, head_width)])
        self.spread = Spread(width)
        self.evidence = Evidence(bins) if len(bins) else None

    def told(self, cells: Tensor, spread: Tensor) -> Tensor:
        """What hints of each cell and those spread to it tell of bins (N, 3, h, w); (N, 0, h, w) of none."""
        return self.evidence.told(cells, spread) if self.evidence else cells[:, :0]


class Model(RecipeModel):
    """The network, its loss and its decoding."""

    stride = 4
    multiple = 32
    # In 8 bits the first layers lose more than all others; hints must be told exactly.
    stays_float = ("/encoder/stem/", *(f"/encoder/blocks.{i}/" for i in range(4)), "/readers.", "/spread/")
    handed_on = (
        "encoder",
        "head",
        "width",
        "head_width",
        "global_features",
        "T",
        "rebalance_decode",
        "rebalance_mean",
    )
    prepared_by = ("rebalance_mix",)
    bins: Tensor
    bin_weights: Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        head = HEADS[settings.head]
        self.register_buffer("bins", head.bins())
        self.register_buffer("bin_weights", torch.ones(len(self.bins)))
        self.encoder = ENCODERS[settings.encoder]()
        width, head_width = settings.width, settings.head_width
        c4, c8, c16, c32 = self.encoder.channels
        self.top = nn.Conv2d(c32, width, 1)
        self.whole = nn.Conv2d(c32, width, 1, bias=False) if settings.global_features else None
        if self.whole is not None:
            nn.init.zeros_(self.whole.weight)  # at first it tells nothing
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
        self.head = head(head_width, settings)
        self.hints = Hints(width, head_width, self.bins)
        if settings.learn == "mean":
            self.requires_grad_(False)
            self.head.mean.requires_grad_(True)
        self.discriminator = PatchDiscriminator() if settings.adversarial_weight else None
        self.adversarial = self.discriminator is not None
        self._pictured = PictureTerms(
            lpips_weight=settings.lpips_weight,
            classifier_weight=settings.classifier_weight,
            colorfulness_weight=settings.colorfulness_weight,
            lpips_features=Path(settings.lpips_features),
            lpips_heads=Path(settings.lpips_heads),
            classifier=Path(settings.classifier),
        )
        self.train()

    @property
    def palette(self) -> Palette:
        """What the head is told of bins."""
        return Palette(self.bins, self.bin_weights, self.hints.evidence)

    def seen(self, L: Tensor, *hints: Tensor) -> Seen:
        """L (N, 1, H, W) and, or not, `hint_ab` and `hint_mask` to what the head reads."""
        features = self.encoder(L / 50 - 1)
        x = self.top(features[3])
        if self.whole is not None:
            x = x + self.whole(features[3].mean((2, 3), keepdim=True))
        cells, spread = L.new_zeros(0), L.new_zeros(0)
        for i, stride in enumerate((16, 8, 4)):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest") + self.laterals[i](features[2 - i])
            if hints:
                cells = hinted_cells(hints[0], hints[1], stride)
                spread = self._spread(stride, x, cells, hints[1], spread)
                x = x + self.hints.readers[i](torch.cat([cells, spread], 1) if i else cells)
            x = self.refine[i](x)
        if not hints:
            return Seen(x, x[:, :0], x[:, :0])
        return Seen(x, self.hints.told(cells, spread), 1 - cells[:, 2:])

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
        vivid = {"vividness": GraphInput(default=1.0, shape=(), description=vividness)}
        return (vivid if self.head.vivid else {}) | {
            "hint_ab": GraphInput(default=0.0, shape=("N", 2, "H", "W"), description=hint_ab),
            "hint_mask": GraphInput(
                default=0.0, shape=("N", 1, "H", "W"), description="1 where a colour is told, 0 elsewhere"
            ),
        }

    @property
    def outputs(self) -> dict[str, GraphOutput]:
        """What the graph can tell beside ab."""
        return self.head.outputs

    def forward(self, L: Tensor, *inputs: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, and the `inputs`, or none of them, to ab (N, 2, H/4, W/4) in Lab units.

        At vividness 0 ab is the posterior mean, at temperature 1, by weights that learnt to be right. From
        there the head's weights, the temperature and the power of the class weights run evenly to those at 1.
        """
        return self.everything(L, *inputs)[0]

    def everything(self, L: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """As `forward`: ab, and the `outputs`."""
        one = L.new_ones(())
        vividness, *hints = (inputs or (one,)) if self.head.vivid else (one, *inputs)
        return self.head.colors(self.seen(L, *hints), vividness, self.palette)

    def loss(self, L: Tensor, ab: Tensor, labels: Tensor) -> Losses:
        """What the head asks, and LPIPS, classifier, colourfulness and discriminator if they have a weight.

        In training some pictures come with hints and batches in many sizes, in validation none do.
        """
        L, ab, seen = self._shown(L, ab)
        learnt = (*self._learnt(seen, F.avg_pool2d(ab, self.stride)), self.palette)
        if isinstance(self.head, BinHead) and self.settings.learn == "mean":
            return _losses([*self.head.mean_terms(*learnt)])
        terms = [*self.head.terms(*learnt)]
        if self._pictured or self.discriminator:
            few = slice(self.settings.lpips_among or None)
            painted = self._painted(Seen(*(part[few] for part in seen)))
            terms += self._pictured(L[few], ab[few], painted)
            if self.discriminator:
                deceived = self.discriminator.deceived(L[few], painted)
                terms.append(("adversarial", self.settings.adversarial_weight, deceived))
        return _losses(terms)

    def discriminator_loss(self, L: Tensor, ab: Tensor) -> Losses:
        """The discriminator's side: hinge on the true and on the painted colours of the same few."""
        assert self.discriminator is not None
        few = slice(self.settings.lpips_among or None)
        with torch.no_grad():
            L, ab, seen = self._shown(L[few], ab[few])
            painted = self._painted(seen)
        return self.discriminator.told_apart(L, painted, F.avg_pool2d(ab, self.stride))

    def _shown(self, L: Tensor, ab: Tensor) -> tuple[Tensor, Tensor, Seen]:
        """L and ab as they are learnt from, and what is seen of them; with hints in training."""
        s = self.settings
        if self.training and s.smallest:
            L, ab = _shrunk(L, ab, s.smallest)
        return L, ab, self.seen(L, *self._revealed(ab)) if self.training else self.seen(L)

    def _learnt(self, seen: Seen, ab: Tensor) -> tuple[Seen, Tensor]:
        """What is seen and ab of the cells that the head learns from: in validation all."""
        every = self.settings.learnt_every if self.training else 1
        if every == 1:
            return seen, ab
        row, column = torch.randint(0, every, (2,)).tolist()
        *parts, ab = (part[..., row::every, column::every] for part in (*seen, ab))
        return Seen(*parts), ab

    def _painted(self, seen: Seen) -> Tensor:
        """ab (N, 2, h, w) at vividness 1."""
        return self.head.colors(seen, seen.x.new_ones(()), self.palette)[0]

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
        """Take weights of before hints and other parts that came later: these are added, as they are here.

        A discriminator that is wanted no more is left out.
        """
        own = self.state_dict()
        rival = {name for name in weights if name.startswith("discriminator.")}
        if self.discriminator is None and rival:
            weights = {name: tensor for name, tensor in weights.items() if name not in rival}
        for prefix, told in _LATER.items():
            new = {name: own[name].clone() for name in own if name.startswith(prefix)}
            if not new or new.keys() & weights.keys():
                continue
            if (strength := "hints.evidence.log_strength") in new:
                new[strength] = torch.tensor(Evidence.STRENGTHS_ONCE_TRAINED).log()
            if prefix == "head.mean.":
                ends = {name: name.replace(".mean", "") for name in new}
                new |= {name: weights[vivid].clone() for name, vivid in ends.items() if vivid in weights}
            print(told)
            weights = weights | new
        return weights

    def prepare(self, ab: Tensor) -> None:
        """Set the class weights from true colours (N, 2, H, W) of a sample."""
        if isinstance(self.head, BinHead):
            small = F.avg_pool2d(ab, self.stride)
            self.bin_weights.copy_(self.head.class_weights(small, self.settings.rebalance_mix))

    def train(self, mode: bool = True) -> Self:
        """As ever, but that parts which are held fast answer as in use."""
        super().train(mode)
        if self.settings.learn == "mean":
            for part in self.children():
                part.eval()
        return self

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW; the pretrained encoder learns more slowly than the fresh decoder."""
        encoder = list(self.encoder.parameters())
        others = list(self.discriminator.parameters()) if self.discriminator else []
        known = {id(p) for p in (*encoder, *others)}
        rest = [p for p in self.parameters() if id(p) not in known]
        s = self.settings
        groups = [{"params": encoder, "lr": s.encoder_lr}, {"params": rest, "lr": s.lr}]
        return torch.optim.AdamW(groups, weight_decay=s.weight_decay)

    def discriminator_optimizer(self) -> torch.optim.Optimizer:
        """Adam without momentum, as the hinge loss is mostly trained."""
        assert self.discriminator is not None
        return torch.optim.Adam(self.discriminator.parameters(), self.settings.discriminator_lr, (0.0, 0.9))

    def for_export(self) -> nn.Module:
        """The network without its discriminator."""
        self.discriminator = None
        return self


def _losses(terms: Sequence[Term]) -> Losses:
    """The sum of the terms by their weights, "loss", and if there are several each by its name."""
    total = torch.stack([weight * term for _, weight, term in terms]).sum()
    return {"loss": total} | {name: term for name, _, term in terms if len(terms) > 1}


def _shrunk(L: Tensor, ab: Tensor, smallest: int) -> tuple[Tensor, Tensor]:
    """Both at a random multiple of 32 pixels, from `smallest` to what they have; one size for the batch."""
    largest = L.shape[-1] // 32
    side = 32 * int(torch.randint(min(smallest // 32, largest), largest + 1, ()))
    if side == L.shape[-1]:
        return L, ab
    lab = F.interpolate(torch.cat([L, ab], 1), (side, side), mode="area")
    return lab[:, :1], lab[:, 1:]
