"""Formats that Pillow reads and writes as a whole: WebP, AVIF, GIF and BMP (and PNG's pixels).

The plugin's class is called directly: `Image.open` would try every format it knows and apply
a global pixel limit of its own.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tintype.errors import OutputError
from tintype.images.icc import read_profile
from tintype.images.luma import luma_of_codes, pil_to_luma
from tintype.images.metadata import (
    EXIF_HEAD,
    Metadata,
    exif_orientation,
    repacked,
    sensible_dpi,
    without_thumbnail,
)
from tintype.images.orientation import upright
from tintype.images.picture import (
    ArrayPage,
    Coloring,
    Limits,
    Page,
    Picture,
    Pixels,
    colored_array,
    decoding,
    to_8_bit,
)
from tintype.images.resample import small_colors

if TYPE_CHECKING:
    from PIL import Image

_PALETTE_SIDE = 256  # pixels of what a GIF's colours are chosen from, which takes long
_SIDE_MAX = {"WEBP": 16383, "AVIF": 65536, "GIF": 65535, "BMP": 1 << 30}


def pillow_page(
    image: Callable[[], Any],
    name: str,
    kind: str,
    size: tuple[int, int],
    *,
    has_alpha: bool,
    stored_grey: bool,
) -> Page:
    """A page of 8 bits whose `image()` gives a Pillow picture, unloaded, each time it is called."""

    def decode() -> tuple[Pixels, Pixels | None]:
        with decoding(name, kind):
            luma, alpha = pil_to_luma(image())
        return luma, _alpha_of_all(luma) if has_alpha and alpha is None else alpha

    def small() -> Pixels:
        with decoding(name, kind):
            opened = image()
            opened.load()
            return small_colors(np.asarray(opened.convert("RGB")))

    small_rgb = None if stored_grey else small
    return ArrayPage(size, np.uint8, decode, has_alpha=has_alpha, small_rgb=small_rgb, name=name)


def _alpha_of_all(luma: Pixels) -> Pixels:
    return np.full_like(luma, 255)


def rgb_page(size: tuple[int, int], decode_rgb: Callable[[], Pixels], name: str) -> Page:
    """A page of 8 bits whose `decode_rgb()` gives RGB (H, W, 3); it is called once."""
    kept: list[Pixels] = []

    def rgb() -> Pixels:
        if not kept:
            kept.append(decode_rgb())
        return kept[0]

    return ArrayPage(
        size, np.uint8, lambda: (luma_of_codes(rgb()), None), small_rgb=lambda: small_colors(rgb()), name=name
    )


def open_pillow(data: bytes, name: str, kind: str, limits: Limits) -> Picture:
    """A WEBP, AVIF, GIF or BMP in memory; animations give their first frame."""
    plugin = _plugin(kind)
    with decoding(name, kind):
        opened = plugin(io.BytesIO(data))
    width, height = opened.size
    limits.check(name, height, width)
    info = opened.info
    exif = info.get("exif")
    exif = exif.removeprefix(EXIF_HEAD) if exif else None
    dpi = sensible_dpi(*info["dpi"]) if "dpi" in info else None
    metadata = Metadata(exif, info.get("xmp"), None, dpi)
    picture = Picture(name, kind, [], metadata, lossless=kind != "AVIF")
    if kind == "WEBP":
        picture.lossless = b"VP8L" in _riff_chunks(data)
    with decoding(name, kind):
        is_animated = getattr(opened, "is_animated", False)  # reads on into a GIF's second frame
    if is_animated:
        picture.note(f"The {kind} is an animation: its first frame was taken.")
    if kind == "AVIF" and _is_deep_avif(data):
        picture.note("The AVIF has more than 8 bits a channel: it was read with 8.")
    has_alpha = opened.mode in ("LA", "RGBA", "PA") or "transparency" in info
    grey = opened.mode in ("1", "L", "LA")
    page = pillow_page(
        lambda: plugin(io.BytesIO(data)), name, kind, (height, width), has_alpha=has_alpha, stored_grey=grey
    )
    page.orientation = exif_orientation(exif)
    page.profile = read_profile(info.get("icc_profile"), picture.note, grey=grey)
    picture.pages.append(page)
    return picture


def _plugin(kind: str) -> Callable[[io.BytesIO], Any]:
    if kind == "WEBP":
        from PIL.WebPImagePlugin import WebPImageFile

        return WebPImageFile
    if kind == "AVIF":
        from PIL.AvifImagePlugin import AvifImageFile

        return AvifImageFile
    if kind == "GIF":
        from PIL.GifImagePlugin import GifImageFile

        return GifImageFile
    from PIL.BmpImagePlugin import BmpImageFile

    return BmpImageFile


def _riff_chunks(data: bytes) -> list[bytes]:
    kinds, position = [], 12
    while position + 8 <= len(data):
        kinds.append(data[position : position + 4])
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + size + size % 2
    return kinds


def _is_deep_avif(data: bytes) -> bool:
    configuration = data.find(b"av1C", 0, 1 << 16)
    return configuration > 0 and bool(data[configuration + 6] & 0x40)


def write_pillow(picture: Picture, coloring: Coloring, target: BinaryIO, kind: str, quality: int) -> None:
    """The first page as WEBP, AVIF, GIF or BMP; raises OutputError when it is too large for the format."""
    from PIL import Image

    page = picture.pages[0]
    if max(page.height, page.width) > _SIDE_MAX[kind]:
        raise OutputError(f"A {kind} can have {_SIDE_MAX[kind]} pixels a side at most: write a TIFF instead.")
    # Pillow would write a BMP's alpha so that no reader takes it for one, nor Pillow itself.
    pixels = to_8_bit(colored_array(page, coloring, with_alpha=kind != "BMP"))
    options: dict[str, Any] = {}
    if kind in ("WEBP", "AVIF"):
        options = _rich_options(picture, page, kind, quality)
    else:
        pixels = upright(pixels, page.orientation)
    image = Image.fromarray(pixels)
    if kind == "GIF":
        image, options = _palette_of(image)
    if kind == "BMP" and picture.metadata.dpi:
        options = {"dpi": picture.metadata.dpi}
    saved = io.BytesIO()
    try:
        image.save(saved, kind, **options)
    except (OSError, ValueError) as error:
        message = f"The picture cannot be written as {kind} ({error}): write a PNG instead."
        raise OutputError(message) from error
    target.write(saved.getbuffer())


def _rich_options(picture: Picture, page: Page, kind: str, quality: int) -> dict[str, Any]:
    metadata = picture.metadata
    options: dict[str, Any] = {"quality": quality, "icc_profile": page.profile.icc}
    if metadata.exif and kind == "WEBP":
        options["exif"] = EXIF_HEAD + without_thumbnail(metadata.exif)
    elif metadata.exif:
        options["exif"] = repacked(metadata.exif) or b""  # Pillow takes the orientation out of it
        if not options["exif"]:
            picture.note("The EXIF is damaged: it was left out.")
    if xmp := picture.xmp_out(metadata.xmp):
        options["xmp"] = xmp
    if kind == "WEBP" and picture.lossless:
        # `exact` keeps the colour under full transparency; quality is the effort here.
        options |= {"lossless": True, "exact": True, "quality": 75}
    return options


def _palette_of(image: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
    """At most 256 colours, dithered; where alpha is low, a 256th entry that is transparent."""
    if image.mode != "RGBA":
        return _dithered(image, 256), {}
    palette = _dithered(image.convert("RGB"), 255)
    hidden = image.getchannel("A").point(lambda alpha: 255 if alpha < 128 else 0)
    palette.paste(255, mask=hidden)
    return palette, {"transparency": 255}


def _dithered(image: Image.Image, colors: int) -> Image.Image:
    """An RGB picture in so many colours of its own, rare ones among them: a median cut would lose faces."""
    from PIL import Image as Pil

    small = image.copy()
    small.thumbnail((_PALETTE_SIDE, _PALETTE_SIDE))
    return image.quantize(palette=small.quantize(colors, Pil.Quantize.MAXCOVERAGE, kmeans=3))
