"""Scores against scikit-image, hand-computed examples and direct definitions; each can get worse."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from tintype import metrics


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_psnr_is_scikit_images(rng):
    truth = data.astronaut()[:64, :64] / 255
    noisy = (truth + rng.normal(0, 0.05, truth.shape)).clip(0, 1)
    wanted = peak_signal_noise_ratio(truth, noisy, data_range=1)
    assert metrics.psnr(noisy, truth) == pytest.approx(wanted, abs=1e-9)
    assert metrics.psnr(truth, truth) == float("inf")
    assert metrics.psnr(noisy * 0.9, truth) < metrics.psnr(noisy, truth)


def test_ab_rmse_is_the_mean_euclidean_error():
    truth = np.zeros((2, 2, 2))
    ab = np.array([[[3, 4], [0, 0]], [[0, 0], [0, 0]]], float)
    assert metrics.ab_rmse(ab, truth) == pytest.approx(2.5)
    assert metrics.ab_rmse(2 * ab, truth) == pytest.approx(5)


def test_auc_by_direct_definition(rng):
    truth, ab = rng.normal(0, 30, (2, 9, 11, 2))
    weights = rng.random((9, 11))
    error = np.hypot(*np.moveaxis(ab - truth, -1, 0))
    for w in (None, weights):
        mass = np.ones_like(error) if w is None else w
        share = [(mass * (error <= t)).sum() / mass.sum() for t in range(151)]
        assert metrics.auc(ab, truth, w) == pytest.approx(100 * np.trapezoid(share) / 150)


def test_auc_at_its_ends():
    truth = np.zeros((4, 4, 2))
    assert metrics.auc(truth, truth) == pytest.approx(100)
    assert metrics.auc(truth + 200, truth) == 0
    assert metrics.auc(truth + 10, truth) < metrics.auc(truth + 5, truth)


def test_colorfulness_by_hand():
    assert metrics.colorfulness(np.full((5, 5, 3), 0.4)) == 0
    rgb = np.array([[[1, 0, 0], [0, 0, 1]]], float)
    # rg = 255, 0 and yb = 127.5, -255: spreads 127.5 and 191.25, means 127.5 and -63.75.
    wanted = np.hypot(127.5, 191.25) + 0.3 * np.hypot(127.5, -63.75)
    assert metrics.colorfulness(rgb) == pytest.approx(wanted)
    assert metrics.colorfulness(rgb * 0.5) < wanted
