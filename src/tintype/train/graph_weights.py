"""The weights in an exported graph: stored in half the space, and read back to train on."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from torch import Tensor

from tintype.cards import ModelCard, read_model
from tintype.errors import ModelError

_WORTH_HALVING = 4096  # elements from which a tensor becomes float16: depthwise kernels are small and touchy
_HALVED = ":float16"  # ends the name of a tensor that is stored so
_WRAPPED = "model."  # begins the names of a recipe whose graph has further outputs


def store_as_float16(model: onnx.ModelProto) -> None:
    """Store the weights of an ONNX model as float16, in place; loading makes float32 of them."""
    casts = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _WORTH_HALVING:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ModelError(f"The weights {tensor.name} are too large for float16; export as float32.")
        name, half = tensor.name, tensor.name + _HALVED
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(onnx.helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def read_graph(card: ModelCard) -> dict[str, Tensor]:
    """The tensors of an exported model by their names in its recipe, float32; BatchNorm is folded there.

    Raises ModelError where the file is not its card's, or computes in 8 bits.
    """
    tensors = onnx.load_from_string(read_model(card)).graph.initializer
    if any(tensor.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8) for tensor in tensors):
        raise ModelError(f"{card.name} computes in 8 bits; start from the model that it was made of.")
    weights = {}
    for tensor in tensors:
        value = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        name = tensor.name.removesuffix(_HALVED).removeprefix(_WRAPPED)
        weights[name] = value.float() if value.is_floating_point() else value
    return weights
