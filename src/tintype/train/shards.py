"""Tar shards as WebDataset lays them out: `KEY.jpg`, and `KEY.cls` or `KEY.json` where there is a label."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Self

LABEL_SUFFIXES = frozenset({".cls", ".json"})
UNFINISHED = "unfinished.json"
"""What lies beside shards that are being written, and where that was stopped."""


_tarfile: Any = tarfile  # whose header errors are not in its stubs


class Member(tarfile.TarInfo):
    """A member of a shard. Where the next should begin and does not, only the end mark will do."""

    @classmethod
    def fromtarfile(cls, tar: Any) -> Self:
        """As ever, but ReadError where Python ends as quietly as at the end mark."""
        try:
            return super().fromtarfile(tar)
        except (_tarfile.EOFHeaderError, _tarfile.SubsequentHeaderError):
            raise
        except _tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {tar.offset}") from None


def members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """What lies in an open shard; ReadError where it is damaged, or goes on after its end mark."""
    for member in tar:
        yield member
        tar.members = []  # type: ignore[attr-defined]  # else it remembers all, and memory grows
    file: Any = tar.fileobj
    while block := file.read(2**20):
        if block.strip(b"\0"):
            raise tarfile.ReadError("it goes on after its end mark, as joined shards do; keep them apart")


def sidecar_label(suffix: str, data: bytes) -> str:
    """The label in a shard's `.cls` (its whole text) or `.json` (its `label`).

    "" where there is none; a number below 0 says so, too.
    """
    try:
        label = data.decode().strip()
        if suffix == ".json":
            label = json.loads(label).get("label")
    except (ValueError, AttributeError):
        return ""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if isinstance(label, bool) or not isinstance(label, int | str):
        return ""
    return "" if str(label).lstrip("-").isdecimal() and int(label) < 0 else str(label)


def sidecar_key(name: str) -> str:
    """What a picture and its label have in common: the name up to the first dot behind its folder."""
    path = PurePosixPath(name)
    return (path.parent / path.name.partition(".")[0]).as_posix()


def keys_for(names: Iterable[str]) -> list[str]:
    """Keys under which pictures of these names can lie in one set of shards.

    Each is the name without its suffix where it can be; further dots become `_`, and a key that is taken
    gets a number.
    """
    keys: dict[str, None] = {}
    last: dict[str, int] = {}  # number under which a name was put in
    for name in names:
        own = key = key_of(name)
        number = last.get(own, 1)
        while key in keys:
            number += 1
            key = f"{own}_{number}"
        keys[key], last[own] = None, number
    return list(keys)


def key_of(name: str) -> str:
    """What a picture is called in a shard, but for its suffix; a picture of a shard keeps its key."""
    path = PurePosixPath(name)
    return (path.parent / path.stem.replace(".", "_")).as_posix()
