"""Scores against scikit-image, hand-computed examples and direct definitions; each can get worse."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import color, data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tintype import metrics
from tintype.color import lab_to_rgb, rgb_to_lab


def blurred(rgb, sigma):
    return cv2.GaussianBlur(rgb, (0, 0), sigma)


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


def test_ssim_is_scikit_images(rng):
    truth = data.astronaut()[:97, 30:150].astype(np.float32) / 255
    scores = []
    for sigma in (0.7, 2):
        wanted = structural_similarity(
            truth, blurred(truth, sigma), data_range=1, channel_axis=-1, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )  # fmt: skip
        scores.append(metrics.ssim(blurred(truth, sigma), truth))
        assert scores[-1] == pytest.approx(wanted, abs=1e-5)
    assert 1 > scores[0] > scores[1]
    assert metrics.ssim(truth, truth) == pytest.approx(1)
    with pytest.raises(ValueError, match="11 pixels"):
        metrics.ssim(truth[:10], truth[:10])


def test_lab_is_scikit_images():
    rgb = data.coffee()[:64, :64] / 255
    assert np.abs(rgb_to_lab(rgb) - color.rgb2lab(rgb)).max() < 1e-4
    lab = color.rgb2lab(rgb)
    assert np.abs(lab_to_rgb(lab) - color.lab2rgb(lab)).max() < 1e-4


def test_delta_e_is_scikit_images(rng):
    lab, truth = rng.uniform(-1, 1, (2, 60, 50, 3)) * (50, 110, 110) + (50, 0, 0)
    lab[:9, :, 1:] = truth[:5, :, 1:] = 0  # greys, whose hue is undefined
    wanted = color.deltaE_ciede2000(truth, lab)
    assert np.abs(metrics.delta_e_2000_map(lab, truth) - wanted).max() < 1e-9
    single = metrics.delta_e_2000(lab.astype(np.float32), truth.astype(np.float32))
    assert single == pytest.approx(wanted.mean(), abs=1e-4)
    assert metrics.delta_e_2000(truth, truth) == 0
    steps = [metrics.delta_e_2000(truth + np.array([step, 0, 0]), truth) for step in (2, 5)]
    assert 0 < steps[0] < steps[1]


def test_the_reports_losses_by_hand():
    truth = np.zeros((2, 3, 2))
    ab = np.zeros((2, 3, 2))
    ab[0, 0] = 127.5, -255  # 1 and −2 when scaled to −1…1
    assert metrics.target_mse(ab, truth) == pytest.approx(5 / 12)
    assert metrics.half_sum_loss(ab, truth) == pytest.approx(2.5)
    assert metrics.half_sum_loss(ab * 2, truth) == pytest.approx(10)
    assert metrics.target_mse(ab * 2, truth) == pytest.approx(5 / 3)


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


def test_colorfulness_with_absolute_values_by_hand():
    assert metrics.colorfulness_absolute(np.full((5, 5, 3), 0.4)) == 0
    rgb = np.array([[[1, 0, 0], [0, 0, 1]]], float)
    # |rg| = 255, 0 and |yb| = 127.5, 255: spreads 127.5 and 63.75, means 127.5 and 191.25.
    wanted = np.hypot(127.5, 63.75) + 0.3 * np.hypot(127.5, 191.25)
    assert metrics.colorfulness_absolute(rgb) == pytest.approx(wanted)
    assert metrics.colorfulness_absolute(rgb) < metrics.colorfulness(rgb)
    assert metrics.colorfulness_absolute(rgb * 0.5) < wanted


def gaussian_of(samples):
    return samples.mean(0), np.cov(samples, rowvar=False)


def test_frechet_distance_of_one_dimension_by_hand():
    one, two = (np.array([3.0]), np.array([[4.0]])), (np.array([1.0]), np.array([[9.0]]))
    assert metrics.frechet_distance(*one, *two) == pytest.approx(2**2 + (2 - 3) ** 2)


def test_frechet_distance_by_its_definition(rng):
    from scipy.linalg import sqrtm

    x, y = rng.normal(size=(50, 6)), rng.normal(0.3, 2, size=(60, 6))
    (m1, c1), (m2, c2) = gaussian_of(x), gaussian_of(y)
    wanted = np.sum((m1 - m2) ** 2) + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
    assert metrics.frechet_distance(m1, c1, m2, c2) == pytest.approx(wanted)
    assert metrics.frechet_distance(m2, c2, m1, c1) == pytest.approx(wanted)


def test_frechet_distance_with_fewer_samples_than_dimensions(rng):
    x = rng.normal(size=(10, 40))
    near, far = x + rng.normal(0, 0.1, x.shape), x + rng.normal(0, 1, x.shape)
    distances = [metrics.frechet_distance(*gaussian_of(y), *gaussian_of(x)) for y in (x, near, far)]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert distances[0] < distances[1] < distances[2]


def test_flicker_is_what_motion_does_not_explain():
    rng = np.random.default_rng(0)
    ab = cv2.GaussianBlur(rng.normal(0, 40, (40, 60, 2)).astype(np.float32), (0, 0), 2)
    moved = np.roll(ab, 3, axis=1)
    flow = np.zeros((40, 60, 2), np.float32)
    flow[..., 0] = -3  # what is at x was at x - 3
    visible = np.ones((40, 60), bool)
    visible[:, :3] = False
    assert metrics.warped_error(moved, ab, flow, visible) == pytest.approx(0, abs=1e-4)
    assert metrics.warped_error(moved, ab, 0 * flow, visible) > 1
    assert metrics.warped_error(moved + np.float32([3, 4]), ab, flow, visible) == pytest.approx(5, abs=1e-3)
    assert metrics.warped_error(moved, ab, flow, 0 * visible) == 0


def test_cdc_by_hand():
    red, blue = np.zeros((2, 4, 4, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    assert metrics.color_distribution_consistency([red] * 6) == 0
    # Red and blue in turn: all pairs 1 apart share nothing in two of three channels, those 2 and 4 apart all.
    assert metrics.color_distribution_consistency([red, blue] * 3) == pytest.approx(2 * np.log(2) / 9)
    with pytest.raises(ValueError, match="5 pictures"):
        metrics.color_distribution_consistency([red] * 4)
