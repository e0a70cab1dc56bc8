"""What several tests share: a tiny model and pictures to colour."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tintype.cards import ModelCard

STRIDE = 4


def write_tiny_model(folder: Path, name: str = "tiny", weights: tuple[float, float] = (0.5, -0.8)) -> Path:
    """A model whose ab is a linear function of L, a quarter of its size, with its card."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.array(weights, np.float32).reshape(2, 1, 1, 1)
    bias = np.array([-50 * weights[0] + 5, -50 * weights[1] + 20], np.float32)
    pool = helper.make_node("AveragePool", ["L"], ["small"], kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2)
    nodes = [pool, helper.make_node("Conv", ["small", "kernel", "bias"], ["ab"])]
    tensors = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")]
    L = helper.make_tensor_value_info("L", TensorProto.FLOAT, ["N", 1, "H", "W"])
    ab = helper.make_tensor_value_info("ab", TensorProto.FLOAT, ["N", 2, "h", "w"])
    graph = helper.make_graph(nodes, name, [L], [ab], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    data = path.read_bytes()
    card = ModelCard(
        name=name, version="1", description="A linear function of L", recipe="none", license="CC0-1.0",
        sha256=hashlib.sha256(data).hexdigest(), size=64, multiple=32, stride=STRIDE, parameters=4,
        file_bytes=len(data),
    )  # fmt: skip
    path.with_suffix(".toml").write_text(card.to_toml(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a tiny ONNX model with its card; ab = (0.5 L − 20, −0.8 L + 60) at a quarter of the size."""
    return write_tiny_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def grey_photo() -> NDArray[np.uint8]:
    """A grey photograph (300, 451) uint8 with fine detail, dark and bright parts."""
    from PIL import Image
    from skimage import data

    return np.asarray(Image.fromarray(data.chelsea()).convert("L"))
