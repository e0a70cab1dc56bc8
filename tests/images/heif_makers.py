"""HEIF files for the tests, by libheif's encoder, which Tintype itself does not have."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

from tintype.images.jp2_boxes import box, boxes

Pixels = NDArray[Any]
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def heif(pixels: Pixels, **options: Any) -> bytes:
    """A HEIF of one picture, (H, W) or (H, W, channels); of 10 bits where the pixels are uint16."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    mode = _MODES[channels] + (";16" if pixels.dtype == np.uint16 else "")
    size = pixels.shape[1], pixels.shape[0]
    made = pillow_heif.from_bytes(mode, size, np.ascontiguousarray(pixels).tobytes())
    return saved(made, **options)


def heif_of_several(*pictures: Pixels, **options: Any) -> bytes:
    """A HEIF of several pictures, of which the last is the main one."""
    made = pillow_heif.HeifFile()
    for pixels in pictures:
        made.add_from_pillow(Image.fromarray(pixels))
    return saved(made, primary_index=len(pictures) - 1, **options)


def saved(made: pillow_heif.HeifFile, **options: Any) -> bytes:
    """The file, lossless but for the colours' conversion unless `quality` is given."""
    file = BytesIO()
    made.save(file, **{"quality": -1, "chroma": 444} | options)
    return file.getvalue()


def tiled_heif(
    pixels: Pixels,
    tile: int,
    size: tuple[int, int],
    *,
    turns: int = 0,
    exif: bytes = b"",
    meta_last: bool = False,
) -> tuple[bytes, list[bytes]]:
    """A HEIF as a telephone makes it, and the bytes of its tiles, which lie in it.

    Of `pixels`, in tiles of `tile` pixels a side, `size` (H, W) is shown, turned left by quarters. What tells
    of them all stands behind them where it is to be `meta_last`.
    """
    rows, columns = pixels.shape[0] // tile, pixels.shape[1] // tile
    places = [(y * tile, x * tile) for y in range(rows) for x in range(columns)]
    tiles = [heif(pixels[y : y + tile, x : x + tile], quality=90) for y, x in places]
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, size[1], size[0])
    coded = [_inside(one, b"mdat") for one in tiles]
    main = len(tiles) + 1
    properties, owned = _properties(tiles, size, turns)
    told = [exif] if exif else []
    kinds = [*[b"hvc1"] * len(tiles), b"grid", *[b"Exif"] * len(told)]
    links = box(b"dimg", struct.pack(f">{main + 1}H", main, len(tiles), *range(1, main)))
    if told:
        links += box(b"cdsc", struct.pack(">HHH", main + 1, 1, main))

    def meta(start: int) -> bytes:
        stored, at = [], start
        for body in (*coded, grid, *told):
            stored.append((at, len(body)))
            at += len(body)
        named = [
            _full(b"infe", struct.pack(">HH4sx", n, 0, kind), 2, kind == b"hvc1")
            for n, kind in enumerate(kinds, 1)
        ]
        where = [struct.pack(">HHHII", n, 0, 1, *place) for n, place in enumerate(stored, 1)]
        body = _full(b"hdlr", struct.pack(">4x4s13x", b"pict")) + _full(b"pitm", struct.pack(">H", main))
        body += _full(b"iinf", struct.pack(">H", len(named)) + b"".join(named)) + _full(b"iref", links)
        body += box(b"iprp", box(b"ipco", b"".join(properties)) + _full(b"ipma", owned))
        body += _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(where)) + b"".join(where))
        return _full(b"meta", body)

    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    media = box(b"mdat", b"".join((*coded, grid, *told)))
    if meta_last:
        return head + media + meta(len(head) + 8), coded
    return head + meta(len(head) + len(meta(0)) + 8) + media, coded


def _properties(tiles: Sequence[bytes], size: tuple[int, int], turns: int) -> tuple[list[bytes], bytes]:
    """What is told of the tiles and of the whole, and to which of these each belongs."""
    properties: list[bytes] = []
    owned = struct.pack(">I", len(tiles) + 1)

    def own(number: int, theirs: list[bytes]) -> bytes:
        properties.extend(one for one in theirs if one not in properties)
        return struct.pack(">HB", number, len(theirs)) + bytes(properties.index(one) + 1 for one in theirs)

    for number, one in enumerate(tiles, 1):
        found = boxes(_inside(one, b"meta", b"iprp", b"ipco"))
        owned += own(number, [box(k, body) for k, body in found if k in (b"hvcC", b"ispe", b"colr", b"pixi")])
    extent = _full(b"ispe", struct.pack(">II", size[1], size[0]))
    return properties, owned + own(len(tiles) + 1, [extent, box(b"irot", bytes([turns]))])


def _full(kind: bytes, body: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags) + body)


def _inside(data: bytes, *path: bytes) -> bytes:
    for kind in path:
        data = next(body for found, body in boxes(data) if found == kind)
        data = data[4:] if kind == b"meta" else data
    return data
