"""What is written down of one picture."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tintype.progress import EXISTS
from tintype.results import FileResult

BEGUN, DONE, SKIPPED, FAILED = "begun", "done", "skipped", "failed"
EXISTS_KIND = "exists"
FULL_KIND = "full"
_NUMBERS = ("size", "width", "height", "pages", "result_size", "result_changed")
_LARGEST = (1 << 63) - 1  # of a number, in Parquet and in the index
_TEXTS = (
    "source", "output", "status", "sha256", "stamp", "model", "version", "model_sha256", "finished", "kind",
    "reason",
)  # fmt: skip


class Written(NamedTuple):
    """What a place says of a result: written, or there now. The same twice: it is the same file."""

    size: int = -1
    """Bytes, or -1 where that is not known."""
    changed: int = -1
    """When it was changed, in ns of the file system's clock; -1 where a store has its own ways to tell."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One picture. Those `begun`, which were in hand when a run died, know no more than their names."""

    source: str
    output: str
    status: str
    """`begun`, `done`, `skipped` (in colour already) or `failed`."""
    sha256: str = ""
    """Of the input's bytes."""
    size: int = -1
    """Bytes of the input."""
    stamp: str = ""
    """What the input's place said of its state: size and time of change, or the store's own mark."""
    model: str = ""
    version: str = ""
    model_sha256: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    pages: int = 0
    seconds: float = 0.0
    """Reading, colouring and writing, but not waiting while others are coloured."""
    finished: str = ""
    """When, in UTC."""
    kind: str = ""
    """Of the error, in a word."""
    reason: str = ""
    """The error, or why it was skipped, in a sentence."""
    notes: list[str] = field(default_factory=list)
    result_size: int = -1
    """Bytes of the last result that was written for this source, in this run or an earlier one; or -1."""
    result_changed: int = -1
    """That file's time of change in ns, or -1. What is there now is Tintype's own where both are the same."""

    @property
    def written(self) -> Written:
        """`result_size` and `result_changed`."""
        return Written(self.result_size, self.result_changed)

    @property
    def is_same(self) -> bool:
        """Whether it says no more than that the picture's bytes are those of the last one that was done."""
        return self.status == DONE and not self.pages

    @property
    def state(self) -> int:
        """A number that stays while source, its stamp, output, model and settings do."""
        return number_of(self.source, self.stamp, self.output, self.model_sha256, self.settings)

    @property
    def content(self) -> int:
        """The same, with the hash of the input's bytes in place of the stamp."""
        return number_of(self.source, self.sha256, self.output, self.model_sha256, self.settings)

    def result(self) -> FileResult:
        """The same for the eye."""
        if self.is_same:
            return FileResult(self.source, self.output, SKIPPED, EXISTS)
        return FileResult(
            self.source, self.output, self.status, self.reason or None, list(self.notes), self.width,
            self.height, max(1, self.pages), self.seconds, self.model,
        )  # fmt: skip


def number_of(*parts: object) -> int:
    """64 bits of a hash of texts and settings."""
    text = json.dumps(parts, sort_keys=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def checked(values: dict[str, Any]) -> Record:
    """The record of these values. ValueError, TypeError where they are none."""
    record = Record(**values)
    kinds = {str: _TEXTS, int: _NUMBERS, float: ("seconds",), dict: ("settings",), list: ("notes",)}
    for kind, names in kinds.items():
        for name in names:
            if not isinstance(getattr(record, name), (int, float) if kind is float else kind):
                raise TypeError(f"{name} is of another type")
    if any(abs(getattr(record, name)) > _LARGEST for name in _NUMBERS):
        raise ValueError("a number is beyond all reason")
    if record.status not in (BEGUN, DONE, SKIPPED, FAILED) or not all(
        isinstance(n, str) for n in record.notes
    ):
        raise ValueError("its status or notes are none")
    if record.finished:
        datetime.fromisoformat(record.finished)
    return record
