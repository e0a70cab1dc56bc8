"""From the scores of single photographs to those of models: means, intervals, Fréchet distances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tintype import metrics
from tintype.evaluate.board import Column

RESAMPLES = 1000
_AT_ONCE = 50  # resamples drawn together
_PERCENT = ("class_kept", "class_right", "hints_kept")
_ROWS_AT_ONCE = 4096


class Estimate(NamedTuple):
    """A score of a model, with the limits of its bootstrap 95% interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half the interval's width; None where that is no finite number."""
        if self.low is None or self.high is None or not np.isfinite([self.low, self.high]).all():
            return None
        return (self.high - self.low) / 2


def summarise(column: Column, truth: Column, used: NDArray[np.intp], seed: int = 0) -> dict[str, Estimate]:
    """A model's scores over the photographs `used`, with percentile bootstrap intervals over photographs.

    The same resamples, 1,000 drawn from `seed`, serve every model and score. A score that no photograph has
    is left out.
    """
    values = {key: array[used] for key, array in column.values.items() if not np.isnan(array[used]).all()}
    own = {key: array[used] for key, array in truth.values.items() if not np.isnan(array[used]).all()}
    if not values:
        return {}
    exact = _statistics(np.ones((1, len(used))), values, own)
    parts = [_statistics(counts, values, own) for counts in _resamples(len(used), seed)]
    estimates = {}
    for key, (value,) in exact.items():
        drawn = np.concatenate([part[key] for part in parts])
        drawn = drawn[~np.isnan(drawn)]  # a resample may hold no photograph with a label
        low, high = np.percentile(drawn, (2.5, 97.5), method="nearest") if len(drawn) else (value, value)
        estimates[key] = Estimate(float(value), float(low), float(high))
    return estimates


def frechet(rows: NDArray[Any], truth_rows: NDArray[Any], used: NDArray[np.intp]) -> float | None:
    """Fréchet distance of a model's features (photographs, D) to the truth's; None of a single photograph."""
    if len(used) < 2:
        return None
    return metrics.frechet_distance(*_gaussian(rows, used), *_gaussian(truth_rows, used))


def _resamples(count: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each photograph was drawn, (resamples, count), a few resamples at a time."""
    rng = np.random.default_rng(seed)
    for _ in range(0, RESAMPLES, _AT_ONCE):
        yield rng.multinomial(count, np.full(count, 1 / count), _AT_ONCE).astype(np.float64)


def _statistics(
    counts: NDArray[np.float64], values: dict[str, NDArray[np.float64]], own: dict[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Every score for each row of `counts` (resamples, photographs)."""
    found = {key: _mean(counts, array) for key, array in values.items() if key != "balance_mass"}
    for key in _PERCENT:
        if key in found:
            found[key] = 100 * found[key]
    if "balance_mass" in values:
        mass = values["balance_mass"]
        found["auc_balanced_pixels"] = (counts @ (mass * values["auc_balanced"])) / (counts @ mass)
    for key in ("colorfulness", "colorfulness_absolute"):
        if f"{key}_difference" in values and key in own:
            found[f"{key}_of_means"] = np.abs(found[key] - _mean(counts, own[key]))
    return found


def _mean(counts: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over the photographs that have a value; NaN where none was drawn, ∞ where one is infinite."""
    known, infinite = ~np.isnan(values), np.isposinf(values)
    finite = np.where(infinite, 0, values)  # what is infinite and was not drawn must not count
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (counts[:, known] @ finite[known]) / counts[:, known].sum(axis=1)
    return np.where(counts[:, infinite].any(axis=1), np.inf, means)


def _gaussian(rows: NDArray[Any], used: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (D,) and covariance (D, D), with n − 1, of the rows `used`."""
    width = rows.shape[1]
    mean, second = np.zeros(width), np.zeros((width, width))
    parts = [used[i : i + _ROWS_AT_ONCE] for i in range(0, len(used), _ROWS_AT_ONCE)]
    for part in parts:
        mean += rows[part].astype(np.float64).sum(axis=0) / len(used)
    for part in parts:
        centred = rows[part].astype(np.float64) - mean
        second += centred.T @ centred
    return mean, second / (len(used) - 1)
