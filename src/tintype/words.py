"""Parts of sentences for the user: what the system refused, and how many."""

from __future__ import annotations

import errno

_WORDS = {
    errno.ENOENT: "there is no such file or folder",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "it would be larger than a file may be here",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "something else has that name",
    errno.EISDIR: "it is a folder, not a file",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EMFILE: "too many files are open",
}


def plain_words(error: OSError) -> str:
    """What the operating system refused, as a part of a sentence, with the file's name where it is known."""
    text = _WORDS.get(error.errno or 0) or str(error.strerror or error)
    return f"{text} ({error.filename})" if error.filename else text


def is_full(error: object) -> bool:
    """Whether an error is the system's that a disk has no room left."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def count_of(number: int, noun: str) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
