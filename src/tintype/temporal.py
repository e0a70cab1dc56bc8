"""Colours that keep still: the model looks at some pictures of a film, and chroma is carried to the rest.

From one picture to the next chroma follows the motion of the luma, by dense inverse search (Kroeger,
Timofte, Dai, Van Gool, ECCV 2016; OpenCV's DIS). Where forward and backward flow disagree (Sundaram, Brox,
Keutzer, ECCV 2010) or the luma does not match, a place was hidden before and what is carried there is stale.
The model looks again after `every` pictures, sooner early in a shot or where much is stale, and at once
after a cut. What it then proposes is blended with what was carried, a mean at first, and the shown colours
move to it step by step, so that no picture jumps.

Everything works on the small luma that the network sees, upright.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype.chroma import lightness
from tintype.color import SRGB_TONE

Float = NDArray[np.float32]
See = Callable[[Float], Float]

EVERY = 4  # pictures between two looks, where nothing hurries
# Chosen with `benchmarks/video.py` in view: more keeps stiller, and further from the true colours.
_KEPT = 0.6  # weight, at most, of the carried colours against the model's new proposal
_DOUBLINGS = 8  # of the distance between looks, from 1 at a shot's start
_APPROACH = 0.3  # of the way from the shown to the wanted colours that is gone at each picture
_STALE_LIMIT = 0.03  # share of a picture that may be stale before the model looks again
_MISMATCH = 28  # luma codes of 255 between a place and where it came from, beyond which it is another
_CUT_STALE, _CUT_HISTOGRAM = 0.5, 0.5  # shares of the picture; either means a cut
_BINS = 32
# A strip narrower than these pixels, or longer than so many times its width, is taken to stand still: OpenCV
# cannot halve it often enough.
_LEAST_FOR_FLOW, _SLENDEREST = 16, 16


class FrameByFrame:
    """The model looks at every picture, and none knows of another: the comparison for `Steady`."""

    def __init__(self, see: See) -> None:
        self._see = see

    def __call__(self, luma: Float) -> Float:
        """Small luma (h, w) 0…1 to ab (h', w', 2), Lab units."""
        return self._see(lightness(luma, SRGB_TONE))

    def state(self) -> dict[str, NDArray[Any]]:
        """Nothing is remembered."""
        return {}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Nothing to take up."""


class Steady:
    """Carries chroma through the pictures of one film, given in their order.

    `see` is the model: L (h, w) at the network's size to ab (h', w', 2), `Colorizer.see`. `looks` and `cuts`
    count what happened.
    """

    def __init__(self, see: See, every: int = EVERY) -> None:
        self._see, self._every = see, every
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: NDArray[np.uint8] | None = None  # luma of the picture before, twice the size of ab
        self._size: tuple[int, ...] = (0, 0)  # of the luma that is given
        self._shown: Float = np.zeros((0, 0, 2), np.float32)
        self._wanted: Float = self._shown
        self._stale: Float = np.zeros((0, 0), np.float32)  # 0 trusted … 1 hidden when the model last looked
        self._since = self._shot_looks = 0
        self.looks = self.cuts = 0

    def __call__(self, luma: Float) -> Float:
        """Small luma (h, w) 0…1 to ab (h', w', 2), Lab units."""
        if self._before is None or luma.shape != self._size:
            return self._begin(luma)
        now = self._for_flow(luma)
        flow, hidden = self._motion(now, self._before)
        if hidden.mean() > _CUT_STALE or _histogram_distance(now, self._before) > _CUT_HISTOGRAM:
            self.cuts += 1
            return self._begin(luma)
        self._carry(flow, hidden)
        self._before = now
        self._since += 1
        due = min(self._every, 1 << min(self._shot_looks - 1, _DOUBLINGS))
        if self._since >= due or self._stale.mean() > _STALE_LIMIT:
            self._look(luma)
        self._shown = self._shown + np.float32(_APPROACH) * (self._wanted - self._shown)
        return self._shown

    def state(self) -> dict[str, NDArray[Any]]:
        """All that is remembered, as arrays, for `restore`."""
        if self._before is None:
            return {}
        return {
            "before": self._before, "shown": self._shown, "wanted": self._wanted, "stale": self._stale,
            "counts": np.array([self._since, self._shot_looks]), "size": np.array(self._size),
        }  # fmt: skip

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on as if the pictures before had been seen here."""
        if state:
            self._before, self._shown = state["before"], state["shown"]
            self._wanted, self._stale = state["wanted"], state["stale"]
            self._since, self._shot_looks = map(int, state["counts"])
            self._size = tuple(map(int, state["size"]))

    def _begin(self, luma: Float) -> Float:
        """A shot's first picture."""
        self._shown = self._wanted = self._see(lightness(luma, SRGB_TONE))
        self._stale = np.zeros(self._shown.shape[:2], np.float32)
        self._before, self._since, self._shot_looks = self._for_flow(luma), 0, 1
        self._size = luma.shape
        self.looks += 1
        return self._shown

    def _look(self, luma: Float) -> None:
        """Let the model propose, and blend that with what is carried; what was stale is all new."""
        proposed = self._see(lightness(luma, SRGB_TONE))
        stale = self._stale[..., None]
        kept = np.float32(min(_KEPT, self._shot_looks / (self._shot_looks + 1))) * (1 - stale)
        self._wanted = kept * self._wanted + (1 - kept) * proposed
        self._shown = (1 - stale) * self._shown + stale * self._wanted
        self._stale = np.zeros_like(self._stale)
        self._since = 0
        self._shot_looks += 1
        self.looks += 1

    def _carry(self, flow: Float, hidden: Float) -> None:
        """Move all maps along the flow (2h', 2w', 2), from which their own (h', w') is taken."""
        height, width = self._stale.shape
        small = cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / np.float32(2)
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        x += small[..., 0]
        y += small[..., 1]
        both = np.concatenate([self._shown, self._wanted], axis=-1)
        # Bilinear: sharper kernels overshoot, and that adds up from picture to picture.
        both = cv2.remap(both, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self._shown, self._wanted = both[..., :2], both[..., 2:]
        stale = cv2.remap(self._stale, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        fresh = cv2.resize(hidden, (width, height), interpolation=cv2.INTER_AREA)
        self._stale = np.maximum(stale, fresh)

    def _motion(self, now: NDArray[np.uint8], before: NDArray[np.uint8]) -> tuple[Float, Float]:
        """Where each place of `now` (h, w) was `before`, (h, w, 2) as x, y; and 1 where it was hidden."""
        if min(now.shape) < max(_LEAST_FOR_FLOW, max(now.shape) // _SLENDEREST):
            flow = back = np.zeros((*now.shape, 2), np.float32)
        else:
            flow, back = self._flow.calc(now, before, None), self._flow.calc(before, now, None)
        x, y = np.meshgrid(
            np.arange(now.shape[1], dtype=np.float32), np.arange(now.shape[0], dtype=np.float32)
        )
        x += flow[..., 0]
        y += flow[..., 1]
        returned = cv2.remap(back, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        apart = np.square(flow + returned).sum(-1)
        length = np.square(flow).sum(-1) + np.square(returned).sum(-1)
        came = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        outside = (x < -1) | (y < -1) | (x > now.shape[1]) | (y > now.shape[0])
        hidden = (apart > 0.01 * length + 0.5) | (cv2.absdiff(now, came) > _MISMATCH) | outside
        return flow, hidden.astype(np.float32)

    def _for_flow(self, luma: Float) -> NDArray[np.uint8]:
        """Luma as codes of 255 at twice the size of ab; blurred, since grain does not move along."""
        height, width = self._shown.shape[:2]
        small = cv2.resize(luma, (2 * width, 2 * height), interpolation=cv2.INTER_AREA)
        return np.rint(255 * cv2.GaussianBlur(small, (0, 0), 0.8)).astype(np.uint8)


def _histogram_distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Share of the pixels, 0…1, that would have to change their step of luma to make both alike."""
    counts = [np.bincount(x.ravel() // (256 // _BINS), minlength=_BINS) for x in (one, other)]
    return float(np.abs(counts[0] - counts[1]).sum() / (2 * one.size))
