"""The contract between a model file and the runtime."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tintype import running
from tintype.arguments import PROVIDER_NAMES
from tintype.cards import ModelCard, find_model, load_card
from tintype.errors import ModelError, SettingsError
from tintype.session import PROVIDERS, Session


def save_model(path, inputs, outputs, nodes, constants=()):
    def values(pairs):
        return [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in pairs]

    graph = helper.make_graph(nodes, "g", values(inputs), values(outputs), constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return ModelCard(name="m", version="1", description="", recipe="", license="", sha256=digest, path=path)


def test_runs_a_batch(tiny_model):
    L = np.linspace(0, 100, 2 * 64 * 96, dtype=np.float32).reshape(2, 1, 64, 96)
    ab = Session(load_card(tiny_model), threads=1).run(L)
    assert ab.shape == (2, 2, 16, 24)
    small = L.reshape(2, 16, 4, 24, 4).mean((2, 4))
    np.testing.assert_allclose(ab[:, 0], 0.5 * small - 20, atol=1e-3)


@pytest.mark.parametrize(
    ("told", "asked", "expected"),
    [
        ("150000 100000", None, 2),
        ("150000 100000", 5, 5),
        ("max 100000", None, 0),  # onnxruntime's own choice
        ("800000 100000", None, 0),  # no less than the machine has
        (None, None, 0),
    ],
)
def test_a_containers_share_of_the_processors_bounds_the_threads(
    monkeypatch, tmp_path, tiny_model, told, asked, expected
):
    if told is not None:
        (tmp_path / "cpu.max").write_text(f"{told}\n")
    monkeypatch.setattr(running, "_GROUP", tmp_path)
    monkeypatch.setattr(running, "_allowed", lambda: 8)
    options = []
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *a, **k: options.append(a[1]) or real(*a, **k)
    )
    Session(load_card(tiny_model), threads=asked)
    assert options[0].intra_op_num_threads == expected
    assert running.processors() == (2 if told == "150000 100000" else 8)


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


def scaled_model(path, kind=FLOAT, shape=("N", 1, 1, 1)):
    """ab = scale · L, `scale` being a further input."""
    nodes = [
        helper.make_node("Mul", ["L", "scale"], ["one"]),
        helper.make_node("Concat", ["one", "one"], ["ab"], axis=1),
    ]
    inputs = [("L", FLOAT, ["N", 1, "H", "W"]), ("scale", kind, list(shape))]
    card = save_model(path, inputs, [("ab", FLOAT, ["N", 2, "H", "W"])], nodes)
    return dataclasses.replace(card, stride=1, inputs={"scale": {"default": 0.5, "description": "a factor"}})


def test_a_further_input_has_the_default_of_the_card(tmp_path):
    session = Session(scaled_model(tmp_path / "m.onnx"), threads=1)
    assert session.inputs == {"scale": ("N", 1, 1, 1)}
    L = np.full((2, 1, 8, 8), 40, np.float32)
    assert (session.run(L) == 20).all()
    assert (session.run(L, scale=0.25) == 10).all()
    each = session.run(L, scale=np.array([1, 2], np.float32).reshape(2, 1, 1, 1))
    assert (each[0] == 40).all()
    assert (each[1] == 80).all()


def test_a_further_input_that_does_not_fit_is_named(tmp_path):
    session = Session(scaled_model(tmp_path / "m.onnx"), threads=1)
    L = np.zeros((2, 1, 8, 8), np.float32)
    with pytest.raises(ModelError, match="m takes no vividness"):
        session.run(L, vividness=1.0)
    with pytest.raises(ModelError, match=r"takes scale of shape \(2, 1, 1, 1\), not \(3,\)"):
        session.run(L, scale=np.zeros(3))


def test_a_card_and_its_graph_must_agree_on_the_inputs(tmp_path):
    card = scaled_model(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="no default: scale"):
        Session(dataclasses.replace(card, inputs={}))
    two = card.inputs | {"hint_ab": {"default": 0.0}}
    with pytest.raises(ModelError, match="has no input hint_ab"):
        Session(dataclasses.replace(card, inputs=two))
    with pytest.raises(ModelError, match="must be float32, sized as L is"):
        Session(scaled_model(tmp_path / "other.onnx", shape=("K", 1, 1, 1)))


def shares_model(path, channels=3):
    """A graph with the further outputs: shares of three bins, and these."""
    nodes = [
        helper.make_node("Concat", ["L", "L"], ["ab"], axis=1),
        helper.make_node("Concat", ["L"] * channels, ["first"], axis=1),
        helper.make_node("Transpose", ["first"], ["bin_probs"], perm=[0, 2, 3, 1]),
        helper.make_node("ConstantOfShape", ["shape"], ["bins"]),
    ]
    sizes = helper.make_tensor("shape", TensorProto.INT64, [2], [3, channels - 1])
    outputs = [("ab", FLOAT, ["N", 2, "H", "W"]), ("bin_probs", FLOAT, None), ("bins", FLOAT, None)]
    card = save_model(path, [("L", FLOAT, ["N", 1, "H", "W"])], outputs, nodes, [sizes])
    return dataclasses.replace(card, stride=1, outputs={"bin_probs": {}, "bins": {}})


def test_further_outputs_come_when_asked_for(tmp_path):
    session = Session(shares_model(tmp_path / "m.onnx"), threads=1)
    assert session.outputs == {"bin_probs", "bins"}
    L = np.random.default_rng(0).random((2, 1, 8, 4), np.float32)
    found = session.run_for(("bins", "bin_probs"), L)
    assert list(found) == ["bins", "bin_probs"]
    assert found["bins"].shape == (3, 2)
    np.testing.assert_array_equal(found["bin_probs"], np.repeat(L[:, 0, ..., None], 3, -1))
    assert session.run(L).shape == (2, 2, 8, 4)


def test_a_further_output_that_is_not_there_is_named(tmp_path, tiny_model):
    L = np.zeros((1, 1, 64, 64), np.float32)
    tiny = load_card(tiny_model)
    assert Session(tiny, threads=1).outputs == frozenset()
    with pytest.raises(ModelError, match="tiny gives no bin_probs, bins"):
        Session(tiny, threads=1).run_for(("ab", "bins", "bin_probs"), L)
    with pytest.raises(ModelError, match="has no output bins, as its card says"):
        Session(dataclasses.replace(tiny, outputs={"bins": {}}))
    odd = Session(shares_model(tmp_path / "m.onnx", channels=4), threads=1)
    with pytest.raises(ModelError, match=r"gave bins of shape \(3, 3\) instead of \(3, 2\)"):
        odd.run_for(("bins",), L)


def test_the_named_provider_is_used_or_an_error(tiny_model, monkeypatch):
    card = load_card(tiny_model)
    assert Session(card, provider="cpu").provider == "cpu"
    with pytest.raises(SettingsError, match="no provider 'gpu'; choose from cpu, cuda"):
        Session(card, provider="gpu")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ModelError, match=r"tensorrt \(it has cpu\); it comes with onnxruntime-gpu"):
        Session(card, provider="tensorrt")


def test_a_provider_that_cannot_start_is_no_reason_to_go_on_without_it(tiny_model, monkeypatch):
    """onnxruntime itself warns and computes on the processor, as where CUDA's libraries are missing."""

    class FallsBack(onnxruntime.InferenceSession):
        def __init__(self, model, options, providers):
            super().__init__(model, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(PROVIDERS.values()))
    monkeypatch.setattr(onnxruntime, "InferenceSession", FallsBack)
    with pytest.raises(ModelError, match="has CUDAExecutionProvider but could not start it"):
        Session(load_card(tiny_model), provider="cuda")


def test_the_command_line_knows_all_providers():
    assert tuple(PROVIDERS) == PROVIDER_NAMES


def test_a_model_that_cannot_be_read_is_told(tiny_model, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    card = find_model(tiny_model)
    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(ModelError, match=r"cannot be read: permission denied \(.*onnx\)\.$"):
        Session(card)


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_an_answer_that_is_no_number_is_refused(tmp_path, weight):
    inputs, outputs = [("L", FLOAT, ["N", 1, "H", "W"])], [("ab", FLOAT, ["N", 2, "H", "W"])]
    constant = helper.make_tensor("weight", FLOAT, [1, 2, 1, 1], [1.0, weight])
    card = save_model(
        tmp_path / "m.onnx", inputs, outputs, [helper.make_node("Mul", ["L", "weight"], ["ab"])], [constant]
    )
    session = Session(dataclasses.replace(card, stride=1), threads=1)
    with pytest.raises(ModelError, match=r"m\.onnx gave ab that is no number \(NaN or infinite\)"):
        session.run(np.ones((1, 1, 8, 8), np.float32))


def test_a_network_of_one_size_says_so_on_another(tmp_path):
    kernel = helper.make_tensor("kernel", TensorProto.FLOAT, [2, 1, 1, 1], [0.1, 0.2])
    card = save_model(
        tmp_path / "m.onnx",
        [("L", TensorProto.FLOAT, ["N", 1, 64, 64])],
        [("ab", TensorProto.FLOAT, ["N", 2, 64, 64])],
        [helper.make_node("Conv", ["L", "kernel"], ["ab"])],
        [kernel],
    )
    session = Session(dataclasses.replace(card, stride=1), threads=1)
    assert session.run(np.zeros((1, 1, 64, 64), np.float32)).shape == (1, 2, 64, 64)
    with pytest.raises(ModelError, match=r"m\.onnx failed on L of 64 × 96; its graph does not take any size"):
        session.run(np.zeros((1, 1, 64, 96), np.float32))
