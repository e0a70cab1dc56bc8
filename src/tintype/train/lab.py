"""`tintype.color` in torch, channels-first: for batches, on whatever device they lie."""

from __future__ import annotations

import torch
from torch import Tensor

from tintype.color import (
    LAB_KNEE,
    LAB_OFFSET,
    LAB_TOE,
    LUMA_WEIGHTS,
    RGB_TO_XYZ,
    WHITE_D65,
    XYZ_TO_RGB,
)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """sRGB (N, 3, H, W) in 0…1 to Lab (N, 3, H, W): L 0…100, a and b in Lab units."""
    linear = _srgb_to_linear(rgb)
    xyz = _times(linear.new_tensor(RGB_TO_XYZ / WHITE_D65[:, None]), linear)
    fx, fy, fz = _lab_f(xyz).unbind(1)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], dim=1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Lab (N, 3, H, W) to sRGB (N, 3, H, W), clipped to 0…1; differentiable inside the gamut."""
    L, a, b = lab.unbind(1)
    fy = (L + 16) / 116
    f = torch.stack([fy + a / 500, fy, fy - b / 200], dim=1)
    xyz = torch.where(f > LAB_KNEE ** (1 / 3), f**3, (f - LAB_OFFSET) / LAB_TOE)
    linear = _times(xyz.new_tensor(XYZ_TO_RGB * WHITE_D65), xyz).clamp(0, 1)
    return torch.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    )


def luma_to_L(luma: Tensor) -> Tensor:
    """Lightness L of a grey picture: encoded luma in 0…1, any shape, to 0…100."""
    return 116 * _lab_f(_srgb_to_linear(luma)) - 16


def luma_of(rgb: Tensor) -> Tensor:
    """BT.601 luma (N, 1, H, W) of sRGB (N, 3, H, W)."""
    return _times(rgb.new_tensor(LUMA_WEIGHTS)[None], rgb)


def colorfulness(rgb: Tensor) -> Tensor:
    """`tintype.metrics.colorfulness` (N,) of sRGB (N, 3, H, W); its slope is finite for grey, too."""
    r, g, b = (255 * rgb).unbind(1)
    opponents = torch.stack([r - g, (r + g) / 2 - b], 1).flatten(2)
    spread = opponents.var(2, correction=0).sum(1)
    distance = opponents.mean(2).square().sum(1)
    return _root(spread) + 0.3 * _root(distance)


def ab_to_unit(ab: Tensor) -> Tensor:
    """ab in Lab units, any shape, to 0…1 as 8-bit Lab spaces it: (ab + 128) / 255."""
    return (ab + 128) / 255


def unit_to_ab(unit: Tensor) -> Tensor:
    """What `ab_to_unit` gave, back to Lab units."""
    return unit * 255 - 128


def _times(matrix: Tensor, pixels: Tensor) -> Tensor:
    """A matrix (I, J) times pixels (N, J, H, W), never in bf16: colours would go wrong by 2.6 Lab units."""
    kind = torch.promote_types(pixels.dtype, torch.float32)
    with torch.autocast(pixels.device.type, enabled=False):
        return torch.einsum("ij,njhw->nihw", matrix.to(kind), pixels.to(kind))


def _srgb_to_linear(rgb: Tensor) -> Tensor:
    return torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def _lab_f(t: Tensor) -> Tensor:
    return torch.where(t > LAB_KNEE, t.clamp(min=LAB_KNEE) ** (1 / 3), LAB_TOE * t + LAB_OFFSET)


def _root(x: Tensor) -> Tensor:
    """The square root, with a finite slope at 0."""
    return (x + 1e-6).sqrt()
