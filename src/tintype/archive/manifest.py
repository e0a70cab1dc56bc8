"""The manifest: what became of each picture, once; on disk as the run goes, usable after any death.

A manifest is JSON lines, or Parquet by its suffix. While a run goes records are appended to a journal: the
manifest itself, or `NAME.parquet.journal` beside it. A later line of a source replaces an earlier one; a last
line that was torn by a crash is passed over. At the end the manifest is written anew with each source once,
unless it has other lines that are no records: those are told of, and all is left as it is.
"""

from __future__ import annotations

import dataclasses
import json
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tintype.archive.parquet import pyarrow_for, read_parquet, write_parquet
from tintype.archive.record import (
    BEGUN,
    DONE,
    EXISTS_KIND,
    FAILED,
    FULL_KIND,
    SKIPPED,
    Record,
    Written,
    checked,
    number_of,
)
from tintype.errors import InputError, OutputError, SettingsError
from tintype.whole import locked, whole_file
from tintype.words import count_of, plain_words

_STATES = (BEGUN, DONE, SKIPPED, FAILED, EXISTS_KIND)
# Kinds of error under which a result may have been written nevertheless: what died or gave no answer.
_OPEN_ENDS = ("crash", FULL_KIND, "time", "unwritable", "worker")
_OTHER, _FULL, _SAME = range(3)
_BEGINNING = b'{"source"'
_LONGEST = 1 << 20  # bytes of a record's line, beyond all reason


def read_records(path: Path, unread: Callable[[int], object] = lambda number: None) -> Iterator[Record]:
    """Every record of a manifest with its journal, later ones replacing earlier ones of the same source.

    `unread` is told the number, from 1, of each line that is no record, but for a last one that has no end.
    InputError where there is no manifest or it is none.
    """
    journal = _journal_of(path)
    if not path.exists() and not journal.exists():
        raise InputError(f"There is no manifest {path}.")
    if journal == path:
        yield from _lines(path, unread)
        return
    if path.exists():
        yield from read_parquet(path)
    if journal.exists():
        yield from _lines(journal, unread)


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
        self.unread: list[int] = []
        """Numbers of the lines that are no records."""
        self._journal = _journal_of(path)
        if self._journal != path:
            pyarrow_for(path)  # told before all the work that it is to tell of
        file = locked(self._journal)
        if file is None:
            raise SettingsError(f"Another run is using the manifest {path}; wait for it, or name another.")
        self._file = file
        try:
            self._index = _Index(read_records(path, self.unread.append))
        except BaseException:
            self._file.close()
            if self._journal != path and not self._journal.stat().st_size:
                self._journal.unlink()
            raise
        _end_last_line(self._file, self._journal)

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._journal != self.path and os.name != "nt" and not self._journal.stat().st_size:
                self._journal.unlink()  # while it is locked; Windows removes no open file
            self._file.close()
        except OSError as again:  # what `add` could not write is tried once more
            if error is None:
                raise self._unwritable(again) from again

    def known(self, source: str) -> Known | None:
        """What was known of a source before this run."""
        return self._index.find(source)

    def add(self, record: Record) -> None:
        """Append a record; it outlives this process, whatever becomes of that. Raises OutputError."""
        values = {k: v for k, v in dataclasses.asdict(record).items() if v not in ("", [], {})}
        try:
            self._file.write(json.dumps(values).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def close_run(self) -> None:
        """Write the manifest anew with each source once, where that is needed and loses no unread line.

        Raises OutputError.
        """
        try:
            self._write_anew()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"Cannot write the manifest {self.path}: {plain_words(error)}.")

    def _write_anew(self) -> None:
        os.fsync(self._file.fileno())
        if self._journal != self.path:
            write_parquet(self.path, read_last(self.path))
            if not self.unread:
                self._file.truncate(0)
        elif not self.unread and not _order(self.path).last.all():
            lines = (_line_of(record) for record in read_last(self.path))
            with whole_file(self.path) as file:
                file.writelines(lines)
                if os.name == "nt":  # where no open file is replaced
                    self._file.close()


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


class _Order(NamedTuple):
    """Which records of a manifest count."""

    last: NDArray[np.bool_]
    """Of each record, in order, whether it is its source's last that tells of more than the same bytes."""
    stamps: dict[int, str]
    """By a source's number, what its place says of it, where a later record tells just of the same bytes."""


def _order(path: Path) -> _Order:
    numbers, kinds, stamps = array("Q"), array("B"), {}
    for record in read_records(path):
        numbers.append(number_of(record.source))
        kinds.append(_SAME if record.is_same else _FULL if record.status == DONE else _OTHER)
        if record.is_same:
            stamps[numbers[-1]] = record.stamp
        else:
            stamps.pop(numbers[-1], None)
    of, kind = np.array(numbers, np.uint64), np.array(kinds, np.uint8)
    last = _last(of)
    full = np.flatnonzero(kind == _FULL)
    full = full[_last(of[full])]
    end = last[np.searchsorted(of[last], of[full])]
    mask = np.zeros(len(of), bool)
    mask[last] = True
    mask[end[kind[end] == _SAME]] = False
    mask[full[kind[end] == _SAME]] = True
    return _Order(mask, stamps)


def read_last(path: Path, unread: Callable[[int], object] = lambda number: None) -> Iterator[Record]:
    """The last record of each source, though a run may be adding more; else as `read_records`.

    What was told of a picture when it was done still holds after a record that its bytes are the same.
    """
    order = _order(path)
    records = compress(read_records(path, unread), order.last)
    stamps = order.stamps
    return (
        dataclasses.replace(record, stamp=stamps.get(number_of(record.source), record.stamp))
        for record in records
    )


def unread_words(path: Path, unread: Sequence[int]) -> str:
    """A sentence on lines of a manifest that are no records, of these numbers."""
    were = "was" if len(unread) == 1 else "were"
    lines = f"{count_of(len(unread), 'line')} of {_journal_of(path)}"
    return f"{lines} could not be read and {were} passed over; see line {unread[0]}."


def _journal_of(path: Path) -> Path:
    return path.with_name(path.name + ".journal") if path.suffix == ".parquet" else path


def _lines(path: Path, unread: Callable[[int], object]) -> Iterator[Record]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            record = _record(line)
            if record is not None:
                yield record
            elif number == 1 and not line.startswith(_BEGINNING):
                raise InputError(f"{path} is no manifest of tintype batch; name another --manifest.")
            elif line.endswith(b"\n") and not line.isspace():
                unread(number)


def _record(line: bytes) -> Record | None:
    """None for a line that is torn, or no record."""
    try:
        return checked(json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None


def _line_of(record: Record) -> bytes:
    return json.dumps(dataclasses.asdict(record)).encode() + b"\n"


def _end_last_line(journal: Any, path: Path) -> None:
    """Take away a last line that was torn when its run died; end one that is whole."""
    size = journal.tell()
    with path.open("rb") as file:
        file.seek(max(0, size - _LONGEST))
        line = file.read().rpartition(b"\n")[2]
    if _is_torn(line):
        journal.truncate(size - len(line))
    elif line:
        journal.write(b"\n")


def _is_torn(line: bytes) -> bool:
    """Whether this is the beginning of a record, or what a file system puts for it after a power cut."""
    if not line.startswith(_BEGINNING):
        return bool(line) and not line.strip(b"\0")
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False
