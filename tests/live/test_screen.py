"""What is shown: panels of the original, of its grey and in colour, and the loss."""

from __future__ import annotations

import time

import cv2
import numpy as np
from skimage import data

from tintype.live.picture import Screen, loss_of
from tintype.live.sources import Shot


def test_panels_are_original_grey_and_colour_with_the_same_luma(painter):
    rgb = data.astronaut()[:240, 100:420]
    luma, colored, ab = painter(rgb)
    shot = Shot(rgb, 0, time.monotonic())
    whole = Screen(("original", "grey", "color"), loss=False).compose(shot, luma, colored, ab, "tiny")
    assert whole.shape == (240, 960, 3)
    below = np.s_[40:]  # the numbers are written above
    assert (whole[below, :320] == rgb[below]).all()
    assert (whole[below, 320:640] == luma[below, :, None]).all()
    assert (whole[below, 640:] == colored[below]).all()
    assert (whole[:20, :160] != rgb[:20, :160]).any()
    new_luma = cv2.cvtColor(colored, cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(new_luma - luma).max() <= 1
    assert np.ptp(colored.astype(int) - luma[..., None], axis=-1).max() > 10


def test_the_loss_is_plotted(painter):
    rgb = data.astronaut()[:240, 100:420]
    luma, colored, ab = painter(rgb)
    screen = Screen(("color",), loss=True)
    for _ in range(5):
        whole = screen.compose(Shot(rgb, 0, time.monotonic()), luma, colored, ab, "tiny")
    assert whole.shape == (240, 640, 3)
    orange = (whole[:, 320:, 0] > 200) & (whole[:, 320:, 2] < 100)
    assert orange.any()
    assert not orange[:50].any()
    assert loss_of(ab, colored) < 0.6 * loss_of(ab, rgb)  # nearer to its own, clipped


def test_odd_sizes_are_made_even(painter):
    rgb = np.zeros((51, 67, 3), np.uint8)
    whole = Screen(("color",), loss=False).compose(Shot(rgb, 0, 0.0), *painter(rgb), "tiny")
    assert whole.shape == (50, 66, 3)
