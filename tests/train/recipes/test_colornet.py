"""The report's three questions as settings: output activation, widest layer, depth."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tintype.errors import SettingsError
from tintype.train.lab import unit_to_ab
from tintype.train.recipes.colornet import SCHEDULE, Model, Settings, widths

NO_LABELS = torch.full((2,), -1)


def test_default_is_the_report():
    model = Model(Settings())
    down = [block[0] for block in model.encoder]
    assert [c.out_channels for c in down] == [8, 32, 128]
    assert {(c.kernel_size, c.stride, c.padding) for c in down} == {((3, 3), (2, 2), (1, 1))}
    *up, last = model.decoder
    assert [block[0].out_channels for block in up] == [32, 8]
    assert {(c.kernel_size, c.stride) for c in (*(b[0] for b in up), last)} == {((2, 2), (2, 2))}
    assert last.out_channels == 2
    for block in (*model.encoder, *up):
        assert [type(m) for m in block[1:]] == [nn.BatchNorm2d, nn.ReLU]
    assert sum(p.numel() for p in model.parameters()) == 57_338
    assert (Settings().lr, SCHEDULE.epochs, SCHEDULE.patience) == (0.01, 20, 5)


@pytest.mark.parametrize(
    ("widest", "depth", "wanted"),
    [
        (128, 3, [8, 32, 128]),
        (512, 3, [8, 64, 512]),
        (128, 5, [8, 16, 32, 64, 128]),
        (256, 6, [8, 16, 32, 64, 128, 256]),
    ],
)
def test_inner_widths_are_spaced_evenly(widest, depth, wanted):
    assert widths(widest, depth) == wanted


@pytest.mark.parametrize("depth", [3, 4, 5, 6])
@pytest.mark.parametrize("width", [64, 512])
def test_every_depth_and_width_keeps_the_size(depth, width):
    model = Model(Settings(depth=depth, width=width)).eval()
    assert model.multiple == 2**depth
    side = 2 * model.multiple
    with torch.no_grad():
        assert model(torch.rand(1, 1, side, side) * 100).shape == (1, 2, side, side)


@pytest.mark.parametrize(("activation", "low", "high"), [("sigmoid", 0, 1), ("relu", 0, 60), ("tanh", -1, 1)])
def test_activations_have_their_range(activation, low, high):
    torch.manual_seed(0)
    model = Model(Settings(activation=activation)).eval()
    model.decoder[-1].weight.data *= 1000  # far into saturation
    L = torch.rand(2, 1, 32, 32) * 100
    with torch.no_grad():
        output, ab = model.output(L), model(L)
    assert output.min().item() == pytest.approx(low, abs=1e-3)
    assert output.max().item() == pytest.approx(1, abs=1e-3) if high == 1 else output.max() > 1
    assert torch.allclose(ab, unit_to_ab(output.clamp(0, 1)))
    assert (ab.min() >= -128) & (ab.max() <= 127.01)


def test_both_forms_of_the_loss():
    model = Model(Settings()).eval()
    L, ab = torch.rand(2, 1, 32, 32) * 100, torch.randn(2, 2, 32, 32) * 20
    with torch.no_grad():
        losses = model.loss(L, ab, NO_LABELS)
        predicted, true = (torch.cat([L / 100, (x + 128) / 255], 1) for x in (model(L), ab))
    assert losses["whole_lab"].item() == pytest.approx((predicted - true).square().mean().item(), rel=1e-4)
    assert losses["loss"].item() == pytest.approx(1.5 * losses["whole_lab"].item(), rel=1e-5)


def test_a_width_below_the_first_layers_is_refused():
    with pytest.raises(SettingsError, match="width must be 8 or above"):
        Settings(width=4)
