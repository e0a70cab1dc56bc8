"""Where training photographs lie: folders, tar shards, COCO; with labels and subsets, found without decoding.

A tar shard is a plain tar of picture files; an index of offsets is made once by walking its headers, so any
picture is one seek and one read, and the order is exact.
"""

from __future__ import annotations

import csv
import hashlib
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from tintype.errors import DataError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class Record:
    """Where a picture's bytes lie: a file, or a slice of a tar shard; `label` is −1 where there is none."""

    path: str
    name: str
    offset: int = 0
    size: int = -1
    label: int = -1

    def read(self) -> bytes:
        """The picture's bytes; OSError when the file is gone."""
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


def find_records(paths: Sequence[Path]) -> list[Record]:
    """Every picture under folders (recursively) and in `.tar` shards; DataError when there is none."""
    records: list[Record] = []
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
            records += [Record(str(p), p.relative_to(path).as_posix()) for p in files]
        elif path.suffix == ".tar" and path.is_file():
            records += _shard_records(path)
        else:
            raise DataError(f"{path} is neither a folder nor a .tar shard of photographs.")
    if not records:
        raise DataError(f"No photographs in {', '.join(map(str, paths))}.")
    return records


def find_photographs(
    paths: Sequence[Path],
    *,
    index: Path | None = None,
    where: Mapping[str, str] | None = None,
    categories: Sequence[str] = (),
) -> Photographs:
    """The photographs under `paths`, labelled and narrowed down as asked.

    With `index`, a CSV file with the columns `key` (a picture's name without folder and suffix) and maybe
    `label`, only pictures whose row has the values of `where` are kept. With `categories`, `paths` is one
    COCO folder, whose pictures with an object of a category or supercategory are kept. Otherwise pictures
    in folders of their own are labelled by the folder. DataError when nothing is left.
    """
    if categories:
        return _coco_photographs(paths, categories)
    records = find_records(paths)
    if index is not None:
        return _indexed(records, index, where or {})
    if where:
        raise DataError("--where needs an --index to look the values up in.")
    return _labelled(records, {r.name: _folder_of(r) for r in records})


def split(photographs: Photographs, share: float) -> tuple[Photographs, Photographs]:
    """Part the photographs by a stable hash of their names: about `share` of them go to the second part."""
    parts: tuple[list[Record], list[Record]] = ([], [])
    for record in photographs.records:
        digest = hashlib.sha256(record.name.encode()).digest()
        parts[int.from_bytes(digest[:8]) < share * 2**64].append(record)
    first, second = (replace(photographs, records=tuple(part)) for part in parts)
    return first, second


def _shard_records(path: Path) -> list[Record]:
    try:
        with tarfile.open(path) as tar:
            return [
                Record(str(path), m.name, m.offset_data, m.size)
                for m in tar
                if m.isfile() and Path(m.name).suffix.lower() in PICTURE_SUFFIXES
            ]
    except tarfile.TarError as error:
        raise DataError(f"{path} is no readable tar shard: {error}.") from None


def _folder_of(record: Record) -> str:
    folder = PurePosixPath(record.name).parent.as_posix()
    return "" if folder == "." else folder


def _labelled(records: Iterable[Record], labels: Mapping[str, str]) -> Photographs:
    """Number the labels (names to label, "" for none) in alphabetical order."""
    records = tuple(records)
    names = tuple(sorted({labels[r.name] for r in records} - {""}))
    numbers = {name: i for i, name in enumerate(names)} | {"": -1}
    return Photographs(tuple(replace(r, label=numbers[labels[r.name]]) for r in records), names)


def _indexed(records: Sequence[Record], index: Path, where: Mapping[str, str]) -> Photographs:
    try:
        with index.open(newline="", encoding="utf-8") as file:
            rows = {row["key"]: row for row in csv.DictReader(file)}
    except FileNotFoundError:
        raise DataError(f"There is no index {index}.") from None
    except KeyError:
        raise DataError(f"The index {index} has no column `key`.") from None
    columns = next(iter(rows.values()), {})
    for column in where:
        if column not in columns:
            raise DataError(f"The index {index} has no column {column!r}; it has {', '.join(columns)}.")
    kept, labels = [], {}
    for record in records:
        row = rows.get(PurePosixPath(record.name).stem)
        if row is not None and all(row[column] == value for column, value in where.items()):
            kept.append(record)
            labels[record.name] = row.get("label") or ""
    if not kept:
        conditions = ", ".join(f"{k}={v}" for k, v in where.items()) or "any of its keys"
        raise DataError(f"No photograph fits the index {index} with {conditions}.")
    return _labelled(kept, labels)


def _coco_photographs(paths: Sequence[Path], categories: Sequence[str]) -> Photographs:
    if len(paths) != 1 or not paths[0].is_dir():
        raise DataError("--categories needs one COCO folder with its annotation JSON.")
    found = sorted(paths[0].rglob("instances*.json")) or sorted(paths[0].rglob("*.json"))
    if not found:
        raise DataError(f"{paths[0]} has no COCO annotation JSON to take categories from.")
    files = {p.name: p for p in paths[0].rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES}
    chosen: dict[str, str] = {}
    for annotation in found:
        chosen |= _coco_labels(annotation, categories)
    records = [Record(str(files[name]), name) for name in sorted(chosen) if name in files]
    if not records:
        raise DataError(f"No photograph of {paths[0]} shows any of {', '.join(categories)}.")
    return _labelled(records, chosen)


def _coco_labels(annotation: Path, categories: Sequence[str]) -> dict[str, str]:
    """File names of the pictures with one of the categories, and the category of their largest object."""
    try:
        content: dict[str, Any] = json.loads(annotation.read_text(encoding="utf-8"))
        kinds = {c["id"]: c for c in content["categories"]}
        names = {i["id"]: i["file_name"] for i in content["images"]}
        objects = content["annotations"]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise DataError(f"{annotation} is no COCO annotation of objects.") from None
    known = {c["name"] for c in kinds.values()} | {c.get("supercategory") for c in kinds.values()}
    if unknown := [c for c in categories if c not in known]:
        raise DataError(f"{annotation.name} has no category {', '.join(unknown)}.")
    largest: dict[str, tuple[float, str]] = {}
    for item in objects:
        kind = kinds[item["category_id"]]
        if {kind["name"], kind.get("supercategory")} & set(categories) and item["image_id"] in names:
            name = names[item["image_id"]]
            largest[name] = max(largest.get(name, (-1.0, "")), (float(item.get("area", 0)), kind["name"]))
    return {name: label for name, (_, label) in largest.items()}
