"""A run's folder: what was trained, on which photographs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only

from tintype.cards import ModelCard, list_models, load_card
from tintype.errors import ModelError, SettingsError
from tintype.train import recipes
from tintype.train.options import FitOptions
from tintype.train.photographs import Photographs, Record
from tintype.train.stream import Stream
from tintype.whole import locked, whole_file

_NOTED = {"recipe", "settings", "options", "split"}
_ORPHANS_S = 8.0  # that readers of photographs may live on, and keep the lock, after their run was killed


def write_run(
    out: Path,
    recipe: str,
    parts: dict[str, Any],
    train: Photographs | Stream,
    val: Photographs | Stream | None,
    notes: Mapping[str, Any] | None = None,
    *,
    goes_on: bool = False,
) -> None:
    """Write `run.json`: the recipe, the dataclasses of `parts` by name, and the names of all photographs.

    Of a stream no names are known beforehand, and none are written. What the run started from
    (`parts["options"]`) is told for the cards of models that come of it; of a run that `goes_on` that and
    other notes stay as they were.
    """
    options: FitOptions = parts["options"]
    info: dict[str, Any] = read_run(out) if goes_on else {"recipe": recipe}
    if not goes_on:
        info["origin"] = _origin([*map(Path, options.start_from)], options.init_encoder)
    info |= {name: dataclasses.asdict(part) for name, part in parts.items()}
    info["label_names"] = train.label_names
    info["split"] = {
        "train": [record.name for record in train.records],
        "val": [record.name for record in val.records] if val else [],
    }
    info |= notes or {}
    with whole_file(out / "run.json") as file:
        file.write(json.dumps(info, indent=1).encode())


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """A run's folder as this training's alone; SettingsError where another has it."""
    if getattr(rank_zero_only, "rank", 0):  # its processes share it
        yield
        return
    lock = out / ".lock"
    end = time.monotonic() + _ORPHANS_S
    while (held := locked(lock)) is None:
        if time.monotonic() > end:
            raise SettingsError(f"Another process trains in {out}; wait for it, or name another folder.")
        time.sleep(0.2)
    try:
        yield
    finally:
        if os.name != "nt":  # where no open file is removed
            lock.unlink(missing_ok=True)
        held.close()


def clear(out: Path) -> None:
    """Remove what a run left that died before its first checkpoint: its best weights, curves and notes."""
    if not (out / "run.json").is_file():
        return
    found = [*out.glob("checkpoints/*.ckpt"), *out.glob("events.out.tfevents.*"), out / "skipped.tsv"]
    for file in found:
        file.unlink(missing_ok=True)


def read_run(run: Path) -> dict[str, Any]:
    """The content of `run.json`; ModelError when the folder holds no run."""
    try:
        info: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{run} is no training run: run.json is missing.") from None
    except ValueError as error:
        raise ModelError(f"{run}/run.json is damaged: {error}.") from None
    if not (isinstance(info, dict) and info.keys() >= _NOTED):
        raise ModelError(f"{run}/run.json is damaged: it does not tell of a run.")
    return info


def handed_on(start: Path, recipe: str) -> dict[str, Any]:
    """The settings that a run of `recipe` takes from its start, an exported model or another run."""
    found: dict[str, Any] = {}
    if card := exported(start):
        found = card.training if card.recipe == recipe else {}
    elif info := _run_of(start):
        found = info["settings"] if info["recipe"] == recipe else {}
    return {key: found[key] for key in recipes.get(recipe).Model.handed_on if key in found}


def origin_of(info: dict[str, Any]) -> dict[str, Any]:
    """What `run.json`'s content tells of the weights that the run began with.

    `pretrained` and `data` as on cards, and `size`, the shorter side at which the model that it began with
    is shown pictures, 0 where it began with none.
    """
    return {"pretrained": [], "data": [], "size": 0} | info.get("origin", {})  # runs of old do not tell


def origin(sources: Sequence[Path], own: str) -> dict[str, Any]:
    """What cards say of weights that come of `sources`, runs and exported models: as `origin_of`.

    `own` is how the photographs that a run itself learnt from are called.
    """
    pretrained: list[str] = []
    data: list[dict[str, Any]] = []
    sizes: list[int] = []
    for source in sources:
        if card := exported(source):
            pretrained += [f"{card.name} {card.version}, {card.license}", *card.pretrained]
            data += card.data
            sizes.append(card.size)
        elif info := _run_of(source):
            before, count = origin_of(info), len(info["split"]["train"])
            pretrained += before["pretrained"]
            data += [{"source": own} | ({"photographs": count} if count else {}), *before["data"]]
            sizes.append(before["size"])
    return {
        "pretrained": [*dict.fromkeys(pretrained)],
        "data": [row for i, row in enumerate(data) if row not in data[:i]],
        "size": max(sizes, default=0),
    }


def _origin(starts: list[Path], encoder: str) -> dict[str, Any]:
    """What a run began with, by its options."""
    found = origin(starts, own="photographs of the run before")
    return found | ({"pretrained": [f"the encoder {Path(encoder).name}"]} if encoder else {})


def _run_of(source: Path) -> dict[str, Any]:
    """`run.json`'s content where `source` is a run's folder or one of its checkpoints; else nothing."""
    if source.is_dir():
        return read_run(source)
    of_checkpoint = source.parent.parent
    return read_run(of_checkpoint) if (of_checkpoint / "run.json").is_file() else {}


def length_of(run: Path, info: dict[str, Any]) -> dict[str, int]:
    """How many steps the run's best (else last) weights have taken, and of how many photographs each."""
    checkpoint = torch.load(checkpoint_of(run), map_location="cpu", weights_only=True)
    return {"steps": int(checkpoint.get("batches_done", info["options"]["steps"])), "batch": _batch(info)}


def photographs_seen(run: Path) -> tuple[int, int]:
    """How many photographs a run has learnt from up to its end, each pass anew; and those of a step."""
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    batch = _batch(read_run(run))
    return int(checkpoint["batches_done"]) * batch, batch


def _batch(info: dict[str, Any]) -> int:
    """Photographs a step over all processes of a run, by its `run.json`'s content."""
    options = info["options"]
    return int(options["batch"] * options.get("devices", 1) * options.get("nodes", 1))


def checkpoint_of(run: Path) -> Path:
    """The file of a run's best (else last) weights. ModelError where there is none."""
    files = [run / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]
    if not any(file.is_file() for file in files):
        raise ModelError(f"{run} holds no checkpoint yet.")
    return next(file for file in files if file.is_file())


def _bytes_of(record: Record) -> int:
    """How many a photograph has, which tells it from others of its name; −1 where that is unknown."""
    try:
        return record.size if record.size >= 0 else Path(record.path).stat().st_size
    except OSError:
        return -1


def digest_of(photographs: Photographs | Stream | None, size: int) -> str:
    """What tells a validation by some photographs at a size from any other."""
    if isinstance(photographs, Stream):
        told: list[Any] = list(photographs.urls)
    else:
        told = [[record.name, _bytes_of(record)] for record in photographs.records] if photographs else []
    return hashlib.sha256(json.dumps([told, size]).encode()).hexdigest()


def exported(source: Path) -> ModelCard | None:
    """The card of an exported model, given by its file or by the name of one that ships; else None."""
    if source.suffix == ".onnx":
        return load_card(source)
    if source.is_file() or (source / "run.json").is_file():
        return None
    return next((card for card in list_models() if card.name == str(source)), None)
