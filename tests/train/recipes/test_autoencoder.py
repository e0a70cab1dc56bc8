"""The report's exact parameter counts, Keras's padding, and both colour spaces."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tintype.train.lab import rgb_to_lab
from tintype.train.recipes.autoencoder import Model, SameTransposedConv, Settings, scale_ab, unscale_ab

NO_LABELS = torch.full((4,), -1)


@pytest.fixture
def lab():
    torch.manual_seed(0)
    return rgb_to_lab(torch.rand(4, 3, 16, 16))


def statistics_in(part):
    norms = [m for m in part.modules() if isinstance(m, nn.BatchNorm2d)]
    return sum(m.running_mean.numel() + m.running_var.numel() for m in norms)


def keras_count(part):
    return sum(p.numel() for p in part.parameters()) + statistics_in(part)


def test_parameters_are_the_reports():
    model = Model(Settings())
    assert keras_count(model.encoder) == 148_155
    assert keras_count(model.decoder) == 150_145
    assert keras_count(model) == 298_300
    assert statistics_in(model) == 1_090


def test_every_convolution_has_bias_batch_norm_and_tanh():
    model = Model(Settings())
    blocks = [*model.encoder, *model.decoder]
    assert [block[0].out_channels for block in blocks] == [75, 90, 105, 3, 105, 90, 75, 2]
    for convolution, norm, activation in blocks:
        assert convolution.bias is not None
        assert isinstance(norm, nn.BatchNorm2d)
        assert isinstance(activation, nn.Tanh)


def test_target_scaling_is_undone():
    ab = torch.tensor([-127.0, 0.0, 128.0])
    assert scale_ab(ab).tolist() == pytest.approx([-1, -1 / 255, 1], abs=1e-6)
    assert torch.allclose(unscale_ab(scale_ab(ab)), ab, atol=1e-4)


def test_transposed_convolution_is_the_transpose_of_same_padding():
    """A 3×3 kernel of ones puts each input pixel on a 3×3 patch, cut off at the right and the bottom."""
    convolution = SameTransposedConv(1, 1, 3, 2)
    nn.init.ones_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    assert convolution(torch.ones(1, 1, 2, 2))[0, 0].tolist() == [
        [1, 1, 2, 1],
        [1, 1, 2, 1],
        [2, 2, 4, 2],
        [1, 1, 2, 1],
    ]


@pytest.mark.parametrize(("space", "channels"), [("lab", 2), ("rgb", 3)])
def test_output_and_target_are_alike(lab, space, channels):
    model = Model(Settings(color_space=space))
    output, target = model.output(lab[:, :1]), model.target(lab[:, :1], lab[:, 1:])
    assert output.shape == target.shape == (4, channels, 16, 16)
    for values in (output, target):
        assert values.min() >= -1
        assert values.max() <= 1


@pytest.mark.parametrize("space", ["lab", "rgb"])
def test_a_perfect_output_is_the_true_ab(lab, space, monkeypatch):
    model = Model(Settings(color_space=space))
    perfect = model.target(lab[:, :1], lab[:, 1:])
    monkeypatch.setattr(model, "output", lambda L: perfect)
    assert torch.allclose(model(lab[:, :1]), lab[:, 1:], atol=0.02)
    assert model.loss(lab[:, :1], lab[:, 1:], NO_LABELS)["loss"] == 0


def test_loss_per_image_is_half_the_sum_of_squares(lab):
    model = Model(Settings())
    losses = model.loss(lab[:, :1], lab[:, 1:], NO_LABELS)
    assert losses["per_image"].item() == pytest.approx(losses["loss"].item() * 2 * 16 * 16 / 2, rel=1e-5)


def test_rgb_has_one_more_output():
    assert keras_count(Model(Settings(color_space="rgb"))) == 298_300 + 75 + 1 + 4
