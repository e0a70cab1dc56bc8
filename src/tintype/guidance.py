"""What a user tells a model beside the picture, as inputs of the model's graph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tintype.color import rgb_to_lab
from tintype.errors import SettingsError
from tintype.session import Session

VIVIDNESS_LIMIT = 2


def graph_inputs(
    session: Session, vividness: float = 1.0, colors: Sequence[str] = ()
) -> dict[str, NDArray[np.float32]]:
    """The values to hand to `session.run`; what is as usual is left out.

    `vividness` runs from 0 to 2, `colors` are the picture's main colours as "#rrggbb". Raises SettingsError
    for a value out of range and for what the model cannot be told.
    """
    values: dict[str, NDArray[np.float32]] = {}
    check_number("vividness", vividness, 0, VIVIDNESS_LIMIT)
    if vividness != 1:
        check_takes(session, "vividness", "how vivid to be")
        values["vividness"] = np.array(vividness, np.float32)
    if colors:
        check_takes(session, "dominant_colors", "the picture's main colours")
        values["dominant_colors"] = _color_rows(colors, int(session.inputs["dominant_colors"][1]))
    return values


def check_number(name: str, value: float, least: float, most: float) -> None:
    """SettingsError for what is no number from `least` to `most`."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise SettingsError(f"The {name} must be a number from {least} to {most}, not {value!r}.")
    if not least <= value <= most:
        raise SettingsError(f"The {name} must be from {least} to {most}, not {value:g}.")


def hex_to_ab(text: str) -> NDArray[np.floating[Any]]:
    """The a and b (2,), in Lab units, of an sRGB colour written "#rrggbb". Raises SettingsError."""
    if not isinstance(text, str) or not re.fullmatch(r"#?[0-9a-fA-F]{6}", text):
        raise SettingsError(f"A colour is written #rrggbb, as in #c04020, not {text!r}.")
    return rgb_to_lab(np.array(list(bytes.fromhex(text.lstrip("#")))) / 255)[1:]


def check_takes(session: Session, name: str, what: str) -> None:
    """SettingsError where the model has no input of this name, by which it is told `what`."""
    if name not in session.inputs:
        raise SettingsError(f"The model {session.card.name} cannot be told {what}; leave that out.")


def _color_rows(colors: Sequence[str], count: int) -> NDArray[np.float32]:
    """Rows (count, 3) of a, b and 1, or of zeros where fewer colours are given."""
    if len(colors) > count:
        raise SettingsError(f"The model takes at most {count} colours, not {len(colors)}.")
    rows = np.zeros((count, 3), np.float32)
    for row, color in enumerate(colors):
        rows[row] = *hex_to_ab(color), 1
    return rows
