"""Every recipe's colours and losses are those of before: what changes them unmeant is seen here.

Weights and pictures are drawn by NumPy from names, so that they are the same with every version of torch.
After a change that is meant, `python tests/train/recipes/test_golden.py` writes golden.json anew.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_recipes import ALL, make, wake
from torch import nn

from tintype.train.lab import rgb_to_lab

GOLDEN = Path(__file__).with_name("golden.json")
SIDE, CELLS = 64, 6  # pixels of the pictures; cells of ab that are kept, along each side
DISTANCE, SHARE = 0.02, 0.95  # Lab units; where a network decides, rounding may decide otherwise


def drawn(name: str, *shape: int) -> torch.Tensor:
    """Numbers of a normal distribution that hang on the name alone."""
    numbers = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    return torch.from_numpy(np.asarray(numbers, np.float32))


def told_norm(parametrized: Any) -> None:
    """Spectral normalisation told exactly the norm that it else nears step by step."""
    matrix = parametrized.original.detach().flatten(1).double().numpy()
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    parametrized[0]._u.copy_(torch.from_numpy(u[:, 0]))
    parametrized[0]._v.copy_(torch.from_numpy(v[0]))


@torch.no_grad()
def filled(model: nn.Module) -> nn.Module:
    """The model with weights that let through what it sees, of each tensor its own."""
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            parameter.copy_(drawn(name, *parameter.shape) * (2 / parameter[0].numel()) ** 0.5)
        elif name.endswith("bias"):
            parameter.copy_(0.1 * drawn(name, *parameter.shape))
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.copy_(name.endswith("var") + 0.1 * drawn(name, *buffer.shape).abs())
    for part in model.modules():
        if hasattr(part, "parametrizations"):
            told_norm(part.parametrizations.weight)
    return wake(model)


def pictures() -> torch.Tensor:
    """Lab (2, 3, SIDE, SIDE) of smooth colours."""
    coarse = torch.sigmoid(drawn("pictures", 2, 3, 5, 5))
    return rgb_to_lab(nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear", align_corners=True))


def found(name: str) -> dict[str, Any]:
    """Colours in use, (2, 2, CELLS, CELLS), and losses in training of the recipe or variant."""
    lab = pictures()
    L, ab = lab[:, :1], lab[:, 1:]
    model = filled(make(name)).eval()
    with torch.no_grad():
        shown = nn.functional.adaptive_avg_pool2d(model(L), CELLS)
    model.train()
    model.prepare(ab)
    torch.manual_seed(0)
    losses = model.loss(L, ab, torch.tensor([0, 1]))
    return {
        "ab": np.round(shown.numpy().astype(float), 3).tolist(),
        "losses": {key: float(f"{loss.item():.6g}") for key, loss in sorted(losses.items())},
    }


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ALL)
def test_colours_and_losses_are_those_of_before(golden, name):
    assert name in golden, f"{name} is new: write golden.json anew"
    now, before = found(name), golden[name]
    close = np.abs(np.subtract(now["ab"], before["ab"])) <= DISTANCE
    assert close.mean() >= SHARE
    assert now["losses"] == pytest.approx(before["losses"], rel=1e-3)


def test_what_is_kept_would_show_a_change(golden):
    assert sorted(golden) == ALL
    for name, one in golden.items():
        ab = np.asarray(one["ab"])
        assert np.ptp(ab) > 10 * DISTANCE, name
        assert np.abs(ab[0] - ab[1]).max() > 10 * DISTANCE, name


if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(found(name))}" for name in ALL]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
