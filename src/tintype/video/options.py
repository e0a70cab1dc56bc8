"""What a user asks for of a film, and what became of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tintype.errors import SettingsError
from tintype.temporal import EVERY

SEGMENT_FRAMES = 300  # pictures that are lost, at most, when a film is stopped; x264 keeps 250 together


@dataclass(frozen=True, kw_only=True)
class FilmOptions:
    """How a film is coloured and stored."""

    every: int = EVERY
    """The model looks at one picture of so many, and at more where much moves."""
    steady: bool = True
    """Carry colours from picture to picture; else each is coloured alone, and flickers."""
    codec: str | None = None
    """FFmpeg's name of an encoder; by the container if None."""
    crf: float | None = None
    """The encoder's quality, lower being finer, for those that have such a scale; by the codec if None."""
    preset: str | None = None
    """The encoder's name of a pace, slower ones making smaller files; by the codec if None."""
    start: float | None = None
    """Seconds at which to begin …"""
    end: float | None = None
    """… and to end."""
    compare: bool = False
    """Grey on the left, colour on the right."""
    resume: bool = False
    """Go on with what a run that was stopped has left."""
    overwrite: bool = False
    """Replace a result that is there."""
    skip_colored: bool = False
    """Leave films alone that are in colour."""
    segment_frames: int = SEGMENT_FRAMES
    """Pictures that are stored at once, and are lost, at most, when the film is stopped."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise SettingsError("The model must look at one picture of 1 or more.")
        if self.segment_frames < 1:
            raise SettingsError("A segment must have 1 picture or more.")
        start = 0 if self.start is None else self.start
        if not (
            0 <= start < math.inf and (self.end is None or (start < self.end and math.isfinite(self.end)))
        ):
            raise SettingsError("The end must lie after the start, and both after 0.")


@dataclass
class FilmResult:
    """What became of a film."""

    source: str
    target: str | None = None
    status: str = "done"
    """`done` or `skipped`."""
    reason: str | None = None
    notes: list[str] = field(default_factory=list)
    complete: bool = True
    """False where the source breaks off or is damaged; what there is of it was coloured."""
    width: int = 0
    height: int = 0
    frames: int = 0
    resumed: int = 0
    """How many of the frames were finished in an earlier run."""
    looks: int = 0
    """How often the model looked, in this run."""
    seconds: float = 0.0
