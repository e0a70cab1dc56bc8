"""What a file says about itself beside its pixels, in the form in which each format can carry it on."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tintype.images.tiff_tags import Directory, Reader, header, pack

ORIENTATION = 0x0112  # the EXIF tag
EXIF_HEAD = b"Exif\0\0"
"""With which some formats have EXIF begin."""
_IIM, _THUMBNAILS = 0x0404, (0x0409, 0x040C)  # Photoshop's image resources
_SIGNATURES = (
    b"8BIM",
    b"MeSa",
    b"PHUT",
    b"AgHg",
    b"DCSR",
)  # what each begins with, by its program
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
    return next(
        (photoshop[r.start : r.start + r.size] for r in _resources(photoshop) if r.kind == _IIM), None
    )


def without_thumbnails(photoshop: bytes) -> bytes:
    """Photoshop image resources without the small previews, which would still be grey."""
    parts, end = [], 0
    for resource in _resources(photoshop):
        if resource.kind in _THUMBNAILS:
            parts.append(photoshop[end : resource.head])
            end = resource.end
    return b"".join([*parts, photoshop[end:]])


class _Resource(NamedTuple):
    """One of Photoshop's image resources: what it is, and where its head, its data and the next one begin."""

    kind: int
    head: int
    start: int
    size: int
    end: int


def _resources(photoshop: bytes) -> Iterator[_Resource]:
    """As many as are whole enough to be told apart."""
    head = 0
    while head + 12 <= len(photoshop) and photoshop[head : head + 4] in _SIGNATURES:
        kind = struct.unpack_from(">H", photoshop, head + 4)[0]
        name = photoshop[head + 6] + 1
        start = head + 6 + name + name % 2 + 4
        if start > len(photoshop):
            return
        size = struct.unpack_from(">I", photoshop, start - 4)[0]
        end = start + size + size % 2
        if start + size > len(photoshop):
            return
        yield _Resource(kind, head, start, size, end)
        head = end


def with_iptc(photoshop: bytes | None, iptc: bytes | None) -> bytes | None:
    """Photoshop image resources with IPTC: their own, or else the records that a file has beside them."""
    if iptc and not (photoshop and iptc_of(photoshop)):
        return photoshop_of(iptc) + (photoshop or b"")
    return photoshop


def photoshop_of(iptc: bytes) -> bytes:
    """IPTC-IIM records wrapped as a Photoshop image resource."""
    head = b"8BIM" + struct.pack(">H2xI", _IIM, len(iptc))
    return head + iptc + bytes(len(iptc) % 2)
