"""Revealing true colours in training, and what the network's hint parts promise before any training."""

from __future__ import annotations

import pytest
import torch

from tintype.train import bins
from tintype.train.hints import Evidence, HintReader, Spread, hinted_cells, random_hints

HOW = {"none": 0.0, "mean_points": 8.0, "largest": 9, "positions": "uniform"}


def revealed(ab, seed=0, **how):
    torch.manual_seed(seed)
    return random_hints(ab, **(HOW | how))


def test_what_is_revealed_is_the_patchs_mean():
    ab = torch.randn(16, 2, 32, 40) * 30
    hint_ab, mask = revealed(ab, mean_points=1.0, largest=5)
    for picture, told, where in zip(ab, hint_ab, mask[:, 0].bool(), strict=True):
        rows, columns = where.nonzero().unbind(1)
        side = rows.max() - rows.min() + 1
        assert side == columns.max() - columns.min() + 1 <= 5
        assert len(rows) == side**2, "one whole square"
        torch.testing.assert_close(told[:, where], picture[:, where].mean(1, keepdim=True).expand(2, side**2))
        assert not told[:, ~where].any()


def test_single_pixels_are_revealed_as_they_are():
    ab = torch.randn(8, 2, 64, 64)
    hint_ab, mask = revealed(ab, largest=1)
    torch.testing.assert_close(hint_ab, ab * mask)


def test_numbers_of_points_are_geometric():
    _, mask = revealed(torch.zeros(3000, 2, 96, 96), largest=1)
    points = mask.flatten(1).sum(1)
    assert points.min() == 1
    assert points.mean().item() == pytest.approx(8, rel=0.08)  # two of them rarely fall on one pixel
    assert (points == 1).float().mean().item() == pytest.approx(1 / 8, abs=0.02)


def test_a_share_is_told_nothing():
    ab = torch.ones(2000, 2, 16, 16)
    _, mask = revealed(ab, none=0.7)
    assert (mask.flatten(1).sum(1) == 0).float().mean().item() == pytest.approx(0.7, abs=0.04)
    hint_ab, mask = revealed(ab, none=1.0)
    assert not hint_ab.any()
    assert not mask.any()


def test_gaussian_positions_keep_to_the_middle():
    spread = {}
    for positions in ("uniform", "gaussian"):
        _, mask = revealed(torch.zeros(400, 2, 64, 64), largest=1, positions=positions)
        rows = mask.nonzero()[:, 2].float()
        spread[positions] = rows.std().item()
        assert rows.mean().item() == pytest.approx(31.5, abs=2)
    assert spread["uniform"] == pytest.approx(64 / 12**0.5, rel=0.06)
    assert spread["gaussian"] < 0.85 * spread["uniform"]


def test_a_seed_reveals_the_same_points():
    ab = torch.randn(4, 2, 32, 32)
    for one, other in zip(revealed(ab, 3), revealed(ab, 3), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(revealed(ab, 3)[1], revealed(ab, 4)[1])


def test_cells_hold_the_mean_of_what_is_told_in_them():
    hint_ab, mask = torch.zeros(1, 2, 8, 8), torch.zeros(1, 1, 8, 8)
    hint_ab[..., 0, 0], hint_ab[..., 0, 1] = 22.0, 66.0
    mask[..., 0, :2] = 1
    cells = hinted_cells(hint_ab, mask, 4)
    assert cells[0, :, 0, 0].tolist() == pytest.approx([0.4, 0.4, 1])
    assert not cells[0, :, 1].any()
    assert not cells[0, :, 0, 1].any()


@pytest.fixture
def objects():
    """Features (1, 8, 6, 10) of two objects, left and right, and one hint in the left one's corner."""
    features = torch.zeros(1, 8, 6, 10)
    features[:, 0, :, :5], features[:, 1, :, 5:] = 1, 1
    cells = torch.zeros(1, 3, 6, 10)
    cells[0, :, 0, 0] = torch.tensor([0.5, -0.5, 1])
    return features, cells


def test_a_hint_spreads_over_its_object_and_no_further(objects):
    torch.manual_seed(0)
    features, cells = objects
    spread = Spread(8)(features, cells, cells[:, 2:])
    sure = spread[0, 2]
    assert sure[:, :5].min() > 0.5
    assert sure[:, 5:].max() < 0.1
    torch.testing.assert_close(spread[0, 0], 0.5 * sure)
    assert sure[0, 0] > sure[5, 4], "nearer cells are surer"


def test_where_nothing_is_told_all_is_exactly_zero(objects):
    features, cells = objects
    none = torch.zeros_like(cells)
    spread = Spread(8)(features, none, none[:, 2:])
    assert not spread.any()
    reader = HintReader(6, 5)
    torch.nn.init.ones_(reader.gamma)
    assert not reader(torch.cat([none, spread], 1)).any()
    evidence = Evidence(torch.from_numpy(bins.hull_bins()))
    assert not evidence(evidence.told(none, spread)).any()


def test_evidence_makes_any_colour_the_likeliest():
    hull = torch.from_numpy(bins.hull_bins())
    evidence = Evidence(hull)
    logits = torch.zeros(1, 313, 1, 1)
    logits[0, 0] = 3  # what the network would choose
    for color in ([55.0, -20.0], [0.0, 0.0], [-42.0, 31.0]):
        ab = torch.tensor(color)
        cells = torch.cat([ab / 110, torch.ones(1)]).reshape(1, 3, 1, 1)
        told = logits + evidence(evidence.told(cells, torch.zeros_like(cells)))
        assert (bins.annealed_mean(told, hull, 0.7).flatten() - ab).norm() < 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_points_are_drawn_on_the_gpu():
    hint_ab, mask = revealed(torch.randn(4, 2, 32, 32, device="cuda"))
    assert hint_ab.is_cuda
    assert mask.is_cuda


def test_few_bits_neither_shift_what_is_told_nor_divide_by_zero():
    ab = torch.randn(8, 2, 64, 64) * 40
    exact, mask = revealed(ab, largest=1)
    with torch.autocast("cpu", torch.bfloat16):
        told, _ = revealed(ab, largest=1)
        cells = hinted_cells(told, mask, 16)
    torch.testing.assert_close(told, exact)
    assert torch.isfinite(cells).all()
    assert torch.isfinite(hinted_cells(told.bfloat16(), mask.bfloat16(), 16)).all()
