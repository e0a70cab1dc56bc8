"""The numbers that a setting may have, said with its type, so that no settings can be made with others."""

from __future__ import annotations

import dataclasses
import math
import typing
from dataclasses import dataclass
from typing import Annotated, Any

from tintype.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Range:
    """From `least` to `most`; `above` and `under` are ends that do not belong to it."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    under: float = math.inf

    def __contains__(self, number: float) -> bool:
        return self.least <= number <= self.most and self.above < number < self.under

    def __str__(self) -> str:
        low = f"{self.least:g}" if self.least > self.above else f"above {self.above:g}"
        if self.most == self.under == math.inf:
            return f"{low} or above" if self.least > self.above else low
        high = f"{self.most:g}" if self.most < self.under else f"under {self.under:g}"
        return f"from {low} to {high}"


Positive = Annotated[float, Range(above=0)]
NotNegative = Annotated[float, Range(least=0)]
Share = Annotated[float, Range(least=0, most=1)]
Whole = Annotated[int, Range(least=0)]
Count = Annotated[int, Range(least=1)]


def range_of(annotation: Any) -> Range | None:
    """The range that a type is annotated with, if any."""
    return next((one for one in typing.get_args(annotation) if isinstance(one, Range)), None)


@dataclass(frozen=True, kw_only=True)
class Ranged:
    """A base of settings: SettingsError where a field's number is out of the range of its type."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self), include_extras=True)
        for field in dataclasses.fields(self):
            number, allowed = getattr(self, field.name), range_of(hints[field.name])
            if allowed is not None and number not in allowed:
                raise SettingsError(f"{field.name} must be {allowed}, not {number:g}.")
