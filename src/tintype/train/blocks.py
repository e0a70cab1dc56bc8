"""Network parts that recipes share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from tintype.errors import ModelError


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding: at stride 2 and even sizes, right and bottom only."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(c_in, c_out, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] == 2 and self.kernel_size[0] == 3:
            if torch.onnx.is_in_onnx_export():
                return _PaddedConv.apply(x, self.weight, self.bias, self.groups)  # type: ignore[no-untyped-call]
            x = F.pad(x, (0, 1, 0, 1))
        return super().forward(x)


class _PaddedConv(torch.autograd.Function):
    """`SameConv` at stride 2 as one node of an ONNX graph, whose Conv can pad one side alone.

    As two nodes it is slower: onnxruntime changes the layout before and after the padding.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int) -> Tensor:
        return F.conv2d(F.pad(x, (0, 1, 0, 1)), weight, bias, 2, groups=groups)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, bias: Any, groups: int) -> Any:
        return g.op("Conv", x, weight, bias, group_i=groups, pads_i=[0, 0, 1, 1], strides_i=[2, 2])


class InvertedResidual(nn.Module):
    """MobileNetV2's block without BatchNorm (folded): expand 1×1, depthwise 3×3, project 1×1."""

    def __init__(self, c_in: int, c_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = c_in * expansion
        self.expand = SameConv(c_in, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv(hidden, hidden, 3, stride, groups=hidden)
        self.project = SameConv(hidden, c_out, 1)
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.expand(x)) if self.expand is not None else x
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


# MobileNetV2 1.0 (Sandler et al. 2018, table 2): expansion, channels, repeats, first stride.
_MOBILENET_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                 (6, 320, 1, 1))  # fmt: skip


class MobileNetV2(nn.Module):
    """MobileNetV2's convolutions for one-channel input, giving features at strides 4, 8, 16 and 32."""

    channels = (24, 32, 96, 320)

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(1, 32, 3, 2)
        blocks, self._taps, c_in = [], [], 32
        for expansion, c_out, repeats, first_stride in _MOBILENET_V2:
            for i in range(repeats):
                blocks.append(InvertedResidual(c_in, c_out, first_stride if i == 0 else 1, expansion))
                c_in = c_out
            if c_out in self.channels:
                self._taps.append(len(blocks) - 1)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (N, 1, H, W) in −1…1 to features of 24, 32, 96, 320 channels at strides 4, 8, 16, 32."""
        features, x = [], F.relu6(self.stem(x))
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
                    key = f"{i:02d}.{kind}"
                    if key not in tensors:
                        raise ModelError(f"The encoder weights lack {key}: a folded MobileNetV2 is needed.")
                    value = tensors[key]
                    if i == 0 and kind == "weight":
                        value = value.sum(1, keepdim=True)
                    if value.shape != parameter.shape:
                        shapes = f"{tuple(value.shape)} instead of {tuple(parameter.shape)}"
                        raise ModelError(f"The encoder weight {key} has shape {shapes}.")
                    parameter.copy_(value)


def separable(c_in: int, c_out: int) -> nn.Sequential:
    """Depthwise 3×3 then 1×1 convolution, BatchNorm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in, bias=False),
        nn.Conv2d(c_in, c_out, 1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(),
    )


class SelfAttention(nn.Module):
    """Self-attention over all places of a map (N, C, H, W): γ·o + x (Zhang et al. 2019, SAGAN).

    Queries and keys have C / 8 channels, all projections spectral normalisation; γ starts at 0, so the block
    starts as the identity. Memory grows with (H·W)² where torch or the runtime does not fuse it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(1, channels // 8)
        self.query, self.key, self.value = (
            spectral_norm(nn.Conv2d(channels, width, 1)) for width in (narrow, narrow, channels)
        )
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (f(x).flatten(2).transpose(1, 2) for f in (self.query, self.key, self.value))  # (N, HW, c)
        if self.training:
            # torch's fused kernels want queries as wide as values; the zeros cost less than the plain path.
            q, k = (F.pad(t, (0, v.shape[-1] - t.shape[-1]))[:, None] for t in (q, k))
            v = v[:, None]  # … and four axes
        o = F.scaled_dot_product_attention(q, k, v, scale=1.0)  # SAGAN does not scale
        return self.gamma * o.transpose(1, 2).reshape(x.shape) + x


def area_resize(x: Tensor, short: int, multiple: int) -> Tensor:
    """x (N, C, H, W) by area averaging to `short` on the shorter side, in its shape, multiples of `multiple`.

    Written as two matrix products, which the exporter takes for any H and W; at the size sought it is exact.
    """
    height, width = (torch.ones_like(line).sum() for line in (x[0, 0, :, 0], x[0, 0, 0, :]))
    scale = short / torch.minimum(height, width)
    rows, columns = (
        _area_weights(n, ((n * scale / multiple).round() * multiple).clamp(min=multiple))
        for n in (height, width)
    )
    return rows @ x @ columns.t()


def _area_weights(n_in: Tensor, n_out: Tensor) -> Tensor:
    """Row i of (n_out, n_in) holds the share of each input pixel in output pixel i."""
    step = n_in / n_out
    pixel = torch.arange(n_in, device=n_in.device)[None]  # type: ignore[call-overload]
    start = torch.arange(n_out, device=n_in.device)[:, None] * step  # type: ignore[call-overload]
    covered = torch.minimum(start + step, pixel + 1) - torch.maximum(start, pixel)
    return covered.clamp(min=0) / step
