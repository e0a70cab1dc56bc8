"""JPEG 2000: its boxes (ISO/IEC 15444-1, annex I) and the header of its codestream (annex A)."""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
_SOC, _SIZ, _COD, _SOT, _SOD, _EOC = 0xFF4F, 0xFF51, 0xFF52, 0xFF90, 0xFF93, 0xFFD9
_SIZ_HEAD = struct.Struct(">2x8IH")  # right, bottom, left, top; of tiles width, height, left, top; components
BY_NUMBER, BY_PROFILE = 1, 2
SRGB = 16
"""A colour space's number."""
COLOR, OPACITY = 0, 1
"""What a channel is."""
FILE_HEAD = SIGNATURE + struct.pack(">I", 20) + b"ftypjp2 \0\0\0\0jp2 "
"""With which a file begins."""
_IRREVERSIBLE = 0  # the 9-7 wavelet; 1 is the 5-3, which loses nothing


class Box(NamedTuple):
    """A box's four letters and what is in it."""

    kind: bytes
    body: bytes


class Codestream(NamedTuple):
    """What the header of a codestream tells. `bits` and `shrunk` are of the components, in turn."""

    height: int
    width: int
    bits: tuple[int, ...]
    shrunk: tuple[tuple[int, int], ...]
    """By how much they are smaller: across and down."""
    signed: bool
    """Whether any of them is."""
    at_origin: bool
    levels: int
    """How often it can be halved in being decoded."""
    irreversible: bool
    tiles: int
    header_ends: int
    """Where the parts of the tiles begin."""


def boxes(data: bytes) -> Iterator[Box]:
    """The boxes that lie side by side in `data`; ValueError where one is cut off."""
    position, end = 0, len(data)
    while position < end:
        if position + 8 > end:
            return  # stray bytes
        size, kind = struct.unpack_from(">I4s", data, position)
        head = 8
        if size == 1:
            if position + 16 > end:
                raise ValueError("it ends within a box's head")
            size, head = struct.unpack_from(">Q", data, position + 8)[0], 16
        elif size == 0:
            size = end - position
        if size < head or position + size > end:
            raise ValueError(f"its {_shown(kind)} box is cut off")
        yield Box(kind, data[position + head : position + size])
        position += size


def color_space(heads: list[Box]) -> tuple[bytes | None, int | None]:
    """The ICC profile or the number of the colour space by a header's boxes, of which the first counts."""
    for kind, body in heads:
        if kind == b"colr" and len(body) > 3 and body[0] == BY_PROFILE:
            return body[3:], None
        if kind == b"colr" and len(body) >= 7 and body[0] == BY_NUMBER:
            return None, struct.unpack_from(">I", body, 3)[0]
    return None, None


def box(kind: bytes, body: bytes) -> bytes:
    """A box as it is stored."""
    if len(body) + 8 < 1 << 32:
        return struct.pack(">I4s", len(body) + 8, kind) + body
    return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body


def read_codestream(data: bytes) -> Codestream:
    """The header of a codestream; ValueError where it is damaged."""
    if len(data) < 4 or struct.unpack_from(">HH", data) != (_SOC, _SIZ):
        raise ValueError("its codestream has no header")
    found, position = dict[int, bytes](), 2
    while True:
        if position + 4 > len(data):
            raise ValueError("it ends within its header")
        marker, size = struct.unpack_from(">HH", data, position)
        if marker == _SOT:
            break
        if marker < 0xFF01 or size < 2:
            raise ValueError("its header is damaged")
        found.setdefault(marker, data[position + 4 : position + 2 + size])
        position += 2 + size
    if _COD not in found or len(found[_COD]) < 10:
        raise ValueError("its header lacks the coding style")
    if len(found[_SIZ]) < _SIZ_HEAD.size:
        raise ValueError("its header is damaged")
    return _described(found[_SIZ], found[_COD], position)


def _described(size: bytes, style: bytes, header_ends: int) -> Codestream:
    right, bottom, left, top, *tile, count = _SIZ_HEAD.unpack_from(size)
    across, down, first_left, first_top = tile
    if not (across and down and first_left < right and first_top < bottom):
        raise ValueError("its header is damaged")
    if count < 1 or len(size) < _SIZ_HEAD.size + 3 * count:
        raise ValueError("its header lacks components")
    components = [struct.unpack_from(">BBB", size, _SIZ_HEAD.size + 3 * i) for i in range(count)]
    return Codestream(
        height=bottom - top,
        width=right - left,
        bits=tuple((depth & 0x7F) + 1 for depth, _, _ in components),
        shrunk=tuple((across, down) for _, across, down in components),
        signed=any(depth & 0x80 for depth, _, _ in components),
        at_origin=left == top == 0,
        levels=style[5],
        irreversible=style[9] == _IRREVERSIBLE,
        tiles=math.ceil((right - first_left) / across) * math.ceil((bottom - first_top) / down),
        header_ends=header_ends,
    )


def check_whole(data: bytes, header: Codestream) -> None:
    """ValueError where tiles of a codestream, or its end, are missing: decoders make up what was there."""
    if len(_tiles(data, header.header_ends)) != header.tiles:
        raise ValueError("tiles of it are missing")


def _tiles(data: bytes, position: int) -> set[int]:
    """The tiles that are there; ValueError where a part is cut off or missing, or the end is."""
    found, expected = Counter[int](), dict[int, int]()
    while True:
        if position + 2 > len(data):
            raise ValueError("it ends before its end marker")
        marker = struct.unpack_from(">H", data, position)[0]
        if marker == _EOC:
            break
        if marker != _SOT or position + 12 > len(data):
            raise ValueError("a part of it is damaged")
        tile, size, _, parts = struct.unpack_from(">HIBB", data, position + 4)
        found[tile] += 1
        expected[tile] = max(parts, expected.get(tile, 0))  # 0 where it is not told yet
        if size == 0:  # up to the end
            if not data.rstrip(b"\0").endswith(_EOC.to_bytes(2)):
                raise ValueError("it ends before its end marker")
            break
        if size < 14:
            raise ValueError("a part of it is damaged")
        position += size
    if any(number < expected[tile] for tile, number in found.items()):
        raise ValueError("parts of its tiles are missing")
    return set(found)


def _shown(kind: bytes) -> str:
    """A box's kind for people: four letters, or garbage in hexadecimal."""
    return kind.decode("latin-1").strip() if kind.replace(b" ", b"").isalnum() else kind.hex()
