"""Charts as SVG text: quality against speed, and clouds of colour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype.color import lab_to_rgb
from tintype.evaluate.truths import CELL, CELLS
from tintype.report.sheets import png_uri

PALETTE = ("#2f6db3", "#d1663c", "#3c9a5f", "#8a5bb0", "#c2417d", "#8f7a1e", "#3a9da8", "#7a7a7a")
_WIDTH, _HEIGHT = 460, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 20, 28, 46
_LEAST_RANGE = 8  # of the axis of time, from end to end
_CLOUD_SIDE = 324  # pixels of a drawn cloud
_CUT = 3  # cells beyond the colours of sRGB, at each side
_FAINTEST = 5.0  # powers of ten below 1 at which a share of the pixels is no longer drawn


class Point(NamedTuple):
    """A model in a chart; `x` is None where it costs nothing that could be measured."""

    name: str
    x: float | None
    y: float
    low: float | None
    high: float | None


def scatter(points: Sequence[Point], x_title: str, y_title: str) -> str:
    """Points with their intervals, x by powers of ten; those without an x are lines across."""
    frame = _Frame(points)
    label = escape(f"{y_title} against {x_title}")
    parts = [f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">']
    parts += frame.grid()
    parts += frame.lines([point for point in points if point.x is None])
    parts += frame.dots([point for point in points if point.x is not None])
    middle, bottom = (_LEFT + _WIDTH - _RIGHT) // 2, _HEIGHT - 6
    parts.append(_text(middle, bottom, x_title, 'class="title" text-anchor="middle"'))
    parts.append(_text(8, 14, y_title, 'class="title"'))
    return "".join([*parts, "</svg>"])


class _Frame:
    """The axes of a scatter plot, and what is drawn in them."""

    def __init__(self, points: Sequence[Point]) -> None:
        xs = [point.x for point in points if point.x]
        self._low_x, self._high_x = (min(xs) / 1.7, max(xs) * 1.7) if xs else (1.0, 10.0)
        widen = max(1.0, _LEAST_RANGE * self._low_x / self._high_x) ** 0.5
        self._low_x, self._high_x = self._low_x / widen, self._high_x * widen
        self._middle = median(xs) if xs else 1.0
        ends = [v for p in points for v in (p.y, p.low, p.high) if v is not None]
        self._ticks = nice_ticks(min(ends), max(ends))
        self._colours = {point.name: PALETTE[i % len(PALETTE)] for i, point in enumerate(points)}
        self._taken: list[tuple[float, float]] = []

    def x(self, value: float) -> float:
        """Where a value lies across."""
        share = math.log(value / self._low_x) / math.log(self._high_x / self._low_x)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Where a value lies, from above."""
        share = (value - self._ticks[0]) / (self._ticks[-1] - self._ticks[0])
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self) -> list[str]:
        """Lines and numbers of both axes."""
        parts = []
        for tick in self._ticks:
            y = self.y(tick)
            parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
            parts.append(_text(_LEFT - 6, y + 4, plain(tick), 'text-anchor="end"'))
        for tick in log_ticks(self._low_x, self._high_x):
            x = self.x(tick)
            parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
            parts.append(_text(x, _HEIGHT - _BOTTOM + 17, plain(tick), 'text-anchor="middle"'))
        return parts

    def lines(self, points: Sequence[Point]) -> list[str]:
        """Dashed lines across, with their names."""
        parts = []
        for point in points:
            y, colour = self.y(point.y), self._colours[point.name]
            line = (
                f'd="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{colour}" stroke-dasharray="5 4" fill="none"'
            )
            parts.append(f"<path {line}/>")
            parts.append(self._label(_LEFT + 6, y - 4, point.name, "start"))
        return parts

    def dots(self, points: Sequence[Point]) -> list[str]:
        """Dots with their intervals and names."""
        parts = []
        for point in points:
            x, y, colour = self.x(point.x or 1), self.y(point.y), self._colours[point.name]
            if point.low is not None and point.high is not None:
                whisker = f"M{x:.1f} {self.y(point.low):.1f}V{self.y(point.high):.1f}"
                parts.append(f'<path d="{whisker}" stroke="{colour}" stroke-width="1.5" opacity=".6"/>')
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
            # Outwards, so that names of neighbours do not meet.
            leftwards = (point.x or 1) < self._middle and x - 9 - 7 * len(point.name) > 0
            place, anchor = (x - 9, "end") if leftwards else (x + 9, "start")
            parts.append(self._label(place, y + 4, point.name, anchor))
        return parts

    def _label(self, x: float, y: float, name: str, anchor: str) -> str:
        """A name, moved down until it lies on no other."""
        while any(abs(y - other) < 13 and abs(x - beside) < 120 for beside, other in self._taken):
            y += 4
        self._taken.append((x, y))
        return _text(x, y, name, f'text-anchor="{anchor}" fill="{self._colours[name]}"')


def nice_ticks(low: float, high: float) -> list[float]:
    """Round numbers, 4 to 8 of them, that enclose the range."""
    span = max(high - low, 1e-9 + 0.02 * abs(high))
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next((m for m in (1, 2, 5) if span / (m * step) <= 6), 10)
    first, last = math.floor(low / step), math.ceil(high / step)
    last = max(last, first + 1)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """The 1, 2 and 5 of each power of ten within the range, or the powers alone in a wide one."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    return [m * 10.0**p for p in powers for m in steps if low <= m * 10.0**p <= high]


def plain(value: float) -> str:
    """A tick's number."""
    return f"{value:,.10g}"


def cloud(shares: NDArray[np.float64], title: str) -> str:
    """Where in the ab plane a model's pixels lie: shares (CELLS, CELLS), a down and b across.

    Each place is drawn in its own colour, the stronger the more pixels have it, by powers of ten; a runs to
    the right and b upwards, from −105 to 105.
    """
    shares = shares[_CUT:-_CUT, _CUT:-_CUT]
    strength = np.log10(np.maximum(shares, 10.0**-_FAINTEST)) / _FAINTEST + 1  # 0 … 1
    strength = cv2.resize(strength.T[::-1].copy(), (_CLOUD_SIDE, _CLOUD_SIDE), interpolation=cv2.INTER_LINEAR)
    edge = CELL * len(shares) / 2
    a = np.linspace(-edge, edge, _CLOUD_SIDE)
    lab = np.stack(np.broadcast_arrays(62.0, a, -a[:, None]), axis=-1)
    rgba = np.concatenate([lab_to_rgb(lab), strength.clip(0, 1)[..., None] ** 0.6], axis=-1)
    picture = png_uri(np.rint(255 * rgba).astype(np.uint8))
    return (
        f'<figure class="cloud"><img src="{picture}" alt="colours of {escape(title)}">'
        f"<figcaption>{escape(title)}</figcaption></figure>"
    )


def histogram(shares: Mapping[str, NDArray[np.float64]], title: str) -> str:
    """Shares (CELLS,) of the pixels along one axis of ab, by powers of ten; the first is drawn as an area."""
    low = -int(_FAINTEST)
    values = (np.arange(CELLS) - CELLS // 2)[_CUT:-_CUT] * CELL
    xs = _LEFT + (values - values[0]) / np.ptp(values) * (_WIDTH - _LEFT - _RIGHT)
    floor = _HEIGHT - _BOTTOM
    parts = [f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">']
    for power in range(low, 1):
        y = floor - (power - low) / -low * (floor - _TOP)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{100 * 10.0**power:.10g}%", 'text-anchor="end"'))
    for value, x in zip(values, xs, strict=True):
        if value % 50 == 0:
            parts.append(_text(x, floor + 17, plain(value), 'text-anchor="middle"'))
    for i, (name, share) in enumerate(shares.items()):
        heights = (np.log10(np.maximum(share[_CUT:-_CUT], 10.0**low)) - low) / -low
        line = "L".join(f"{x:.1f} {floor - h * (floor - _TOP):.1f}" for x, h in zip(xs, heights, strict=True))
        colour = PALETTE[(i - 1) % len(PALETTE)]
        if i == 0:
            parts.append(f'<path d="M{xs[0]:.1f} {floor}L{line}V{floor}Z" fill="#d9dce1"/>')
        else:
            parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        style = f'fill="{colour if i else "#8b9098"}" font-weight="600"'
        parts.append(_text(_WIDTH - _RIGHT - 4, _TOP + 12 + 15 * i, name, f'text-anchor="end" {style}'))
    parts.append(_text(8, 14, title, 'class="title"'))
    return "".join([*parts, "</svg>"])


def _text(x: float, y: float, text: str, attributes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(text)}</text>'
