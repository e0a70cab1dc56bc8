"""How sure a model is: what the number means, and the picture that shows it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tintype import Colorizer
from tintype.confidence import confidence_of, confidence_picture
from tintype.errors import OutputError, OutputExistsError, SettingsError
from tintype.images import open_picture
from tintype.images.icc import gamma_profile
from tintype.view import shown8

BINS = np.array([(a, b) for a in range(-90, 91, 10) for b in range(-90, 91, 10)], np.float32)


def gaussian(center, width):
    shares = np.exp(-((BINS - center) ** 2).sum(1) / (2 * width**2))
    return (shares / shares.sum()).astype(np.float32)


def test_it_is_the_share_of_colours_near_the_proposed_one():
    two = np.zeros((1, 3, len(BINS)), np.float32)
    here, there = (int(((BINS - c) ** 2).sum(1).argmin()) for c in ((0, 0), (60, 0)))
    two[..., here], two[..., there] = 0.7, 0.3
    ab = np.array([[(0, 0), (60, 0), (0, 80)]], np.float32)
    np.testing.assert_allclose(confidence_of(two, BINS, ab), [[0.7, 0.3, 0]], atol=0.01)


def test_it_is_as_often_right_as_it_says():
    """Of colours about the proposed one in Gaussian distances, as many lie within 15 Lab units."""
    for width in (5.0, 12.0, 25.0):
        shares = gaussian((10, -20), width)
        proposed = (shares @ BINS).astype(np.float32)
        hits = 1 - np.exp(-(15**2) / (2 * width**2))
        confidence = confidence_of(shares[None, None], BINS, proposed[None, None])[0, 0]
        assert confidence == pytest.approx(hits, abs=0.08)  # its border is soft


def test_the_picture_tells_the_sure_from_the_guessed():
    luma = np.full((60, 300), 200, np.uint8)
    confidence = np.tile(np.linspace(0, 1, 30, dtype=np.float32), (6, 1))
    picture = confidence_picture(luma, confidence)
    assert picture.shape == (60 + 36, 300, 3)
    sure, guess = picture[30, -5].astype(int), picture[30, 4].astype(int)
    assert sure[0] > 150 > sure[2], "yellow"
    assert guess[2] > guess[1], "violet"
    assert confidence_picture(luma[:, :20], confidence).shape == (96, 160, 3)
    dark = confidence_picture(np.zeros_like(luma), confidence)
    assert dark[30].mean() < picture[30].mean(), "the picture shows through"


@pytest.fixture(scope="module")
def colorizer(telling_model):
    return Colorizer(telling_model, threads=1)


def test_all_kinds_of_picture(colorizer, grey_photo, tmp_path):
    confidence = colorizer.confidence(grey_photo)
    assert confidence.shape == (16, 24)
    assert confidence.dtype == np.float32
    assert 0 <= confidence.min() < confidence.max() <= 1
    file = io.BytesIO()
    Image.fromarray(grey_photo).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    for same in (Image.fromarray(grey_photo), file.getvalue(), tmp_path / "a.png", str(tmp_path / "a.png")):
        np.testing.assert_allclose(colorizer.confidence(same), confidence, atol=1e-5)


def test_it_is_of_the_belief_not_of_the_boldness(telling_model):
    """The belief, at vividness 0, is nearly even; sharpened shares would seem sure."""
    bright = np.full((64, 64), 250, np.uint8)
    for vividness in (0.0, 1.0, 2.0):
        confidence = Colorizer(telling_model, vividness=vividness, threads=1).confidence(bright)
        assert confidence.max() < 0.4


def test_a_chart_is_a_file_like_any_result(colorizer, grey_photo, tmp_path):
    source, chart = tmp_path / "a.png", tmp_path / "sure.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(grey_photo).save(source, exif=exif)
    colorizer.confidence_file(source, chart)
    with Image.open(chart) as picture:
        assert picture.size == (grey_photo.shape[0], grey_photo.shape[1] + 36), "upright"
    with pytest.raises(OutputExistsError):
        colorizer.confidence_file(source, chart)
    with pytest.raises(OutputError, match="cannot be written as"):
        colorizer.confidence_file(source, tmp_path / "sure.txt")


def test_a_model_that_cannot_tell_says_so(tiny_model, grey_photo):
    with pytest.raises(SettingsError, match="tiny cannot give how sure it is: it weighs no bins"):
        Colorizer(tiny_model).confidence(grey_photo)


def test_a_chart_shows_the_picture_as_screens_do(colorizer, tmp_path):
    """Codes of linear light are brought to sRGB's: those of 128 look as 188 does."""
    grey = Image.fromarray(np.full((64, 64), 128, np.uint8))
    grey.save(tmp_path / "a.png", icc_profile=gamma_profile(1.0).icc)
    colorizer.confidence_file(tmp_path / "a.png", tmp_path / "sure.png")
    with open_picture(tmp_path / "a.png") as picture:
        assert shown8(picture.pages[0], 32).tolist() == [[188] * 32] * 32
    with Image.open(tmp_path / "sure.png") as chart:
        before = colorizer.confidence(tmp_path / "a.png")
        assert np.array_equal(np.asarray(chart), confidence_picture(np.full((64, 64), 188, np.uint8), before))
