"""Hints by hand in training and in the network: revealed points, and how their colour spreads.

After Zhang et al., "Real-Time User-Guided Image Colorization with Learned Deep Priors" (SIGGRAPH 2017): in
training the network is told the true colour of a few small patches, so that in use it obeys a person's. A
hint is a pair of maps at the network's input size, `hint_ab` (N, 2, H, W) in Lab units and `hint_mask`
(N, 1, H, W), not 0 where a colour is told. Everything here is exactly zero where nothing is told, so that a
network that has it and is given no hints answers as one without it.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_POINTS = 128  # of one picture in training; the geometric numbers beyond are cut
_AB_SCALE = 110.0  # Lab units, brings hinted colours to −1…1
_TOLD = 256  # hinted cells that speak to all others, those that are hinted most; bounds time and memory
_KEY = 32  # channels in which cells are compared
_NARROW = 16  # channels of the layers that read hints
_SILENT = -1e4  # added to the likeness of cells that are not hinted: their share underflows to exactly 0
_GRID = 10.0  # Lab units; the bins' squares in these are small whole numbers, which float16 holds exactly

Positions = Literal["uniform", "gaussian"]


def random_hints(
    ab: Tensor, *, none: float, mean_points: float, largest: int, positions: Positions
) -> tuple[Tensor, Tensor]:
    """Reveal points of the true ab (N, 2, H, W): `hint_ab` (N, 2, H, W) and `hint_mask` (N, 1, H, W).

    A share `none` of the pictures gets no point, the others 1 + a geometric number, `mean_points` on average.
    Each point shows a square patch of 1 to `largest` pixels, whole if possible, in its mean colour; where
    patches overlap, the mean of theirs. Drawn on the device of ab, in a fixed number of operations.
    """
    n, _, height, width = ab.shape
    draw = torch.rand(n, 1, device=ab.device).clamp(min=1e-12)
    stay = torch.log1p(torch.tensor(-1 / max(mean_points, 1 + 1e-6), device=ab.device))
    count = 1 + (draw.log() / stay).floor()
    count = count * (torch.rand(n, 1, device=ab.device) >= none)
    active = torch.arange(MOST_POINTS, device=ab.device)[None] < count  # (N, M)
    side = torch.randint(1, largest + 1, (n, MOST_POINTS), device=ab.device)
    rows = _covered(height, side, positions) * active[..., None]  # (N, M, H)
    columns = _covered(width, side, positions)  # (N, M, W)
    area = (rows.sum(2) * columns.sum(2)).clamp(min=1)
    with torch.autocast(ab.device.type, enabled=False):  # bfloat16 would shift the colours that are told
        # One axis at a time: no tensor has the points and both sides of the picture.
        shown = torch.einsum("nchw,nmw->nmch", ab.float(), columns)
        mean = torch.einsum("nmch,nmh->nmc", shown, rows) / area[..., None]
        mask = torch.einsum("nmh,nmw->nhw", rows, columns)[:, None]
        spread = mean[..., None] * rows[:, :, None]  # (N, M, 2, H)
        hint_ab = torch.einsum("nmch,nmw->nchw", spread, columns) / mask.clamp(min=1)
    return hint_ab, mask.clamp(max=1)


def _covered(length: int, side: Tensor, positions: Positions) -> Tensor:
    """Which of `length` pixels (N, M, length) the patches of `side` pixels cover, as 0 and 1."""
    place = torch.randn_like(side, dtype=torch.float32) / 4 + 0.5
    if positions == "uniform":
        place = torch.rand_like(side, dtype=torch.float32)
    start = (place * length - side / 2).round()
    start = torch.minimum(start, length - side).clamp(min=0)
    pixel = torch.arange(length, device=side.device)
    return ((pixel >= start[..., None]) & (pixel < (start + side)[..., None])).float()


def hinted_cells(hint_ab: Tensor, hint_mask: Tensor, stride: int) -> Tensor:
    """Hints by cells of `stride` pixels: (N, 3, H / stride, W / stride).

    The mean of the colours told within a cell over `_AB_SCALE`, and 1; or 0, 0, 0 where none is.
    """
    share = F.avg_pool2d(hint_mask, stride)
    told = (share > 0).float()
    color = F.avg_pool2d(hint_ab * hint_mask, stride) / (share + (1 - told))  # exact in few bits, too
    return torch.cat([color / _AB_SCALE, told], 1)


class Spread(nn.Module):
    """Carries hinted colours to all cells that look alike, over any distance, by attention.

    Each cell asks the hinted ones; its answer is the mean of their colours weighted by the likeness of the
    features and by nearness, and how sure it is, which falls where no hinted cell is like it: then a resting
    logit takes the weight. At most `_TOLD` hinted cells are asked, so the cost grows with the area alone.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.key = nn.Conv2d(channels, _KEY, 1, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(12.0))
        self.nearness = nn.Parameter(torch.tensor(0.2))
        self.rest = nn.Parameter(torch.tensor(8.0))

    def forward(self, features: Tensor, cells: Tensor, share_told: Tensor) -> Tensor:
        """Features (N, C, h, w) and `hinted_cells` (N, 3, h, w) to colours and sureness (N, 3, h, w).

        `share_told` (N, 1, h, w) is how much of each cell is hinted; those with most are asked.
        """
        with torch.autocast(features.device.type, enabled=False):  # likeness in bfloat16 is too coarse
            every = F.normalize(self.key(features.float()), dim=1, eps=1e-6)
            ones = torch.ones_like(share_told)
            place = torch.cat([ones.cumsum(2), ones.cumsum(3)], 1)  # in cells
            all_cells = torch.cat([every, place, cells], 1).flatten(2)  # (N, c, P)
            # Blank cells behind the real ones let small pictures, too, have as many as are asked.
            index = F.pad(share_told.flatten(2), (0, _TOLD)).topk(_TOLD, dim=2).indices
            told = F.pad(all_cells, (0, _TOLD)).gather(
                2, index.expand(-1, all_cells.shape[1], -1)
            )  # (N, c, K)
            likeness = self._likeness(all_cells, told)
            rest = self.rest.expand(likeness.shape[0], likeness.shape[1], 1)
            share = torch.cat([rest, likeness], 2).softmax(2)[..., 1:]  # (N, P, K)
            color = torch.split(told, [_KEY + 2, 3], 1)[1]
            return (color @ share.transpose(1, 2)).reshape(cells.shape)  # (N, 3, P), then (N, 3, h, w)

    def _likeness(self, cells: Tensor, told: Tensor) -> Tensor:
        """Of all cells (N, c, P) to the told ones (N, c, K): (N, P, K)."""
        parts = [_KEY, 1, 1, 2, 1]
        key, row, column, _, _ = (part.transpose(1, 2) for part in torch.split(cells, parts, 1))  # (N, P, c)
        told_key, told_row, told_column, _, is_told = torch.split(told, parts, 1)  # (N, c, K)
        far = ((row - told_row) ** 2 + (column - told_column) ** 2 + 1).sqrt()
        return self.sharpness * (key @ told_key) - self.nearness * far + _SILENT * (1 - is_told)


class HintReader(nn.Module):
    """What hints add to a decoder's features at one stride; its last factor, `gamma`, starts at 0."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(c_in, _NARROW, 3, padding=1, bias=False)
        self.second = nn.Conv2d(_NARROW, c_out, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, cells: Tensor) -> Tensor:
        """Hints (N, c_in, h, w) to (N, c_out, h, w)."""
        return self.gamma * self.second(F.relu(self.first(cells)))


class Evidence(nn.Module):
    """Hints as evidence on the colour bins: added to the logits, log-likelihoods of a Gaussian about each.

    Of bin b and a colour c told with sureness w it is −s w |b − c|² up to what all bins share, distances in
    tens of Lab units. The strengths s, of hints in the very cell and of those that were spread, are learnt.
    Spread ones start weak: the features of a network that has learnt nothing are all alike.
    """

    STRENGTHS_ONCE_TRAINED = (5.0, 3.0)
    """What served best, with `Spread` as it starts, on a trained network that had never seen a hint."""

    def __init__(self, bins: Tensor) -> None:
        super().__init__()
        near = bins / _GRID
        weight = torch.cat([2 * near * _AB_SCALE / _GRID, -(near**2).sum(1, keepdim=True)], 1)
        self.register_buffer("weight", weight[:, :, None, None], persistent=False)
        self.log_strength = nn.Parameter(torch.tensor([5.0, 0.1]).log())

    def told(self, cells: Tensor, spread: Tensor) -> Tensor:
        """Hints of each cell and those spread to it, both (N, 3, h, w), by their strengths: (N, 3, h, w)."""
        own, others = self.log_strength.exp()
        here = torch.split(cells.float(), [2, 1], 1)[1]
        return own * cells.float() + others * spread.float() * (1 - here)

    def forward(self, told: Tensor) -> Tensor:
        """What is `told` (N, 3, h, w) to addends (N, Q, h, w)."""
        with torch.autocast(told.device.type, enabled=False):  # squares of colours want more than bfloat16
            return F.conv2d(told.float(), self.get_buffer("weight"))
