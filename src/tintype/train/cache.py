"""Decoded photographs kept in memory: read once, cropped from there, on a GPU by the GPU.

A photograph is kept with its shorter side no longer than a crop can use, so one that is no larger gives the
very crops that it gives from disk. On a device a batch of crops, turned and mirrored, is gathered at once;
the loader draws only where they lie.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from tintype.errors import DataError, SettingsError
from tintype.running import free_memory
from tintype.train.data import TRIES, CropDataset, CropSettings, Position, draw_crop, none_usable

Cache = Literal["auto", "gpu", "ram", "none"]
_CHUNK = 1000  # photographs that are packed at a time


@dataclass(frozen=True)
class Kept:
    """Decoded photographs: their pixels (P, 3) uint8, one photograph's rows after another's.

    Photograph i begins at `starts[i]` and is `sizes[i]` = (H, W); `stand_ins[n]` is the one that is shown for
    number n of the data set: itself, or the next that could be used.
    """

    pixels: Tensor
    starts: Tensor  # (K,) int64
    sizes: Tensor  # (K, 2) int64
    labels: Tensor  # (K,) int64
    stand_ins: Tensor  # (count,) int64

    def rgb(self, i: int) -> NDArray[np.uint8]:
        """Photograph i (H, W, 3), where the pixels lie in main memory."""
        height, width = self.sizes[i].tolist()
        start = int(self.starts[i])
        return self.pixels[start : start + height * width].view(height, width, 3).numpy()


class KeptCrops(CropDataset):
    """A `CropDataset` that takes its photographs from main memory."""

    def __init__(self, dataset: CropDataset, kept: Kept) -> None:
        super().__init__(dataset.photographs, dataset.size, dataset.crops, seed=dataset.seed)
        self.kept = kept

    def usable(self, number: int) -> tuple[NDArray[np.uint8], int]:
        i = int(self.kept.stand_ins[number])
        return self.kept.rgb(i), int(self.kept.labels[i])


class Draws(Dataset[Tensor]):
    """What to crop, as `CropDataset` would: (7,) float64, a kept photograph's number and a `Crop`."""

    def __init__(self, dataset: CropDataset, kept: Kept) -> None:
        self.crops, self.seed = dataset.crops, dataset.seed
        self.sizes, self.stand_ins = kept.sizes, kept.stand_ins

    def __len__(self) -> int:
        return len(self.stand_ins)

    def __getitem__(self, position: Position) -> Tensor:
        number, draw = position
        i = int(self.stand_ins[number])
        height, width = self.sizes[i].tolist()
        return torch.tensor(
            [i, *draw_crop((height, width), self.crops, self.seed, draw)], dtype=torch.float64
        )


class DeviceCrops:
    """Cuts batches of crops out of photographs kept on a device."""

    def __init__(self, kept: Kept, size: int, crops: CropSettings, device: torch.device) -> None:
        self.pixels, self.starts, self.labels = (
            t.to(device) for t in (kept.pixels, kept.starts, kept.labels)
        )
        self.widths = kept.sizes[:, 1].to(device)
        self.size = size
        self.taps = math.ceil(longest_side(size, crops) / size)  # samples a pixel and axis, against aliasing

    def cut(self, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Draws (N, 7) to RGB (N, 3, size, size) uint8 and labels (N,)."""
        which = draws[:, 0].long()
        top, left, side, degrees, *flips = draws[:, 1:].float().view(-1, 6, 1, 1).unbind(1)
        total = torch.zeros(len(draws), self.size, self.size, 3, device=draws.device)
        spread = (side > self.size).float() / self.taps  # a crop that is enlarged is sampled once
        for tap in range(self.taps**2):
            row, column = (place - (self.taps - 1) / 2 for place in divmod(tap, self.taps))
            y, x = self._grid(spread * row, spread * column)
            y, x = torch.where(flips[1] > 0, -y, y), torch.where(flips[0] > 0, -x, x)
            y, x = _turned(y, x, torch.deg2rad(degrees))
            # Pixel i of a side of s has its centre at (i + ½) / s − ½.
            y, x = ((p * side + (side - 1) / 2).clamp(min=0).minimum(side - 1) for p in (y, x))
            total += self._sample(which, y + top, x + left)
        rgb8 = (total / self.taps**2).round().clamp(0, 255).to(torch.uint8)
        return rgb8.permute(0, 3, 1, 2).contiguous(), self.labels[which]

    def _grid(self, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
        """Where the pixels of a crop lie in it, −½…½: y (N, size, 1) and x (N, 1, size), moved by pixels."""
        centres = torch.arange(self.size, device=row.device) + 0.5
        y, x = centres.view(1, -1, 1) + row, centres.view(1, 1, -1) + column
        return y / self.size - 0.5, x / self.size - 0.5

    def _sample(self, which: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Pixels (N, size, size, 3) between whole coordinates, by bilinear weights."""
        y0, x0 = y.floor(), x.floor()
        fy, fx = (y - y0)[..., None], (x - x0)[..., None]
        y1, x1 = y.ceil().long(), x.ceil().long()
        start, width = (t[which].view(-1, 1, 1) for t in (self.starts, self.widths))

        def at(row: Tensor, column: Tensor) -> Tensor:
            return self.pixels[start + row * width + column].float()

        y0, x0 = y0.long(), x0.long()
        upper = torch.lerp(at(y0, x0), at(y0, x1), fx)
        return torch.lerp(upper, torch.lerp(at(y1, x0), at(y1, x1), fx), fy)


class KeptBatches:
    """Batches that were read once, as a loader."""

    def __init__(self, loader: DataLoader[Any], device: torch.device) -> None:
        self.batches = [tuple(part.to(device) for part in batch) for batch in loader]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return iter(self.batches)


def longest_side(size: int, crops: CropSettings) -> int:
    """The shorter side of a photograph above which a crop of `size` gains nothing."""
    return math.ceil(size / crops.min_side)


def keep(dataset: CropDataset, crops: CropSettings, workers: int) -> Kept:
    """Read all photographs of a data set; DataError where too many in a row cannot be used."""
    decoded = _Decoded(dataset, longest_side(dataset.size, crops))
    loader = DataLoader(decoded, batch_size=None, num_workers=workers)
    chunks: list[Tensor] = []
    pending: list[Tensor] = []
    sizes, numbers = [], []
    for number, rgb in enumerate(
        tqdm(loader, "Reading", unit=" photographs", disable=not sys.stderr.isatty())
    ):
        if rgb.numel():
            sizes.append(rgb.shape[:2])
            numbers.append(number)
            pending.append(rgb.view(-1, 3).clone())  # out of the memory shared with the reader
        if len(pending) == _CHUNK:
            chunks.append(torch.cat(pending))
            pending.clear()
    chunks += pending
    areas = torch.tensor([h * w for h, w in sizes] or [0])
    pixels = torch.empty(int(areas.sum()), 3, dtype=torch.uint8)
    end = len(pixels)
    while chunks:  # from the last, so that each is let go as it is packed
        chunk = chunks.pop()
        pixels[end - len(chunk) : end] = chunk
        end -= len(chunk)
    records = dataset.photographs.records
    labels = torch.tensor([records[number].label for number in numbers])
    return Kept(pixels, areas.cumsum(0) - areas, torch.tensor(sizes), labels, _stand_ins(dataset, numbers))


def _free_memory() -> float:
    """Bytes of memory that are to be had; without bound where the system does not tell."""
    found = free_memory()
    return math.inf if found is None else found


def choose(cache: Cache, device: torch.device, dataset: CropDataset, crops: CropSettings) -> Cache:
    """Where the photographs are kept: `auto` is `gpu` where they fit in half its free memory, else `none`.

    SettingsError where they do not fit in what was named.
    """
    if cache == "none" or (cache == "auto" and device.type != "cuda"):
        return "none"
    needed = estimate(dataset, crops)
    free = _free_memory() if cache == "ram" else torch.cuda.mem_get_info(device)[0]
    if cache == "auto":
        return "gpu" if needed <= free / 2 else "none"
    if needed > free:
        raise SettingsError(
            f"--cache {cache} needs about {needed / 2**30:.1f} GiB for these photographs, and there are "
            f"{free / 2**30:.1f}; use --cache none, or a smaller --size."
        )
    return cache


def estimate(dataset: CropDataset, crops: CropSettings, count: int = 100) -> int:
    """The bytes that all photographs of a data set take when kept, judged by some of them."""
    some = dataset.photographs.shuffled(np.random.default_rng(0))[:count]
    decoded = _Decoded(dataset, longest_side(dataset.size, crops))
    return round(float(np.mean([decoded[int(i)].numel() for i in some])) * len(dataset))


class _Decoded(Dataset[Tensor]):
    """Photographs (H, W, 3) uint8, shrunk to a shorter side; empty ones for those that cannot be used."""

    def __init__(self, dataset: CropDataset, shorter: int) -> None:
        self.dataset, self.shorter = dataset, shorter

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Tensor:
        rgb = self.dataset.decode(number)
        if rgb is None:
            return torch.empty(0, 0, 3, dtype=torch.uint8)
        height, width = rgb.shape[:2]
        factor = self.shorter / min(height, width)
        if factor < 1:
            size = (max(1, round(width * factor)), max(1, round(height * factor)))
            rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        return torch.from_numpy(rgb)


def _stand_ins(dataset: CropDataset, numbers: list[int]) -> Tensor:
    """For each number of the data set the place in `numbers` of the next one there, going round."""
    count = len(dataset)
    if not numbers:
        raise DataError(f"None of {count} photographs could be used.")
    wanted = np.arange(count)
    found = np.searchsorted(numbers, wanted)
    distances = np.append(numbers, numbers[0] + count)[found] - wanted
    if distances.max() >= TRIES:
        last = (int(distances.argmax()) + TRIES - 1) % count
        raise none_usable(dataset.photographs.records[last].name)
    return torch.from_numpy(found % len(numbers))


def _turned(y: Tensor, x: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Places of a turned square in the square it was cut from, shrunk so that no corner is empty."""
    cos, sin = angle.cos(), angle.sin()
    scale = cos.abs() + sin.abs()
    return (sin * x + cos * y) / scale, (cos * x - sin * y) / scale
