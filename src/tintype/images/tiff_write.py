"""TIFF out: strips of RGB as they come from the coloring, every page with its tags."""

from __future__ import annotations

import io
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import numpy as np

from tintype.images.metadata import exif_directory, iptc_of, without_thumbnails
from tintype.images.picture import Coloring, Page, Picture, Pixels
from tintype.images.tiff_read import TiffPage
from tintype.images.tiff_tags import (
    IPTC,
    LAYERS,
    Directory,
    header,
    link_position,
    longs,
    opaque,
    pack,
    rational,
    shorts,
)
from tintype.running import codec_threads

_STRIP_BYTES = 1 << 20
# Level 4 is three times as fast as 6 on photographs, for files some 3 % larger.
_LEVEL = 4
_DEFLATE, _HORIZONTAL = 8, 2
# Room for tags and for deflate's few bytes of overhead, before 4 GiB are reached.
_CLASSIC_MAX = (1 << 32) - (1 << 26)
# Tags that describe how the old pixels lay, or what they meant; the writer sets its own.
_STRUCTURAL = {
    256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291,
    292, 293, 301, 317, 318, 319, 320, 322, 323, 324, 325, 326, 327, 328, 330, 332, 333, 334, 336, 338, 339,
    340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 34675, LAYERS,
}  # fmt: skip
_DESCRIPTION = 270
# How tifffile and ImageJ begin a description of the array's shape, which is another one in colour.
_ARRAY_SHAPES = (b'{"shape"', b"ImageJ=")
_XMP, _PHOTOSHOP = 700, 34377


def write_tiff(picture: Picture, colorings: Sequence[Coloring], target: BinaryIO) -> None:
    """Every page in colour, deflated if it came compressed; BigTIFF when 4 GiB could be passed."""
    if not target.seekable():
        with tempfile.TemporaryFile() as file:
            write_tiff(picture, colorings, file)
            file.seek(0)
            shutil.copyfileobj(file, target)
        return
    big = sum(_bytes_of(page) for page in picture.pages) > _CLASSIC_MAX
    target.write(header(0, big))
    link = 8 if big else 4  # where the offset of the next directory goes
    for page, coloring in zip(picture.pages, colorings, strict=True):
        tags = _kept_tags(page, picture) | _write_pixels(page, coloring, target, big)
        place = target.tell() + target.tell() % 2
        target.write(bytes(place - target.tell()) + pack(tags, place, big))
        target.seek(link)
        target.write(struct.pack("<Q" if big else "<I", place))
        target.seek(0, io.SEEK_END)
        link = link_position(tags, place, big)


def _channels(page: Page) -> int:
    return 4 if page.has_alpha else 3


def _bytes_of(page: Page) -> int:
    return page.height * page.width * _channels(page) * page.dtype.itemsize


def _is_compressed(page: Page) -> bool:
    return page.compressed if isinstance(page, TiffPage) else True


def _write_pixels(page: Page, coloring: Coloring, target: BinaryIO, big: bool) -> Directory:
    """Writes the strips and gives the tags that describe them."""
    channels, compressed = _channels(page), _is_compressed(page)
    rows = max(1, _STRIP_BYTES // (page.width * channels * page.dtype.itemsize))
    offsets, sizes = [], []
    with ThreadPoolExecutor(codec_threads()) as pool:
        for strips in _strips(page, coloring, rows):
            for data in pool.map(_deflated, strips) if compressed else strips:
                offsets.append(target.tell())
                sizes.append(target.write(data if isinstance(data, bytes) else data.data))
    tags = {
        256: longs(page.width),
        257: longs(page.height),
        258: shorts(*[8 * page.dtype.itemsize] * channels),
    }
    tags |= {259: shorts(_DEFLATE if compressed else 1), 262: shorts(2), 273: longs(*offsets, big=big)}
    tags |= {277: shorts(channels), 278: longs(rows), 279: longs(*sizes, big=big), 284: shorts(1)}
    tags[34675] = opaque(page.profile.icc)
    if compressed:
        tags[317] = shorts(_HORIZONTAL)
    if page.has_alpha:
        tags[338] = shorts(page.alpha_kind)
    return tags


def _strips(page: Page, coloring: Coloring, rows: int) -> Iterator[list[Pixels]]:
    """The coloured page as lists of strips (rows, W, channels), a list a band; the last strip is shorter."""
    rest: Pixels | None = None
    for band in page.bands():
        pixels = coloring.rgb(band.y0, band.luma)
        if band.alpha is not None:
            pixels = np.dstack([pixels, band.alpha])
        if rest is not None and len(rest):
            pixels = np.concatenate([rest, pixels])
        whole = len(pixels) if band.y0 + len(band.luma) == page.height else len(pixels) // rows * rows
        pixels = np.ascontiguousarray(pixels)
        yield [pixels[y : min(y + rows, whole)] for y in range(0, whole, rows)]
        rest = pixels[whole:]


def _deflated(strip: Pixels) -> bytes:
    differences = strip.copy()
    differences[:, 1:] -= strip[:, :-1]  # wraps around, as the predictor asks
    return zlib.compress(differences.astype(strip.dtype.newbyteorder("<"), copy=False).data, _LEVEL)


def _kept_tags(page: Page, picture: Picture) -> Directory:
    """The page's own tags, or for a picture from another format its metadata as tags."""
    if isinstance(page, TiffPage):
        kept = {code: tag for code, tag in page.tags.items() if code not in _STRUCTURAL}
        if _DESCRIPTION in kept and kept[_DESCRIPTION].raw.startswith(_ARRAY_SHAPES):
            del kept[_DESCRIPTION]
        if _PHOTOSHOP in kept:
            before = kept.pop(_PHOTOSHOP)
            if resources := without_thumbnails(before.raw):
                kept[_PHOTOSHOP] = before if resources == before.raw else opaque(resources)
        own = kept[_XMP].raw if _XMP in kept else None
        if (xmp := picture.xmp_out(own)) and xmp != own:
            kept[_XMP] = opaque(xmp, kind=1)
        return kept
    tags: Directory = {}
    metadata = picture.metadata
    if metadata.dpi:
        tags |= {282: rational(metadata.dpi[0]), 283: rational(metadata.dpi[1]), 296: shorts(2)}
    if metadata.exif:
        main = exif_directory(metadata.exif)
        if main is None:
            picture.note("The EXIF is damaged: it was left out.")
        tags |= {code: tag for code, tag in (main or {}).items() if code not in _STRUCTURAL}
    if xmp := picture.xmp_out(metadata.xmp):
        tags[_XMP] = opaque(xmp, kind=1)
    if metadata.photoshop:
        tags[_PHOTOSHOP] = opaque(metadata.photoshop)
        iptc = iptc_of(metadata.photoshop)
        if iptc:
            tags[IPTC] = opaque(iptc)
    return tags
