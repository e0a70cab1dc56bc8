"""Files that are whole or absent, as they get their name at the end, and files of one process alone."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tintype.errors import OutputError, OutputExistsError

PART_SUFFIX = ".tintype-part"
_NAME_BYTES = 80  # of a result's name in a temporary one: file systems allow 255 in all, some of them 143
_RANDOM = re.compile("[0-9a-f]{12}")
_own_parts: set[Path] = set()
_beginning = threading.RLock()  # of a temporary file, which a signal may break into


@contextmanager
def whole_file(target: Path, *, replace: bool = True) -> Iterator[BinaryIO]:
    """A temporary file beside `target` that takes its name on success and vanishes on failure.

    Unless it is to `replace` what has that name, OutputExistsError where something got it meanwhile.
    """
    with writing(target), own_part(target) as part:
        with part.open("r+b") as file:
            yield file
        name_whole(part, target, replace=replace)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """What the system says against it as an OutputError that names `target`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {error.strerror or error}.") from error


@contextmanager
def own_part(target: Path) -> Iterator[Path]:
    """A new, empty temporary file beside `target`, opened as it is; what is there afterwards vanishes."""
    part = target.with_name(part_name(target.name))
    try:
        with _beginning:
            _own_parts.add(part)
            part.touch(exist_ok=False)
        yield part
    finally:
        part.unlink(missing_ok=True)
        _own_parts.discard(part)


def name_whole(part: Path, target: Path, *, replace: bool) -> None:
    """Give a finished file its result's name once it is on the disk, so that a power cut leaves no part.

    Unless it is to `replace` what has that name, OutputExistsError where something has; `part` stays then.
    """
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    if replace:
        part.replace(target)
    else:
        _take_name(part, target)


def _take_name(part: Path, target: Path) -> None:
    taken = f"{target} has appeared meanwhile, and was left as it is."
    try:
        os.link(part, target)  # which, unlike a rename, replaces nothing
    except FileExistsError:
        raise OutputExistsError(taken) from None
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise OutputExistsError(taken) from None
        part.replace(target)
    else:
        part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """See that the names in a folder are on the disk, where the system can do that."""
    with suppress(OSError):  # Windows opens no folders
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


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


def remove_own_parts() -> None:
    """Remove the temporary files that this process is writing, whose writers fail."""
    for part in list(_own_parts):
        part.unlink(missing_ok=True)


def remove_last_parts() -> None:
    """As `remove_own_parts`, in a process that ends at once: no thread begins another file after this."""
    _beginning.acquire()
    remove_own_parts()


def parts_in(folder: Path) -> list[Path]:
    """The temporary files in a folder, of whatever results."""
    return list(folder.glob(f".*{PART_SUFFIX}"))


def remove_parts(target: Path, parts: list[Path] | None = None) -> None:
    """Remove the temporary files of a result whose writer has died; nobody else may be writing it.

    `parts` are those of its folder, where they are known.
    """
    for part in parts_in(target.parent) if parts is None else parts:
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
    """As `whole_file`, for several, which get their names one after the other once all are written."""
    with ExitStack() as stack:
        yield [stack.enter_context(whole_file(target, replace=replace)) for target in targets]


def locked(path: Path) -> BinaryIO | None:
    """A file, open at its end, that is this process's until it is closed; None while another one has it.

    It is made, with its folder, where there is none. Windows and some network's file systems have no locks:
    there nobody is kept out.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
        if not _lock(file):
            file.close()
            return None
        try:
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                file.seek(0, os.SEEK_END)  # another may have written between the opening and the locking
                return file
        except FileNotFoundError:
            pass
        file.close()  # who had it removed or replaced it then


def _lock(file: BinaryIO) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a file system without locks
    return True
