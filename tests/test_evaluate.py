"""The evaluator ranks models as their errors say, and counts rare colours fully where asked to."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from tintype import evaluate
from tintype.color import rgb_to_lab

PICTURES = [data.astronaut()[:128, :128], data.chelsea()[:128, :128]]


@pytest.fixture(scope="module")
def scores():
    # The evaluator scales by a multiplication: the same bits must come from here.
    pictures = [p.astype(np.float32) * np.float32(1 / 255) for p in PICTURES]
    known = {rgb_to_lab(p)[..., 0].tobytes(): rgb_to_lab(p)[..., 1:] for p in pictures}

    def oracle(blur):
        return lambda L: cv2.GaussianBlur(known[L.tobytes()], (0, 0), blur) if blur else known[L.tobytes()]

    models = {"truth-teller": oracle(0), "blurred": oracle(6), "gray": evaluate.gray}
    return evaluate.score(models | {"orange": evaluate.constant((20, 30))}, lambda: PICTURES)


def test_knowing_the_truth_is_perfect(scores):
    best = scores["truth-teller"]
    assert best["ab_rmse"] == pytest.approx(0, abs=1e-4)
    assert best["auc"] == pytest.approx(100, abs=0.01)
    assert best["psnr"] > 55
    assert best["colorfulness"] == pytest.approx(scores["truth"]["colorfulness"], rel=0.01)


def test_models_are_ranked_by_their_errors(scores):
    for key in ("psnr", "auc", "auc_balanced"):
        assert scores["truth-teller"][key] > scores["blurred"][key] > scores["gray"][key]
    assert scores["gray"]["ab_rmse"] > scores["blurred"]["ab_rmse"]
    assert scores["gray"]["colorfulness"] < 1


def test_balance_gives_rare_colours_their_say(scores):
    gap = {name: scores[name]["auc"] - scores[name]["auc_balanced"] for name in ("gray", "blurred")}
    assert gap["gray"] > 3
