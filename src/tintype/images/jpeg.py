"""JPEG: the luma plane as it came to the encoder as it is; the metadata's segments spliced around it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype.errors import InputError, OutputError
from tintype.images.icc import SRGB_PROFILE, read_profile
from tintype.images.jpeg_luma import can_keep_luma, color_stream, is_progressive
from tintype.images.jpeg_markers import DQT, EOI, SOF, SOS, check_scans, luma_quality, markers
from tintype.images.metadata import (
    Metadata,
    exif_orientation,
    sensible_dpi,
    without_thumbnail,
    without_thumbnails,
)
from tintype.images.picture import ArrayPage, Coloring, Limits, Page, Picture, Pixels, decoding, to_8_bit
from tintype.images.resample import SMALL_SIDE, small_colors

_EXIF, _XMP, _MORE_XMP = (
    b"Exif\0\0",
    b"http://ns.adobe.com/xap/1.0/\0",
    b"http://ns.adobe.com/xmp/extension/\0",
)
_ICC, _PHOTOSHOP = b"ICC_PROFILE\0", b"Photoshop 3.0\0"
_SEGMENT_MAX = 65533
_SIDE_MAX = 65500  # libjpeg's own limit
_CM_PER_INCH = 2.54
# Luma may be this far off on a small share of the pixels; a finer quality of the ladder is taken until it is.
_LUMA_LIMIT, _LUMA_SHARE, _LADDER = 3, 0.998, (95, 97, 98, 100)
_KEEP_QUALITY = 85  # the input's own quality is kept from here on


@dataclass
class _Header:
    """What the markers before the first scan say."""

    height: int = 0
    width: int = 0
    components: int = 0
    bits: int = 8
    is_rgb: bool = False
    has_more: bool = False
    """Whether the file says that further pictures follow (CIPA DC-007, MPO)."""
    tables: bytes = b""  # the first DQT body, which holds the luma's table
    icc: list[bytes] = field(default_factory=list)
    photoshop: list[bytes] = field(default_factory=list)
    metadata: Metadata = field(default_factory=Metadata)

    def profile(self) -> bytes:
        """The ICC profile, put together of its numbered parts; empty when there is none."""
        return b"".join(part for _, part in sorted((part[0], part[2:]) for part in self.icc))


def open_jpeg(data: bytes, name: str, limits: Limits) -> Picture:
    """A JPEG in memory; the header is read now, the pixels when they are asked for."""
    with decoding(name, "JPEG"):
        header = _read_header(data)
        check_scans(data)
    limits.check(name, header.height, header.width)
    if header.bits != 8:
        raise InputError(f"{name} is a JPEG of {header.bits} bits a sample; only 8 bits can be read.")
    picture = Picture(name, "JPEG", [], header.metadata, lossless=False)
    is_cmyk = header.components == 4
    page = (_cmyk_page if is_cmyk else _page)(data, header, name, picture.notes)
    page.orientation = exif_orientation(header.metadata.exif)
    if not is_cmyk:
        page.profile = read_profile(header.profile(), picture.note, grey=header.components == 1)
    picture.pages.append(page)
    if header.has_more:
        picture.note("The JPEG holds further pictures behind the first: these were left out.")
    if header.components == 1:
        picture.grey_jpeg = data
    else:
        picture.jpeg_quality = _matching_quality(header.tables, header.components == 3 and not header.is_rgb)
    return picture


def _matching_quality(tables: bytes, has_luma: bool) -> int | None:
    """The quality at which re-encoding changes the luma least; None where the usual one serves.

    `has_luma` says that a component is the luma itself, not one that it must be computed from.

    With the tables that it came with, luma passes unchanged. A poor quality would harm the new chroma,
    and finer tables harm coarse luma little; near-equal ones harm most.
    """
    quality, exact = luma_quality(tables)
    if exact and has_luma:
        return quality if quality >= _KEEP_QUALITY else None
    return min(100, quality + 4) if quality >= _KEEP_QUALITY else None


def _read_header(data: bytes) -> _Header:
    header = _Header()
    for marker in markers(data):
        if marker.kind == SOS:
            break
        if marker.kind == EOI:
            raise ValueError("it ends before its first scan")
        _read_segment(header, marker.kind, marker.body)
    if not header.components:
        raise ValueError("it has no frame header")
    header.metadata.photoshop = without_thumbnails(b"".join(header.photoshop)) or None
    return header


def _read_segment(header: _Header, marker: int, body: bytes) -> None:
    metadata = header.metadata
    if marker in SOF:
        header.bits, header.height, header.width, header.components = struct.unpack_from(">BHHB", body)
    elif marker == DQT and not header.tables:
        header.tables = body
    elif marker == 0xE0 and body.startswith(b"JFIF\0") and len(body) >= 12:
        unit, x, y = struct.unpack_from(">BHH", body, 7)
        if unit in (1, 2) and x and y:
            scale = _CM_PER_INCH if unit == 2 else 1.0
            metadata.dpi = sensible_dpi(x * scale, y * scale)
    elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
        header.is_rgb = body[11] == 0
    elif marker == 0xE1 and body.startswith(_EXIF):
        metadata.exif = metadata.exif or body[len(_EXIF) :]
    elif marker == 0xE1 and body.startswith(_XMP):
        metadata.xmp = body[len(_XMP) :]
    elif marker == 0xE2 and body.startswith(_ICC) and len(body) > len(_ICC) + 2:
        header.icc.append(body[len(_ICC) :])
    elif marker == 0xE2 and body.startswith(b"MPF\0"):
        header.has_more = True
    elif marker == 0xED and body.startswith(_PHOTOSHOP):
        header.photoshop.append(body[len(_PHOTOSHOP) :])
    elif marker == 0xFE or (marker == 0xE1 and body.startswith(_MORE_XMP)):
        metadata.native.append((marker, body))
        metadata.has_texts |= marker == 0xFE


def _page(data: bytes, header: _Header, name: str, notes: list[str]) -> Page:
    """It knows the picture's notes and not the picture, so that the last who lets go of that frees all."""
    size = (header.height, header.width)

    def luma() -> tuple[Pixels, None]:
        return _decode(data, "GRAY", name, notes)[:, :, 0], None

    def small() -> Pixels:
        return small_colors(_decode(data, "RGB", name, notes, SMALL_SIDE))

    small_rgb = None if header.components == 1 else small
    return ArrayPage(size, np.uint8, luma, small_rgb=small_rgb, name=name)


def _decode(data: bytes, colors: str, name: str, notes: list[str], least: int = 0) -> NDArray[np.uint8]:
    """Pixels (H, W, channels), or those for a shorter side of at least `least` that are quick to decode."""
    import simplejpeg

    asked = {"min_height": least, "min_width": least}
    with decoding(name, "JPEG"):
        try:
            return np.asarray(simplejpeg.decode_jpeg(data, colors, **asked))
        except ValueError as error:
            # Stray bytes between segments harm no pixel; everything else would show.
            if "extraneous bytes" not in str(error):
                raise
            damage = f"The JPEG has harmless damage ({error})."
            notes += [] if damage in notes else [damage]
            return np.asarray(simplejpeg.decode_jpeg(data, colors, **asked, strict=False))


def _cmyk_page(data: bytes, header: _Header, name: str, notes: list[str]) -> Page:
    """CMYK and YCCK through their profile to sRGB, by Pillow, which knows Adobe's inverted inks."""
    from tintype.images.pillow_formats import rgb_page

    def decode() -> Pixels:
        import io

        from PIL.JpegImagePlugin import JpegImageFile

        from tintype.images.cmyk import cmyk_to_rgb

        with decoding(name, "JPEG"):
            image = JpegImageFile(io.BytesIO(_without_metadata(data)))
            image.load()
            return cmyk_to_rgb(image, header.profile(), notes)

    page = rgb_page((header.height, header.width), decode, name)
    page.profile = SRGB_PROFILE
    return page


def _without_metadata(data: bytes) -> bytes:
    """The JPEG with no APP segment but Adobe's: Pillow would read EXIF, and warn where it is damaged."""
    parts = [data[:2]]
    for marker in markers(data):
        if marker.kind == SOS:
            return b"".join([*parts, data[marker.start :]])
        if not 0xE0 <= marker.kind <= 0xEF or marker.kind == 0xEE:
            parts.append(data[marker.start : marker.start + 4] + marker.body)
    raise ValueError("it has no scan")


def write_jpeg(picture: Picture, coloring: Coloring, target: BinaryIO, quality: int) -> None:
    """The first page as a 4:2:0 JPEG with the picture's metadata; raises OutputError when it is too large.

    A grey JPEG's compressed luma is copied; any other luma is encoded, as finely as it needs.
    """
    page = picture.pages[0]
    if max(page.height, page.width) > _SIDE_MAX:
        raise OutputError(f"A JPEG can have {_SIDE_MAX} pixels a side at most: write a PNG or TIFF instead.")
    luma = np.ascontiguousarray(to_8_bit(page.luma()))
    cb, cr = coloring.planes_420(luma)
    target.write(b"\xff\xd8" + _segments(picture, page))
    if picture.grey_jpeg is not None and can_keep_luma(picture.grey_jpeg):
        progressive = is_progressive(picture.grey_jpeg)
        planes = [_grey_jpeg(plane, quality, progressive) for plane in (cb, cr)]
        target.write(color_stream(picture.grey_jpeg, *planes))
        return
    encoded = _encode_faithfully(luma, cb, cr, picture.jpeg_quality or quality)
    start = 4 + struct.unpack_from(">H", encoded, 4)[0]  # after the encoder's own JFIF segment
    target.write(memoryview(encoded)[start:])


def _encode_faithfully(
    luma: NDArray[np.uint8], cb: NDArray[np.uint8], cr: NDArray[np.uint8], quality: int
) -> bytes:
    """A JPEG at `quality`, or finer where the picture needs it to keep its luma; checked by decoding it."""
    import simplejpeg

    for finer in sorted({quality, *(q for q in _LADDER if q > quality)}):
        encoded = bytes(simplejpeg.encode_jpeg_yuv_planes(luma, cb, cr, finer))
        stored = simplejpeg.decode_jpeg(encoded, "GRAY")[:, :, 0]
        close = np.count_nonzero(cv2.absdiff(stored, luma) <= _LUMA_LIMIT)
        if close >= _LUMA_SHARE * luma.size:
            break
    return encoded


def _grey_jpeg(plane: NDArray[np.uint8], quality: int, progressive: bool) -> bytes:
    import simplejpeg

    if not progressive:
        return bytes(simplejpeg.encode_jpeg(plane[..., None], quality, "GRAY", "Gray"))
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.fromarray(plane).save(file, "JPEG", quality=quality, progressive=True)
    return file.getvalue()


def _segments(picture: Picture, page: Page) -> bytes:
    metadata = picture.metadata
    dpi = metadata.dpi and tuple(min(65535, max(1, round(value))) for value in metadata.dpi)
    x, y = dpi or (1, 1)
    parts = [_segment(0xE0, b"JFIF\0" + struct.pack(">HBHHxx", 0x0101, 1 if dpi else 0, x, y))]
    if metadata.exif:
        parts.append(_fitting(picture, 0xE1, _EXIF + without_thumbnail(metadata.exif), "EXIF"))
    if xmp := _xmp_out(picture):
        parts.append(_fitting(picture, 0xE1, _XMP + xmp, "XMP"))
    if picture.format == "JPEG":
        parts += [_segment(marker, body) for marker, body in metadata.native]
    step = _SEGMENT_MAX - len(_ICC) - 2
    icc = [page.profile.icc[i : i + step] for i in range(0, len(page.profile.icc), step)]
    parts += [_segment(0xE2, _ICC + bytes([i + 1, len(icc)]) + part) for i, part in enumerate(icc)]
    photoshop = metadata.photoshop or b""
    step = _SEGMENT_MAX - len(_PHOTOSHOP)
    parts += [_segment(0xED, _PHOTOSHOP + photoshop[i : i + step]) for i in range(0, len(photoshop), step)]
    return b"".join(parts)


def _xmp_out(picture: Picture) -> bytes | None:
    own = picture.metadata.xmp
    xmp = picture.xmp_out(own)
    if xmp and own and len(_XMP + xmp) > _SEGMENT_MAX >= len(_XMP + own):
        picture.note("The XMP fills all its room in a JPEG: that the colours are computed was not added.")
        return own
    return xmp


def _fitting(picture: Picture, marker: int, body: bytes, what: str) -> bytes:
    if len(body) > _SEGMENT_MAX:
        picture.note(f"The {what} is too large for a JPEG: it was left out.")
        return b""
    return _segment(marker, body)


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
