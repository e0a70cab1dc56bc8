"""Trains a recipe with Lightning: the module around a model, the trainer, and what a run's folder holds.

A run is a folder: `run.json` (recipe, settings, options, photographs), `checkpoints/last.ckpt` and
`best.ckpt`, `skipped.tsv` (photographs that could not be used) and TensorBoard's events. All randomness of a
step hangs on the seed and the number of the step, so a run that was killed goes on as if it had not been.
"""

from __future__ import annotations

import logging
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from safetensors.torch import load_file
from torch import Tensor

from tintype.errors import ModelError
from tintype.train import recipes, runs
from tintype.train.augment import GreySettings, to_training_pair
from tintype.train.callbacks import Sheets, Throughput
from tintype.train.data import CropSettings, OrderedBatches
from tintype.train.feed import Batch, Feed
from tintype.train.lab import rgb_to_lab
from tintype.train.recipe import Losses, RecipeModel, Schedule
from tintype.train.sources import Photographs

PRIOR_PHOTOGRAPHS = 2000  # photographs from which a model may learn statistics before it starts


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How a run is fed and driven; the network's own settings are the recipe's."""

    steps: int
    """Steps, that is batches, of the whole run; a learning-rate schedule spans them."""
    batch: int = 48
    """Photographs a step and process."""
    size: int = 128
    """Side of the square training crops, in pixels."""
    lr_scale: float = 1.0
    """Factor on the recipe's learning rates (a second, finer phase wants less)."""
    precision: str = "32"
    """`32`, or `bf16` for autocast."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    devices: int = 1
    """Processes on this machine, one a device."""
    nodes: int = 1
    """Machines."""
    workers: int = 1
    """Processes that read and crop."""
    seed: int = 0
    """Seed of everything random."""
    init_encoder: str = ""
    """Safetensors of a pretrained encoder to start from."""
    start_from: str = ""
    """A run whose exported weights are the start."""
    minutes: float = 0.0
    """Time after which the run stops, whatever its steps; 0 for no such limit."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    validate_every: int = 500
    """Steps between validations, at most one an epoch."""


class Fitter(lightning.LightningModule):
    """A recipe's model with its optimisers, its schedule and its input."""

    def __init__(
        self, model: RecipeModel, options: FitOptions, schedule: Schedule, grey: GreySettings
    ) -> None:
        super().__init__()
        self._layout = torch.channels_last if model.channels_last else torch.contiguous_format
        self.model: Any = model.to(memory_format=self._layout)  # type: ignore[call-overload]
        self.options, self.schedule, self.grey = options, schedule, grey
        self.batches_done = 0
        self.automatic_optimization = not model.adversarial

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Whatever is drawn in this step, dropout included, is drawn alike when a run goes on from before it.
        torch.manual_seed(hash((self.options.seed, self.batches_done, self.global_rank)) % 2**63)

    def training_step(self, batch: Batch, _: int) -> Tensor | None:
        rgb8, labels = batch
        L, ab = to_training_pair(rgb8.float() / 255, self.grey)
        L = L.contiguous(memory_format=self._layout)
        self.batches_done += 1  # here, not in a later hook: checkpoints are written before those
        if self.model.adversarial:
            self._play(L, ab, labels)
            return None
        losses = self.model.loss(L, ab, labels)
        self._log_losses("train", losses)
        # DDP averages gradients over processes; a loss that is a sum over the batch must stay one.
        return losses["loss"] * (self.trainer.world_size if self.model.sums_over_batch else 1)

    def _play(self, L: Tensor, ab: Tensor, labels: Tensor) -> None:
        """One step of the discriminator, then one of the generator."""
        optimizers: Any = self.optimizers()
        generator, discriminator = optimizers
        sides: tuple[tuple[Any, Callable[[], Losses], str], ...] = (
            (discriminator, lambda: self.model.discriminator_loss(L, ab), "discriminator"),
            (generator, lambda: self.model.loss(L, ab, labels), "train"),
        )
        for optimizer, loss, name in sides:
            self.toggle_optimizer(optimizer)
            losses = loss()
            optimizer.zero_grad()
            self.manual_backward(losses["loss"])
            if self.schedule.clip:
                self.clip_gradients(optimizer, self.schedule.clip, "norm")
            optimizer.step()
            self.untoggle_optimizer(optimizer)
            self._log_losses(name, losses)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        if self.batches_done >= self.options.steps:
            self.trainer.should_stop = True

    def validation_step(self, batch: Batch, _: int) -> None:
        rgb8, labels = batch
        lab = rgb_to_lab(rgb8.float() / 255)
        self._log_losses("val", self.model.loss(lab[:, :1], lab[:, 1:], labels), len(rgb8))

    def _log_losses(self, stage: str, losses: dict[str, Tensor], count: int | None = None) -> None:
        values = {f"{stage}/{name}": value.detach() for name, value in losses.items()}
        self.log_dict(values, prog_bar=True, batch_size=count, sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizers = [self.model.optimizer()]
        if self.model.adversarial:
            optimizers.append(self.model.discriminator_optimizer())
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] *= self.options.lr_scale
        if self.schedule.lr == "constant" or self.model.adversarial:
            return optimizers
        rates = torch.optim.lr_scheduler.LambdaLR(optimizers[0], self._rate)
        return {"optimizer": optimizers[0], "lr_scheduler": {"scheduler": rates, "interval": "step"}}

    def _rate(self, step: int) -> float:
        """Factor on the learning rate: a rise over 3% of the steps, then a cosine down to a hundredth."""
        steps = self.options.steps
        rise = max(1, round(0.03 * steps))
        if step < rise:
            return (step + 1) / rise
        progress = min(1.0, (step - rise) / max(1, steps - rise))
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["batches_done"] = self.batches_done

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.batches_done = checkpoint["batches_done"]


def fit(
    recipe: str,
    settings: Any,
    options: FitOptions,
    train: Photographs,
    val: Photographs | None,
    out: Path,
    *,
    crops: CropSettings | None = None,
    grey: GreySettings | None = None,
    schedule: Schedule | None = None,
    resume: bool = False,
) -> Path:
    """Train `recipe` into the folder `out` and return it. Errors: DataError, ModelError, SettingsError."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ModelError("CUDA was asked for, but this machine has no usable GPU; use --device cpu.")
    last = out / "checkpoints" / "last.ckpt"
    if resume and not last.is_file():
        raise ModelError(f"{out} holds no checkpoint to go on from.")
    if not resume and last.is_file():
        raise ModelError(f"{out} holds a run already; go on with --resume, or name another folder.")
    module = recipes.get(recipe)
    schedule, crops, grey = schedule or module.SCHEDULE, crops or CropSettings(), grey or GreySettings()
    lightning.seed_everything(options.seed, verbose=False)
    out.mkdir(parents=True, exist_ok=True)
    feed = Feed(train, val, crops, options, out)
    model = module.Model(settings)
    if not resume:
        _initialise(recipe, model, options, feed)
    sheet = feed.sample(6)
    fitter = Fitter(model, options, schedule, grey)
    parts = {"settings": settings, "options": options, "schedule": schedule, "crops": crops, "grey": grey}
    rank_zero_only(runs.write_run)(out, recipe, parts, train, val)
    steps_an_epoch = len(OrderedBatches(len(train), options.batch, 0, 0, options.devices * options.nodes))
    with _without_advice():
        trainer = _trainer(options, schedule, out, steps_an_epoch, has_val=val is not None, sheet=sheet)
        trainer.fit(fitter, datamodule=feed, ckpt_path=last if resume else None, weights_only=True)
        trainer.save_checkpoint(last)  # the steps since the last regular one
    return out


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence Lightning's tips on loaders and loggers and torch's notes to Lightning; errors still come."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)`", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _initialise(recipe: str, model: RecipeModel, options: FitOptions, feed: Feed) -> None:
    """Weights from another run or a pretrained encoder, and what the model wants to know of the data."""
    if options.start_from:
        other, start, _ = runs.load_run(Path(options.start_from))
        if other != recipe:
            raise ModelError(f"{options.start_from} holds a run of {other}, not of {recipe}.")
        try:
            model.load_state_dict(start.state_dict())
        except RuntimeError as error:
            raise ModelError(f"{options.start_from} was trained with other settings: {error}") from error
        return
    if options.init_encoder:
        encoder: Any = getattr(model, "encoder", None)
        if not hasattr(encoder, "load_pretrained"):
            raise ModelError(f"{recipe} has no encoder that could start from pretrained weights.")
        encoder.load_pretrained(load_file(options.init_encoder))
    model.prepare(rgb_to_lab(feed.sample(PRIOR_PHOTOGRAPHS).float() / 255)[:, 1:])


def _trainer(
    options: FitOptions, schedule: Schedule, out: Path, steps_an_epoch: int, *, has_val: bool, sheet: Tensor
) -> lightning.Trainer:
    folder = out / "checkpoints"
    sheets_every = max(50, options.steps // 20)
    callbacks: list[lightning.Callback] = [
        ModelCheckpoint(folder, save_last=True, every_n_train_steps=options.checkpoint_every, save_top_k=0),
        Throughput(options.batch, min(20, steps_an_epoch)),
        Sheets(sheet, sheets_every),
    ]
    if has_val:
        best = ModelCheckpoint(folder, "best", monitor="val/loss", enable_version_counter=False)
        callbacks.append(best)
        if schedule.patience:
            callbacks.append(EarlyStopping("val/loss", patience=schedule.patience))
    if schedule.ema_decay:
        callbacks.append(EMAWeightAveraging(decay=schedule.ema_decay, use_buffers=False))
    if schedule.lr != "constant":
        callbacks.append(LearningRateMonitor("step"))
    on_screen = sys.stdout.isatty()
    several = options.devices * options.nodes > 1
    return lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(options.device, options.device),
        devices=options.devices,
        num_nodes=options.nodes,
        strategy="ddp" if several else "auto",
        use_distributed_sampler=False,
        max_epochs=-1,
        max_time={"seconds": round(60 * options.minutes)} if options.minutes else None,
        precision="bf16-mixed" if options.precision == "bf16" else "32-true",
        gradient_clip_val=schedule.clip or None,
        logger=TensorBoardLogger(out, name="", version=""),
        callbacks=[*callbacks, *([RichProgressBar()] if on_screen else [])],
        enable_progress_bar=on_screen,
        enable_model_summary=False,
        log_every_n_steps=max(1, min(20, steps_an_epoch, options.steps // 50)),
        val_check_interval=min(steps_an_epoch, options.validate_every),
        limit_val_batches=1.0 if has_val else 0,
        num_sanity_val_steps=0,
        default_root_dir=out,
    )
