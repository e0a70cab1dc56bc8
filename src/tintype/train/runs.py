"""A run's folder: what was trained, on which photographs, and its weights."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tintype.cards import ModelCard, list_models, load_card
from tintype.errors import ModelError, SettingsError
from tintype.train import recipes
from tintype.train.folding import fold_batch_norm, unfold
from tintype.train.graph_weights import read_graph
from tintype.train.options import FitOptions
from tintype.train.photographs import Photographs
from tintype.train.stream import Stream
from tintype.whole import locked, whole_file

# Of their size: fresh weights of two seeds are 1.4 apart, those long trained from one start seldom over 0.5.
FAR_APART = 0.7
# What torch raises, beside UnpicklingError, of files that are damaged or of another kind, and their use.
_NO_CHECKPOINT = (RuntimeError, OSError, EOFError, LookupError, TypeError, ValueError, AttributeError)
_NOTED = {"recipe", "settings", "options", "split"}
_ORPHANS_S = 8.0  # that readers of photographs may live on, and keep the lock, after their run was killed
MOST_FAR_APART = 0.1  # as a share of the tensors


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


def load_run(run: Path, *others: Path) -> tuple[str, Any, dict[str, Any]]:
    """The recipe's name, its model with the run's best (else last) weights, and `run.json`'s content.

    With `others` the weights are the mean of all, see `mean_weights`; the rest is the first run's.
    """
    info = read_run(run)
    module = recipes.get(info["recipe"])
    model = module.Model(module.Settings(**info["settings"]))
    set_weights(model, unfold(model, mean_weights((run, *others))[1])[0], run)
    return info["recipe"], model.eval(), info


def length_of(run: Path, info: dict[str, Any]) -> dict[str, int]:
    """How many steps the run's best (else last) weights have taken, and of how many photographs each."""
    checkpoint = torch.load(_checkpoint_of(run), map_location="cpu", weights_only=True)
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


def _checkpoint_of(run: Path) -> Path:
    files = [run / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]
    if not any(file.is_file() for file in files):
        raise ModelError(f"{run} holds no checkpoint yet.")
    return next(file for file in files if file.is_file())


def digest_of(photographs: Photographs | Stream | None, size: int) -> str:
    """What tells a validation by some photographs at a size from any other."""
    if isinstance(photographs, Stream):
        told = list(photographs.urls)
    else:
        told = [record.name for record in photographs.records] if photographs else []
    return hashlib.sha256(json.dumps([told, size]).encode()).hexdigest()


def weights_digest(run: Path) -> str:
    """What tells a run's best (else last) weights from any others."""
    with _checkpoint_of(run).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(source: Path) -> tuple[str | None, dict[str, Tensor]]:
    """A model's tensors by name, and its recipe where that is known.

    `source` is a run's folder (its best, else its last checkpoint), a checkpoint of one, a safetensors file
    of a model's own tensors, or an exported model: its file or, of one that ships, its name; BatchNorm is
    folded there, see `tintype.train.folding.unfold`. Raises ModelError.
    """
    if card := exported(source):
        return card.recipe, read_graph(card)
    if source.is_dir():
        recipe = read_run(source)["recipe"]
        return recipe, read_weights(_checkpoint_of(source))[1]
    try:
        if source.suffix == ".safetensors":
            return None, load_file(source)
        checkpoint = torch.load(source, map_location="cpu", weights_only=True)
        state = dict(checkpoint["state_dict"])
        if not all(isinstance(value, Tensor) for value in state.values()):
            raise TypeError
        recipe = checkpoint.get("recipe")
    except FileNotFoundError:
        names = ", ".join(card.name for card in list_models())
        raise ModelError(
            f"There is no run or file {source}, and no model of that name among {names}."
        ) from None
    except (SafetensorError, pickle.UnpicklingError, *_NO_CHECKPOINT):
        raise ModelError(f"{source} is no checkpoint of a run and no safetensors file.") from None
    prefix = "model."
    weights = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    return recipe, weights


def exported(source: Path) -> ModelCard | None:
    """The card of an exported model, given by its file or by the name of one that ships; else None."""
    if source.suffix == ".onnx":
        return load_card(source)
    if source.is_file() or (source / "run.json").is_file():
        return None
    return next((card for card in list_models() if card.name == str(source)), None)


def mean_weights(sources: Sequence[Path]) -> tuple[str | None, dict[str, Tensor]]:
    """The mean of the weights of several runs from one start (Wortsman et al. 2022), and their recipe.

    Each of `sources` is what `read_weights` takes; one that is named twice counts twice. Where one is an
    exported model BatchNorm is folded in the mean, too. What is not floating point is the first one's. Raises
    ModelError where they do not fit, or lie too far apart to be averaged.
    """
    first, *others = sources
    folded = len({exported(source) is None for source in sources}) > 1
    read = _read_folded if folded else read_weights
    recipe, weights = read(first)
    total = {name: value.double() for name, value in weights.items() if value.is_floating_point()}
    for source in others:
        other, more = read(source)
        wrong = sorted(_differing(more, weights, str(source), str(first)))
        if wrong or (recipe and other and recipe != other):
            why = wrong[0] if wrong else f"one is of {recipe}, the other of {other}"
            raise ModelError(f"The weights of {first} and {source} have no mean: {why}.")
        if not _of_one_start(weights, more):
            raise ModelError(
                f"The weights of {first} and {source} have no useful mean: they are not of one start. "
                "Average runs that went on --from the same weights."
            )
        for name in total:
            total[name] += more[name]
    mean = {name: (value / len(sources)).to(weights[name].dtype) for name, value in total.items()}
    return recipe, weights | mean | (_singular_vectors(mean) if others else {})


def _singular_vectors(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those by which spectral normalisation knows its weights' norms; the mean of several's are none."""
    found: dict[str, Tensor] = {}
    for part in (name.removesuffix(".0._u") for name in weights if name.endswith(".0._u")):
        left, _, right = torch.linalg.svd(weights[f"{part}.original"].flatten(1), full_matrices=False)
        found |= {f"{part}.0._u": left[:, 0].contiguous(), f"{part}.0._v": right[0].contiguous()}
    return found


def _read_folded(source: Path) -> tuple[str | None, dict[str, Tensor]]:
    """As `read_weights`, of a run with BatchNorm folded as exported models have it."""
    if exported(source) or not source.is_dir():
        return read_weights(source)
    recipe, model, _ = load_run(source)
    return recipe, fold_batch_norm(model.for_export()).state_dict()


def _of_one_start(weights: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    """Whether few of the tensors lie far apart, biases, statistics and constants aside."""
    pairs = [(weights[name].double(), others[name].double()) for name in weights if weights[name].dim() > 1]
    learnt = [(a, b) for a, b in pairs if not torch.equal(a, b)]
    apart = [float((a - b).norm() / torch.maximum(a.norm(), b.norm())) for a, b in learnt]
    return sum(share > FAR_APART for share in apart) <= MOST_FAR_APART * len(apart)


def set_weights(model: nn.Module, weights: dict[str, Tensor], source: Path) -> None:
    """Load all of `weights` into all of `model`; ModelError, naming a culprit, where they do not fit."""
    if wrong := _differing(weights, model.state_dict(), "there", "here"):
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise ModelError(
            f"The weights of {source} are of another model or other settings: {min(wrong)}{more}."
        )
    model.load_state_dict(weights)


def _differing(weights: dict[str, Tensor], own: dict[str, Tensor], there: str, here: str) -> list[str]:
    """What keeps `weights` from the place of `own`, by its name."""
    wrong = [f"{name} is missing" for name in own.keys() - weights.keys()]
    wrong += [f"{name} is not known" for name in weights.keys() - own.keys()]
    return wrong + [
        f"{name} is {tuple(weights[name].shape)} {there} and {tuple(own[name].shape)} {here}"
        for name in own.keys() & weights.keys()
        if weights[name].shape != own[name].shape
    ]
