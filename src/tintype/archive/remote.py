"""Object stores, web servers and other file systems, by fsspec and its drivers."""

from __future__ import annotations

import posixpath
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import numpy as np

from tintype.archive.apart import inside
from tintype.archive.places import FOLDERS_KEPT, IN_MEMORY, Found, full_name, is_web, quoted
from tintype.archive.record import Written, number_of
from tintype.errors import InputError, OutputExistsError, SettingsError
from tintype.listing import LINKED_FOLDER, is_picture, is_unread
from tintype.whole import PART_SUFFIX, is_part, part_name
from tintype.words import plain_words

# Where an upload shows once it is complete; elsewhere a temporary name is needed.
_SINGLE_PUT = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "memory"}
_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "mtime", "created")


class Remote:
    """A tree of files at a URL."""

    def __init__(self, url: str) -> None:
        """SettingsError where fsspec, or its driver for such URLs, is missing."""
        try:
            import fsspec

            self._system, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise SettingsError(f"{url} cannot be reached: {error}; pip install 'tintype[cloud]'.") from None
        self.url = url.rstrip("/")
        self._root = self._root.rstrip("/")
        protocol = self._system.protocol
        self._puts_whole = not _SINGLE_PUT.isdisjoint([protocol] if isinstance(protocol, str) else protocol)

    def pictures(
        self, told: Callable[[str, str], None], leave_out: str | None, unread: Callable[[str], object]
    ) -> Iterator[Found]:
        """As `Place`. InputError for a place that is not there or cannot be listed."""
        try:
            yield from self._pictures(told, leave_out, unread)
        except FileNotFoundError:
            raise InputError(f"{self.url} cannot be listed: there is no such place.") from None

    def _pictures(
        self, told: Callable[[str, str], None], leave_out: str | None, unread: Callable[[str], object]
    ) -> Iterator[Found]:
        output = inside(leave_out, self.url) if leave_out is not None else None
        for name, entry in self._files():
            if _is_hidden(name) or (output is not None and f"{name}/".startswith(f"{output}/")):
                continue
            if entry["type"] != "file":
                if reason := self._passed_over(name, entry):
                    told(self.full_name(name), reason)
            elif is_unread(posixpath.basename(name)):
                unread(name)
            elif is_picture(posixpath.basename(name)):
                size = entry.get("size")
                marks = [str(entry[key]) for key in _MARKS if entry.get(key) is not None]
                stamp = "-".join([str(size), *marks[:1]]) if marks else ""
                yield Found(name, -1 if size is None else int(size), stamp)

    def full_name(self, name: str) -> str:
        """As `Place`."""
        return full_name(self.url, name)

    def fetch(self, name: str) -> bytes | Path:
        """As `Place`; always the bytes."""
        data: bytes = self._system.cat_file(f"{self._root}/{quoted(name) if is_web(self.url) else name}")
        return data

    def store(
        self, name: str, content: BinaryIO, *, replace: bool = True, known: Written | None = None
    ) -> Written:
        """As `Place`; the size alone, as not every store's marks are to be had without asking once more.

        What is there is looked at before the upload; what comes during that is replaced.
        """
        path = f"{self._root}/{name}"
        if not replace and self._there(path) not in (None, known):
            raise OutputExistsError(f"{self.full_name(name)} has appeared meanwhile, and was left as it is.")
        written = Written(content.seek(0, 2))
        if self._puts_whole:
            self._put(path, content)
            return written
        part = f"{posixpath.dirname(path)}/{part_name(posixpath.basename(path))}"
        try:
            self._put(part, content)
            self._system.mv(part, path)
        except BaseException:
            if self._system.exists(part):
                self._system.rm_file(part)
            raise
        return written

    def presence(self) -> Callable[[str], Written | None]:
        """As `Place`: of all that is listed here and now, 16 bytes a file."""
        numbers, sizes = array("Q"), array("q")
        with suppress(FileNotFoundError):  # nothing is there yet
            for name, entry in self._files():
                numbers.append(number_of(name))
                size = entry.get("size")
                sizes.append(-1 if size is None else int(size))
        order = np.argsort(np.array(numbers, np.uint64))
        sorted_numbers, sorted_sizes = np.array(numbers, np.uint64)[order], np.array(sizes, np.int64)[order]

        def there(name: str) -> Written | None:
            number = np.uint64(number_of(name))
            place = int(np.searchsorted(sorted_numbers, number))
            if place == len(sorted_numbers) or sorted_numbers[place] != number:
                return None
            return Written(int(sorted_sizes[place]))

        return there

    def clearing(self) -> Callable[[str], object]:
        """As `Place`; there are none where an upload shows when it is complete."""
        parts = lru_cache(FOLDERS_KEPT)(self._parts_in)

        def clear(name: str) -> None:
            folder, own = posixpath.split(f"{self._root}/{name}")
            for path in parts(folder):
                if is_part(posixpath.basename(path), own):
                    with suppress(FileNotFoundError):
                        self._system.rm_file(path)

        return (lambda name: None) if self._puts_whole else clear

    def _parts_in(self, folder: str) -> list[str]:
        """The paths of the temporary files in a folder, of whatever results."""
        try:
            paths = self._listed(folder, detail=False)
        except FileNotFoundError:
            return []
        return [path for path in paths if path.endswith(PART_SUFFIX)]

    def _listed(self, folder: str, *, detail: bool) -> list[Any]:
        """What a folder holds now. Drivers would keep it, a dictionary a file, and show it when old."""
        self._system.invalidate_cache(folder)
        found: list[Any] = self._system.ls(folder, detail=detail)
        self._system.invalidate_cache(folder)
        return found

    def _there(self, path: str) -> Written | None:
        """What is at a path now."""
        self._system.invalidate_cache(posixpath.dirname(path))
        try:
            size = self._system.info(path).get("size")
        except FileNotFoundError:
            return None
        return Written(-1 if size is None else int(size))

    def _passed_over(self, name: str, entry: dict[str, Any]) -> str | None:
        """Why what is neither a file nor a folder is none that could be taken, if it might be missed."""
        is_link = entry["type"] == "link" or entry.get("islink", False)
        if is_link and self._system.isdir(f"{self._root}/{name}"):
            return LINKED_FOLDER
        if not is_picture(posixpath.basename(name)):
            return None
        return "it is a link, which is not followed" if is_link else "it is neither a file nor a folder"

    def _files(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """All but folders, and what the store says of each, by folder. FileNotFoundError, InputError."""
        folders = [self._root]
        while folders:
            try:
                entries = self._listed(folders.pop(), detail=True)
            except FileNotFoundError:
                raise
            except Exception as error:  # each driver has errors of its own
                raise InputError(
                    f"{self.url} cannot be listed: {str(error) or type(error).__name__}."
                ) from None
            below = []
            for entry in sorted(entries, key=lambda entry: str(entry["name"])):
                path = str(entry["name"]).rstrip("/")
                if not path.startswith(self._root + "/"):
                    continue  # links of a web page that lead elsewhere, and the folder itself
                if entry["type"] == "directory":
                    below.append(path)
                else:
                    name = path[len(self._root) + 1 :]
                    yield _unquoted(name) if is_web(self.url) else name, entry
            folders += reversed(below)

    def _put(self, path: str, content: BinaryIO) -> None:
        try:
            self._upload(path, content)
        except FileNotFoundError:  # a file system, unlike a store, wants its folder made first
            self._system.makedirs(posixpath.dirname(path), exist_ok=True)
            self._upload(path, content)

    def _upload(self, path: str, content: BinaryIO) -> None:
        size = content.seek(0, 2)
        content.seek(0)
        if size <= IN_MEMORY:
            self._system.pipe_file(path, content.read())
            return
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder, "content")
            try:
                with whole.open("wb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
            except OSError as error:  # which is no word of the store's: it may have room
                raise OSError(
                    f"a copy for the upload cannot be written to {folder}: {plain_words(error)}"
                ) from error
            self._system.put_file(str(whole), path)


def _unquoted(name: str) -> str:
    """A name that a URL has, as files have it; as it is where it would be no name there, or another one."""
    plain = unquote(name, errors="surrogateescape")
    parts = plain.split("/")
    safe = len(parts) == name.count("/") + 1 and not {"", ".", ".."} & set(parts) and "\0" not in plain
    return plain if safe else name


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))  # so none leads out of its place either
