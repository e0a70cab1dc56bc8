"""Distances that need a network: LPIPS."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from tintype.errors import ModelError

# LPIPS's own normalisation of RGB in −1…1 (Zhang et al. 2018, v0.1).
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# AlexNet's convolutions with torchvision's indices: in, out, kernel, stride, padding, pooled before.
_ALEX = {0: (3, 64, 11, 4, 2, False), 3: (64, 192, 5, 1, 2, True), 6: (192, 384, 3, 1, 1, True),
         8: (384, 256, 3, 1, 1, False), 10: (256, 256, 3, 1, 1, False)}  # fmt: skip


class LpipsAlex(nn.Module):
    """LPIPS v0.1 with AlexNet: the perceptual distance of two pictures; 0 for equal ones.

    `features` and `heads` are safetensors files: AlexNet's convolutions under torchvision's names, and the
    five linear heads. Raises ModelError where a weight is missing or has the wrong shape.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, features: Path, heads: Path) -> None:
        super().__init__()
        tensors, lin = load_file(features), load_file(heads)
        self.convs = nn.ModuleList(nn.Conv2d(i, o, k, s, p) for i, o, k, s, p, _ in _ALEX.values())
        for conv, index in zip(self.convs, _ALEX, strict=True):
            for kind, parameter in conv.named_parameters():
                parameter.data = _weight(tensors, f"features.{index}.{kind}", parameter.shape, features)
        for i, (_, width, *_rest) in enumerate(_ALEX.values()):
            name = f"lin{i}.model.1.weight"
            self.register_buffer(f"head{i}", _weight(lin, name, torch.Size((1, width, 1, 1)), heads))
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Pictures (N, 3, H, W), RGB in 0…1, to distances (N,)."""
        total = x.new_zeros(len(x))
        pairs = zip(self._activations(x), self._activations(y), strict=True)
        for i, (fx, fy) in enumerate(pairs):
            difference = (_unit(fx) - _unit(fy)) ** 2
            total = total + F.conv2d(difference, getattr(self, f"head{i}")).mean((1, 2, 3))
        return total

    def _activations(self, rgb: Tensor) -> list[Tensor]:
        x, outputs = (2 * rgb - 1 - self.shift) / self.scale, []
        for conv, (*_shape, pooled) in zip(self.convs, _ALEX.values(), strict=True):
            x = F.relu(conv(F.max_pool2d(x, 3, 2) if pooled else x))
            outputs.append(x)
        return outputs


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _weight(tensors: dict[str, Tensor], name: str, shape: torch.Size, file: Path) -> Tensor:
    if name not in tensors or tensors[name].shape != shape:
        raise ModelError(f"{file} is no LPIPS weight file for AlexNet: {name} of {tuple(shape)} is missing.")
    return tensors[name].clone()
