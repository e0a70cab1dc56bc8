"""`tintype data`: what a set of photographs holds, and packing it into tar shards."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype.errors import DataError, OutputExistsError
from tintype.train.data import decode_rgb8, is_grey
from tintype.train.photographs import Photographs, Record, some
from tintype.train.shards import UNFINISHED, keys_for
from tintype.train.sources import find_photographs
from tintype.whole import whole_file

HISTOGRAM_LIMIT = 110  # Lab units that the picture of the ab histogram spans either way
_SAMPLE_SIDE = 64  # a photograph's colours are counted at this size
_WEBP_QUALITY = 90
_NAMED = 10  # photographs that could not be used


@dataclass
class Seen:
    """What one photograph shows; `counts` is its ab histogram, None where it could not be decoded."""

    size: tuple[int, int] = (0, 0)
    grey: bool = False
    counts: NDArray[np.int64] | None = None


def look_at(record: Record) -> Seen:
    """Decode one photograph and count its colours in cells of one Lab unit."""
    try:
        rgb = decode_rgb8(record.read())
    except (DataError, OSError):
        return Seen()
    small = cv2.resize(rgb, (_SAMPLE_SIDE, _SAMPLE_SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    cells = np.rint(lab[..., 1:]).astype(int).clip(-HISTOGRAM_LIMIT, HISTOGRAM_LIMIT) + HISTOGRAM_LIMIT
    side = 2 * HISTOGRAM_LIMIT + 1
    counts = np.bincount(cells[..., 0].ravel() * side + cells[..., 1].ravel(), minlength=side * side)
    return Seen(rgb.shape[:2], is_grey(rgb), counts.reshape(side, side))


def inspect(args: argparse.Namespace) -> int:
    """Print counts, sizes, grey share and labels, and draw the ab histogram; the exit status."""
    from tqdm import tqdm

    photographs = find_photographs([Path(p) for p in args.data], image_column=args.image_column)
    sizes, labels, total, grey, broken = [], Counter[int](), None, 0, []
    records = photographs.records[: args.limit]
    with ProcessPoolExecutor(args.workers) as pool:
        found = pool.map(look_at, records, chunksize=16)
        for record, seen in zip(records, tqdm(found, total=len(records), unit=" photographs"), strict=True):
            if seen.counts is None:
                broken.append(record.name)
                continue
            sizes.append(seen.size)
            labels[record.label] += 1
            grey += seen.grey
            total = seen.counts if total is None else total + seen.counts
    if total is None:
        raise DataError(f"None of {len(records)} files could be decoded.")
    print(_report(photographs, sizes, labels, grey, broken))
    for note in photographs.notes:
        print(note)
    if args.picture:
        _, data = cv2.imencode(".png", histogram_picture(total))
        with whole_file(Path(args.picture)) as file:
            file.write(data.tobytes())
        print(f"\nThe histogram of ab is in {args.picture}.")
    return 0


def histogram_picture(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Counts of (a, b) cells to a BGR picture, b upwards and a to the right; brightness is log count."""
    side = 2 * HISTOGRAM_LIMIT + 1
    a, b = np.meshgrid(*[np.arange(side) - HISTOGRAM_LIMIT] * 2, indexing="xy")
    strength = np.log1p(counts.T) / np.log1p(counts.max())
    lab = np.dstack([100 * strength, a * strength, b * strength]).astype(np.float32)
    bgr = cv2.cvtColor(lab, cv2.COLOR_LAB2BGR).clip(0, 1)[::-1]
    return cv2.resize((255 * bgr).astype(np.uint8), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)


def pack(args: argparse.Namespace) -> int:
    """Write the photographs, shrunk to a shorter side, into tar shards; the exit status.

    What was stopped goes on, by what it noted beside its shards.
    """
    photographs = find_photographs([Path(p) for p in args.data], image_column=args.image_column)
    out = Path(args.out)
    if args.limit:
        photographs = some(photographs, args.limit)
    note = _Note(out, photographs, args)
    greys = round(args.grey_share * len(photographs))
    grey = some(photographs, greys) if greys else None
    greyed = {id(record) for record in grey.records} if grey else set()  # names may come again
    jobs = [(record, args.size, id(record) in greyed) for record in photographs.records]
    try:
        _write_shards(out, jobs, photographs.label_names, note, args)
    except KeyboardInterrupt:
        print("The same command goes on from here.", file=sys.stderr)
        raise
    note.file.unlink()
    told = f", {len(note.unusable)} could not be used" if note.unusable else ""
    print(f"{len(jobs) - len(note.unusable)} photographs in {out}{told}.")
    for number in note.unusable[:_NAMED]:
        print(f"{photographs.records[number].name} could not be used.", file=sys.stderr)
    if len(note.unusable) > _NAMED:
        print(f"… and {len(note.unusable) - _NAMED} more.", file=sys.stderr)
    return 0


class _Note:
    """What lies beside unfinished shards: what they are to hold, and what of it could not be used, by number.

    OutputExistsError where there are shards that are finished, or of something else.
    """

    def __init__(self, out: Path, photographs: Photographs, args: argparse.Namespace) -> None:
        self.file = out / UNFINISHED
        names = json.dumps([record.name for record in photographs.records]).encode()
        places = [str(Path(place).resolve()) for place in args.data]
        asked = [args.size, args.shard, args.grey_share, places, hashlib.sha256(names).hexdigest()]
        self._asked: list[Any] = asked
        self.unusable: list[int] = []
        if list(out.glob("*.tar")):
            try:
                before = json.loads(self.file.read_text(encoding="utf-8"))
                self.unusable = [int(number) for number in before["unusable"]]
                is_same = before["asked"] == asked
            except (OSError, ValueError, KeyError, TypeError):
                is_same = False
            if not is_same:
                raise OutputExistsError(f"{out} holds shards already; name another folder.")
        out.mkdir(parents=True, exist_ok=True)
        self.write()

    def write(self) -> None:
        """Have the file say what is known now."""
        text = json.dumps({"asked": self._asked, "unusable": self.unusable})
        with whole_file(self.file) as file:
            file.write(text.encode())


def _write_shards(
    out: Path,
    jobs: list[tuple[Record, int, bool]],
    label_names: tuple[str, ...],
    note: _Note,
    args: argparse.Namespace,
) -> None:
    from tqdm import tqdm

    keys = keys_for(record.name for record, *_ in jobs)
    shards = [out / f"{number:05d}.tar" for number in range(-(-len(jobs) // args.shard))]
    done = next((n for n, shard in enumerate(shards) if not shard.exists()), len(shards))
    first = done * args.shard
    with ProcessPoolExecutor(args.workers) as pool:
        packed = pool.map(_shrink, jobs[first:], chunksize=16)
        rest = zip(keys[first:], jobs[first:], packed, strict=True)
        stream = iter(tqdm(rest, total=len(jobs), initial=min(first, len(jobs)), unit=" photographs"))
        for shard in shards[done:]:
            part = list(islice(stream, args.shard))
            begin = args.shard * int(shard.stem)
            lost = [begin + n for n, (*_, data) in enumerate(part) if data is None]
            note.unusable = [number for number in note.unusable if number < begin] + lost
            note.write()  # before the shard, which is not made again
            _write_shard(shard, [(key, job[0].label, data) for key, job, data in part], label_names)


def _report(
    photographs: Photographs, sizes: list[tuple[int, int]], labels: Counter[int], grey: int, broken: list[str]
) -> str:
    shorter = np.array([min(size) for size in sizes])
    low, middle, high = np.percentile(shorter, [0, 50, 100]).astype(int)
    lines = [
        f"photographs      {len(sizes):,} of {len(photographs):,} found",
        f"shorter side     {low} to {high} pixels, median {middle}",
        f"grey             {grey:,} ({grey / len(sizes):.1%})",
        f"not decodable    {len(broken):,}" + (f": {', '.join(broken[:5])}" if broken else ""),
    ]
    if photographs.label_names:
        lines += ["", "photographs  label"]
        named = [(count, photographs.label_names[i] if i >= 0 else "(none)") for i, count in labels.items()]
        lines += [f"{count:11,}  {name}" for count, name in sorted(named, reverse=True)]
    return "\n".join(lines)


def _shrink(job: tuple[Record, int, bool]) -> bytes | None:
    record, side, grey = job
    try:
        rgb = decode_rgb8(record.read())
    except (DataError, OSError):
        return None
    factor = side / min(rgb.shape[:2])
    if factor < 1:
        rgb = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    if grey:
        rgb = np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1)
    ok, data = cv2.imencode(".webp", rgb[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    return data.tobytes() if ok else None


def _write_shard(
    path: Path, photographs: list[tuple[str, int, bytes | None]], label_names: tuple[str, ...]
) -> None:
    """Write one shard whole or not at all, but for photographs that have no data."""
    with whole_file(path) as file, tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in _members(photographs, label_names):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def _members(
    photographs: list[tuple[str, int, bytes | None]], label_names: tuple[str, ...]
) -> Iterator[tuple[str, bytes]]:
    for key, label, data in photographs:
        if data is not None:
            yield f"{key}.webp", data
            if label >= 0:
                yield f"{key}.cls", label_names[label].encode()
