"""Whether a picture shows true colour, or only the tone of its paper, its toning bath or its scanner."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tintype.color import rgb_to_cbcr

LIGHTNESS_STEPS = 24
# Shares of pixels, and chroma in units of full range. Set on 500 photographs and their grey, sepia,
# split-toned, cast, stained and noisy versions as JPEGs of quality 60 to 90: none of the toned
# ones pass for colour, 96 % of the coloured ones do.
SEVERAL_HUES, SEVERAL_SHARE = 3.6 / 255, 0.03
STRONG, STRONG_SHARE = 20 / 255, 0.01


def shows_color(small_rgb: NDArray[Any]) -> bool:
    """True colour in a small RGB picture (h, w, 3), uint8 or uint16?

    Toning is chroma that is a function of lightness alone, so the mean chroma of each lightness is
    taken away first. What is left of a grey or toned photograph is noise, or lies along one hue
    (stains, uneven fading) and is weak; in a colour photograph it spreads over several hues or is strong.
    """
    rgb = small_rgb.reshape(-1, 3).astype(np.float32) / np.iinfo(small_rgb.dtype).max
    chroma = rgb_to_cbcr(rgb)
    if np.abs(chroma).max(initial=0) < SEVERAL_HUES:
        return False
    rest = _without_toning(rgb.mean(axis=1), chroma)
    hue = _main_hue(rest)
    across = rest[:, 1] * hue[0] - rest[:, 0] * hue[1]
    strong = np.hypot(rest[:, 0], rest[:, 1]) > STRONG
    several_hues = np.abs(across) > SEVERAL_HUES
    return bool(strong.mean() > STRONG_SHARE or several_hues.mean() > SEVERAL_SHARE)


def _without_toning(lightness: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Chroma (N, 2) less the median chroma of its step of lightness (N,) 0…1."""
    step = np.minimum((lightness * LIGHTNESS_STEPS).astype(int), LIGHTNESS_STEPS - 1)
    rest = chroma.copy()
    for value in np.unique(step):
        rest[step == value] -= np.median(chroma[step == value], axis=0)
    return rest


def _main_hue(rest: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vector (2,) along which the chroma (N, 2) spreads most."""
    _, vectors = np.linalg.eigh(rest.T @ rest)
    return np.asarray(vectors[:, 1], np.float32)
