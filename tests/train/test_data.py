"""Photographs are found in folders and shards and cropped as asked."""

from __future__ import annotations

import tarfile

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from tintype.errors import DataError
from tintype.train.data import CropDataset, center_crop, decode_rgb8, find_records


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    bgr = data.chelsea()[..., ::-1]
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), bgr)
    cv2.imwrite(str(tmp_path / "photos" / "deep" / "b.webp"), bgr)
    (tmp_path / "photos" / "notes.txt").write_text("not a picture")
    return tmp_path / "photos"


@pytest.fixture
def shard(folder, tmp_path):
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(folder, "x")
    return path


def test_a_shard_gives_the_folders_bytes(folder, shard):
    files, slices = find_records([folder]), find_records([shard])
    assert [r.name for r in files] == ["a.png", "deep/b.webp"]
    assert {r.read() for r in slices} == {r.read() for r in files}


def test_no_photographs_and_no_such_place(tmp_path):
    with pytest.raises(DataError, match="No photographs"):
        find_records([tmp_path])
    with pytest.raises(DataError, match="neither a folder"):
        find_records([tmp_path / "gone"])


def test_decoding_gives_rgb(folder):
    assert (decode_rgb8((folder / "a.png").read_bytes()) == data.chelsea()).all()
    with pytest.raises(DataError, match="Not a picture"):
        decode_rgb8(b"text")


def test_random_crops_are_repeatable_squares(folder):
    dataset = CropDataset(find_records([folder]), 64)
    torch.manual_seed(3)
    first = dataset[0]
    torch.manual_seed(3)
    assert (dataset[0] == first).all()
    assert first.shape == (3, 64, 64)
    assert first.dtype == torch.uint8
    assert (dataset[0] != first).any()


def test_the_centre_crop_is_the_centre(folder):
    crop = CropDataset(find_records([folder]), 300, train=False)[0]
    wanted = center_crop(data.chelsea())
    assert wanted.shape == (300, 300, 3)
    assert (crop.permute(1, 2, 0).numpy() == wanted).all()
    assert np.array_equal(wanted, data.chelsea()[:, 75:375])
