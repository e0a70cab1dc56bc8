"""Trains a recipe with Lightning, from its settings to a run's folder.

A run is a folder: `run.json` (recipe, settings, options, photographs), `checkpoints/last.ckpt` and
`best.ckpt`, `skipped.tsv` (photographs that could not be used) and TensorBoard's events. All randomness of a
step hangs on the seed and the number of the step, so a run that was killed goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from tintype.errors import ModelError, SettingsError
from tintype.train import loading, recipes, runs
from tintype.train.augment import GreySettings
from tintype.train.callbacks import SHEET_PHOTOGRAPHS
from tintype.train.data import CropSettings
from tintype.train.feed import Feed, check_colour
from tintype.train.fitter import Fitter
from tintype.train.folding import settle, unfold
from tintype.train.lab import rgb_to_lab
from tintype.train.options import FitOptions
from tintype.train.photographs import Photographs
from tintype.train.pretrained import read_encoder
from tintype.train.recipe import RecipeModel, Schedule
from tintype.train.stream import Stream
from tintype.train.trainer import (
    callbacks_of,
    make_trainer,
    say_why_it_ended,
    stopped_by_hand,
    without_advice,
)

PRIOR_PHOTOGRAPHS = 2000  # photographs from which a model may learn statistics before it starts
COLOUR_PHOTOGRAPHS = 100  # of which one must have colour, where no more are looked at


def fit(
    recipe: str,
    settings: Any,
    options: FitOptions,
    train: Photographs | Stream,
    val: Photographs | Stream | None,
    out: Path,
    *,
    crops: CropSettings | None = None,
    grey: GreySettings | None = None,
    schedule: Schedule | None = None,
    resume: bool = False,
    notes: Mapping[str, Any] | None = None,
) -> Path:
    """Train `recipe` into the folder `out` and return it. Errors: DataError, ModelError, SettingsError.

    With `resume` the run in `out` goes on; one that has all its steps stays as it is. `notes` are what its
    `run.json` shall tell besides. Ctrl-C raises KeyboardInterrupt.
    """
    last = out / "checkpoints" / "last.ckpt"
    _check(options, last, resume)
    module = recipes.get(recipe)
    schedule, crops = schedule or module.SCHEDULE, crops or recipes.crops_of(module)
    grey = grey or GreySettings()
    lightning.seed_everything(options.seed, verbose=False)
    out.mkdir(parents=True, exist_ok=True)
    feed = Feed(train, val, crops, options, out)
    model = module.Model(settings)
    _look_over(model, schedule, train, val)
    if resume and _goes_no_further(model, last, options.steps):
        return out
    sample = feed.sample(SHEET_PHOTOGRAPHS) if resume else _begin(recipe, model, options, feed, out)
    fitter = Fitter(model, options, schedule, grey)
    parts = {"settings": settings, "options": options, "schedule": schedule, "crops": crops, "grey": grey}
    rank_zero_only(runs.write_run)(out, recipe, parts, train, val, notes, goes_on=resume)
    steps_an_epoch = feed.steps_an_epoch(schedule.repeats)
    with without_advice():
        kinds = {"validated": val is not None, "adversarial": model.adversarial}
        shown = sample[:COLOUR_PHOTOGRAPHS]
        callbacks = callbacks_of(options, schedule, out, steps_an_epoch, shown, val, **kinds)
        trainer = make_trainer(options, schedule, out, steps_an_epoch, callbacks, **kinds)
        if val is not None and not resume:
            trainer.validate(fitter, datamodule=feed, verbose=False)  # the curve's point before training
        with stopped_by_hand(trainer, fitter):
            trainer.fit(fitter, datamodule=feed, ckpt_path=last if resume else None, weights_only=True)
        trainer.save_checkpoint(last)  # the steps since the last regular one
    if fitter.batches_done < options.steps:
        say_why_it_ended(fitter, trainer)
    return out


def _check(options: FitOptions, last: Path, resume: bool) -> None:
    """Refuse a machine that is not there, and a run that is there already or not yet."""
    run = last.parents[1]
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ModelError("CUDA was asked for, but this machine has no usable GPU; use --device cpu.")
    if options.cache == "gpu" and (options.device == "cpu" or not torch.cuda.is_available()):
        raise SettingsError("--cache gpu needs training on a GPU with CUDA; use --cache ram or none.")
    if resume and not last.is_file():
        raise ModelError(f"{run} holds no checkpoint to go on from.")
    if not resume and last.is_file():
        raise ModelError(f"{run} holds a run already; go on with --resume, or name another folder.")


def _look_over(
    model: RecipeModel, schedule: Schedule, train: Photographs | Stream, val: Photographs | Stream | None
) -> None:
    """Refuse classes of which the photographs have none, or more; say what else this run cannot do."""
    classes: int = getattr(model.settings, "classes", 0)
    if classes and isinstance(train, Photographs) and not 0 < len(train.label_names) <= classes:
        found = len(train.label_names)
        raise SettingsError(f"classes={classes} wants as many labels or fewer; the photographs have {found}.")
    if model.adversarial and schedule.converged:
        raise SettingsError("Beside a discriminator no loss tells that training is done: set converged to 0.")
    tell = rank_zero_only(print)
    if model.adversarial and schedule.lr_schedule != "constant":
        tell("Beside a discriminator learning rates stay constant.")
    if schedule.patience and val is None:
        tell("There are no photographs to validate on, so training does not stop early.")


def _goes_no_further(model: RecipeModel, last: Path, steps: int) -> bool:
    """Whether the run of this checkpoint has its steps. ModelError where it is of another network."""
    loading.set_weights(model, loading.read_weights(last)[1], last)
    done = int(torch.load(last, map_location="cpu", weights_only=True)["batches_done"])
    if done >= steps:
        rank_zero_only(print)(f"The run has its {done} steps; a higher --steps or --epochs takes it further.")
    return done >= steps


def _begin(recipe: str, model: RecipeModel, options: FitOptions, feed: Feed, out: Path) -> Tensor:
    """Clear the folder of a run that begins, and initialise its model; photographs (N, 3, H, W) uint8."""
    rank_zero_only(runs.clear)(out)
    sample = feed.sample(COLOUR_PHOTOGRAPHS if options.start_from else PRIOR_PHOTOGRAPHS)
    check_colour(sample)
    _initialise(recipe, model, options, sample)
    return sample


def _initialise(recipe: str, model: RecipeModel, options: FitOptions, sample: Tensor) -> None:
    """Weights from another run or a pretrained encoder, and what the model wants to know of the data."""
    if options.start_from:
        starts = [Path(start) for start in options.start_from]
        other, weights = loading.mean_weights(starts)
        if other not in (recipe, None):
            raise ModelError(f"{starts[0]} is of the recipe {other}, not of {recipe}.")
        weights, unfolded = unfold(model, weights)
        weights = model.adopt(weights)
        own = model.state_dict()
        # A graph lacks what has no elements.
        weights |= {name: own[name] for name in own.keys() - weights.keys() if not own[name].numel()}
        if runs.exported(starts[0]) and (lost := own.keys() - weights.keys()):
            why = f"no longer has all that training {recipe} needs ({min(lost)}); start from its run."
            raise ModelError(f"{starts[0]} {why}")
        loading.set_weights(model, weights, starts[0])
        if unfolded:
            settle(model, unfolded, rgb_to_lab(sample.float() / 255)[:, :1])
        return
    if options.init_encoder:
        encoder: Any = getattr(model, "encoder", None)
        if not hasattr(encoder, "load_pretrained"):
            raise ModelError(f"{recipe} has no encoder that could start from pretrained weights.")
        encoder.load_pretrained(read_encoder(Path(options.init_encoder)))
    model.prepare(rgb_to_lab(sample.float() / 255)[:, 1:])
