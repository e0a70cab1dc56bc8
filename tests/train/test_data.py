"""Training batches: what is decoded, how it is cropped, what is left out, and in which order."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from tintype.errors import DataError, SettingsError
from tintype.train.data import (
    Crop,
    CropDataset,
    CropSettings,
    OrderedBatches,
    center_crop,
    cut,
    decode_rgb8,
    is_grey,
)
from tintype.train.photographs import Photographs
from tintype.train.sources import find_photographs


@pytest.fixture
def folder(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), data.chelsea()[..., ::-1])
    cv2.imwrite(str(tmp_path / "b.png"), data.coffee()[..., ::-1])
    return tmp_path


def test_decoding_gives_rgb(folder):
    assert (decode_rgb8((folder / "a.png").read_bytes()) == data.chelsea()).all()
    with pytest.raises(DataError, match="Not a picture"):
        decode_rgb8(b"text")


def test_a_crop_hangs_on_the_seed_and_the_draw_alone(folder):
    photographs = find_photographs([folder])
    dataset = CropDataset(photographs, 64, CropSettings(rotate=10), seed=1)
    first, label = dataset[0, 7]
    assert first.shape == (3, 64, 64)
    assert first.dtype == torch.uint8
    assert label == -1
    again = CropDataset(photographs, 64, CropSettings(rotate=10), seed=1)
    assert (again[0, 7][0] == first).all()
    assert (dataset[0, 8][0] != first).any()
    assert (CropDataset(photographs, 64, CropSettings(rotate=10), seed=2)[0, 7][0] != first).any()


def test_the_centre_crop_is_the_centre(folder):
    crop, _ = CropDataset(find_photographs([folder]), 300)[0]
    wanted = center_crop(data.chelsea())
    assert np.array_equal(wanted, data.chelsea()[:, 75:375])
    assert (crop.permute(1, 2, 0).numpy() == wanted).all()


@pytest.mark.parametrize(
    ("crops", "turned"),
    [
        (CropSettings(min_side=1, flip=0), lambda x: x),
        (CropSettings(min_side=1, flip=1), lambda x: x[:, ::-1]),
        (CropSettings(min_side=1, flip=0, flip_vertical=1), lambda x: x[::-1]),
    ],
)
def test_flips(folder, crops, turned):
    (folder / "b.png").unlink()
    square = center_crop(data.chelsea())
    cv2.imwrite(str(folder / "a.png"), square[..., ::-1])
    crop, _ = CropDataset(find_photographs([folder]), 300, crops)[0]
    assert np.array_equal(crop.permute(1, 2, 0).numpy(), turned(square))


def test_turning_leaves_no_empty_corner(folder):
    cv2.imwrite(str(folder / "a.png"), np.full((100, 100, 3), 200, np.uint8))
    dataset = CropDataset(find_photographs([folder]), 64, CropSettings(rotate=30))
    assert all(dataset[0, draw][0].min() >= 199 for draw in range(20))


def test_broken_and_grey_photographs_are_replaced_and_named(folder, tmp_path):
    (folder / "0.jpg").write_bytes(b"broken")
    cv2.imwrite(str(folder / "1.png"), np.dstack([data.camera()] * 3))
    log = tmp_path / "skipped.tsv"
    dataset = CropDataset(find_photographs([folder]), 300, drop_grey=True, skipped=log)
    wanted, _ = dataset[2]
    assert (dataset[0][0] == wanted).all()
    assert (dataset[1][0] == wanted).all()
    assert log.read_text() == "0.jpg\tNot a picture that can be decoded.\n1.png\tgrey\n"


def test_a_grey_photograph_with_a_few_odd_pixels_is_grey(folder, tmp_path):
    grey = np.dstack([data.camera()] * 3)
    grey[::40, ::40, 0] ^= 8
    assert not is_grey(grey)
    cv2.imwrite(str(folder / "1.png"), grey)
    log = tmp_path / "skipped.tsv"
    CropDataset(find_photographs([folder]), 300, drop_grey=True, skipped=log)[0]
    assert "1.png\tgrey\n" in log.read_text()


def test_nothing_usable_is_an_error(tmp_path):
    (tmp_path / "0.jpg").write_bytes(b"broken")
    with pytest.raises(DataError, match="None of 50"):
        CropDataset(find_photographs([tmp_path]), 64)[0]


def test_an_epoch_takes_every_photograph_once_in_a_new_order():
    batches = OrderedBatches(20, 4, seed=0)
    epochs = [[i for batch in batches for i, _ in batch] for _ in range(2)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    draws = [d for batch in batches for _, d in batch]
    assert draws == list(range(40, 60))


@pytest.mark.parametrize("degrees", [30, 135, -135, 180])
def test_a_turned_crop_has_no_reflections(degrees):
    height, width = np.mgrid[:90, :90]
    inside = np.hypot(height - 44.5, width - 44.5) < 20
    rgb = np.where(inside[..., None], np.uint8(200), np.uint8(20)) * np.ones((1, 1, 3), np.uint8)
    crop = Crop(0, 0, 90, degrees)
    turned = cut(rgb, crop, 90).numpy()[0] > 100
    wide = abs(np.cos(np.radians(degrees))) + abs(np.sin(np.radians(degrees)))
    assert turned.sum() == pytest.approx(inside.sum() * wide**2, rel=0.05)


def test_degrees_that_no_crop_can_be_turned_by_are_refused():
    for degrees in (-20, 181):
        with pytest.raises(SettingsError, match="rotate must be from 0 to 180"):
            CropSettings(rotate=degrees)


def test_a_run_goes_on_where_it_stopped():
    whole = OrderedBatches(20, 4, seed=0)
    everything = [batch for _ in range(3) for batch in whole]
    later = OrderedBatches(20, 4, seed=0)
    later.go_on_at(7)
    rest = [batch for _ in range(2) for batch in later]
    assert rest == everything[7:]


def test_two_processes_share_the_batches_of_one():
    one = list(OrderedBatches(22, 4, seed=0))
    halves = [list(OrderedBatches(22, 2, seed=0, rank=rank, world=2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == one


def test_too_few_photographs_for_a_batch():
    with pytest.raises(DataError, match="do not fill one batch of 8"):
        OrderedBatches(5, 4, seed=0, world=2)


def test_labels_travel_with_crops(folder):
    records = find_photographs([folder]).records
    labelled = Photographs(tuple(type(r)(r.path, r.name, label=i + 3) for i, r in enumerate(records)))
    assert [CropDataset(labelled, 32)[i][1] for i in (0, 1)] == [3, 4]
