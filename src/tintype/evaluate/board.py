"""The scores of every photograph and model, kept on disk as they come so that a stopped run can go on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from tintype.whole import writing

FILE = "per-picture.jsonl"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Group:
    """Scores that are computed together; `digest` tells by what, so that no other's are taken for them."""

    name: str
    digest: str
    keys: tuple[str, ...]


@dataclass
class Column:
    """One model's scores: for each key, and for each group whether it is done, an array over photographs."""

    digest: str
    values: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    done: dict[str, NDArray[np.bool_]] = field(default_factory=dict)


class Board:
    """All scores of a run in `folder`, by model; `models` gives each one's digest.

    `run` names the photographs and the options; of a file with scores of several runs only its own are taken.
    A line that is cut off, as a run that was ended leaves it, is passed over.
    """

    def __init__(
        self,
        folder: Path,
        run: str,
        pictures: Sequence[str],
        models: Mapping[str, str],
        groups: Iterable[Group],
    ) -> None:
        self.folder, self.run, self.pictures = folder, run, tuple(pictures)
        self.groups = {group.name: group for group in groups}
        self.columns = {name: Column(digest) for name, digest in models.items()}
        for column in self.columns.values():
            for group in self.groups.values():
                column.done[group.name] = np.zeros(len(pictures), bool)
                column.values |= {key: np.full(len(pictures), np.nan) for key in group.keys}
        self._rows: dict[str, np.memmap[Any, Any]] = {}
        self._load()
        self._file: TextIO | None = None

    def missing(self, name: str, picture: int) -> set[str]:
        """The groups in which a model has no scores of a photograph."""
        return {group for group, done in self.columns[name].done.items() if not done[picture]}

    def add(self, name: str, picture: int, groups: Iterable[str], scores: Mapping[str, float]) -> None:
        """Take the scores of `groups` for a model and a photograph; they are on disk when this returns."""
        digests = {group: self.groups[group].digest for group in groups}
        plain = {key: None if np.isnan(value) else value for key, value in scores.items()}
        line = {
            "run": self.run, "digest": self.columns[name].digest, "model": name,
            "picture": self.pictures[picture], "groups": digests, "scores": plain,
        }  # fmt: skip
        with writing(self.folder / FILE):
            if self._file is None:
                self._file = self._open()
            try:
                self._file.write(json.dumps(line) + "\n")
                self._file.flush()
            except OSError:
                with suppress(OSError):  # it would try once more
                    self._file.close()
                self._file = None
                raise
        self._take(self.columns[name], picture, digests, plain)

    def rows(self, name: str, group: str, kind: str, width: int) -> np.memmap[Any, Any]:
        """A model's rows (photographs, width), float16, of `kind`: features, or colours in each cell.

        They belong to the scores of `group`, which count as missing where the file is new.
        """
        safe = "".join(c if c.isalnum() else "-" for c in f"{kind}-{self.columns[name].digest}-{self.run}")
        if safe not in self._rows:
            path = self.folder / "rows" / f"{safe}.f16"
            path.parent.mkdir(exist_ok=True)
            shape = (len(self.pictures), width)
            whole = path.is_file() and path.stat().st_size == 2 * shape[0] * width
            if not whole:
                _allocate(path, 2 * shape[0] * width)
            self._rows[safe] = np.memmap(path, np.float16, "r+", shape=shape)
            if not whole:
                self.columns[name].done[group][:] = False
        return self._rows[safe]

    def close(self) -> None:
        """Close the files; they are opened again when they are needed."""
        if self._file is not None:
            self._file.close()
            self._file = None
        for rows in self._rows.values():
            rows.flush()
        self._rows.clear()

    def _open(self) -> TextIO:
        path = self.folder / FILE
        file = path.open("a+", encoding="utf-8")
        if file.tell():
            with path.open("rb") as written:
                written.seek(-1, os.SEEK_END)
                file.write("" if written.read() == b"\n" else "\n")
        return file

    def _load(self) -> None:
        path = self.folder / FILE
        if not path.is_file():
            return
        places = {name: i for i, name in enumerate(self.pictures)}
        by_digest: dict[str, list[Column]] = {}  # one model may have been named twice
        for column in self.columns.values():
            by_digest.setdefault(column.digest, []).append(column)
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                try:
                    line = json.loads(text)
                    place = places.get(line["picture"])
                    if line["run"] == self.run and place is not None:
                        for column in by_digest.get(line["digest"], ()):
                            self._take(column, place, line["groups"], line["scores"])
                except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
                    continue

    def _take(
        self, column: Column, picture: int, digests: Mapping[str, str], scores: Mapping[str, float | None]
    ) -> None:
        for name, digest in digests.items():
            group = self.groups.get(name)
            if group is None or group.digest != digest:
                continue
            column.done[name][picture] = True
            for key in group.keys:
                value = scores.get(key)
                column.values[key][picture] = np.nan if value is None else value


def _allocate(path: Path, size: int) -> None:
    """A new file of zeros, which has its space: writing into a hole of a full disk ends the process."""
    with writing(path), path.open("wb") as file:
        for start in range(0, size, _BLOCK):
            file.write(bytes(min(_BLOCK, size - start)))
        file.flush()
