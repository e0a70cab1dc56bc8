"""Photographs as Lightning takes them: a loader for training, one for validation, and samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tintype.train.data import CropDataset, CropSettings, OrderedBatches
from tintype.train.sources import Photographs

if TYPE_CHECKING:
    from tintype.train.options import FitOptions

Batch = tuple[Tensor, Tensor]  # RGB (N, 3, H, W) uint8, labels (N,)


class Feed(lightning.LightningDataModule):
    """Training and validation photographs as loaders, each process with its own share."""

    def __init__(
        self, train: Photographs, val: Photographs | None, crops: CropSettings, options: FitOptions, out: Path
    ) -> None:
        super().__init__()
        self.options = options
        skipped = out / "skipped.tsv"
        size, seed = options.size, options.seed
        self.train = CropDataset(train, size, crops, seed=seed, skipped=skipped)
        self.val = CropDataset(val, size, drop_grey=crops.drop_grey, skipped=skipped) if val else None

    def sample(self, count: int) -> Tensor:
        """Centre crops (N, 3, size, size) uint8 of some training photographs, the same ones every time."""
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(self.options.seed))
        centers = CropDataset(self.train.photographs, self.options.size, drop_grey=self.train.drop_grey)
        subset = torch.utils.data.Subset(centers, order[:count].tolist())
        loader = DataLoader(subset, 100, num_workers=self.options.workers)
        return torch.cat([rgb8 for rgb8, _ in loader])

    def train_dataloader(self) -> DataLoader[Any]:
        trainer: Any = self.trainer
        o = self.options
        batches = OrderedBatches(len(self.train), o.batch, o.seed, trainer.global_rank, trainer.world_size)
        batches.go_on_at(trainer.lightning_module.batches_done)
        return DataLoader(
            self.train, batch_sampler=batches, num_workers=o.workers, persistent_workers=o.workers > 0
        )

    def val_dataloader(self) -> Any:
        if self.val is None:
            return []
        return DataLoader(self.val, self.options.batch, num_workers=self.options.workers)
