"""Distances that need a network: LPIPS, and VGG-19's features."""

from __future__ import annotations

from collections.abc import Sequence
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
# SqueezeNet 1.1's fire modules with torchvision's indices: squeezed to, expanded to twice, pooled before,
# compared after.
_SQUEEZE = {3: (16, 64, True, False), 4: (16, 64, False, True), 6: (32, 128, True, False),
            7: (32, 128, False, True), 9: (48, 192, True, True), 10: (48, 192, False, True),
            11: (64, 256, False, True), 12: (64, 256, False, True)}  # fmt: skip
LPIPS_SOURCE = (
    "save, with safetensors, torchvision's features of the network and the heads of "
    "github.com/richzhang/PerceptualSimilarity (weights v0.1, BSD-2)"
)
_VGG_SOURCE = (
    "take vgg_normalised_conv3_1.pth of github.com/pietrocarbo/deep-transfer (Apache-2.0) and save its "
    "tensors with safetensors, or set perceptual_weight=0"
)


class Lpips(nn.Module):
    """LPIPS v0.1 (Zhang et al. 2018): the perceptual distance of two pictures; 0 for equal ones.

    `features` and `heads` are safetensors files: a network's convolutions under torchvision's names, and a
    linear head for each of its `widths`. Raises ModelError where one is missing, or a weight is missing or
    has the wrong shape. A network is a subclass, which builds itself of `_conv` and says what it saw.
    """

    network: str
    widths: tuple[int, ...]
    """Channels of what is compared."""
    shift: Tensor
    scale: Tensor

    def __init__(self, features: Path, heads: Path) -> None:
        super().__init__()
        self._tensors, self._file = _load(features, f"features of {self.network}", LPIPS_SOURCE), features
        self._build()
        linear = _load(heads, f"LPIPS heads for {self.network}", LPIPS_SOURCE)
        for i, width in enumerate(self.widths):
            head = self._weight(linear, f"lin{i}.model.1.weight", torch.Size((1, width, 1, 1)), heads)
            self.register_buffer(f"head{i}", head)
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1))
        self.requires_grad_(False)
        self._tensors = {}

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Pictures (N, 3, H, W), RGB in 0…1, to distances (N,)."""
        return self.distance(self.look(x), self.look(y))

    def look(self, rgb: Tensor) -> list[Tensor]:
        """What is compared of pictures (N, 3, H, W), RGB in 0…1: maps of unit length along the channels."""
        # Channels last: pooling is slow else on a processor.
        x = ((2 * rgb - 1 - self.shift) / self.scale).contiguous(memory_format=torch.channels_last)
        return [_unit(x) for x in self._activations(x)]

    def distance(self, x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
        """The distances (N,) of what `look` gave."""
        total = x[0].new_zeros(len(x[0]))
        for i, (fx, fy) in enumerate(zip(x, y, strict=True)):
            total = total + F.conv2d((fx - fy) ** 2, getattr(self, f"head{i}")).mean((1, 2, 3))
        return total

    def _build(self) -> None:
        raise NotImplementedError

    def _activations(self, x: Tensor) -> list[Tensor]:
        raise NotImplementedError

    def _conv(self, name: str, c_in: int, c_out: int, kernel: int, stride: int, padding: int) -> nn.Conv2d:
        """A convolution with the weights of that name."""
        conv = nn.Conv2d(c_in, c_out, kernel, stride, padding)
        for kind, parameter in conv.named_parameters():
            parameter.data = self._weight(self._tensors, f"{name}.{kind}", parameter.shape, self._file)
        return conv

    def _weight(self, tensors: dict[str, Tensor], name: str, shape: torch.Size, file: Path) -> Tensor:
        if name not in tensors or tensors[name].shape != shape:
            wanted = f"{name} of {tuple(shape)} is missing"
            raise ModelError(f"{file} is no LPIPS weight file for {self.network}: {wanted}; {LPIPS_SOURCE}.")
        return tensors[name].clone()


class LpipsAlex(Lpips):
    """LPIPS with AlexNet, after each of its five ReLUs."""

    network = "AlexNet"
    widths = tuple(width for _, width, *_ in _ALEX.values())

    def _build(self) -> None:
        self.convs = nn.ModuleList(
            self._conv(f"features.{index}", *shape) for index, (*shape, _) in _ALEX.items()
        )

    def _activations(self, x: Tensor) -> list[Tensor]:
        outputs = []
        for conv, (*_shape, pooled) in zip(self.convs, _ALEX.values(), strict=True):
            x = F.relu(conv(F.max_pool2d(x, 3, 2) if pooled else x))
            outputs.append(x)
        return outputs


class LpipsSqueeze(Lpips):
    """LPIPS with SqueezeNet 1.1, after its first ReLU and six of its fire modules."""

    network = "SqueezeNet 1.1"
    widths = (64, 128, 256, 384, 384, 512, 512)

    def _build(self) -> None:
        self.first = self._conv("features.0", 3, 64, 3, 2, 0)
        self.convs = nn.ModuleList()
        c_in = 64
        for index, (narrow, wide, _, _) in _SQUEEZE.items():
            name = f"features.{index}"
            self.convs.append(self._conv(f"{name}.squeeze", c_in, narrow, 1, 1, 0))
            self.convs.append(self._conv(f"{name}.expand1x1", narrow, wide, 1, 1, 0))
            self.convs.append(self._conv(f"{name}.expand3x3", narrow, wide, 3, 1, 1))
            c_in = 2 * wide

    def _activations(self, x: Tensor) -> list[Tensor]:
        x = F.relu(self.first(x))
        outputs = [x]
        for i, (_, _, pooled, taken) in enumerate(_SQUEEZE.values()):
            squeeze, one, three = self.convs[3 * i : 3 * i + 3]
            x = F.relu(squeeze(F.max_pool2d(x, 3, 2, ceil_mode=True) if pooled else x))
            x = torch.cat([F.relu(one(x)), F.relu(three(x))], dim=1)
            outputs += [x] if taken else []
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
        tensors = _load(file, "VGG-19 (vgg_features)", _VGG_SOURCE)
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


def _load(file: Path, what: str, source: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file that holds `what`; ModelError that says where to get one."""
    if not file.is_file():
        missing = f"{file} is missing" if file.name else "none is named"
        raise ModelError(f"A weight file with {what} is needed, but {missing}; {source}.")
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ModelError(f"{file} is no safetensors file ({error}); {source}.") from error


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)
