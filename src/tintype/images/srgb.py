"""Photographs in other colour spaces brought to sRGB, by the ICC profile that their file embeds."""

from __future__ import annotations

import io
import zlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ICC_JPEG = b"ICC_PROFILE\0"
_ICC_TIFF = 34675
_ICC_MAX = 1 << 24  # bytes of a profile that a PNG may inflate to
_SAME = 2  # code values of 8 bits; makers of sRGB profiles round their numbers differently
_LATTICE = np.stack(np.meshgrid(*[np.linspace(0, 255, 9).round()] * 3), axis=-1).reshape(1, -1, 3)


def to_srgb(rgb8: NDArray[np.uint8], data: bytes, kind: str) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) of the file `data` of a `kind` ("PNG"), brought to sRGB, relative colorimetric.

    Where the file has no RGB profile, or sRGB's, they come back as they are. A damaged profile is taken for
    sRGB's, as it is in the pictures that are coloured.
    """
    transform = _transform(embedded_profile(data, kind))
    return rgb8 if transform is None else _applied(transform, rgb8)


def embedded_profile(data: bytes, kind: str) -> bytes:
    """The ICC profile in a picture's bytes; empty where there is none, or the file is damaged before it."""
    if b"acsp" not in data and kind != "PNG":  # in PNG alone it is compressed
        return b""
    try:
        if kind == "JPEG":
            return _of_jpeg(data)
        if kind == "PNG":
            return _of_png(data)
        if kind == "TIFF":
            return _of_tiff(data)
        return _of_pillow(data, kind)
    except Exception:  # readers raise a dozen unrelated types on garbage, and the pixels could be decoded
        return b""


def _of_jpeg(data: bytes) -> bytes:
    from tintype.images.jpeg_markers import SOS, markers

    parts = []
    for marker in markers(data):
        if marker.kind == SOS:
            break
        if marker.kind == 0xE2 and marker.body.startswith(_ICC_JPEG):
            part = marker.body[len(_ICC_JPEG) :]
            parts.append((part[0], part[2:]))
    return b"".join(part for _, part in sorted(parts))


def _of_png(data: bytes) -> bytes:
    position = 8
    while (kind := data[position + 4 : position + 8]) not in (b"IDAT", b"IEND", b""):
        end = position + 8 + int.from_bytes(data[position : position + 4])
        if kind == b"iCCP":
            packed = data[position + 8 : end].split(b"\0", 1)[1][1:]
            return zlib.decompressobj().decompress(packed, _ICC_MAX)
        position = end + 4
    return b""


def _of_tiff(data: bytes) -> bytes:
    from tintype.images.tiff_tags import Reader

    tags = next(iter(Reader(io.BytesIO(data)).directories()))
    return tags[_ICC_TIFF].raw if _ICC_TIFF in tags else b""


def _of_pillow(data: bytes, kind: str) -> bytes:
    """The plugin's class is called directly: `Image.open` has a pixel limit of its own."""
    if kind == "WEBP":
        from PIL.WebPImagePlugin import WebPImageFile

        return WebPImageFile(io.BytesIO(data)).info.get("icc_profile") or b""
    if kind == "JPEG2000":
        return _of_jp2(data)
    if kind == "HEIF":
        from tintype.images.heif import heif_profile

        return heif_profile(data)
    if kind == "AVIF":
        from PIL.AvifImagePlugin import AvifImageFile

        return AvifImageFile(io.BytesIO(data)).info.get("icc_profile") or b""
    return b""


def _of_jp2(data: bytes) -> bytes:
    from tintype.images.jp2_boxes import boxes, color_space

    head = next(body for kind, body in boxes(data) if kind == b"jp2h")
    return color_space(list(boxes(head)))[0] or b""


@lru_cache(maxsize=16)
def _transform(icc: bytes) -> Any:
    """From a profile's RGB to sRGB; None where it is none, damaged, or sRGB's own."""
    if icc[16:20] != b"RGB ":
        return None
    from PIL import ImageCms

    try:
        source, target = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildTransform(source, target, "RGB", "RGB", intent)
        lattice = _LATTICE.astype(np.uint8)
        moved = np.abs(_applied(transform, lattice).astype(int) - lattice).max()
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return transform if moved > _SAME else None


def _applied(transform: Any, rgb8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from PIL import Image, ImageCms

    converted = ImageCms.applyTransform(Image.fromarray(rgb8), transform)
    assert converted is not None  # None is given for work in place only
    return np.array(converted)
