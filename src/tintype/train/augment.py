"""What old photographs went through, done to the grey input of a batch; the true colours stay."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tintype.train.lab import luma_of, luma_to_L, rgb_to_lab


@dataclass(frozen=True, kw_only=True)
class GreySettings:
    """How likely each change of the grey input is, from 0 (never) to 1 (always)."""

    luma: float = 0.4
    """The input is the lightness of the BT.601 grey, as in use, rather than the true L."""
    film: float = 0.1
    """The input is grey as a film with another colour response saw it (orthochromatic, for one)."""
    fade: float = 0.3
    """Contrast is lowered or gamma bent, as in faded or badly scanned prints."""
    grain: float = 0.2
    """Gaussian grain is added."""


def to_training_pair(rgb: Tensor, settings: GreySettings) -> tuple[Tensor, Tensor]:
    """RGB (N, 3, H, W), 0…1, to the input L (N, 1, H, W) and the true ab (N, 2, H, W)."""
    lab = rgb_to_lab(rgb)
    L, ab = lab[:, :1], lab[:, 1:]
    n = len(rgb)
    L = torch.where(_chosen(n, settings.luma, rgb), luma_to_L(luma_of(rgb)), L)
    response = torch.rand(n, 3, 1, 1, device=rgb.device) * rgb.new_tensor([0.5, 1.0, 1.0]).view(1, 3, 1, 1)
    film = (rgb * response).sum(1, keepdim=True) / response.sum(1, keepdim=True)
    L = torch.where(_chosen(n, settings.film, rgb), luma_to_L(film), L)
    return _grain(_fade(L, settings.fade), settings.grain).clamp(0, 100), ab


def _fade(L: Tensor, probability: float) -> Tensor:
    n = len(L)
    gamma = torch.exp(_uniform(n, -0.35, 0.35, L))
    black, white = _uniform(n, 0, 20, L), _uniform(n, 75, 100, L)
    faded = black + (white - black) * (L.clamp(0, 100) / 100) ** gamma
    return torch.where(_chosen(n, probability, L), faded, L)


def _grain(L: Tensor, probability: float) -> Tensor:
    strength = _uniform(len(L), 0, 6, L) * _chosen(len(L), probability, L)
    return L + strength * torch.randn_like(L)


def _uniform(n: int, low: float, high: float, like: Tensor) -> Tensor:
    return low + (high - low) * torch.rand(n, 1, 1, 1, device=like.device)


def _chosen(n: int, probability: float, like: Tensor) -> Tensor:
    return torch.rand(n, 1, 1, 1, device=like.device) < probability
