"""From runs, their checkpoints and exported models to weights, and from weights to networks."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tintype.cards import list_models
from tintype.errors import ModelError
from tintype.train import recipes
from tintype.train.folding import fold_batch_norm, unfold
from tintype.train.graph_weights import read_graph
from tintype.train.runs import checkpoint_of, exported, read_run

# Of their size: fresh weights of two seeds are 1.4 apart, those long trained from one start seldom over 0.5.
FAR_APART = 0.7
MOST_FAR_APART = 0.1  # as a share of the tensors
# What torch raises, beside UnpicklingError, of files that are damaged or of another kind, and their use.
_NO_CHECKPOINT = (RuntimeError, OSError, EOFError, LookupError, TypeError, ValueError, AttributeError)


def load_run(run: Path, *others: Path) -> tuple[str, Any, dict[str, Any]]:
    """The recipe's name, its model with the run's best (else last) weights, and `run.json`'s content.

    With `others` the weights are the mean of all, see `mean_weights`; the rest is the first run's.
    """
    info = read_run(run)
    module = recipes.get(info["recipe"])
    model = module.Model(module.Settings(**info["settings"]))
    set_weights(model, unfold(model, mean_weights((run, *others))[1])[0], run)
    return info["recipe"], model.eval(), info


def weights_digest(run: Path) -> str:
    """What tells a run's best (else last) weights from any others."""
    with checkpoint_of(run).open("rb") as file:
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
        return recipe, read_weights(checkpoint_of(source))[1]
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
