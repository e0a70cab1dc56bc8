"""What a JPEG 2000 tells beside its pixels, read and written: EXIF, XMP, IPTC, XML and the resolution."""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from fractions import Fraction

from tintype.images.jp2_boxes import Box, boxes
from tintype.images.metadata import (
    EXIF_HEAD,
    Metadata,
    sensible_dpi,
    with_iptc,
    without_thumbnail,
    without_thumbnails,
)
from tintype.images.picture import Picture

_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF = b"JpgTiffExif->JP2"
_PHOTOSHOP = bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb")
_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_OWN_UUIDS = (_XMP, _EXIF, _PHOTOSHOP, _IPTC)  # which are written from what was read of them
_KEPT = (b"xml ", b"uuid", b"uinf", b"asoc")
_INCH = 0.0254
_TOP = 500  # times 127, the greatest part below the line, is less than sixteen bits' greatest


def read_metadata(found: list[Box], heads: list[Box]) -> Metadata:
    """Of a file's boxes `found`, and those of its header."""
    metadata = Metadata()
    for entry in found:
        if entry.kind not in _KEPT:
            continue
        uuid, body = entry.body[:16], entry.body[16:]
        if entry.kind != b"uuid" or uuid not in _OWN_UUIDS:
            metadata.native.append(entry)
            metadata.has_texts |= entry.kind in (b"xml ", b"asoc")
        elif uuid == _XMP:
            metadata.xmp = body
        elif uuid == _EXIF:
            metadata.exif = body.removeprefix(EXIF_HEAD)
        elif uuid == _PHOTOSHOP:
            metadata.photoshop = without_thumbnails(body)
    iptc = next((b[16:] for kind, b in found if kind == b"uuid" and b[:16] == _IPTC), None)
    metadata.photoshop = with_iptc(metadata.photoshop, iptc)
    with suppress(ValueError, struct.error, ZeroDivisionError):
        metadata.dpi = _resolution(heads)
    return metadata


def _resolution(heads: list[Box]) -> tuple[float, float] | None:
    """Dots an inch (x, y) at which it was scanned, or else is to be shown; ValueError where it is damaged."""
    inner = dict(entry for kind, body in heads if kind == b"res " for entry in boxes(body))
    body = inner.get(b"resc", inner.get(b"resd"))
    if body is None:
        return None
    up, under_up, across, under_across, up_power, across_power = struct.unpack_from(">4H2b", body)
    return sensible_dpi(
        across / under_across * 10.0**across_power * _INCH, up / under_up * 10.0**up_power * _INCH
    )


def told_beside(picture: Picture) -> list[Box]:
    """The boxes for what is told beside the pixels."""
    metadata = picture.metadata
    exif = without_thumbnail(metadata.exif) if metadata.exif else None
    own = [(_EXIF, exif), (_PHOTOSHOP, metadata.photoshop), (_XMP, picture.xmp_out(metadata.xmp))]
    native = metadata.native if picture.format == "JPEG2000" else []
    return [*native, *(Box(b"uuid", uuid + body) for uuid, body in own if body)]


def resolution(dpi: tuple[float, float]) -> bytes:
    """Dots a metre, down and across, as JPEG 2000 has them."""
    (n_down, d_down, power_down), (n_across, d_across, power_across) = map(_ratio, reversed(dpi))
    return struct.pack(">4H2b", n_down, d_down, n_across, d_across, power_down, power_across)


def _ratio(dpi: float) -> tuple[int, int, int]:
    """Dots an inch as dots a metre: n / d · 10^power, n and d of sixteen bits; whole numbers exactly."""
    exact = Fraction(dpi) * 10_000 / 254
    power = max(0, math.ceil(math.log10(exact / _TOP)))  # many a reader takes it for unsigned
    ratio = (exact / Fraction(10) ** power).limit_denominator(127)
    return ratio.numerator, ratio.denominator, power
