"""A run's folder: what was trained, on which photographs, and its weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from tintype.errors import ModelError
from tintype.train import recipes
from tintype.train.sources import Photographs


def write_run(
    out: Path, recipe: str, parts: dict[str, Any], train: Photographs, val: Photographs | None
) -> None:
    """Write `run.json`: the recipe, the dataclasses of `parts` by name, and the names of all photographs."""
    info: dict[str, Any] = {"recipe": recipe}
    info |= {name: dataclasses.asdict(part) for name, part in parts.items()}
    info["label_names"] = train.label_names
    info["split"] = {
        "train": [record.name for record in train.records],
        "val": [record.name for record in val.records] if val else [],
    }
    (out / "run.json").write_text(json.dumps(info, indent=1), encoding="utf-8")


def read_run(run: Path) -> dict[str, Any]:
    """The content of `run.json`; ModelError when the folder holds no run."""
    try:
        info: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{run} is no training run: run.json is missing.") from None
    return info


def load_run(run: Path) -> tuple[str, Any, dict[str, Any]]:
    """The recipe's name, its model with the run's best (else last) weights, and `run.json`'s content."""
    info = read_run(run)
    best, last = (run / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    file = best if best.is_file() else last
    if not file.is_file():
        raise ModelError(f"{run} holds no checkpoint yet.")
    checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    module = recipes.get(info["recipe"])
    model = module.Model(module.Settings(**info["settings"]))
    prefix = "model."
    state = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    model.load_state_dict(state)
    return info["recipe"], model.eval(), info
