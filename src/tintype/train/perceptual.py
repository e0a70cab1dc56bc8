"""Distances that need a network: LPIPS, and VGG-19's features."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tintype.errors import ModelError

# LPIPS's own normalisation of RGB in −1…1 (Zhang et al. 2018, v0.1).
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# AlexNet's convolutions with torchvision's indices: in, out, kernel, stride, padding, pooled before.
_ALEX = {0: (3, 64, 11, 4, 2, False), 3: (64, 192, 5, 1, 2, True), 6: (192, 384, 3, 1, 1, True),
         8: (384, 256, 3, 1, 1, False), 10: (256, 256, 3, 1, 1, False)}  # fmt: skip
# Normalised VGG-19 to conv3_1 with the indices of its publication: in, out, kernel, pooled before.
_VGG = {0: (3, 3, 1, False), 2: (3, 64, 3, False), 5: (64, 64, 3, False), 9: (64, 128, 3, True),
        12: (128, 128, 3, False), 16: (128, 256, 3, True)}  # fmt: skip
_VGG_SOURCE = (
    "take vgg_normalised_conv3_1.pth of github.com/pietrocarbo/deep-transfer (Apache-2.0) and save its "
    "tensors with safetensors, or set perceptual_weight=0"
)


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


class VggFeatures(nn.Module):
    """Activations of VGG-19, normalised to a mean of 1 (Gatys et al. 2016), from conv1_1 to conv3_1.

    `file` is a safetensors file with keys `0.weight` … `16.bias`: a 1×1 convolution that brings RGB in 0…1
    to the network's own BGR, then five of 3×3 behind reflecting borders. Raises ModelError where it is
    missing, or a weight is missing or has the wrong shape.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(i, o, k) for i, o, k, _ in _VGG.values())
        tensors = _load_vgg(file)
        for conv, index in zip(self.convs, _VGG, strict=True):
            for kind, parameter in conv.named_parameters():
                name = f"{index}.{kind}"
                if name not in tensors or tensors[name].shape != parameter.shape:
                    shape = tuple(parameter.shape)
                    raise ModelError(f"{file} holds no VGG-19: {name} of {shape} is missing; {_VGG_SOURCE}.")
                parameter.data = tensors[name].clone()
        self.requires_grad_(False)

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """RGB (N, 3, H, W) in 0…1 to five maps after ReLU, of 64, 64, 128, 128, 256 channels."""
        first, *rest = self.convs
        x, outputs = first(rgb), []
        for conv, (*_shape, pooled) in zip(rest, list(_VGG.values())[1:], strict=True):
            x = F.max_pool2d(x, 2, ceil_mode=True) if pooled else x
            x = F.relu(conv(F.pad(x, (1, 1, 1, 1), mode="reflect")))
            outputs.append(x)
        return outputs

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """The perceptual loss of two batches: the five maps' mean squared differences, averaged."""
        pairs = zip(self(x), self(y), strict=True)
        return torch.stack([F.mse_loss(fx, fy) for fx, fy in pairs]).mean()


def _load_vgg(file: Path) -> dict[str, Tensor]:
    """The file's tensors; ModelError that says where to get one."""
    if not file.is_file():
        missing = f"{file} is missing" if file.name else "none is named"
        raise ModelError(f"vgg_features must name VGG-19's weights, but {missing}; {_VGG_SOURCE}.")
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ModelError(f"{file} is no safetensors file ({error}); {_VGG_SOURCE}.") from error


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _weight(tensors: dict[str, Tensor], name: str, shape: torch.Size, file: Path) -> Tensor:
    if name not in tensors or tensors[name].shape != shape:
        raise ModelError(f"{file} is no LPIPS weight file for AlexNet: {name} of {tuple(shape)} is missing.")
    return tensors[name].clone()
