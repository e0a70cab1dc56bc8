"""One picture inside a worker process: read, hashed, coloured, written, and put into a record."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import posixpath
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

from tintype.archive.manifest import DONE, FAILED, Record
from tintype.archive.places import IN_MEMORY, patiently, place
from tintype.cards import ModelCard
from tintype.colorizer import Colorizer
from tintype.errors import InputError, ModelError, OutputError, TooLargeError
from tintype.failures import words_for
from tintype.images import Limits

READ_TRIES = 4


class Task(NamedTuple):
    """A picture to colour: its name in the source, which is its name in the target too."""

    name: str
    size: int
    stamp: str
    known: int
    """`Record.content` of what is in the target already, or 0: where nothing has changed, nothing is done."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that a worker needs to know, on whatever machine it runs."""

    source: str
    target: str
    model: str
    model_name: str
    model_version: str
    model_sha256: str
    coloring: dict[str, Any]
    """What decides of a result beside picture and model: strength, vividness, colors, size …"""
    provider: str | None = None
    tries: int = 6
    """How often a write is tried."""
    wait_s: float = 0.5
    """Seconds before the second try; twice as long before each further one."""
    time_limit_s: float = 3600.0
    """Seconds of one picture, after which its worker is ended."""

    def record(self, task: Task, status: str, **values: Any) -> Record:
        """A task's record, with the names that it needs."""
        return Record(
            source=place(self.source).full_name(task.name),
            output=place(self.target).full_name(task.name),
            status=status,
            size=task.size,
            stamp=task.stamp,
            model=self.model_name,
            version=self.model_version,
            model_sha256=self.model_sha256,
            settings=self.coloring,
            **values,
        )

    def to_json(self) -> str:
        """A line of text, which `from_json` reads back."""
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text: str) -> Settings:
        """As it was before `to_json`."""
        return Settings(**json.loads(text))


def settings_for(card: ModelCard, **values: Any) -> Settings:
    """Settings with what stands on the model's card."""
    return Settings(model_name=card.name, model_version=card.version, model_sha256=card.sha256, **values)


class Work:
    """Colours one task after the other. Raises ModelError where this machine's model is another one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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

    def __call__(self, task: Task) -> Record:
        """Never raises for a picture that fails: that is a record with status `failed`."""
        started = time.perf_counter()
        digest = ""
        try:
            content = self._fetched(task)
            digest = _sha256(content)
            record = self._settings.record(task, DONE, sha256=digest)
            if not (task.known and record.content == task.known):
                record = self._colored(task, content, record)
        except Exception as error:  # one picture must not end the run; the place of a fault is told
            kind = kind_of(error)
            reason = words_for(error)
            if kind == "missing":
                reason = "it has gone since it was listed"
            record = self._settings.record(task, FAILED, sha256=digest, kind=kind, reason=reason)
        seconds = round(time.perf_counter() - started, 4)
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
            raise _ReadError(f"it cannot be read: {words_for(error)}") from error

    def _colored(self, task: Task, content: bytes | Path, record: Record) -> Record:
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as spooled:
            file = cast("BinaryIO", spooled)
            result = self._colorizer.colorize_into(
                content,
                file,
                skip_colored=self._settings.coloring["skip_colored"],
                format=posixpath.splitext(task.name)[1],
            )
            if result.status == "done":
                self._store(task, file)
        return dataclasses.replace(
            record,
            status=result.status,
            reason=result.reason or "",
            notes=result.notes,
            width=result.width,
            height=result.height,
            pages=result.pages,
        )

    def _store(self, task: Task, file: BinaryIO) -> None:
        settings = self._settings
        try:
            patiently(lambda: self._target.store(task.name, file), settings.tries, settings.wait_s)
        except Exception as error:
            raise OutputError(f"the result cannot be written: {words_for(error)}") from error


class _ReadError(InputError):
    """A picture that is there and cannot be had."""


def kind_of(error: Exception) -> str:
    """An error's kind in a word, to count it by."""
    kinds: list[tuple[type[Exception], str]] = [
        (TooLargeError, "too large"),
        (_ReadError, "unreachable"),
        (InputError, "damaged"),
        (OutputError, "unwritable"),
        (ModelError, "model"),
        (FileNotFoundError, "missing"),
        (MemoryError, "memory"),
        (OSError, "system"),
    ]
    return next((word for kind, word in kinds if isinstance(error, kind)), "fault")


def now() -> str:
    """The time in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _sha256(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
