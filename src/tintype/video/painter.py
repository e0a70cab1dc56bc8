"""One film's pictures to coloured ones: luma codes as they came, chroma planes made anew."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tintype import chroma
from tintype.color import Signal
from tintype.colorizer import Colorizer
from tintype.errors import SettingsError
from tintype.framing import network_size
from tintype.images.orientation import as_stored, upright
from tintype.images.resample import shrink
from tintype.temporal import FrameByFrame, Steady
from tintype.video.film import Film, plane
from tintype.video.layout import Layout, deepened

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Pixels = NDArray[Any]
_PLAIN = re.compile(r"(gray|yuva?j?4|nv).*(?<!be)$")  # formats whose first plane is luma, code for code


class Painter:
    """Colours the pictures of one film, in their order.

    `carry` gives ab for the small luma of each picture, steady over time or not. With `compare` the result
    is twice as wide: grey on the left, colour on the right. SettingsError for a colorizer with hints or of
    size "auto".
    """

    def __init__(
        self,
        colorizer: Colorizer,
        film: Film,
        layout: Layout,
        carry: Steady | FrameByFrame,
        compare: bool = False,
        threads: int | None = None,
    ) -> None:
        self._colorizer, self._film, self._layout, self._carry = colorizer, film, layout, carry
        self._compare, self._threads = compare, threads
        refuse_hints(colorizer)
        full_range = film.signal.full_range and not layout.narrowed
        self._signal = replace(film.signal, bits=layout.bits, full_range=full_range)
        self._seen = network_size(*film.size, colorizer.fixed_size, colorizer.card.stride)

    @property
    def width(self) -> int:
        """Columns of the result."""
        return self._film.size[1] * (2 if self._compare else 1)

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The picture in the layout that is written, with its time stamp and flags; uses up the given one."""
        source = self._in_layout(frame)
        bits = self._layout.bits
        luma = plane(source, 0, bits)
        chroma_planes = self.planes(luma, bool(frame.interlaced_frame))
        target = source
        if self._compare:
            target = source.reformat(width=self.width)
            plane(target, 0, bits)[:] = np.hstack([luma, luma])
        for index in (1, 2):
            codes = plane(target, index, bits)
            if self._compare:
                codes[:] = self._signal.middle
            codes[:, codes.shape[1] - chroma_planes.shape[2] :] = chroma_planes[index - 1]
        return target

    def planes(self, luma: Pixels, interlaced: bool = False) -> Pixels:
        """Luma codes (H, W) of the layout to the chroma planes (2, h, w) in its codes."""
        signal = self._signal
        small = small_luma(luma, signal, self._seen)
        ab = as_stored(self._carry(upright(small, self._film.orientation)), self._film.orientation)
        strength, threads = self._colorizer.strength, self._threads
        field = chroma.chroma_field(small, ab, luma.shape, strength=strength, signal=signal, threads=threads)
        return field.planes(luma, signal, self._layout.step, interlaced)

    def _in_layout(self, frame: VideoFrame) -> VideoFrame:
        """The picture's luma, code for code, in a frame of the layout that nobody else reads."""
        if frame.format.name == self._layout.pix_fmt:
            frame.make_writable()  # the decoder may still look at it
            return frame
        if self._film.rgb:
            return frame.reformat(format=self._layout.pix_fmt, dst_colorspace=1, dst_color_range=1)
        made = frame.reformat(format=self._layout.pix_fmt)
        if _PLAIN.match(frame.format.name):
            # FFmpeg would bring full range to limited on the way.
            codes = plane(frame, 0, self._film.bits)
            plane(made, 0, self._layout.bits)[:] = deepened(codes, self._film.signal, self._layout)
        return made


def refuse_hints(colorizer: Colorizer) -> None:
    """SettingsError for a Colorizer with hints, which are places in one picture, for moving pictures."""
    if colorizer.hints:
        raise SettingsError(
            "Hints belong to one picture, and moving pictures take none: make the Colorizer without hints."
        )


def small_luma(luma: Pixels, signal: Signal, size: tuple[int, int]) -> NDArray[np.float32]:
    """Luma codes (H, W) as the network sees them: Y' 0…1 of `size` (h, w)."""
    codes = shrink(luma, *size) * np.float32(np.iinfo(luma.dtype).max)
    codes -= np.float32(signal.black)
    codes /= np.float32(signal.luma_span)
    return codes.clip(0, 1, out=codes)
