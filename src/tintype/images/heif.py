"""HEIF, as telephones write it (.heic): read through libheif, by the package pi-heif; it is not written.

Telephones part a photograph into tiles. Where libheif cannot decode one, it leaves the place blank and tells
nothing; so that is looked for here, in colour: in grey such a tile is black, as others may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tintype.errors import InputError
from tintype.images.heif_boxes import check_whole, parts_of
from tintype.images.icc import read_profile
from tintype.images.luma import luma_of_codes
from tintype.images.metadata import EXIF_HEAD, Metadata
from tintype.images.picture import (
    PREMULTIPLIED,
    UNASSOCIATED,
    ArrayPage,
    Limits,
    Picture,
    Pixels,
    decoding,
    reason_of,
    to_8_bit,
    to_full_scale,
)
from tintype.images.resample import small_colors

_KIND = "HEIF"
_BLOCK = 32  # pixels; the tiles are larger
# Green where Y, Cb and Cr are 0, by the matrices of BT.601, 709 and 2020 in full and in video range, of 255.
_BLANK = (135, 136, 84, 94, 77, 89)
_HDR = (16, 18)  # the transfer characteristics PQ and HLG, of ITU-T H.273


def open_heif(data: bytes, name: str, limits: Limits) -> Picture:
    """A HEIF in memory, of which the primary picture is taken; its pixels are decoded when asked for."""
    with _understood(name):
        image, others, tile = _primary(data)
        width, height = image.size
    limits.check(name, height, width)
    stored = _Stored(image, tile, name)
    picture = Picture(name, _KIND, [], _metadata(image), lossless=False)
    if others:
        picture.note("The HEIF holds several pictures: its main one was taken.")
    page = ArrayPage(
        (height, width),
        np.uint16 if stored.bits > 8 else np.uint8,
        lambda: (stored.pixels.luma, stored.pixels.alpha),
        has_alpha=image.has_alpha,
        small_rgb=None if stored.is_grey else lambda: stored.pixels.small,
        name=name,
    )
    page.alpha_kind = PREMULTIPLIED if image.premultiplied_alpha else UNASSOCIATED
    page.profile = read_profile(image.info.get("icc_profile"), picture.note, grey=stored.is_grey)
    picture.pages.append(page)
    return picture


def heif_rgb8(data: bytes) -> NDArray[np.uint8]:
    """A HEIF's primary picture as upright RGB (H, W, 3) of 8 bits, in its own colour space.

    InputError as `open_heif`.
    """
    with _understood("it"):
        image, _, tile = _primary(data)
    width, height = image.size
    Limits().check("it", height, width)
    codes = to_8_bit(_Stored(image, tile, "it").codes())
    return codes[..., :1].repeat(3, -1) if codes.shape[2] < 3 else np.ascontiguousarray(codes[..., :3])


def heif_profile(data: bytes) -> bytes:
    """The ICC profile of a HEIF's primary picture; empty where it has none."""
    return _primary(data).image.info.get("icc_profile") or b""


@contextmanager
def _understood(name: str) -> Iterator[None]:
    """As `decoding`, but what libheif has no part for is told as such."""
    with decoding(name, _KIND):
        try:
            yield
        except SyntaxError as error:
            raise InputError(
                f"{name} is a HEIF of a kind that is not read ({reason_of(error)}); save it as JPEG first."
            ) from error


class _Primary(NamedTuple):
    """The picture that a HEIF shows first."""

    image: Any
    """As pi-heif has it, not decoded yet."""
    others: int
    """How many pictures are beside it."""
    tile: int
    """The side of its tiles, in pixels; 0 where it has none."""


def _primary(data: bytes) -> _Primary:
    import pi_heif

    parts = parts_of(data)
    file = pi_heif.open_heif(data, convert_hdr_to_8bit=False)
    check_whole(parts, data)
    image = file[file.primary_index]
    if image.info.get("nclx_profile", {}).get("transfer_characteristics") in _HDR:
        raise SyntaxError("its brightness is that of HDR, PQ or HLG")
    return _Primary(image, len(file) - 1, parts.tile)


def _metadata(image: Any) -> Metadata:
    """EXIF and XMP; libheif has turned the pixels upright, so they say nothing of that any more."""
    import pi_heif

    info = {key: image.info[key] for key in ("exif", "xmp") if image.info.get(key)}
    pi_heif.set_orientation(info)
    exif, xmp = info.get("exif"), info.get("xmp")
    return Metadata(exif.removeprefix(EXIF_HEAD) if exif else None, xmp)


class _Decoded(NamedTuple):
    luma: Pixels
    alpha: Pixels | None
    small: Pixels | None
    """A small RGB version; None where there is grey alone."""


class _Stored:
    """A picture of a HEIF, decoded once."""

    def __init__(self, image: Any, tile: int, name: str) -> None:
        self._image: Any = image
        self._name = name
        self._tile = tile
        self._has_alpha = bool(image.has_alpha)
        self.bits = int(image.info["bit_depth"])
        self.is_grey = image.mode.startswith(("L", "I"))

    def codes(self) -> Pixels:
        """Grey or RGB, and alpha (H, W, 1 to 4), at their type's full scale."""
        with decoding(self._name, _KIND):
            codes = np.array(self._image)  # a copy: the picture's own memory goes with it
            codes = to_full_scale(codes, self.bits, 8 * codes.itemsize)
            if codes.ndim == 2:
                return codes[..., None]
            if self._tile:
                _check_tiles(codes[..., :3], self._tile)
            return codes

    @cached_property
    def pixels(self) -> _Decoded:
        """All that a page needs; the picture itself is let go."""
        codes = self.codes()
        self._image = None
        alpha = np.ascontiguousarray(codes[..., -1]) if self._has_alpha else None
        if self.is_grey:
            return _Decoded(np.ascontiguousarray(codes[..., 0]), alpha, None)
        rgb = np.ascontiguousarray(codes[..., :3])
        return _Decoded(luma_of_codes(rgb), alpha, small_colors(rgb))


def _check_tiles(rgb: Pixels, tile: int) -> None:
    """ValueError where an area like a tile looks as one that was not decoded, whose Y, Cb and Cr are 0."""
    height, width = (side // _BLOCK * _BLOCK for side in rgb.shape[:2])
    grid = (height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)

    def blocks(channel: int) -> Pixels:
        return rgb[:height, :width, channel].reshape(grid)

    dark = (blocks(0).max((1, 3)) == 0) & (blocks(2).max((1, 3)) == 0)
    green = blocks(1).max((1, 3))
    even = green == blocks(1).min((1, 3))
    known = np.isin(np.rint(green * (255 / np.iinfo(rgb.dtype).max)), _BLANK)
    side = max(1, min(tile // _BLOCK - 1, *dark.shape))
    if sliding_window_view(dark & even & known, (side, side)).all((2, 3)).any():
        raise ValueError("a tile of it cannot be decoded")
