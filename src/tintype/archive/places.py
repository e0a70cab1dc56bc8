"""Where pictures come from and where results go: folders, and what fsspec reaches (s3://, gs://, az://, http://).

A place lists names relative to itself, reads a picture, and writes a result so that it appears whole or not
at all: by a temporary name on file systems, by a single upload on object stores.
"""

# Text, not Paths: an archive may hold millions of pictures.
# ruff: noqa: PTH100, PTH110, PTH112, PTH116, PTH118

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from tintype.archive.apart import local_path
from tintype.archive.record import Written
from tintype.errors import InputError, OutputError, SettingsError, TintypeError
from tintype.listing import walk
from tintype.whole import name_whole, own_part, parts_in, remove_parts
from tintype.words import plain_words

IN_MEMORY = 1 << 26  # bytes; what is larger is read from its file, or by way of one
FOLDERS_KEPT = 64  # whose temporary files are known at once: pictures come folder by folder
T = TypeVar("T")


class Found(NamedTuple):
    """A picture that a place lists."""

    name: str
    """Relative to the place, with slashes."""
    size: int
    """Bytes, or -1 where the place does not tell."""
    stamp: str
    """What changes when the picture does: size and time of change, or the store's own mark."""


class Place(Protocol):
    """A tree of files."""

    def pictures(
        self, told: Callable[[str, str], None], leave_out: str | None, unread: Callable[[str], object]
    ) -> Iterator[Found]:
        """The pictures that are not below the place `leave_out`.

        `told` hears the path, and why, of folders that cannot be listed, of links that are not followed, and
        of what has a picture's name and is no file; `unread` the names of those in formats that are not read.
        """
        ...

    def full_name(self, name: str) -> str:
        """The path or URL of what is here called `name`."""
        ...

    def fetch(self, name: str) -> bytes | Path:
        """A picture's bytes, or the file that holds them where they are many. FileNotFoundError, OSError …"""
        ...

    def store(
        self, name: str, content: BinaryIO, *, replace: bool = True, known: Written | None = None
    ) -> Written:
        """Write what is in `content` from its start on, whole or not at all; gives what `presence` will.

        Unless it is to `replace` whatever is there, OutputExistsError for all but what is `known`.
        """
        ...

    def presence(self) -> Callable[[str], Written | None]:
        """What tells of a name what is there now, None for nothing."""
        ...

    def clearing(self) -> Callable[[str], object]:
        """What removes the temporary files of a result whose writer has died, by one listing of its folder.

        It does not see those of writers that die later: get a new one for them.
        """
        ...


def place(text: str) -> Place:
    """The folder or URL that `text` names. SettingsError where it needs a driver that is not installed."""
    if "://" not in text:
        return Folder(text)
    from tintype.archive.remote import Remote

    return Remote(text)


def full_name(text: str, name: str) -> str:
    """The path or URL of what is called `name` in the place that `text` names; no driver is needed for it."""
    if "://" in text:
        return f"{text.rstrip('/')}/{quoted(name) if is_web(text) else name}"
    return os.path.join(os.path.abspath(text), *name.split("/"))


def is_web(text: str) -> bool:
    """Whether a URL is a web server's, whose listings hold names as URLs have them."""
    return text.startswith(("http://", "https://"))


def quoted(name: str) -> str:
    """A name as URLs have it."""
    return quote(name, safe="/~!$&'()*+,;=:@")


class Folder:
    """A folder of this machine's file system."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)

    def pictures(
        self, told: Callable[[str, str], None], leave_out: str | None, unread: Callable[[str], object]
    ) -> Iterator[Found]:
        """As `Place`. InputError for a folder that is not there."""
        check_there(self.root)
        output = local_path(leave_out) if leave_out is not None else None
        for here, names in walk(self.root, told, output, unread):
            for name in names:
                path = os.path.join(here, name)
                try:
                    state = os.stat(path)
                except OSError as error:  # it has gone since its folder was listed
                    told(path, plain_words(OSError(error.errno, error.strerror)))
                    continue
                relative = os.path.relpath(path, self.root).replace(os.sep, "/")
                yield Found(relative, state.st_size, f"{state.st_size}-{state.st_mtime_ns}")

    def full_name(self, name: str) -> str:
        """As `Place`."""
        return full_name(self.root, name)

    def fetch(self, name: str) -> bytes | Path:
        """As `Place`."""
        path = Path(self.full_name(name))
        return path if path.stat().st_size > IN_MEMORY else path.read_bytes()

    def store(
        self, name: str, content: BinaryIO, *, replace: bool = True, known: Written | None = None
    ) -> Written:
        """As `Place`: on the disk before it takes its name, so that a power cut leaves no part either."""
        target = Path(self.full_name(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        with own_part(target) as part:
            content.seek(0)
            with part.open("r+b") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            state = part.stat()
            is_known = known is not None and self._there(name) == known
            name_whole(part, target, replace=replace or is_known)
        return Written(state.st_size, state.st_mtime_ns)

    def presence(self) -> Callable[[str], Written | None]:
        """As `Place`."""
        return self._there

    def _there(self, name: str) -> Written | None:
        try:
            state = os.lstat(self.full_name(name))
        except OSError:  # nothing is there; or nothing can be looked at, nor written, which the worker tells
            return None
        return Written(state.st_size, state.st_mtime_ns)

    def clearing(self) -> Callable[[str], object]:
        """As `Place`."""
        parts = lru_cache(FOLDERS_KEPT)(parts_in)

        def clear(name: str) -> None:
            target = Path(self.full_name(name))
            remove_parts(target, parts(target.parent))

        return clear


def patiently(action: Callable[[], T], tries: int, wait_s: float) -> T:
    """The action's answer, tried again where it fails, after a wait that doubles. The last error is raised.

    What cannot be mended by waiting is raised at once: a file that is not there, what may not be written or
    has an impossible name, an error of Tintype's own.
    """
    for attempt in range(1, tries + 1):
        try:
            return action()
        except (FileNotFoundError, TintypeError, MemoryError):
            raise
        except Exception as error:  # each driver has errors of its own for a network or a store that is away
            if attempt == tries or _lasts(error):
                raise
            time.sleep(wait_s * 2 ** (attempt - 1))
    raise AssertionError  # `tries` is at least 1


def _lasts(error: Exception) -> bool:
    """Whether waiting is in vain. On Windows a virus scanner that looks at a file denies permission, too."""
    if not isinstance(error, OSError):
        return False
    denied = isinstance(error, PermissionError) and os.name != "nt"
    return denied or isinstance(error, NotADirectoryError) or error.errno in (errno.EROFS, errno.ENAMETOOLONG)


def check_there(source: str) -> None:
    """InputError where pictures shall come from a folder that is not there; stores are asked when listed."""
    if "://" not in source and not os.path.isdir(source):
        raise InputError(f"{os.path.abspath(source)}: there is no such folder.")


def check_writable(target: str) -> None:
    """OutputError, SettingsError for a target that can take no results."""
    if is_web(target):
        raise SettingsError(
            f"-o {target}: web servers are read from alone; choose a folder or an object store."
        )
    if "://" not in target and os.path.exists(target) and not os.path.isdir(target):
        raise OutputError(f"-o {target} is a file; the results of an archive need a folder.")
