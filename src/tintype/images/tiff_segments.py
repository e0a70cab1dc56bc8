"""One strip or tile of a TIFF: from its bytes to code values.

Deflate, JPEG and plain bytes are undone here; for the rest the bytes are wrapped as a TIFF of one strip,
which the libtiff inside Pillow inflates.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tintype.images.jpeg_markers import check_scans
from tintype.images.tiff_layout import BYTE_CODECS, DEFLATE, FAX, JPEG, RGB, YCBCR, Layout
from tintype.images.tiff_tags import Directory, header, longs, pack, shorts

Pixels = NDArray[Any]

_MCU_MAX = 32  # pixels a side of JPEG's largest unit, to whole ones of which a segment may be filled up
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def decode_segment(layout: Layout, data: bytes, rows: int, in_color: bool) -> Pixels:
    """Code values (rows, segment width, samples) uint8 or uint16; ValueError when there are too few.

    Of Y'CbCr only the Y' is given, (rows, width, 1), unless `in_color`, which gives RGB.
    """
    columns = layout.segment[1]
    if layout.compression == JPEG:
        return _jpeg(layout, data, in_color)[:rows, :columns]
    if layout.compression in FAX:
        return _fax(layout, data, rows)
    samples = 1 if layout.planar else layout.samples
    stride = -(-columns * samples * layout.bits // 8)
    plain = _inflated(layout, data, rows, stride)
    if len(plain) < rows * stride:
        raise ValueError("a strip or tile is cut short")
    codes = _codes(
        layout, np.frombuffer(plain, np.uint8, rows * stride).reshape(rows, stride), columns * samples
    )
    codes = codes.reshape(rows, columns, samples)
    # The differences wrap around, as unsigned integers do.
    return np.add.accumulate(codes, axis=1, dtype=codes.dtype) if layout.predictor == 2 else codes


def _inflated(layout: Layout, data: bytes, rows: int, stride: int) -> bytes:
    if layout.compression in BYTE_CODECS:
        tags = _page_tags(stride, rows, 8, layout)
        return np.asarray(_through_libtiff(tags, data)).tobytes()
    if layout.reversed_bits:
        data = data.translate(_REVERSED)
    if layout.compression in DEFLATE:
        return zlib.decompressobj().decompress(data, rows * stride)
    return data


def _codes(layout: Layout, rows: NDArray[np.uint8], count: int) -> Pixels:
    """Rows of bytes to `count` code values a row, as they are: 0 … 2^bits - 1."""
    if layout.bits == 8:
        return rows
    if layout.bits == 16:
        return rows.view(layout.endian + "u2").astype(np.uint16)
    bits = np.unpackbits(rows, axis=1)
    if layout.bits == 1:
        return bits[:, :count]
    weights = 1 << np.arange(layout.bits - 1, -1, -1, dtype=np.uint8)
    return np.asarray((bits.reshape(len(rows), -1, layout.bits) * weights).sum(-1, dtype=np.uint8)[:, :count])


def _fax(layout: Layout, data: bytes, rows: int) -> Pixels:
    tags = _page_tags(layout.segment[1], rows, 1, layout)
    tags[292 if layout.compression == 3 else 293] = longs(layout.fax_options)
    return np.asarray(_through_libtiff(tags, data)).astype(np.uint8)[..., None]


def _page_tags(width: int, rows: int, bits: int, layout: Layout) -> Directory:
    tags = {256: longs(width), 257: longs(rows), 258: shorts(bits), 259: shorts(layout.compression)}
    # 1: black is zero, so that Pillow gives the codes as they are stored.
    return tags | {
        262: shorts(1),
        266: shorts(2 if layout.reversed_bits else 1),
        277: shorts(1),
        278: longs(rows),
    }


def _through_libtiff(tags: Directory, data: bytes) -> Any:
    from PIL.TiffImagePlugin import TiffImageFile

    start = 8 + len(data) + len(data) % 2
    tags |= {273: longs(8), 279: longs(len(data))}
    whole = header(start, big=False) + data.ljust(start - 8, b"\0") + pack(tags, start, big=False)
    image = TiffImageFile(io.BytesIO(whole))
    image.load()
    return image


def _jpeg(layout: Layout, data: bytes, in_color: bool) -> Pixels:
    import simplejpeg

    samples = 1 if layout.planar else layout.samples
    if samples not in (1, 3, 4) or data[:2] != b"\xff\xd8":
        raise ValueError("its JPEG data is of an unusual kind")
    # TIFF says the colour model in its tags; Adobe's marker tells it to libjpeg.
    transform = 1 if layout.photometric == YCBCR else 0
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
    stream = b"\xff\xd8" + adobe + layout.jpeg_tables[2:-2] + data[2:]
    check_scans(stream)
    # The limits were checked for the segment that the tags tell of, and JPEG data have a size of their own.
    sizes = zip(simplejpeg.decode_jpeg_header(stream)[:2], layout.segment, strict=True)
    if any(own > -(-side // _MCU_MAX) * _MCU_MAX for own, side in sizes):
        raise ValueError("a strip or tile is of another size than announced")
    if samples == 4:
        return np.asarray(simplejpeg.decode_jpeg(stream, "CMYK"))
    three = layout.photometric == RGB or in_color
    return np.asarray(simplejpeg.decode_jpeg(stream, "RGB" if samples == 3 and three else "GRAY"))
