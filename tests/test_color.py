"""Colour is checked against scikit-image, then round-tripped."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage import color as reference
from skimage import data

from tintype import color
from tintype.color import Signal


@pytest.fixture(scope="module")
def rgb():
    corners = np.array([[r, g, b] for r in (0, 1) for g in (0, 1) for b in (0, 1)], float)
    photograph = data.astronaut()[::16, ::16].reshape(-1, 3) / 255
    return np.concatenate([corners, photograph])[None]


def test_rgb_to_lab_agrees_with_scikit_image(rgb):
    np.testing.assert_allclose(color.rgb_to_lab(rgb), reference.rgb2lab(rgb), atol=1e-6)


def test_lab_to_rgb_agrees_with_scikit_image(rgb):
    lab = reference.rgb2lab(rgb)
    np.testing.assert_allclose(color.lab_to_rgb(lab), reference.lab2rgb(lab), atol=1e-6)


def test_lab_round_trip_in_float32(rgb):
    back = color.lab_to_rgb(color.rgb_to_lab(rgb.astype(np.float32)))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, rgb, atol=2e-5)


def test_ycbcr_round_trip(rgb):
    back = color.ycbcr_to_rgb(color.luma_of(rgb), color.rgb_to_cbcr(rgb))
    np.testing.assert_allclose(back, rgb, atol=1e-12)


def test_chroma_of_primaries_reaches_half():
    blue, red = np.eye(3)[2], np.eye(3)[0]
    assert color.rgb_to_cbcr(blue)[0] == pytest.approx(0.5)
    assert color.rgb_to_cbcr(red)[1] == pytest.approx(0.5)


def test_luma_is_pillows():
    picture = data.astronaut()
    ours = np.rint(color.luma_of(picture.astype(float)))
    assert np.abs(ours - np.asarray(Image.fromarray(picture).convert("L"))).max() <= 1


def test_lightness_of_grey_is_lab_lightness():
    grey = np.linspace(0, 1, 256)
    L = color.linear_to_L(color.SRGB_TONE.decode(grey))
    np.testing.assert_allclose(L, reference.rgb2lab(np.repeat(grey[:, None], 3, 1))[:, 0], atol=1e-4)


def test_tone_curve_round_trip_and_gamma():
    tone = color.ToneCurve(np.linspace(0, 1, 4096) ** 1.8)
    code = np.linspace(0, 1, 101)
    np.testing.assert_allclose(tone.decode(code), code**1.8, atol=1e-4)
    np.testing.assert_allclose(tone.encode(tone.decode(code)), code, atol=1e-3)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_codes_of_a_limited_range_are_the_standards(bits):
    signal, scale = Signal(bits=bits, full_range=False), 1 << (bits - 8)
    assert (signal.black, signal.luma_span) == (16 * scale, 219 * scale)
    assert (signal.chroma_span, signal.middle) == (224 * scale, 128 * scale)
