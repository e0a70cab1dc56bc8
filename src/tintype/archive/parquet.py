"""A manifest as Parquet.

A file name need not be Unicode: of its bytes those that are none are written as surrogates, `\\udce9`, which
JSON can tell and Parquet cannot. There they are these six characters; before such six in a name, each `\\` is
doubled.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tintype.archive.record import Record, checked
from tintype.errors import InputError, SettingsError
from tintype.whole import whole_file

_ROWS = 10_000


def read_parquet(path: Path) -> Iterator[Record]:
    """Every record of a file. InputError where it is no manifest, SettingsError where pyarrow is missing."""
    parquet = pyarrow_for(path)
    try:
        for batch in parquet.ParquetFile(path).iter_batches(_ROWS):
            for row in batch.to_pylist():
                settings = json.loads(row.pop("settings"))
                yield checked({k: _of_texts(v, _unescaped) for k, v in row.items()} | {"settings": settings})
    except Exception as error:  # pyarrow's errors share no base with each other
        raise InputError(f"{path} is no manifest of tintype batch: {error}.") from None


def write_parquet(path: Path, records: Iterator[Record]) -> None:
    """Write a file anew, whole or not at all."""
    parquet = pyarrow_for(path)
    import pyarrow

    types = dict.fromkeys(("size", "result_size", "result_changed"), "int64") | {"seconds": "float64"}
    types |= dict.fromkeys(("width", "height", "pages"), "int32")
    columns = [(f.name, types.get(f.name, "string")) for f in dataclasses.fields(Record) if f.name != "notes"]
    schema = pyarrow.schema([*columns, ("notes", pyarrow.list_(pyarrow.string()))])

    def tables() -> Iterator[Any]:
        rows: list[dict[str, Any]] = []
        for record in records:
            row = {k: _of_texts(v, _escaped) for k, v in dataclasses.asdict(record).items()}
            rows.append(row | {"settings": json.dumps(record.settings)})
            if len(rows) == _ROWS:
                yield pyarrow.Table.from_pylist(rows, schema)
                rows = []
        yield pyarrow.Table.from_pylist(rows, schema)

    with whole_file(path) as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for table in tables():
            writer.write_table(table)


def _of_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A row's value with its text, or the texts in its list, changed."""
    if isinstance(value, list):
        return [_of_texts(one, change) for one in value]
    return change(value) if isinstance(value, str) else value


_SURROGATE = re.compile("[\ud800-\udfff]")
_TO_DOUBLE = re.compile(r"\\(?=\\*(?:ud[89a-f][0-9a-f]{2}|[\ud800-\udfff]))")
_WRITTEN_OUT = re.compile(r"(\\+)(ud[89a-f][0-9a-f]{2})")


def _escaped(text: str) -> str:
    """Text without surrogates, which `_unescaped` reads back."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", _TO_DOUBLE.sub(r"\\\\", text))


def _unescaped(text: str) -> str:
    def meant(match: re.Match[str]) -> str:
        many = len(match[1])
        return "\\" * (many // 2) + (chr(int(match[2][1:], 16)) if many % 2 else match[2])

    return _WRITTEN_OUT.sub(meant, text)


def pyarrow_for(path: Path) -> Any:
    """The module that reads and writes such files. SettingsError where it is missing."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise SettingsError(
            f"{path} is Parquet, which needs pyarrow: pip install 'tintype[cluster]'."
        ) from None
    return pyarrow.parquet
