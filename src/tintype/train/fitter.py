"""The Lightning module around a recipe's model: its steps, optimisers and learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning
import torch
from torch import Tensor

from tintype.train import recipes
from tintype.train.augment import GreySettings, to_training_pair
from tintype.train.feed import Batch
from tintype.train.lab import rgb_to_lab
from tintype.train.options import FitOptions
from tintype.train.recipe import Losses, RecipeModel, Schedule


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
        if self.model.sums_over_batch:  # DDP averages over processes; a sum over the batch must stay one
            losses["loss"] = losses["loss"] * self.trainer.world_size
        self._log_losses("train", losses)
        return losses["loss"]

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
        self._log_losses("val", self._undamaged_losses(batch), len(batch[0]))

    @torch.no_grad()
    def mean_loss(self, rgb8: Tensor) -> float:
        """The loss of photographs (N, 3, H, W) uint8 without labels, as validation has it."""
        training = self.model.training
        self.model.eval()
        total = 0.0
        for some in torch.split(rgb8, self.options.batch):
            labels = torch.full((len(some),), -1, device=self.device)
            total += float(self._undamaged_losses((some.to(self.device), labels))["loss"]) * len(some)
        self.model.train(training)
        return total / len(rgb8)

    def _undamaged_losses(self, batch: Batch) -> Losses:
        rgb8, labels = batch
        lab = rgb_to_lab(rgb8.float() / 255)
        losses: Losses = self.model.loss(lab[:, :1], lab[:, 1:], labels)
        if self.model.sums_over_batch:  # as the sum over a training batch, whatever the size of this one
            losses["loss"] = losses["loss"] * self.options.batch * self.trainer.world_size / len(rgb8)
        return losses

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
        if self.schedule.lr_schedule == "constant" or self.model.adversarial:
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
        checkpoint["recipe"] = recipes.name_of(self.model)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.batches_done = checkpoint["batches_done"]
