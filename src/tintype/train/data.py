"""Photographs for training: folders and tar shards, read lazily, one at a time.

A tar shard is a plain tar of picture files; an index of offsets is made once per shard by walking its
headers, so any picture is one seek and one read, and the order is exact.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from tintype.errors import DataError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Record:
    """Where a picture's bytes lie: a file, or a slice of a tar shard."""

    path: str
    name: str
    offset: int = 0
    size: int = -1

    def read(self) -> bytes:
        with Path(self.path).open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def find_records(paths: Sequence[Path]) -> list[Record]:
    """Every picture under folders (recursively) and in `.tar` shards; DataError when there is none."""
    records: list[Record] = []
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
            records += [Record(str(p), str(p.relative_to(path))) for p in files]
        elif path.suffix == ".tar" and path.is_file():
            records += _shard_records(path)
        else:
            raise DataError(f"{path} is neither a folder nor a .tar shard of photographs.")
    if not records:
        raise DataError(f"No photographs in {', '.join(map(str, paths))}.")
    return records


def _shard_records(path: Path) -> list[Record]:
    with tarfile.open(path) as tar:
        return [
            Record(str(path), m.name, m.offset_data, m.size)
            for m in tar
            if m.isfile() and Path(m.name).suffix.lower() in PICTURE_SUFFIXES
        ]


def decode_rgb8(data: bytes) -> NDArray[np.uint8]:
    """Picture bytes to RGB (H, W, 3) uint8; DataError when they are no picture."""
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None:
        raise DataError("Not a picture that can be decoded.")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


class CropDataset(Dataset[Tensor]):
    """Random square crops (3, size, size) uint8 RGB, flipped at random; or the centre crop.

    A random crop's side is `min_side` to 1 of the picture's shorter side. Randomness comes from torch's
    generator, so a seeded run is repeatable.
    """

    def __init__(
        self, records: Sequence[Record], size: int, *, min_side: float = 0.65, train: bool = True
    ) -> None:
        self.records, self.size, self.min_side, self.train = records, size, min_side, train

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, i: int) -> Tensor:
        rgb = decode_rgb8(self.records[i].read())
        crop = self._random_crop(rgb) if self.train else center_crop(rgb)
        method = cv2.INTER_AREA if crop.shape[0] > self.size else cv2.INTER_LINEAR
        crop = cv2.resize(crop, (self.size, self.size), interpolation=method)
        return torch.from_numpy(crop).permute(2, 0, 1).contiguous()

    def _random_crop(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        u = torch.rand(4).tolist()
        height, width = rgb.shape[:2]
        side = max(1, round(min(height, width) * (self.min_side + (1 - self.min_side) * u[0])))
        top, left = int(u[1] * (height - side + 1)), int(u[2] * (width - side + 1))
        crop = rgb[top : top + side, left : left + side]
        return np.ascontiguousarray(crop[:, ::-1]) if u[3] < 0.5 else crop


def center_crop(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The largest centred square of (H, W, 3)."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return rgb[top : top + side, left : left + side]
