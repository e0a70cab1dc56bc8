"""Colours told by hand: points with a colour, read from a file, as maps for a model that takes hints.

A file of hints is JSON, one object:

    {
      "units": "pixels",
      "orientation": "upright",
      "points": [{"x": 120, "y": 80.5, "color": "#c04020", "radius": 6}]
    }

- `points`: at least one. `x` runs from the left, `y` from the top edge, so the picture's first pixel reaches
  from 0 to 1; `color` is sRGB, of which the hue and its strength are used, never the lightness; `radius`,
  which may be left out, is how far the colour is known to hold around the point.
- `units`: "pixels" of the picture at full size, the default; or "fractions", x of the width, y of the height
  and radius of the shorter side, each from 0 to 1.
- `orientation`: "upright", the default, is the picture as it is seen, turned as its EXIF orientation says;
  "stored" is the picture as its file holds it, without that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tintype.errors import InputError, SettingsError
from tintype.guidance import hex_to_ab
from tintype.images.orientation import seen_at, upright_size

DEFAULT_RADIUS = 1 / 64  # of the shorter side
_POINT_KEYS, _FILE_KEYS = {"x", "y", "color", "radius"}, {"points", "units", "orientation"}

Units = Literal["pixels", "fractions"]
Orientation = Literal["upright", "stored"]


@dataclass(frozen=True, kw_only=True)
class Hint:
    """A point of the picture and its colour. Raises SettingsError for what cannot be."""

    x: float
    """From the left edge, in `units`."""
    y: float
    """From the top edge, in `units`."""
    color: str
    """sRGB, as "#rrggbb"; its lightness is not used."""
    radius: float | None = None
    """How far the colour holds, in `units`; a 64th of the shorter side by default."""
    units: Units = "pixels"
    """Pixels of the full picture; or fractions of its width, height and, for the radius, shorter side."""
    orientation: Orientation = "upright"
    """Whether x and y are of the picture as it is seen or as its file holds it."""

    def __post_init__(self) -> None:
        if self.units not in ("pixels", "fractions"):
            raise SettingsError(f"A hint's units are pixels or fractions, not {_short(self.units)}.")
        if self.orientation not in ("upright", "stored"):
            raise SettingsError(f"A hint's orientation is upright or stored, not {_short(self.orientation)}.")
        for name in ("x", "y", "radius"):
            value = getattr(self, name)
            if value is None and name == "radius":
                continue
            if isinstance(value, bool) or not isinstance(value, Real) or not _is_finite(value):
                raise SettingsError(f"A hint's {name} is a number, not {_short(value)}.")
            if value < 0 or (name == "radius" and value == 0):
                raise SettingsError(f"A hint's {name} cannot be {value:g}.")
            if name == "radius" and self.units == "fractions" and float(value) > 1:
                raise SettingsError(
                    f"A hint's radius of {value:g} is no fraction from 0 to 1; or say pixels."
                )
        if not isinstance(self.color, str):
            raise SettingsError(f"A hint's color is text such as #c04020, not {_short(self.color)}.")
        hex_to_ab(self.color)


def read_hints(path: Path) -> tuple[Hint, ...]:
    """The hints of a JSON file (see the module). Raises InputError, which names the file and the point."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows may put a mark before it
    except OSError as error:
        raise InputError(f"The hints {path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise InputError(f"The hints {path} are not text in UTF-8.") from None
    return parse_hints(text, f"The hints {path}")


def parse_hints(text: str, name: str = "The hints") -> tuple[Hint, ...]:
    """The hints of a JSON text (see the module). Raises InputError, which says `name` and the point."""
    try:
        values = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a nest too deep
        raise InputError(f"{name} are no JSON: {error}.") from None
    if not isinstance(values, dict) or not isinstance(values.get("points"), list) or not values["points"]:
        raise InputError(f'{name} must be an object with a list "points" of at least one.')
    if unknown := sorted(values.keys() - _FILE_KEYS):
        raise InputError(f"{name} have unknown entries: {', '.join(unknown)}.")
    common = {key: values[key] for key in ("units", "orientation") if key in values}
    return tuple(_read_point(name, n, point, common) for n, point in enumerate(values["points"], start=1))


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return values


def hint_maps(
    hints: Sequence[Hint], seen: tuple[int, int], full: tuple[int, int], orientation: int = 1
) -> dict[str, NDArray[np.float32]]:
    """`hint_ab` (1, 2, h, w) in Lab units and `hint_mask` (1, 1, h, w), of 0 and 1, for a model.

    `seen` is the size (h, w) at which the model sees the picture upright, `full` the stored picture's (H, W),
    `orientation` EXIF's. A hint is a disc of at least one pixel; where two overlap the later one holds.
    Raises SettingsError for a point outside of the picture.
    """
    ab, mask = np.zeros((2, *seen), np.float32), np.zeros((1, *seen), np.float32)
    for hint in hints:
        disc = _disc(hint, seen, full, orientation)
        ab[:, disc] = hex_to_ab(hint.color)[:, None]
        mask[:, disc] = 1
    return {"hint_ab": ab[None], "hint_mask": mask[None]}


def as_seen(hint: Hint, full: tuple[int, int], orientation: int = 1) -> Hint:
    """The same hint in fractions of the upright picture, so that it holds at whatever size that is shown.

    `full` is the stored picture's (H, W), `orientation` EXIF's. SettingsError for a point outside of it.
    """
    x, y, radius = _in_fractions(hint, full, orientation)
    # No radius in fractions is over 1; so a wider disc reaches as far as the picture's shorter side.
    return Hint(x=x, y=y, color=hint.color, radius=min(1.0, radius), units="fractions")


def _in_fractions(hint: Hint, full: tuple[int, int], orientation: int) -> tuple[float, float, float]:
    """x of the upright picture's width, y of its height and the radius of its shorter side."""
    # Of the frame that the hint is told in.
    height, width = upright_size(full, orientation) if hint.orientation == "upright" else full
    per_x, per_y, per_r = (1, 1, 1) if hint.units == "fractions" else (width, height, min(full))
    x, y = float(hint.x) / per_x, float(hint.y) / per_y
    if x > 1 or y > 1:
        where = f"x {hint.x:g}, y {hint.y:g}"
        raise SettingsError(f"The hint at {where} lies outside of the picture of {width} × {height} pixels.")
    if hint.orientation == "stored":
        x, y = seen_at(x, y, orientation)
    return x, y, DEFAULT_RADIUS if hint.radius is None else float(hint.radius) / per_r


def _disc(hint: Hint, seen: tuple[int, int], full: tuple[int, int], orientation: int) -> NDArray[np.bool_]:
    """The pixels (h, w) of the upright picture at the model's size that one hint tells of."""
    x, y, radius = _in_fractions(hint, full, orientation)
    (rows, columns), (height, width) = seen, upright_size(full, orientation)
    # In pixels of the model's size, whose aspect can differ from the picture's by half a stride.
    x, y, radius = x * columns, y * rows, radius * min(full)
    across = (np.arange(columns) + 0.5 - x) / max(radius * columns / width, 1e-6)
    down = (np.arange(rows) + 0.5 - y) / max(radius * rows / height, 1e-6)
    disc = across[None] ** 2 + down[:, None] ** 2 <= 1
    disc[min(int(y), rows - 1), min(int(x), columns - 1)] = True
    return disc


def _read_point(name: str, number: int, point: Any, common: dict[str, Any]) -> Hint:
    if not isinstance(point, dict):
        raise InputError(f"{name}, point {number}: it must be an object with x, y and color.")
    if missing := sorted({"x", "y", "color"} - point.keys()):
        raise InputError(f"{name}, point {number}: {', '.join(missing)} is missing.")
    if unknown := sorted(point.keys() - _POINT_KEYS):
        raise InputError(f"{name}, point {number}: there is no {', '.join(unknown)}.")
    try:
        return Hint(**point, **common)
    except SettingsError as error:
        raise InputError(f"{name}, point {number}: {error}") from None


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond floating point
        return False


def _short(value: object) -> str:
    """What was given, cut to fit into a sentence."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
