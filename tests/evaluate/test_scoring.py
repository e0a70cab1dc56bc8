"""`tintype evaluate` and `tintype compare` as their user meets them."""

from __future__ import annotations

import csv
import json
import os

import cv2
import numpy as np
import pytest
from onnx import helper
from PIL import Image
from skimage import data

from scoring_helpers import write_model
from tintype import cli
from tintype.errors import ModelError
from tintype.evaluate import cost, tables
from tintype.train.multiply_adds import count_multiply_adds


def command(line, capsys):
    """Exit status, standard output, standard error."""
    status = cli.main(line.split())
    return status, *capsys.readouterr()


def read(file):
    """RGB (H, W, 3)."""
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


# --- evaluate


def test_a_table_for_the_terminal(place, capsys):
    status, out, err = command("evaluate linear.onnx vivid.onnx gray mean --data photos --size 64", capsys)
    assert status == 0
    lines = out.splitlines()
    assert max(map(len, lines)) <= tables.WIDTH
    for word in (
        "PSNR dB",
        "SSIM",
        "ΔE2000",
        "½ Σ loss",
        "AuC bal. px %",
        "ΔCF means",
        "vivid (mean)",
        "truth",
    ):
        assert word in out
    assert "6 photographs, 64 × 64, centre crop, the truth's L kept" in out
    assert "the mean of these same photographs" in out
    assert "Looking through 6 photographs." in err
    assert not list(place.glob("tintype-*"))


def test_results_in_a_folder_and_a_run_that_goes_on(place, capsys):
    line = "evaluate linear.onnx gray --data photos --size 64 -o scores --json"
    status, out, _ = command(line, capsys)
    assert status == 0
    whole = json.loads(out)
    assert json.loads((place / "scores" / "scores.json").read_text()) == whole
    assert (
        whole["models"]["linear"]["scores"]["psnr"]["low"]
        < whole["models"]["linear"]["scores"]["psnr"]["value"]
    )
    assert whole["models"]["linear"]["cost"]["multiply_adds"] == 2 * 256 * 256
    assert whole["photographs"]["count"] == 6
    with (place / "scores" / "scores.csv").open(newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert float(rows["gray"]["psnr"]) == pytest.approx(whole["models"]["gray"]["scores"]["psnr"]["value"])
    assert rows["gray"]["milliseconds"] == ""
    assert float(rows["linear"]["milliseconds"]) > 0
    assert "</html>" in (place / "scores" / "report.html").read_text()
    status, again, err = command(line, capsys)
    assert "6 photographs scored before." in err
    assert json.loads(again)["models"]["gray"] == whole["models"]["gray"]


def test_what_the_table_no_longer_holds_is_told(place, capsys):
    assert command("evaluate linear.onnx gray --data photos --size 64 -o scores", capsys)[0] == 0
    _, _, told = command("evaluate gray mean --data photos --size 64 -o scores", capsys)
    assert "The table no longer holds linear: name all models to see them side by side." in told
    _, _, told = command("evaluate gray mean --data photos --size 64 -o scores", capsys)
    assert "no longer" not in told


def test_pictures_left_out_are_counted_and_named(place, capsys):
    (place / "photos" / "broken.jpg").write_bytes(b"nothing")
    status, out, _ = command("evaluate gray --data photos --size 64", capsys)
    assert status == 0
    assert "1 photograph was left out:" in out
    assert "broken.jpg: it is no picture that can be decoded" in out


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("evaluate gray --data photos --size 4", 2, "--size must be from 16 to 4096"),
        ("evaluate gray --data photos --limit 0", 2, "--limit must be 1 or more"),
        ("evaluate gray --data photos --threads 0", 2, "--threads must be 1 or more"),
        ("evaluate linear.onnx --data photos --random-hints 5", 2, "linear takes no hints"),
        ("evaluate gray --data photos --lpips alex", 2, "--lpips takes"),
        ("evaluate gray --data photos --lpips alex=a,b", 1, "richzhang/PerceptualSimilarity"),
        ("evaluate gray --data photos --classifier none --classes latin.csv", 1, "no CSV file in UTF-8"),
        ("evaluate gray --data photos --classifier none --classes excel.csv", 1, "The classifier none needs"),
        ("evaluate gray --data photos --index latin.csv", 1, "no CSV file in UTF-8"),
        ("evaluate gray --data nowhere", 1, "nowhere is neither"),
        ("evaluate nothing --data photos", 1, "no model named 'nothing'"),
        ("evaluate gray --data photos --seed -1", 2, "--seed must be 0 or more, not -1"),
        ("evaluate gray --data greys", 1, "no colour to compare with"),
        ("evaluate gray --data photos --index none.csv", 1, "There is no index none.csv"),
        ("evaluate gray --data photos --out photos/0.png", 1, "Cannot make the folder"),
        ("compare gray --images photos -o sheet.gif", 2, "must end in one of"),
        ("compare gray --images photos -o photos/0.png", 1, "--overwrite replaces it"),
        ("compare mean --images photos -o sheet.png", 2, "leave it out"),
        ("compare gray --images nowhere -o sheet.png", 1, "nowhere"),
        ("compare gray --images photos -o sheet.png --size 9", 2, "from 32 to 2048"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(line, status, message, place, capsys):
    (place / "latin.csv").write_bytes("label,class\ncafé,1\n".encode("latin-1"))
    (place / "excel.csv").write_bytes("\ufefflabel,class\r\ncafé,1\r\n".encode())
    (place / "greys").mkdir()
    cv2.imwrite(str(place / "greys" / "g.png"), np.full((70, 70), 90, np.uint8))
    found, out, err = command(line, capsys)
    assert (found, out) == (status, "")
    assert message in err
    assert "Traceback" not in err
    assert not (place / "sheet.png").exists()


def test_file_names_that_are_no_text(place, capsysbinary):
    (place / "photos" / "0.png").rename(place / "photos" / os.fsdecode(b"\xe9t\xe9.png"))
    cv2.imwrite(str(place / "grey.png"), np.full((70, 70), 90, np.uint8))
    (place / "grey.png").rename(place / "photos" / os.fsdecode(b"gris\xe9.png"))
    line = "evaluate linear.onnx gray --data photos --size 64"
    status, out, _ = command(f"{line} -o scores --json", capsysbinary)
    assert status == 0
    whole = json.loads(out)
    assert whole["photographs"]["skipped"].keys() == {os.fsdecode(b"gris\xe9.png")}
    assert "\\udce9t" in (place / "scores" / "report.html").read_text(encoding="utf-8")
    status, out, _ = command(line, capsysbinary)
    assert status == 0
    assert rb"gris\udce9.png: it is grey" in out
    assert command("compare gray --images photos -o sheet.png", capsysbinary)[0] == 0
    assert (place / "sheet.png").is_file()


# --- what models cost


def test_multiply_adds_by_hand(place):
    assert count_multiply_adds(place / "linear.onnx", 64) == 2 * 64 * 64


def test_multiply_adds_behind_shapes_that_are_computed(tmp_path):
    from onnx import helper

    from scoring_helpers import write_model

    nodes = [
        helper.make_node("Shape", ["L"], ["shape"]),
        helper.make_node("Slice", ["shape", "two", "four"], ["sides"]),
        helper.make_node("Div", ["sides", "half"], ["smaller"]),
        helper.make_node("Concat", ["ones", "smaller"], ["target"], axis=0),
        helper.make_node("Resize", ["L", "", "", "target"], ["x"], mode="linear"),
        helper.make_node("Conv", ["x", "kernel"], ["y"], pads=[1, 1, 1, 1]),
        helper.make_node("ConvTranspose", ["y", "up"], ["ab"], strides=[2, 2]),
    ]
    tensors = {
        "two": np.array([2]), "four": np.array([4]), "half": np.array([2, 2]), "ones": np.array([1, 1]),
        "kernel": np.ones((5, 1, 3, 3), np.float32), "up": np.ones((5, 2, 2, 2), np.float32),
    }  # fmt: skip
    path = write_model(tmp_path, "resized", nodes, tensors)
    assert count_multiply_adds(path, 64) == 32 * 32 * (5 * 9 + 5 * 2 * 4)


def test_multiply_adds_behind_a_part_of_a_shape(tmp_path):
    from onnx import helper

    from scoring_helpers import write_model

    nodes = [
        helper.make_node("Shape", ["L"], ["sides"], start=2, end=4),
        helper.make_node("Concat", ["channels", "sides"], ["target"], axis=0),
        helper.make_node("Expand", ["L", "target"], ["x"]),
        helper.make_node("Conv", ["x", "kernel"], ["ab"]),
    ]
    tensors = {"channels": np.array([1, 3]), "kernel": np.ones((2, 3, 1, 1), np.float32)}
    assert count_multiply_adds(write_model(tmp_path, "expanded", nodes, tensors), 64) == 64 * 64 * 2 * 3


def test_a_cost_is_measured_in_a_process_of_its_own(place):
    from tintype.cards import load_card

    found = cost.measure(load_card(place / "linear.onnx"))
    assert found.milliseconds > 0
    assert 20e6 < found.memory_bytes < 2e9
    assert found.note == ""
    broken = load_card(place / "linear.onnx")
    (place / "linear.onnx").write_bytes(b"changed")
    found = cost.measure(broken)
    assert found.milliseconds is None
    assert ModelError.__name__ in found.note


# --- compare


def test_a_sheet_of_own_pictures(place, capsys):
    cv2.imwrite(str(place / "grey.tif"), data.camera()[::4, ::4])
    line = "compare linear.onnx gray --images photos grey.tif -o sheet.png --size 96"
    status, out, err = command(line, capsys)
    assert (status, out) == (0, "")
    assert "sheet.png: 7 pictures by 2 models" in err
    sheet = read(place / "sheet.png")
    thirds = np.array_split(np.ptp(sheet, axis=-1).max(axis=0), 3)  # grey, linear, gray
    assert [third.max() > 15 for third in thirds] == [False, True, False]
    assert command(line, capsys)[0] == 1
    assert command(f"{line} --overwrite --limit 2", capsys)[0] == 0
    assert len(read(place / "sheet.png")) < len(sheet) / 2


def test_pictures_below_folders_are_taken_if_asked_for(place, capsys):
    (place / "photos" / "below").mkdir()
    cv2.imwrite(str(place / "photos" / "below" / "grey.png"), data.camera()[::4, ::4])
    line = "compare gray --images photos -o sheet.png --size 96"
    assert "1 more picture lies deeper; --recursive takes them too" in command(line, capsys)[2]
    assert "7 pictures by" in command(f"{line} --recursive --overwrite", capsys)[2]


def test_pictures_need_no_suffix_and_stand_on_the_sheet_once(place, capsys):
    (place / "first").write_bytes((place / "photos" / "0.png").read_bytes())
    line = "compare gray --images first photos/0.png photos ./first -o sheet.png --size 96"
    status, _, err = command(line, capsys)
    assert status == 0
    assert "7 pictures by" in err
    assert "tintype:" not in err


def test_sideways_pictures_stand_upright_on_the_sheet(place, capsys):
    stored = np.zeros((60, 100), np.uint8)
    stored[:, :50] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise makes it upright: white on top
    Image.fromarray(stored).save(place / "sideways.jpg", exif=exif)
    assert command("compare gray --images sideways.jpg -o sheet.png --size 100", capsys)[0] == 0
    sheet = read(place / "sheet.png")[..., 0]
    picture = sheet[34:134, 8:68]
    assert picture[:45].min() > 240
    assert picture[55:].max() < 15


def test_a_broken_picture_is_named_and_the_rest_drawn(place, capsys):
    (place / "photos" / "broken.png").write_bytes(b"\x89PNG nothing")
    status, _, err = command("compare gray --images photos -o sheet.jpg", capsys)
    assert status == 1
    assert "broken.png" in err
    assert "6 pictures by 1 model" in err
    assert (place / "sheet.jpg").is_file()


def test_a_model_that_fails_leaves_the_rest_of_the_sheet(place, capsys):
    node = helper.make_node("Conv", ["L", "kernel"], ["ab"])
    kernel = {"kernel": np.ones((2, 1, 1, 1), np.float32)}
    write_model(place, "fixed", [node], kernel, axes=("N", 1, 64, 64))
    line = "compare fixed.onnx linear.onnx --images photos/0.png -o sheet.png --size 80"
    status, _, err = command(line, capsys)
    assert status == 1
    assert "photos/0.png: fixed failed: " in err
    assert "Traceback" not in err
    grey, fixed, linear = np.array_split(read(place / "sheet.png")[34:100], 3, axis=1)
    assert fixed.min() > 240  # empty
    assert np.ptp(linear, axis=-1).max() > 15 > np.ptp(grey, axis=-1).max()


def test_a_sheet_never_replaces_a_picture_that_is_on_it(place, capsys):
    before = (place / "photos" / "0.png").read_bytes()
    (place / "link.png").symlink_to(place / "photos" / "0.png")
    for target in ("photos/0.png", "link.png"):
        line = f"compare gray --images photos -o {target} --overwrite --limit 1"
        status, _, err = command(line, capsys)
        assert status == 1
        assert "photos/0.png: the result would replace the picture itself" in err
    assert (place / "photos" / "0.png").read_bytes() == before


def test_a_sheet_too_large_for_its_format_is_refused(place, capsys, monkeypatch):
    from tintype.scoring import compare

    monkeypatch.setitem(compare._MOST_PIXELS, "WEBP", 100)
    status, _, err = command("compare gray --images photos -o sheet.webp", capsys)
    assert status == 2
    assert "does not fit a WEBP" in err
