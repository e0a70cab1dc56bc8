"""The contract between a model file and the runtime."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tintype.cards import ModelCard, load_card
from tintype.errors import ModelError
from tintype.session import Session


def save_model(path, inputs, outputs, nodes):
    def values(pairs):
        return [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in pairs]

    graph = helper.make_graph(nodes, "g", values(inputs), values(outputs))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return ModelCard(name="m", version="1", description="", recipe="", license="", sha256=digest, path=path)


def test_runs_a_batch(tiny_model):
    L = np.linspace(0, 100, 2 * 64 * 96, dtype=np.float32).reshape(2, 1, 64, 96)
    ab = Session(load_card(tiny_model), threads=1).run(L)
    assert ab.shape == (2, 2, 16, 24)
    small = L.reshape(2, 16, 4, 24, 4).mean((2, 4))
    np.testing.assert_allclose(ab[:, 0], 0.5 * small - 20, atol=1e-3)


def test_no_onnx_at_all(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"not a model")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card = ModelCard(name="m", version="", description="", recipe="", license="", sha256=digest, path=path)
    with pytest.raises(ModelError, match=r"m\.onnx is not a model"):
        Session(card)


FLOAT = TensorProto.FLOAT


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ([("x", FLOAT, ["N", 1, "H", "W"])], [("ab", FLOAT, None)], "no float32 input 'L'"),
        (
            [("L", FLOAT, ["N", 1, "H", "W"])],
            [("y", FLOAT, ["N", 1, "H", "W"])],
            "no float32 output 'ab' of 4",
        ),
        (
            [("L", TensorProto.DOUBLE, ["N", 1, "H", "W"])],
            [("ab", TensorProto.DOUBLE, None)],
            "no float32 input",
        ),
        ([("L", FLOAT, [1, "W"])], [("ab", FLOAT, [1, "W"])], "no float32 input 'L' of 4 dimensions"),
    ],
)
def test_graphs_that_break_the_contract(tmp_path, inputs, outputs, message):
    nodes = [helper.make_node("Identity", [inputs[0][0]], [outputs[0][0]])]
    card = save_model(tmp_path / "m.onnx", inputs, outputs, nodes)
    with pytest.raises(ModelError, match=message):
        Session(card)


def test_wrong_output_size_is_said(tiny_model):
    card = dataclasses.replace(load_card(tiny_model), stride=8)
    with pytest.raises(ModelError, match="instead of"):
        Session(card).run(np.zeros((1, 1, 64, 64), np.float32))
