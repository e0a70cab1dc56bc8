"""When training ends by itself: no better validation for long, or a loss that no longer moves."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor


class Patience(EarlyStopping):
    """Ends training after so many validations without a better loss, as many as this time was said.

    A run that goes on counts on, but anew where losses were `judged_by` something else before.
    """

    def __init__(self, validations: int, judged_by: str = "") -> None:
        super().__init__("val/loss", patience=validations, check_on_train_epoch_end=False)
        self._judged_by = judged_by

    @property
    def has_struck(self) -> bool:
        """Whether it ended training."""
        return self.wait_count >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """As Lightning's, and by what was judged."""
        return super().state_dict() | {"judged_by": self._judged_by}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As Lightning's, but for the patience, which a run that goes on may be told anew."""
        if state_dict.get("judged_by", self._judged_by) == self._judged_by:
            super().load_state_dict(state_dict | {"patience": self.patience})


class EpochLoss(lightning.Callback):
    """Logs the mean training loss: before training of the photographs `rgb8`, then of each epoch.

    Where `least` is not 0 it ends training when an epoch moves that mean by less. The mean is of whole
    epochs, however often the run was stopped in one; Lightning's own forgets what came before a stop.
    """

    def __init__(self, rgb8: Tensor, least: float, steps_an_epoch: int) -> None:
        self._rgb8, self.least, self.steps_an_epoch, self.has_struck = rgb8, least, steps_an_epoch, False
        self._sum, self._count, self._previous = torch.zeros(()), 0, float("inf")

    def on_train_start(self, trainer: Any, module: Any) -> None:
        if module.batches_done == 0:
            trainer.logger.log_metrics({"train/epoch_loss": module.mean_loss(self._rgb8)}, step=0)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._sum = self._sum.to(module.device) + outputs["loss"].detach()
        self._count += 1
        if module.batches_done % self.steps_an_epoch == 0:
            self._judge(trainer, module)

    def _judge(self, trainer: Any, module: Any) -> None:
        mean = float(trainer.strategy.reduce(self._sum / self._count, reduce_op="mean"))
        module.log("train/epoch_loss", mean)
        self.has_struck = abs(self._previous - mean) < self.least
        trainer.should_stop |= self.has_struck
        self._sum, self._count, self._previous = torch.zeros(()), 0, mean

    def state_dict(self) -> dict[str, Any]:
        return {"sum": self._sum.cpu(), "count": self._count, "previous": self._previous}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        kept: Tensor = state_dict["sum"]
        self._sum, self._count, self._previous = kept, state_dict["count"], state_dict["previous"]
