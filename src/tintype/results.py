"""What became of a picture, and where its result goes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from tintype.errors import InputError, OutputError, OutputExistsError
from tintype.images import result_name


@dataclass
class FileResult:
    """What became of one picture."""

    source: str
    """The picture, as it was named; `-` for bytes."""
    target: str | None = None
    """Where the result is; of several versions the first."""
    status: str = "done"
    """`done` or `skipped`; in a run over many also `failed`."""
    reason: str | None = None
    """Why it was skipped, or has failed."""
    notes: list[str] = field(default_factory=list)
    """What the user should know: that a coloured picture was made grey first, for one."""
    width: int = 0
    """Pixels of the first page, as it is stored; 0 where it was never opened."""
    height: int = 0
    """Pixels of the first page, as it is stored."""
    pages: int = 1
    """How many pictures the file holds."""
    seconds: float = 0.0
    """From opening to written."""
    model: str = ""
    """The model's name."""


def default_target(source: Path) -> Path:
    """Where a result goes when nothing else is said: beside its source, as `NAME.color.EXT`.

    Of a format that is not written, as `NAME.color.heic.jpg`. InputError for a path without a name, like ".".
    """
    if not source.name:
        raise InputError(f"{source} is a folder; name a file.")
    name = result_name(source.name)
    return source.with_name(f"{source.stem}.color{source.suffix}" if name == source.name else name)


def versions_of(target: Path, count: int) -> list[Path]:
    """Where `count` versions go: `NAME-1.EXT`, `NAME-2.EXT` …; to `target` itself where `count` is 0."""
    if not count:
        return [target]
    return [target.with_name(f"{target.stem}-{n}{target.suffix}") for n in range(1, count + 1)]


def check_targets(source: Path, targets: list[Path], overwrite: bool) -> None:
    """OutputError where a target is the source or a folder; OutputExistsError where one is to stay."""
    for target in targets:
        if _same_file(source, target):
            raise OutputError(f"{source}: the result would replace the picture itself; name another output.")
        if target.is_dir():
            raise OutputError(f"{target} is a folder; name a file for the result.")
        if target.exists() and not overwrite:
            raise OutputExistsError(
                f"{target} exists already; colorize_file(..., overwrite=True) replaces it."
            )


def check_free(target: Path, overwrite: bool) -> None:
    """OutputError where a target is a folder, OutputExistsError where something, be it a link, is to stay."""
    if target.is_dir():
        raise OutputError(f"{target} is a folder; name a file for the result.")
    if os.path.lexists(target) and not overwrite:
        raise OutputExistsError(f"{target} exists already; --overwrite replaces it.")


def _same_file(source: Path, target: Path) -> bool:
    try:
        return source.samefile(target)
    except OSError:
        return False
