"""Classifiers' convolutions as encoders: one-channel input, features at strides 4, 8, 16 and 32.

BatchNorm is folded into weights and biases, so that an encoder fine-tunes as it was published, in any batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tintype.errors import ModelError
from tintype.train.blocks import SameConv

Activation = Callable[[Tensor], Tensor]
EncoderName = Literal[
    "mobilenet_v2", "edgetpu_075", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"
]


class InvertedResidual(nn.Module):
    """MobileNetV2's block without BatchNorm (folded): expand 1×1, depthwise k×k, project 1×1."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        stride: int,
        expansion: int,
        *,
        kernel: int = 3,
        residual: bool = True,
        activation: Activation = F.relu6,
    ) -> None:
        super().__init__()
        hidden = c_in * expansion
        self.expand = SameConv(c_in, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = SameConv(hidden, c_out, 1)
        self.residual = residual and stride == 1 and c_in == c_out
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.expand(x)) if self.expand is not None else x
        y = self.project(self.activation(self.depthwise(y)))
        return x + y if self.residual else y


class FusedResidual(nn.Module):
    """MobileNet-EdgeTPU's block at large sizes: expand by a full 3×3 convolution, project 1×1."""

    def __init__(self, c_in: int, c_out: int, stride: int, expansion: int, *, residual: bool) -> None:
        super().__init__()
        self.expand = SameConv(c_in, c_in * expansion, 3, stride)
        self.project = SameConv(c_in * expansion, c_out, 1)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(F.relu(self.expand(x)))
        return x + y if self.residual else y


class Encoder(nn.Module):
    """A stem and blocks, of which some give the features: four maps, at strides 4, 8, 16 and 32."""

    title: str
    """What weights for it are called."""
    setting: str
    """How a recipe's settings call it."""
    channels: tuple[int, int, int, int]
    """Of the four maps."""
    activation: Activation

    def __init__(self, stem: nn.Module, blocks: Iterable[nn.Module], taps: Iterable[int]) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = nn.ModuleList(blocks)
        self._taps = tuple(taps)

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (N, 1, H, W) in −1…1, H and W multiples of 32, to maps of `channels` at strides 4, 8, 16, 32."""
        features, x = [], type(self).activation(self.stem(x))
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self._taps:
                features.append(x)
        return features

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the weights of an ImageNet classifier, BatchNorm folded in, keys `NN.weight`, `NN.bias`.

        NN counts the convolutions in graph order. The stem's weights are summed over R, G and B, which
        equals feeding it a grey picture. Raises ModelError where a key is missing or a shape differs.
        """
        convs = [m for m in self.modules() if isinstance(m, SameConv)]
        with torch.no_grad():
            for i, conv in enumerate(convs):
                for kind, parameter in conv.named_parameters():
                    parameter.copy_(self._fitting(tensors, f"{i:02d}.{kind}", parameter))

    def _fitting(self, tensors: Mapping[str, Tensor], key: str, parameter: Tensor) -> Tensor:
        needed = f"encoder={self.setting} needs a folded {self.title}"
        if key not in tensors:
            raise ModelError(f"The encoder weights lack {key}: {needed}.")
        value = tensors[key]
        if key == "00.weight":
            value = value.sum(1, keepdim=True)
        if value.shape != parameter.shape:
            shapes = f"{tuple(value.shape)} instead of {tuple(parameter.shape)}"
            raise ModelError(f"The encoder weight {key} has shape {shapes}: {needed}.")
        return value


# MobileNetV2 1.0 (Sandler et al. 2018, table 2): expansion, channels, repeats, first stride.
_MOBILENET_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                 (6, 320, 1, 1))  # fmt: skip


class MobileNetV2(Encoder):
    """MobileNetV2 1.0 (Sandler et al. 2018) without its last 1×1 convolution."""

    title = "MobileNetV2 1.0"
    setting = "mobilenet_v2"
    channels = (24, 32, 96, 320)
    activation = staticmethod(F.relu6)

    def __init__(self) -> None:
        stem, blocks, taps, c_in = SameConv(1, 32, 3, 2), list[nn.Module](), list[int](), 32
        for expansion, c_out, repeats, first_stride in _MOBILENET_V2:
            for i in range(repeats):
                blocks.append(InvertedResidual(c_in, c_out, first_stride if i == 0 else 1, expansion))
                c_in = c_out
            if c_out in self.channels:
                taps.append(len(blocks) - 1)
        super().__init__(stem, blocks, taps)


# MobileNet-EdgeTPU 0.75: fused, channels, repeats, first stride, kernel, whether features are taken. The
# first block of a row expands 8 times and has no residual, the others expand 4 times.
_EDGETPU_075 = (
    (True, 24, 4, 2, 3, True), (True, 40, 4, 2, 3, True), (False, 72, 4, 2, 3, False),
    (False, 72, 4, 1, 3, True), (False, 120, 4, 2, 5, False), (False, 144, 1, 1, 3, True),
)  # fmt: skip


class MobileNetEdgeTpu075(Encoder):
    """MobileNet-EdgeTPU at 0.75 of its width (Howard and Gupta 2019) without its last 1×1 convolution.

    Its first stages have full convolutions in place of depthwise ones: more to multiply, in fewer steps.
    """

    title = "MobileNet-EdgeTPU 0.75"
    setting = "edgetpu_075"
    channels = (24, 40, 72, 144)
    activation = staticmethod(F.relu)

    def __init__(self) -> None:
        stem, blocks, taps, c_in = SameConv(1, 24, 3, 2), list[nn.Module](), list[int](), 16
        blocks.append(SameConv(24, 16, 1))
        for fused, c_out, repeats, first_stride, kernel, taken in _EDGETPU_075:
            for i in range(repeats):
                first = i == 0
                shape = c_in, c_out, first_stride if first else 1, 8 if first else 4
                blocks.append(
                    FusedResidual(*shape, residual=not first)
                    if fused
                    else InvertedResidual(*shape, kernel=kernel, residual=not first, activation=F.relu)
                )
                c_in = c_out
            if taken:
                taps.append(len(blocks) - 1)
        super().__init__(stem, blocks, taps)


# EfficientNet-Lite0 (Liu 2020): expansion, channels, repeats, first stride, kernel, whether features are
# taken. The larger ones have all channels times a width and all repeats but the first and last times a depth.
_EFFICIENTNET_LITE = (
    (1, 16, 1, 1, 3, False), (6, 24, 2, 2, 3, True), (6, 40, 2, 2, 5, True), (6, 80, 3, 2, 3, False),
    (6, 112, 3, 1, 5, True), (6, 192, 4, 2, 5, False), (6, 320, 1, 1, 3, True),
)  # fmt: skip


class EfficientNetLite(Encoder):
    """EfficientNet-Lite (Liu 2020, after Tan and Le 2019) without its last 1×1 convolution.

    MobileNetV2's blocks, more of them and wider ones, some with 5×5 kernels.
    """

    activation = staticmethod(F.relu6)
    width: float
    depth: float

    def __init__(self) -> None:
        stem, blocks, taps, c_in = SameConv(1, 32, 3, 2), list[nn.Module](), list[int](), 32
        for row, (expansion, channels, repeats, first_stride, kernel, taken) in enumerate(_EFFICIENTNET_LITE):
            c_out = _eighths(channels * self.width)
            scaled = 0 < row < len(_EFFICIENTNET_LITE) - 1
            for i in range(math.ceil(repeats * self.depth) if scaled else repeats):
                stride = first_stride if i == 0 else 1
                blocks.append(InvertedResidual(c_in, c_out, stride, expansion, kernel=kernel))
                c_in = c_out
            if taken:
                taps.append(len(blocks) - 1)
        super().__init__(stem, blocks, taps)


def _eighths(channels: float) -> int:
    """The nearest multiple of 8, but not under nine tenths."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


class EfficientNetLite0(EfficientNetLite):
    """Of 75.1% on ImageNet."""

    title = "EfficientNet-Lite0"
    setting = "efficientnet_lite0"
    channels = (24, 40, 112, 320)
    width, depth = 1.0, 1.0


class EfficientNetLite1(EfficientNetLite):
    """Of 76.7% on ImageNet."""

    title = "EfficientNet-Lite1"
    setting = "efficientnet_lite1"
    channels = (24, 40, 112, 320)
    width, depth = 1.0, 1.1


class EfficientNetLite2(EfficientNetLite):
    """Of 77.6% on ImageNet."""

    title = "EfficientNet-Lite2"
    setting = "efficientnet_lite2"
    channels = (24, 48, 120, 352)
    width, depth = 1.1, 1.2


_ALL = MobileNetV2, MobileNetEdgeTpu075, EfficientNetLite0, EfficientNetLite1, EfficientNetLite2
ENCODERS: dict[str, Callable[[], Encoder]] = {encoder.setting: encoder for encoder in _ALL}
