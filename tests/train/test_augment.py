"""What old pictures went through: only the grey input changes, each change by its own setting."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from tintype.train import damage
from tintype.train.augment import GreySettings, to_training_pair
from tintype.train.lab import rgb_to_lab

NAMES = [field.name for field in dataclasses.fields(GreySettings)]
NEVER = dict.fromkeys(NAMES, 0.0)


@pytest.fixture(scope="module")
def rgb():
    pictures = [cv2.resize(p, (83, 75)) for p in (data.astronaut(), data.coffee(), data.chelsea())]
    return torch.from_numpy(np.stack(pictures * 4)).permute(0, 3, 1, 2).float() / 255


def pair(rgb, **chances):
    torch.manual_seed(0)
    return to_training_pair(rgb, GreySettings(**(NEVER | chances)))


@pytest.fixture(scope="module")
def L(rgb):
    return pair(rgb)[0]


def test_without_changes_the_input_is_the_true_lightness(rgb, L):
    lab = rgb_to_lab(rgb)
    assert torch.equal(L, lab[:, :1].clamp(0, 100))
    assert torch.equal(pair(rgb)[1], lab[:, 1:])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mount"])
def test_each_change_alone_changes_the_grey_and_leaves_the_colours(rgb, L, name):
    changed, ab = pair(rgb, **{name: 1.0})
    assert torch.equal(ab, rgb_to_lab(rgb)[:, 1:])
    assert changed.shape == L.shape
    assert changed.isfinite().all()
    assert (changed.min(), changed.max()) >= (0, 0)
    assert changed.max() <= 100
    difference = (changed - L).abs().mean((1, 2, 3))
    assert (difference > 0.02).all()
    assert torch.equal(pair(rgb, **{name: 1.0})[0], changed)


@pytest.mark.parametrize("name", NAMES)
def test_a_change_touches_the_share_of_pictures_that_is_asked_for(rgb, name):
    many = rgb[:, :, :16, :16].repeat(25, 1, 1, 1)  # 300
    changed = (pair(many, **{name: 0.3})[0] - pair(many)[0]).abs().amax((1, 2, 3)) > 1e-4
    assert 0.2 < changed.float().mean() < 0.4


@pytest.mark.parametrize("name", damage.KINDS)
def test_damage_keeps_full_precision_under_autocast(rgb, name):
    wanted, _ = pair(rgb, **{name: 1.0})
    with torch.autocast("cpu", torch.bfloat16):
        got, ab = pair(rgb, **{name: 1.0})
    assert got.dtype == ab.dtype == torch.float32
    assert (got - wanted).abs().max() < 0.01
    assert (ab - rgb_to_lab(rgb)[:, 1:]).abs().max() < 0.01


def test_blur_is_opencvs_gaussian(L, monkeypatch):
    monkeypatch.setattr(damage, "uniform", lambda n, *_: torch.full((n, 1, 1, 1), 1.3))
    wanted = cv2.GaussianBlur(L[0, 0].numpy(), (11, 11), 1.3, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(damage.blur(L)[0, 0].numpy() - wanted).max() < 1e-3


@pytest.mark.parametrize("quality", [10, 40, 75])
def test_jpeg_is_what_an_encoder_does(L, monkeypatch, quality):
    """Against libjpeg on the same grey picture, its blocks at the same place."""
    grey = (L[0, 0, :72, :80] * 2.55).round()
    monkeypatch.setattr(damage, "uniform", lambda n, *_: torch.full((n, 1, 1, 1), float(quality)))
    monkeypatch.setattr(torch, "randint", lambda *_: torch.tensor(0))
    got = damage.jpeg((grey / 2.55)[None, None])[0, 0] * 2.55
    _, file = cv2.imencode(".jpg", grey.byte().numpy(), [cv2.IMWRITE_JPEG_QUALITY, quality])
    wanted = cv2.imdecode(file, cv2.IMREAD_GRAYSCALE).astype(np.float32)
    assert np.abs(got.clamp(0, 255).numpy() - wanted).mean() < 0.6
    assert np.abs(grey.numpy() - wanted).mean() > 1  # the encoder did change it


def test_halftone_keeps_the_tones_on_average():
    flat = torch.full((200, 1, 60, 60), 50.0)
    assert damage.halftone(flat).mean() == pytest.approx(50, abs=1)
    assert damage.halftone(flat).std() > 10


def test_uneven_light_is_soft_and_darkens_the_corners():
    torch.manual_seed(1)
    lit = damage.uneven(torch.full((300, 1, 64, 64), 60.0))
    assert (lit[..., 1:, :] - lit[..., :-1, :]).abs().max() < 3
    assert lit[..., 0, 0].mean() < lit[..., 32, 32].mean() - 8
    assert lit[..., 32, 32].mean() == pytest.approx(60, abs=1)


def test_fading_keeps_the_order_of_tones():
    torch.manual_seed(1)
    faded = damage.fade(torch.linspace(0, 100, 50).view(1, 1, 1, -1).repeat(300, 1, 1, 1))
    assert (faded.diff(dim=-1) > 0).all()
    assert 0 <= faded[..., 0].min() < faded[..., 0].max() <= 35
    assert 60 <= faded[..., -1].min() < faded[..., -1].max() <= 100


def test_grain_is_even_and_in_half_of_the_pictures_coarse():
    torch.manual_seed(1)
    grain = damage.grain(torch.full((400, 1, 48, 48), 50.0)) - 50
    assert grain.mean() == pytest.approx(0, abs=0.05)
    strength = grain.std((1, 2, 3))
    assert 5 < strength.max() < 8.5
    alike = (grain[..., 1:] * grain[..., :-1]).mean((1, 2, 3)) / strength**2
    assert 0.3 < (alike > 0.1).float().mean() < 0.6


def test_scratches_are_thin():
    torch.manual_seed(1)
    grey = torch.full((50, 1, 128, 128), 50.0)
    touched = (damage.scratches(grey) - grey).abs() > 5
    assert 0.001 < touched.float().mean() < 0.06


@pytest.mark.parametrize("grey", ["luma", "film"])
def test_a_mount_is_there_whatever_grey_is_seen(rgb, grey):
    L, ab = pair(rgb.repeat(40, 1, 1, 1), mount=1.0, **{grey: 1.0})
    colourless = ab.abs().amax((1, 2, 3)) < 1e-3
    assert colourless.any()  # empty pages
    assert L[colourless].std((1, 2, 3)).max() < 1e-3  # of which nothing else is seen


def test_a_mount_is_grey_to_both_and_leaves_the_picture_within_as_it_is(rgb, L):
    mounted, ab = pair(rgb, mount=1.0)
    true_ab = rgb_to_lab(rgb)[:, 1:]
    border = (ab.abs().amax(1, keepdim=True) < 0.01) & (true_ab.abs().amax(1, keepdim=True) > 0.5)
    assert (border.sum((1, 2, 3)) > 50).all()
    middle = slice(20, -20)
    inside = (mounted - L).abs()[..., middle, middle].amax((1, 2, 3)) < 1e-4
    assert inside.sum() >= 9  # of 12; the others are empty pages
    assert torch.equal(ab[inside][..., middle, middle], true_ab[inside][..., middle, middle])
    for one, edge in zip(mounted, border, strict=True):
        assert one[edge[0][None]].std() < 1e-3  # one grey all around
