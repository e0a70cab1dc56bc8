"""One picture inside a worker process: read, hashed, coloured, written, and put into a record."""

from __future__ import annotations

import dataclasses
import hashlib
import posixpath
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from tintype.archive.places import IN_MEMORY, patiently, place
from tintype.archive.record import DONE, EXISTS_KIND, FAILED, FULL_KIND, Record, Written
from tintype.archive.settings import Settings, Task, now
from tintype.colorizer import Colorizer
from tintype.errors import InputError, ModelError, OutputError, OutputExistsError, TintypeError, TooLargeError
from tintype.failures import words_for
from tintype.images import Limits
from tintype.words import is_full

READ_TRIES = 4
_NOT_THE_SAME = (
    "what has its result's name is neither this manifest's nor what is made of the picture now, and was left "
    "as it is; --overwrite replaces it"
)


class Work:
    """Does tasks, several at once if it is called so, but colours one of them at a time.

    Raises ModelError where this machine's model is another one.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._colors = threading.Lock()
        self._source, self._target = place(settings.source), place(settings.target)
        coloring = settings.coloring
        most = cast("int | None", coloring["max_pixels"])
        self._colorizer = Colorizer(
            settings.model,
            strength=coloring["strength"],
            vividness=coloring["vividness"],
            colors=coloring["colors"],
            size=cast("int | Literal['auto']", coloring["size"]),
            threads=1,
            provider=settings.provider or "cpu",
            limits=Limits(most, most) if most else None,
            provenance=coloring["provenance"],
        )
        if self._colorizer.card.sha256 != settings.model_sha256:
            raise ModelError(
                f"The model {settings.model} of this machine is not the one that the run began with."
            )

    def __call__(self, task: Task, waits: Callable[[bool], object] = lambda waits: None) -> Record:
        """Never raises for a picture that fails: that is a record with status `failed`.

        `waits` is told when it begins and ends to wait while others are coloured.
        """
        started, turn = time.perf_counter(), _Turn(self._colors, waits)
        digest = ""
        try:
            content = self._fetched(task)
            digest = _sha256(content)
            record = self._settings.record(task, DONE, sha256=digest)
            if not (task.known and record.content == task.known):
                record = self._colored(task, content, record, turn)
        except Exception as error:  # one picture must not end the run; the place of a fault is told
            kind = kind_of(error)
            reason = words_for(error)
            if kind == "missing":
                reason = "it has gone since it was listed"
            record = self._settings.record(task, FAILED, sha256=digest, kind=kind, reason=reason)
        seconds = round(time.perf_counter() - started - turn.waited_s, 4)
        return dataclasses.replace(record, seconds=seconds, finished=now())

    def _fetched(self, task: Task) -> bytes | Path:
        remote = "://" in self._settings.source
        try:
            return patiently(
                lambda: self._source.fetch(task.name), READ_TRIES if remote else 1, self._settings.wait_s
            )
        except FileNotFoundError:
            raise
        except Exception as error:
            raise _ReadError(f"it cannot be read: {_words(error)}") from error

    def _colored(self, task: Task, content: bytes | Path, record: Record, turn: _Turn) -> Record:
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as spooled:
            file = cast("BinaryIO", spooled)
            with turn, _temporary_room():
                result = self._colorizer.colorize_into(
                    content,
                    file,
                    skip_colored=self._settings.coloring["skip_colored"],
                    format=posixpath.splitext(task.result)[1],
                )
            if result.status == "done":
                written = self._stored(task, file)
                record = dataclasses.replace(record, result_size=written.size, result_changed=written.changed)
        return dataclasses.replace(
            record,
            status=result.status,
            reason=result.reason or "",
            notes=result.notes,
            width=result.width,
            height=result.height,
            pages=result.pages,
        )

    def _stored(self, task: Task, file: BinaryIO) -> Written:
        """Store the result over what the task knows of, or over the same: an earlier try may have written it.

        Errors as `_store` and `_check_same`.
        """
        try:
            return self._store(task, file, self._settings.overwrite)
        except OutputExistsError:
            self._check_same(task, file)
            return self._store(task, file, True)

    def _check_same(self, task: Task, file: BinaryIO) -> None:
        """OutputExistsError where the target has other bytes than those in `file`."""
        try:
            there = patiently(lambda: self._target.fetch(task.result), READ_TRIES, self._settings.wait_s)
        except FileNotFoundError:
            return
        except Exception as error:
            raise OutputError(f"what has its result's name cannot be read: {_words(error)}") from error
        file.seek(0)
        if hashlib.file_digest(cast("Any", file), "sha256").hexdigest() != _sha256(there):
            raise OutputExistsError(_NOT_THE_SAME)

    def _store(self, task: Task, file: BinaryIO, replace: bool) -> Written:
        """As `Place.store`, patiently. OutputError where the target goes on refusing."""
        settings, store = self._settings, self._target.store
        try:
            return patiently(
                lambda: store(task.result, file, replace=replace, known=task.there),
                settings.tries,
                settings.wait_s,
            )
        except OutputExistsError:
            raise
        except Exception as error:
            raise (_FullError if is_full(error) else OutputError)(
                f"the result cannot be written: {_words(error)}"
            ) from error


class _Turn:
    """Waits until it may hold a lock, and tells for how long it did."""

    def __init__(self, lock: threading.Lock, waits: Callable[[bool], object]) -> None:
        self._lock, self._waits = lock, waits
        self.waited_s = 0.0

    def __enter__(self) -> None:
        if self._lock.acquire(blocking=False):
            return
        begun = time.perf_counter()
        self._waits(True)
        self._lock.acquire()
        self._waits(False)
        self.waited_s = time.perf_counter() - begun

    def __exit__(self, *error: object) -> None:
        self._lock.release()


@contextmanager
def _temporary_room() -> Iterator[None]:
    """Tells which disk is full: a large result is made in the temporary folder before it is stored."""
    try:
        yield
    except Exception as error:
        if is_full(error) or is_full(error.__cause__):
            folder = tempfile.gettempdir()
            raise OutputError(
                f"there is no room to make it in {folder}; TMPDIR names another folder"
            ) from error
        raise


class _ReadError(InputError):
    """A picture that is there and cannot be had."""


class _FullError(OutputError):
    """A target that has no room left."""


def _words(error: Exception) -> str:
    """What a place says of its failure, whose driver has errors of its own."""
    if isinstance(error, (TintypeError, OSError, MemoryError)):
        return words_for(error)
    return " ".join(f"{type(error).__name__}: {error}".splitlines())


def kind_of(error: Exception) -> str:
    """An error's kind in a word, to count it by."""
    kinds: list[tuple[type[Exception], str]] = [
        (TooLargeError, "too large"),
        (_ReadError, "unreachable"),
        (InputError, "damaged"),
        (OutputExistsError, EXISTS_KIND),
        (_FullError, FULL_KIND),
        (OutputError, "unwritable"),
        (ModelError, "model"),
        (FileNotFoundError, "missing"),
        (MemoryError, "memory"),
        (OSError, "system"),
    ]
    return next((word for kind, word in kinds if isinstance(error, kind)), "fault")


def _sha256(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
