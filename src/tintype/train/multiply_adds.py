"""Counts the multiply-adds of an ONNX graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

COUNTED_AT = 256  # pixels: height and width of the input whose multiply-adds are counted
_SMALL = 4096  # elements up to which a constant may be a part of reckoning with shapes
_ROUNDS = 50  # of folding and inferring; each brings the shapes known so far one Resize or Pad further

Shapes = Mapping[str, tuple[int | None, ...]]


def count_multiply_adds(path: Path, size: int = COUNTED_AT) -> int | None:
    """Multiplications of convolutions and matrix products for one picture of `size` × `size`.

    From the shapes that ONNX infers; None where one of them hangs on what the picture holds.
    """
    model = onnx.load(path)
    sizes: dict[str, int] = {}
    for value in sorted(model.graph.input, key=lambda value: value.name != "L"):  # the rest is sized as L is
        axes = value.type.tensor_type.shape.dim
        if value.name == "L":
            named = zip(axes, (1, 1, size, size), strict=True)
            sizes = {axis.dim_param: n for axis, n in named if axis.dim_param}
        for axis in axes:
            if axis.dim_param in sizes:
                axis.dim_value = sizes[axis.dim_param]
    del model.graph.value_info[:]  # what another tool inferred with names for sizes would stay as it is
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    shapes = _shapes(model)
    for _ in range(_ROUNDS):
        if not _fold(model, shapes):
            break
        shapes = _shapes(model)
    try:
        return sum(_products(node, shapes) for node in model.graph.node)
    except (KeyError, TypeError, IndexError):
        return None


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int | None, ...]]:
    """The shape of every tensor as far as it can be inferred, None for a side that cannot."""
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes: dict[str, tuple[int | None, ...]] = {
        value.name: tuple(
            a.dim_value if a.HasField("dim_value") else None for a in value.type.tensor_type.shape.dim
        )
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.HasField("shape")
    }
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _fold(model: onnx.ModelProto, shapes: Shapes) -> int:
    """Replace small nodes that stand for constants by these, in place; how many there were."""
    values = {
        t.name: numpy_helper.to_array(t) for t in model.graph.initializer if math.prod(t.dims) <= _SMALL
    }
    kept = []
    for node in model.graph.node:
        found = _value(node, values, shapes)
        if found is None:
            kept.append(node)
            continue
        values[node.output[0]] = found
        model.graph.initializer.append(numpy_helper.from_array(found, node.output[0]))
    folded = len(model.graph.node) - len(kept)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return folded


def _value(node: Any, values: Mapping[str, Any], shapes: Shapes) -> Any:
    """What a node gives, where that is a small constant; else None."""
    if node.op_type == "Shape":
        part = {attribute.name: attribute.i for attribute in node.attribute}
        shape = shapes.get(node.input[0], (None,))
        return None if None in shape else np.array(shape[part.get("start", 0) : part.get("end")], np.int64)
    inputs = [name for name in node.input if name]
    if len(node.output) != 1 or any(name not in values for name in inputs):
        return None
    (found,) = ReferenceEvaluator(node).run(None, {name: values[name] for name in inputs})
    return np.asarray(found) if np.size(found) <= _SMALL else None


def _products(node: Any, shapes: Mapping[str, tuple[Any, ...]]) -> int:
    """Multiplications of one node. TypeError or KeyError where a shape is not known."""
    if node.op_type == "Conv":
        return math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type == "ConvTranspose":
        return math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
    if node.op_type in ("MatMul", "Gemm"):
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        inner: int = shapes[node.input[0]][-2 if transposed else -1]
        return math.prod(shapes[node.output[0]]) * inner
    return 0
