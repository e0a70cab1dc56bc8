"""BatchNorm folded into the convolutions before it, as exported graphs have it, and taken out again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

AT_ONCE = 16  # photographs shown at once where statistics are taken


def fold_batch_norm(model: Any) -> Any:
    """Fold every BatchNorm that follows a convolution in a `Sequential` into that convolution, in place."""
    for _, parent, i in list(_foldable(model)):
        convolution, norm = parent[i], parent[i + 1]
        transposed = isinstance(convolution, nn.ConvTranspose2d)
        parent[i], parent[i + 1] = fuse_conv_bn_eval(convolution, norm, transposed), nn.Identity()
    return model


def unfold(model: nn.Module, weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Folded `weights` as `model` has them, each BatchNorm one that changes nothing but the bias.

    Also the names of those BatchNorms, none where nothing was folded: `settle` makes them fit to be trained.
    """
    weights, unfolded = dict(weights), []
    for name, parent, i in _foldable(model):
        first, second = f"{name}.{i}" if name else str(i), f"{name}.{i + 1}" if name else str(i + 1)
        if f"{second}.running_var" in weights or f"{first}.bias" not in weights:
            continue
        bias = weights[f"{first}.bias"]
        if parent[i].bias is None:
            del weights[f"{first}.bias"]
        else:
            weights[f"{first}.bias"] = torch.zeros_like(bias)
        fresh = {
            "weight": torch.ones_like(bias),
            "bias": bias,
            "running_mean": torch.zeros_like(bias),
            "running_var": torch.ones_like(bias) - parent[i + 1].eps,
            "num_batches_tracked": torch.tensor(0),
        }
        weights |= {f"{second}.{key}": value for key, value in fresh.items()}
        unfolded.append(second)
    return weights, tuple(unfolded)


@torch.no_grad()
def settle(model: nn.Module, norms: Sequence[str], L: Tensor) -> None:
    """Give each BatchNorm of `norms`, fresh from `unfold`, the statistics of what reaches it, in place.

    L (N, 1, H, W) are pictures as in training. The model answers as before: what normalising takes away the
    BatchNorm's own scale and bias give back. Without this the first training steps would see other features.
    """
    chosen: list[Any] = [model.get_submodule(name) for name in norms]
    sums = [torch.zeros(3, norm.num_features, dtype=torch.double) for norm in chosen]

    def watch(norm: nn.Module, total: Tensor) -> Any:
        def see(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].double().movedim(1, 0).flatten(1)
            total.add_(torch.stack([torch.ones_like(x), x, x**2]).sum(2))

        return norm.register_forward_pre_hook(see)

    training, hooks = model.training, [watch(*pair) for pair in zip(chosen, sums, strict=True)]
    model.eval()
    for few in torch.split(L, AT_ONCE):
        model(few)
    for hook in hooks:
        hook.remove()
    model.train(training)
    for norm, (count, total, squares) in zip(chosen, sums, strict=True):
        mean = total / count
        variance = (squares / count - mean**2).clamp(min=0)
        norm.weight.mul_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


def _foldable(model: nn.Module) -> Iterator[tuple[str, Any, int]]:
    """Where a BatchNorm follows a convolution: the `Sequential`, its name, and the convolution's place."""
    for name, parent in model.named_modules():
        if isinstance(parent, nn.Sequential):
            for i, (first, second) in enumerate(pairwise(parent)):
                convolution = isinstance(first, nn.Conv2d | nn.ConvTranspose2d)
                if convolution and isinstance(second, nn.BatchNorm2d):
                    yield name, parent, i
