"""Scores colour models on photographs whose true colours are known, by the field's convention.

The truth's L goes in and is kept; the predicted ab is brought to full size bilinearly and merged with it
in Lab. Every model is a function from L (H, W) to ab (h, w, 2), h and w at most H and W.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype import metrics
from tintype.color import lab_to_rgb, rgb_to_lab

Float = NDArray[np.float32]
Predictor = Callable[[Float], Float]
Distance = Callable[[Float, Float], float]

_CELL = 10  # Lab units: side of the cells of the ab plane that class-balanced AuC gives equal say
_CELLS = 27  # cells a side, from −130 to 130


def gray(L: Float) -> Float:
    """No colour: ab 0 everywhere."""
    return np.zeros((1, 1, 2), np.float32)


def constant(ab: tuple[float, float]) -> Predictor:
    """The same ab everywhere, whatever the picture."""
    return lambda L: np.array(ab, np.float32).reshape(1, 1, 2)


def score(
    models: Mapping[str, Predictor],
    pictures: Callable[[], Iterable[NDArray[np.uint8]]],
    distance: Distance | None = None,
) -> dict[str, dict[str, float]]:
    """Mean scores of each model over photographs (H, W, 3) uint8, which are gone through twice.

    `psnr` in dB, `ab_rmse` in Lab units, `auc` and `auc_balanced` in percent, `colorfulness`, and, if
    `distance` takes two RGB pictures in 0…1 to a number, `lpips`. `auc_balanced` weighs each pixel by the
    inverse of its true colour's frequency over all photographs. The key `truth` holds the photographs' own
    colourfulness.
    """
    weights = _cell_weights(pictures())
    sums: dict[str, dict[str, list[float]]] = {name: {} for name in ("truth", *models)}
    for rgb8 in pictures():
        truth = _to_float(rgb8)
        lab = rgb_to_lab(truth)
        pixel_weights = weights[_cell(lab[..., 1:])]
        sums["truth"].setdefault("colorfulness", []).append(metrics.colorfulness(truth))
        for name, predict in models.items():
            ab = cv2.resize(predict(lab[..., 0]), lab.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            values = _score_one(ab, lab, truth, pixel_weights, distance)
            for key, value in values.items():
                sums[name].setdefault(key, []).append(value)
    return {name: {key: float(np.mean(v)) for key, v in table.items()} for name, table in sums.items()}


def _score_one(
    ab: Float, lab: Float, truth: Float, weights: Float, distance: Distance | None
) -> dict[str, float]:
    rgb = lab_to_rgb(np.concatenate([lab[..., :1], ab], axis=-1))
    rgb = (np.rint(rgb * 255) / 255).astype(np.float32)  # as the picture would be stored
    values = {
        "psnr": metrics.psnr(rgb, truth),
        "ab_rmse": metrics.ab_rmse(ab, lab[..., 1:]),
        "auc": metrics.auc(ab, lab[..., 1:]),
        "auc_balanced": metrics.auc(ab, lab[..., 1:], weights),
        "colorfulness": metrics.colorfulness(rgb),
    }
    return values | ({"lpips": distance(rgb, truth)} if distance else {})


def _to_float(rgb8: NDArray[np.uint8]) -> Float:
    return rgb8.astype(np.float32) * np.float32(1 / 255)


def _cell(ab: Float) -> NDArray[np.intp]:
    """The cell of the ab plane in which each pixel's colour lies, as one number."""
    index = (np.rint(ab / _CELL).astype(np.intp) + _CELLS // 2).clip(0, _CELLS - 1)
    return index[..., 0] * _CELLS + index[..., 1]


def _cell_weights(pictures: Iterable[NDArray[np.uint8]]) -> Float:
    counts = np.zeros(_CELLS * _CELLS, np.int64)
    for rgb8 in pictures:
        ab: Float = rgb_to_lab(_to_float(rgb8))[..., 1:]
        counts += np.bincount(_cell(ab).ravel(), minlength=len(counts))
    return np.where(counts > 0, 1 / np.maximum(counts, 1), 0).astype(np.float32)
