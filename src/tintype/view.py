"""How a page or array comes before a network's eye, and how its colours come back to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype import chroma
from tintype.cards import ModelCard
from tintype.color import SRGB_TONE, ToneCurve, linear_to_srgb
from tintype.framing import auto_size, auto_view, network_size, resize_for_network
from tintype.images import Page
from tintype.images.orientation import as_stored, upright

Float = NDArray[np.float32]


def shown(page: Page, scale: float) -> Float:
    """A page's luma as a screen shows it: upright, 0…1, in sRGB's tone curve, `scale` of its size."""
    luma = page.thumbnail(*(max(1, round(side * min(1.0, scale))) for side in (page.height, page.width)))
    if page.tone.table is not None:
        luma = linear_to_srgb(page.tone.decode(luma))
    return upright(luma.clip(0, 1).astype(np.float32), page.orientation)


def shown8(page: Page, longest: int) -> NDArray[np.uint8]:
    """As `shown`, uint8, at most `longest` pixels a side."""
    return np.asarray(cv2.convertScaleAbs(shown(page, longest / max(page.height, page.width)), alpha=255))


@dataclass(frozen=True)
class View:
    """A picture as a network sees it."""

    luma: Float
    """(h, w), 0…1, at the network's size, as the picture is stored."""
    tone: ToneCurve
    size: tuple[int, int]
    """(H, W) of the stored picture."""
    orientation: int
    """EXIF's, 1…8."""

    def L(self) -> Float:
        """Lightness (h, w) or (w, h), 0…100, upright."""
        return chroma.lightness(upright(self.luma, self.orientation), self.tone)

    def field(self, ab: Float, strength: float, threads: int | None) -> chroma.ChromaField:
        """Upright ab (h', w', 2) as the colours of the stored picture, to be read off at full size."""
        ab = as_stored(ab, self.orientation)
        return chroma.chroma_field(
            self.luma, ab, self.size, strength=strength, tone=self.tone, threads=threads
        )


@dataclass(frozen=True)
class Lens:
    """At what size one model sees pictures."""

    card: ModelCard
    size: int | Literal["auto"]
    """The shorter side in pixels; auto chooses by the picture's size and detail."""

    def page(self, page: Page) -> View:
        """A page of a file."""
        size = self._first_size(page.height, page.width)
        luma = page.thumbnail(*network_size(page.height, page.width, size, self.card.stride))
        return View(self._reduced(luma), page.tone, (page.height, page.width), page.orientation)

    def array(self, luma: NDArray[Any], orientation: int = 1, tone: ToneCurve = SRGB_TONE) -> View:
        """Luma (H, W): uint8, uint16 or float 0…1."""
        scale = np.iinfo(luma.dtype).max if luma.dtype.kind == "u" else 1.0
        source = luma if luma.dtype.kind == "u" else luma.astype(np.float32)
        small = resize_for_network(source, self._first_size(*luma.shape), self.card.stride)
        small = (small / np.float32(scale)).clip(0, 1)
        return View(self._reduced(small), tone, luma.shape, orientation)

    def lightness(self, L: Float) -> Float:
        """Lightness (H, W), 0…100, at the network's size."""
        small = resize_for_network(L, self._first_size(*L.shape), self.card.stride)
        return self._reduced((small / 100).astype(np.float32)) * np.float32(100)

    def _first_size(self, height: int, width: int) -> int:
        """The size at which a picture is looked at first; unless that is up to it, the one that is used."""
        return auto_view(height, width, self.card.size) if self.size == "auto" else self.size

    def _reduced(self, luma: Float) -> Float:
        """What is seen of a picture that was looked at as `_first_size` says."""
        if self.size != "auto":
            return luma
        return resize_for_network(luma, auto_size(luma, self.card.size, self.card.stride), self.card.stride)
