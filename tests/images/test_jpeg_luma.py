"""A grey JPEG keeps its compressed luma; other JPEGs are re-encoded as finely as they came."""

from __future__ import annotations

import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image
from skimage import data

from tintype import chroma, images
from tintype.errors import InputError
from tintype.images.jpeg_luma import can_keep_luma
from tintype.images.jpeg_markers import luma_quality, markers


def encode(array, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", **options)
    return file.getvalue()


def colored(data, cbcr=(0.06, -0.05), quality=92):
    with images.open_picture(data) as picture:
        luma = picture.pages[0].luma()
        small = np.broadcast_to(np.float32(cbcr), (30, 45, 2))
        field = chroma.ChromaField(small, picture.pages[0].thumbnail(30, 45), luma.shape, 1)
        out = io.BytesIO()
        images.save_picture(picture, [field], out, "JPEG", quality)
    return out.getvalue()


KINDS = {
    "baseline": {},
    "optimized": {"optimize": True},
    "progressive": {"progressive": True},
    "restart": {"restart_marker_blocks": 7},
    "poor": {"quality": 30},
    "fine": {"quality": 100},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("crop", [(300, 451), (299, 450), (8, 8), (1, 1), (17, 1)])
def test_grey_jpeg_keeps_its_luma_bit_for_bit(grey_photo, options, crop):
    source = encode(grey_photo[: crop[0], : crop[1]], **options)
    result = colored(source)
    before, after = (simplejpeg.decode_jpeg(d, "GRAY") for d in (source, result))
    assert (before == after).all()
    picture = Image.open(io.BytesIO(result))
    picture.load()
    assert picture.mode == "RGB"
    assert picture.size == crop[::-1]
    mean = np.asarray(picture).reshape(-1, 3).mean(0)
    assert mean[2] > mean[1]  # the chroma asked for is bluish


def test_colour_is_the_same_as_by_plain_encoding(grey_photo):
    source = encode(grey_photo, quality=92)
    kept = np.asarray(Image.open(io.BytesIO(colored(source)))).astype(int)
    rgb = np.dstack([grey_photo] * 3)
    plain = np.asarray(Image.open(io.BytesIO(colored(encode(rgb, quality=92))))).astype(int)
    assert np.abs(kept - plain).mean() < 1.5


@pytest.mark.parametrize("quality", [40, 75, 85, 90, 92, 95, 98])
def test_a_colour_jpegs_luma_survives_re_encoding(quality):
    source = encode(data.astronaut(), quality=quality)
    before = simplejpeg.decode_jpeg(source, "GRAY")[..., 0].astype(int)
    after = np.asarray(Image.open(io.BytesIO(colored(source))).convert("L")).astype(int)
    assert (np.abs(after - before) <= 3).mean() >= 0.997


@pytest.mark.parametrize("quality", [50, 75, 85, 95])
@pytest.mark.parametrize("name", ["camera", "coffee", "chelsea", "rocket", "brick", "grass"])
def test_a_grey_photograph_stored_in_colour_keeps_its_luma(name, quality):
    grey = Image.fromarray(getattr(data, name)()).convert("L").convert("RGB")
    source = encode(np.asarray(grey), quality=quality)
    before = np.asarray(Image.open(io.BytesIO(source)).convert("L")).astype(int)
    after = np.asarray(Image.open(io.BytesIO(colored(source))).convert("L")).astype(int)
    assert (np.abs(after - before) <= 3).mean() >= 0.997


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_lossless_pictures_luma_survives_becoming_a_jpeg(grey_photo, kind):
    file = io.BytesIO()
    Image.fromarray(grey_photo).save(file, kind)
    after = np.asarray(Image.open(io.BytesIO(colored(file.getvalue()))).convert("L")).astype(int)
    assert (np.abs(after - grey_photo) <= 3).mean() >= 0.997


def test_a_stream_that_breaks_off_after_its_picture_cannot_be_copied(grey_photo):
    whole = encode(grey_photo)
    assert not can_keep_luma(whole[:-2])


def test_only_grey_files_can_keep_their_luma(grey_photo):
    assert can_keep_luma(encode(grey_photo))
    assert not can_keep_luma(encode(data.chelsea()))


@pytest.mark.parametrize("quality", [25, 49, 50, 75, 92, 100])
def test_quality_is_read_from_the_tables(grey_photo, quality):
    tables = next(m.body for m in markers(encode(grey_photo, quality=quality)) if m.kind == 0xDB)
    assert luma_quality(tables) == (quality, True)


def test_a_truncated_grey_jpeg_is_refused(grey_photo):
    source = encode(grey_photo)
    with pytest.raises(InputError, match="truncated"):
        colored(source[: len(source) // 2])
