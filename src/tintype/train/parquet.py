"""Photographs in Parquet files: found by their row, read by row group.

The image column is a struct of `bytes` and maybe `path`, as Hugging Face writes it, or plain binary. A row
group is the least that can be read, so each process keeps the last ones, up to `WINDOW_BYTES`, and
`Photographs.shuffled` mixes photographs within that much alone.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tintype.errors import DataError
from tintype.train.photographs import WINDOW_BYTES, Record

LABEL_COLUMN = "label"


@dataclass(frozen=True, slots=True)
class ParquetRecord(Record):
    """A picture in row `offset` of a row group; `size` is what the group's pictures take in memory."""

    column: str = ""
    group: int = 0

    @property
    def block(self) -> tuple[str, int]:
        return self.path, self.group

    def read(self) -> bytes:
        """The picture's bytes, empty where the row has none; DataError when the file cannot be read."""
        rows = _cache.rows(self)
        if self.offset >= len(rows):
            raise DataError(f"{self.path} has been replaced since it was looked through: it has fewer rows.")
        value = rows[self.offset].as_py()
        data: bytes | None = value["bytes"] if isinstance(value, dict) else value
        return data or b""


def parquet_records(path: Path, image_column: str = "") -> list[tuple[Record, str]]:
    """Every row of a Parquet file with its label, "" for none.

    `image_column` names the column of the pictures; without it there must be one that looks like it.
    DataError when there is none, or the file cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            column = _image_column(path, file.schema_arrow, image_column)
            names, labels = _columns(file, column)
            spots = [
                (group, row, _picture_bytes(file.metadata.row_group(group), column))
                for group in range(file.num_row_groups)
                for row in range(file.metadata.row_group(group).num_rows)
            ]
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no readable Parquet file: {error}.") from None
    if len(set(names)) < len(spots) or not all(names):
        names = [f"{path.stem}-{i:08d}" for i in range(len(spots))]
    return [
        (ParquetRecord(str(path), name, row, size, column=column, group=group), label)
        for (group, row, size), name, label in zip(spots, names, labels, strict=True)
    ]


def _image_column(path: Path, schema: Any, wanted: str) -> str:
    structs = [f.name for f in schema if pa.types.is_struct(f.type) and _is_binary(_child(f.type, "bytes"))]
    plain = [f.name for f in schema if _is_binary(f.type)]
    if wanted:
        if wanted in structs + plain:
            return wanted
        raise DataError(f"{path} has no column of pictures {wanted!r}; it has {', '.join(schema.names)}.")
    found = structs or plain
    if not found:
        raise DataError(f"{path} has no column of pictures; it has {', '.join(schema.names)}.")
    if len(found) > 1:
        raise DataError(f"{path} may have pictures in {', '.join(found)}; say where with --image-column.")
    return str(found[0])


def _columns(file: Any, column: str) -> tuple[list[str], list[str]]:
    """The names and labels of all rows, "" where there are none; read by row group, without the pictures."""
    schema = file.schema_arrow
    field = schema.field(column).type
    named = pa.types.is_struct(field) and _child(field, "path") is not None
    wanted = [f"{column}.path"] * named + [LABEL_COLUMN] * (LABEL_COLUMN in schema.names)
    class_names = _class_names(schema)
    names, labels = [], []
    for group in range(file.num_row_groups):
        rows: list[dict[str, Any]] = [{}] * file.metadata.row_group(group).num_rows
        if wanted:
            rows = file.read_row_group(group, columns=wanted, use_threads=False).to_pylist()
        names += [(row.get(column) or {}).get("path") or "" for row in rows]
        labels += [_label(row.get(LABEL_COLUMN), class_names) for row in rows]
    return names, labels


def _picture_bytes(row_group: Any, column: str) -> int:
    leaves = [row_group.column(i) for i in range(row_group.num_columns)]
    return sum(c.total_uncompressed_size for c in leaves if c.path_in_schema in (column, f"{column}.bytes"))


def _class_names(schema: Any) -> list[str]:
    """The names of whole-number labels, as Hugging Face's library keeps them in the schema's metadata."""
    try:
        notes = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = notes["info"]["features"][LABEL_COLUMN]["names"]
    except (ValueError, LookupError, TypeError):  # it says nothing of labels, or something else
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def _label(value: Any, class_names: list[str]) -> str:
    if isinstance(value, int) and value < 0:
        return ""  # how sets without truth mark their rows
    if isinstance(value, int) and value < len(class_names):
        return class_names[value]
    return str(value) if isinstance(value, int | str) else ""


def _child(struct: Any, name: str) -> Any:
    index = struct.get_field_index(name)
    return struct.field(index).type if index >= 0 else None


def _is_binary(kind: Any) -> bool:
    if kind is not None and pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return kind is not None and any(test(kind) for test in tests)


class _RowGroups:
    """The row groups read last, up to `WINDOW_BYTES` of them but at least one."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, str, int], tuple[Any, int]] = OrderedDict()

    def rows(self, record: ParquetRecord) -> Any:
        """The picture column of the record's row group, as the file is now."""
        try:
            written = Path(record.path).stat().st_mtime_ns
        except OSError as error:
            raise DataError(f"{record.path} cannot be read: {error}") from error
        key = (record.path, record.group, record.column, written)
        if key not in self._kept:
            self._kept[key] = _read(record), record.size
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > WINDOW_BYTES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key][0]


_cache = _RowGroups()


def _read(record: ParquetRecord) -> Any:
    try:
        with pq.ParquetFile(record.path) as file:
            struct = pa.types.is_struct(file.schema_arrow.field(record.column).type)
            leaf = f"{record.column}.bytes" if struct else record.column
            # Without arrow's threads, which do not outlive the fork into a loader's process.
            return file.read_row_group(record.group, columns=[leaf], use_threads=False).column(0)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{record.path} cannot be read: {error}") from error
