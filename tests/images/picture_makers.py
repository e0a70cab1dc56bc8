"""Pictures for the tests of `tintype.images`, and colorings simple enough to know their result."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any

# Its codecs are not among Tintype's dependencies: what passes here must pass without them.
sys.modules["imagecodecs"] = None  # type: ignore[assignment]

import numpy as np  # noqa: E402
import tifffile  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from PIL import Image  # noqa: E402
from skimage import data  # noqa: E402

from tintype.color import CB_TO_B, CB_TO_G, CR_TO_G, CR_TO_R  # noqa: E402
from tintype.images import open_picture, output_format, save_picture  # noqa: E402

Pixels = NDArray[Any]

GREY = np.ascontiguousarray(data.camera()[100:333, 90:407])  # (233, 317): both sides odd
GREY_16 = (GREY.astype(np.uint16) * 257) ^ np.arange(GREY.size, dtype=np.uint16).reshape(GREY.shape) % 256
COLOR = np.ascontiguousarray(data.astronaut()[:233, 60:377])
COLOR_16 = COLOR.astype(np.uint16) * 256 + 77
ALPHA = np.broadcast_to(np.linspace(0, 255, GREY.shape[1]), GREY.shape).astype(np.uint8)


class Tint:
    """One chroma everywhere, in shares of the full range, given way where it would leave RGB."""

    def __init__(self, cb: float = -0.05, cr: float = 0.07) -> None:
        self.offsets = np.array([CR_TO_R * cr, CB_TO_G * cb + CR_TO_G * cr, CB_TO_B * cb])
        self.cb, self.cr = cb, cr

    def rgb(self, y0: int, luma: Pixels) -> Pixels:
        top = np.iinfo(luma.dtype).max
        y = luma[..., None] / top
        room = np.where(self.offsets > 0, (1 - y) / np.abs(self.offsets), y / np.abs(self.offsets))
        scale = np.minimum(1, room.min(-1, keepdims=True))
        return np.rint((y + scale * self.offsets) * top).astype(luma.dtype)

    def planes_420(self, luma: NDArray[np.uint8]) -> tuple[Pixels, Pixels]:
        # JPEG's planes cannot give way pixel by pixel; a weak chroma stays inside RGB nearly everywhere.
        size = ((luma.shape[0] + 1) // 2, (luma.shape[1] + 1) // 2)
        return np.full(size, 128 + round(40 * self.cb), np.uint8), np.full(
            size, 128 + round(40 * self.cr), np.uint8
        )


def encoded(pixels: Pixels | Image.Image, kind: str, **options: Any) -> bytes:
    """A picture as a file of Pillow's format `kind`."""
    file = BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(pixels: Pixels, **options: Any) -> bytes:
    """An array as tifffile writes it, without its description of the shape."""
    file = BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


def colored(source: bytes, kind: str | None = None, quality: int = 92) -> tuple[bytes, list[str]]:
    """The file coloured by `Tint` in format `kind` or its own, and the notes."""
    with open_picture(source) as picture:
        file = BytesIO()
        save_picture(
            picture, [Tint() for _ in picture.pages], file, kind or output_format(picture, None), quality
        )
        return file.getvalue(), picture.notes


def opened(source: bytes) -> Image.Image:
    """A file as Pillow sees it, loaded."""
    image = Image.open(BytesIO(source))
    image.load()
    return image


def luma_of_file(source: bytes) -> Pixels:
    """The luma of a file's first page as Tintype reads it."""
    with open_picture(source) as picture:
        return picture.pages[0].luma()


def off(a: Pixels, b: Pixels) -> Pixels:
    """How far two arrays of the same shape and dtype are apart, in code values."""
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    return np.abs(a.astype(np.int64) - b.astype(np.int64))


def assert_same_grey(result: Pixels, luma: Pixels) -> None:
    """RGB or luma of a lossless result: its grey is the input's luma to one code (one of 4096 in 16 bits)."""
    rgb = result[..., :3].astype(np.float64)
    grey = np.rint(rgb @ [0.299, 0.587, 0.114]).astype(luma.dtype)
    allowed = 1 if luma.dtype == np.uint8 else 65535 // 4096
    assert (off(grey, luma) <= allowed).mean() >= 0.999
