"""What counts as colour: not sepia, not split toning, not a scanner's cast or noise."""

from __future__ import annotations

import numpy as np
import pytest
from picture_makers import COLOR, COLOR_16, GREY, encoded, tiff
from PIL import Image
from skimage import data

from tintype.images import open_picture, toning

PHOTOGRAPHS = {name: getattr(data, name)() for name in ("astronaut", "coffee", "chelsea", "rocket")}


def toned(name: str, grey: np.ndarray) -> np.ndarray:
    """Grey (H, W) as RGB, toned in one of the ways of prints and scans."""
    curves = {
        "sepia": ([20, 150, 255], [10, 120, 245], [5, 90, 210]),
        "cyanotype": ([0, 70, 240], [20, 110, 245], [60, 160, 250]),
        "split": ([10, 120, 255], [10, 125, 250], [60, 140, 215]),
        "cast": ([5, 134, 255], [0, 128, 255], [8, 117, 225]),
        "none": ([0, 128, 255],) * 3,
    }[name]
    rgb = np.stack([np.interp(grey, [0, 128, 255], curve) for curve in curves], -1)
    return rgb.clip(0, 255).astype(np.uint8)


def is_colored(source: bytes) -> bool:
    with open_picture(source) as picture:
        return picture.pages[0].is_colored()


@pytest.mark.parametrize("name", ["sepia", "cyanotype", "split", "cast", "none"])
def test_toning_is_not_color(name: str) -> None:
    for photograph in PHOTOGRAPHS.values():
        grey = np.asarray(Image.fromarray(photograph).convert("L"))
        pixels = toned(name, grey)
        assert not is_colored(encoded(pixels, "JPEG", quality=75))
        assert not is_colored(encoded(pixels, "PNG"))


def test_a_noisy_scan_in_rgb_is_not_color() -> None:
    large = np.kron(GREY, np.ones((4, 4), np.uint8))
    noise = np.random.default_rng(0).normal(0, 8, (*large.shape, 3))
    scan = (toned("cast", large) + noise).clip(0, 255).astype(np.uint8)
    assert not is_colored(encoded(scan, "JPEG", quality=85))
    assert not is_colored(encoded(scan, "PNG"))


@pytest.mark.parametrize("quality", [75, 98])
def test_grain_in_a_large_jpeg_is_averaged_away_as_in_other_formats(quality: int) -> None:
    large = np.kron(GREY, np.ones((12, 12), np.uint8))
    noise = np.random.default_rng(0).normal(0, 12, (*large.shape, 3))
    scan = (toned("sepia", large) + noise).clip(0, 255).astype(np.uint8)
    assert not is_colored(encoded(scan, "JPEG", quality=quality, subsampling=0))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "JPEG2000", "WEBP"])
def test_color_is_judged_by_few_pixels(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At full size it would take many times what the rest does, of time and of memory."""
    judged: list[tuple[int, ...]] = []
    real = toning.shows_color
    monkeypatch.setattr(
        toning, "shows_color", lambda rgb, *more: judged.append(rgb.shape) or real(rgb, *more)
    )
    assert is_colored(encoded(np.tile(COLOR, (12, 12, 1)), kind))
    assert judged
    assert all(min(shape[:2]) <= 128 for shape in judged)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_color_is_color(name: str) -> None:
    for kind in ("JPEG", "PNG", "JPEG2000", "WEBP", "AVIF", "BMP", "TIFF"):
        assert is_colored(encoded(PHOTOGRAPHS[name], kind)), kind


def test_color_in_palettes_and_every_kind_of_tiff() -> None:
    assert is_colored(encoded(COLOR, "GIF"))
    palette = encoded(Image.fromarray(COLOR).quantize(200), "TIFF")
    inks = encoded(Image.fromarray(COLOR).convert("CMYK"), "TIFF")
    jpeg = encoded(COLOR, "TIFF", compression="jpeg")
    for source in (palette, inks, jpeg, tiff(COLOR_16), tiff(COLOR, tile=(64, 64), compression="zlib")):
        assert is_colored(source)


def test_grey_files_are_not_decoded_to_know() -> None:
    half = encoded(GREY, "JPEG")[:-2000]  # a decoder would complain
    with open_picture(half) as picture:
        assert not picture.pages[0].is_colored()
