"""Network parts that recipes share."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.parametrizations import spectral_norm


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding: at stride 2 and even sizes more of it right and below."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(c_in, c_out, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        missing = self.kernel_size[0] - 2  # rows and columns, of an even size at stride 2
        if self.stride[0] == 2 and missing > 0:
            before, after = missing // 2, missing - missing // 2
            if torch.onnx.is_in_onnx_export():
                return _PaddedConv.apply(x, self.weight, self.bias, self.groups, before, after)  # type: ignore[no-untyped-call]
            x = F.pad(x, (before, after, before, after))
        on_cpu = x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        if self.groups > 1 and self.training and on_cpu:
            return self._quick_to_learn(x)
        return super().forward(x)

    def _quick_to_learn(self, x: Tensor) -> Tensor:
        """A depthwise convolution by what has quick gradients in bfloat16: no stride, 3×3 weights."""
        if self.kernel_size[0] == 5:
            y = _Depthwise5.apply(x, self.weight, self.bias, self.padding[0])  # type: ignore[no-untyped-call]
        else:
            y = F.conv2d(x, self.weight, self.bias, 1, self.padding, groups=self.groups)
        return y.movedim(1, 3)[:, ::2, ::2].contiguous().movedim(3, 1) if self.stride[0] == 2 else y


class _Depthwise5(torch.autograd.Function):
    """A depthwise 5×5 convolution whose weights' gradient is that of four 3×3 ones at its corners.

    In bfloat16 oneDNN (3.11) takes three to ten times as long for the gradient of 5×5 weights.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)  # type: ignore[untyped-decorator]
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return F.conv2d(x, weight, bias, 1, padding, groups=len(weight))

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        (x, weight), p, (grad,) = ctx.saved_tensors, ctx.padding, grads
        height, width = grad.shape[2:]
        padded, small = F.pad(x, (p, p, p, p)), weight[:, :, :3, :3].contiguous()
        weights = torch.empty_like(weight)
        for i, j in itertools.product((0, 2), (0, 2)):
            part = padded[:, :, i : i + height + 2, j : j + width + 2]
            part = part.contiguous(memory_format=torch.channels_last)
            weights[:, :, i : i + 3, j : j + 3] = _depthwise_gradient(grad, part, small, 0, (False, True))[1]
        before = (
            _depthwise_gradient(grad, x, weight, p, (True, False))[0] if ctx.needs_input_grad[0] else None
        )
        return before, weights, grad.sum((0, 2, 3)), None


def _depthwise_gradient(
    grad: Tensor, x: Tensor, weight: Tensor, padding: int, of: tuple[bool, bool]
) -> tuple[Tensor, ...]:
    """Gradients of a depthwise convolution's x and weights, as far as asked for."""
    around = [padding, padding]
    return torch.ops.aten.convolution_backward(
        grad, x, weight, None, [1, 1], around, [1, 1], False, [0, 0], len(weight), [*of, False]
    )


class _PaddedConv(torch.autograd.Function):
    """`SameConv` at stride 2 as one node of an ONNX graph, whose Conv can pad its sides differently.

    As two nodes it is slower: onnxruntime changes the layout before and after the padding.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, before: int, after: int
    ) -> Tensor:
        return F.conv2d(F.pad(x, (before, after, before, after)), weight, bias, 2, groups=groups)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, bias: Any, groups: int, before: int, after: int) -> Any:
        pads = [before, before, after, after]
        return g.op("Conv", x, weight, bias, group_i=groups, pads_i=pads, strides_i=[2, 2])


def separable(c_in: int, c_out: int) -> nn.Sequential:
    """Depthwise 3×3 then 1×1 convolution, BatchNorm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in, bias=False),
        nn.Conv2d(c_in, c_out, 1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(),
    )


def held_fast(network: nn.Module, x: Tensor) -> Tensor:
    """What a network answers to x while its own weights gather no gradient: a rival that is to be outdone."""
    fixed = {name: parameter.detach() for name, parameter in network.named_parameters()}
    return functional_call(network, fixed, (x,))


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
