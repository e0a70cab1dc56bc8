"""What a worker is told: tasks, and what holds for all of them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tintype.archive.places import full_name
from tintype.archive.record import Record, Written
from tintype.cards import ModelCard
from tintype.images import result_name

_IN_HAND, _IN_HAND_FAR = 2, 4


class Task(NamedTuple):
    """A picture to colour, by its name in the source."""

    name: str
    size: int
    stamp: str
    known: int
    """`Record.content` of what is in the target already, or 0: where nothing has changed, nothing is done."""
    written: Written = Written()
    """The last result that is known to have been written for it, which its records go on telling of."""
    there: Written | None = None
    """What was seen in its result's place and may be replaced; None for nothing."""

    @property
    def result(self) -> str:
        """What its result is called in the target."""
        return result_name(self.name)

    @staticmethod
    def from_values(values: Any) -> Task:
        """As it was before `json.dumps`, from what `json.loads` gives."""
        name, size, stamp, known, written, there = values
        return Task(name, size, stamp, known, Written(*written), None if there is None else Written(*there))


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
    overwrite: bool = False
    """Whether results replace whatever has their names."""
    time_limit_s: float = 3600.0
    """Seconds of one picture, waiting for others left out, after which its worker is ended."""

    @property
    def in_hand(self) -> int:
        """Pictures that a worker has at once: while it colours one, it reads and writes the others.

        More where they are far away, as it waits longer for those than it works.
        """
        return _IN_HAND_FAR if "://" in self.source or "://" in self.target else _IN_HAND

    def record(self, task: Task, status: str, **values: Any) -> Record:
        """A task's record, with the names that it needs."""
        return Record(
            source=full_name(self.source, task.name),
            output=full_name(self.target, task.result),
            status=status,
            size=task.size,
            stamp=task.stamp,
            model=self.model_name,
            version=self.model_version,
            model_sha256=self.model_sha256,
            settings=self.coloring,
            result_size=task.written.size,
            result_changed=task.written.changed,
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


def now() -> str:
    """The time in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
