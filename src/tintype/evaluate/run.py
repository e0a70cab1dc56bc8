"""Runs models over photographs: each is read once, given to every model, and forgotten."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tintype.errors import ModelError, OutputError, SettingsError, TintypeError
from tintype.evaluate import further, scores, summary
from tintype.evaluate.board import Board, Group
from tintype.evaluate.models import Model, Options, Prediction
from tintype.evaluate.summary import Estimate
from tintype.evaluate.truths import (
    CELLS,
    RGB8,
    TRUTH,
    Photographs,
    Survey,
    Truth,
    cell_counts,
    cut,
    look_through,
)
from tintype.images import decode_rgb8
from tintype.plan import count_of

TRUTH_KEYS = ("class_right", "colorfulness", "colorfulness_absolute")  # the rest would compare it with itself
ARITHMETIC = Group("arithmetic", scores.VERSION, scores.PER_PICTURE)
Answer = TypeVar("Answer")


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


class Told(Protocol):
    """Who is told how far things are: `progress.Report`."""

    def begin(self, count: int) -> None:
        """`count` steps follow."""

    def step(self) -> None:
        """One of them is done."""

    def say(self, text: str) -> None:
        """A line for the user."""


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
        return _read(self.photographs, number, self.options)

    def colours(self, name: str) -> NDArray[np.float64]:
        """The share of all pixels in each cell of the ab plane, (CELLS, CELLS), a down and b across."""
        rows = self.board.rows(name, ARITHMETIC.name, "colours", CELLS * CELLS)
        return np.mean(rows[self.used], axis=0, dtype=np.float64).reshape(CELLS, CELLS)


def evaluate(
    models: Sequence[Model],
    photographs: Photographs,
    options: Options,
    folder: Path,
    *,
    judges: Sequence[Judge] = (),
    told: Told | None = None,
) -> Results:
    """Score `models` on `photographs`; what `folder` holds of an earlier run is not computed again.

    `folder` is made if it is missing. A photograph that cannot be read at the moment is left out, and looked
    at again by the next run. Raises InputError where no photograph has colour, ModelError, naming model and
    photograph, where a model fails, OutputError where the folder cannot be made, SettingsError for models of
    one name or of the truth's.
    """
    told = told or _Silent()
    names = [model.name for model in models]
    for name in names:
        if name == TRUTH or names.count(name) > 1:
            of = "the photographs' own scores" if name == TRUTH else "two models"
            raise SettingsError(f"{name} would be the name of {of}; give each model a name of its own.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder}: {error.strerror or error}.") from None
    # How many threads does not matter, and each further size is a group of its own.
    asked = {key: value for key, value in asdict(options).items() if key != "steady_sizes"}
    if not options.damage:  # so scores of before there was such a thing are found again
        del asked["damage"]
    state = photographs.state()
    survey = _survey(photographs, state, options, folder, told)
    # Without those the mean colour and the frequencies of colours are others, and so are the scores.
    unread = [survey.unread] if survey.unread else []
    run = _digest([state, asked | {"threads": None}, *unread])
    for model in models:
        model.prepare(survey)
    groups = [ARITHMETIC, *(one.group for one in further.asked_for(options).values())]
    labels = _digest(photographs.labels)
    groups += [Group(judge.name, f"{judge.digest}-{labels}", judge.keys) for judge in judges]
    digests = {TRUTH: TRUTH} | {model.name: model.digest for model in models}
    board = Board(folder, run, photographs.names, digests, groups)
    used = np.array([i for i, name in enumerate(photographs.names) if name not in survey.skipped])
    results = Results(options, photographs, survey, board, used, models, judges)
    try:
        _Scorer(results).go(told)
    finally:
        board.close()
    _fill_table(results)
    return results


class _Scorer:
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
        truth = _read(self.results.photographs, number, self.results.options)
        judged = scores.Judged(truth, self.weights)
        if groups := self.board.missing(TRUTH, number):
            self._finish(TRUTH, number, groups, Prediction(truth.ab, truth.rgb8), judged, {})
        for model in self.results.models:
            if groups := self.board.missing(model.name, number):
                prediction = _named(model.name, truth, partial(_predicted, model))
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
        return _rows(self.board, name, self.results.judges)


def _rows(board: Board, name: str, judges: Sequence[Judge]) -> dict[str, Any]:
    """A model's rows, by the group that they belong to."""
    rows = {ARITHMETIC.name: board.rows(name, ARITHMETIC.name, "colours", CELLS * CELLS)}
    for judge in judges:
        if judge.frechet:
            rows[judge.name] = board.rows(name, judge.name, f"features-{judge.digest}", judge.width)
    return rows


def _predicted(model: Model, truth: Truth) -> Prediction:
    """A model's colours; ModelError where they are no numbers."""
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


def _read(photographs: Photographs, number: int, options: Options) -> Truth:
    rgb8 = decode_rgb8(photographs.records[number].read())
    name, label = photographs.names[number], photographs.labels[number]
    return Truth(name, cut(rgb8, options.size, options.crop), label)


def _survey(photographs: Photographs, state: str, options: Options, folder: Path, told: Told) -> Survey:
    """One look at all photographs, or what an earlier one told of them in this `state`."""
    digest = _digest([state, options.size, options.crop, scores.VERSION])
    file = folder / f"survey-{digest}.json"
    if file.is_file():
        return Survey.from_json(file.read_text(encoding="utf-8"))
    told.say(f"Looking through {count_of(len(photographs), 'photograph')}.")
    told.begin(len(photographs))
    survey = look_through(photographs, options.size, options.crop, told.step)
    if survey.unread:  # which may be a matter of the moment
        return survey
    part = file.with_suffix(".part")
    part.write_text(survey.to_json(), encoding="utf-8")
    part.replace(file)
    return survey


def _fill_table(results: Results) -> None:
    board, used = results.board, results.used
    truth_rows = _rows(board, TRUTH, results.judges)
    for name, column in board.columns.items():
        table = summary.summarise(column, board.columns[TRUTH], used, results.options.seed)
        rows = _rows(board, name, results.judges)
        for judge in results.judges:
            if judge.frechet and name != TRUTH:
                distance = summary.frechet(rows[judge.name], truth_rows[judge.name], used)
                table |= {} if distance is None else {judge.frechet: Estimate(distance)}
        own = TRUTH_KEYS if name == TRUTH else results.scores
        known = [key for key in results.scores if key in table and key in own]
        results.table[name] = {key: table[key] for key in known}


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


class _Silent:
    """Tells nobody."""

    def begin(self, count: int) -> None:
        """Nothing."""

    def step(self) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""
