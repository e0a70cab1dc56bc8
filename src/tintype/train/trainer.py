"""The Lightning trainer of a run: what it calls, how it is stopped, and what it keeps to itself."""

from __future__ import annotations

import logging
import math
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from tintype.train import runs
from tintype.train.callbacks import RunProgress, Sheets, ThisTime, Throughput, WarmAveraging
from tintype.train.checkpoints import BestCheckpoint, KeptCheckpoints, WholeCheckpoints
from tintype.train.fitter import Fitter
from tintype.train.options import FitOptions
from tintype.train.photographs import Photographs
from tintype.train.recipe import Schedule
from tintype.train.stopping import EpochLoss, Patience
from tintype.train.stream import Stream


def make_trainer(
    options: FitOptions,
    schedule: Schedule,
    out: Path,
    steps_an_epoch: int,
    callbacks: list[lightning.Callback],
    *,
    validated: bool,
    adversarial: bool,
) -> lightning.Trainer:
    """A trainer for the steps of `options`, which keeps its checkpoints and curves in the folder `out`."""
    several = options.devices * options.nodes > 1
    return lightning.Trainer(
        accelerator={"cuda": "gpu"}.get(options.device, options.device),
        devices=options.devices,
        num_nodes=options.nodes,
        # Of a pair of rivals each step leaves the other's parameters unused, which DDP must be told.
        strategy=("ddp_find_unused_parameters_true" if adversarial else "ddp") if several else "auto",
        sync_batchnorm=several and options.device != "cpu" and torch.cuda.is_available(),
        use_distributed_sampler=False,
        max_epochs=-1,
        precision="bf16-mixed" if options.precision == "bf16" else "32-true",
        gradient_clip_val=None if adversarial else schedule.clip or None,  # there the fitter clips
        logger=TensorBoardLogger(out, name="", version=""),
        callbacks=callbacks,
        plugins=[WholeCheckpoints()],
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=max(1, min(20, steps_an_epoch, options.steps // 50)),
        val_check_interval=min(steps_an_epoch, options.validate_every),
        check_val_every_n_epoch=None,  # steps are counted through, however often the run was stopped
        limit_val_batches=1.0 if validated else 0,
        num_sanity_val_steps=0,
        default_root_dir=out,
    )


def callbacks_of(
    options: FitOptions,
    schedule: Schedule,
    out: Path,
    steps_an_epoch: int,
    sample: Tensor,
    val: Photographs | Stream | None,
    *,
    validated: bool,
    adversarial: bool,
) -> list[lightning.Callback]:
    """What a run calls: checkpoints, curves, sheets and losses of the `sample`, and what ends it early."""
    folder = out / "checkpoints"
    judged_by = runs.digest_of(val, options.size)
    sheets_every = max(50, options.steps // 20)
    callbacks: list[lightning.Callback] = [
        ModelCheckpoint(
            folder,
            save_last=True,
            every_n_train_steps=options.checkpoint_every,
            save_top_k=0,
            enable_version_counter=False,
        ),
        Throughput(options.batch, steps_an_epoch),
        Sheets(sample, sheets_every),
    ]
    if not adversarial:
        callbacks.append(EpochLoss(sample, schedule.converged, steps_an_epoch))
    if options.keep_every:
        callbacks.append(KeptCheckpoints(folder, options.keep_every, steps_an_epoch))
    if validated and not adversarial:  # a generator's loss tells how its rival fares, not what is best
        callbacks.append(BestCheckpoint(folder, judged_by))
    if validated and schedule.patience:
        every = min(steps_an_epoch, options.validate_every)
        callbacks.append(Patience(math.ceil(schedule.patience * steps_an_epoch / every), judged_by))
    if options.minutes:
        callbacks.append(ThisTime({"seconds": round(60 * options.minutes)}, verbose=False))
    if schedule.ema_decay:
        callbacks.append(WarmAveraging(schedule.ema_decay))
    if schedule.lr_schedule != "constant" and not adversarial:
        callbacks.append(LearningRateMonitor("step"))
    if sys.stdout.isatty():
        callbacks.append(RunProgress(steps_an_epoch))
    return callbacks


@contextmanager
def stopped_by_hand(trainer: lightning.Trainer, fitter: Fitter) -> Iterator[None]:
    """Make Ctrl-C the KeyboardInterrupt that it is: Lightning ends the process with status 1 and no word."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
        every = f"of which one is saved every {fitter.options.checkpoint_every} steps"
        kept = (Path(str(trainer.default_root_dir)) / "checkpoints" / "last.ckpt").is_file()
        what = "--resume goes on from the last checkpoint" if kept else "there is no checkpoint to go on from"
        rank_zero_only(print)(
            f"Stopped after {fitter.batches_done} of {fitter.options.steps} steps; {what}, {every}."
        )
        raise KeyboardInterrupt from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def say_why_it_ended(fitter: Fitter, trainer: lightning.Trainer) -> None:
    """Tell that a run ended before its steps were done, and why."""
    callbacks: Any = trainer  # whose callbacks are not in its stubs
    early = any(one.has_struck for one in callbacks.callbacks if isinstance(one, EpochLoss | Patience))
    why = "the loss no longer got better" if early else "the time was up, or it was stopped"
    rank_zero_only(print)(f"Ended after {fitter.batches_done} of {fitter.options.steps} steps: {why}.")


@contextmanager
def without_advice() -> Iterator[None]:
    """Silence Lightning's tips on loaders and loggers and torch's notes to Lightning; errors still come."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            warnings.filterwarnings("ignore", "Checkpoint directory", UserWarning)  # it is there on --resume
            warnings.filterwarnings("ignore", "The dirpath has changed", UserWarning)  # its best is kept
            warnings.filterwarnings("ignore", "Be aware that when using `ckpt_path`", UserWarning)
            warnings.filterwarnings("ignore", "Using ModelCheckpoint with manual optim", UserWarning)
            warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)`", FutureWarning)
            yield
    finally:
        logger.setLevel(level)
