"""TIFF in: each page read in bands of strips or rows of tiles, never as a whole."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tintype.errors import InputError
from tintype.images.icc import SRGB_PROFILE, read_profile
from tintype.images.luma import luma_of_codes
from tintype.images.metadata import Metadata, sensible_dpi, with_iptc, without_thumbnails
from tintype.images.picture import (
    BAND_PIXELS,
    UNSPECIFIED,
    Band,
    Limits,
    Page,
    Picture,
    Pixels,
    decoding,
    to_8_bit,
)
from tintype.images.resample import SMALL_SIDE, small_colors
from tintype.images.tiff_layout import (
    CMYK,
    JPEG,
    NO_COMPRESSION,
    PALETTE,
    WHITE_IS_ZERO,
    YCBCR,
    Layout,
    read_layout,
)
from tintype.images.tiff_segments import decode_segment
from tintype.images.tiff_tags import EXIF, GPS, IPTC, LAYERS, Directory, Reader, header, pack
from tintype.running import codec_threads

_ICC, _XMP, _PHOTOSHOP = 34675, 700, 34377
# What EXIF's main directory may hold of a TIFF page's: description, maker, times, resolution, rating …
_EXIF_TAGS = (
    270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096),
    EXIF, GPS,
)  # fmt: skip
_SUBFILES = 330
_SAMPLED_SEGMENTS = 24


def open_tiff(source: Path | bytes, name: str, limits: Limits) -> Picture:
    """A TIFF whose file stays open until the picture is closed; its pages' tags are read now."""
    try:
        file: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}.") from error
    try:
        with decoding(name, "TIFF"):
            reader = Reader(file)
            directories = list(reader.directories())
        if not directories:
            raise InputError(f"{name} is a damaged TIFF: it has no pages.")
        picture = Picture(name, "TIFF", [], _metadata(directories[0]), on_close=file.close)
        picture.pages += [_page(tags, reader, limits, picture) for tags in directories]
    except BaseException:
        file.close()
        raise
    return picture


def _page(tags: Directory, reader: Reader, limits: Limits, picture: Picture) -> TiffPage:
    with decoding(picture.name, "TIFF"):
        height, width = ([*tags[code].numbers(), 0][0] if code in tags else 0 for code in (257, 256))
        limits.check(picture.name, height, width, banded=True)
        layout = read_layout(tags, reader, picture.name)
    if layout.compression != NO_COMPRESSION:
        # A segment is inflated as a whole.
        limits.check(picture.name, *layout.segment, kind="one compressed strip or tile of a TIFF")
    page = TiffPage(layout, tags, reader, picture.notes)
    if _SUBFILES in tags:
        picture.note("The TIFF's pages hold further pictures inside: these were left out.")
    if LAYERS in tags:
        picture.note("The TIFF's layers were left out: it was taken as a whole.")
    if layout.samples > layout.colors + 1:
        picture.note("The TIFF has more than one extra channel: only the first was kept.")
    if layout.photometric == CMYK:
        if layout.bits == 16:
            picture.note("The TIFF's inks have 16 bits: they were brought to 8.")
    elif _ICC in tags:
        grey = layout.colors == 1 and layout.photometric != PALETTE
        page.profile = read_profile(tags[_ICC].raw, picture.note, grey=grey)
    return page


def _metadata(tags: Directory) -> Metadata:
    """What other formats can carry on of a page's tags."""
    exif = {code: tags[code] for code in _EXIF_TAGS if code in tags}
    metadata = Metadata(exif=header(8, big=False) + pack(exif, 8, big=False) if exif else None)
    metadata.xmp = tags[_XMP].raw if _XMP in tags else None
    photoshop, iptc = (tags[code].raw if code in tags else None for code in (_PHOTOSHOP, IPTC))
    metadata.photoshop = with_iptc(photoshop and without_thumbnails(photoshop), iptc)
    x, y = ((tags[code].ratios() if code in tags else []) for code in (282, 283))
    unit = tags[296].numbers()[:1] if 296 in tags else [2]
    if x and y and unit in ([2], [3]):
        scale = 2.54 if unit == [3] else 1.0
        metadata.dpi = sensible_dpi(x[0] * scale, y[0] * scale)
    return metadata


class TiffPage(Page):
    """A page in its file; `tags` are its directory, `compressed` how it was stored.

    `notes` are those of its picture, told what its pixels lack.
    """

    def __init__(self, layout: Layout, tags: Directory, reader: Reader, notes: list[str]) -> None:
        self.height, self.width = layout.height, layout.width
        deep = layout.bits == 16 and layout.photometric not in (CMYK, PALETTE)
        self.dtype = np.dtype(np.uint16 if deep else np.uint8)
        self.has_alpha = layout.samples > layout.colors
        kind = ([*tags[338].numbers(), UNSPECIFIED] if 338 in tags else [UNSPECIFIED])[0]
        self.alpha_kind = kind if 0 <= kind < 1 << 16 else UNSPECIFIED
        self.profile = SRGB_PROFILE
        self.tags = tags
        self.compressed = layout.compression != NO_COMPRESSION
        turned = tags[274].numbers()[:1] if 274 in tags else [1]
        self.orientation = turned[0] if turned and 1 <= turned[0] <= 8 else 1
        self._layout, self._reader, self._notes = layout, reader, notes
        self._icc = tags[_ICC].raw if _ICC in tags else None

    def luma(self) -> Pixels:
        """The whole luma (H, W); not kept."""
        return np.concatenate([band.luma for band in self.bands()])

    def alpha(self) -> Pixels | None:
        """The whole alpha (H, W), or None; not kept."""
        if not self.has_alpha:
            return None
        return np.concatenate([band.alpha for band in self.bands() if band.alpha is not None])

    def bands(self) -> Iterator[Band]:
        """A few strips, or rows of tiles, at a time; InputError where they are damaged."""
        layout = self._layout
        step = max(1, BAND_PIXELS // (layout.width * layout.segment[0]))
        with ThreadPoolExecutor(codec_threads()) as pool:
            for first in range(0, layout.down, step):
                with decoding(layout.name, "TIFF"):
                    codes = self._codes(first, min(first + step, layout.down), pool, in_color=False)
                    luma, alpha = self._luma_of(codes), self._alpha_of(codes)
                yield Band(first * layout.segment[0], luma, alpha)

    def small_rgb(self) -> Pixels | None:
        """RGB of some evenly spaced strips or rows of tiles, as small as a page is made; None for grey ones.

        Thin strips are taken a few at a time, so that grain is averaged alike however a file is laid out.
        """
        layout = self._layout
        if layout.colors == 1 and layout.photometric != PALETTE:
            return None
        size = (layout.height, layout.width)
        together = min(layout.down, ceil(min(size) / SMALL_SIDE / layout.segment[0]))
        rows = np.unique(np.linspace(0, layout.down - together, _SAMPLED_SEGMENTS).astype(int))
        parts = []
        with ThreadPoolExecutor(codec_threads()) as pool, decoding(layout.name, "TIFF"):
            for row in rows:
                rgb = self._rgb_of(self._codes(int(row), int(row) + together, pool, in_color=True))
                parts.append(small_colors(np.ascontiguousarray(rgb), size).reshape(-1, 3))
        return np.concatenate(parts)[None]

    def _codes(self, first: int, last: int, pool: ThreadPoolExecutor, in_color: bool) -> Pixels:
        """Code values (n, W, samples) of the rows of segments `first` … `last` (not included).

        Those of fewer than 8 bits are brought to 8, but for a palette's.
        """
        layout = self._layout
        height, width = layout.segment
        top, bottom = first * height, min(last * height, layout.height)
        planes = layout.samples if layout.planar else 1
        luma_only = layout.photometric == YCBCR and not layout.planar and not in_color
        samples = 1 if luma_only else layout.samples
        out = np.empty((bottom - top, layout.width, samples), np.uint16 if layout.bits == 16 else np.uint8)

        def place(job: tuple[int, int, int, bytes]) -> None:
            plane, down, across, data = job
            y, x = down * height - top, across * width
            rows = height if layout.tiled else min(height, layout.height - down * height)
            part = decode_segment(layout, data, rows, in_color)[: bottom - top - y, : layout.width - x]
            wanted = slice(plane, plane + 1) if layout.planar else slice(samples)
            place_in = out[y : y + height, x : x + width, wanted]
            if part.shape != place_in.shape:
                raise ValueError("a strip or tile is of another size than announced")
            place_in[...] = part

        jobs = [
            (plane, down, across, self._read((plane * layout.down + down) * layout.across + across))
            for plane in range(planes)
            for down in range(first, last)
            for across in range(layout.across)
        ]
        for _ in pool.map(place, jobs) if len(jobs) > 1 else map(place, jobs):
            pass
        if layout.bits < 8 and layout.compression != JPEG:  # JPEG's are of 8 bits whatever the tags say
            # A palette's first sample is a place in it, which no scale may change.
            scaled = out[:, :, layout.colors if layout.photometric == PALETTE else 0 :]
            scaled *= np.uint8(255 // ((1 << layout.bits) - 1))
        return out

    def _read(self, index: int) -> bytes:
        return self._reader.read(int(self._layout.offsets[index]), int(self._layout.sizes[index]))

    def _luma_of(self, codes: Pixels) -> Pixels:
        layout = self._layout
        if layout.photometric == YCBCR:
            return codes[:, :, 0]
        if layout.colors > 1 or layout.photometric == PALETTE:
            return luma_of_codes(np.ascontiguousarray(self._rgb_of(codes)))
        grey = codes[:, :, 0]
        return np.ascontiguousarray(~grey if layout.photometric == WHITE_IS_ZERO else grey)

    def _alpha_of(self, codes: Pixels) -> Pixels | None:
        if not self.has_alpha:
            return None
        alpha = codes[:, :, self._layout.colors]
        return np.ascontiguousarray(to_8_bit(alpha) if self.dtype == np.uint8 else alpha)

    def _rgb_of(self, codes: Pixels) -> Pixels:
        layout = self._layout
        if layout.photometric == PALETTE:
            return self._palette()[codes[:, :, 0]]
        if layout.photometric == CMYK:
            from PIL import Image

            from tintype.images.cmyk import cmyk_to_rgb

            inks = np.ascontiguousarray(to_8_bit(codes[:, :, :4]))
            return cmyk_to_rgb(Image.fromarray(inks, "CMYK"), self._icc, self._notes)
        return codes[:, :, :3]

    def _palette(self) -> Pixels:
        """Colours (2^bits, 3) uint8."""
        values = self.tags[320].numbers() if 320 in self.tags else []
        entries = 1 << self._layout.bits
        if len(values) < 3 * entries:
            raise ValueError("its palette is incomplete")
        table = np.array(values[: 3 * entries], np.uint16).reshape(3, entries).T
        # Some writers put 8-bit values into the 16-bit fields; libtiff allows for it in the same way.
        return (table if table.max() < 256 else table >> 8).astype(np.uint8)
