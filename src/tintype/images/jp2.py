"""JPEG 2000 in its own container, read: boxes here, pixels by Pillow or OpenCV.

Pillow brings colours to 8 bits, OpenCV keeps 16, but takes neither alpha beside grey nor smaller components.
"""

from __future__ import annotations

import io
import math
import struct
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tintype.errors import InputError
from tintype.images.icc import read_profile
from tintype.images.jp2_boxes import (
    BY_NUMBER,
    COLOR,
    FILE_HEAD,
    OPACITY,
    SRGB,
    Box,
    Codestream,
    box,
    boxes,
    check_whole,
    color_space,
    read_codestream,
)
from tintype.images.jp2_metadata import read_metadata
from tintype.images.luma import luma_of_codes
from tintype.images.metadata import exif_orientation
from tintype.images.orientation import upright
from tintype.images.picture import (
    PREMULTIPLIED,
    UNASSOCIATED,
    UNSPECIFIED,
    ArrayPage,
    Limits,
    Picture,
    Pixels,
    decoding,
    to_8_bit,
    to_full_scale,
)
from tintype.images.resample import SMALL_SIDE, small_colors
from tintype.running import opencv_silence

_KIND = "JPEG2000"
_OF_PIXELS = (b"pclr", b"cmap", b"cdef")
_UNKNOWN, _GREY, _YCC = 0, 17, 18
_BESIDE = {OPACITY: UNASSOCIATED, 2: PREMULTIPLIED}
_RGB_IN_ORDER = struct.pack(">H9H", 3, 0, COLOR, 1, 1, COLOR, 2, 2, COLOR, 3)


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
    return upright(to_8_bit(rgb), picture.pages[0].orientation)


def _opened(data: bytes, name: str, limits: Limits) -> tuple[Picture, _Stored]:
    with decoding(name, _KIND):
        found = list(boxes(data))
        streams = [body for kind, body in found if kind == b"jp2c"]
        if not streams:
            raise ValueError("there is no codestream in it")
        stream = read_codestream(streams[0])
        # Its decoders take four bytes for each, whatever their depth.
        limits.check(name, stream.height, stream.width, components=len(stream.bits))
        check_whole(streams[0], stream)
        heads = list(boxes(next((body for kind, body in found if kind == b"jp2h"), b"")))
        _check_head(stream, heads)
        described = _describe(stream, heads)
    if what := _why_unread(described, heads):
        raise InputError(f"{name} is a JPEG2000 {what}, which is not read; save it as TIFF first.")
    stored = _Stored(_bare(described, heads, streams[0]), described)
    picture = Picture(name, _KIND, [], read_metadata(found, heads), lossless=not stream.irreversible)
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
    page.profile = read_profile(described.profile, picture.note, grey=described.is_grey)
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
    kinds = {channel: (COLOR, channel + 1) for channel in range(count)}
    for at in range(2, len(body) - 5, 6):
        channel, what, number = struct.unpack_from(">HHH", body, at)
        kinds[channel] = (what, 1 if colors == 1 else number)
    places = {number: channel for channel, (what, number) in reversed(kinds.items()) if what == COLOR}
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
    if space not in (None, _UNKNOWN, SRGB, _GREY, _YCC) or (described.profile or b"")[16:20] == b"CMYK":
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
    space = _GREY if described.is_grey else _YCC if described.space == _YCC else SRGB
    needed = dict(reversed(heads))  # the first of each kind
    depth = 15 if described.is_deep else 7
    size = needed[b"ihdr"][:10] + bytes([depth]) + needed[b"ihdr"][11:]
    head = box(b"ihdr", size) + box(b"colr", struct.pack(">BBBI", BY_NUMBER, 0, 0, space))
    head += b"".join(box(kind, needed[kind]) for kind in _OF_PIXELS if kind in needed)
    return FILE_HEAD + box(b"jp2h", head) + box(b"jp2c", stream)


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
            return to_full_scale(self._deep_colors(), bits[0], bits[0])
        from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

        image = Jpeg2KImageFile(io.BytesIO(self.data))  # `Image.open` has a limit of its own
        image.reduce = halvings
        image.load()
        if described.has_palette:
            return np.asarray(image.convert("RGB"))
        codes = np.atleast_3d(np.asarray(image))[..., described.order]
        stored = 8 * codes.itemsize  # to whose upper end Pillow has moved them
        return np.dstack([to_full_scale(codes[..., n], depth, stored) for n, depth in enumerate(bits)])

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
