"""Scores for which a model is asked otherwise than for its colours: hints kept, steadiness over sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tintype import metrics
from tintype.evaluate import told
from tintype.evaluate.board import Group
from tintype.evaluate.models import Model, Options, Prediction, full_size
from tintype.evaluate.scores import Score
from tintype.evaluate.truths import Truth

TITLE = "Hints kept, and how far colours move when the network sees another size"
_STEADY_VERSION = "1"  # of what `_steady` measures; scores stored under another are computed anew


@dataclass(frozen=True)
class Further:
    """One such score; `key` names it, and the group in which it is kept."""

    key: str
    version: str
    score: Score
    measure: Callable[[Model, Prediction, Truth], float]
    """Of a model that gave this prediction for a photograph."""

    @property
    def group(self) -> Group:
        """What the board keeps: this score alone, so that another size does not compute anything anew."""
        return Group(self.key, self.version, (self.key,))


def asked_for(options: Options) -> dict[str, Further]:
    """The scores that the options ask for, by key."""
    found = [_hints_kept(options)] if options.random_hints else []
    found += [_steady(size) for size in dict.fromkeys(options.steady_sizes)]
    return {one.key: one for one in found}


def _hints_kept(options: Options) -> Further:
    def measure(model: Model, prediction: Prediction, truth: Truth) -> float:
        hints = told.random_hints(truth, model.view(truth), options.random_hints, options.seed)
        return told.share_kept(prediction.ab, truth.L, hints)

    meaning = f"share of the told points painted within ΔE2000 {told.KEPT_WITHIN:.0f} of what was told"
    return Further("hints_kept", told.VERSION, Score("hints kept %", "higher", 1, meaning), measure)


def _steady(size: int) -> Further:
    def measure(model: Model, prediction: Prediction, truth: Truth) -> float:
        return metrics.ab_distance(full_size(model.ab_at(truth, size), truth.L), prediction.ab)

    meaning = f"mean ab distance between the colours scored and those of a shorter side of {size} pixels"
    score = Score(f"Δab at {size}", "lower", 2, meaning)
    return Further(f"size_{size}", _STEADY_VERSION, score, measure)
