"""PNG's chunks put together, and the pixels in them inflated by Pillow, all rows or none."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Chunk = tuple[bytes, bytes]
"""Its four letters and what is in it."""

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a pixel, by kind
# Where each pass of an interlaced PNG begins, and its steps: across, down.
_ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
_AT_ONCE = 1 << 20


def assembled(chunks: list[Chunk]) -> bytes:
    """The file that these make."""
    return SIGNATURE + b"".join(chunk_bytes(*chunk) for chunk in chunks)


def chunk_bytes(kind: bytes, body: bytes) -> bytes:
    """A chunk as it is stored."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


@cache
def _image_class() -> Any:
    """Pillow's, but that it does not take rows that are missing at the end for black ones."""
    from PIL.PngImagePlugin import PngImageFile

    class WholeImage(PngImageFile):
        chunks: list[Chunk]

        def load_end(self) -> None:
            super().load_end()
            width, height = self.size
            last = range(max(0, height - 2), height)  # of interlaced rows the odd ones come last
            if any(self.im.crop((0, y, width, y + 1)).getbbox() is None for y in last):
                _check_rows(self.chunks)

    return WholeImage


def whole_image(chunks: list[Chunk]) -> Any:
    """A PNG of these chunks as Pillow opens it."""
    image = _image_class()(io.BytesIO(assembled(chunks)))
    image.chunks = chunks
    return image


def _check_rows(chunks: list[Chunk]) -> None:
    """ValueError where less is compressed than the header's pixels take."""
    width, height, bits, kind, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1][:13])
    pixel = bits * _SAMPLES[kind]
    passes = _ADAM7 if interlaced else [(0, 0, 1, 1)]
    sides = [(-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes]
    missing = sum(
        rows * (1 + -(-columns * pixel // 8)) for columns, rows in sides if columns > 0 and rows > 0
    )
    inflater = zlib.decompressobj()
    for name, body in chunks:
        while name == b"IDAT" and body and missing > 0:
            missing -= len(inflater.decompress(body, _AT_ONCE))
            body = inflater.unconsumed_tail
    if missing > 0:
        raise ValueError("rows of it are missing")
