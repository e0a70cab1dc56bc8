"""What is shown: panels side by side, the plot of the loss, and numbers drawn in."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype import chroma, metrics
from tintype.color import rgb_to_lab
from tintype.colorizer import Colorizer
from tintype.framing import resize_for_network
from tintype.live.sources import Shot
from tintype.temporal import Steady
from tintype.video.painter import refuse_hints

Rgb8 = NDArray[np.uint8]
Float = NDArray[np.float32]
_PLOTTED = 120  # pictures
_INK, _PAPER, _GRID, _LINE = (235, 235, 235), (24, 24, 24), (80, 80, 80), (240, 170, 60)


class LivePainter:
    """Colours the pictures of one source; `colorizer` may be changed on the way.

    SettingsError for one that has hints.
    """

    def __init__(self, colorizer: Colorizer, every: int) -> None:
        self._every = every
        self.take(colorizer)

    def take(self, colorizer: Colorizer) -> None:
        """Go on with this model. SettingsError as at the making."""
        refuse_hints(colorizer)
        self.colorizer = colorizer
        self._carry = Steady(colorizer.see, self._every)

    def __call__(self, rgb: Rgb8) -> tuple[Rgb8, Rgb8, Float]:
        """RGB (H, W, 3) to its luma (H, W), the new colours (H, W, 3) and their small ab (h, w, 2)."""
        luma: Rgb8 = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
        seen = resize_for_network(luma, self.colorizer.fixed_size, self.colorizer.card.stride)
        small: Float = seen * np.float32(1 / 255)
        ab = self._carry(small)
        strength, threads = self.colorizer.strength, self.colorizer.threads
        field = chroma.chroma_field(small, ab, luma.shape, strength=strength, threads=threads)
        return luma, field.rgb(0, luma), ab


class Screen:
    """Composes what is shown of each picture. `panels` are names of `arguments.PANELS`."""

    def __init__(self, panels: Sequence[str], *, loss: bool) -> None:
        self._panels, self._with_loss = panels, loss
        self._losses: deque[float] = deque(maxlen=_PLOTTED)
        self._times: deque[float] = deque(maxlen=30)
        self.latency = 0.0
        """Seconds from the coming of the last picture to its being composed."""

    @property
    def rate(self) -> float:
        """Pictures a second, over the last ones."""
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / max(1e-9, self._times[-1] - self._times[0])

    def compose(self, shot: Shot, luma: Rgb8, colored: Rgb8, ab: Float, model: str) -> Rgb8:
        """RGB (H, W', 3) with even sides."""
        pictures = {"original": shot.rgb, "grey": np.dstack([luma] * 3), "color": colored}
        shown = [pictures[name] for name in self._panels]
        if self._with_loss:
            self._losses.append(loss_of(ab, shot.rgb))
            shown.append(self._plot(luma.shape[0], min(luma.shape[1], luma.shape[0] * 4 // 3)))
        whole = np.hstack(shown)
        whole = np.ascontiguousarray(whole[: whole.shape[0] // 2 * 2, : whole.shape[1] // 2 * 2])
        now = time.monotonic()
        self._times.append(now)
        self.latency = now - shot.came
        _write(whole, f"{self.rate:.1f} frames/s  {1000 * self.latency:.0f} ms  {model}")
        return whole

    def _plot(self, height: int, width: int) -> Rgb8:
        plot = np.full((height, width, 3), _PAPER, np.uint8)
        values = np.array(self._losses)
        top = max(float(values.max()), 1e-4)
        room = height * 0.75
        x = np.linspace(width - 1 - (len(values) - 1) * width / _PLOTTED, width - 1, len(values))
        y = height - 6 - values / top * room
        for mark in (height - 6, height - 6 - round(room)):
            cv2.line(plot, (0, mark), (width - 1, mark), _GRID, 1)
        line = np.stack([x, y], -1).round().astype(np.int32)
        cv2.polylines(plot, [line[:, None]], False, _LINE, 2, cv2.LINE_AA)
        _write(plot, f"loss (MSE of ab in -1..1): {values[-1]:.4f}, top {top:.4f}")
        return plot


def loss_of(ab: Float, rgb: Rgb8) -> float:
    """Mean squared error of small ab (h, w, 2), scaled to −1…1, against those of the original (H, W, 3)."""
    small = cv2.resize(rgb, ab.shape[1::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return metrics.target_mse(ab, rgb_to_lab(small)[..., 1:])


def _write(picture: Rgb8, text: str) -> None:
    """Bright letters with a dark rim, at the upper left."""
    scale = max(0.42, picture.shape[0] / 900)
    x, y = int(12 * scale) + 2, int(26 * scale) + 4
    places = [(x + i, y + j, (0, 0, 0)) for i in (-1, 0, 1) for j in (-1, 0, 1)] + [(x, y, _INK)]
    for column, row, color in places:
        at = (column, row)
        cv2.putText(
            picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, color, max(1, round(scale)), cv2.LINE_AA
        )
