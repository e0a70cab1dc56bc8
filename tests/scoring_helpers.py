"""Photographs to score on, and tiny models of every kind that the evaluator meets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skimage import data

from tintype.cards import ModelCard

SIDE = 64


def write_photographs(folder: Path, count: int = 6) -> Path:
    """Crops of scikit-image's pictures as PNG files `0.png` …, 96 × 80 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [data.astronaut(), data.coffee(), data.chelsea()]
    for i in range(count):
        rgb = sources[i % 3][30 * (i // 3) : 30 * (i // 3) + 240, 60:348]
        cv2.imwrite(
            str(folder / f"{i}.png"), cv2.resize(rgb[..., ::-1], (96, 80), interpolation=cv2.INTER_AREA)
        )
    return folder


def write_model(
    folder: Path,
    name: str,
    nodes: Sequence[Any],
    tensors: dict[str, Any] | None = None,
    inputs: dict[str, tuple[Sequence[int | str], float]] | None = None,
    axes: Sequence[int | str] = ("N", 1, "H", "W"),
    **card: Any,
) -> Path:
    """A graph from `L` and `inputs` (shape and default) to `ab`, which is as large as L, with its card."""
    given = [helper.make_tensor_value_info("L", TensorProto.FLOAT, axes)]
    inputs = inputs or {}
    given += [helper.make_tensor_value_info(k, TensorProto.FLOAT, shape) for k, (shape, _) in inputs.items()]
    ab = helper.make_tensor_value_info("ab", TensorProto.FLOAT, ["N", 2, "h", "w"])
    constants = [numpy_helper.from_array(np.asarray(v), k) for k, v in (tensors or {}).items()]
    graph = helper.make_graph(list(nodes), name, given, [ab], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    values = {
        "name": name, "version": "1", "description": "For tests", "recipe": "none", "license": "CC0-1.0",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": SIDE, "multiple": 8, "stride": 1,
        "inputs": {k: {"default": d, "description": ""} for k, (_, d) in inputs.items()},
    }  # fmt: skip
    path.with_suffix(".toml").write_text(ModelCard(**values | card).to_toml(), encoding="utf-8")
    return path


def linear_model(
    folder: Path, name: str = "linear", gain: Sequence[float] = (0.2, -0.3), **card: Any
) -> Path:
    """ab is `gain` times (L − 50)."""
    nodes = [helper.make_node("Conv", ["L", "kernel", "bias"], ["ab"])]
    kernel = np.array(gain, np.float32).reshape(2, 1, 1, 1)
    return write_model(folder, name, nodes, {"kernel": kernel, "bias": -50 * kernel.ravel()}, **card)


def vivid_model(folder: Path, name: str = "vivid") -> Path:
    """As `linear_model`, times the input `vividness`."""
    nodes = [
        helper.make_node("Conv", ["L", "kernel"], ["x"]),
        helper.make_node("Mul", ["x", "vividness"], ["ab"]),
    ]
    kernel = np.array([0.2, -0.3], np.float32).reshape(2, 1, 1, 1)
    return write_model(folder, name, nodes, {"kernel": kernel}, {"vividness": ((), 1.0)})


def hinted_model(folder: Path, name: str = "hinted") -> Path:
    """ab is the mean of the hints over the picture, where there are any."""
    nodes = [
        helper.make_node("ReduceSum", ["hint_ab", "axes"], ["total"]),
        helper.make_node("ReduceSum", ["hint_mask", "axes"], ["count"]),
        helper.make_node("Max", ["count", "one"], ["some"]),
        helper.make_node("Div", ["total", "some"], ["mean"]),
        helper.make_node("Mul", ["L", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "mean"], ["ab"]),
    ]
    tensors = {"axes": np.array([2, 3]), "one": np.float32(1), "zero": np.float32(0)}
    maps = {"hint_ab": (["N", 2, "H", "W"], 0.0), "hint_mask": (["N", 1, "H", "W"], 0.0)}
    return write_model(folder, name, nodes, tensors, maps)


def obedient_model(folder: Path, name: str = "obedient", obeys: bool = True) -> Path:
    """ab is that of the hints where there are any, else 0; or it is 0, whatever is told."""
    nodes = [
        helper.make_node("Mul", ["L", "zero"], ["nothing"]),
        helper.make_node("Mul", ["hint_ab", "gain"], ["x"]),
        helper.make_node("Mul", ["x", "hint_mask"], ["told"]),
        helper.make_node("Add", ["nothing", "told"], ["ab"]),
    ]
    tensors = {"zero": np.float32(0), "gain": np.float32(obeys)}
    maps = {"hint_ab": (["N", 2, "H", "W"], 0.0), "hint_mask": (["N", 1, "H", "W"], 0.0)}
    return write_model(folder, name, nodes, tensors, maps)


def size_model(folder: Path, name: str = "sized", **card: Any) -> Path:
    """ab is a tenth of the height that it sees, and 0."""
    nodes = [
        helper.make_node("Shape", ["L"], ["rows"], start=2, end=3),
        helper.make_node("Cast", ["rows"], ["height"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["height", "gain"], ["color"]),
        helper.make_node("Mul", ["L", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "color"], ["ab"]),
    ]
    tensors = {"zero": np.float32(0), "gain": np.array([0.1, 0], np.float32).reshape(1, 2, 1, 1)}
    return write_model(folder, name, nodes, tensors, **card)


def counted(monkeypatch: Any, owner: Any, method: str) -> list[Any]:
    """A list that grows by the arguments of each call of `owner.method` from now on."""
    calls: list[Any] = []
    original: Callable[..., Any] = getattr(owner, method)

    def call(self: Any, *args: Any, **options: Any) -> Any:
        calls.append((self, *args))
        return original(self, *args, **options)

    monkeypatch.setattr(owner, method, call)
    return calls
