"""What a run shows while it goes: photographs a second, time left, and sheets of pictures in TensorBoard."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Timer, WeightAveraging
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from torch import Tensor

from tintype.train.lab import lab_to_rgb, rgb_to_lab

SHEET_PHOTOGRAPHS = 6


class Throughput(lightning.Callback):
    """Logs photographs a second, and says how a run goes where no progress bar can be drawn."""

    def __init__(self, batch: int, steps_an_epoch: int, say_every_s: float = 30.0) -> None:
        self.batch, self.steps_an_epoch, self.say_every_s = batch, steps_an_epoch, say_every_s
        self._since, self._first, self._said = 0.0, 0, 0.0

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self._since, self._first, self._said = time.monotonic(), module.batches_done, time.monotonic()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        done = module.batches_done
        now = time.monotonic()
        rate = (done - self._first) * self.batch * trainer.world_size / max(now - self._since, 1e-9)
        if done % min(20, self.steps_an_epoch) == 0:
            module.log("photographs/s", rate, prog_bar=True)
        if trainer.is_global_zero and not sys.stdout.isatty() and now - self._said > self.say_every_s:
            self._said = now
            left = (module.options.steps - done) * self.batch * trainer.world_size / rate
            loss = float(trainer.callback_metrics.get("train/loss", float("nan")))
            print(
                f"epoch {done // self.steps_an_epoch}, step {done} of {module.options.steps}, "
                f"{rate:.0f} photographs/s, loss {loss:.4f}, {left / 60:.0f} min left",
                flush=True,
            )


class ThisTime(Timer):
    """Stops training after some time, not counting what a run that goes on took before."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


class RunProgress(lightning.Callback):
    """One bar over the whole run: epoch, step, photographs a second, loss, time left."""

    def __init__(self, steps_an_epoch: int) -> None:
        self._steps_an_epoch = steps_an_epoch
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("step {task.completed} of {task.total}"),
            TextColumn("{task.fields[rate]} photographs/s"),
            TextColumn("loss {task.fields[loss]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        self._task: TaskID | None = None

    def on_train_start(self, trainer: Any, module: Any) -> None:
        if trainer.is_global_zero:
            self._bar.start()
            done = module.batches_done
            fields = {"epoch": done // self._steps_an_epoch, "rate": "–", "loss": "–"}
            self._task = self._bar.add_task("", total=module.options.steps, completed=done, **fields)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._task is not None:
            known = trainer.callback_metrics
            rate, loss = (known.get(key) for key in ("photographs/s", "train/loss"))
            self._bar.update(
                self._task,
                completed=module.batches_done,
                epoch=module.batches_done // self._steps_an_epoch,
                rate="–" if rate is None else f"{rate:.0f}",
                loss="–" if loss is None else f"{loss:.4g}",
            )

    def on_train_end(self, trainer: Any, module: Any) -> None:
        self._bar.stop()

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        self._bar.stop()


class WarmAveraging(WeightAveraging):
    """Exponential moving average of the weights whose memory grows to `decay`.

    After n steps it keeps (1 + n) / (10 + n) at most: a short run's average would else be its start.
    """

    def __init__(self, decay: float) -> None:
        def average(kept: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
            n = float(count)
            return kept.lerp(now, 1 - min(decay, (1 + n) / (10 + n)))

        super().__init__(use_buffers=False, avg_fn=average)

    def on_train_end(self, trainer: Any, module: Any) -> None:
        """Nothing: were the average put in the place of the weights, it would be gone on from."""


class Sheets(lightning.Callback):
    """Adds sheets of grey, truth and prediction to TensorBoard, every so many steps and at the end."""

    def __init__(self, rgb8: Tensor, every: int) -> None:
        self.rgb8, self.every = rgb8[:SHEET_PHOTOGRAPHS], every

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.is_global_zero and module.batches_done % self.every == 0:
            self._add(trainer, module)

    def on_train_end(self, trainer: Any, module: Any) -> None:
        if trainer.is_global_zero:
            self._add(trainer, module)

    def _add(self, trainer: Any, module: Any) -> None:
        sheet = make_sheet(module.model, self.rgb8.to(module.device))
        trainer.logger.experiment.add_image("grey, truth, predicted", sheet, module.batches_done)


@torch.no_grad()
def make_sheet(model: torch.nn.Module, rgb8: Tensor) -> Tensor:
    """Photographs (N, 3, H, W) uint8 to a sheet (3, 3 H, N W) in 0…1: grey, truth, prediction."""
    training = model.training
    model.eval()
    rgb = rgb8.float() / 255
    L = rgb_to_lab(rgb)[:, :1]
    ab = torch.nn.functional.interpolate(model(L).float(), rgb.shape[2:], mode="bilinear")
    model.train(training)
    zero = torch.zeros_like(ab)
    rows = [lab_to_rgb(torch.cat([L, zero], 1)), rgb, lab_to_rgb(torch.cat([L, ab], 1))]
    return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1).clamp(0, 1).cpu()
