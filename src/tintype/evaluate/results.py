"""What a run of the evaluator is made of and finds: the judges that it asks, and its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tintype.evaluate import further, scores
from tintype.evaluate.board import Board, Group
from tintype.evaluate.models import Model, Options
from tintype.evaluate.summary import Estimate
from tintype.evaluate.truths import CELLS, RGB8, Photographs, Survey, Truth, cut
from tintype.images import decode_rgb8

ARITHMETIC = Group("arithmetic", scores.VERSION, scores.PER_PICTURE)


class Judge(Protocol):
    """A network that scores: it looks at each picture once, and compares what it saw."""

    name: str
    digest: str
    keys: tuple[str, ...]
    frechet: str
    """The key of the Fréchet distance of its features; "" where it has none."""
    width: int
    """Length of the features."""

    def look(self, rgb8: RGB8) -> Any:
        """What it sees in (H, W, 3)."""

    def compare(self, seen: Any, truth: Any, label: str) -> dict[str, float]:
        """The scores `keys` of what was seen in a prediction."""

    def features(self, seen: Any) -> NDArray[np.float32]:
        """The features (width,), where it has some."""


@dataclass
class Results:
    """What a run found: `table` holds the scores of each model, and of `truth`, by key."""

    options: Options
    photographs: Photographs
    survey: Survey
    board: Board
    used: NDArray[np.intp]
    """Numbers of the photographs that were scored on."""
    models: Sequence[Model]
    judges: Sequence[Judge]
    table: dict[str, dict[str, Estimate]] = field(default_factory=dict)

    @property
    def further(self) -> dict[str, further.Further]:
        """The scores that the options ask for beside those of every run, by key."""
        return further.asked_for(self.options)

    @property
    def scores(self) -> dict[str, scores.Score]:
        """Every score that this run can have, by key, in the order of its tables."""
        return scores.SCORES | {key: one.score for key, one in self.further.items()}

    def truth(self, number: int) -> Truth:
        """A photograph as it was scored on, read anew."""
        return read_truth(self.photographs, number, self.options)

    def colours(self, name: str) -> NDArray[np.float64]:
        """The share of all pixels in each cell of the ab plane, (CELLS, CELLS), a down and b across."""
        rows = self.board.rows(name, ARITHMETIC.name, "colours", CELLS * CELLS)
        return np.mean(rows[self.used], axis=0, dtype=np.float64).reshape(CELLS, CELLS)


def rows_of(board: Board, name: str, judges: Sequence[Judge]) -> dict[str, Any]:
    """A model's rows, by the group that they belong to."""
    rows = {ARITHMETIC.name: board.rows(name, ARITHMETIC.name, "colours", CELLS * CELLS)}
    for judge in judges:
        if judge.frechet:
            rows[judge.name] = board.rows(name, judge.name, f"features-{judge.digest}", judge.width)
    return rows


def read_truth(photographs: Photographs, number: int, options: Options) -> Truth:
    """A photograph as it is scored on. Raises as its file does, DataError, InputError."""
    rgb8 = decode_rgb8(photographs.records[number].read())
    name, label = photographs.names[number], photographs.labels[number]
    return Truth(name, cut(rgb8, options.size, options.crop), label)
