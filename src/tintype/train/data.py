"""Photographs as training batches: decoded lazily, cropped repeatably, in an order that can go on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from tintype import images
from tintype.color import GREY_LIMIT
from tintype.errors import DataError, InputError
from tintype.train.photographs import Photographs
from tintype.train.ranges import Range, Ranged, Share

_GREY_SIDE = 112  # pixels, as the labels of the report on `fusion`, which leaves out grey photographs
TRIES = 50  # unusable photographs in a row after which the data set is given up

Position = tuple[int, int]  # which photograph, and the number of the draw that its randomness hangs on


@dataclass(frozen=True, kw_only=True)
class CropSettings(Ranged):
    """How a training crop is taken; validation takes the centre."""

    min_side: Annotated[float, Range(above=0, most=1)] = 0.65
    """A crop's side is this share to all of the photograph's shorter side."""
    flip: Share = 0.5
    """How often a crop is mirrored left to right."""
    flip_vertical: Share = 0.0
    """How often a crop is turned upside down."""
    rotate: Annotated[float, Range(least=0, most=180)] = 0.0
    """Greatest angle, in degrees, by which a crop is turned either way."""
    drop_grey: bool = False
    """Leave out photographs in which no |a| or |b| reaches 1, at a shorter side of 112 pixels."""


def decode_rgb8(data: bytes) -> NDArray[np.uint8]:
    """Picture bytes to RGB (H, W, 3) uint8; DataError when they are no picture."""
    try:
        return images.decode_rgb8(data)
    except InputError:
        raise DataError("Not a picture that can be decoded.") from None


def is_grey(rgb: NDArray[np.uint8]) -> bool:
    """Whether no |a| or |b| of (H, W, 3) reaches `GREY_LIMIT`."""
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return bool(np.abs(lab[..., 1:]).max() < GREY_LIMIT)


def center_crop(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest centred square of (H, W, 3)."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return rgb[top : top + side, left : left + side]


def decode_usable(data: bytes, drop_grey: bool) -> NDArray[np.uint8]:
    """Picture bytes to RGB (H, W, 3) uint8; DataError, saying why, when they are of no use for training."""
    rgb = decode_rgb8(data)
    if drop_grey and is_grey(_small(rgb)):
        raise DataError("grey")
    return rgb


def _small(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) at a shorter side of `_GREY_SIDE` at most, where a few pixels of colour make no picture."""
    height, width = rgb.shape[:2]
    ratio = min(1.0, _GREY_SIDE / min(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


class Crop(NamedTuple):
    """A square of a photograph, how far it is turned (counter-clockwise), and how it is mirrored."""

    top: int
    left: int
    side: int
    degrees: float = 0.0
    flip: bool = False
    flip_vertical: bool = False


def draw_crop(size: tuple[int, int], crops: CropSettings | None, seed: int, draw: int) -> Crop:
    """A random crop of a photograph of (H, W) by the seed and the draw; without `crops` the centre."""
    height, width = size
    shorter = min(height, width)
    if crops is None:
        return Crop((height - shorter) // 2, (width - shorter) // 2, shorter)
    rng = np.random.default_rng((seed, draw))
    side = max(1, round(shorter * rng.uniform(crops.min_side, 1)))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    degrees = rng.uniform(-crops.rotate, crops.rotate) if crops.rotate else 0.0
    return Crop(top, left, side, degrees, rng.random() < crops.flip, rng.random() < crops.flip_vertical)


def cut(rgb: NDArray[np.uint8], crop: Crop, size: int) -> Tensor:
    """A crop of RGB (H, W, 3) as (3, size, size) uint8."""
    square = rgb[crop.top : crop.top + crop.side, crop.left : crop.left + crop.side]
    if crop.degrees:
        square = _rotate(square, crop.degrees)
    square = square[:: -1 if crop.flip_vertical else 1, :: -1 if crop.flip else 1]
    method = cv2.INTER_AREA if crop.side > size else cv2.INTER_LINEAR
    square = cv2.resize(np.ascontiguousarray(square), (size, size), interpolation=method)
    return torch.from_numpy(square).permute(2, 0, 1).contiguous()


class SkipLog:
    """Names each photograph that could not be used, once, in a file of `name<TAB>reason` lines, if any."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._names: set[str] = set()
        self._read = 0  # bytes of the file, whose names are known

    def tell(self, name: str, reason: str) -> None:
        if self.path is None or name in self._names:
            return
        self._read_on(self.path)
        if name not in self._names:
            self._names.add(name)
            with self.path.open("ab") as file:
                file.write(f"{name}\t{reason}\n".encode(errors="surrogateescape"))

    def names(self) -> set[str]:
        """The photographs that the file names."""
        if self.path is not None:
            self._read_on(self.path)
        return set(self._names)

    def _read_on(self, path: Path) -> None:
        """Take in what was added to the file, to which other processes write, too."""
        if not path.is_file():
            return
        with path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]  # a line that is being written is read when it is whole
        self._read += len(new)
        lines = new.decode(errors="surrogateescape").split("\n")[:-1]
        self._names.update(line.partition("\t")[0] for line in lines)


class CropDataset(Dataset[tuple[Tensor, int]]):
    """Square crops (3, size, size) uint8 RGB with their labels: random ones, or the centre without `crops`.

    A photograph that cannot be used (broken, or grey where those are left out) is named in the file
    `skipped`, and the next that can takes its place; DataError when none of many can.
    """

    def __init__(
        self,
        photographs: Photographs,
        size: int,
        crops: CropSettings | None = None,
        *,
        seed: int = 0,
        drop_grey: bool = False,
        skipped: Path | None = None,
    ) -> None:
        self.photographs, self.size, self.crops, self.seed = photographs, size, crops, seed
        self.drop_grey = drop_grey or (crops is not None and crops.drop_grey)
        self.skipped = SkipLog(skipped)

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, position: int | Position) -> tuple[Tensor, int]:
        """The crop of a photograph by its number, or by its number and the number of the draw."""
        number, draw = position if isinstance(position, tuple) else (position, position)
        rgb, label = self.usable(number)
        return cut(rgb, draw_crop(rgb.shape[:2], self.crops, self.seed, draw), self.size), label

    def usable(self, number: int) -> tuple[NDArray[np.uint8], int]:
        """RGB (H, W, 3) and the label of a photograph, or of the next that can be used."""
        for attempt in range(TRIES):
            place = (number + attempt) % len(self)
            if (rgb := self.decode(place)) is not None:
                return rgb, self.photographs.records[place].label
        raise none_usable(self.photographs.records[place].name)

    def decode(self, number: int) -> NDArray[np.uint8] | None:
        """RGB (H, W, 3) of a photograph; None, and its name in the file `skipped`, if it cannot be used."""
        record = self.photographs.records[number]
        try:
            return decode_usable(record.read(), self.drop_grey)
        except (DataError, OSError) as error:
            self.skipped.tell(record.name, str(error))
            return None


def none_usable(name: str) -> DataError:
    """The error for `TRIES` unusable photographs in a row, of which `name` was the last."""
    return DataError(
        f"None of {TRIES} photographs in a row is a picture that can be decoded (and, with drop_grey, has "
        f"colour); the last was {name}."
    )


def _rotate(square: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Turn a square and cut out the largest upright square that has no empty corner."""
    side = len(square)
    angle = math.radians(abs(degrees))
    scale = abs(math.cos(angle)) + abs(math.sin(angle))
    center = ((side - 1) / 2, (side - 1) / 2)
    matrix = cv2.getRotationMatrix2D(center, degrees, scale)
    return cv2.warpAffine(square, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


class OrderedBatches(Sampler[list[Position]]):
    """Batches of positions in an order, by `shuffle` or any, that depends on the seed and the epoch alone.

    Each pass over it is the next epoch; `go_on_at` sets the epoch and the batch that come next, so a run goes
    on where it stopped. Of `world` processes each gets its own share of every batch of `batch * world`.
    """

    def __init__(
        self,
        count: int,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        shuffle: Callable[[np.random.Generator], NDArray[np.int64]] | None = None,
    ) -> None:
        if count < batch * world:
            raise DataError(
                f"{count} photographs do not fill one batch of {batch * world}; use a smaller one."
            )
        self.count, self.batch, self.seed, self.rank, self.world = count, batch, seed, rank, world
        self.shuffle = shuffle or (lambda rng: rng.permutation(count))
        self._epoch, self._start = 0, 0

    def __len__(self) -> int:
        return self.count // (self.batch * self.world)

    def go_on_at(self, batches_done: int) -> None:
        """Come next with what follows the first `batches_done` batches of the run."""
        self._epoch, self._start = divmod(batches_done, len(self))

    def __iter__(self) -> Iterator[list[Position]]:
        epoch, start = self._epoch, self._start
        self._epoch, self._start = epoch + 1, 0
        order = self.shuffle(np.random.default_rng((self.seed, epoch)))
        first = epoch * self.count
        for step in range(start, len(self)):
            begin = (step * self.world + self.rank) * self.batch
            yield [(int(order[i]), first + i) for i in range(begin, begin + self.batch)]
