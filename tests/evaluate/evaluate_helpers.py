"""A run of the evaluator, and its table in numbers."""

from __future__ import annotations

import numpy as np
from skimage import data

from scoring_helpers import SIDE
from tintype import evaluate

OPTIONS = evaluate.Options(size=SIDE)
PICTURES = [data.astronaut()[:128, :128], data.chelsea()[:128, :128]]


def run(names, photographs, folder, options=OPTIONS, **more):
    return evaluate.evaluate(evaluate.open_models(names, options), photographs, options, folder, **more)


def values(results):
    return {name: {key: e.value for key, e in row.items()} for name, row in results.table.items()}


class Stripes:
    """A judge whose features are the mean colours."""

    name, digest, keys, frechet, width = "stripes", "1", ("class_kept",), "frechet_classifier", 3

    def __init__(self):
        self.looked = 0

    def look(self, rgb8):
        self.looked += 1
        return rgb8.mean((0, 1)) / 255

    def compare(self, seen, truth, label):
        return {"class_kept": float(np.abs(seen - truth).max() < 0.1)}

    def features(self, seen):
        return seen
