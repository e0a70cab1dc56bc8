"""The torch twin of the colour arithmetic gives the NumPy figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data

from tintype import color, metrics
from tintype.train import lab


def test_twins_agree_and_round_trip():
    rgb = data.astronaut()[::8, ::8] / 255
    batch = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    ours = lab.rgb_to_lab(batch)
    np.testing.assert_allclose(ours[0].permute(1, 2, 0), color.rgb_to_lab(rgb), atol=1e-6)
    np.testing.assert_allclose(lab.lab_to_rgb(ours), batch, atol=1e-6)
    np.testing.assert_allclose(lab.luma_of(batch)[0, 0], color.luma_of(rgb), atol=1e-9)


def test_lightness_of_luma():
    luma = torch.linspace(0, 1, 11)
    wanted = color.linear_to_L(color.srgb_to_linear(luma.numpy()))
    np.testing.assert_allclose(lab.luma_to_L(luma), wanted, atol=1e-4)


def test_colours_stay_exact_where_the_network_runs_in_bf16():
    rgb = torch.rand(2, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        colours, luma, back = lab.rgb_to_lab(rgb), lab.luma_of(rgb), lab.lab_to_rgb(lab.rgb_to_lab(rgb))
    assert torch.equal(colours, lab.rgb_to_lab(rgb))
    assert torch.equal(luma, lab.luma_of(rgb))
    assert (back - rgb).abs().max() < 1e-3


def test_colorfulness_is_that_of_the_metrics_and_can_be_learnt_from_in_grey():
    pictures = np.stack([data.astronaut()[:64, :64], data.coffee()[:64, :64], data.cat()[:64, :64]]) / 255
    rgb = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    expected = [metrics.colorfulness(picture) for picture in pictures]
    assert lab.colorfulness(rgb).tolist() == pytest.approx(expected, rel=1e-4)
    grey = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    lab.colorfulness(grey).sum().backward()
    assert grey.grad.isfinite().all()
