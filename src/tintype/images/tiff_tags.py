"""TIFF's directories of tags, read and written: classic and BigTIFF, either byte order, EXIF's nested ones.

A tag keeps its raw bytes, so that what is not understood is carried on unchanged.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

# Bytes of a value by field type; rationals are swapped as two halves.
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_HALVED = (5, 10)
_KINDS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 11: "f4", 12: "f8", 13: "u4"}
_KINDS |= {7: "u1", 16: "u8", 17: "i8", 18: "u8"}
SHORT, LONG, LONG8 = 3, 4, 16
_RATIONAL, _IFD8, _UNDEFINED = 5, 18, 7
_MAX_DIRECTORIES = 10_000
# What the values of all tags may take in sum, and all directories' entries, where the file itself is smaller:
# values that pages share are read once for each. A sum beyond the file's size is made of overlaps.
_MAX_VALUES, _MAX_ENTRIES = 1 << 26, 1 << 20
EXIF, GPS, _INTEROP = 34665, 34853, 40965
IPTC = 33723  # bytes in their own order, whatever type the tag claims: Photoshop writes LONG
LAYERS = 37724  # of Photoshop, which opens these and not the page's own pixels; often larger than those
_NESTED = (EXIF, GPS, _INTEROP)


@dataclass(frozen=True)
class Tag:
    """A field: its type number, number of values, their little-endian bytes; or a nested directory."""

    kind: int
    count: int
    raw: bytes
    nested: Directory | None = None

    def numbers(self) -> list[int]:
        """Its values as integers, in order; rationals and text give none."""
        dtype = _KINDS.get(self.kind)
        return [] if dtype is None else [int(value) for value in np.frombuffer(self.raw, "<" + dtype)]

    def ratios(self) -> list[float]:
        """The values of an unsigned rational field; those with a zero below are left out."""
        if self.kind != _RATIONAL:
            return []
        pairs = np.frombuffer(self.raw, "<u4").reshape(-1, 2)
        return [float(top) / float(bottom) for top, bottom in pairs if bottom]


Directory = dict[int, Tag]


def shorts(*values: int) -> Tag:
    """A field of 16-bit integers."""
    return Tag(SHORT, len(values), struct.pack(f"<{len(values)}H", *values))


def longs(*values: int, big: bool = False) -> Tag:
    """A field of 32-bit integers, of 64 bits when `big`."""
    return Tag(LONG8 if big else LONG, len(values), np.array(values, "<u8" if big else "<u4").tobytes())


def rational(value: float) -> Tag:
    """A positive number as a fraction of ten-thousandths."""
    return Tag(_RATIONAL, 1, struct.pack("<II", round(value * 10_000), 10_000))


def opaque(data: bytes, kind: int = _UNDEFINED) -> Tag:
    """A field of bytes."""
    return Tag(kind, len(data), data)


class Reader:
    """The directories of an open file; ValueError or struct.error where they are damaged."""

    def __init__(self, file: BinaryIO) -> None:
        """`file` is seekable; its header is read here."""
        self.file = file
        self.size = file.seek(0, io.SEEK_END)
        self._values_left = max(_MAX_VALUES, self.size)
        self._entries_left = max(_MAX_ENTRIES, self.size)
        file.seek(0)
        head = file.read(16)
        self.endian = ">" if head[:2] == b"MM" else "<"
        self.big = struct.unpack_from(self.endian + "H", head, 2)[0] == 43
        self._first = struct.unpack_from(
            self.endian + ("Q" if self.big else "I"), head, 8 if self.big else 4
        )[0]

    def directories(self) -> Iterator[Directory]:
        """Those of the main chain, in order."""
        offset, seen = self._first, set[int]()
        while offset:
            if offset in seen:
                raise ValueError("its pages form a circle")
            if len(seen) == _MAX_DIRECTORIES:
                raise ValueError(f"it has more than {_MAX_DIRECTORIES:,} pages; split it")
            seen.add(offset)
            directory, offset = self._directory(offset)
            yield directory

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes at `offset`; ValueError when the file ends before."""
        if offset + size > self.size:
            raise ValueError("it is cut short")
        self.file.seek(offset)
        data = self.file.read(size)
        if len(data) != size:
            raise ValueError("it is cut short")
        return data

    def _directory(self, offset: int, depth: int = 0) -> tuple[Directory, int]:
        wide = self.big
        count = self._number(self.read(offset, 8 if wide else 2), "Q" if wide else "H")
        entry = 20 if wide else 12
        if count * entry > self._entries_left:
            raise ValueError("its directories overlap")
        self._entries_left -= count * entry
        table = self.read(offset + (8 if wide else 2), count * entry)
        directory: Directory = {}
        for i in range(count):
            code, kind = struct.unpack_from(self.endian + "HH", table, i * entry)
            if kind in _SIZES:  # others are to be skipped, says the specification
                tag = self._tag(code, kind, table[i * entry + 4 : (i + 1) * entry], depth)
                if tag is not None:
                    directory[code] = tag
        end = offset + (8 if wide else 2) + count * entry
        link = self.file.read(8 if wide else 4) if self.file.seek(end) else b""
        return directory, self._number(link, "Q" if wide else "I") if len(link) in (4, 8) else 0

    def _tag(self, code: int, kind: int, field: bytes, depth: int) -> Tag | None:
        half = 8 if self.big else 4
        count = self._number(field[:half], "Q" if self.big else "I")
        size = count * _SIZES[kind]
        raw = field[half:]
        if code == LAYERS:
            return Tag(kind, 0, b"")  # known of is enough: they are not carried on
        if size > half:
            if size > self._values_left:
                raise ValueError("its tags claim more bytes than it has")
            self._values_left -= size
            raw = self.read(self._number(raw, "Q" if self.big else "I"), size)
        raw = raw[:size]
        if self.endian == ">" and code != IPTC:
            unit = _SIZES[kind] // (2 if kind in _HALVED else 1)
            raw = np.frombuffer(raw, f"V{unit}").view(np.uint8).reshape(-1, unit)[:, ::-1].tobytes()
        if code in _NESTED and depth < 2:
            return self._nested_tag(int.from_bytes(raw, "little"), depth)
        return Tag(kind, count, raw)

    def _nested_tag(self, offset: int, depth: int) -> Tag | None:
        """EXIF's own directories; a damaged one is as good as none, the picture does not hang on it."""
        try:
            return Tag(LONG, 1, b"", self._directory(offset, depth + 1)[0])
        except (ValueError, struct.error):
            return None

    def _number(self, data: bytes, kind: str) -> int:
        return int(struct.unpack(self.endian + kind, data)[0])


def pack(directory: Directory, offset: int, big: bool) -> bytes:
    """A little-endian directory that will lie at `offset`, its values and nested directories behind it.

    The link to the next directory is 0; it stands right after the entries, at `link_position`.
    """
    entries, body = [], bytearray()
    end = link_position(directory, offset, big) + (8 if big else 4)
    room = 8 if big else 4
    for code, tag in sorted(directory.items()):
        tag = _fitted(tag, big)
        raw = tag.raw
        if tag.nested is not None:
            body += bytes(len(body) % 2)
            raw = (end + len(body)).to_bytes(room, "little")
            body += pack(tag.nested, end + len(body), big)
        elif len(raw) > room:
            body += bytes(len(body) % 2)
            place = (end + len(body)).to_bytes(room, "little")
            body += raw
            raw = place
        entries.append(
            struct.pack("<HHQ" if big else "<HHI", code, tag.kind, tag.count) + raw.ljust(room, b"\0")
        )
    count = struct.pack("<Q" if big else "<H", len(entries))
    return count + b"".join(entries) + bytes(room) + body


def link_position(directory: Directory, offset: int, big: bool) -> int:
    """Where the link to the next directory stands when this one lies at `offset`."""
    return offset + (8 + 20 * len(directory) if big else 2 + 12 * len(directory))


def header(offset: int, big: bool) -> bytes:
    """The file's first bytes, for a first directory at `offset`."""
    return struct.pack("<2sHHHQ", b"II", 43, 8, 0, offset) if big else struct.pack("<2sHI", b"II", 42, offset)


def _fitted(tag: Tag, big: bool) -> Tag:
    """The tag with a type that the kind of file knows."""
    if tag.nested is not None:
        return Tag(_IFD8 if big else LONG, 1, b"", tag.nested)
    if not big and tag.kind in (LONG8, _IFD8):
        values = np.frombuffer(tag.raw, "<u8")
        return longs(*(int(min(value, 0xFFFFFFFF)) for value in values))
    return tag
