"""The one place that knows Lightning: trains a recipe on photographs and keeps what a run needs.

A run is a folder: `run.json` (recipe, settings, options), `checkpoints/last.ckpt`, TensorBoard's events.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import (
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from lightning.pytorch.loggers import TensorBoardLogger
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

from tintype.errors import DataError, ModelError
from tintype.train import recipes
from tintype.train.augment import GreySettings, to_training_pair
from tintype.train.data import CropDataset, find_records
from tintype.train.lab import rgb_to_lab

PRIOR_PHOTOGRAPHS = 2000  # photographs from which class weights are counted


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How a run is fed and driven; the network's own settings are the recipe's."""

    data: tuple[str, ...]
    """Folders or tar shards of training photographs."""
    val: tuple[str, ...] = ()
    """Folders or tar shards of validation photographs."""
    steps: int = 1000
    """Optimiser steps; the learning rate's schedule spans them."""
    batch: int = 48
    """Photographs a step."""
    size: int = 128
    """Side of the square training crops, in pixels."""
    warmup: float = 0.03
    """Share of the steps in which the learning rate rises."""
    lr_scale: float = 1.0
    """Factor on the recipe's learning rates (a second, finer phase wants less)."""
    precision: str = "bf16"
    """`32` or `bf16` (autocast)."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    workers: int = 1
    """Processes that read and crop."""
    seed: int = 0
    """Seed of everything random."""
    init_encoder: str = ""
    """Safetensors of a pretrained encoder to start from."""
    start_from: str = ""
    """A run whose averaged weights are the start."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""


class Fitter(lightning.LightningModule):
    """A recipe's model with its optimiser, its schedule and its input."""

    def __init__(self, model: Any, options: FitOptions) -> None:
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.options = options
        self.grey = GreySettings()

    def training_step(self, rgb8: Tensor, _: int) -> Tensor:
        L, ab = to_training_pair(rgb8.float() / 255, self.grey)
        unlabelled = torch.full((len(L),), -1, device=L.device)
        losses = self.model.loss(L.contiguous(memory_format=torch.channels_last), ab, unlabelled)
        self.log_dict({f"train/{k}": v.detach() for k, v in losses.items()}, prog_bar=True)
        return losses["loss"]

    def validation_step(self, rgb8: Tensor, _: int) -> None:
        lab = rgb_to_lab(rgb8.float() / 255)
        unlabelled = torch.full((len(lab),), -1, device=lab.device)
        losses = self.model.loss(lab[:, :1], lab[:, 1:], unlabelled)
        self.log_dict({f"val/{k}": v for k, v in losses.items()}, prog_bar=True, batch_size=len(rgb8))

    def configure_optimizers(self) -> Any:
        optimizer = self.model.optimizer()
        for group in optimizer.param_groups:
            group["lr"] *= self.options.lr_scale
        steps, rise = self.options.steps, max(1, round(self.options.warmup * self.options.steps))

        def factor(step: int) -> float:
            if step < rise:
                return (step + 1) / rise
            progress = min(1.0, (step - rise) / max(1, steps - rise))
            return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def fit(recipe: str, settings: Any, options: FitOptions, out: Path) -> None:
    """Train `recipe` into the folder `out`. Errors: DataError, ModelError, SettingsError."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ModelError("CUDA was asked for, but this machine has no usable GPU; use --device cpu.")
    lightning.seed_everything(options.seed, verbose=False)
    out.mkdir(parents=True, exist_ok=True)
    model = _start(recipe, settings, options)
    train = _loader(CropDataset(find_records([Path(p) for p in options.data]), options.size), options, True)
    val = None
    if options.val:
        held_out = CropDataset(find_records([Path(p) for p in options.val]), options.size, train=False)
        val = _loader(held_out, options, False)
    run = {"recipe": recipe, "settings": dataclasses.asdict(settings), "options": dataclasses.asdict(options)}
    (out / "run.json").write_text(json.dumps(run, indent=1))
    _trainer(options, recipes.get(recipe).SCHEDULE.ema_decay, out, len(train)).fit(
        Fitter(model, options), train, val
    )


def load_run(run: Path) -> tuple[str, Any, dict[str, Any]]:
    """The recipe's name, its model with the run's averaged weights, and `run.json`'s content."""
    try:
        info = json.loads((run / "run.json").read_text())
        checkpoint = torch.load(run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        missing = Path(error.filename).name
        raise ModelError(f"{run} is no training run with a checkpoint: {missing} is missing.") from error
    module = recipes.get(info["recipe"])
    model = module.Model(module.Settings(**info["settings"]))
    prefix = "model."
    state = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    model.load_state_dict(state)
    return info["recipe"], model.eval(), info


def _start(recipe: str, settings: Any, options: FitOptions) -> Any:
    model = recipes.get(recipe).Model(settings)
    if options.start_from:
        other, start, _ = load_run(Path(options.start_from))
        if other != recipe:
            raise ModelError(f"{options.start_from} holds a run of {other}, not of {recipe}.")
        model.load_state_dict(start.state_dict())
        return model
    if options.init_encoder:
        model.encoder.load_pretrained(load_file(options.init_encoder))
    model.prepare(_sample_ab(options))
    return model


def _sample_ab(options: FitOptions) -> Tensor:
    """True colours of some training photographs (N, 2, size, size)."""
    records = find_records([Path(p) for p in options.data])
    order = torch.randperm(len(records), generator=torch.Generator().manual_seed(options.seed))
    sample = [records[i] for i in order[:PRIOR_PHOTOGRAPHS].tolist()]
    batches = DataLoader(CropDataset(sample, options.size, train=False), 100, num_workers=options.workers)
    return torch.cat([rgb_to_lab(rgb8.float() / 255)[:, 1:] for rgb8 in batches])


def _loader(dataset: CropDataset, options: FitOptions, train: bool) -> DataLoader[Tensor]:
    if train and len(dataset) < options.batch:
        raise DataError(f"{len(dataset)} photographs do not fill one batch of {options.batch}.")
    return DataLoader(
        dataset,
        options.batch,
        shuffle=train,
        drop_last=train,
        num_workers=options.workers,
        persistent_workers=options.workers > 0,
        generator=torch.Generator().manual_seed(options.seed),
    )


def _trainer(options: FitOptions, ema_decay: float, out: Path, steps_an_epoch: int) -> lightning.Trainer:
    checkpoints = ModelCheckpoint(
        out / "checkpoints", save_last=True, every_n_train_steps=options.checkpoint_every, save_top_k=0
    )
    return lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(options.device, options.device),
        devices=1,
        max_steps=options.steps,
        precision="bf16-mixed" if options.precision == "bf16" else "32-true",
        gradient_clip_val=1.0,
        logger=TensorBoardLogger(out, name="", version=""),
        callbacks=[
            checkpoints,
            *([EMAWeightAveraging(decay=ema_decay, use_buffers=False)] if ema_decay else []),
            LearningRateMonitor("step"),
            *([RichProgressBar()] if os.isatty(1) else []),
        ],
        enable_progress_bar=os.isatty(1),
        enable_model_summary=False,
        log_every_n_steps=min(20, steps_an_epoch),
        val_check_interval=min(steps_an_epoch, 500),
        default_root_dir=out,
    )
