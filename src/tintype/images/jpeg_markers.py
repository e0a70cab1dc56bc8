"""The markers of a JPEG file, and what its quantisation tables say of its quality (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

SOI, EOI, SOS, DQT, DHT, DRI, COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xFE
APP = frozenset(range(0xE0, 0xF0))
SOF = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
MOST_SCANS = 128  # of progressive files, which usually have 3 to 20
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# The luminance table of annex K, in zigzag order, which libjpeg scales by a quality from 1 to 100.
_ANNEX_K = (
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49,
    35, 37, 29, 40, 58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56,
    80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
)  # fmt: skip


class Marker(NamedTuple):
    """One marker: its kind, where its 0xFF stands, and its body without the two length bytes."""

    kind: int
    start: int
    body: bytes


def markers(data: bytes) -> Iterator[Marker]:
    """The markers from after SOI to EOI, lazily: a scan's data is passed over when the next is asked for.

    Raises ValueError where the file breaks off. What lies between two markers belongs to the first.
    """
    position = 2
    while True:
        opening = _MARKER.search(data, position)  # after fill bytes, or garbage that libjpeg skips too
        if opening is None:
            raise ValueError("it breaks off before its end")
        position = opening.start()
        kind = data[position + 1]
        if kind == EOI:
            yield Marker(kind, position, b"")
            return
        if kind == 0x01 or 0xD0 <= kind <= 0xD8:  # markers without a body
            position += 2
            continue
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        if end > len(data):
            raise ValueError("it breaks off inside a marker")
        yield Marker(kind, position, data[position + 4 : end])
        position = end
        if kind == SOS:
            found = _AFTER_SCAN.search(data, end)
            if found is None:
                raise ValueError("it breaks off inside a scan")
            position = found.start()


def check_scans(data: bytes) -> None:
    """ValueError for more scans than `MOST_SCANS`: each takes the decoder as long as a pass over all pixels.

    A few dozen bytes are a scan, so that a small file could keep a decoder busy for hours.
    """
    if data.count(bytes([0xFF, SOS])) > MOST_SCANS and sum(m.kind == SOS for m in markers(data)) > MOST_SCANS:
        raise ValueError(f"it has more than {MOST_SCANS} scans, which no program writes")


def luma_quality(tables: bytes) -> tuple[int, bool]:
    """The quality, 1 to 100, of a DQT body's first table, and whether it is just libjpeg's table for it."""
    if len(tables) < 65 or tables[0] >> 4:
        return 100, False
    table = tables[1:65]
    scale = 100 * sum(table) / sum(_ANNEX_K)
    guess = round((200 - scale) / 2 if scale <= 100 else 5000 / scale)
    for quality in sorted(range(1, 101), key=lambda q: abs(q - guess))[:5]:
        if table == _libjpeg_table(quality):
            return quality, True
    return min(100, max(1, guess)), False


def _libjpeg_table(quality: int) -> bytes:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return bytes(min(255, max(1, (value * scale + 50) // 100)) for value in _ANNEX_K)
