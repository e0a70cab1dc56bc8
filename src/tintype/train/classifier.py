"""A classifier from a weight file and a description of its graph, to score recoloured pictures with.

The description is a JSON file `NAME.ops.json` beside `NAME.safetensors`: a list of TensorFlow Lite's
operations with the numbers of their tensors, stride, activation and the key of their weights; BatchNorm is
folded in.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tintype.errors import ModelError

SOURCE = (
    "take a classifier of github.com/google-coral/test_data (Apache-2.0), dequantise it and save its weights "
    "with safetensors and its operations as NAME.ops.json"
)
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_AS_IT_IS = ("QUANTIZE", "RESHAPE", "SOFTMAX")  # none of them changes which class comes first
_POOLS = ("MEAN", "AVERAGE_POOL_2D")
_ACTIVATIONS = {None: lambda x: x, "relu": F.relu, "relu6": F.relu6}


class Classifier(nn.Module):
    """A convolutional classifier; `classes` and `width` are how many classes and features it has.

    Raises ModelError where a file is missing, holds an operation that is unknown here, or a weight of the
    wrong shape.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._operations = _read_operations(file)
        tensors = _read_tensors(file)
        self.convs = nn.ModuleDict()
        for operation in self._operations:
            if operation["op"] in _CONVOLUTIONS:
                self.convs[operation["id"]] = _convolution(operation, tensors, file)
        *_, last = (o["id"] for o in self._operations if o["op"] in _CONVOLUTIONS)
        self._last = last
        self.classes, self.width = tensors[f"{last}.weight"].shape[:2]
        self.requires_grad_(False)

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """RGB (N, 3, H, W) in 0…1, best at 224 × 224, to logits (N, classes) and features (N, width)."""
        first = self._operations[0]["in"][0]
        values: dict[int, Tensor] = {first: 2 * rgb - 1}
        features = rgb
        for operation in self._operations:
            inputs = [values[number] for number in operation["in"]]
            if operation.get("id") == self._last:
                features = inputs[0]
            values[operation["out"]] = self._perform(operation, inputs)
        logits = values[self._operations[-1]["out"]]
        return logits.flatten(1), features.flatten(1)

    def _perform(self, operation: dict[str, Any], inputs: list[Tensor]) -> Tensor:
        kind, x = operation["op"], inputs[0]
        if kind in _CONVOLUTIONS:
            x = self.convs[operation["id"]](_pad_same(x, operation))
            return _ACTIVATIONS[operation["act"]](x)
        if kind == "ADD":
            return x + inputs[1]
        return x.mean((2, 3), keepdim=True) if kind in _POOLS else x


def _pad_same(x: Tensor, operation: dict[str, Any]) -> Tensor:
    """TensorFlow's "SAME" padding, whose odd pixel lies below and at the right."""
    kernel, stride = operation["shape"][-1], operation["stride"]
    total = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:]]
    (top, left), (bottom, right) = ([t // 2 for t in total], [t - t // 2 for t in total])
    return F.pad(x, (left, right, top, bottom))


def _convolution(operation: dict[str, Any], tensors: dict[str, Tensor], file: Path) -> nn.Conv2d:
    c_out, c_in, *kernel = operation["shape"]
    groups = operation["groups"]
    conv = nn.Conv2d(c_in * groups, c_out, kernel, operation["stride"], groups=groups)
    for kind, parameter in conv.named_parameters():
        name = f"{operation['id']}.{kind}"
        if name not in tensors or tensors[name].shape != parameter.shape:
            raise ModelError(
                f"{file} is not as its .ops.json says: {name} of {tuple(parameter.shape)} is missing."
            )
        parameter.data = tensors[name].clone()
    return conv


def _read_operations(file: Path) -> list[dict[str, Any]]:
    if not file.name:
        raise ModelError(f"A classifier is needed, but none is named; {SOURCE}.")
    path = file.with_suffix(".ops.json")
    if not path.is_file():
        raise ModelError(f"The classifier {file} needs {path.name} beside it; {SOURCE}.")
    try:
        operations: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        for operation in operations:
            convolution = operation["op"] in _CONVOLUTIONS
            known = convolution or operation["op"] in (*_AS_IT_IS, *_POOLS, "ADD")
            plain = operation.get("dilation", 1) == 1 and operation.get("act") in _ACTIVATIONS
            if not (known and plain and operation.get("padding", "SAME") == "SAME"):
                raise ModelError(f"{path} holds an operation that is unknown here: {operation}.")
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise ModelError(f"{path} is no list of operations; {SOURCE}.") from None
    if not any(operation["op"] in _CONVOLUTIONS for operation in operations):
        raise ModelError(f"{path} holds no convolution; {SOURCE}.")
    return operations


def _read_tensors(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise ModelError(f"There is no classifier {file}; {SOURCE}.")
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ModelError(f"{file} is no safetensors file ({error}); {SOURCE}.") from error
