"""What a model is shown, what is kept of the truth, and which photographs are scored."""

from __future__ import annotations

import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from evaluate_helpers import run, values
from PIL import Image, ImageCms

from scoring_helpers import SIDE, counted, hinted_model, linear_model, vivid_model, write_photographs
from tintype import cli, evaluate, metrics
from tintype.color import lab_to_rgb, rgb_to_lab
from tintype.errors import SettingsError
from tintype.evaluate import truths
from tintype.images import decode_rgb8


def test_the_truths_lightness_goes_in_and_is_kept(photographs, model, tmp_path):
    results = run([model], photographs, tmp_path)
    psnr, delta_e, rmse = [], [], []
    for number in results.used:
        rgb8 = truths.cut(decode_rgb8(photographs.records[number].read()), SIDE, "center")
        lab = rgb_to_lab(rgb8 / 255)
        ab = (lab[..., :1] - 50) * (0.2, -0.3)
        rgb = np.rint(255 * lab_to_rgb(np.dstack([lab[..., 0], ab]))) / 255
        psnr.append(metrics.psnr(rgb, rgb8 / 255))
        delta_e.append(metrics.delta_e_2000(rgb_to_lab(rgb), lab))
        rmse.append(metrics.ab_rmse(ab, lab[..., 1:]))
    found = values(results)["linear"]
    assert found["psnr"] == pytest.approx(np.mean(psnr), abs=1e-3)
    assert found["delta_e"] == pytest.approx(np.mean(delta_e), abs=1e-3)
    assert found["ab_rmse"] == pytest.approx(np.mean(rmse), abs=1e-3)


def test_networks_see_the_size_of_their_card(photographs, tmp_path, monkeypatch):
    from tintype.session import Session

    path = str(linear_model(tmp_path, size=40))
    calls = counted(monkeypatch, Session, "run_for")
    run([path], photographs, tmp_path)
    assert {call[2].shape for call in calls} == {(1, 1, 40, 40)}
    calls.clear()
    run([path], photographs, tmp_path, evaluate.Options(size=SIDE, input_size=90, crop="none"))
    assert {call[2].shape for call in calls} == {(1, 1, 96, 112)}  # 90 × 108, brought to multiples of 8


def test_mean_is_the_best_constant(photographs, tmp_path):
    results = run(["gray", "mean"], photographs, tmp_path)
    a, b = results.survey.mean_ab
    truth = np.stack([results.truth(i).ab for i in results.used])
    assert (a, b) == pytest.approx(truth.mean((0, 1, 2)), abs=1e-3)
    losses = {name: row["target_mse"] for name, row in values(results).items() if name != "truth"}
    wanted = [metrics.target_mse(np.broadcast_to(ab, truth.shape), truth) for ab in ((0, 0), (a, b))]
    assert [losses["gray"], losses["mean"]] == pytest.approx(wanted, rel=1e-4)
    assert losses["mean"] < losses["gray"]


def test_a_model_with_a_temperature_is_scored_at_its_mean_too(photographs, tmp_path):
    found = values(run([str(vivid_model(tmp_path)), "gray"], photographs, tmp_path))
    assert list(found) == ["truth", "vivid", "vivid (mean)", "gray"]
    assert found["vivid (mean)"] == found["gray"]
    assert found["vivid"]["colorfulness"] > 10


def test_hints_help_a_model_that_takes_them(photographs, model, tmp_path):
    path = str(hinted_model(tmp_path))
    losses = []
    for count in (0, 1, 30):
        options = evaluate.Options(size=SIDE, random_hints=count)
        found = values(run([path, "gray"], photographs, tmp_path, options))
        losses.append(found["hinted"]["target_mse"])
        assert found["hinted"] == values(run([path, "gray"], photographs, tmp_path, options))["hinted"]
    assert losses[0] == pytest.approx(found["gray"]["target_mse"])
    assert losses[2] < losses[1]
    assert losses[2] < losses[0]
    with pytest.raises(SettingsError, match="linear takes no hints"):
        evaluate.open_models([model], options)


def test_the_whole_pipeline_keeps_the_greys_luma(photographs, model, tmp_path):
    options = evaluate.Options(size=SIDE, end_to_end=True)
    results = run([model, "gray"], photographs, tmp_path, options)
    truth = results.truth(0)
    (pipeline, gray) = (m.predict(truth) for m in results.models)
    luma = pipeline.rgb8 @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma - truth.luma8).max() <= 1
    assert np.abs(gray.rgb8.astype(int) - truth.luma8[..., None]).max() <= 1
    assert np.ptp(pipeline.rgb8.astype(int), axis=-1).max() > 5


@pytest.mark.parametrize(("crop", "shape"), [("center", (40, 40)), ("squash", (40, 40)), ("none", (40, 48))])
def test_crops(crop, shape):
    rgb8 = np.zeros((80, 96, 3), np.uint8)
    rgb8[:, 8:88] = 200  # all that the centre holds
    cut = truths.cut(rgb8, 40, crop)
    assert cut.shape[:2] == shape
    assert (cut.min() == 200) == (crop == "center")


def test_a_photograph_that_is_named_twice_is_scored_once(tmp_path, monkeypatch):
    write_photographs(tmp_path / "a", 3)
    write_photographs(tmp_path / "b", 3)
    monkeypatch.chdir(tmp_path)
    found = evaluate.find_photographs([Path(p) for p in ("a", "b", "a", tmp_path / "b")])
    assert list(found.names) == [f"{place}/{i}.png:{i}.png" for place in "ab" for i in range(3)]


def test_members_of_one_name_are_numbered(tmp_path):
    file = write_photographs(tmp_path / "a", 1) / "0.png"
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(file, "0.png")
        tar.add(file, "0.png")
    names = evaluate.find_photographs([tmp_path / "a.tar"]).names
    assert names == [f"{tmp_path}/a.tar:0.png", f"{tmp_path}/a.tar:0.png (2)"]


def display_p3():
    """LittleCMS's sRGB profile with the primaries of Display P3."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    primaries = {
        b"rXYZ": (0.51512, 0.2412, -0.00105), b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.1571, 0.06657, 0.78407),
    }  # fmt: skip
    for i in range(struct.unpack_from(">I", profile, 128)[0]):
        tag, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        if tag in primaries:
            struct.pack_into(">3i", profile, offset + 8, *(round(v * 65536) for v in primaries[tag]))
    return bytes(profile)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_truths_of_a_wider_gamut_are_brought_to_srgb(kind):
    if kind == "AVIF":
        pytest.importorskip("PIL._avif")
    exact = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}, "AVIF": {"quality": 100}}
    picture = Image.fromarray(np.full((32, 48, 3), (200, 80, 60), np.uint8))
    found = {}
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, icc in (("none", None), ("p3", display_p3()), ("srgb", srgb), ("cut", display_p3()[:200])):
        file = io.BytesIO()
        picture.save(file, kind, icc_profile=icc, **exact.get(kind, {}))
        found[name] = decode_rgb8(file.getvalue())
    assert np.abs(found["none"].astype(int) - (200, 80, 60)).max() <= 2
    assert np.abs(found["p3"].astype(int) - (216, 69, 50)).max() <= 3  # by LittleCMS from that profile
    assert np.array_equal(found["srgb"], found["none"])
    assert np.array_equal(found["cut"], found["none"])


def test_photographs_are_taken_evenly_and_labelled_by_folder(tmp_path):
    write_photographs(tmp_path / "cats", 3)
    write_photographs(tmp_path / "dogs", 3)
    found = evaluate.find_photographs([tmp_path], limit=2)
    assert list(found.names) == ["cats/0.png", "dogs/0.png"]
    assert list(found.labels) == ["cats", "dogs"]
    twice = evaluate.find_photographs([tmp_path / "cats", tmp_path / "dogs"])
    assert len(set(twice.names)) == len(twice) == 6


def test_a_photograph_by_several_ways_is_taken_once(tmp_path):
    write_photographs(tmp_path / "some", 3)
    (tmp_path / "link").symlink_to(tmp_path / "some")
    (tmp_path / "some" / "again.png").symlink_to(tmp_path / "some" / "0.png")
    ways = [tmp_path / "some", tmp_path / "some" / ".." / "some", tmp_path / "link"]
    assert len(evaluate.find_photographs(ways)) == 3


def test_formats_that_are_not_read_are_told(tmp_path, capsys):
    write_photographs(tmp_path / "some", 2)
    (tmp_path / "some" / "a.psd").touch()
    assert cli.main(["evaluate", "gray", "--data", str(tmp_path / "some"), "--size", "64"]) == 0
    assert "1 file in formats that are not read (.psd) left out" in capsys.readouterr().err
