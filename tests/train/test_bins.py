"""Colour as classes: the bins, their soft codes, rebalancing and decoding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tintype.train import bins


@pytest.fixture(scope="module")
def encoder():
    return bins.SoftEncoder(bins.hull_bins())


def test_there_are_313_bins_on_a_grid_of_ten():
    hull = bins.hull_bins()
    assert hull.shape == (313, 2)
    assert (hull % 10 == 0).all()
    assert len(np.unique(hull, axis=0)) == 313
    assert hull[0].tolist() == [-90, 50]
    assert hull[-1].tolist() == [100, 0]


def test_soft_codes_are_the_five_nearest_by_direct_definition(encoder):
    hull = torch.from_numpy(bins.hull_bins())
    ab = torch.tensor([[12.0, -33.0], [0.0, 0.0], [97.0, 94.0]])
    index, weight = encoder(ab.t().reshape(1, 2, 1, 3))
    for i, color in enumerate(ab):
        distance = (hull - color).norm(dim=1)
        nearest = distance.topk(5, largest=False)
        wanted = torch.exp(-(nearest.values**2) / 50)
        got = dict(zip(index[0, :, 0, i].tolist(), weight[0, :, 0, i].tolist(), strict=True))
        assert max(got, key=got.get) in nearest.indices[:2].tolist()
        assert sorted(got.values()) == pytest.approx(sorted((wanted / wanted.sum()).tolist()), abs=1e-5)


def test_weights_sum_to_one_also_far_outside_the_gamut(encoder):
    _, weight = encoder(torch.tensor([-127.0, -127.0]).reshape(1, 2, 1, 1))
    assert weight.sum().item() == pytest.approx(1)


def test_encoding_then_decoding_gives_the_colour_back(encoder):
    hull = torch.from_numpy(bins.hull_bins())
    ab = torch.tensor([[10.0, 20.0], [-30.0, 20.0], [5.0, 5.0]]).t().reshape(1, 2, 1, 3)
    index, weight = encoder(ab)
    probability = torch.zeros(1, 313, 1, 3).scatter_add_(1, index, weight)
    decoded = bins.annealed_mean(probability.clamp(min=1e-9).log(), hull, T=1.0)
    assert (decoded - ab).abs().max() < 2


def test_rebalancing_has_expectation_one_and_favours_rare_bins():
    prior = torch.tensor([0.9, 0.09, 0.01, 0.0])
    weights = bins.rebalancing_weights(prior)
    assert (prior * weights).sum().item() == pytest.approx(1)
    assert (weights.diff() > 0).all()
    assert torch.isfinite(weights).all()
    assert torch.allclose(bins.rebalancing_weights(prior, mix=1.0), torch.ones(4))


def test_cross_entropy_falls_to_the_targets_entropy(encoder):
    index, weight = encoder(torch.tensor([12.0, -33.0]).reshape(1, 2, 1, 1))
    probability = torch.full((1, 313, 1, 1), 1e-12).scatter_add_(1, index, weight)
    entropy = -(weight * weight.log()).sum()
    flat = torch.ones(313)
    best = bins.soft_cross_entropy(probability.log(), index, weight, flat)
    assert best.item() == pytest.approx(entropy.item(), abs=1e-4)
    assert bins.soft_cross_entropy(torch.zeros(1, 313, 1, 1), index, weight, flat) > best


def test_low_temperature_takes_the_most_probable_bin():
    hull = torch.from_numpy(bins.hull_bins())
    logits = torch.zeros(1, 313, 1, 1)
    logits[0, 100] = 2
    cold = bins.annealed_mean(logits, hull, T=0.01).flatten()
    assert torch.allclose(cold, hull[100], atol=1e-2)
    warm = bins.annealed_mean(logits, hull, T=1.0).flatten()
    assert (warm - hull.mean(0)).norm() < (cold - hull.mean(0)).norm()


def test_weights_and_prior_by_hand():
    index = torch.tensor([[0, 1], [1, 2]]).reshape(2, 2, 1, 1)
    weight = torch.tensor([[0.75, 0.25], [0.5, 0.5]]).reshape(2, 2, 1, 1)
    prior = bins.bin_prior(index, weight, 4)
    assert prior.tolist() == [0.375, 0.375, 0.25, 0]
    torch.testing.assert_close(bins.log_weights(prior, 0.1), -torch.tensor([0.375, 0.375, 0.25, 0.1]).log())


def test_a_pixel_counts_by_the_weight_of_its_nearest_bin():
    index = torch.tensor([[0, 1], [2, 1]]).reshape(2, 2, 1, 1)
    weight = torch.full((2, 2, 1, 1), 0.5)
    logits = torch.zeros(2, 3, 1, 1)  # each pixel's cross-entropy is log 3
    found = bins.soft_cross_entropy(logits, index, weight, torch.tensor([1.0, 100.0, 5.0]))
    assert found.item() == pytest.approx(3 * np.log(3), rel=1e-5)


def test_the_grids_bins_are_the_centres_of_its_cells():
    grid = bins.grid_bins(11)
    assert grid.shape == (121, 2)
    assert grid[[0, 1, 11, 60, -1]].tolist() == [[-100, -100], [-100, -80], [-80, -100], [0, 0], [100, 100]]
