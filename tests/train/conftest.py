"""What several tests of training need.

Small tensors gain nothing from threads, and lose much where another process wants the processor.
"""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage import data

from tintype.train import perceptual
from tintype.train.perceptual import LpipsAlex, LpipsSqueeze

torch.set_num_threads(1)


def _shapes(network):
    """The names and shapes of a network's features."""
    if network == "alex":
        for index, (c_in, c_out, kernel, *_) in perceptual._ALEX.items():
            yield f"features.{index}", (c_out, c_in, kernel, kernel)
        return
    yield "features.0", (64, 3, 3, 3)
    c_in = 64
    for index, (narrow, wide, *_) in perceptual._SQUEEZE.items():
        yield f"features.{index}.squeeze", (narrow, c_in, 1, 1)
        yield f"features.{index}.expand1x1", (wide, narrow, 1, 1)
        yield f"features.{index}.expand3x3", (wide, narrow, 3, 3)
        c_in = 2 * wide


@pytest.fixture(scope="session")
def lpips_files(tmp_path_factory):
    """Weight files of LPIPS for both networks, with weights drawn from a seed."""
    folder = tmp_path_factory.mktemp("lpips")
    files = {}
    for network, cls in (("alex", LpipsAlex), ("squeeze", LpipsSqueeze)):
        rng = np.random.default_rng(7)
        features = {}
        for name, shape in _shapes(network):
            scale = (2 / np.prod(shape[1:])) ** 0.5
            features[f"{name}.weight"] = torch.from_numpy(rng.normal(0, scale, shape).astype(np.float32))
            features[f"{name}.bias"] = torch.from_numpy(rng.normal(0, 0.05, shape[0]).astype(np.float32))
        heads = {
            f"lin{i}.model.1.weight": torch.from_numpy(rng.random((1, width, 1, 1), np.float32))
            for i, width in enumerate(cls.widths)
        }
        files[network] = folder / f"{network}.safetensors", folder / f"{network}_heads.safetensors"
        save_file(features, files[network][0])
        save_file(heads, files[network][1])
    return files


@pytest.fixture(scope="session")
def album(tmp_path_factory):
    """A folder of eight small photographs in colour, none like another."""
    folder = tmp_path_factory.mktemp("photographs")
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    for i in range(8):
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(pictures[i % 4][i:, i:, ::-1], (96, 80)))
    return folder


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    """A classifier that names the channel with the highest mean, with TensorFlow's padding on the way."""
    file = tmp_path_factory.mktemp("classifier") / "tiny.safetensors"
    eye = torch.eye(3).view(3, 3, 1, 1)
    centre = torch.zeros(3, 1, 3, 3)
    centre[:, 0, 1, 1] = 1
    weights = {
        "00.weight": centre,
        "01.weight": eye.view(3, 3, 1, 1).clone(),
        "02.weight": eye.view(3, 3, 1, 1).clone(),
    }
    save_file(weights | {f"{i:02d}.bias": torch.zeros(3) for i in range(3)}, file)
    conv = {"stride": 1, "dilation": 1, "padding": "SAME", "act": None, "groups": 1, "shape": [3, 3, 1, 1]}
    depthwise = {"stride": 2, "groups": 3, "shape": [3, 1, 3, 3]}
    operations = [
        {"op": "QUANTIZE", "in": [0], "out": 1},
        conv | {"op": "DEPTHWISE_CONV_2D", "in": [1], "out": 2, "id": "00"} | depthwise,
        conv | {"op": "CONV_2D", "in": [2], "out": 3, "id": "01", "act": "relu6"},
        {"op": "ADD", "in": [2, 3], "out": 4},
        {"op": "MEAN", "in": [4], "out": 5},
        conv | {"op": "CONV_2D", "in": [5], "out": 6, "id": "02"},
        {"op": "RESHAPE", "in": [6], "out": 7},
        {"op": "SOFTMAX", "in": [7], "out": 8},
    ]  # fmt: skip
    file.with_suffix(".ops.json").write_text(json.dumps(operations))
    return file
