"""What became of a picture, where its result goes, and files that are whole or absent."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tintype.errors import InputError, OutputError, OutputExistsError

PART_SUFFIX = ".tintype-part"
_NAME_BYTES = 80  # of a result's name in a temporary one: file systems allow 255 in all, some of them 143
_RANDOM = re.compile("[0-9a-f]{12}")


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

    InputError for a path without a name, as "." is.
    """
    if not source.name:
        raise InputError(f"{source} is a folder; name a file.")
    return source.with_name(f"{source.stem}.color{source.suffix}")


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


@contextmanager
def whole_file(target: Path, *, replace: bool = True) -> Iterator[BinaryIO]:
    """A temporary file beside `target` that takes its name on success and vanishes on failure.

    Unless it is to `replace` what has that name, OutputExistsError where something got it meanwhile.
    """
    part = target.with_name(part_name(target.name))
    try:
        try:
            with part.open("x+b") as file:
                yield file
            if replace:
                part.replace(target)
            else:
                _name(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {error.strerror or error}.") from error


def _name(part: Path, target: Path) -> None:
    """Give a file a name that nothing has."""
    try:
        os.link(part, target)  # which, unlike a rename, replaces nothing
        return
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        if not target.exists():
            part.replace(target)
            return
    raise OutputExistsError(f"{target} has appeared meanwhile, and was left as it is.")


def part_name(name: str) -> str:
    """A new name for the temporary file of a result of this name."""
    return f".{_short(name)}.{secrets.token_hex(6)}{PART_SUFFIX}"


def part_folder_name(name: str) -> str:
    """The name of the folder for what is kept of an unfinished result of this name, and of no other."""
    return f".{_short(name)}{PART_SUFFIX}"


def is_part(candidate: str, name: str) -> bool:
    """Whether `candidate` is the name of a temporary file of a result called `name`."""
    stem = f".{_short(name)}."
    if not (candidate.startswith(stem) and candidate.endswith(PART_SUFFIX)):
        return False
    return _RANDOM.fullmatch(candidate[len(stem) : -len(PART_SUFFIX)]) is not None


def remove_parts(target: Path) -> None:
    """Remove the temporary files of a result that its process left behind."""
    for part in target.parent.glob(f".*{PART_SUFFIX}"):
        if is_part(part.name, target.name):
            part.unlink(missing_ok=True)


def _short(name: str) -> str:
    """A name as it is, or of a long one the beginning and a hash of all of it: at most 89 bytes."""
    if _bytes_of(name) <= _NAME_BYTES:
        return name
    head = name[:_NAME_BYTES]
    while _bytes_of(head) > _NAME_BYTES:
        head = head[:-1]
    # Longer than any name that stays as it is, so that the two kinds never meet.
    return f"{head}.{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _bytes_of(name: str) -> int:
    return len(name.encode(errors="surrogatepass"))


@contextmanager
def whole_files(targets: list[Path], *, replace: bool = True) -> Iterator[list[BinaryIO]]:
    """As `whole_file`, for several that appear together, once all are written."""
    with ExitStack() as stack:
        yield [stack.enter_context(whole_file(target, replace=replace)) for target in targets]


def _same_file(source: Path, target: Path) -> bool:
    try:
        return source.samefile(target)
    except OSError:
        return False
