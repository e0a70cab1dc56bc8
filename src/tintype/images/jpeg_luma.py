"""Colour for a grey JPEG without touching its luma: the compressed luma is copied, byte for byte.

JPEG lets every component have scans of its own. A grey file's scans are kept as the Y of a colour file
whose Cb and Cr, at half size, come from two small grey JPEGs, each with its own tables; so the luma loses
nothing, however often a picture is coloured, and the most expensive part of encoding is not done at all
(ITU-T T.81, sections A.2 and B.2).
"""

from __future__ import annotations

from tintype.images.jpeg_markers import APP, COM, DHT, DQT, DRI, EOI, SOF, SOS, Marker, markers

_HUFFMAN = (0xC0, 0xC1, 0xC2)  # baseline, extended sequential, progressive
_PROGRESSIVE = 0xC2


def can_keep_luma(data: bytes) -> bool:
    """Whether `data` is a grey, Huffman-coded JPEG of 8 bits, whose luma can be copied."""
    try:
        frames = [m for m in markers(data) if m.kind in SOF]
    except ValueError:  # it breaks off after its picture, which libjpeg lets pass
        return False
    if len(frames) != 1 or frames[0].kind not in _HUFFMAN:
        return False
    bits, components = frames[0].body[0], frames[0].body[5]
    return bits == 8 and components == 1


def is_progressive(data: bytes) -> bool:
    """Whether the frame is progressive; the chroma that is added must then be progressive too."""
    return next(m.kind for m in markers(data) if m.kind in SOF) == _PROGRESSIVE


def color_stream(grey: bytes, cb: bytes, cr: bytes) -> bytes:
    """A colour JPEG, from its tables to its end, of a grey one and grey JPEGs of Cb and Cr.

    The chroma has half the width and height, rounded up; all three are of one kind, sequential or
    progressive. What precedes (SOI and metadata) is the caller's: JFIF must be said, Adobe's marker not.
    """
    parts: list[bytes] = []
    slots = (1, 2)
    for marker, content in _segments(grey):
        if marker.kind in SOF:
            slots = _free_slots(marker.body[8])
            parts.append(_color_frame(marker, slots))
        elif marker.kind == SOS:
            parts.append(_scan(content, 1))
        elif marker.kind not in APP and marker.kind not in (COM, EOI):
            parts.append(content)
    parts.append(b"\xff%c\0\4\0\0" % DRI)  # the restart interval of the luma's scans ends with them
    for component, slot, data in ((2, slots[0], cb), (3, slots[1], cr)):
        for marker, content in _segments(data):
            if marker.kind == DQT:
                # An encoder writes one table for a grey picture; its first byte is precision and slot.
                parts.append(content[:4] + bytes([marker.body[0] & 0xF0 | slot]) + content[5:])
            elif marker.kind == DHT:
                parts.append(content)
            elif marker.kind == SOS:
                parts.append(_scan(content, component))
    return b"".join([*parts, b"\xff%c" % EOI])


def _segments(data: bytes) -> list[tuple[Marker, bytes]]:
    """Each marker with all its bytes, up to the next marker."""
    found = list(markers(data))
    ends = [m.start for m in found[1:]] + [len(data)]
    return [(marker, data[marker.start : end]) for marker, end in zip(found, ends, strict=True)]


def _color_frame(frame: Marker, slots: tuple[int, int]) -> bytes:
    """The frame header for Y at full size with its own quantisation table, Cb and Cr at half with theirs."""
    components = bytes([3, 1, 0x22, frame.body[8], 2, 0x11, slots[0], 3, 0x11, slots[1]])
    return b"\xff%c\0\x11" % frame.kind + frame.body[:5] + components


def _free_slots(luma_slot: int) -> tuple[int, int]:
    """Two of the four quantisation slots that the luma does not use."""
    first, second, *_ = (slot for slot in range(4) if slot != luma_slot)
    return first, second


def _scan(content: bytes, component: int) -> bytes:
    """A scan of a one-component picture, said to be of `component`."""
    return content[:5] + bytes([component]) + content[6:]
