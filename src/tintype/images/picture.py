"""What an opened picture is: pages of luma with what is needed to write them back in colour.

Arrays are (H, W) or (H, W, channels), uint8 or uint16; luma is the Y' of BT.601 of the code values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tintype.color import ToneCurve
from tintype.errors import InputError, TintypeError, TooLargeError
from tintype.images.icc import SRGB_PROFILE, Profile
from tintype.images.metadata import Metadata
from tintype.images.provenance import Provenance, marked

# Rows times width of one band: large enough that per-band costs vanish, small enough to stay in memory.
BAND_PIXELS = 1 << 22

# What a TIFF says of its extra channel (ExtraSamples): nothing, premultiplied or plain transparency.
UNSPECIFIED, PREMULTIPLIED, UNASSOCIATED = 0, 1, 2

Pixels = NDArray[Any]  # uint8 or uint16


@dataclass(frozen=True)
class Limits:
    """How many pixels a page may claim before it is refused, judged from its header."""

    max_pixels_banded: int = 1_200_000_000
    """Of a striped or tiled TIFF, which is never held in memory as a whole."""
    max_pixels: int = 250_000_000
    """Of every other picture; of a JPEG 2000 over the number of its components, for its decoders' memory."""

    def check(
        self,
        name: str,
        height: int,
        width: int,
        *,
        banded: bool = False,
        components: int = 1,
        kind: str = "such pictures",
    ) -> None:
        """Raise TooLargeError when (height, width) passes the limit, InputError when it is empty.

        `components` are those that a decoder needs whole room for, each; `kind` says what is measured.
        """
        if height < 1 or width < 1:
            raise InputError(f"{name} claims {width} × {height} pixels: it is damaged.")
        limit = self.max_pixels_banded if banded else self.max_pixels // components
        if height * width > limit:
            kind = "striped or tiled TIFFs" if banded else kind
            kind += f" of {components} components" if components > 1 else ""
            raise TooLargeError(
                f"{name} claims {width} × {height} pixels, more than the limit of {limit:,} for {kind}: "
                "make it smaller, or raise the limit (--max-pixels) if you trust the file."
            )


class Band(NamedTuple):
    """Rows `y0` … of a page: luma (n, W), alpha (n, W) of the same dtype or None."""

    y0: int
    luma: Pixels
    alpha: Pixels | None


class Coloring(Protocol):
    """What gives colour to one page; the luma of its result must be the luma it was given."""

    def rgb(self, y0: int, luma: Pixels) -> Pixels:
        """Rows from `y0`, luma (n, W), to RGB (n, W, 3) of the luma's dtype."""
        ...

    def planes_420(self, luma: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Whole luma (H, W) to Cb and Cr, each ((H+1)//2, (W+1)//2), full-range JFIF."""
        ...


@contextmanager
def decoding(name: str, what: str) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged data into one InputError that names the file."""
    try:
        yield
    except (TintypeError, MemoryError):
        raise
    except Exception as error:  # decoders raise a dozen unrelated types on garbage
        raise InputError(f"{name} is a damaged or truncated {what} ({reason_of(error)}).") from error


def reason_of(error: Exception) -> str:
    """What a decoder's error says, as a part of a sentence."""
    words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in words)  # it may quote the file


class Page(ABC):
    """One image of a file as it is stored, never rotated; `orientation` is EXIF's 1…8."""

    height: int
    width: int
    dtype: np.dtype[Any]
    orientation: int = 1
    has_alpha: bool = False
    alpha_kind: int = UNASSOCIATED
    profile: Profile = SRGB_PROFILE
    _colored: bool | None = None

    @property
    def is_transparent(self) -> bool:
        """Whether its alpha stands for transparency, in place of something that only a TIFF can hold."""
        return self.has_alpha and self.alpha_kind in (PREMULTIPLIED, UNASSOCIATED)

    @property
    def tone(self) -> ToneCurve:
        """How the luma's code values stand for light, from the file's ICC profile."""
        return self.profile.tone

    @abstractmethod
    def luma(self) -> Pixels:
        """The whole luma (H, W); raises InputError when the data is damaged."""

    @abstractmethod
    def alpha(self) -> Pixels | None:
        """The whole alpha (H, W) of the luma's dtype, or None."""

    @abstractmethod
    def bands(self) -> Iterator[Band]:
        """The page from top to bottom, some rows at a time."""

    @abstractmethod
    def small_rgb(self) -> Pixels | None:
        """A small RGB version (h, w, 3), rows possibly skipped; None when the page is stored as grey."""

    def thumbnail(self, height: int, width: int) -> NDArray[np.float32]:
        """Luma 0…1 at (height, width), area-averaged; bilinear along a side that grows."""
        from tintype.images.resample import shrink_bands

        bands = (band.luma for band in self.bands())
        return shrink_bands(bands, (self.height, self.width), (height, width))

    def is_colored(self) -> bool:
        """Whether the page holds true colour; sepia, one-hue toning and a scan's cast do not count."""
        from tintype.images.toning import shows_color

        if self._colored is None:
            small = self.small_rgb()
            self._colored = small is not None and shows_color(small)
        return self._colored


class ArrayPage(Page):
    """A page that is decoded as a whole, when its luma is first asked for."""

    def __init__(
        self,
        size: tuple[int, int],
        dtype: Any,
        decode: Callable[[], tuple[Pixels, Pixels | None]],
        *,
        has_alpha: bool = False,
        small_rgb: Callable[[], Pixels | None] | None = None,
        name: str = "The picture",
    ) -> None:
        """`decode` gives luma (H, W) and alpha (H, W) or None; no `small_rgb` means stored as grey."""
        self.name = name
        self.height, self.width = size
        self.dtype = np.dtype(dtype)
        self.has_alpha = has_alpha
        self._decode = decode
        self._small_rgb = small_rgb
        self._pixels: tuple[Pixels, Pixels | None] | None = None

    def _decoded(self) -> tuple[Pixels, Pixels | None]:
        if self._pixels is None:
            pixels = self._decode()
            # The limits were checked for the size in the header, which decoders may read otherwise.
            if pixels[0].shape != (self.height, self.width):
                raise InputError(
                    f"{self.name} is damaged: its pixels are of another size than its header says."
                )
            if pixels[0].dtype != self.dtype:
                raise InputError(
                    f"{self.name} is damaged: its pixels are of another depth than its header says."
                )
            self._pixels = pixels
        return self._pixels

    def luma(self) -> Pixels:
        """The whole luma (H, W), decoded once and kept."""
        return self._decoded()[0]

    def alpha(self) -> Pixels | None:
        """The whole alpha (H, W), or None."""
        return self._decoded()[1]

    def bands(self) -> Iterator[Band]:
        """Views of the decoded page, some rows at a time."""
        luma, alpha = self._decoded()
        rows = max(1, BAND_PIXELS // self.width)
        for y in range(0, self.height, rows):
            yield Band(y, luma[y : y + rows], None if alpha is None else alpha[y : y + rows])

    def thumbnail(self, height: int, width: int) -> NDArray[np.float32]:
        """As `Page.thumbnail`, in one step from the decoded page."""
        from tintype.images.resample import shrink

        return shrink(self.luma(), height, width)

    def small_rgb(self) -> Pixels | None:
        """As `Page.small_rgb`; no full decode where the format can do without."""
        return None if self._small_rgb is None else self._small_rgb()


@dataclass
class Picture:
    """An opened file, a context manager; `notes` tell the user, in sentences, what was assumed or lost."""

    name: str
    format: str
    pages: list[Page]
    metadata: Metadata = field(default_factory=Metadata)
    notes: list[str] = field(default_factory=list)
    lossless: bool = True
    limits: Limits = field(default_factory=Limits)
    grey_jpeg: bytes | None = None
    """The file's bytes where it is a grey JPEG, whose compressed luma a colour JPEG can take over."""
    jpeg_quality: int | None = None
    """The quality that a JPEG of its luma should be written at, where the file is itself a JPEG."""
    on_close: Callable[[], None] | None = None
    provenance: Provenance | None = None
    """Whose colours its coloured version will have, to be told in that; None tells nothing."""

    def note(self, sentence: str) -> None:
        """Add a sentence for the user, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def xmp_out(self, xmp: bytes | None) -> bytes | None:
        """The XMP for the coloured version of a page whose own is `xmp`: with the provenance."""
        if self.provenance is None:
            return xmp
        try:
            return marked(xmp, self.provenance)
        except ValueError as error:
            self.note(f"The XMP is damaged ({error}): that the colours are computed was not added to it.")
            return xmp

    def close(self) -> None:
        """Close the file behind the pages; needed for TIFF, harmless for the rest."""
        if self.on_close is not None:
            self.on_close()
            self.on_close = None

    def __enter__(self) -> Picture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def colored_array(page: Page, coloring: Coloring, with_alpha: bool) -> Pixels:
    """The whole page in colour: (H, W, 3), or (H, W, 4) with its alpha, if transparency, when `with_alpha`.

    What is premultiplied with its alpha is divided by it: only TIFF can hold it so.
    """
    channels = 4 if with_alpha and page.is_transparent else 3
    out = np.empty((page.height, page.width, channels), page.dtype)
    for band in page.bands():
        rows = slice(band.y0, band.y0 + len(band.luma))
        luma = band.luma
        if channels == 4 and band.alpha is not None:
            out[rows, :, 3] = band.alpha
            luma = _divided(luma, band.alpha) if page.alpha_kind == PREMULTIPLIED else luma
        out[rows, :, :3] = coloring.rgb(band.y0, luma)
    return out


def _divided(luma: Pixels, alpha: Pixels) -> Pixels:
    """Premultiplied luma (n, W) as it is without the alpha (n, W); black where nothing is to be seen."""
    full = np.iinfo(luma.dtype).max
    whole = np.rint(luma * (full / np.maximum(alpha, 1)))
    return np.where(alpha > 0, np.minimum(whole, full), 0).astype(luma.dtype)


def to_8_bit(values: Pixels) -> NDArray[np.uint8]:
    """Code values of 16 bits rounded to 8 (65535 to 255); those of 8 bits as they are."""
    if values.dtype == np.uint8:
        return values
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_full_scale(codes: Pixels, bits: int, stored: int) -> Pixels:
    """Codes of `bits` bits, at the upper end of `stored` ones, brought to the full scale of their type."""
    top, full = ((1 << bits) - 1) << (stored - bits), np.iinfo(codes.dtype).max
    if top == full:
        return codes
    return ((codes.astype(np.uint32) * full + top // 2) // top).clip(0, full).astype(codes.dtype)
