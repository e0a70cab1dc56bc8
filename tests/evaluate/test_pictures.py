"""`tintype evaluate --pictures`: what was scored, as files."""

from __future__ import annotations

import shutil

import numpy as np
from PIL import Image

from tintype import cli
from tintype.scoring.pictures import _file_names


def evaluate(*words):
    return cli.main(["evaluate", "linear.onnx", "vivid.onnx", "gray", *words, "--size", "64"])


def test_pictures_of_models_and_the_truth_lie_in_folders_by_the_same_names(place):
    assert evaluate("--data", "photos", "--pictures", "painted") == 0
    folders = sorted(path.name for path in (place / "painted").iterdir())
    assert folders == ["gray", "linear", "truth", "vivid", "vivid (mean)"]
    names = {name: sorted(path.name for path in (place / "painted" / name).iterdir()) for name in folders}
    assert names["truth"]
    assert all(found == names["truth"] for found in names.values())
    grey, truth = (
        np.asarray(Image.open(place / "painted" / f / names["truth"][0])) for f in ("gray", "truth")
    )
    assert grey.shape == truth.shape == (64, 64, 3)
    assert (np.ptp(grey.astype(int), axis=-1) <= 1).all()
    assert (np.ptp(truth.astype(int), axis=-1) > 1).any()


def test_the_photographs_themselves_are_not_written_over(place, capsys):
    shutil.copytree(place / "photos", place / "painted" / "truth")
    before = {path: path.read_bytes() for path in (place / "painted" / "truth").iterdir()}
    assert evaluate("--data", "painted/truth", "--pictures", "painted") == 2
    assert "which is scored on; name another folder" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (place / "painted" / "truth").iterdir()} == before


def test_names_stay_below_the_folder_and_apart():
    names = ["a/b.jpg", "../b.jpg", "/data/x.tar:00/1.webp", "c.jpg", "c.png"]
    found = [path.as_posix() for path in _file_names(names)]
    assert found == ["a/b.png", "-/b.png", "data/x.tar/00/1.png", "c.jpg.png", "c.png.png"]
