"""Full-size chroma: luma is kept, chroma gives way at the gamut's border, edges are followed."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image
from skimage import data

from tintype import chroma
from tintype.chroma import ChromaField, small_cbcr
from tintype.color import SRGB_TONE, Signal, luma_of, rgb_to_cbcr, rgb_to_lab


def field_for(luma, cbcr, small=(24, 36), threads=1):
    """A field with the constant `cbcr`, or an (h, w, 2) array, for full luma 0…1."""
    if np.ndim(cbcr) == 1:
        cbcr = np.broadcast_to(np.float32(cbcr), (*small, 2))
    size = cbcr.shape[1::-1]
    luma_small = cv2.resize(luma.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return ChromaField(np.ascontiguousarray(cbcr), luma_small, luma.shape, threads)


@pytest.mark.parametrize("cbcr", [(0.1, -0.1), (0.45, 0.2), (-0.5, 0.5), (0.0, 0.0)])
def test_eight_bit_luma_is_kept_exactly(grey_photo, cbcr):
    rgb = field_for(grey_photo / 255, cbcr).rgb(0, grey_photo)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (*grey_photo.shape, 3)
    back = np.asarray(Image.fromarray(rgb).convert("L")).astype(int)
    assert np.abs(back - grey_photo).max() <= 1


@pytest.mark.parametrize("cbcr", [(0.1, -0.1), (0.45, 0.2), (-0.5, 0.5)])
def test_sixteen_bit_luma_is_kept(cbcr):
    luma = np.random.default_rng(0).integers(0, 65536, (90, 70)).astype(np.uint16)
    rgb = field_for(luma / 65535, cbcr).rgb(0, luma)
    assert rgb.dtype == np.uint16
    assert np.abs(np.rint(luma_of(rgb.astype(float))) - luma).max() <= 1


def test_float_luma_is_kept_and_stays_in_range():
    luma = np.random.default_rng(0).random((50, 60), np.float32)
    rgb = field_for(luma, (0.4, 0.4)).rgb(0, luma)
    assert rgb.dtype == np.float32
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    np.testing.assert_allclose(luma_of(rgb), luma, atol=2e-6)


def test_black_and_white_stay_without_colour():
    luma = np.repeat(np.uint8([0, 255]), 40).reshape(1, 80).repeat(40, 0)
    rgb = field_for(luma / 255, (0.3, 0.3)).rgb(0, luma)
    assert (rgb == luma[..., None]).all()


def test_chroma_is_kept_where_it_fits():
    luma = np.full((64, 64), 128, np.uint8)
    rgb = field_for(luma / 255, (0.1, -0.05)).rgb(0, luma)
    np.testing.assert_allclose(rgb_to_cbcr(rgb / 255)[10, 10], (0.1, -0.05), atol=0.005)


def test_hue_is_kept_where_chroma_gives_way():
    luma = np.full((64, 64), 230, np.uint8)
    cb, cr = rgb_to_cbcr(field_for(luma / 255, (0.1, 0.2)).rgb(0, luma) / 255)[10, 10]
    assert 0.01 < cr < 0.2
    assert cb / cr == pytest.approx(0.5, abs=0.05)


def test_bands_and_threads_do_not_change_the_result(grey_photo):
    small = np.random.default_rng(0).normal(0, 0.1, (24, 36, 2)).astype(np.float32)
    whole = field_for(grey_photo / 255, small).rgb(0, grey_photo)
    parts = field_for(grey_photo / 255, small, threads=3)
    bands = [parts.rgb(y, grey_photo[y : y + 37]) for y in range(0, len(grey_photo), 37)]
    assert (np.concatenate(bands) == whole).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (7, 3), (33, 64), (300, 451)])
def test_planes_have_half_size_and_leave_the_luma_alone(shape):
    y, x = np.mgrid[: shape[0], : shape[1]]
    luma = (128 + 60 * np.sin(y / 9) * np.cos(x / 11)).astype(np.uint8)
    cb, cr = field_for(luma / 255, (0.15, -0.1), small=(2, 3)).planes_420(luma)
    assert cb.shape == cr.shape == ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
    jpeg = simplejpeg.encode_jpeg_yuv_planes(luma, cb, cr, 92)
    stored = simplejpeg.decode_jpeg(jpeg, "GRAY")[..., 0]
    back = np.asarray(Image.fromarray(simplejpeg.decode_jpeg(jpeg)).convert("L")).astype(int)
    assert (np.abs(back - stored) <= 3).mean() >= 0.997


def test_planes_agree_with_rgb_on_smooth_colour():
    luma = np.full((64, 96), 140, np.uint8)
    small = np.float32(np.dstack([np.tile(np.linspace(-0.2, 0.2, 24), (16, 1))] * 2))
    field = field_for(luma / 255, small)
    cb, cr = field.planes_420(luma)
    wanted = rgb_to_cbcr(field.rgb(0, luma) / 255)[::2, ::2] * 255 + 128
    assert np.abs(np.dstack([cb, cr]) - wanted).mean() < 1


def test_guided_upsampling_beats_bilinear_on_true_chroma():
    rgb = data.astronaut()[:448, :448].astype(np.float32) / 255
    truth, luma = rgb_to_cbcr(rgb), luma_of(rgb)
    small = cv2.resize(truth, (56, 56), interpolation=cv2.INTER_AREA)
    bilinear = cv2.resize(small, (448, 448), interpolation=cv2.INTER_LINEAR)
    ours = rgb_to_cbcr(field_for(luma, small).rgb(0, luma))
    assert np.square(ours - truth).mean() < 0.8 * np.square(bilinear - truth).mean()


def test_small_cbcr_of_grey_is_zero_and_strength_scales():
    L = np.full((4, 5), 60, np.float32)
    ab = np.full((4, 5, 2), 20, np.float32)
    assert np.abs(small_cbcr(L, ab, SRGB_TONE, 0.0)).max() < 1e-3
    half, full = (small_cbcr(L, ab, SRGB_TONE, s) for s in (0.5, 1.0))
    assert np.abs(full).max() > 1.6 * np.abs(half).max()


def test_lightness_runs_from_0_to_100():
    L = chroma.lightness(np.float32([0, 0.5, 1]), SRGB_TONE)
    np.testing.assert_allclose(L, [0, 53.39, 100], atol=0.01)


BT709 = Signal(0.2126, 0.0722, full_range=False)


@pytest.mark.parametrize("signal", [BT709, replace(BT709, bits=10), Signal(0.2627, 0.0593, 10)])
@pytest.mark.parametrize("step", [(1, 1), (1, 2), (2, 2)])
def test_planes_of_a_film_show_the_hue_that_was_meant(signal, step):
    """Read back by the standard's own equations, not by this module's."""
    code = signal.black + round(0.5 * signal.luma_span)
    luma = np.full((34, 47), code, np.uint8 if signal.bits == 8 else np.uint16)
    rgb = np.array([0.7, 0.45, 0.35], np.float32)  # R' - Y' and B' - Y' are what must come out
    red, green, blue = signal.weights
    own = red * rgb[0] + green * rgb[1] + blue * rgb[2]
    wanted = np.array([(rgb[2] - own) / (2 - 2 * blue), (rgb[0] - own) / (2 - 2 * red)], np.float32)
    lab = np.broadcast_to(rgb_to_lab(rgb), (8, 12, 3))
    cbcr = small_cbcr(lab[..., 0], lab[..., 1:], SRGB_TONE, signal=signal)
    field = ChromaField(cbcr, np.full((8, 12), 0.5, np.float32), luma.shape, 1)
    planes = field.planes(luma, signal, step)
    assert planes.dtype == luma.dtype
    assert planes.shape[1:] == (-(-34 // step[0]), -(-47 // step[1]))
    back = (planes.astype(float) - (1 << (signal.bits - 1))) / signal.chroma_span
    assert np.abs(back - wanted[:, None, None]).max() <= 0.6 / signal.chroma_span


def test_chroma_gives_way_beyond_black_and_white():
    luma = np.array([[0, 16, 235, 255]] * 2, np.uint8)
    planes = ChromaField(np.full((2, 4, 2), 0.2, np.float32), luma / np.float32(255), luma.shape, 1).planes(
        luma, BT709, (1, 1)
    )
    assert (planes == 128).all()


def test_rows_of_two_fields_are_not_mixed():
    luma = np.zeros((8, 16), np.uint8)
    luma[1::2] = 200  # the bottom field is bright
    small = np.array([0.2, 0.3, 0.2, 0.3], np.float32).reshape(2, 2, 1) * np.ones(2, np.float32)
    field = ChromaField(small, np.full((2, 2), 0.4, np.float32), luma.shape, 1)
    cb = field.planes(luma, BT709, (2, 2), interlaced=True)[0].astype(int)
    assert (cb[0::2] == 128).all()  # black has no room for chroma
    assert (cb[1::2] > 135).all()


@pytest.mark.parametrize("kind", ["f4", "f8", "u2"])
def test_the_order_of_bytes_does_not_change_the_result(kind):
    luma = np.random.default_rng(0).random((50, 60))
    luma = luma.astype(kind) if kind[0] == "f" else (luma * 65535).astype(kind)
    field = field_for(np.full((50, 60), 0.5), (0.1, -0.1))
    native, other = field.rgb(0, luma), field.rgb(0, luma.astype(luma.dtype.newbyteorder("S")))
    assert native.dtype == other.dtype == luma.dtype
    assert (native == other).all()


@pytest.mark.parametrize("signal", [BT709, replace(BT709, bits=10), Signal(0.2126, 0.0722, 10)])
def test_chroma_that_follows_the_luma_is_right_in_any_range(signal):
    Y = np.where(np.indices((16, 24)).sum(0) % 2, np.float32(0.25), np.float32(0.75))
    cbcr = np.stack([0.2 * (Y - 0.5), -0.2 * (Y - 0.5)], axis=-1).astype(np.float32)
    luma = np.rint(signal.black + signal.luma_span * Y).astype(np.uint8 if signal.bits == 8 else np.uint16)
    planes = ChromaField(cbcr, Y, Y.shape, 1).planes(luma, signal, (1, 1))
    wanted = signal.middle + signal.chroma_span * np.moveaxis(cbcr, -1, 0)
    assert np.abs(planes - wanted).max() <= 1


@pytest.mark.parametrize("signal", [BT709, replace(BT709, bits=10), Signal(0.2627, 0.0593, 10)])
@pytest.mark.parametrize("step", [(1, 1), (2, 2)])
def test_no_pixel_of_a_film_leaves_rgb(signal, step):
    codes = np.random.default_rng(0).integers(signal.black, signal.black + signal.luma_span + 1, (32, 48))
    luma = codes.astype(np.uint8 if signal.bits == 8 else np.uint16)
    Y = (codes - signal.black) / signal.luma_span
    for cbcr in ((0.4, -0.3), (-0.4, 0.4), (0.1, 0.45)):
        field = ChromaField(
            np.full((4, 6, 2), cbcr, np.float32), np.full((4, 6), 0.5, np.float32), luma.shape, 1
        )
        planes = (field.planes(luma, signal, step).astype(float) - signal.middle) / signal.chroma_span
        cb, cr = planes.repeat(step[0], 1).repeat(step[1], 2)
        weights = signal.weights
        red, blue = Y + 2 * (1 - weights[0]) * cr, Y + 2 * (1 - weights[2]) * cb
        green = (Y - weights[0] * red - weights[2] * blue) / weights[1]
        rgb = np.stack([red, green, blue])
        assert rgb.min() > -2 / 224
        assert rgb.max() < 1 + 2 / 224


def test_colours_end_where_the_luma_has_its_edge():
    luma = np.where(np.arange(96) < 44, 0.3, 0.7).astype(np.float32) * np.ones((64, 1), np.float32)
    truth = np.stack([0.5 * (luma - 0.5), -0.5 * (luma - 0.5)], axis=-1)  # 44 lies within a small pixel
    small = cv2.resize(truth, (12, 8), interpolation=cv2.INTER_AREA)
    cubic = cv2.resize(small, (96, 64), interpolation=cv2.INTER_CUBIC)
    ours = rgb_to_cbcr(field_for(luma, small).rgb(0, luma))
    print(np.abs(ours - truth).mean(), np.abs(cubic - truth).mean())
    assert np.abs(ours - truth).mean() < 0.5 * np.abs(cubic - truth).mean()


def test_a_field_serves_pictures_and_films_alike():
    luma = np.random.default_rng(0).integers(60, 180, (16, 24)).astype(np.uint8)
    cbcr = np.random.default_rng(1).uniform(-0.1, 0.1, (4, 6, 2)).astype(np.float32)

    def field():
        return ChromaField(cbcr, np.full((4, 6), 0.5, np.float32), luma.shape, 1)

    both = field()
    planes, rgb = both.planes(luma, BT709, (1, 1)), both.rgb(0, luma)
    assert np.array_equal(planes, field().planes(luma, BT709, (1, 1)))
    assert np.array_equal(rgb, field().rgb(0, luma))
