"""A light discriminator that judges patches of colour (PatchGAN, Isola et al. 2017), by the hinge loss.

It sees lightness and ab at the output's size, with spectral normalisation in all its layers (Miyato et al.
2018), and says of each patch how true it looks. It is for training alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from tintype.train.blocks import held_fast
from tintype.train.recipe import Losses

_WIDTHS = (32, 64, 64)  # of the layers at a half, a quarter and an eighth of the output's size
_AB_SCALE = 50.0  # Lab units: brings the colours of most photographs to −1…1


class PatchDiscriminator(nn.Module):
    """Lightness and colours (N, 3, h, w), by `planes`, to how true their patches are (N, 1, h / 8, w / 8)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in = 3
        for width in _WIDTHS:
            layers += [spectral_norm(nn.Conv2d(c_in, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
            c_in = width
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(c_in, 1, 3, padding=1, bias=False)))

    def forward(self, planes: Tensor) -> Tensor:
        return self.layers(planes)

    def deceived(self, L: Tensor, painted: Tensor) -> Tensor:
        """The generator's loss: low where painted colours are taken for true. No gradient stays here."""
        return -held_fast(self, planes(L, painted)).mean()

    def told_apart(self, L: Tensor, painted: Tensor, true: Tensor) -> Losses:
        """The discriminator's loss, 2 where it tells nothing apart: hinge on true and on painted colours."""
        real, fake = self(torch.cat([planes(L, true), planes(L, painted)])).chunk(2)
        on_real, on_fake = F.relu(1 - real).mean(), F.relu(1 + fake).mean()
        return {"loss": on_real + on_fake, "real": on_real, "fake": on_fake}


def planes(L: Tensor, ab: Tensor) -> Tensor:
    """L (N, 1, H, W), averaged to the size of ab (N, 2, h, w), and ab, all about −1…1: (N, 3, h, w)."""
    L = F.avg_pool2d(L, L.shape[2] // ab.shape[2])
    return torch.cat([L / 50 - 1, ab / _AB_SCALE], 1)
