"""Photographs kept in memory give the crops that they give from disk, on a device but for the sampling."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from tintype.errors import DataError, SettingsError
from tintype.train import cache, recipes
from tintype.train.data import CropDataset, CropSettings
from tintype.train.fit import fit
from tintype.train.options import FitOptions
from tintype.train.sources import find_photographs
from tintype.train.sweep import read_curve

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty photographs of several shapes, smaller than 150 pixels, two of them broken."""
    folder = tmp_path_factory.mktemp("photographs")
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    for i in range(20):
        path = folder / ("sea" if i % 2 else "land") / f"{i:02d}.png"
        path.parent.mkdir(exist_ok=True)
        size = (96 + i, 80) if i % 3 else (80, 96 + i)
        cv2.imwrite(str(path), cv2.resize(pictures[i % 4][..., ::-1], size, interpolation=cv2.INTER_AREA))
    for name in ("land/02.png", "sea/19.png"):
        (folder / name).write_bytes(b"broken")
    return folder


def crop_dataset(folder, crops, size=64, **more):
    return CropDataset(find_photographs([folder]), size, crops, seed=3, **more)


ALL_WAYS = CropSettings(min_side=0.65, flip=0.5, flip_vertical=0.5, rotate=20)
POSITIONS = [(number, draw) for draw in range(5) for number in range(20)]


@pytest.mark.parametrize("workers", [0, 1])
def test_crops_from_main_memory_are_those_from_disk(folder, tmp_path, workers):
    log = tmp_path / "skipped.tsv"
    dataset = crop_dataset(folder, ALL_WAYS, skipped=log)
    kept = cache.KeptCrops(dataset, cache.keep(dataset, ALL_WAYS, workers))
    assert len(kept) == len(dataset)
    assert {line.split("\t")[0] for line in log.read_text().splitlines()} == {"land/02.png", "sea/19.png"}
    for position in POSITIONS:
        (got, got_label), (wanted, label) = kept[position], dataset[position]
        assert torch.equal(got, wanted)
        assert got_label == label


def on_device(dataset, crops, positions):
    kept = cache.keep(dataset, crops, 0)
    draws = cache.Draws(dataset, kept)
    crops_of = cache.DeviceCrops(kept, dataset.size, crops, CPU)
    return crops_of.cut(torch.stack([draws[position] for position in positions]))


@pytest.mark.parametrize(
    ("crops", "size", "limit"),
    [
        (CropSettings(flip=1), 96, 0.6),  # enlarged, both by bilinear weights
        (CropSettings(flip=0, flip_vertical=1), 96, 0.6),
        (CropSettings(flip=0), 64, 2.5),  # shrunk, there by means of areas
        (CropSettings(flip=0, rotate=20), 96, 4.0),  # turned, there with one more rounding to pixels
        (ALL_WAYS, 64, 4.0),
    ],
)
def test_a_devices_crops_are_those_of_the_processor(folder, crops, size, limit):
    dataset = crop_dataset(folder, crops, size)
    rgb8, labels = on_device(dataset, crops, POSITIONS)
    assert rgb8.shape == (len(POSITIONS), 3, size, size)
    assert rgb8.dtype == torch.uint8
    wanted = torch.stack([dataset[position][0] for position in POSITIONS])
    assert labels.tolist() == [dataset[position][1] for position in POSITIONS]
    error = (rgb8.float() - wanted.float()).abs().mean((1, 2, 3))
    other = (wanted.roll(20, 0).float() - wanted.float()).abs().mean((1, 2, 3))  # another crop of the same
    assert error.max() < limit
    assert error.mean() < other.mean() / 20


def test_what_is_not_resized_is_exact_on_a_device(folder):
    crops = CropSettings(min_side=1, flip=0.5, flip_vertical=0.5)
    dataset = crop_dataset(folder, crops, 80)
    rgb8, _ = on_device(dataset, crops, POSITIONS)
    assert torch.equal(rgb8, torch.stack([dataset[position][0] for position in POSITIONS]))


def test_large_photographs_are_kept_no_larger_than_a_crop_can_use(folder):
    crops = CropSettings(min_side=0.5)
    kept = cache.keep(crop_dataset(folder, crops, 32), crops, 0)
    assert kept.sizes.amin(1).tolist() == [64] * 18
    assert len(kept.pixels) == kept.sizes.prod(1).sum()
    estimate = cache.estimate(crop_dataset(folder, crops, 32), crops)
    assert estimate == pytest.approx(kept.pixels.numel(), rel=0.15)


def test_nothing_to_keep(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_bytes(b"broken")
    dataset = crop_dataset(tmp_path, ALL_WAYS)
    with pytest.raises(DataError, match="None of 3 photographs could be used"):
        cache.keep(dataset, ALL_WAYS, 0)


def test_a_long_row_of_broken_photographs_is_told(tmp_path):
    for i in range(60):
        (tmp_path / f"{i:02d}.jpg").write_bytes(b"broken")
    cv2.imwrite(str(tmp_path / "z.png"), data.chelsea())
    with pytest.raises(DataError, match=r"None of 50 photographs in a row.*49\.jpg"):
        cache.keep(crop_dataset(tmp_path, ALL_WAYS), ALL_WAYS, 0)


@pytest.mark.parametrize(
    ("asked", "kind", "free", "wanted"),
    [
        ("none", "cuda", 2**40, "none"),
        ("auto", "cpu", 2**40, "none"),
        ("auto", "cuda", 2**40, "gpu"),
        ("auto", "cuda", 300_000, "none"),  # would fit, but fill more than half
        ("gpu", "cuda", 500_000, "gpu"),
        ("ram", "cpu", 0, "ram"),
    ],
)
def test_where_photographs_are_kept(folder, monkeypatch, asked, kind, free, wanted):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, free))
    dataset = crop_dataset(folder, ALL_WAYS, 64)
    assert 150_000 < cache.estimate(dataset, ALL_WAYS) < 500_000
    assert cache.choose(asked, torch.device(kind), dataset, ALL_WAYS) == wanted


def test_too_many_photographs_for_a_gpu(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 1000))
    with pytest.raises(SettingsError, match="--cache gpu needs about"):
        cache.choose("gpu", torch.device("cuda"), crop_dataset(folder, ALL_WAYS), ALL_WAYS)


def test_too_many_photographs_for_what_memory_a_container_has(folder, monkeypatch):
    monkeypatch.setattr(cache, "free_memory", lambda: 1000)
    with pytest.raises(SettingsError, match="--cache ram needs about"):
        cache.choose("ram", CPU, crop_dataset(folder, ALL_WAYS), ALL_WAYS)


def train(folder, out, *, kept="none", steps=7, resume=False, **more):
    module = recipes.get("autoencoder")
    found = find_photographs([folder])
    options = FitOptions(
        steps=steps, batch=4, size=64, device="cpu", workers=0, checkpoint_every=3, cache=kept, **more
    )
    fit("autoencoder", module.Settings(), options, found, found, out, resume=resume)
    return [dict(read_curve(out, tag)) for tag in ("train/loss", "val/loss")]


def test_a_run_from_main_memory_is_the_run_from_disk(folder, tmp_path):
    from_disk, from_memory = train(folder, tmp_path / "disk"), train(folder, tmp_path / "ram", kept="ram")
    assert from_disk == from_memory
    assert all(from_disk)


def test_a_run_on_a_devices_photographs_goes_on_exactly(folder, tmp_path, monkeypatch):
    """The GPU's way, walked on the processor."""
    monkeypatch.setattr(cache, "choose", lambda *_: "gpu")
    cuts = []
    cut = cache.DeviceCrops.cut
    monkeypatch.setattr(
        cache.DeviceCrops, "cut", lambda self, draws: cuts.append(len(draws)) or cut(self, draws)
    )
    whole, val = train(folder, tmp_path / "whole")
    assert cuts == [4] * 7
    assert len(val) > 0
    train(folder, tmp_path / "parts", steps=3)
    parts, _ = train(folder, tmp_path / "parts", resume=True)
    assert parts == whole


def test_a_gpu_that_is_not_there(folder, tmp_path):
    with pytest.raises(SettingsError, match="--cache gpu needs training on a GPU"):
        train(folder, tmp_path, kept="gpu")


def test_grey_photographs_teach_nothing(tmp_path):
    for i in range(6):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.roll(data.camera(), i)[:100, :100])
    with pytest.raises(DataError, match="None of the 6 photographs that were looked at has colour"):
        train(tmp_path, tmp_path / "run")
