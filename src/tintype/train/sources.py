"""Where training photographs lie: folders, tar shards, Parquet, found without decoding; narrowed by an index.

A tar shard is a plain tar of picture files, as WebDataset lays them out: `KEY.jpg`, and `KEY.cls` or
`KEY.json` where there is a label. An index of offsets is made once by walking its headers, so any picture is
one seek and one read, and the order is exact.
"""

from __future__ import annotations

import csv
import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tintype.errors import DataError
from tintype.listing import is_unread, unread_words
from tintype.train.coco import coco_photographs
from tintype.train.photographs import PICTURE_SUFFIXES, Photographs, Record, labelled
from tintype.train.shards import LABEL_SUFFIXES, UNFINISHED, Member, members, sidecar_key, sidecar_label
from tintype.train.where import Where, fits


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

    Pictures are labelled by what lies beside them (a shard's `.cls` and `.json`, Parquet's column `label`),
    else by the folder that they are in. With `index`, a CSV file with a column `key` (a picture's name
    without folder and suffix), only pictures whose row `fits` `where` are kept, and its column `label`, if
    it has one, labels. With `categories`, `paths` is one COCO folder, whose pictures with an object of a
    category or supercategory are kept. `image_column` is where Parquet files hold pictures. DataError when
    nothing is left.
    """
    if categories:
        if index is not None or where:
            raise DataError("--categories chooses by COCO's annotation: leave out it, or --index.")
        return coco_photographs(paths, categories)
    notes: list[str] = []
    found = _find(paths, image_column, notes)
    if where and index is None:
        raise DataError("--where needs an --index to look the values up in.")
    photographs = labelled(found) if index is None else _indexed(found, index, where or {})
    return replace(photographs, notes=tuple(notes))


def _find(
    paths: Sequence[Path], image_column: str = "", notes: list[str] | None = None
) -> list[tuple[Record, str]]:
    found: list[tuple[Record, str]] = []
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:  # what is named twice is taken once
            continue
        seen.add(path.resolve())
        if path.is_dir():
            found += _folder_records(path, image_column, [] if notes is None else notes)
        elif path.suffix in (".tar", ".parquet") and path.is_file():
            found += _file_records(path, image_column)
        else:
            raise DataError(f"{path} is neither a folder nor a .tar or .parquet file of photographs.")
    if not found:
        raise DataError(f"No photographs in {', '.join(map(str, paths))}.")
    return found


def _folder_records(folder: Path, image_column: str, notes: list[str]) -> list[tuple[Record, str]]:
    """The pictures anywhere in a folder, labelled by their folder, or those in its shards and Parquet."""
    files = sorted(_files(folder))
    pictures = [p.relative_to(folder) for p in files if p.suffix.lower() in PICTURE_SUFFIXES]
    packed = [p for p in files if p.suffix in (".tar", ".parquet")]
    if unread := Counter(p.suffix.lower() for p in files if is_unread(p.name)):
        notes.append(unread_words(str(folder), unread))
    if packed and (folder / UNFINISHED).is_file():
        notes.append(f"{folder}: not all was packed that was to be; tintype data pack goes on with it.")
    if pictures and packed:
        what = f"both pictures, as {pictures[0]}, and shards, as {packed[0].relative_to(folder)}"
        raise DataError(f"{folder} holds {what}: name the shards, or the folders of the pictures.")
    if pictures:
        return [(Record(str(folder / p), p.as_posix()), _folder_of(p.as_posix())) for p in pictures]
    return [pair for path in packed for pair in _file_records(path, image_column)]


def _files(folder: Path) -> Iterator[Path]:
    """The files anywhere in a folder, those that linked folders hold, too; each folder's once."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        folders.sort()  # of two links to one folder the same is taken everywhere
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (path for name in names if (path := Path(root, name)).is_file())


def _file_records(path: Path, image_column: str) -> list[tuple[Record, str]]:
    if path.suffix == ".tar":
        return _shard_records(path)
    from tintype.train.parquet import parquet_records  # pyarrow takes a while to import

    return parquet_records(path, image_column)


def _shard_records(path: Path) -> list[tuple[Record, str]]:
    records, labels = [], {}
    try:
        # Uncompressed alone: the offsets of others lie in what they unpack to.
        with tarfile.open(path, "r:", tarinfo=Member) as tar:
            for m in members(tar):
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


def _indexed(found: Sequence[tuple[Record, str]], index: Path, where: Where) -> Photographs:
    rows = _rows(index)
    columns = next(iter(rows.values()), {})
    for column, values in where.items():
        if column not in columns:
            raise DataError(f"The index {index} has no column {column!r}; it has {', '.join(columns)}.")
        if unknown := set(values) - {row[column] for row in rows.values()}:
            raise DataError(f"The index {index} has no row with {column}={min(unknown)}.")
    kept = []
    for record, own_label in found:
        row = rows.get(PurePosixPath(record.name).stem)
        if row is not None and fits(row, where):
            kept.append((record, row.get("label", own_label)))
    if not kept:
        conditions = ", ".join(f"{k}={','.join(v)}" for k, v in where.items()) or "any of its keys"
        raise DataError(f"No photograph fits the index {index} with {conditions}.")
    return labelled(kept)


def _rows(index: Path) -> dict[str, dict[str, str]]:
    """The rows of an index by their keys; what a row lacks is empty."""
    rows: dict[str, dict[str, str]] = {}
    try:
        with index.open(newline="", encoding="utf-8-sig") as file:  # as Excel writes it
            reader = csv.DictReader(file, restval="")
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            if "key" not in columns:
                raise DataError(f"The index {index} has no column `key`.")
            for row in reader:
                if row["key"] in rows:
                    raise DataError(f"The index {index} has two rows with the key {row['key']}.")
                rows[row["key"]] = {column: row[column] for column in columns}
    except FileNotFoundError:
        raise DataError(f"There is no index {index}.") from None
    except (ValueError, csv.Error):
        raise DataError(f"The index {index} is no CSV file in UTF-8.") from None
    return rows
