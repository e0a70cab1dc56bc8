"""From a path or bytes to a Picture, and from a Picture and its colours to a file."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from tintype.errors import InputError, OutputError
from tintype.images.jp2_boxes import SIGNATURE
from tintype.images.losses import note_losses
from tintype.images.picture import Coloring, Limits, Picture

_SUFFIXES = {  # of what is written
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG",
    ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP", ".avif": "AVIF",
    ".jp2": "JPEG2000", ".jpx": "JPEG2000", ".jpf": "JPEG2000", ".gif": "GIF", ".bmp": "BMP", ".dib": "BMP",
}  # fmt: skip
WRITABLE_SUFFIXES = frozenset(_SUFFIXES)
_READ_ALONE = frozenset({".heic", ".heif", ".hif"})
READABLE_SUFFIXES = WRITABLE_SUFFIXES | _READ_ALONE
UNREAD_SUFFIXES = frozenset({
    ".heics", ".heifs", ".avifs", ".pdf", ".psd", ".j2k", ".j2c", ".jpc", ".jxl", ".tga",
    ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2",
})  # fmt: skip
"""Of pictures that are not read, such as cameras and scanners make."""
ELSEWHERE = "save it as JPEG, PNG or TIFF first"
_HEAD = 256  # bytes that tell the format
_PILLOWS = {"AVIF", "GIF"}  # which not every OpenCV decodes, and none turns upright


def open_picture(source: Path | bytes, limits: Limits | None = None, name: str | None = None) -> Picture:
    """Open a picture by its content, whatever its name says; use it as a context manager.

    Raises InputError when it cannot be read, TooLargeError when its header claims more than `limits`; both
    call the picture `name`, by default its path.
    A TIFF stays open and is read as it is needed; every other file is read once, here.
    """
    limits = limits or Limits()
    picture = _read(source, limits, name or ("The picture" if isinstance(source, bytes) else str(source)))
    picture.limits = limits
    return picture


def _read(source: Path | bytes, limits: Limits, name: str) -> Picture:
    if isinstance(source, bytes):
        return _opened(source, name, limits)
    try:
        with source.open("rb") as file:
            head = file.read(_HEAD)
            if _sniff(head, name) != "TIFF":
                file.seek(0)
                return _opened(file.read(), name, limits)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}.") from error
    from tintype.images.tiff_read import open_tiff

    return open_tiff(source, name, limits)


def _opened(data: bytes, name: str, limits: Limits) -> Picture:
    kind = _sniff(data[:_HEAD], name)
    if kind == "JPEG":
        from tintype.images.jpeg import open_jpeg

        return open_jpeg(data, name, limits)
    if kind == "PNG":
        from tintype.images.png import open_png

        return open_png(data, name, limits)
    if kind == "TIFF":
        from tintype.images.tiff_read import open_tiff

        return open_tiff(data, name, limits)
    if kind == "JPEG2000":
        from tintype.images.jp2 import open_jp2

        return open_jp2(data, name, limits)
    if kind == "HEIF":
        from tintype.images.heif import open_heif

        return open_heif(data, name, limits)
    from tintype.images.pillow_formats import open_pillow

    return open_pillow(data, name, kind, limits)


def _sniff(head: bytes, name: str) -> str:
    """The format by its first bytes; InputError when it is none that is read."""
    if not head:
        raise InputError(f"{name} is empty.")
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp" and (kind := _kind_of_brands(head)):
        return kind
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"BM") and len(head) > 18 and head[14:18] in _BMP_HEADERS:
        return "BMP"
    if head.startswith(SIGNATURE):
        return "JPEG2000"
    if head.startswith(b"\xff\x4f\xff\x51"):
        raise InputError(
            f"{name} is the bare codestream of a JPEG 2000, which is not read; save it as .jp2 first."
        )
    if head.startswith(b"%PDF"):
        raise InputError(f"{name} is a PDF, which is not read; {ELSEWHERE}, each page.")
    raise InputError(f"{name} is not a picture in JPEG, PNG, TIFF, JPEG 2000, WebP, AVIF, HEIC, GIF or BMP.")


_BMP_HEADERS = {size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124)}


def origin_of(name: str) -> str | None:
    """The file of which `name` is the result by `result_name`, where that gave it another name."""
    path = Path(name)
    stem, dot, suffix = path.stem.rpartition(".color.")
    of_unwritten = path.suffix == ".jpg" and f".{suffix.lower()}" in _READ_ALONE
    return str(path.with_name(f"{stem}.{suffix}")) if dot and stem and of_unwritten else None


def _kind_of_brands(head: bytes) -> str | None:
    """AVIF or HEIF by the brands with which a file begins; those that both may have count least."""
    told = head[8 : int.from_bytes(head[:4])]
    brands = {told[at : at + 4] for at in range(0, len(told), 4)}
    for kind, its in _BRANDS:
        if brands & its:
            return kind
    return None


_BRANDS = (
    ("HEIF", {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}),
    ("AVIF", {b"avif", b"avis"}),
    ("HEIF", {b"mif1", b"mif2", b"msf1"}),
)


def output_format(picture: Picture, suffix: str | None) -> str:
    """The format that `suffix` (".png") asks for, or without one the picture's own, or JPEG for HEIF."""
    if suffix is None:
        return picture.format if picture.format in _SUFFIXES.values() else "JPEG"
    return format_of(suffix)


def result_name(name: str) -> str:
    """What the coloured version of a file may be called in another folder: the same.

    Of a format that is not written it is NAME.color.heic.jpg, as nothing else is called but such a result.
    """
    path = Path(name)
    if path.suffix.lower() not in _READ_ALONE:
        return name
    return str(path.with_name(f"{path.stem}.color{path.suffix}.jpg"))


def format_of(suffix: str) -> str:
    """The format that a file's suffix (".png") stands for. OutputError where it stands for none."""
    try:
        return _SUFFIXES[suffix.lower()]
    except KeyError:
        known = ", ".join(sorted(WRITABLE_SUFFIXES))
        what = suffix or "a file without suffix"
        raise OutputError(f"Pictures cannot be written as {what}: use {known}.") from None


def suffix_for(format: str) -> str:
    """The usual suffix of a format: ".jpg" for "JPEG"."""
    return next(suffix for suffix, name in _SUFFIXES.items() if name == format)


def decode_rgb8(data: bytes) -> NDArray[np.uint8]:
    """Picture bytes to upright sRGB (H, W, 3) of 8 bits, at once; InputError where they are no picture.

    Pixels in another RGB space, by the profile that the file embeds, are brought to sRGB. Only what
    `open_picture` knows is handed to OpenCV, which knows more formats.
    """
    import cv2

    from tintype.images.jpeg_markers import check_scans
    from tintype.images.srgb import to_srgb

    try:
        kind = _sniff(data[:_HEAD], "it")
        if kind == "JPEG2000":
            from tintype.images.jp2 import jp2_rgb8

            return to_srgb(jp2_rgb8(data), data, kind)
        if kind == "HEIF":
            from tintype.images.heif import heif_rgb8

            return to_srgb(heif_rgb8(data), data, kind)
        if kind in _PILLOWS:
            return to_srgb(_decode_by_pillow(data, kind), data, kind)
        if kind == "JPEG":
            check_scans(data)
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except (InputError, ValueError, cv2.error):
        bgr = None
    if bgr is None:
        raise InputError("it is no picture that can be decoded")
    return to_srgb(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)), data, kind)


def _decode_by_pillow(data: bytes, format: str) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    try:
        with Image.open(BytesIO(data), formats=[format]) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError):
        raise InputError("it is no picture that can be decoded") from None


def write_rgb8(rgb8: NDArray[np.uint8], target: BinaryIO, format: str) -> None:
    """Write a picture (H, W, 3) that came from no file, such as a chart."""
    from PIL import Image

    Image.fromarray(rgb8).save(target, format)


def save_picture(
    picture: Picture, colorings: Sequence[Coloring], target: BinaryIO, format: str, quality: int = 92
) -> None:
    """Write `picture` in colour to `target`, a coloring a page; what is lost is told in `picture.notes`.

    Each coloring is asked for when its page is written, once. `quality` 1…100 is for JPEG, AVIF, lossy
    WebP and lossy JPEG 2000. Raises OutputError when the format cannot hold it.
    """
    if len(colorings) != len(picture.pages):
        raise ValueError(f"{len(colorings)} colorings for {len(picture.pages)} pages")
    if format == "TIFF":
        from tintype.images.tiff_write import write_tiff

        note_losses(picture, format)
        return write_tiff(picture, colorings, target)
    if len(picture.pages) > 1:
        pages = len(picture.pages)
        raise OutputError(f"{picture.name} has {pages} pages and {format} holds one: write a TIFF.")
    page = picture.pages[0]
    if page.height * page.width > picture.limits.max_pixels:
        raise OutputError(
            f"{picture.name} is too large for {format}, which is made as a whole: write a TIFF."
        )
    note_losses(picture, format)
    if format == "JPEG":
        from tintype.images.jpeg import write_jpeg

        write_jpeg(picture, colorings[0], target, quality)
    elif format == "PNG":
        from tintype.images.png import write_png

        write_png(picture, colorings[0], target)
    elif format == "JPEG2000":
        from tintype.images.jp2_write import write_jp2

        write_jp2(picture, colorings[0], target, quality)
    else:
        from tintype.images.pillow_formats import write_pillow

        write_pillow(picture, colorings[0], target, format, quality)
