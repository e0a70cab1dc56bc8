"""Gives each photograph to every model and judge once, and puts down what they say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from tintype.errors import ModelError, TintypeError
from tintype.evaluate import scores
from tintype.evaluate.models import Model, Prediction
from tintype.evaluate.results import ARITHMETIC, Judge, Results, read_truth, rows_of
from tintype.evaluate.truths import TRUTH, Truth, cell_counts
from tintype.words import count_of

Answer = TypeVar("Answer")


class Told(Protocol):
    """Who is told how far things are: `progress.Report`."""

    def begin(self, count: int) -> None:
        """`count` steps follow."""

    def step(self) -> None:
        """One of them is done."""

    def say(self, text: str) -> None:
        """A line for the user."""


class Scorer:
    """Scores photograph by photograph."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.board, self.judges = results.board, {judge.name: judge for judge in results.judges}
        self.weights = results.survey.weights()
        for name in self.board.columns:
            self._rows_of(name)

    def go(self, told: Told) -> None:
        """Score what is missing."""
        columns = self.board.columns
        left = [int(i) for i in self.results.used if any(self.board.missing(name, i) for name in columns)]
        if len(left) < len(self.results.used):
            told.say(f"{count_of(len(self.results.used) - len(left), 'photograph')} scored before.")
        told.begin(len(left))
        for number in left:
            self.score(number)
            told.step()

    def score(self, number: int) -> None:
        """Score one photograph."""
        truth = read_truth(self.results.photographs, number, self.results.options)
        judged = scores.Judged(truth, self.weights)
        if groups := self.board.missing(TRUTH, number):
            self._finish(TRUTH, number, groups, Prediction(truth.ab, truth.rgb8), judged, {})
        for model in self.results.models:
            if groups := self.board.missing(model.name, number):
                prediction = predicted(model, truth)
                values = self._further(model, groups, truth, prediction)
                self._finish(model.name, number, groups, prediction, judged, values)

    def _further(
        self, model: Model, groups: set[str], truth: Truth, prediction: Prediction
    ) -> dict[str, float]:
        """Those scores of `groups` for which the model is asked again."""
        found = {key: one for key, one in self.results.further.items() if key in groups}
        return {
            key: _named(model.name, truth, partial(one.measure, model, prediction))
            for key, one in found.items()
        }

    def _finish(
        self,
        name: str,
        number: int,
        groups: set[str],
        prediction: Prediction,
        judged: scores.Judged,
        values: dict[str, float],
    ) -> None:
        """Compute the other scores of `groups` and put all down."""
        rows = self._rows_of(name)
        if ARITHMETIC.name in groups:
            values |= judged.own if name == TRUTH else scores.arithmetic(prediction, judged)
            rows[ARITHMETIC.name][number] = cell_counts(prediction.ab) / prediction.rgb8[..., 0].size
        for judge in (self.judges[group] for group in groups if group in self.judges):
            seen, found = _named(judge.name, judged.truth, partial(_judged, judge, prediction))
            values |= found
            if judge.frechet:
                rows[judge.name][number] = judge.features(seen)
        self.board.add(name, number, groups, values)

    def _rows_of(self, name: str) -> dict[str, Any]:
        return rows_of(self.board, name, self.results.judges)


def predicted(model: Model, truth: Truth) -> Prediction:
    """A model's colours; ModelError, naming it and the photograph, where it fails or gives no numbers."""
    return _named(model.name, truth, partial(_predicted, model))


def _predicted(model: Model, truth: Truth) -> Prediction:
    prediction = model.predict(truth)
    if not np.isfinite(prediction.ab).all():
        raise ModelError("it gave ab that is no number.")
    return prediction


def _judged(judge: Judge, prediction: Prediction, truth: Truth) -> tuple[Any, dict[str, float]]:
    """What a judge sees in a prediction, and its scores."""
    seen = judge.look(prediction.rgb8)
    if judge.name not in truth.states:
        truth.states[judge.name] = judge.look(truth.rgb8)
    return seen, judge.compare(seen, truth.states[judge.name], truth.label)


def _named(name: str, truth: Truth, ask: Callable[[Truth], Answer]) -> Answer:
    """What a model or judge answers; ModelError, naming it and the photograph, where it fails."""
    try:
        return ask(truth)
    except TintypeError as error:
        raise ModelError(f"{name} failed on {truth.name}: {error}") from error
    except Exception as error:  # onnxruntime and torch raise their own, which share no base but this
        reason = " ".join(str(error).split())
        raise ModelError(f"{name} failed on {truth.name}: {reason}") from error
