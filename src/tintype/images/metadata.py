"""What a file says about itself beside its pixels, in the form in which each format can carry it on."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import Any

from tintype.images.tiff_tags import Directory, Reader, header, pack

ORIENTATION = 0x0112  # the EXIF tag
EXIF_HEAD = b"Exif\0\0"
"""With which some formats have EXIF begin."""
_IIM_RESOURCE = 0x0404
_DPI_MAX = 100_000


@dataclass
class Metadata:
    """EXIF as a TIFF-structured block, XMP as XML, IPTC as Photoshop image resources, dots an inch (x, y).

    `native` holds what only the own format can carry on: JPEG segments, PNG chunks, a TIFF page's tags;
    `has_texts` says that there are a JPEG's comments or a PNG's texts among it.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None
    dpi: tuple[float, float] | None = None
    native: list[Any] = field(default_factory=list)
    has_texts: bool = False


def sensible_dpi(x: float, y: float) -> tuple[float, float] | None:
    """Dots an inch, or None for numbers that no picture has and no other format could hold."""
    return (x, y) if 1 <= x <= _DPI_MAX and 1 <= y <= _DPI_MAX else None


def exif_orientation(exif: bytes | None) -> int:
    """EXIF's orientation 1…8; 1 when there is none or it is nonsense."""
    if exif is None:
        return 1
    endian, entries, _ = _first_directory(exif)
    for position in entries:
        code, kind = struct.unpack_from(endian + "HH", exif, position)
        if code == ORIENTATION and kind == 3:
            value = int(struct.unpack_from(endian + "H", exif, position + 8)[0])
            return value if 1 <= value <= 8 else 1
    return 1


def exif_directory(exif: bytes) -> Directory | None:
    """EXIF's main directory with those nested in it, or None when it is damaged."""
    try:
        return next(Reader(io.BytesIO(exif)).directories(), None)
    except (ValueError, struct.error):
        return None


def repacked(exif: bytes) -> bytes | None:
    """EXIF written anew, so that every reader understands it; None when it is damaged."""
    directory = exif_directory(exif)
    return None if directory is None else header(8, big=False) + pack(directory, 8, big=False)


def without_thumbnail(exif: bytes) -> bytes:
    """EXIF whose chain ends at its first directory: the small preview after it would still be grey."""
    _, _, link = _first_directory(exif)
    if link is None:
        return exif
    return exif[:link] + bytes(4) + exif[link + 4 :]


def _first_directory(exif: bytes) -> tuple[str, list[int], int | None]:
    """Byte order, positions of the entries, position of the link to the next directory (None if cut off)."""
    endian = ">" if exif[:2] == b"MM" else "<"
    if len(exif) < 10:
        return endian, [], None
    start = struct.unpack_from(endian + "I", exif, 4)[0]
    if start + 2 > len(exif):
        return endian, [], None
    count = struct.unpack_from(endian + "H", exif, start)[0]
    end = start + 2 + 12 * count
    if end + 4 > len(exif):
        return endian, [], None
    return endian, list(range(start + 2, end, 12)), end


def iptc_of(photoshop: bytes) -> bytes | None:
    """The IPTC-IIM records inside Photoshop image resources, or None."""
    position = 0
    while position + 12 <= len(photoshop) and photoshop[position : position + 4] == b"8BIM":
        resource = struct.unpack_from(">H", photoshop, position + 4)[0]
        name = photoshop[position + 6] + 1
        start = position + 6 + name + name % 2
        if start + 4 > len(photoshop):
            return None
        size = struct.unpack_from(">I", photoshop, start)[0]
        if resource == _IIM_RESOURCE:
            return photoshop[start + 4 : start + 4 + size]
        position = start + 4 + size + size % 2
    return None


def photoshop_of(iptc: bytes) -> bytes:
    """IPTC-IIM records wrapped as a Photoshop image resource."""
    head = b"8BIM" + struct.pack(">H2xI", _IIM_RESOURCE, len(iptc))
    return head + iptc + bytes(len(iptc) % 2)
