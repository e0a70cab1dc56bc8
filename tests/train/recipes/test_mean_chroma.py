"""Six blocks to one colour, whatever the input's size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tintype.train.lab import ab_to_unit, unit_to_ab
from tintype.train.recipes.mean_chroma import SCHEDULE, Model, Settings

NO_LABELS = torch.full((3,), -1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model(Settings()).eval()


def test_layers_are_the_reports(model):
    convolutions = [block[0] for block in model.features]
    assert [c.out_channels for c in convolutions] == [32, 64, 128, 256, 256, 512]
    assert {(c.kernel_size, c.stride, c.padding) for c in convolutions} == {((4, 4), (2, 2), (1, 1))}
    for _, norm, activation in model.features:
        assert isinstance(norm, nn.BatchNorm2d)
        assert isinstance(activation, nn.LeakyReLU)
    assert model.head.in_features == 512 * 2 * 2
    assert sum(p.numel() for p in model.parameters()) == 3_842_210


def test_training_is_the_reports(model):
    (group,) = model.optimizer().param_groups
    assert (group["lr"], group["weight_decay"], SCHEDULE.epochs) == (1e-4, 1e-5, 200)


def test_one_colour_for_the_whole_picture(model):
    with torch.no_grad():
        L = torch.rand(3, 1, 64, 96) * 100
        ab, mean = model(L), model.mean_ab(L)
    assert ab.shape == (3, 2, 8, 12)
    assert torch.equal(ab, mean[:, :, None, None].expand_as(ab))
    assert not torch.equal(mean[0], mean[1])


def test_an_input_of_128_is_not_resampled(model):
    with torch.no_grad():
        L = torch.rand(1, 1, 128, 128) * 100
        assert torch.equal(model.output(L), model.head(model.features(L / 100).flatten(1)).sigmoid())


def test_loss_is_of_the_normalised_means(model):
    L, ab = torch.rand(3, 1, 64, 64) * 100, torch.randn(3, 2, 64, 64) * 30
    with torch.no_grad():
        wanted = ((model.mean_ab(L) - ab.mean((2, 3))) / 255).square().mean()
        assert model.loss(L, ab, NO_LABELS)["loss"].item() == pytest.approx(wanted.item(), rel=1e-4)


def test_normalisation_is_undone():
    ab = torch.tensor([-128.0, 0.0, 127.0])
    assert ab_to_unit(ab).tolist() == pytest.approx([0, 128 / 255, 1])
    assert torch.allclose(unit_to_ab(ab_to_unit(ab)), ab, atol=1e-4)
