"""HEIF: the parts that its boxes tell of (ISO/IEC 14496-12, 8.11), and whether all of them are there.

Decoders take, without a word, what breaks off within a part or has holes where a copy was broken off.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from tintype.images.jp2_boxes import Box, boxes

_CODED = (b"hvc1", b"hev1")
_RUN = 16  # equal bytes in a row that no coded picture has: zeros are broken up, ones improbable
_LENGTH_SIZE_AT = 21  # in the configuration of HEVC (ISO/IEC 14496-15, 8.3.3)


class Parts(NamedTuple):
    """What a HEIF is made of."""

    kinds: dict[int, bytes]
    """The kind of each part, by its number, in four letters."""
    metas: list[bytes]
    """What the boxes that tell of them hold."""

    @property
    def tile(self) -> int:
        """The side of the tiles of which a picture is put together, in pixels; 0 where there are none."""
        return _tile_side(_properties(self.metas)) if b"grid" in self.kinds.values() else 0


def parts_of(data: bytes) -> Parts:
    """The parts of a HEIF; ValueError where a kind or a name is no text, of which pi-heif would die."""
    metas = [box.body[4:] for box in _read(boxes(data)) if box.kind == b"meta"]
    kinds: dict[int, bytes] = {}
    for table in (body for meta in metas for kind, body in boxes(meta) if kind == b"iinf"):
        for _, body in boxes(table[8 if table[0] else 6 :]):
            wide = body[0] == 3
            number = int.from_bytes(body[4 : 8 if wide else 6])
            told = body[10 if wide else 8 :]
            told.decode()
            kinds[number] = told[:4]
    return Parts(kinds, metas)


def check_whole(parts: Parts, data: bytes) -> None:
    """ValueError where the file ends before a part does, or a coded picture is not whole.

    Only for what libheif has opened, which limits how many parts and places there are.
    """
    lists = dict(reversed(list(boxes(parts.metas[0]))))  # the first of each kind
    size, coded = _length_size(_properties(parts.metas)), 0
    for number, within, extents in _places(lists[b"iloc"]):
        source = lists.get(b"idat", b"") if within else data
        if any(start + length > len(source) for start, length in extents):
            raise ValueError("it ends within its pictures")
        if parts.kinds.get(number) in _CODED:
            coded += sum(length for _, length in extents)
            if coded > len(data):
                raise ValueError("its pictures lie over each other")
            _check_coded(b"".join(source[start : start + length] for start, length in extents), size)


def _read(found: Iterator[Box]) -> Iterator[Box]:
    """Boxes up to what is none: some programs hang other things behind a file."""
    with suppress(ValueError):
        yield from found


def _properties(metas: list[bytes]) -> list[Box]:
    """What is told of the parts."""
    about = [body for meta in metas for kind, body in boxes(meta) if kind == b"iprp"]
    return [box for body in about for kind, own in boxes(body) if kind == b"ipco" for box in boxes(own)]


def _tile_side(properties: list[Box]) -> int:
    """The shortest side of any part, in pixels; 0 where none is told."""
    sizes = [struct.unpack_from(">II", box.body, 4) for box in properties if box.kind == b"ispe"]
    return min((min(size) for size in sizes), default=0)


def _length_size(properties: list[Box]) -> int:
    """In how many bytes a coded picture has the length of each of its units."""
    for kind, body in properties:
        if kind == b"hvcC" and len(body) > _LENGTH_SIZE_AT:
            return (body[_LENGTH_SIZE_AT] & 3) + 1
    return 4


def _places(body: bytes) -> Iterator[tuple[int, bool, list[tuple[int, int]]]]:
    """Of each part its number, whether it lies in the box `idat`, and its pieces: start and length."""
    table = _Numbers(body)
    version = table.read(1)
    table.read(3)
    sizes = table.read(2)
    of_start, of_length, of_base = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    of_index = sizes & 15 if version else 0
    wide = 4 if version == 2 else 2
    for _ in range(table.read(wide)):
        number = table.read(wide)
        method = table.read(2) & 15 if version else 0
        table.read(2)
        base = table.read(of_base)
        extents = []
        for _ in range(table.read(2)):
            table.read(of_index)
            extents.append((base + table.read(of_start), table.read(of_length)))
        if method < 2:
            yield number, method == 1, extents


class _Numbers:
    """Whole numbers, one behind the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, size: int) -> int:
        """The next of so many bytes."""
        self._at += size
        if self._at > len(self._data):
            raise ValueError("its list of places is cut off")
        return int.from_bytes(self._data[self._at - size : self._at])


def _check_coded(body: bytes, size: int) -> None:
    """ValueError where a picture, units that each have their length before them, is not whole."""
    position = 0
    while position < len(body):
        end = position + size + int.from_bytes(body[position : position + size])
        if end > len(body) or end == position + size:
            raise ValueError("its pictures are damaged")
        if body.find(bytes(_RUN), position + size, end) >= 0:
            raise ValueError("its pictures have holes")
        position = end
    if body.endswith(b"\xff" * _RUN):
        raise ValueError("its pictures have holes")
