"""Contact sheets: the same pictures by several models, side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

RGB8 = NDArray[np.uint8]

GAP, HEAD, CAPTION = 8, 34, 22  # pixels between pictures, above the sheet, below each row
_INK, _FAINT, _PAPER = (25, 25, 25), (110, 110, 110), (255, 255, 255)


def contact_sheet(heads: Sequence[str], rows: Iterable[tuple[str, Sequence[RGB8]]], side: int) -> Image.Image:
    """A row for each picture, with its name below, a column for each of `heads`; `side` is their longer side.

    Rows are as high as their highest picture, columns as wide as their widest.
    """
    drawn = [(name, [_fit(picture, side) for picture in pictures]) for name, pictures in rows]
    widths = [max([p[i].width for _, p in drawn] + [_least_width(head)]) for i, head in enumerate(heads)]
    heights = [max(picture.height for picture in pictures) for _, pictures in drawn]
    size = (sum(widths) + GAP * (len(heads) + 1), HEAD + sum(h + CAPTION + GAP for h in heights))
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    lefts = [GAP + sum(widths[:i]) + GAP * i for i in range(len(heads))]
    for left, width, head in zip(lefts, widths, heads, strict=True):
        draw.text((left, 9), _shorten(head, width, 16), _INK, font=_font(16))
    top = HEAD
    for (name, pictures), height in zip(drawn, heights, strict=True):
        for left, picture in zip(lefts, pictures, strict=True):
            sheet.paste(picture, (left, top))
        draw.text((GAP, top + height + 3), _shorten(name, size[0] - 2 * GAP, 12), _FAINT, font=_font(12))
        top += height + CAPTION + GAP
    return sheet


def data_uri(rgb8: RGB8, side: int | None = None, quality: int = 82) -> str:
    """A picture as a WebP in an address, its longer side at most `side`."""
    out = io.BytesIO()
    _fit(rgb8, side or max(rgb8.shape)).save(out, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()


def png_uri(rgba8: RGB8) -> str:
    """A small drawing with transparency, (H, W, 4), as a PNG in an address."""
    out = io.BytesIO()
    Image.fromarray(rgba8).save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def grey_rgb(luma8: RGB8) -> RGB8:
    """(H, W) to (H, W, 3)."""
    return np.repeat(luma8[..., None], 3, axis=-1)


def _fit(rgb8: RGB8, side: int) -> Image.Image:
    """The picture with its longer side at `side`; a smaller one is not enlarged."""
    picture = Image.fromarray(np.ascontiguousarray(rgb8))
    scale = side / max(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(1, round(length * scale)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _least_width(head: str) -> int:
    """Room for a head of a few letters above a narrow picture."""
    return min(90, round(_font(16).getlength(head)))


def _shorten(text: str, width: int, size: int) -> str:
    """The text, cut where it is wider than `width` pixels."""
    if _font(size).getlength(text) <= width:
        return text
    while text and _font(size).getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
