"""Versions of one picture: the usual one first, apart from each other, of one colour over a region."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tintype import Colorizer
from tintype.candidates import propose
from tintype.errors import OutputExistsError, SettingsError

BINS = np.array([(a, b) for a in range(-80, 81, 10) for b in range(-80, 81, 10)], np.float32)


def peak(*centers_and_shares, width=9.0):
    """Shares (Q,) with Gaussian peaks at colours."""
    shares = np.zeros(len(BINS))
    for center, share in centers_and_shares:
        bump = np.exp(-((BINS - center) ** 2).sum(1) / (2 * width**2))
        shares += share * bump / bump.sum()
    return (shares / shares.sum()).astype(np.float32)


@pytest.fixture
def scene():
    """(32, 48, Q): grass below, of one green; a coat above, of three colours; the shares a little noisy."""
    grass = peak(((-30, 30), 1.0))
    coat = peak(((40, 30), 0.45), ((0, -40), 0.35), ((0, 0), 0.2))
    probs = np.where((np.arange(32) < 16)[:, None, None], coat, grass)
    probs = np.broadcast_to(probs, (32, 48, len(BINS))) * np.random.default_rng(0).uniform(
        0.7, 1.3, (32, 48, 1)
    )
    noise = np.random.default_rng(1).uniform(0.6, 1.4, (32, 48, len(BINS)))
    probs = (probs * noise).astype(np.float32)
    return probs / probs.sum(-1, keepdims=True)


def test_the_first_is_the_usual_one(scene):
    for count in (1, 4):
        np.testing.assert_allclose(propose(scene, BINS, count)[0], scene @ BINS, atol=1e-4)


def test_they_differ_where_the_model_has_several_opinions_and_nowhere_else(scene):
    versions = np.stack(propose(scene, BINS, 4))
    coat, grass = versions[:, 2:12].mean((1, 2)), versions[:, 20:].mean((1, 2))
    apart = np.linalg.norm(coat[:, None] - coat[None], axis=-1)[np.triu_indices(4, 1)]
    assert apart.min() > 12
    assert np.linalg.norm(grass - [-30, 30], axis=-1).max() < 5


def test_each_is_one_of_the_models_opinions(scene):
    for version in propose(scene, BINS, 4)[1:]:
        coat = version[2:12].mean((0, 1))
        assert min(np.linalg.norm(coat - mode) for mode in ((40, 30), (0, -40), (0, 0))) < 13


def test_a_region_has_one_colour(scene):
    for version in propose(scene, BINS, 4):
        assert version[2:12].std((0, 1)).max() < 3, "no speckles"
        assert version[20:].std((0, 1)).max() < 3


def test_the_same_input_gives_the_same_versions(scene):
    for one, other in zip(propose(scene, BINS, 3), propose(scene, BINS, 3), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 5), (25, 49)])
def test_any_size_and_more_versions_than_opinions(size):
    probs = np.broadcast_to(peak(((20, 20), 1.0)), (*size, len(BINS)))
    versions = propose(probs, BINS, 5)
    assert len(versions) == 5
    for version in versions:
        assert version.shape == (*size, 2)
        assert np.linalg.norm(version - [20, 20], axis=-1).max() < 8


@pytest.fixture(scope="module")
def colorizer(telling_model):
    return Colorizer(telling_model, threads=1)


def test_versions_are_of_the_same_kind_as_the_picture(colorizer, grey_photo):
    arrays = colorizer.candidates(grey_photo, 3)
    assert (arrays[0] == colorizer(grey_photo)).all()
    assert np.abs(arrays[1].astype(int) - arrays[0]).mean() > 2
    assert np.abs(arrays[2].astype(int) - arrays[1]).mean() > 2
    pictures = colorizer.candidates(Image.fromarray(grey_photo), 3)
    assert [(p.mode, p.size) for p in pictures] == [("RGB", grey_photo.shape[::-1])] * 3
    file = io.BytesIO()
    Image.fromarray(grey_photo).save(file, "PNG")
    for data, array in zip(colorizer.candidates(file.getvalue(), 3), arrays, strict=True):
        assert (np.asarray(Image.open(io.BytesIO(data))) == array).all()


def test_versions_of_a_file_are_numbered(colorizer, grey_photo, tmp_path):
    source = tmp_path / "old.png"
    Image.fromarray(grey_photo).save(source)
    paths = colorizer.candidates(source, 2)
    assert [p.name for p in paths] == ["old.color-1.png", "old.color-2.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["old.color-1.png", "old.color-2.png", "old.png"]
    assert (np.asarray(Image.open(paths[0])) == colorizer(grey_photo)).all()
    paths[0].unlink()
    with pytest.raises(OutputExistsError, match=r"old\.color-2\.png exists already"):
        colorizer.candidates(source, 2)
    assert not paths[0].exists(), "all or none"


def test_pages_have_their_own(colorizer, grey_photo, tmp_path):
    source = tmp_path / "two.tif"
    first, second = Image.fromarray(grey_photo), Image.fromarray(255 - grey_photo)
    first.save(source, save_all=True, append_images=[second])
    for path in colorizer.candidates(source, 2):
        with Image.open(path) as result:
            assert result.n_frames == 2


def test_what_cannot_be_is_said(tiny_model, colorizer, grey_photo):
    for count in (0, 17):
        with pytest.raises(SettingsError, match="from 1 to 16 candidates"):
            colorizer.candidates(grey_photo, count)
    with pytest.raises(SettingsError, match="tiny cannot give several versions: it weighs no bins"):
        Colorizer(tiny_model).candidates(grey_photo, 2)
