"""Photographs from remote tar shards, read as they come and mixed in a buffer.

The shards are laid out as WebDataset does: `KEY.jpg`, and `KEY.cls` or `KEY.json` with a whole number where
there is a label. Each process and each of its readers takes shards of its own. What comes when hangs on the
seed, the step at which the stream began and the number of readers; a run that goes on begins a new pass over
the shards, in an order of its own, since a stream cannot be entered in its middle.
"""

from __future__ import annotations

import itertools
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from tintype.errors import DataError
from tintype.train.data import TRIES, CropSettings, SkipLog, cut, decode_usable, draw_crop, none_usable
from tintype.train.photographs import PICTURE_SUFFIXES, Record
from tintype.train.remote import RemoteFile
from tintype.train.shards import LABEL_SUFFIXES, Member, members, sidecar_key, sidecar_label

BUFFER_COUNT = 1000  # photographs that a reader mixes, still encoded …
BUFFER_BYTES = 256 * 2**20  # … as far as they fit this


@dataclass(frozen=True)
class Stream:
    """The URLs of remote tar shards; which photographs they hold shows as they are read."""

    urls: tuple[str, ...]
    records: tuple[Record, ...] = ()
    label_names: tuple[str, ...] = ()


class Sample(NamedTuple):
    """A photograph of a shard, encoded; its label is −1 where there is none."""

    name: str
    data: bytes
    label: int


def read_shard(url: str) -> Iterator[Sample]:
    """The photographs of a remote tar shard in its order; DataError where it cannot be read."""
    for _, together in itertools.groupby(_files(url), lambda member: sidecar_key(member[0])):
        files = [(PurePosixPath(name).suffix.lower(), name, data) for name, data in together]
        labels = [sidecar_label(suffix, data) for suffix, _, data in files if suffix in LABEL_SUFFIXES]
        label = next((int(text) for text in labels if text.isdecimal()), -1)
        for suffix, name, data in files:
            if suffix in PICTURE_SUFFIXES:
                yield Sample(name, data, label)


def _files(url: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the pictures and labels of a remote tar."""
    file: Any = RemoteFile(url)
    try:
        with tarfile.open(fileobj=file, mode="r|", tarinfo=Member) as tar:
            for member in members(tar):
                suffix = PurePosixPath(member.name).suffix.lower()
                if suffix in PICTURE_SUFFIXES | LABEL_SUFFIXES and (content := tar.extractfile(member)):
                    yield member.name, content.read()
    except tarfile.TarError as error:
        raise DataError(f"{url} is no readable tar shard: {error}.") from None
    finally:
        file.close()


class StreamDataset(IterableDataset[tuple[Tensor, int]]):
    """Square crops (3, size, size) uint8 RGB with their labels, as they come.

    With `crops`, random ones of mixed photographs without end, of which each of `world` processes gets its
    own share; without, the centres of one pass. Unusable photographs are passed over and named in `skipped`;
    DataError when many in a row, or all, are unusable.
    """

    def __init__(
        self,
        stream: Stream,
        size: int,
        crops: CropSettings | None = None,
        *,
        seed: int = 0,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
        drop_grey: bool = False,
        skipped: Path | None = None,
    ) -> None:
        self.stream, self.size, self.crops = stream, size, crops
        self.seed, self.start, self.rank, self.world = seed, start, rank, world
        self.drop_grey = drop_grey or (crops is not None and crops.drop_grey)
        self.skipped = SkipLog(skipped)

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        worker = get_worker_info()
        readers, reader = (worker.num_workers, worker.id) if worker else (1, 0)
        part, parts = self.rank * readers + reader, self.world * readers
        rng = np.random.default_rng((self.seed, self.start, part))
        samples = self._samples(part, parts) if self.crops is None else self._mixed(part, parts, rng)
        unusable = 0
        for sample in samples:
            try:
                rgb = decode_usable(sample.data, self.drop_grey)
            except DataError as error:
                self.skipped.tell(sample.name, str(error))
                unusable += 1
                if unusable == TRIES:
                    raise none_usable(sample.name) from None
                continue
            unusable = 0
            crop = draw_crop(rgb.shape[:2], self.crops, self.seed, int(rng.integers(2**62)))
            yield cut(rgb, crop, self.size), sample.label

    def _mixed(self, part: int, parts: int, rng: np.random.Generator) -> Iterator[Sample]:
        """Samples without end, each at random from a buffer."""
        buffer: list[Sample] = []
        held = 0
        for sample in self._samples(part, parts):
            buffer.append(sample)
            held += len(sample.data)
            while len(buffer) >= BUFFER_COUNT or held > BUFFER_BYTES:
                i = int(rng.integers(len(buffer)))
                buffer[i], buffer[-1] = buffer[-1], buffer[i]
                chosen = buffer.pop()
                held -= len(chosen.data)
                yield chosen

    def _samples(self, part: int, parts: int) -> Iterator[Sample]:
        """Every `parts`-th shard's samples: of one pass, or with `crops` of pass after pass."""
        urls = self.stream.urls
        for number in itertools.count():
            order = np.random.default_rng((self.seed, self.start, number)).permutation(len(urls))
            # Taking turns, so that no reader waits for ever where shards are few.
            own = [urls[i] for i in order[(part - number) % parts :: parts]]
            found = 0
            for url in own:
                for sample in read_shard(url):
                    found += 1
                    yield sample
            if own and not found:
                raise DataError(f"No photographs in {', '.join(own)}.")
            if self.crops is None:
                return
