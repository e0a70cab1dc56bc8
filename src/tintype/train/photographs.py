"""What a data set is: its photographs in a fixed order, their labels, and parts of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from tintype.images import READABLE_SUFFIXES
from tintype.train.shards import key_of

PICTURE_SUFFIXES = READABLE_SUFFIXES
WINDOW_BYTES = 256 * 2**20  # of row groups among which photographs are mixed, and which a reader keeps


@cache
def _real(path: str) -> str:
    return os.path.realpath(path)


@dataclass(frozen=True, slots=True)
class Record:
    """Where a picture's bytes lie: a file, or a slice of a tar shard; `label` is −1 where there is none."""

    path: str
    name: str
    offset: int = 0
    size: int = -1
    label: int = -1

    @property
    def block(self) -> tuple[str, int] | None:
        """What must be read whole to read this picture, where that is more than the picture."""
        return None

    @property
    def place(self) -> tuple[object, ...]:
        """Where the picture's bytes lie, however the path to them was written."""
        return _real(self.path), self.block and self.block[1], self.offset

    def read(self) -> bytes:
        """The picture's bytes; OSError or DataError when they cannot be read."""
        with Path(self.path).open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True)
class Photographs:
    """The records of a data set, in a fixed order, and the names of their labels."""

    records: tuple[Record, ...]
    label_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences on what was left out as they were looked for."""

    def __len__(self) -> int:
        return len(self.records)

    def labelled_as(self, label_names: tuple[str, ...]) -> Photographs:
        """The same, their labels numbered as `label_names` has them; −1 for those that it has not."""
        number = {name: i for i, name in enumerate(label_names)}
        new = [number.get(name, -1) for name in self.label_names]
        records = (replace(r, label=new[r.label] if r.label >= 0 else -1) for r in self.records)
        return replace(self, records=tuple(records), label_names=label_names)

    def numbered(self) -> Photographs:
        """The same, each label the number that it is written as, as a stream has it; −1 for other text."""
        new = [int(name) if name.isdecimal() else -1 for name in self.label_names]
        return replace(
            self, records=tuple(replace(r, label=new[r.label] if r.label >= 0 else -1) for r in self.records)
        )

    def shuffled(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """The numbers of all photographs in a random order.

        Where photographs must be read in blocks, these come in random order, and those that together take up
        to `WINDOW_BYTES` are mixed, so that a reader needs each block once.
        """
        if all(record.block is None for record in self.records):
            return rng.permutation(len(self))
        blocks, sizes = self._blocks
        windows: list[list[NDArray[np.int64]]] = []
        left = 0
        for i in rng.permutation(len(blocks)):
            if not windows or sizes[i] > left:
                windows.append([])
                left = WINDOW_BYTES
            windows[-1].append(blocks[i])
            left -= sizes[i]
        return np.concatenate([rng.permutation(np.concatenate(window)) for window in windows])

    @cached_property
    def _blocks(self) -> tuple[list[NDArray[np.int64]], list[int]]:
        """The numbers of the photographs of each block, and the bytes it takes; else each is its own."""
        members: dict[tuple[str, int], list[int]] = {}
        for i, record in enumerate(self.records):
            members.setdefault(record.block or ("", i), []).append(i)
        sizes = [r.size if r.block else 0 for r in (self.records[m[0]] for m in members.values())]
        return [np.array(numbers) for numbers in members.values()], sizes


def labelled(found: Iterable[tuple[Record, str]]) -> Photographs:
    """Number the labels ("" for none): whole numbers in their order, then names in the alphabet's."""
    found = tuple(found)
    names = tuple(sorted({label for _, label in found} - {""}, key=_label_order))
    numbers = {name: i for i, name in enumerate(names)} | {"": -1}
    return Photographs(tuple(replace(r, label=numbers[label]) for r, label in found), names)


def _label_order(label: str) -> tuple[bool, int, str]:
    return (False, int(label), "") if label.isdecimal() else (True, 0, label)


def split(photographs: Photographs, share: float) -> tuple[Photographs, Photographs]:
    """Part the photographs by a stable hash of their names: about `share` of them go to the second part.

    It is that of their keys, so that they are parted alike in a folder and packed, and what has one name and
    several formats goes to one part.
    """

    def key(record: Record) -> str:
        is_picture = PurePosixPath(record.name).suffix.lower() in PICTURE_SUFFIXES
        return key_of(record.name) if is_picture else record.name

    parts: tuple[list[Record], list[Record]] = ([], [])
    for record in photographs.records:
        digest = hashlib.sha256(key(record).encode(errors="surrogateescape")).digest()
        parts[int.from_bytes(digest[:8]) < share * 2**64].append(record)
    first, second = (replace(photographs, records=tuple(part)) for part in parts)
    return first, second


def some(photographs: Photographs, count: int) -> Photographs:
    """The `count` photographs whose names have the lowest hashes, in the order they had."""

    def rank(place: int) -> tuple[bytes, int]:
        # Not `split`'s hash: the part that is held out shall be a fair sample of the few as well.
        name = photographs.records[place].name
        return hashlib.sha256(f"some/{name}".encode(errors="surrogateescape")).digest(), place

    chosen = sorted(sorted(range(len(photographs.records)), key=rank)[:count])
    return replace(photographs, records=tuple(photographs.records[place] for place in chosen))
