"""What old photographs went through, done to the grey input of a batch; the true colours stay.

A mount alone is new to both: it has no colour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tintype.train import damage
from tintype.train.damage import chosen, uniform
from tintype.train.lab import luma_of, luma_to_L, rgb_to_lab
from tintype.train.ranges import Ranged, Share

_MOUNT = 1 / 7  # of the side, at most


@dataclass(frozen=True, kw_only=True)
class GreySettings(Ranged):
    """How likely each change of the grey input is, from 0 (never) to 1 (always)."""

    luma: Share = 0.4
    """The input is the lightness of the BT.601 grey, as in use, rather than the true L."""
    film: Share = 0.1
    """The input is grey as a film with another colour response saw it (orthochromatic, for one)."""
    uneven: Share = 0.1
    """Light falls unevenly: corners are darker, stains and bad development make places brighter or darker."""
    fade: Share = 0.3
    """Contrast is lowered, to a quarter at worst, or gamma bent, as in faded or badly scanned prints."""
    grain: Share = 0.25
    """Grain is added, in half of the pictures coarser than a pixel."""
    blur: Share = 0.1
    """The picture is out of focus, or was scanned coarsely."""
    jpeg: Share = 0.1
    """JPEG's blocks and ringing, from a file of low quality."""
    scratches: Share = 0.05
    """Scratches and dust, bright or dark."""
    halftone: Share = 0.03
    """The screen of dots of a printed page."""
    mount: Share = 0.05
    """A border of white, black or grey about the picture, as of a print, a film or an album's page, and true
    grey there; of one in ten nothing else is left, as of an empty page."""


def to_training_pair(rgb: Tensor, settings: GreySettings) -> tuple[Tensor, Tensor]:
    """RGB (N, 3, H, W), 0…1, to the input L (N, 1, H, W) and the true ab (N, 2, H, W)."""
    rgb = _some(_mounted, rgb, settings.mount)
    lab = rgb_to_lab(rgb)
    L, ab = lab[:, :1], lab[:, 1:]
    n = len(rgb)
    L = torch.where(chosen(n, settings.luma, rgb), luma_to_L(luma_of(rgb)), L)
    response = torch.rand(n, 3, 1, 1, device=rgb.device) * rgb.new_tensor([0.5, 1.0, 1.0]).view(1, 3, 1, 1)
    film = (rgb * response).sum(1, keepdim=True) / response.sum(1, keepdim=True)
    L = torch.where(chosen(n, settings.film, rgb), luma_to_L(film), L)
    for kind, change in damage.KINDS.items():
        L = _some(change, L, getattr(settings, kind)).clamp(0, 100)
    return L, ab


def _mounted(rgb: Tensor) -> Tensor:
    """Borders of up to a seventh of the side at each edge; or nothing but border."""
    n, _, height, width = rgb.shape
    paper, black, any_grey = uniform(n, 0.75, 1, rgb), uniform(n, 0, 0.15, rgb), uniform(n, 0, 1, rgb)
    grey = torch.where(chosen(n, 0.3, rgb), black, torch.where(chosen(n, 0.7, rgb), paper, any_grey))
    empty = chosen(n, 0.1, rgb)
    y = torch.linspace(0, 1, height, device=rgb.device).view(1, 1, -1, 1)
    x = torch.linspace(0, 1, width, device=rgb.device).view(1, 1, 1, -1)
    top, left, bottom, right = (uniform(n, -_MOUNT / 4, _MOUNT, rgb) for _ in range(4))
    border = (y < top) | (y > 1 - bottom) | (x < left) | (x > 1 - right) | empty
    return torch.where(border, grey, rgb)


def _some(change: Callable[[Tensor], Tensor], L: Tensor, probability: float) -> Tensor:
    """`change` done to some of the pictures alone, so that a rare one costs little.

    They are drawn on the processor: to learn from a GPU which these are would stop it.
    """
    picked = (torch.rand(len(L)) < probability).nonzero()[:, 0].to(L.device)
    return L.index_copy(0, picked, change(L[picked]).to(L.dtype)) if len(picked) else L
