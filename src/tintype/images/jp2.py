"""JPEG 2000 in its own container: boxes are read and written here, pixels coded by Pillow or OpenCV.

Pillow brings colours to 8 bits, OpenCV keeps 16, but takes neither alpha beside grey nor smaller components.
"""

from __future__ import annotations

import io
import math
import struct
from contextlib import suppress
from fractions import Fraction
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tintype.errors import InputError, OutputError
from tintype.images.icc import SRGB_PROFILE, Profile, read_profile
from tintype.images.jp2_boxes import (
    SIGNATURE,
    Box,
    Codestream,
    box,
    boxes,
    check_whole,
    color_space,
    read_codestream,
)
from tintype.images.luma import luma_of_codes
from tintype.images.metadata import (
    Metadata,
    exif_orientation,
    iptc_of,
    photoshop_of,
    sensible_dpi,
    without_thumbnail,
)
from tintype.images.picture import (
    PREMULTIPLIED,
    UNASSOCIATED,
    UNSPECIFIED,
    ArrayPage,
    Coloring,
    Limits,
    Picture,
    Pixels,
    colored_array,
    decoding,
    to_8_bit,
)
from tintype.images.pillow_formats import turned_upright
from tintype.images.resample import SMALL_SIDE, small_colors
from tintype.running import opencv_silence

_KIND = "JPEG2000"
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_EXIF = b"JpgTiffExif->JP2"
_PHOTOSHOP = bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb")
_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_OWN_UUIDS = (_XMP, _EXIF, _PHOTOSHOP, _IPTC)  # which are written from what was read of them
_HEAD = SIGNATURE + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
_OF_PIXELS = (b"pclr", b"cmap", b"cdef")
_KEPT = (b"xml ", b"uuid", b"uinf", b"asoc")
_BY_PROFILE, _BY_NUMBER = 2, 1
_UNKNOWN, _SRGB, _GREY, _YCC = 0, 16, 17, 18
_INCH = 0.0254
_COLOR, _OPACITY = 0, 1
_BESIDE = {_OPACITY: UNASSOCIATED, 2: PREMULTIPLIED}
_RGB_IN_ORDER = struct.pack(">H9H", 3, 0, _COLOR, 1, 1, _COLOR, 2, 2, _COLOR, 3)
_LEAST_DEEP_SIDE = 32  # pixels; OpenCV halves five times whatever the size
_LOSSLESS = 1000
_TOP = 500  # times 127, the greatest part below the line, is less than sixteen bits' greatest


class _Described(NamedTuple):
    """What the boxes tell of the pixels."""

    stream: Codestream
    profile: bytes | None
    space: int | None
    """The number of the colour space, where it has one."""
    order: tuple[int, ...]
    """Which components are grey or red, green and blue, and the one beside them."""
    beside: int | None
    """What that is: UNASSOCIATED, PREMULTIPLIED or UNSPECIFIED; None where there is none."""
    has_palette: bool

    @property
    def is_grey(self) -> bool:
        """Whether there is one channel, and alpha maybe."""
        return len(self.stream.bits) < 3 and not self.has_palette

    @property
    def is_deep(self) -> bool:
        """Whether there are more than 8 bits a channel."""
        return max(self.stream.bits) > 8


def open_jp2(data: bytes, name: str, limits: Limits) -> Picture:
    """A JPEG 2000 in memory; its header is read now, its pixels are decoded when they are asked for."""
    return _opened(data, name, limits)[0]


def jp2_rgb8(data: bytes) -> NDArray[np.uint8]:
    """A JPEG 2000 as upright RGB (H, W, 3) of 8 bits, in its own colour space; InputError as `open_jp2`."""
    picture, stored = _opened(data, "it", Limits())
    with decoding("it", _KIND):
        codes = stored.codes()
        rgb = codes[..., :1].repeat(3, -1) if stored.described.is_grey else codes[..., :3]
    return turned_upright(to_8_bit(rgb), picture.pages[0].orientation)


def _opened(data: bytes, name: str, limits: Limits) -> tuple[Picture, _Stored]:
    with decoding(name, _KIND):
        found = list(boxes(data))
        streams = [body for kind, body in found if kind == b"jp2c"]
        if not streams:
            raise ValueError("there is no codestream in it")
        stream = read_codestream(streams[0])
        # Its decoders take four bytes for each, whatever their depth.
        Limits(max_pixels=limits.max_pixels // len(stream.bits)).check(name, stream.height, stream.width)
        check_whole(streams[0], stream)
        heads = list(boxes(next((body for kind, body in found if kind == b"jp2h"), b"")))
        _check_head(stream, heads)
        described = _describe(stream, heads)
    if what := _why_unread(described, heads):
        raise InputError(f"{name} is a JPEG2000 {what}, which is not read; save it as TIFF first.")
    stored = _Stored(_bare(described, heads, streams[0]), described)
    picture = Picture(name, _KIND, [], _metadata(found, heads), lossless=not stream.irreversible)
    if len(streams) > 1:
        picture.note("The JPEG2000 holds several pictures: its first was taken.")
    page = ArrayPage(
        (stream.height, stream.width),
        np.uint16 if described.is_deep else np.uint8,
        partial(_decoded, stored, name),
        has_alpha=described.beside is not None,
        small_rgb=None if described.is_grey else partial(_small, stored, name),
        name=name,
    )
    page.orientation = exif_orientation(picture.metadata.exif)
    page.profile = read_profile(described.profile, picture.notes, grey=described.is_grey)
    if described.beside is not None:
        page.alpha_kind = described.beside
    picture.pages.append(page)
    return picture, stored


def _check_head(stream: Codestream, heads: list[Box]) -> None:
    """ValueError where the header claims another size than the codestream has: Pillow makes room for it."""
    head = next((body for kind, body in heads if kind == b"ihdr"), b"")
    told = (stream.height, stream.width, len(stream.bits))
    if len(head) != 14 or struct.unpack_from(">IIH", head) != told:
        raise ValueError("its header does not fit its codestream")


def _describe(stream: Codestream, heads: list[Box]) -> _Described:
    has_palette = any(kind == b"pclr" for kind, _ in heads)
    profile, space = color_space(heads)
    order, beside = _channels(len(stream.bits), heads)
    if has_palette:
        order, beside = (0,), None
    return _Described(stream, profile, space, order, beside, has_palette)


def _channels(count: int, heads: list[Box]) -> tuple[tuple[int, ...], int | None]:
    """`order` and `beside` of so many components, as usual where it is not told; none where it is none."""
    colors = 1 if count < 3 else 3
    body = next((body for kind, body in heads if kind == b"cdef"), None)
    if body is None:
        return tuple(range(count)), UNASSOCIATED if count > colors else None
    kinds = {channel: (_COLOR, channel + 1) for channel in range(count)}
    for at in range(2, len(body) - 5, 6):
        channel, what, number = struct.unpack_from(">HHH", body, at)
        kinds[channel] = (what, 1 if colors == 1 else number)
    places = {number: channel for channel, (what, number) in reversed(kinds.items()) if what == _COLOR}
    order = [places[number] for number in range(1, colors + 1) if places.get(number, count) < count]
    if len(order) < colors:
        return (), None
    rest = [channel for channel in range(count) if channel not in order]
    return (*order, *rest), _BESIDE.get(kinds[rest[0]][0], UNSPECIFIED) if rest else None


def _why_unread(described: _Described, heads: list[Box]) -> str:
    """What of the pixels neither decoder makes grey or RGB of; empty where there is nothing."""
    stream, space, count = described.stream, described.space, len(described.stream.bits)
    usual = described.order == tuple(range(count))
    if count > 4:
        return f"of {count} components"
    if max(stream.bits) > 16:
        return "of more than 16 bits a channel"
    if described.is_deep and count > 1 and not _is_plain(described):
        return "of more than 8 bits a channel in a rare form"  # which Pillow brings to 8, white to black
    if described.has_palette and (stream.bits != (8,) or not _has_rgb_palette(heads)):
        return "with a rare kind of palette"
    if space not in (None, _UNKNOWN, _SRGB, _GREY, _YCC) or (described.profile or b"")[16:20] == b"CMYK":
        return "in another colour space than grey and RGB"
    if not described.order:
        return "whose channels are none of grey or of RGB"
    if not usual and space == _YCC:
        return "whose channels are in a rare order"
    if not _is_even(stream):
        return "whose smaller components do not fit its size"  # which Pillow would skew
    return ""


def _has_rgb_palette(heads: list[Box]) -> bool:
    found = dict(reversed(heads))
    return found[b"pclr"][2:3] == b"\3" and found.get(b"cdef", _RGB_IN_ORDER) == _RGB_IN_ORDER


def _is_even(stream: Codestream) -> bool:
    across, down = (max(steps) for steps in zip(*stream.shrunk, strict=True))
    if across == down == 1:
        return True
    return (
        stream.at_origin
        and stream.shrunk[0] == (1, 1)
        and not (stream.width % across or stream.height % down)
    )


def _is_plain(described: _Described) -> bool:
    """Whether it is RGB, with alpha or without, as OpenCV takes it."""
    stream = described.stream
    alike = len(set(stream.bits)) == 1 and set(stream.shrunk) == {(1, 1)}
    bare = stream.at_origin and not stream.signed and described.space != _YCC
    return len(stream.bits) in (3, 4) and alike and bare


def _bare(described: _Described, heads: list[Box], stream: bytes) -> bytes:
    """The file with no more boxes than its pixels need, as Pillow stumbles over what is wrong in the others.

    It goes by the header's depth, where it should go by the codestream's.
    """
    space = _GREY if described.is_grey else _YCC if described.space == _YCC else _SRGB
    needed = dict(reversed(heads))  # the first of each kind
    depth = 15 if described.is_deep else 7
    size = needed[b"ihdr"][:10] + bytes([depth]) + needed[b"ihdr"][11:]
    head = box(b"ihdr", size) + box(b"colr", struct.pack(">BBBI", _BY_NUMBER, 0, 0, space))
    head += b"".join(box(kind, needed[kind]) for kind in _OF_PIXELS if kind in needed)
    return _HEAD + box(b"jp2h", head) + box(b"jp2c", stream)


class _Stored(NamedTuple):
    """The pixels as they are stored."""

    data: bytes
    """The file with no more boxes than they need."""
    described: _Described

    def codes(self, halvings: int = 0) -> Pixels:
        """Grey or RGB, and what is beside, (H, W, 1 to 4), at their type's full scale.

        Where they are of 8 bits they come smaller, halved so often.
        """
        described = self.described
        bits = [described.stream.bits[place] for place in described.order]
        if described.is_deep and not described.is_grey:
            return _scaled(self._deep_colors(), bits[0], bits[0])
        from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

        image = Jpeg2KImageFile(io.BytesIO(self.data))  # `Image.open` has a limit of its own
        image.reduce = halvings
        image.load()
        if described.has_palette:
            return np.asarray(image.convert("RGB"))
        codes = np.atleast_3d(np.asarray(image))[..., described.order]
        stored = 8 * codes.itemsize  # to whose upper end Pillow has moved them
        return np.dstack([_scaled(codes[..., n], depth, stored) for n, depth in enumerate(bits)])

    def _deep_colors(self) -> Pixels:
        """RGB or RGBA, as deep as it is stored; OpenJPEG has put the channels in their order."""
        import cv2

        with opencv_silence():
            values = cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is None or values.dtype != np.uint16 or values.ndim != 3:
            raise ValueError("its pixels cannot be decoded")
        return cv2.cvtColor(values, cv2.COLOR_BGRA2RGBA if values.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def _decoded(stored: _Stored, name: str) -> tuple[Pixels, Pixels | None]:
    """Luma and alpha (H, W), at their type's full scale."""
    with decoding(name, _KIND):
        codes = stored.codes()
        if stored.described.is_grey:
            luma = np.ascontiguousarray(codes[..., 0])
        else:
            luma = luma_of_codes(np.ascontiguousarray(codes[..., :3]))
    return luma, None if stored.described.beside is None else np.ascontiguousarray(codes[..., -1])


def _small(stored: _Stored, name: str) -> Pixels:
    stream = stored.described.stream
    ratio = min(stream.height, stream.width) // SMALL_SIDE
    with decoding(name, _KIND):
        codes = stored.codes(min(stream.levels, int(math.log2(ratio)) if ratio else 0))
        return small_colors(np.ascontiguousarray(codes[..., :3]))


def _scaled(codes: Pixels, bits: int, stored: int) -> Pixels:
    """Codes of `bits` bits, at the upper end of `stored` ones, brought to the full scale of their type."""
    top, full = ((1 << bits) - 1) << (stored - bits), np.iinfo(codes.dtype).max
    if top == full:
        return codes
    return ((codes.astype(np.uint32) * full + top // 2) // top).clip(0, full).astype(codes.dtype)


def _metadata(found: list[Box], heads: list[Box]) -> Metadata:
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
            metadata.exif = body.removeprefix(b"Exif\0\0")
        elif uuid == _PHOTOSHOP:
            metadata.photoshop = body
    iptc = next((b[16:] for kind, b in found if kind == b"uuid" and b[:16] == _IPTC), None)
    if iptc and not (metadata.photoshop and iptc_of(metadata.photoshop)):
        metadata.photoshop = photoshop_of(iptc)
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


def write_jp2(picture: Picture, coloring: Coloring, target: BinaryIO, quality: int) -> None:
    """The first page as RGB or RGBA of its own depth, with the picture's metadata and ICC profile.

    One of 8 bits that was stored with loss is written so again; everything else is lossless.
    """
    page = picture.pages[0]
    pixels = colored_array(page, coloring, with_alpha=True)
    if pixels.dtype == np.uint16:
        stream = _deep_codestream(pixels)
    else:
        stream = _codestream(pixels, None if picture.lossless else quality)
    height, width, count = pixels.shape
    head = box(b"ihdr", struct.pack(">IIHBBBB", height, width, count, 8 * pixels.itemsize - 1, 7, 0, 0))
    head += box(b"colr", _colors(page.profile))
    if count == 4:
        told = [(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, _OPACITY, 0)]
        head += box(b"cdef", struct.pack(">H12H", 4, *(number for row in told for number in row)))
    if picture.metadata.dpi:
        head += box(b"res ", box(b"resc", _resolution_body(picture.metadata.dpi)))
    target.write(_HEAD + box(b"jp2h", head))
    target.write(b"".join(box(*entry) for entry in _described_by(picture)))
    target.write(box(b"jp2c", stream))


def _described_by(picture: Picture) -> list[Box]:
    """What is told beside the pixels."""
    metadata = picture.metadata
    exif = without_thumbnail(metadata.exif) if metadata.exif else None
    own = [(_EXIF, exif), (_PHOTOSHOP, metadata.photoshop), (_XMP, picture.xmp_out(metadata.xmp))]
    native = metadata.native if picture.format == _KIND else []
    return [*native, *(Box(b"uuid", uuid + body) for uuid, body in own if body)]


def _colors(profile: Profile) -> bytes:
    if profile is SRGB_PROFILE:
        return struct.pack(">BBBI", _BY_NUMBER, 0, 0, _SRGB)
    return struct.pack(">BBB", _BY_PROFILE, 0, 0) + profile.icc


def _resolution_body(dpi: tuple[float, float]) -> bytes:
    """Dots a metre, down and across, as JPEG 2000 has them."""
    (n_down, d_down, power_down), (n_across, d_across, power_across) = map(_ratio, reversed(dpi))
    return struct.pack(">4H2b", n_down, d_down, n_across, d_across, power_down, power_across)


def _ratio(dpi: float) -> tuple[int, int, int]:
    """Dots an inch as dots a metre: n / d · 10^power, n and d of sixteen bits; whole numbers exactly."""
    exact = Fraction(dpi) * 10_000 / 254
    power = max(0, math.ceil(math.log10(exact / _TOP)))  # many a reader takes it for unsigned
    ratio = (exact / Fraction(10) ** power).limit_denominator(127)
    return ratio.numerator, ratio.denominator, power


def _codestream(pixels: NDArray[np.uint8], quality: int | None) -> bytes:
    from PIL import Image

    # In decibels, as it is asked for: at 92 they are 48.
    lossy = {"irreversible": True, "quality_mode": "dB", "quality_layers": [30 + (quality or 0) / 5]}
    options: dict[str, Any] = {} if quality is None else lossy
    saved = io.BytesIO()
    try:
        Image.fromarray(pixels).save(saved, _KIND, no_jp2=True, **options)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"The picture cannot be written as JPEG2000 ({error}): write a PNG instead."
        ) from error
    return saved.getvalue()


def _deep_codestream(pixels: NDArray[np.uint16]) -> bytes:
    import cv2

    if min(pixels.shape[:2]) < _LEAST_DEEP_SIDE:
        raise OutputError(
            f"A JPEG2000 of 16 bits is written from {_LEAST_DEEP_SIDE} pixels a side on: write a PNG instead."
        )
    swap = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, _LOSSLESS]
    with opencv_silence():
        done, encoded = cv2.imencode(".jp2", cv2.cvtColor(pixels, swap), options)
    if not done:
        raise OutputError("The picture cannot be written as JPEG2000: write a PNG instead.")
    return next(body for kind, body in boxes(encoded.tobytes()) if kind == b"jp2c")
