"""Folders' pictures, one by one, and what is passed over among them."""

# Text, not Paths: a folder may hold a million pictures.
# ruff: noqa: PTH112, PTH114, PTH116, PTH118, PTH121, PTH122

from __future__ import annotations

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator

from tintype.images import READABLE_SUFFIXES, UNREAD_SUFFIXES
from tintype.words import count_of, plain_words

NO_PICTURE = "there is no picture in this folder"
LINKED_FOLDER = "it is a link to a folder, which is not followed; name it itself"


def walk(
    folder: str,
    unlisted: Callable[[str, str], None],
    output: str | None,
    unread: Callable[[str], object] = lambda path: None,
) -> Iterator[tuple[str, list[str]]]:
    """Folders with the pictures in each, by name; hidden ones and the output folder are left out.

    `unlisted` is told the path of what is passed over beside them, and why: a folder below that cannot be
    listed, or is a link, which may lead in a circle; what has a picture's name and is no file. `unread` is
    told the paths of pictures in formats that are not read.
    """

    def refused(error: OSError) -> None:
        unlisted(str(error.filename), plain_words(OSError(error.errno, error.strerror)))

    for here, folders, files in os.walk(folder, onerror=refused):
        below = {name: os.path.join(here, name) for name in sorted(folders) if not name.startswith(".")}
        folders[:] = [name for name, path in below.items() if not is_same(path, output)]
        for path in (below[name] for name in folders if os.path.islink(below[name])):
            unlisted(path, LINKED_FOLDER)  # which os.walk does not enter
        named = {n: why_no_file(os.path.join(here, n)) for n in sorted(files) if is_picture(n)}
        for name, reason in named.items():
            if reason is not None:
                unlisted(os.path.join(here, name), reason)
        for name in filter(is_unread, files):
            unread(os.path.join(here, name))
        yield here, [name for name, reason in named.items() if reason is None]


def is_same(folder: str, output: str | None) -> bool:
    """Whether a folder is the output folder, which may come to be while others are walked."""
    try:
        return output is not None and os.path.isdir(output) and os.path.samefile(folder, output)
    except OSError:  # which listing it will tell
        return False


def lies_in(path: str, output: str | None) -> bool:
    """Whether a path leads to the output folder, where that is one, or into it."""
    if output is None or not os.path.isdir(output):
        return False
    folder, found = os.path.realpath(output), os.path.realpath(path)
    return found == folder or found.startswith(os.path.join(folder, ""))


def is_picture(name: str) -> bool:
    """Whether a file's name is a picture's, and none that is hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in READABLE_SUFFIXES


def is_unread(name: str) -> bool:
    """Whether a file's name is that of a picture in a format that is not read, and none that is hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in UNREAD_SUFFIXES


def is_result(name: str) -> bool:
    return re.search(r"\.color(\.hei[cf]|\.hif)?(-\d+)?$", os.path.splitext(name)[0].lower()) is not None


def unread_words(place: str, kinds: Counter[str]) -> str:
    """A sentence on files of a place that are not read, which have these suffixes."""
    what = f"{count_of(kinds.total(), 'file')} in formats that are not read ({', '.join(sorted(kinds))})"
    return f"{place}: {what} left out; save them as JPEG, PNG or TIFF."


def why_no_file(path: str) -> str | None:
    """Why nothing can be read at a path, as a part of a sentence; None where there is a file."""
    try:
        return None if stat.S_ISREG(os.stat(path).st_mode) else "it is neither a file nor a folder"
    except OSError as error:
        if error.errno == errno.ENOENT and os.path.islink(path):
            return "it is a link to a file that is not there"
        return plain_words(OSError(error.errno, error.strerror))
