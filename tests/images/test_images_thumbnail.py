"""Small versions of luma, in one step and band by band."""

from __future__ import annotations

import numpy as np
import pytest
from picture_makers import GREY, GREY_16, encoded, tiff

from tintype.images import open_picture
from tintype.images.resample import shrink, shrink_bands


def exact(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Area averages in 0…1, by exact integration."""

    def weights(n: int, m: int) -> np.ndarray:
        edges = np.arange(m + 1) * n / m
        inside = np.minimum(edges[1:, None], np.arange(1, n + 1)) - np.maximum(edges[:-1, None], np.arange(n))
        return np.maximum(inside, 0) * m / n

    scaled = values / np.iinfo(values.dtype).max
    return weights(values.shape[0], height) @ scaled @ weights(values.shape[1], width).T


@pytest.mark.parametrize("size", [(10, 13), (64, 87), (232, 316), (233, 317)])
@pytest.mark.parametrize("values", [GREY, GREY_16], ids=["8 bits", "16 bits"])
def test_thumbnails_are_area_averages(values: np.ndarray, size: tuple[int, int]) -> None:
    wanted = exact(values, *size)
    bands = [values[y : y + 19] for y in range(0, len(values), 19)]
    for got in (shrink(values, *size), shrink_bands(bands, values.shape, size)):
        assert (got.shape, got.dtype) == (size, np.float32)
        assert np.abs(got - wanted).max() < 2 / 255


def test_a_large_picture_is_averaged_as_well() -> None:
    y, x = np.mgrid[:1501, :2003]
    values = (127 + 100 * np.sin(y / 150) * np.cos(x / 170)).astype(np.uint8)
    assert np.abs(shrink(values, 31, 43) - exact(values, 31, 43)).max() < 2 / 255


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 700)])
def test_sides_may_grow(shape: tuple[int, int]) -> None:
    values = np.full(shape, 51, np.uint8)
    for source in (encoded(values, "PNG"), tiff(values, photometric="minisblack")):
        with open_picture(source) as picture:
            small = picture.pages[0].thumbnail(32, 96)
    assert small.shape == (32, 96)
    assert np.allclose(small, 0.2, atol=1e-3)


def test_bands_cover_the_page_once_and_in_order() -> None:
    for source in (encoded(GREY, "PNG"), tiff(GREY, rowsperstrip=10, compression="zlib")):
        with open_picture(source) as picture:
            rows = 0
            for band in picture.pages[0].bands():
                assert band.y0 == rows
                assert (band.luma == GREY[rows : rows + len(band.luma)]).all()
                rows += len(band.luma)
        assert rows == len(GREY)


def test_a_strip_keeps_the_detail_of_its_narrow_side():
    strip = np.tile(np.repeat(np.uint8([0, 255]), 1), (2048, 8))
    small = shrink(strip, 64, 16)
    assert np.array_equal(small, np.tile(np.float32([0, 1]), (64, 8)))
