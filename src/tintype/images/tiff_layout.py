"""How a TIFF page's pixels lie in the file: sizes, samples, strips or tiles; what is refused, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tintype.errors import InputError
from tintype.images.picture import BAND_PIXELS
from tintype.images.tiff_tags import Directory, Reader

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR = 0, 1, 2, 3, 4, 5, 6
NO_COMPRESSION, JPEG = 1, 7
FAX = {2: "CCITT RLE", 3: "CCITT group 3", 4: "CCITT group 4"}
DEFLATE = (8, 32946)
# What libtiff inside Pillow inflates to plain bytes.
BYTE_CODECS = {5: "LZW", 32773: "PackBits", 34925: "LZMA", 50000: "Zstandard"}
_COLORS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, MASK: 1, CMYK: 4, YCBCR: 3}
_FLOAT = 3
_MAX_SAMPLES = 16


@dataclass(frozen=True)
class Layout:
    """A page's storage. A segment is a strip or a tile; `across` × `down` of them, times planes."""

    name: str
    height: int
    width: int
    bits: int
    samples: int
    colors: int  # of the samples, how many are colour; the next one, if any, is alpha
    photometric: int
    compression: int
    predictor: int
    reversed_bits: bool
    planar: bool
    endian: str
    segment: tuple[int, int]  # height, width
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    jpeg_tables: bytes
    fax_options: int
    tiled: bool  # then every segment is stored whole, even where it passes the page's edge

    @property
    def across(self) -> int:
        """Segments side by side."""
        return -(-self.width // self.segment[1])

    @property
    def down(self) -> int:
        """Segments above each other."""
        return -(-self.height // self.segment[0])


def read_layout(directory: Directory, reader: Reader, name: str) -> Layout:
    """The layout of a page; InputError in one sentence where it is damaged or of a kind that is not read."""

    def number(code: int, default: int) -> int:
        values = directory[code].numbers() if code in directory else []
        return values[0] if values else default

    width, height = number(256, 0), number(257, 0)
    photometric, compression = number(262, BLACK_IS_ZERO), number(259, NO_COMPRESSION)
    bits = directory[258].numbers() if 258 in directory else [1]
    samples = number(277, 1)
    _check_kind(name, photometric, compression, bits, directory)
    tiled = 322 in directory
    rows = min(number(278, height), height) or height
    segment = (number(323, 0), number(322, 0)) if tiled else (rows, width)
    if min(segment) < 1 or not _COLORS[photometric] <= samples <= _MAX_SAMPLES:
        raise InputError(f"{name} is a damaged TIFF: its strips, tiles or channels make no sense.")
    tables = directory[347].raw if 347 in directory else b""
    layout = Layout(
        name, height, width, bits[0], samples, _COLORS[photometric], photometric, compression,
        number(317, 1), number(266, 1) == 2, number(284, 1) == 2 and samples > 1, reader.endian, segment,
        np.zeros(0, np.int64), np.zeros(0, np.int64), tables, number(292 if compression == 3 else 293, 0),
        tiled,
    )  # fmt: skip
    return _with_segments(layout, directory, reader)


def _check_kind(name: str, photometric: int, compression: int, bits: list[int], tags: Directory) -> None:
    known = (NO_COMPRESSION, JPEG, *DEFLATE, *FAX, *BYTE_CODECS)
    formats = tags[339].numbers() if 339 in tags else [1]
    if _FLOAT in formats:
        raise InputError(
            f"{name} has floating-point samples: bring it to whole numbers of 8 or 16 bits first."
        )
    if bits and bits[0] > 16:
        raise InputError(f"{name} has samples of {bits[0]} bits: bring it to 8 or 16 bits first.")
    if len(set(bits)) != 1 or bits[0] not in (1, 2, 4, 8, 16) or set(formats) - {1, 4}:
        raise InputError(f"{name} is a TIFF with samples of an unusual kind: bring it to 8 or 16 bits first.")
    if compression not in known or (compression in FAX and bits[0] != 1):
        raise InputError(f"{name} is a TIFF of compression {compression}, which is not read: use LZW.")
    if photometric not in _COLORS or (photometric == YCBCR and compression != JPEG):
        raise InputError(f"{name} is a TIFF of colour model {photometric}, which is not read: use RGB.")
    if tags.get(317) and tags[317].numbers()[:1] not in ([1], [2]):
        raise InputError(f"{name} is a TIFF with an unusual predictor: save it without one.")


def _with_segments(layout: Layout, directory: Directory, reader: Reader) -> Layout:
    offset_tag = directory.get(324) or directory.get(273)
    size_tag = directory.get(325) or directory.get(279)
    count = layout.across * layout.down * (layout.samples if layout.planar else 1)
    offsets = np.array(offset_tag.numbers() if offset_tag else [], np.int64)
    if size_tag is None and layout.compression == NO_COMPRESSION and len(offsets) == 1:
        sizes = np.array([layout.height * row_bytes(layout)])
    else:
        sizes = np.array(size_tag.numbers() if size_tag else [], np.int64)
    if min(len(offsets), len(sizes)) < count:
        raise InputError(f"{layout.name} is a damaged TIFF: it lists too few strips or tiles.")
    offsets, sizes = offsets[:count], sizes[:count]
    if (sizes <= 0).any() or (offsets <= 0).any() or (offsets + sizes > reader.size).any():
        raise InputError(f"{layout.name} is a damaged or truncated TIFF: some of its pixels are missing.")
    return _split(replace(layout, offsets=offsets, sizes=sizes))


def row_bytes(layout: Layout) -> int:
    """Bytes of a stored row of a segment, uncompressed."""
    values = layout.segment[1] * (1 if layout.planar else layout.samples)
    return -(-values * layout.bits // 8)


def _split(layout: Layout) -> Layout:
    """Uncompressed pixels in one strip read as if in many: many writers make a single strip of any size."""
    rows = max(1, BAND_PIXELS // layout.width)
    if layout.compression != NO_COMPRESSION or layout.tiled or layout.down > 1 or rows >= layout.height:
        return layout
    row = row_bytes(layout)
    if (layout.sizes < layout.height * row).any():
        raise InputError(f"{layout.name} is a damaged or truncated TIFF: some of its pixels are missing.")
    tops = np.arange(0, layout.height, rows)
    heights = np.minimum(rows, layout.height - tops)
    offsets = (layout.offsets[:, None] + tops * row).ravel()
    sizes = np.tile(heights * row, len(layout.offsets))
    return replace(layout, segment=(rows, layout.width), offsets=offsets, sizes=sizes)
