"""JPEG 2000 written: boxes by hand, pixels by Pillow, which knows 8 bits, or OpenCV, which knows 16."""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tintype.errors import OutputError
from tintype.images.icc import SRGB_PROFILE, Profile
from tintype.images.jp2_boxes import (
    BY_NUMBER,
    BY_PROFILE,
    FILE_HEAD,
    OPACITY,
    SRGB,
    box,
    boxes,
)
from tintype.images.jp2_metadata import resolution, told_beside
from tintype.images.picture import Coloring, Picture, colored_array
from tintype.running import opencv_silence

_FORMAT = "JPEG2000"
_LEAST_DEEP_SIDE = 32  # pixels; OpenCV halves five times whatever the size
_LOSSLESS = 1000


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
        told = [(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, OPACITY, 0)]
        head += box(b"cdef", struct.pack(">H12H", 4, *(number for row in told for number in row)))
    if picture.metadata.dpi:
        head += box(b"res ", box(b"resc", resolution(picture.metadata.dpi)))
    target.write(FILE_HEAD + box(b"jp2h", head))
    target.write(b"".join(box(*entry) for entry in told_beside(picture)))
    target.write(box(b"jp2c", stream))


def _colors(profile: Profile) -> bytes:
    if profile is SRGB_PROFILE:
        return struct.pack(">BBBI", BY_NUMBER, 0, 0, SRGB)
    return struct.pack(">BBB", BY_PROFILE, 0, 0) + profile.icc


def _codestream(pixels: NDArray[np.uint8], quality: int | None) -> bytes:
    from PIL import Image

    # In decibels, as it is asked for: at 92 they are 48.
    lossy = {"irreversible": True, "quality_mode": "dB", "quality_layers": [30 + (quality or 0) / 5]}
    options: dict[str, Any] = {} if quality is None else lossy
    saved = io.BytesIO()
    try:
        Image.fromarray(pixels).save(saved, _FORMAT, no_jp2=True, **options)
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
