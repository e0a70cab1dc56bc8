"""How a film's pictures are laid out, what its codes stand for, and which way up it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tintype.color import Signal
from tintype.errors import InputError

# ITU-T H.273's numbers, as FFmpeg has them too.
LIMITED, FULL = 1, 2
UNKNOWN = 2  # of matrix, primaries and transfer
_MATRICES = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, 625 lines
    6: (0.299, 0.114),  # BT.601, 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
# Codecs whose grey pictures are of limited range unless they say otherwise; elsewhere grey is full range.
_VIDEO_GREY = {"h264", "hevc", "av1", "libdav1d", "vp9", "mpeg2video", "mpeg4"}
_DEPTHS = (10, 12, 16)  # to which codes may be brought where an encoder has not the film's own
_SAMPLING = {"420": (2, 2), "422": (1, 2), "444": (1, 1)}
# What the signs of a display matrix (a, b, c, d) mean, as EXIF numbers orientations.
_ORIENTATIONS = {
    (1, 0, 0, 1): 1, (-1, 0, 0, 1): 2, (-1, 0, 0, -1): 3, (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5, (0, 1, -1, 0): 6, (0, -1, -1, 0): 7, (0, -1, 1, 0): 8,
}  # fmt: skip


@dataclass(frozen=True)
class Tags:
    """A film's own statements on its colours; 0 or 2 where it makes none."""

    range: int
    matrix: int
    primaries: int
    transfer: int


@dataclass(frozen=True)
class Layout:
    """The planes that are written."""

    pix_fmt: str
    step: tuple[int, int]
    """Rows and columns of luma that share a chroma sample."""
    bits: int
    narrowed: bool = False
    """Whether codes of full range become those of limited range, as the codec knows no other."""


def is_rgb(pix_fmt: str, rgb_flag: bool) -> bool:
    """Whether pictures hold no luma of their own, but red, green and blue."""
    return rgb_flag or pix_fmt.startswith(("pal", "mono", "bayer", "xyz"))


def choose_layout(source: str, bits: int, encoder_formats: Sequence[str], size: tuple[int, int]) -> Layout:
    """The layout for a film of pixel format `source` and an encoder that takes `encoder_formats`.

    The luma's depth stays, or becomes the next deeper one that the encoder has, in which each code has a
    place of its own; chroma sampling stays if it can. Raises InputError where the encoder has no such depth.
    """
    found = re.search(r"4[0-4][0-4]", source) if source.startswith(("yuv", "yuyv", "uyvy", "yvyu")) else None
    own = found[0] if found else "420" if source.startswith(("gray", "nv", "p01")) else "444"
    wanted = {"411": "422", "410": "420", "440": "444"}.get(own, own)
    order = [wanted, *(sampling for sampling in _SAMPLING if sampling != wanted)]
    if size[0] % 2 or size[1] % 2:
        order.sort(key=lambda sampling: -int(sampling))  # many encoders take odd sizes as 4:4:4 alone
    for deep in (bits, *(more for more in _DEPTHS if more > bits)):
        depth = "" if deep == 8 else f"{deep}le"
        for sampling in order:
            for name in (source, f"yuv{sampling}p{depth}"):
                if name in encoder_formats and re.fullmatch(rf"yuvj?{sampling}p{depth}", name):
                    return Layout(name, _SAMPLING[sampling], deep)
    raise InputError(
        f"this codec cannot store pictures of {bits} bits as the film has them ({source}); --codec ffv1 can, "
        f"in an .mkv"
    )


def deepened(codes: NDArray[Any], signal: Signal, layout: Layout) -> NDArray[Any]:
    """Codes of a film's luma in those of a layout of its depth or more: ITU-T H.273's for the same Y'."""
    target = replace(signal, bits=layout.bits, full_range=signal.full_range and not layout.narrowed)
    if target == signal:
        return codes
    every = np.arange(1 << signal.bits) - signal.black
    places = np.round(target.black + every * (target.luma_span / signal.luma_span))
    return places.astype(np.uint16)[codes]


def signal_of(tags: Tags, pix_fmt: str, codec: str, bits: int, size: tuple[int, int]) -> Signal:
    """What the codes of a film's planes stand for; players' conventions fill in what its tags leave open.

    Raises InputError for HDR, and for a matrix that is no Y'CbCr.
    """
    if tags.transfer in _HDR_TRANSFERS:
        raise InputError(
            f"it is HDR ({_HDR_TRANSFERS[tags.transfer]}), which no model here knows; bring it to SDR first, "
            f"with FFmpeg's filters zscale and tonemap, say"
        )
    matrix = tags.matrix
    if matrix not in _MATRICES:
        if matrix not in (0, UNKNOWN, 3):
            raise InputError(
                f"its colour matrix (number {matrix} of ITU-T H.273) is not supported; convert it to BT.709"
            )
        matrix = 1 if size[1] >= 1280 or size[0] > 576 else 6
    if tags.range in (LIMITED, FULL):
        full = tags.range == FULL
    else:
        full = pix_fmt.startswith("yuvj") or (pix_fmt.startswith("gray") and codec not in _VIDEO_GREY)
    return Signal(*_MATRICES[matrix], bits=bits, full_range=full)


def orientation_of(matrix: Sequence[int] | None) -> int:
    """EXIF's number for a display matrix of nine integers; InputError where it is no quarter turn."""
    if matrix is None:
        return 1
    a, b, c, d = (matrix[i] for i in (0, 1, 3, 4))
    largest = max(map(abs, (a, b, c, d)))
    signs = tuple(round(x / largest) if largest else 0 for x in (a, b, c, d))
    if signs not in _ORIENTATIONS:
        raise InputError("it is turned by other than quarter turns; turn it first")
    return _ORIENTATIONS[signs]
