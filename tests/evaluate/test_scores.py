"""Scores rank models by their errors."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from evaluate_helpers import PICTURES

from tintype import evaluate, metrics
from tintype.color import rgb_to_lab
from tintype.evaluate.scores import SCORES, arithmetic


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


def test_which_way_is_better():
    better = {key: score.better for key, score in SCORES.items() if score.better != "lower"}
    grown = ("psnr", "ssim", "auc", "auc_balanced", "auc_balanced_pixels", "class_kept", "class_right")
    assert better == dict.fromkeys(grown, "higher") | {"colorfulness": "", "colorfulness_absolute": ""}


def test_colourfulness_differs_by_its_distance_and_has_two_forms():
    rgb8 = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    rgb = rgb8.astype(np.float32) / 255
    lab = rgb_to_lab(rgb)
    judged = SimpleNamespace(
        truth=SimpleNamespace(rgb=rgb, lab=lab, ab=lab[..., 1:]),
        weights=np.ones((16, 16)),
        own={"colorfulness": 500.0, "colorfulness_absolute": 400.0},
    )
    found = arithmetic(SimpleNamespace(rgb8=rgb8, ab=lab[..., 1:]), judged)
    assert found["colorfulness_absolute"] == pytest.approx(metrics.colorfulness_absolute(rgb), rel=1e-5)
    assert found["colorfulness_difference"] == pytest.approx(500 - found["colorfulness"])
    assert found["colorfulness_absolute_difference"] == pytest.approx(400 - found["colorfulness_absolute"])
