"""Runs models over photographs: each is read once, given to every model, and forgotten."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tintype.errors import OutputError, SettingsError
from tintype.evaluate import further, scores, summary
from tintype.evaluate.board import Board, Group
from tintype.evaluate.models import Model, Options
from tintype.evaluate.results import ARITHMETIC, Judge, Results, rows_of
from tintype.evaluate.scorer import Scorer, Told
from tintype.evaluate.summary import Estimate
from tintype.evaluate.truths import (
    TRUTH,
    Photographs,
    Survey,
    look_through,
)
from tintype.whole import whole_file
from tintype.words import count_of

TRUTH_KEYS = ("class_right", "colorfulness", "colorfulness_absolute")  # the rest would compare it with itself


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
        Scorer(results).go(told)
    finally:
        board.close()
    _fill_table(results)
    return results


def _survey(photographs: Photographs, state: str, options: Options, folder: Path, told: Told) -> Survey:
    """One look at all photographs, or what an earlier one told of them in this `state`."""
    digest = _digest([state, options.size, options.crop, scores.VERSION])
    file = folder / f"survey-{digest}.json"
    if file.is_file():
        with suppress(ValueError, TypeError, KeyError):  # a damaged one is made anew
            return Survey.from_json(file.read_text(encoding="utf-8"))
    told.say(f"Looking through {count_of(len(photographs), 'photograph')}.")
    told.begin(len(photographs))
    survey = look_through(photographs, options.size, options.crop, told.step)
    if survey.unread:  # which may be a matter of the moment
        return survey
    with whole_file(file) as written:
        written.write(survey.to_json().encode())
    return survey


def _fill_table(results: Results) -> None:
    board, used = results.board, results.used
    truth_rows = rows_of(board, TRUTH, results.judges)
    for name, column in board.columns.items():
        table = summary.summarise(column, board.columns[TRUTH], used, results.options.seed)
        rows = rows_of(board, name, results.judges)
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
