"""PNG: chunks are walked and checked here, pixels are inflated by Pillow or OpenCV."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from tintype.errors import OutputError
from tintype.images.icc import SRGB_PROFILE, Profile, gamma_profile, read_profile
from tintype.images.metadata import Metadata, exif_orientation, sensible_dpi, without_thumbnail
from tintype.images.picture import (
    ArrayPage,
    Coloring,
    Limits,
    Page,
    Picture,
    Pixels,
    colored_array,
    decoding,
)
from tintype.images.png_chunks import SIGNATURE, Chunk, assembled, chunk_bytes, whole_image
from tintype.images.resample import small_colors

_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# Chunks that stay true when the pixels change from grey to colour.
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_KEPT = (*_TEXTS, b"pHYs", b"tIME", b"eXIf")
_PALETTE = 3
_KEY_BYTES = {0: 2, 2: 6}  # of the transparent colour, by the kind of a PNG that has no alpha
_XMP_KEY = b"XML:com.adobe.xmp"
_XMP_HEAD = _XMP_KEY + bytes(5)  # uncompressed, no language, no translated key
_INCH = 0.0254
_SRGB_GAMMA = 1 / 2.2
_ICC_MAX = 1 << 24
# zlib level 3: half the time of level 6 for files 12 % larger.
_COMPRESSION = 3


def open_png(data: bytes, name: str, limits: Limits) -> Picture:
    """A PNG in memory; its chunks are checked now, its pixels inflated when they are asked for."""
    with decoding(name, "PNG"):
        width, height, bits, kind = struct.unpack_from(">IIBB", data, 16)
        if data[12:16] != b"IHDR" or kind not in (0, 2, 3, 4, 6):
            raise ValueError("it has no valid header")
    limits.check(name, height, width)
    with decoding(name, "PNG"):
        chunks = list(_chunks(data))
        if sum(kind == b"IHDR" for kind, _ in chunks) != 1:
            raise ValueError("it has more than one header")
        if kind == _PALETTE and not any(name == b"PLTE" for name, _ in chunks):
            raise ValueError("it has no palette")
        found = dict(reversed(chunks))
        if len(found.get(b"tRNS", bytes(6))) < _KEY_BYTES.get(kind, 0):
            raise ValueError("its tRNS chunk is too short")
    picture = Picture(name, "PNG", [], _metadata(chunks))
    if b"acTL" in found:
        picture.note("The PNG is an animation: its first frame was taken.")
    page = _page(chunks, found, name, (height, width), bits, kind)
    page.orientation = exif_orientation(picture.metadata.exif)
    page.profile = _profile(found, picture, grey=kind in (0, 4))
    picture.pages.append(page)
    return picture


def _chunks(data: bytes) -> Iterator[Chunk]:
    """Every chunk up to IEND; ValueError where one is cut off or its checksum is wrong."""
    position, view = len(SIGNATURE), memoryview(data)
    while True:
        if position + 12 > len(data):
            raise ValueError("it ends before its end chunk")
        size, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + size
        if end > len(data):
            raise ValueError(f"its {_shown(kind)} chunk is cut off")
        check = struct.unpack_from(">I", data, end - 4)[0]
        if zlib.crc32(view[position + 4 : end - 4]) != check and kind in _PIXEL_CHUNKS:
            raise ValueError(f"the checksum of its {_shown(kind)} chunk is wrong")
        yield kind, data[position + 8 : end - 4]
        if kind == b"IEND":
            return
        position = end


def _shown(kind: bytes) -> str:
    """A chunk's kind for people: four letters, or garbage in hexadecimal."""
    return kind.decode() if kind.isalpha() else kind.hex()


def _metadata(chunks: list[Chunk]) -> Metadata:
    metadata = Metadata(native=[chunk for chunk in chunks if chunk[0] in _KEPT])
    xmp = None
    for kind, body in metadata.native:
        if kind == b"eXIf":
            metadata.exif = body
        elif _is_xmp((kind, body)):
            xmp = body
        elif kind in _TEXTS:
            metadata.has_texts = True
        elif kind == b"pHYs" and len(body) == 9 and body[8] == 1:
            x, y = struct.unpack_from(">II", body)
            metadata.dpi = sensible_dpi(x * _INCH, y * _INCH)
    if xmp is not None:  # the last one counts, and inflating each of many would take long
        metadata.xmp = _itxt_text(xmp)
    return metadata


def _itxt_text(body: bytes) -> bytes | None:
    rest = body.split(b"\0", 1)[1]
    text = rest[2:].split(b"\0", 2)
    if len(text) < 3:
        return None
    return _inflated(text[2]) if rest[0] else text[2]


def _inflated(data: bytes) -> bytes | None:
    """At most _ICC_MAX bytes, or None for data that is damaged or expands beyond."""
    try:
        inflater = zlib.decompressobj()
        out = inflater.decompress(data, _ICC_MAX)
    except zlib.error:
        return None
    return out if inflater.eof else None


def _profile(found: dict[bytes, bytes], picture: Picture, grey: bool) -> Profile:
    if b"iCCP" in found:
        data = _inflated(found[b"iCCP"].split(b"\0", 1)[-1][1:])
        if data is None:
            picture.note("The ICC profile is damaged: sRGB was assumed.")
        return read_profile(data, picture.note, grey=grey)
    if b"gAMA" in found and b"sRGB" not in found and len(found[b"gAMA"]) == 4:
        gamma = struct.unpack(">I", found[b"gAMA"])[0] / 100_000
        # 1/2.2 is how PNGs spell sRGB; values far from any display's are known to be writers' errors.
        if 0.2 < gamma <= 1 and abs(gamma - _SRGB_GAMMA) > 0.01:
            return gamma_profile(1 / gamma)
    return SRGB_PROFILE


def _page(
    chunks: list[Chunk], found: dict[bytes, bytes], name: str, size: tuple[int, int], bits: int, kind: int
) -> Page:
    pixel_chunks = [chunk for chunk in chunks if chunk[0] in _PIXEL_CHUNKS]
    if bits == 16:
        return _deep_page(pixel_chunks, found.get(b"tRNS"), name, size, kind)
    from tintype.images.pillow_formats import pillow_page

    def image() -> object:
        return whole_image(pixel_chunks)

    has_alpha = kind in (4, 6) or b"tRNS" in found
    grey = kind in (0, 4)
    return pillow_page(image, name, "PNG", size, has_alpha=has_alpha, stored_grey=grey)


def _deep_page(
    chunks: list[Chunk], transparent: bytes | None, name: str, size: tuple[int, int], kind: int
) -> Page:
    """16 bits: grey by Pillow under an 8-bit header of the same bytes a pixel, colour by OpenCV."""
    from tintype.images.luma import luma_of_codes

    def codes() -> Pixels:
        with decoding(name, "PNG"):
            return _deep_grey(chunks, kind) if kind in (0, 4) else _deep_color(chunks)

    def decode() -> tuple[Pixels, Pixels | None]:
        values = codes()
        colors = values[..., : 1 if kind in (0, 4) else 3]
        luma = colors[..., 0] if kind in (0, 4) else luma_of_codes(colors)
        alpha = values[..., -1] if kind in (4, 6) else None
        if alpha is None and transparent is not None:
            hidden = np.frombuffer(transparent, ">u2", colors.shape[-1])
            alpha = np.where((colors == hidden).all(-1), np.uint16(0), np.uint16(65535))
        return np.ascontiguousarray(luma), alpha

    def small() -> Pixels:
        return small_colors(np.ascontiguousarray(codes()[..., :3]))

    has_alpha = kind in (4, 6) or transparent is not None
    grey = kind in (0, 4)
    small_rgb = None if grey else small
    return ArrayPage(size, np.uint16, decode, has_alpha=has_alpha, small_rgb=small_rgb, name=name)


def _deep_grey(chunks: list[Chunk], kind: int) -> Pixels:
    """Grey (kind 0) or grey and alpha (4) of 16 bits, as (H, W, 1 or 2).

    A pixel has as many bytes as one of grey and alpha, or RGBA, of 8 bits, and PNG's filters work on
    bytes: under such a header Pillow gives the very bytes. (OpenCV swaps them in grey with alpha.)
    """
    header = bytearray(chunks[0][1])
    header[8], header[9] = 8, 4 if kind == 0 else 6
    body = [chunk for chunk in chunks[1:] if chunk[0] in (b"IDAT", b"IEND")]
    image = whole_image([(b"IHDR", bytes(header)), *body])
    return np.ascontiguousarray(np.asarray(image)).view(">u2").astype(np.uint16)


def _deep_color(chunks: list[Chunk]) -> Pixels:
    import cv2

    body = [chunk for chunk in chunks if chunk[0] != b"tRNS"]
    values = cv2.imdecode(np.frombuffer(assembled(body), np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise ValueError("its pixels cannot be inflated")
    return cv2.cvtColor(values, cv2.COLOR_BGRA2RGBA if values.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def write_png(picture: Picture, coloring: Coloring, target: BinaryIO) -> None:
    """The first page as RGB or RGBA of its own depth, with the picture's metadata and ICC profile."""
    import cv2

    page = picture.pages[0]
    pixels = colored_array(page, coloring, with_alpha=True)
    swap = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    cv2.cvtColor(pixels, swap, dst=pixels)
    done, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION])
    if not done:
        raise OutputError("The picture cannot be written as a PNG: write a TIFF instead.")
    head = len(SIGNATURE) + 25  # up to the end of IHDR
    view = encoded.data
    target.write(view[:head])
    target.write(_spliced(picture, page.profile))
    target.write(view[head:])


def _spliced(picture: Picture, profile: Profile) -> bytes:
    metadata = picture.metadata
    chunks = [(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile.icc))]
    xmp = picture.xmp_out(metadata.xmp)
    if picture.format == "PNG":
        # Its own XMP stays as it is stored, compressed maybe, where nothing was added to it.
        as_stored = xmp == metadata.xmp
        kept = [chunk for chunk in metadata.native if as_stored or not _is_xmp(chunk)]
        chunks += [(kind, without_thumbnail(body) if kind == b"eXIf" else body) for kind, body in kept]
    else:
        if metadata.dpi:
            x, y = (round(value / _INCH) for value in metadata.dpi)
            chunks.append((b"pHYs", struct.pack(">IIB", x, y, 1)))
        if metadata.exif:
            chunks.append((b"eXIf", without_thumbnail(metadata.exif)))
    if xmp and (picture.format != "PNG" or xmp != metadata.xmp):
        chunks.append((b"iTXt", _XMP_HEAD + xmp))
    return b"".join(chunk_bytes(*chunk) for chunk in chunks)


def _is_xmp(chunk: Chunk) -> bool:
    return chunk[0] == b"iTXt" and chunk[1].startswith(_XMP_KEY + b"\0")
