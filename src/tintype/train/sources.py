"""Where training photographs lie: folders, tar shards, Parquet, COCO; with labels and subsets, found without
decoding.

A tar shard is a plain tar of picture files, as WebDataset lays them out: `KEY.jpg`, and `KEY.cls` or
`KEY.json` where there is a label. An index of offsets is made once by walking its headers, so any picture is
one seek and one read, and the order is exact.
"""

from __future__ import annotations

import csv
import hashlib
import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tintype.errors import DataError
from tintype.train.where import Where, fits

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
LABEL_SUFFIXES = frozenset({".cls", ".json"})
WINDOW_BYTES = 256 * 2**20  # of row groups among which photographs are mixed, and which a reader keeps


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

    def __len__(self) -> int:
        return len(self.records)

    def labelled_as(self, label_names: tuple[str, ...]) -> Photographs:
        """The same, their labels numbered as `label_names` has them; −1 for those that it has not."""
        number = {name: i for i, name in enumerate(label_names)}
        new = [number.get(name, -1) for name in self.label_names]
        records = (replace(r, label=new[r.label] if r.label >= 0 else -1) for r in self.records)
        return Photographs(tuple(records), label_names)

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


def find_records(paths: Sequence[Path], image_column: str = "") -> list[Record]:
    """Every picture in folders, `.tar` shards and Parquet files; DataError when there is none.

    `image_column` as for `find_photographs`.
    """
    return [record for record, _ in _find(paths, image_column)]


def find_photographs(
    paths: Sequence[Path],
    *,
    index: Path | None = None,
    where: Where | None = None,
    categories: Sequence[str] = (),
    image_column: str = "",
) -> Photographs:
    """The photographs under `paths`, labelled and narrowed down as asked.

    With `index`, a CSV file with the columns `key` (a picture's name without folder and suffix) and maybe
    `label`, only pictures whose row `fits` `where` are kept. With `categories`, `paths` is one
    COCO folder, whose pictures with an object of a category or supercategory are kept. Otherwise pictures
    are labelled by what lies beside them (a shard's `.cls` and `.json`, Parquet's column `label`), else by
    the folder that they are in. `image_column` is where Parquet files hold pictures. DataError when nothing
    is left.
    """
    if categories:
        return _coco_photographs(paths, categories)
    found = _find(paths, image_column)
    if index is not None:
        return _indexed([record for record, _ in found], index, where or {})
    if where:
        raise DataError("--where needs an --index to look the values up in.")
    return _labelled(found)


def split(photographs: Photographs, share: float) -> tuple[Photographs, Photographs]:
    """Part the photographs by a stable hash of their names: about `share` of them go to the second part."""
    parts: tuple[list[Record], list[Record]] = ([], [])
    for record in photographs.records:
        digest = hashlib.sha256(record.name.encode(errors="surrogateescape")).digest()
        parts[int.from_bytes(digest[:8]) < share * 2**64].append(record)
    first, second = (replace(photographs, records=tuple(part)) for part in parts)
    return first, second


def sidecar_label(suffix: str, data: bytes) -> str:
    """The label in a shard's `.cls` (its whole text) or `.json` (its `label`), "" where there is none."""
    try:
        text = data.decode().strip()
        if suffix == ".cls":
            return text
        label = json.loads(text).get("label")
    except (ValueError, AttributeError):
        return ""
    return str(label) if isinstance(label, int | str) else ""


def sidecar_key(name: str) -> str:
    """What a picture and its label have in common: the name up to the first dot behind its folder."""
    path = PurePosixPath(name)
    return (path.parent / path.name.partition(".")[0]).as_posix()


def _find(paths: Sequence[Path], image_column: str = "") -> list[tuple[Record, str]]:
    found: list[tuple[Record, str]] = []
    for path in paths:
        if path.is_dir():
            found += _folder_records(path, image_column)
        elif path.suffix in (".tar", ".parquet") and path.is_file():
            found += _file_records(path, image_column)
        else:
            raise DataError(f"{path} is neither a folder nor a .tar or .parquet file of photographs.")
    if not found:
        raise DataError(f"No photographs in {', '.join(map(str, paths))}.")
    return found


def _folder_records(folder: Path, image_column: str) -> list[tuple[Record, str]]:
    """The pictures anywhere in a folder, labelled by their folder; else those in its shards and Parquet."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    pictures = [p.relative_to(folder) for p in files if p.suffix.lower() in PICTURE_SUFFIXES]
    if pictures:
        return [(Record(str(folder / p), p.as_posix()), _folder_of(p.as_posix())) for p in pictures]
    packed = [p for p in files if p.suffix in (".tar", ".parquet")]
    return [pair for path in packed for pair in _file_records(path, image_column)]


def _file_records(path: Path, image_column: str) -> list[tuple[Record, str]]:
    if path.suffix == ".tar":
        return _shard_records(path)
    from tintype.train.parquet import parquet_records  # pyarrow takes a while to import

    return parquet_records(path, image_column)


def some(photographs: Photographs, count: int) -> Photographs:
    """The `count` photographs whose names have the lowest hashes, in the order they had."""

    def rank(record: Record) -> bytes:
        # Not `split`'s hash: the part that is held out shall be a fair sample of the few as well.
        return hashlib.sha256(f"some/{record.name}".encode(errors="surrogateescape")).digest()

    last = sorted(map(rank, photographs.records))[:count][-1]
    return replace(photographs, records=tuple(r for r in photographs.records if rank(r) <= last))


def _shard_records(path: Path) -> list[tuple[Record, str]]:
    records, labels = [], {}
    try:
        # Uncompressed alone: the offsets of others lie in what they unpack to.
        with tarfile.open(path, "r:") as tar:
            for m in tar:
                suffix = Path(m.name).suffix.lower()
                if m.isfile() and suffix in PICTURE_SUFFIXES:
                    records.append(Record(str(path), m.name, m.offset_data, m.size))
                elif m.isfile() and suffix in LABEL_SUFFIXES and (file := tar.extractfile(m)):
                    labels[sidecar_key(m.name)] = sidecar_label(suffix, file.read())
    except tarfile.TarError as error:
        raise DataError(f"{path} is no readable tar shard: {error}.") from None
    return [(r, labels.get(sidecar_key(r.name)) or _folder_of(r.name)) for r in records]


def _folder_of(name: str) -> str:
    folder = PurePosixPath(name).parent.as_posix()
    return "" if folder == "." else folder


def _labelled(found: Iterable[tuple[Record, str]]) -> Photographs:
    """Number the labels ("" for none): whole numbers in their order, then names in the alphabet's."""
    found = tuple(found)
    names = tuple(sorted({label for _, label in found} - {""}, key=_label_order))
    numbers = {name: i for i, name in enumerate(names)} | {"": -1}
    return Photographs(tuple(replace(r, label=numbers[label]) for r, label in found), names)


def _label_order(label: str) -> tuple[bool, int, str]:
    return (False, int(label), "") if label.isdecimal() else (True, 0, label)


def _indexed(records: Sequence[Record], index: Path, where: Where) -> Photographs:
    try:
        with index.open(newline="", encoding="utf-8-sig") as file:  # as Excel writes it
            rows = {row["key"]: row for row in csv.DictReader(file)}
    except FileNotFoundError:
        raise DataError(f"There is no index {index}.") from None
    except KeyError:
        raise DataError(f"The index {index} has no column `key`.") from None
    except (ValueError, csv.Error):
        raise DataError(f"The index {index} is no CSV file in UTF-8.") from None
    columns = next(iter(rows.values()), {})
    for column, values in where.items():
        if column not in columns:
            raise DataError(f"The index {index} has no column {column!r}; it has {', '.join(columns)}.")
        if unknown := set(values) - {row[column] for row in rows.values()}:
            raise DataError(f"The index {index} has no row with {column}={min(unknown)}.")
    kept = []
    for record in records:
        row = rows.get(PurePosixPath(record.name).stem)
        if row is not None and fits(row, where):
            kept.append((record, row.get("label") or ""))
    if not kept:
        conditions = ", ".join(f"{k}={','.join(v)}" for k, v in where.items()) or "any of its keys"
        raise DataError(f"No photograph fits the index {index} with {conditions}.")
    return _labelled(kept)


def _coco_photographs(paths: Sequence[Path], categories: Sequence[str]) -> Photographs:
    if len(paths) != 1 or not paths[0].is_dir():
        raise DataError("--categories needs one COCO folder with its annotation JSON.")
    found = sorted(paths[0].rglob("instances*.json")) or sorted(paths[0].rglob("*.json"))
    if not found:
        raise DataError(f"{paths[0]} has no COCO annotation JSON to take categories from.")
    files = {p.name: p for p in sorted(paths[0].rglob("*")) if p.suffix.lower() in PICTURE_SUFFIXES}
    chosen: dict[str, str] = {}
    for annotation in found:
        chosen |= _coco_labels(annotation, categories)
    found_here = [
        (Record(str(files[name]), files[name].relative_to(paths[0]).as_posix()), chosen[name])
        for name in sorted(chosen)
        if name in files
    ]
    if not found_here:
        raise DataError(f"No photograph of {paths[0]} shows any of {', '.join(categories)}.")
    return _labelled(found_here)


def _coco_labels(annotation: Path, categories: Sequence[str]) -> dict[str, str]:
    """File names of the pictures with one of the categories, and the category of their largest object."""
    try:
        content: dict[str, Any] = json.loads(annotation.read_text(encoding="utf-8"))
        kinds = {c["id"]: c for c in content["categories"]}
        names = {i["id"]: PurePosixPath(i["file_name"]).name for i in content["images"]}
        objects = [
            (kinds[o["category_id"]], o["image_id"], float(o.get("area") or 0))
            for o in content["annotations"]
        ]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{annotation} is no COCO annotation of objects.") from None
    known = {c["name"] for c in kinds.values()} | {c.get("supercategory") for c in kinds.values()}
    if unknown := [c for c in categories if c not in known]:
        raise DataError(f"{annotation.name} has no category {', '.join(unknown)}.")
    largest: dict[str, tuple[float, str]] = {}
    for kind, image, area in objects:
        if {kind["name"], kind.get("supercategory")} & set(categories) and image in names:
            name = names[image]
            largest[name] = max(largest.get(name, (-1.0, "")), (area, kind["name"]))
    return {name: label for name, (_, label) in largest.items()}
