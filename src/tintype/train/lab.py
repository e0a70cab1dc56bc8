"""`tintype.color` in torch, channels-first: for batches, on whatever device they lie."""

from __future__ import annotations

import torch
from torch import Tensor

from tintype.color import LUMA_WEIGHTS, RGB_TO_XYZ, WHITE_D65, XYZ_TO_RGB

_DELTA = 6 / 29


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """sRGB (N, 3, H, W) in 0…1 to Lab (N, 3, H, W): L 0…100, a and b in Lab units."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)
    xyz = torch.einsum("ij,njhw->nihw", linear.new_tensor(RGB_TO_XYZ / WHITE_D65[:, None]), linear)
    f = torch.where(xyz > _DELTA**3, xyz.clamp(min=_DELTA**3) ** (1 / 3), xyz / (3 * _DELTA**2) + 4 / 29)
    fx, fy, fz = f.unbind(1)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], dim=1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Lab (N, 3, H, W) to sRGB (N, 3, H, W), clipped to 0…1; differentiable inside the gamut."""
    L, a, b = lab.unbind(1)
    fy = (L + 16) / 116
    f = torch.stack([fy + a / 500, fy, fy - b / 200], dim=1)
    xyz = torch.where(f > _DELTA, f**3, 3 * _DELTA**2 * (f - 4 / 29))
    linear = torch.einsum("ij,njhw->nihw", xyz.new_tensor(XYZ_TO_RGB * WHITE_D65), xyz).clamp(0, 1)
    return torch.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    )


def luma_to_L(luma: Tensor) -> Tensor:
    """Lightness L of a grey picture: encoded luma in 0…1, any shape, to 0…100."""
    linear = torch.where(luma <= 0.04045, luma / 12.92, ((luma.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)
    f = torch.where(
        linear > _DELTA**3, linear.clamp(min=_DELTA**3) ** (1 / 3), linear / (3 * _DELTA**2) + 4 / 29
    )
    return 116 * f - 16


def luma_of(rgb: Tensor) -> Tensor:
    """BT.601 luma (N, 1, H, W) of sRGB (N, 3, H, W)."""
    weights = rgb.new_tensor(LUMA_WEIGHTS)
    return torch.einsum("c,nchw->nhw", weights, rgb).unsqueeze(1)
