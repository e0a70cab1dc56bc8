"""The manifest: what became of each picture, once; on disk as the run goes, usable after any death.

A manifest is JSON lines, or Parquet by its suffix. While a run goes records are appended to a journal: the
manifest itself, or `NAME.parquet.journal` beside it. A later line of a source replaces an earlier one; a line
that was torn by a crash is passed over. At the end the manifest is written anew with each source once.

A file name need not be Unicode: of its bytes those that are none are written as surrogates, `\\udce9`, which
JSON can tell and Parquet cannot. There they are these six characters; before such six in a name, each `\\` is
doubled.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tintype.archive.record import (
    BEGUN,
    DONE,
    EXISTS_KIND,
    FAILED,
    SKIPPED,
    Record,
    Written,
    checked,
    number_of,
)
from tintype.errors import InputError, SettingsError
from tintype.results import whole_file

_STATES = (BEGUN, DONE, SKIPPED, FAILED, EXISTS_KIND)
# Kinds of error under which a result may have been written nevertheless: what died or gave no answer.
_OPEN_ENDS = ("crash", "time", "unwritable", "worker")
_ROWS = 10_000


def read_records(path: Path) -> Iterator[Record]:
    """Every record of a manifest with its journal, later ones replacing earlier ones of the same source.

    InputError where there is no manifest or it is none.
    """
    journal = _journal_of(path)
    if not path.exists() and not journal.exists():
        raise InputError(f"There is no manifest {path}.")
    if journal == path:
        yield from _lines(path)
        return
    if path.exists():
        yield from _parquet_rows(path)
    if journal.exists():
        yield from _lines(journal)


class Known(NamedTuple):
    """What a manifest says of a source, as numbers."""

    status: str
    """As the record's; `exists` where its result's name was taken, `begun` where it may have been written."""
    state: int
    content: int
    written: Written


class Manifest:
    """A manifest open for one run, which alone may write it; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """SettingsError where another run has it or pyarrow is missing, InputError for no manifest."""
        self.path = path
        self._journal = _journal_of(path)
        if self._journal != path:
            _pyarrow(path)  # told before all the work that it is to tell of
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._journal.open("ab")
        _lock(self._file, path)
        try:
            self._index = _Index(read_records(path))
        except BaseException:
            self._file.close()
            if self._journal != path and not self._journal.stat().st_size:
                self._journal.unlink()
            raise
        if self._file.tell() and not _ends_in_newline(self._journal):
            self._file.write(b"\n")  # after a torn line

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def known(self, source: str) -> Known | None:
        """What was known of a source before this run."""
        return self._index.find(source)

    def add(self, record: Record) -> None:
        """Append a record; it outlives this process, whatever becomes of that."""
        values = {k: v for k, v in dataclasses.asdict(record).items() if v not in ("", [], {})}
        self._file.write(json.dumps(values).encode() + b"\n")
        self._file.flush()

    def close_run(self) -> None:
        """Write the manifest anew with each source once, where that is needed."""
        os.fsync(self._file.fileno())
        if self._journal != self.path:
            _write_parquet(self.path, read_last(self.path))
            self._file.truncate(0)
            return
        if not _is_last(self.path).all():
            lines = (_line_of(record) for record in read_last(self.path))
            with whole_file(self.path) as file:
                file.writelines(lines)


class _Index:
    """The last record of each source as sorted numbers: 41 bytes a picture."""

    def __init__(self, records: Iterator[Record]) -> None:
        numbers, states, contents, kinds = array("Q"), array("Q"), array("Q"), array("B")
        sizes, changes = array("q"), array("q")
        for record in records:
            numbers.append(number_of(record.source))
            states.append(record.state)
            contents.append(record.content)
            kinds.append(_STATES.index(_status(record)))
            sizes.append(record.result_size)
            changes.append(record.result_changed)
        last = _last(np.frombuffer(numbers, np.uint64) if numbers else np.zeros(0, np.uint64))
        self._numbers = np.array(numbers, np.uint64)[last]
        self._states, self._contents = np.array(states, np.uint64)[last], np.array(contents, np.uint64)[last]
        self._kinds = np.array(kinds, np.uint8)[last]
        self._sizes, self._changes = np.array(sizes, np.int64)[last], np.array(changes, np.int64)[last]

    def find(self, source: str) -> Known | None:
        number = np.uint64(number_of(source))
        place = int(np.searchsorted(self._numbers, number))
        if place == len(self._numbers) or self._numbers[place] != number:
            return None
        status = _STATES[self._kinds[place]]
        written = Written(int(self._sizes[place]), int(self._changes[place]))
        return Known(status, int(self._states[place]), int(self._contents[place]), written)


def _status(record: Record) -> str:
    """A record's status as `Known` has it."""
    if record.status == FAILED and record.kind == EXISTS_KIND:
        return EXISTS_KIND
    return BEGUN if record.status == FAILED and record.kind in _OPEN_ENDS else record.status


def _last(numbers: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Where each number stands last, in the order of the numbers."""
    _, first_from_behind = np.unique(numbers[::-1], return_index=True)
    return len(numbers) - 1 - first_from_behind


def _is_last(path: Path) -> NDArray[np.bool_]:
    """Of each record, in order, whether no later one replaces it."""
    numbers = np.fromiter((number_of(record.source) for record in read_records(path)), np.uint64)
    mask = np.zeros(len(numbers), bool)
    mask[_last(numbers)] = True
    return mask


def read_last(path: Path) -> Iterator[Record]:
    """The last record of each source; errors as `read_records`."""
    return (record for record, last in zip(read_records(path), _is_last(path), strict=True) if last)


def _journal_of(path: Path) -> Path:
    return path.with_name(path.name + ".journal") if path.suffix == ".parquet" else path


def _lines(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            record = _record(line)
            if record is not None:
                yield record
            elif number == 1 and not line.startswith(b'{"source"'):
                raise InputError(f"{path} is no manifest of tintype batch; name another --manifest.")


def _record(line: bytes) -> Record | None:
    """None for a line that is torn."""
    try:
        return checked(json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None


def _line_of(record: Record) -> bytes:
    return json.dumps(dataclasses.asdict(record)).encode() + b"\n"


def _parquet_rows(path: Path) -> Iterator[Record]:
    parquet = _pyarrow(path)
    try:
        for batch in parquet.ParquetFile(path).iter_batches(_ROWS):
            for row in batch.to_pylist():
                settings = json.loads(row.pop("settings"))
                yield checked({k: _of_texts(v, _unescaped) for k, v in row.items()} | {"settings": settings})
    except Exception as error:  # pyarrow's errors share no base with each other
        raise InputError(f"{path} is no manifest of tintype batch: {error}.") from None


def _write_parquet(path: Path, records: Iterator[Record]) -> None:
    parquet = _pyarrow(path)
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


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise SettingsError(
            f"{path} is Parquet, which needs pyarrow: pip install 'tintype[cluster]'."
        ) from None
    return pyarrow.parquet


def _ends_in_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _lock(file: Any, path: Path) -> None:
    """Keep the journal for this process; the system gives it back however the process ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise SettingsError(
            f"Another run is using the manifest {path}; wait for it, or name another."
        ) from None
