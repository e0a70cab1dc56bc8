"""Mean scores of plain functions from L to ab, without files: what a training run needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from tintype.evaluate import scores
from tintype.evaluate.models import merge
from tintype.evaluate.truths import RGB8, Float, Survey, Truth, to_float

Predictor = Callable[[Float], Float]
Distance = Callable[[Float, Float], float]
KEYS = ("psnr", "ab_rmse", "auc", "auc_balanced", "colorfulness")


def gray(L: Float) -> Float:
    """No colour: ab 0 everywhere."""
    return np.zeros((1, 1, 2), np.float32)


def constant(ab: tuple[float, float]) -> Predictor:
    """The same ab everywhere, whatever the picture."""
    return lambda L: np.array(ab, np.float32).reshape(1, 1, 2)


def score(
    models: Mapping[str, Predictor],
    pictures: Callable[[], Iterable[RGB8]],
    distance: Distance | None = None,
) -> dict[str, dict[str, float]]:
    """Mean scores of each model over photographs (H, W, 3) uint8, which are gone through twice.

    A model is a function from L (H, W) to ab (h, w, 2), h and w at most H and W. The scores are `KEYS`, as
    the evaluator defines them, and, if `distance` takes two RGB pictures in 0…1 to a number, `lpips`. The key
    `truth` holds the photographs' own colourfulness.
    """
    survey = Survey()
    for rgb8 in pictures():
        survey.add(Truth("", rgb8))
    weights = survey.weights()
    lists: dict[str, dict[str, list[float]]] = {name: {} for name in ("truth", *models)}
    for rgb8 in pictures():
        truth = Truth("", rgb8)
        judged = scores.Judged(truth, weights)
        lists["truth"].setdefault("colorfulness", []).append(judged.own["colorfulness"])
        for name, predict in models.items():
            prediction = merge(truth.L, predict(truth.L))
            values = scores.arithmetic(prediction, judged)
            found = {key: values[key] for key in KEYS}
            if distance is not None:
                found["lpips"] = distance(to_float(prediction.rgb8), truth.rgb)
            for key, value in found.items():
                lists[name].setdefault(key, []).append(value)
    return {name: {key: float(np.mean(v)) for key, v in table.items()} for name, table in lists.items()}
