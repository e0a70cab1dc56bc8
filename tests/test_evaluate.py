"""The evaluator feeds models by the field's convention, ranks them by their errors, goes on when stopped."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
import tarfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from onnx import helper
from PIL import Image, ImageCms
from skimage import data

from scoring_helpers import (
    SIDE,
    counted,
    hinted_model,
    linear_model,
    size_model,
    vivid_model,
    write_model,
    write_photographs,
)
from tintype import cli, evaluate, metrics
from tintype.color import lab_to_rgb, rgb_to_lab
from tintype.errors import InputError, ModelError, OutputError, SettingsError
from tintype.evaluate import board, summary, truths
from tintype.evaluate.board import Board, Column, Group
from tintype.evaluate.models import Constant, Network, Prediction
from tintype.evaluate.scores import SCORES, arithmetic
from tintype.images import decode_rgb8
from tintype.train.photographs import Record

OPTIONS = evaluate.Options(size=SIDE)
PICTURES = [data.astronaut()[:128, :128], data.chelsea()[:128, :128]]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return evaluate.find_photographs([write_photographs(tmp_path_factory.mktemp("photographs"))])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(linear_model(tmp_path_factory.mktemp("linear")))


def run(names, photographs, folder, options=OPTIONS, **more):
    return evaluate.evaluate(evaluate.open_models(names, options), photographs, options, folder, **more)


def values(results):
    return {name: {key: e.value for key, e in row.items()} for name, row in results.table.items()}


# --- what is scored


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


# --- class-balanced AuC, intervals, Fréchet distances


def test_balanced_auc_over_all_pixels_by_its_definition(photographs, model, tmp_path):
    results = run([model], photographs, tmp_path)
    truth = np.stack([results.truth(i).ab for i in results.used]).reshape(-1, 2)
    network = results.models[0]
    ab = np.stack([network.predict(results.truth(i)).ab for i in results.used]).reshape(-1, 2)
    bins = np.rint(truth / 10)
    _, where, counts = np.unique(bins, axis=0, return_inverse=True, return_counts=True)
    mass = 1 / counts[where.ravel()]
    error = np.hypot(*(ab - truth).T)
    share = [mass[error <= t].sum() / mass.sum() for t in range(151)]
    wanted = 100 * (sum(share) - (share[0] + share[-1]) / 2) / 150
    assert values(results)["linear"]["auc_balanced_pixels"] == pytest.approx(wanted, abs=1e-3)


def column(**scores):
    return Column("", {key: np.array(value, float) for key, value in scores.items()})


def test_intervals_hold_the_mean_and_narrow_with_more_photographs():
    rng = np.random.default_rng(0)
    widths = []
    for count in (20, 2000):
        table = summary.summarise(column(psnr=rng.normal(20, 3, count)), column(), np.arange(count))
        value, low, high = table["psnr"]
        assert low < value < high
        widths.append(high - low)
        assert widths[-1] == pytest.approx(4 * 3 / count**0.5, rel=0.3)
        assert table["psnr"].half_width == widths[-1] / 2
    same = summary.summarise(column(psnr=[7, 7, 7]), column(), np.arange(3))["psnr"]
    assert same == (7, 7, 7)
    assert same.half_width == 0
    assert summary.Estimate(7).half_width is None


def test_a_frechet_distance_of_many_rows_is_that_of_all_at_once(monkeypatch):
    monkeypatch.setattr(summary, "_ROWS_AT_ONCE", 7)
    rng = np.random.default_rng(0)
    rows, truth = rng.normal(0, 1, (40, 3)), rng.normal(0.5, 2, (40, 3))
    used = np.arange(3, 33)
    gaussians = [part for array in (rows[used], truth[used]) for part in (array.mean(0), np.cov(array.T))]
    assert summary.frechet(rows, truth, used) == pytest.approx(metrics.frechet_distance(*gaussians))
    assert summary.frechet(rows, truth, used[:1]) is None


def test_a_difference_of_means_hides_what_differences_show():
    own = column(colorfulness=[10, 30])
    model = column(colorfulness=[30, 10], colorfulness_difference=[20, 20])
    table = summary.summarise(model, own, np.arange(2))
    assert table["colorfulness_difference"].value == 20
    assert table["colorfulness_of_means"].value == 0


def test_one_infinite_score_makes_the_mean_infinite_and_no_width():
    values = np.array([np.inf, *np.linspace(20, 30, 50)])
    table = summary.summarise(column(psnr=values, ssim=values), column(), np.arange(51))
    assert table["psnr"].value == np.inf
    assert np.isfinite(table["psnr"].low)  # of resamples without that photograph
    assert table["psnr"].half_width is None
    table = summary.summarise(column(psnr=[np.inf, np.inf]), column(), np.arange(2))
    assert table["psnr"] == (np.inf, np.inf, np.inf)


def test_unlabelled_photographs_do_not_count():
    table = summary.summarise(column(class_right=[1, np.nan, 0, np.nan]), column(), np.arange(4))
    assert table["class_right"].value == 50


class Stripes:
    """A judge whose features are the mean colours."""

    name, digest, keys, frechet, width = "stripes", "1", ("class_kept",), "frechet_classifier", 3

    def __init__(self):
        self.looked = 0

    def look(self, rgb8):
        self.looked += 1
        return rgb8.mean((0, 1)) / 255

    def compare(self, seen, truth, label):
        return {"class_kept": float(np.abs(seen - truth).max() < 0.1)}

    def features(self, seen):
        return seen


def test_judges_compare_with_the_truth(photographs, model, tmp_path):
    judge = Stripes()
    results = run(["gray", model], photographs, tmp_path, judges=[judge])
    assert judge.looked == 4 * len(photographs)  # the truth's own column, the truth once, two models
    means = {
        m.name: np.stack([Stripes().look(m.predict(results.truth(i)).rgb8) for i in results.used])
        for m in results.models
    }
    truth = np.stack([Stripes().look(results.truth(i).rgb8) for i in results.used])
    gaussians = [(x.mean(0), np.cov(x, rowvar=False)) for x in (means["gray"], truth)]
    wanted = metrics.frechet_distance(*gaussians[0], *gaussians[1])
    assert values(results)["gray"]["frechet_classifier"] == pytest.approx(wanted, rel=0.01)


# --- stopping and going on


def test_what_is_there_is_not_computed_again(photographs, model, tmp_path, monkeypatch):
    first = values(run([model, "gray"], photographs, tmp_path))
    calls = counted(monkeypatch, Network, "predict")
    reads = counted(monkeypatch, type(photographs.records[0]), "read")
    assert values(run([model, "gray"], photographs, tmp_path)) == first
    assert not calls
    assert not reads
    run([model, "gray", "mean"], photographs, tmp_path)
    assert not calls
    assert len(reads) == len(photographs)


def test_a_run_goes_on_where_it_stopped(photographs, model, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    whole = values(run([model, "gray"], photographs, tmp_path / "whole"))
    (tmp_path / "stopped").mkdir()

    seen = []

    class Told:
        def begin(self, count):
            seen.append(count)

        def step(self):
            if len(seen) == 2:
                seen.append("one")
            elif len(seen) == 3:
                raise KeyboardInterrupt

        def say(self, text):
            pass

    with pytest.raises(KeyboardInterrupt):
        run([model, "gray"], photographs, tmp_path / "stopped", told=Told())
    file = tmp_path / "stopped" / "per-picture.jsonl"
    file.write_bytes(file.read_bytes()[:-40])  # as a power cut leaves it
    calls = counted(monkeypatch, Network, "predict")
    assert values(run([model, "gray"], photographs, tmp_path / "stopped")) == whole
    assert len(calls) == len(photographs) - 2
    assert values(run([model, "gray"], photographs, tmp_path / "stopped")) == whole


def test_scores_of_other_options_models_and_photographs_are_not_taken(photographs, model, tmp_path):
    first = run([model], photographs, tmp_path)
    other = run([model], photographs, tmp_path, evaluate.Options(size=48))
    assert values(other) != values(first)
    (tmp_path / "new").mkdir()
    changed = run([str(linear_model(tmp_path / "new", gain=(0, 0)))], photographs, tmp_path)
    assert values(changed)["linear"]["colorfulness"] < 1
    fewer = evaluate.Photographs(photographs.records[:3], photographs.names[:3], photographs.labels[:3])
    assert len(run([model], fewer, tmp_path).used) == 3


@pytest.mark.parametrize("end_to_end", [False, True])
def test_scores_of_another_card_of_the_same_file_are_not_taken(photographs, tmp_path, end_to_end):
    options = evaluate.Options(size=SIDE, end_to_end=end_to_end)
    path = size_model(tmp_path)
    card = path.with_suffix(".toml")
    before = values(run([str(path)], photographs, tmp_path, options))["sized"]
    card.write_text(card.read_text().replace(f"size = {SIDE}", "size = 96"))
    after = values(run([str(path)], photographs, tmp_path, options))["sized"]
    (tmp_path / "new").mkdir()
    assert after == values(run([str(path)], photographs, tmp_path / "new", options))["sized"]
    assert after != before


def test_a_default_on_the_card_shapes_the_scores(photographs, tmp_path):
    path = vivid_model(tmp_path)
    card = path.with_suffix(".toml")
    before = values(run([str(path)], photographs, tmp_path))
    card.write_text(card.read_text().replace("default = 1.0", "default = 0.0"))
    after = values(run([str(path)], photographs, tmp_path))
    assert after["vivid"] == before["vivid (mean)"] != before["vivid"]


def test_each_card_of_one_file_keeps_its_own_scores(photographs, tmp_path):
    paths = []
    for folder, size in (("one", 64), ("two", 96)):
        (tmp_path / folder / "same").mkdir(parents=True)
        paths.append(str(size_model(tmp_path / folder / "same", size=size)))
    alone = [
        run([path], photographs, tmp_path / folder)
        for path, folder in zip(paths, ("one", "two"), strict=True)
    ]
    first = run(paths, photographs, tmp_path)
    names = [model.name for model in first.models]
    assert len(set(names)) == 2
    assert all(name.startswith("same/sized ") for name in names)
    for _ in range(2):
        again = run(paths, photographs, tmp_path)
        for name, own in zip(names, alone, strict=True):
            assert values(again)[name] == values(own)["sized"]
            assert np.array_equal(again.colours(name), own.colours("sized"))


def test_a_model_that_is_named_twice_keeps_both_columns(photographs, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path)
    paths = [str(linear_model(tmp_path)), str(tmp_path / "link" / "linear.onnx")]
    first = values(run(paths, photographs, tmp_path))
    assert len(first) == 3
    calls = counted(monkeypatch, Network, "predict")
    assert values(run(paths, photographs, tmp_path)) == first
    assert not calls


def test_scores_of_photographs_that_were_replaced_are_not_taken(tmp_path):
    def write(seed, folder):
        rng = np.random.default_rng(seed)
        for i in range(2):
            bgr = cv2.resize(rng.integers(0, 255, (8, 8, 3), np.uint8), (SIDE, SIDE))
            cv2.imwrite(str(folder / f"{i}.bmp"), bgr)  # of the same size, whatever it shows
        return values(run(["gray"], evaluate.find_photographs([folder]), tmp_path))["gray"]

    (tmp_path / "photos").mkdir()
    (tmp_path / "others").mkdir()
    before, after = write(1, tmp_path / "photos"), write(2, tmp_path / "photos")
    assert after == write(2, tmp_path / "others") != before


def test_scores_of_a_shard_that_was_written_anew_are_not_taken(tmp_path):
    shard = tmp_path / "photos.tar"

    def write(seed):
        data = cv2.imencode(".bmp", np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), np.uint8))[
            1
        ]
        with tarfile.open(shard, "w") as tar:
            member = tarfile.TarInfo("0.bmp")
            member.size = data.size
            tar.addfile(member, io.BytesIO(data.tobytes()))
        return values(run(["gray"], evaluate.find_photographs([shard]), tmp_path))["gray"]

    assert write(1) != write(2)


def test_scores_of_other_labels_are_not_taken(photographs, tmp_path):
    class Cats(Stripes):
        keys, frechet = ("class_right",), ""

        def compare(self, seen, truth, label):
            return {"class_right": float(label == "cat")}

    for label, share in (("cat", 100), ("dog", 0)):
        labelled = dataclasses.replace(photographs, labels=[label] * len(photographs))
        found = values(run(["gray"], labelled, tmp_path, judges=[Cats()]))
        assert found["gray"]["class_right"] == found["truth"]["class_right"] == share


def test_the_fingerprint_is_the_same_wherever_the_photographs_lie(photographs, tmp_path):
    copy = evaluate.find_photographs([write_photographs(tmp_path / "copy")])
    assert copy.fingerprint() == photographs.fingerprint()
    assert copy.state() != photographs.state()


def test_a_judge_that_comes_later_adds_its_scores_alone(photographs, model, tmp_path, monkeypatch):
    before = values(run([model], photographs, tmp_path))["linear"]
    calls = counted(monkeypatch, Board, "add")
    after = values(run([model], photographs, tmp_path, judges=[Stripes()]))["linear"]
    assert {key: after[key] for key in before} == before
    assert after.keys() - before.keys() == {"class_kept", "frechet_classifier"}
    assert {tuple(call[3]) for call in calls} == {("stripes",)}


def test_rows_that_are_lost_are_computed_again(photographs, model, tmp_path):
    first = run([model], photographs, tmp_path)
    colours = first.colours("linear")
    for file in (tmp_path / "rows").iterdir():
        file.unlink()
    assert np.array_equal(run([model], photographs, tmp_path).colours("linear"), colours)


def test_the_board_passes_over_what_is_no_score(tmp_path):
    (tmp_path / "per-picture.jsonl").write_text(
        '{"run": "r"}\n[1]\nno json\n\n{"run": "r", "digest": "d", "pic'
    )
    group = Group("arithmetic", "1", ("psnr",))
    board = Board(tmp_path, "r", ["a"], {"m": "d"}, [group])
    assert board.missing("m", 0) == {"arithmetic"}
    board.add("m", 0, ["arithmetic"], {"psnr": 3.5})
    board.close()
    again = Board(tmp_path, "r", ["a"], {"m": "d"}, [group])
    assert again.columns["m"].values["psnr"][0] == 3.5


def test_a_photograph_that_could_not_be_read_is_looked_at_again(tmp_path, monkeypatch):
    found = evaluate.find_photographs([write_photographs(tmp_path / "photos", 3)])
    with monkeypatch.context() as patch:
        read = Record.read

        def broken(record):
            if record.name == "0.png":
                raise OSError(5, "Input/output error")
            return read(record)

        patch.setattr(Record, "read", broken)
        results = run(["gray", "mean"], found, tmp_path)
        assert len(results.used) == 2
        assert "Input/output error" in results.survey.skipped["0.png"]
    whole = run(["gray", "mean"], found, tmp_path)
    assert not whole.survey.skipped
    # The scores of the others hang on all colours that there are.
    assert values(whole) == values(run(["gray", "mean"], found, tmp_path / "new"))


def test_the_folder_is_made_before_anything_is_looked_at(photographs, tmp_path):
    run(["gray"], photographs, tmp_path / "deep" / "scores")
    assert (tmp_path / "deep" / "scores" / "per-picture.jsonl").is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot make the folder"):
        run(["gray"], photographs, tmp_path / "file" / "scores")


# --- bad input


def test_grey_and_broken_pictures_are_left_out_and_named(photographs, model, tmp_path):
    write_photographs(tmp_path / "some", 3)
    grey = cv2.cvtColor(data.coffee()[:80, :80], cv2.COLOR_RGB2GRAY)
    cv2.imwrite(str(tmp_path / "some" / "grey.png"), grey)
    (tmp_path / "some" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    results = run([model], evaluate.find_photographs([tmp_path / "some"]), tmp_path)
    assert len(results.used) == 3
    assert results.survey.skipped.keys() == {"grey.png", "broken.jpg"}
    assert "no colour to compare with" in results.survey.skipped["grey.png"]


def test_a_folder_of_grey_pictures_says_so(model, tmp_path):
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((70, 70), 40 * i + 20, np.uint8))
    found = evaluate.find_photographs([tmp_path])
    with pytest.raises(InputError, match=r"None of 3 .* no colour to compare with"):
        run([model], found, tmp_path)


def test_a_model_that_breaks_the_contract_is_named_with_the_picture(photographs, tmp_path):
    half = helper.make_node("Concat", ["L", "L"], ["x"], axis=1)
    pool = helper.make_node("AveragePool", ["x"], ["ab"], kernel_shape=[2, 2], strides=[2, 2])
    path = write_model(tmp_path, "halved", [half, pool])  # its card says stride 1
    with pytest.raises(ModelError, match=r"halved failed on 0\.png: .* of shape"):
        run([str(path)], photographs, tmp_path)
    nothing = [helper.make_node("Log", ["L"], ["x"]), helper.make_node("Mul", ["x", "minus"], ["y"])]
    nothing += [helper.make_node("Log", ["y"], ["z"]), helper.make_node("Concat", ["z", "z"], ["ab"], axis=1)]
    path = write_model(tmp_path, "nan", nothing, {"minus": np.float32(-1)})
    with pytest.raises(ModelError, match=r"nan failed on 0\.png: it gave ab that is no number"):
        run([str(path)], photographs, tmp_path)


def test_any_model_that_gives_no_numbers_is_named_with_the_picture(photographs, tmp_path):
    class Nothing(evaluate.Model):
        name = digest = "nothing"

        def predict(self, truth):
            return Prediction(np.full_like(truth.ab, np.nan), truth.rgb8)

    with pytest.raises(ModelError, match=r"nothing failed on 0\.png: it gave ab that is no number"):
        evaluate.evaluate([Nothing()], photographs, OPTIONS, tmp_path)


def test_a_judge_that_fails_is_named_with_the_picture(photographs, tmp_path):
    class Short(Stripes):
        def look(self, rgb8):
            raise RuntimeError("Output size is\n too small")

    with pytest.raises(ModelError, match=r"stripes failed on 0\.png: Output size is too small"):
        run(["gray"], photographs, tmp_path, judges=[Short()])


def test_a_size_that_does_not_fit_the_model(photographs, tmp_path):
    node = helper.make_node("Concat", ["L", "L"], ["ab"], axis=1)
    path = write_model(tmp_path, "fixed", [node], axes=[1, 1, 40, 40])
    with pytest.raises(ModelError, match=r"fixed failed on 0\.png"):
        run([str(path)], photographs, tmp_path)
    run([str(path)], photographs, tmp_path, evaluate.Options(size=SIDE, input_size=40))


@pytest.mark.parametrize(
    "options",
    [{"size": 8}, {"size": 9000}, {"input_size": 4}, {"random_hints": 2, "end_to_end": True}, {"seed": -1}],
)
def test_options_out_of_range(options):
    with pytest.raises(SettingsError):
        evaluate.Options(**options)


def test_models_of_one_name_are_told_apart(tmp_path):
    for folder, gain in (("one", (0, 1)), ("two", (1, 0))):
        (tmp_path / folder).mkdir()
        linear_model(tmp_path / folder, gain=gain)
    models = evaluate.open_models([str(tmp_path / f / "linear.onnx") for f in ("one", "two")], OPTIONS)
    assert [m.name for m in models] == ["one/linear", "two/linear"]
    assert [m.name for m in evaluate.open_models(["gray", "gray"], OPTIONS)] == ["gray"]
    assert isinstance(evaluate.open_models(["gray"], OPTIONS)[0], Constant)


def test_a_model_called_truth_does_not_take_the_truths_place(photographs, tmp_path):
    path = str(linear_model(tmp_path, "truth"))
    found = values(run([path], photographs, tmp_path))
    assert list(found) == ["truth", f"{tmp_path.name}/truth"]
    assert "psnr" not in found["truth"]
    for names in (["truth"], ["same", "same"]):
        models = [Constant("gray", name=name) for name in names]
        with pytest.raises(SettingsError, match="give each model a name of its own"):
            evaluate.evaluate(models, photographs, OPTIONS, tmp_path)


def test_each_score_is_explained_and_stored_as_json(photographs, model, tmp_path):
    results = run([model, "gray"], photographs, tmp_path)
    assert set(results.table["linear"]) <= set(evaluate.SCORES)
    lines = (tmp_path / "per-picture.jsonl").read_text().splitlines()
    assert len(lines) == 3 * len(photographs)
    assert json.loads(lines[0])["picture"] == "0.png"


# --- scores of plain functions


@pytest.fixture(scope="module")
def scores():
    # The evaluator scales by a multiplication: the same bits must come from here.
    pictures = [p.astype(np.float32) * np.float32(1 / 255) for p in PICTURES]
    known = {rgb_to_lab(p)[..., 0].tobytes(): rgb_to_lab(p)[..., 1:] for p in pictures}

    def oracle(blur):
        return lambda L: cv2.GaussianBlur(known[L.tobytes()], (0, 0), blur) if blur else known[L.tobytes()]

    models = {"truth-teller": oracle(0), "blurred": oracle(6), "gray": evaluate.gray}
    return evaluate.score(models | {"orange": evaluate.constant((20, 30))}, lambda: PICTURES)


def test_knowing_the_truth_is_perfect(scores):
    best = scores["truth-teller"]
    assert best["ab_rmse"] == pytest.approx(0, abs=1e-4)
    assert best["auc"] == pytest.approx(100, abs=0.01)
    assert best["psnr"] > 55
    assert best["colorfulness"] == pytest.approx(scores["truth"]["colorfulness"], rel=0.01)


def test_models_are_ranked_by_their_errors(scores):
    for key in ("psnr", "auc", "auc_balanced"):
        assert scores["truth-teller"][key] > scores["blurred"][key] > scores["gray"][key]
    assert scores["gray"]["ab_rmse"] > scores["blurred"]["ab_rmse"]
    assert scores["gray"]["colorfulness"] < 1


def test_balance_gives_rare_colours_their_say(scores):
    gap = {name: scores[name]["auc"] - scores[name]["auc_balanced"] for name in ("gray", "blurred")}
    assert gap["gray"] > 3


def test_which_way_is_better():
    better = {key: score.better for key, score in SCORES.items() if score.better != "lower"}
    grown = ("psnr", "ssim", "auc", "auc_balanced", "auc_balanced_pixels", "class_kept", "class_right")
    assert better == dict.fromkeys(grown, "higher") | {"colorfulness": "", "colorfulness_absolute": ""}


def test_colourfulness_differs_by_its_distance_and_has_two_forms():
    rgb8 = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    rgb = rgb8.astype(np.float32) / 255
    lab = rgb_to_lab(rgb)
    judged = SimpleNamespace(
        truth=SimpleNamespace(rgb=rgb, lab=lab, ab=lab[..., 1:]),
        weights=np.ones((16, 16)),
        own={"colorfulness": 500.0, "colorfulness_absolute": 400.0},
    )
    found = arithmetic(SimpleNamespace(rgb8=rgb8, ab=lab[..., 1:]), judged)
    assert found["colorfulness_absolute"] == pytest.approx(metrics.colorfulness_absolute(rgb), rel=1e-5)
    assert found["colorfulness_difference"] == pytest.approx(500 - found["colorfulness"])
    assert found["colorfulness_absolute_difference"] == pytest.approx(400 - found["colorfulness_absolute"])


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


@pytest.mark.parametrize("kind", ["survey-*.json", "per-picture.jsonl"])
def test_damaged_notes_are_made_anew(photographs, tmp_path, kind):
    wanted = values(run(["gray", "mean"], photographs, tmp_path))
    (file,) = tmp_path.glob(kind)
    file.write_bytes(b"{\xff" + file.read_bytes()[30:])
    assert values(run(["gray", "mean"], photographs, tmp_path)) == wanted


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_disk_that_fills_is_told(photographs, tmp_path, monkeypatch):
    with pytest.raises(OutputError, match="Cannot write /dev/full: No space left on device"):
        board._allocate(Path("/dev/full"), 100)
    board._allocate(tmp_path / "rows", (1 << 20) + 3)
    assert (tmp_path / "rows").read_bytes() == bytes((1 << 20) + 3)
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "per-picture.jsonl").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"Cannot write .*per-picture\.jsonl: No space left on device"):
        run(["gray"], photographs, tmp_path / "scores")
