"""Class-balanced AuC, intervals and Fréchet distances by their definitions; judges."""

from __future__ import annotations

import numpy as np
import pytest
from evaluate_helpers import Stripes, run, values

from tintype import metrics
from tintype.evaluate import summary
from tintype.evaluate.board import Column


def test_balanced_auc_over_all_pixels_by_its_definition(photographs, model, tmp_path):
    results = run([model], photographs, tmp_path)
    truth = np.stack([results.truth(i).ab for i in results.used]).reshape(-1, 2)
    network = results.models[0]
    ab = np.stack([network.predict(results.truth(i)).ab for i in results.used]).reshape(-1, 2)
    bins = np.rint(truth / 10)
    _, where, counts = np.unique(bins, axis=0, return_inverse=True, return_counts=True)
    mass = 1 / counts[where.ravel()]
    error = np.hypot(*(ab - truth).T)
    share = [mass[error <= t].sum() / mass.sum() for t in range(151)]
    wanted = 100 * (sum(share) - (share[0] + share[-1]) / 2) / 150
    assert values(results)["linear"]["auc_balanced_pixels"] == pytest.approx(wanted, abs=1e-3)


def column(**scores):
    return Column("", {key: np.array(value, float) for key, value in scores.items()})


def test_intervals_hold_the_mean_and_narrow_with_more_photographs():
    rng = np.random.default_rng(0)
    widths = []
    for count in (20, 2000):
        table = summary.summarise(column(psnr=rng.normal(20, 3, count)), column(), np.arange(count))
        value, low, high = table["psnr"]
        assert low < value < high
        widths.append(high - low)
        assert widths[-1] == pytest.approx(4 * 3 / count**0.5, rel=0.3)
        assert table["psnr"].half_width == widths[-1] / 2
    same = summary.summarise(column(psnr=[7, 7, 7]), column(), np.arange(3))["psnr"]
    assert same == (7, 7, 7)
    assert same.half_width == 0
    assert summary.Estimate(7).half_width is None


def test_a_frechet_distance_of_many_rows_is_that_of_all_at_once(monkeypatch):
    monkeypatch.setattr(summary, "_ROWS_AT_ONCE", 7)
    rng = np.random.default_rng(0)
    rows, truth = rng.normal(0, 1, (40, 3)), rng.normal(0.5, 2, (40, 3))
    used = np.arange(3, 33)
    gaussians = [part for array in (rows[used], truth[used]) for part in (array.mean(0), np.cov(array.T))]
    assert summary.frechet(rows, truth, used) == pytest.approx(metrics.frechet_distance(*gaussians))
    assert summary.frechet(rows, truth, used[:1]) is None


def test_a_difference_of_means_hides_what_differences_show():
    own = column(colorfulness=[10, 30])
    model = column(colorfulness=[30, 10], colorfulness_difference=[20, 20])
    table = summary.summarise(model, own, np.arange(2))
    assert table["colorfulness_difference"].value == 20
    assert table["colorfulness_of_means"].value == 0


def test_one_infinite_score_makes_the_mean_infinite_and_no_width():
    values = np.array([np.inf, *np.linspace(20, 30, 50)])
    table = summary.summarise(column(psnr=values, ssim=values), column(), np.arange(51))
    assert table["psnr"].value == np.inf
    assert np.isfinite(table["psnr"].low)  # of resamples without that photograph
    assert table["psnr"].half_width is None
    table = summary.summarise(column(psnr=[np.inf, np.inf]), column(), np.arange(2))
    assert table["psnr"] == (np.inf, np.inf, np.inf)


def test_unlabelled_photographs_do_not_count():
    table = summary.summarise(column(class_right=[1, np.nan, 0, np.nan]), column(), np.arange(4))
    assert table["class_right"].value == 50


def test_judges_compare_with_the_truth(photographs, model, tmp_path):
    judge = Stripes()
    results = run(["gray", model], photographs, tmp_path, judges=[judge])
    assert judge.looked == 4 * len(photographs)  # the truth's own column, the truth once, two models
    means = {
        m.name: np.stack([Stripes().look(m.predict(results.truth(i)).rgb8) for i in results.used])
        for m in results.models
    }
    truth = np.stack([Stripes().look(results.truth(i).rgb8) for i in results.used])
    gaussians = [(x.mean(0), np.cov(x, rowvar=False)) for x in (means["gray"], truth)]
    wanted = metrics.frechet_distance(*gaussians[0], *gaussians[1])
    assert values(results)["gray"]["frechet_classifier"] == pytest.approx(wanted, rel=0.01)
