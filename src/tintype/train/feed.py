"""Photographs as Lightning takes them: a loader for training, one for validation, and samples."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from tintype.errors import DataError, SettingsError
from tintype.train import cache
from tintype.train.data import CropDataset, CropSettings, OrderedBatches, is_grey
from tintype.train.photographs import Photographs
from tintype.train.stream import Stream, StreamDataset

if TYPE_CHECKING:
    from tintype.train.options import FitOptions

Batch = tuple[Tensor, Tensor]  # RGB (N, 3, H, W) uint8, labels (N,)
_SAMPLE_BATCH = 100


class Feed(lightning.LightningDataModule):
    """Training and validation photographs as loaders, each process with its own share."""

    def __init__(
        self,
        train: Photographs | Stream,
        val: Photographs | Stream | None,
        crops: CropSettings,
        options: FitOptions,
        out: Path,
    ) -> None:
        super().__init__()
        if isinstance(train, Stream) and options.cache in ("gpu", "ram"):
            raise SettingsError(
                f"--cache {options.cache} keeps photographs on disk; a stream cannot be kept."
            )
        self.photographs, self.crops, self.options = train, crops, options
        self._seen: Any = {"drop_grey": crops.drop_grey, "skipped": out / "skipped.tsv"}
        self.train: Dataset[Any] | None = None
        self.val = self._centres(val) if val else None
        self._place: cache.Cache | None = None
        self._kept_val: cache.KeptBatches | None = None
        self._device_crops: cache.DeviceCrops | None = None

    def steps_an_epoch(self, repeats: int) -> int:
        """Batches in so many passes over the photographs; between validations where a pass has no end."""
        o = self.options
        if isinstance(self.photographs, Stream):
            return o.validate_every
        return repeats * len(OrderedBatches(len(self.photographs), o.batch, 0, 0, o.devices * o.nodes))

    def sample(self, count: int) -> Tensor:
        """Centre crops (N, 3, size, size) uint8 of some training photographs, the same ones every time."""
        centres: Any = self._centres(self.photographs)
        if isinstance(self.photographs, Photographs):
            order = self.photographs.shuffled(np.random.default_rng(self.options.seed))
            centres = Subset(centres, order[:count].tolist())
        # A stream is read here: a reader of its own would fetch far more than is wanted.
        workers = 0 if isinstance(self.photographs, Stream) else self.options.workers
        loader = DataLoader(centres, min(count, _SAMPLE_BATCH), num_workers=workers)
        found = [rgb8 for rgb8, _ in islice(loader, -(-count // _SAMPLE_BATCH))]
        if not found:
            raise DataError("None of the photographs could be used; skipped.tsv names them.")
        return torch.cat(found)[:count]

    def train_dataloader(self) -> DataLoader[Any]:
        trainer: Any = self.trainer
        done, o = trainer.lightning_module.batches_done, self.options
        where: dict[str, Any] = {"num_workers": o.workers, "persistent_workers": o.workers > 0}
        if isinstance(self.photographs, Stream):
            share = {"rank": trainer.global_rank, "world": trainer.world_size, "start": done}
            stream = StreamDataset(self.photographs, o.size, self.crops, seed=o.seed, **share, **self._seen)
            return DataLoader(stream, o.batch, drop_last=True, **where)
        if self.train is None:
            self.train = self._train_dataset(self.photographs, trainer.strategy.root_device)
        batches = OrderedBatches(
            len(self.photographs), o.batch, o.seed, trainer.global_rank, trainer.world_size,
            shuffle=self.photographs.shuffled,
        )  # fmt: skip
        batches.go_on_at(done)
        return DataLoader(self.train, batch_sampler=batches, **where)

    def val_dataloader(self) -> Any:
        if self.val is None:
            return []
        workers, kept = self.options.workers, self._cache_place() != "none"
        kept &= not isinstance(self.val, StreamDataset)
        # Where they are not forked, readers take seconds to start, so they stay from one look to the next.
        stay = workers > 0 and not kept and multiprocessing.get_start_method() != "fork"
        loader: DataLoader[Any] = DataLoader(
            self.val, self.options.batch, num_workers=workers, persistent_workers=stay
        )
        if not kept:
            return loader
        if self._kept_val is None:
            trainer: Any = self.trainer
            on_gpu = self._cache_place() == "gpu"
            device = trainer.strategy.root_device if on_gpu else torch.device("cpu")
            self._kept_val = cache.KeptBatches(loader, device)
        return self._kept_val

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        """What was drawn, cut out of the photographs on the device; any other batch as it is."""
        if isinstance(batch, Tensor):
            assert self._device_crops is not None
            return self._device_crops.cut(batch)
        return batch

    def _centres(self, photographs: Photographs | Stream) -> Dataset[Any]:
        if isinstance(photographs, Stream):
            return StreamDataset(photographs, self.options.size, seed=self.options.seed, **self._seen)
        return CropDataset(photographs, self.options.size, **self._seen)

    def _crops_from_disk(self, photographs: Photographs) -> CropDataset:
        return CropDataset(
            photographs, self.options.size, self.crops, seed=self.options.seed, skipped=self._seen["skipped"]
        )

    def _cache_place(self) -> cache.Cache:
        """Where the photographs are kept, decided once."""
        if self._place is None:
            trainer: Any = self.trainer
            self._place = "none"
            if isinstance(self.photographs, Photographs):
                dataset = self._crops_from_disk(self.photographs)
                device = trainer.strategy.root_device
                self._place = cache.choose(self.options.cache, device, dataset, self.crops)
        return self._place

    def _train_dataset(self, photographs: Photographs, device: torch.device) -> Dataset[Any]:
        """The photographs from disk or from memory, as chosen."""
        dataset = self._crops_from_disk(photographs)
        if self._cache_place() == "none":
            return dataset
        kept = cache.keep(dataset, self.crops, self.options.workers)
        if self._cache_place() == "ram":
            return cache.KeptCrops(dataset, kept)
        self._device_crops = cache.DeviceCrops(kept, self.options.size, self.crops, device)
        return cache.Draws(dataset, kept)


def check_colour(rgb8: Tensor) -> None:
    """DataError where none of the photographs (N, 3, H, W) uint8 has colour."""
    if all(is_grey(rgb.permute(1, 2, 0).numpy()) for rgb in rgb8):
        raise DataError(
            f"None of the {len(rgb8)} photographs that were looked at has colour, so there is nothing to "
            "learn from them."
        )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Errors of a reader's process without its traceback, which torch puts into the message."""
    try:
        yield
    except DataError as error:
        raise DataError(str(error).strip().rpartition("DataError: ")[2]) from None
