"""Colour for a grey JPEG without touching its luma: the compressed luma is copied, byte for byte.

JPEG lets every component have scans of its own. A grey file's scans are kept as the Y of a colour file
whose Cb and Cr, at half size, come from two small grey JPEGs, each with its own tables; so the luma loses
nothing, however often a picture is coloured, and the most expensive part of encoding is not done at all.
(ITU-T T.81, sections A.2 and B.2; JFIF 1.02 for the colour space.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tintype.errors import InputError

_SOF_HUFFMAN = (0xC0, 0xC1, 0xC2)  # baseline, extended sequential, progressive
_SOF_ALL = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SOI, _EOI, _SOS, _DQT, _DHT, _DRI, _APP14 = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xEE
_MARKER_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True, slots=True)
class Segment:
    """One marker with its payload (without the two length bytes); a scan's payload goes on to its end."""

    marker: int
    payload: bytes
    entropy: bytes = b""

    def encode(self) -> bytes:
        return b"\xff%c" % self.marker + (len(self.payload) + 2).to_bytes(2) + self.payload + self.entropy


def segments(data: bytes) -> Iterator[Segment]:
    """The segments between SOI and EOI. InputError where the file breaks off or holds no JPEG markers."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise InputError("The JPEG file is damaged: a marker is missing.")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == _EOI:
            return
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        payload = data[position + 4 : end]
        position = end
        if marker != _SOS:
            yield Segment(marker, payload)
            continue
        found = _MARKER_AFTER_SCAN.search(data, end)
        position = found.start() if found else len(data)
        yield Segment(marker, payload, data[end:position])
    if data[position : position + 2] != b"\xff\xd9":
        raise InputError("The JPEG file breaks off before its end.")


def can_keep_luma(data: bytes) -> bool:
    """Whether `data` is a grey Huffman-coded 8-bit JPEG, whose luma can be copied."""
    frames = [s for s in segments(data) if s.marker in _SOF_ALL]
    return len(frames) == 1 and _is_grey(frames[0])


def is_progressive(data: bytes) -> bool:
    """Whether the frame is progressive; its chroma must then be progressive too."""
    return any(s.marker == 0xC2 for s in segments(data))


def add_chroma(grey: bytes, cb: bytes, cr: bytes) -> bytes:
    """A colour JPEG from a grey one and grey JPEGs of its Cb and Cr at half size (rounded up).

    All three must be of one kind, sequential or progressive. The markers of `grey` before its frame
    (metadata, tables) stay in place, but Adobe's, which would speak of another colour space.
    """
    parts = [b"\xff\xd8"]
    slots = (1, 2)
    for segment in segments(grey):
        if segment.marker in _SOF_ALL:
            slots = _chroma_slots(segment.payload[8])
            parts.append(_color_frame(segment, slots).encode())
        elif segment.marker == _SOS:
            parts.append(_scan_of(segment, 1).encode())
        elif segment.marker != _APP14:
            parts.append(segment.encode())
    parts.append(Segment(_DRI, b"\0\0").encode())
    for component, slot, data in ((2, slots[0], cb), (3, slots[1], cr)):
        for segment in segments(data):
            if segment.marker == _DQT:
                parts.append(_in_slot(segment, slot).encode())
            elif segment.marker == _DHT:
                parts.append(segment.encode())
            elif segment.marker == _SOS:
                parts.append(_scan_of(segment, component).encode())
    parts.append(b"\xff\xd9")
    return b"".join(parts)


def _is_grey(frame: Segment) -> bool:
    return frame.marker in _SOF_HUFFMAN and frame.payload[0] == 8 and frame.payload[5] == 1


def _color_frame(frame: Segment, slots: tuple[int, int]) -> Segment:
    """The frame header for Y at full size with its own quantisation table, Cb and Cr at half with theirs."""
    components = bytes([1, 0x22, frame.payload[8], 2, 0x11, slots[0], 3, 0x11, slots[1]])
    return Segment(frame.marker, frame.payload[:5] + b"\x03" + components)


def _chroma_slots(luma_slot: int) -> tuple[int, int]:
    """Two of the four quantisation slots that the luma does not use."""
    first, second, *_ = (slot for slot in range(4) if slot != luma_slot)
    return first, second


def _in_slot(tables: Segment, slot: int) -> Segment:
    """A segment of one quantisation table, as encoders write for a grey picture, moved to `slot`."""
    precision = tables.payload[0] & 0xF0
    return Segment(tables.marker, bytes([precision | slot]) + tables.payload[1:])


def _scan_of(scan: Segment, component: int) -> Segment:
    """A scan of a one-component picture, said to be of `component`."""
    return Segment(scan.marker, b"\x01%c" % component + scan.payload[2:], scan.entropy)
