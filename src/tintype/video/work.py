"""What is kept of a film in the making, so that a stopped one can go on: closed segments and how they came.

Beside the result FILM.mp4 lies the folder .FILM.mp4.tintype-part with, for each finished segment, its
pictures (NNNNNN.nut or .mov, which players show), its time stamps and damage (NNNNNN.json, written last:
where it is, the segment is whole), and of the last one what the carried colours remember (NNNNNN.npz). One
process at a time uses it, and holds its `lock` meanwhile. A long name is shortened in the folder's.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tintype.errors import InputError, OutputExistsError, SettingsError
from tintype.whole import locked, name_whole, part_folder_name

_FORMAT = 2  # of the folder; another one is not taken up
_LOCK = "lock"
_NOTES = "[0-9]*.json"


@dataclass(frozen=True)
class Done:
    """One finished segment. Its file's own time stamps are shifted, so that decoding begins at 0."""

    index: int
    pts: tuple[int, ...]
    """Time stamps of its pictures as they are shown, ticks of the source."""
    stored: tuple[int, ...]
    """The same, in the order in which they are stored."""
    end: int
    """When the last of them ends: the time stamp of the picture after it, or the end of its own duration."""
    last: bool
    """Whether no picture comes after it."""
    damaged: int = 0
    """Places that were passed over as damaged, from its first picture to the one after it."""

    @property
    def delay(self) -> int:
        """Places by which a picture is stored after its place in the order of showing, at most."""
        places = {pts: place for place, pts in enumerate(self.pts)}
        return max(place - places[pts] for place, pts in enumerate(self.stored))


def is_begun(target: Path) -> bool:
    """Whether there are finished segments of a film, by which `--resume` goes on."""
    return any(target.with_name(part_folder_name(target.name)).glob(_NOTES))


class Work:
    """The folder of one film in the making.

    `job` says all that the pictures hang on; a folder of another job is not taken up. Without `resume` an
    existing one is an error, or is thrown away with `overwrite`. `segments` is their kind of file. Until
    `remove` or `remove_if_empty` no other process may use it. Raises OutputExistsError, or SettingsError,
    also while another process does.
    """

    def __init__(
        self, target: Path, job: dict[str, Any], *, resume: bool, overwrite: bool, segments: str = "nut"
    ) -> None:
        self.folder = target.with_name(part_folder_name(target.name))
        self._suffix = f".{segments}"
        self._target, self._job = target, json.loads(json.dumps({"format": _FORMAT} | job))
        self._lock = locked(self.folder / _LOCK)
        if self._lock is None:
            raise SettingsError(
                f"Another process is at work on {target}; wait for it, or name another output."
            )
        try:
            self._begin(resume, overwrite)
        except OSError:  # a full disk
            self.remove_if_empty()
            raise
        except BaseException:
            self._unlock()
            raise

    def pictures(self, index: int) -> Path:
        """The file of a segment's pictures."""
        return self.folder / f"{index:06}{self._suffix}"

    def segments(self) -> Iterator[Done]:
        """The finished segments from the first on."""
        index = 0
        while (path := self.folder / f"{index:06}.json").is_file() and self.pictures(index).is_file():
            try:
                done = Done(index, **json.loads(path.read_text()))
            except (ValueError, TypeError):
                raise self.spoilt(path) from None
            yield replace(done, pts=tuple(done.pts), stored=tuple(done.stored))
            index += 1

    def state(self, index: int) -> dict[str, NDArray[Any]]:
        """What the carried colours remembered at the end of a segment."""
        path = self.folder / f"{index:06}.npz"
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                return dict(arrays)
        except (ValueError, EOFError, BadZipFile, FileNotFoundError):
            raise self.spoilt(path) from None

    def part(self) -> Path:
        """Where the pictures of a segment that is not finished are written."""
        return self.folder / f"open{self._suffix}"

    def finish(self, done: Done, state: dict[str, NDArray[Any]]) -> None:
        """The open segment is whole: give it its name and note its time stamps."""
        buffer = io.BytesIO()
        np.savez(buffer, **state)  # type: ignore[arg-type]
        _write_whole(self.folder / f"{done.index:06}.npz", buffer.getvalue())
        self.part().replace(self.pictures(done.index))
        note = asdict(done)
        del note["index"]  # which the name says
        _write_whole(self.folder / f"{done.index:06}.json", json.dumps(note).encode())
        (self.folder / f"{done.index - 1:06}.npz").unlink(missing_ok=True)

    def remove(self) -> None:
        """The film is done: nothing of this is needed any more."""
        if os.name == "nt":  # where no open file is removed
            self._unlock()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._unlock()

    def remove_if_empty(self) -> None:
        """The work ends here: leave no folder behind in which nothing is finished."""
        if not any(self.folder.glob(_NOTES)):
            self.remove()
        self._unlock()

    def spoilt(self, path: Path) -> InputError:
        """The error for one of the folder's files that is not as it was left."""
        return InputError(
            f"{path}, which is kept of {self._target}, is damaged or gone; begin anew with --overwrite."
        )

    def _begin(self, resume: bool, overwrite: bool) -> None:
        job = self.folder / "job.json"
        if job.exists() and not resume and not overwrite:
            raise OutputExistsError(
                f"{self._target} was begun before; --resume goes on with it, --overwrite begins anew."
            )
        if job.exists() and resume:
            self._check_job()
            return
        job.unlink(missing_ok=True)  # first: without it none of the rest is taken up
        for path in self.folder.iterdir():
            if path.name != _LOCK:
                path.unlink()
        _write_whole(job, json.dumps(self._job).encode())

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _check_job(self) -> None:
        try:
            before = json.loads((self.folder / "job.json").read_text())
        except (OSError, ValueError):
            before = {}
        differ = sorted(k for k in before.keys() | self._job.keys() if before.get(k) != self._job.get(k))
        if differ:
            raise SettingsError(
                f"{self._target} was begun with another {' and '.join(differ)}; go on with the same, "
                f"or begin anew with --overwrite."
            )


def _write_whole(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    name_whole(part, path, replace=True)
