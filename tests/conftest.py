"""What several tests share: a tiny model and pictures to colour."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tintype.cards import ModelCard

STRIDE = 4

# What is started in a script's background ignores Ctrl-C, and so would all that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


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


TELLING_BINS = ((40.0, 30.0), (-30.0, 40.0), (10.0, -50.0), (0.0, 0.0))


def write_telling_model(folder: Path) -> Path:
    """A model over four bins that takes vividness and hints and tells their shares, with its card.

    Bright places are of the first or second bin, dark ones of the third or fourth; where there is a hint, ab
    is the hint. At vividness 0 the shares are nearly even.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    pool = {"kernel_shape": [STRIDE] * 2, "strides": [STRIDE] * 2}
    nodes = [
        helper.make_node("AveragePool", ["L"], ["small"], **pool),
        helper.make_node("Conv", ["small", "kernel", "bias"], ["logits"]),
        helper.make_node("Add", ["vividness", "least"], ["sharpness"]),
        helper.make_node("Mul", ["logits", "sharpness"], ["sharp"]),
        helper.make_node("Transpose", ["sharp"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Softmax", ["last"], ["bin_probs"], axis=-1),
        helper.make_node("MatMul", ["bin_probs", "table"], ["means"]),
        helper.make_node("Transpose", ["means"], ["free"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["hint_ab", "hint_mask"], ["told_colors"]),
        helper.make_node("AveragePool", ["told_colors"], ["color_sum"], **pool),
        helper.make_node("AveragePool", ["hint_mask"], ["share"], **pool),
        helper.make_node("Add", ["share", "tiny"], ["divisor"]),
        helper.make_node("Div", ["color_sum", "divisor"], ["told"]),
        helper.make_node("Greater", ["share", "tiny"], ["is_told"]),
        helper.make_node("Where", ["is_told", "told", "free"], ["ab"]),
        helper.make_node("Mul", ["vividness", "tiny"], ["nothing"]),
        helper.make_node("Add", ["table", "nothing"], ["bins"]),
    ]
    constants = {
        "kernel": np.reshape([0.08, 0.075, -0.08, -0.075], (4, 1, 1, 1)),
        "bias": np.array([-4, -3.8, 4, 3.8]),
        "table": np.array(TELLING_BINS),
        "least": np.array(0.05),
        "tiny": np.array(1e-6),
    }
    float32 = TensorProto.FLOAT
    sizes = {"L": ["N", 1, "H", "W"], "vividness": [], "hint_ab": ["N", 2, "H", "W"],
             "hint_mask": ["N", 1, "H", "W"]}  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "telling",
        [helper.make_tensor_value_info(name, float32, shape) for name, shape in sizes.items()],
        [
            helper.make_tensor_value_info("ab", float32, ["N", 2, "h", "w"]),
            helper.make_tensor_value_info("bin_probs", float32, ["N", "h", "w", 4]),
            helper.make_tensor_value_info("bins", float32, [4, 2]),
        ],
        [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = folder / "telling.onnx"
    onnx.save(model, path)
    card = ModelCard(
        name="telling", version="1", description="Four bins by L", recipe="none", license="CC0-1.0",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(), size=64, multiple=32, stride=STRIDE,
        inputs={"vividness": {"default": 1.0}, "hint_ab": {"default": 0.0}, "hint_mask": {"default": 0.0}},
        outputs={"bin_probs": {"description": ""}, "bins": {"description": ""}},
    )  # fmt: skip
    path.with_suffix(".toml").write_text(card.to_toml(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def telling_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a tiny ONNX model that takes hints and tells the shares of its bins."""
    return write_telling_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def grey_photo() -> NDArray[np.uint8]:
    """A grey photograph (300, 451) uint8 with fine detail, dark and bright parts."""
    from PIL import Image
    from skimage import data

    return np.asarray(Image.fromarray(data.chelsea()).convert("L"))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    line = [str(mount), "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if mount is None or subprocess.run(line, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
