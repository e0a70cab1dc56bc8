"""`tintype colorize` as a user meets it: results, exit status, and what stands on the screen."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from command_helpers import command, names
from PIL import Image

from tintype import cli


def test_a_picture_in_a_process_of_its_own(album: Path, tiny_model: Path) -> None:
    done = command("colorize", "album/a.jpg", "--model", tiny_model)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.startswith(b"album/a.jpg -> album/a.color.jpg (40 x 30, ")
    with Image.open(album / "a.color.jpg") as picture:
        assert (picture.mode, picture.size) == ("RGB", (40, 30))
        assert np.ptp(np.asarray(picture).astype(int), axis=2).max() > 20


def test_the_suffix_of_out_sets_the_format(album: Path, tiny_model: Path) -> None:
    assert cli.main(["colorize", "album/a.jpg", "-o", "new/x.png", "--model", str(tiny_model)]) == 0
    with Image.open("new/x.png") as picture:
        assert picture.format == "PNG"


def test_bad_pictures_among_good_ones(
    album: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (album / "b.png").read_bytes()
    jpeg = (album / "a.jpg").read_bytes()
    bad = {
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "cut.png": data[: len(data) // 2],
        "empty.jpg": b"",
        "text.jpg": b"not a picture, but a letter\n" * 20,
        "vast.png": data[:16] + (60_000).to_bytes(4, "big") * 2 + data[24:],
    }
    for name, content in bad.items():
        (album / name).write_bytes(content)
    assert cli.main(["colorize", "album", "-o", "out", "--model", str(tiny_model)]) == 1
    out, err = capsys.readouterr()
    *failures, summary = err.splitlines()
    assert out == ""
    assert sorted(line.split()[1].rstrip(":") for line in failures) == sorted(f"album/{name}" for name in bad)
    assert all(line.startswith("tintype: album/") and line.endswith(".") for line in failures)
    assert summary.startswith("3 done, 5 failed; ")
    assert names(Path("out")) == ["a.jpg", "b.png", "c.png"]


def test_a_wrong_suffix_is_no_obstacle(album: Path, tiny_model: Path) -> None:
    (album / "b.png").rename(album / "b.jpg")
    assert cli.main(["colorize", "album/b.jpg", "--model", str(tiny_model)]) == 0


def test_a_folder_without_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert cli.main(["colorize", "empty", "-o", "out"]) == 1
    assert capsys.readouterr().err.startswith("tintype: empty: there is no picture in this folder.\n")
    assert not Path("out").exists()


def test_a_model_that_is_not_there(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["colorize", "album", "--model", "nosuch.onnx"]) == 1
    assert capsys.readouterr().err == "tintype: There is no model file nosuch.onnx.\n"


def test_a_coloured_picture_is_told(
    album: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (3, 4, 3), np.uint8)
    Image.fromarray(noise).resize((80, 60), Image.Resampling.BICUBIC).save("hues.png")
    model = ["--model", str(tiny_model)]
    assert cli.main(["colorize", "hues.png", "--skip-colored", *model]) == 0
    assert capsys.readouterr().err == "hues.png: skipped, it is in colour already.\n"
    assert not Path("hues.color.png").exists()
    assert cli.main(["colorize", "hues.png", "--json", *model]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["status"] == "done"
    assert any("grey first" in note for note in result["notes"])
    assert (result["width"], result["height"], result["pages"], result["model"]) == (80, 60, 1, "tiny")


def test_strength_and_size_reach_the_colorizer(album: Path, tiny_model: Path) -> None:
    assert cli.main(["colorize", "album/b.png", "--strength", "0", "--model", str(tiny_model)]) == 0
    with Image.open("album/b.color.png") as picture:
        assert np.ptp(np.asarray(picture).astype(int), axis=2).max() == 0


def test_hints_candidates_and_confidence(
    album: Path, telling_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    point = {"x": 0.5, "y": 0.5, "color": "#a04848", "radius": 0.3}
    Path("h.json").write_text(json.dumps({"units": "fractions", "points": [point]}))
    model = ["--model", str(telling_model), "--size", "auto"]
    line = ["colorize", "album/b.png", "-o", "out/b.png", *model]
    assert cli.main([*line, "--hints", "h.json", "--candidates", "2", "--confidence", "out/sure.png"]) == 0
    assert names(Path("out")) == ["b-1.png", "b-2.png", "sure.png"]
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("album/b.png -> out/b-1.png (40 x 30, ")
    assert told[1] == "album/b.png: There are 2 versions, up to b-2.png."
    assert cli.main(line) == 0
    with Image.open("out/b-1.png") as hinted, Image.open("out/b.png") as free:
        assert np.abs(np.asarray(hinted).astype(int) - np.asarray(free))[15, 20].max() > 5
    with Image.open("out/sure.png") as chart:
        assert chart.size == (160, 30 + 36)
    assert cli.main([*line[:2], "-o", "out/new.png", *model, "--confidence", "out/sure.png"]) == 1
    assert "out/sure.png exists already; --overwrite replaces it." in capsys.readouterr().err
    assert not Path("out/new.png").exists()


@pytest.mark.parametrize("asked", ["--candidates 2", "--confidence sure.png"])
def test_what_a_model_cannot_tell_is_refused_before_anything_is_written(
    album: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    line = ["colorize", "album/a.jpg", "-o", "new.png", *asked.split(), "--model", str(tiny_model)]
    assert cli.main(line) == 2
    assert "weighs no bins of colour" in capsys.readouterr().err
    assert not list(Path().glob("*.png"))


@pytest.mark.parametrize(
    ("line", "closed", "message"),
    [("- -o x.png", "stdin", "Standard input is closed"), ("album/a.jpg -o -", "stdout", "output is closed")],
)
def test_a_closed_stream_is_said(
    line: str,
    closed: str,
    message: str,
    album: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, closed, None)
    assert cli.main(["colorize", *line.split()]) == 2
    assert message in capsys.readouterr().err


def test_an_empty_name_of_hints_is_not_passed_over(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["colorize", "album/a.jpg", "--hints", ""]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert names(album) == ["a.jpg", "b.png", "c.png"]


def test_hints_that_cannot_be(album: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("h.json").write_text('{"points": [{"x": 1, "y": 1, "color": "#a04848"}]}')
    hints = ["--hints", "h.json", "--model", str(tiny_model)]
    assert cli.main(["colorize", "album", *hints]) == 2
    assert "--hints is for one picture; name that alone." in capsys.readouterr().err
    assert cli.main(["colorize", "album/a.jpg", *hints]) == 2
    assert "tiny cannot be told colours by hand; leave that out." in capsys.readouterr().err
    Path("h.json").write_text("{")
    assert cli.main(["colorize", "album/a.jpg", *hints]) == 1
    assert capsys.readouterr().err.startswith("tintype: The hints h.json are no JSON: ")
    assert names(album) == ["a.jpg", "b.png", "c.png"]


def test_the_limit_on_pixels_can_be_set(album: Path, tiny_model: Path) -> None:
    line = ["colorize", "album/b.png", "--model", tiny_model, "-o", "out.png", "--max-pixels"]
    refused = command(*line, "10")
    assert refused.returncode == 1
    assert b"more than the limit of 10" in refused.stderr
    assert command(*line, "1000000").returncode == 0


def test_results_say_that_their_colours_are_computed_unless_told_not_to(album: Path) -> None:
    assert command("colorize", "album", "-o", "told").returncode == 0
    assert command("colorize", "album", "-o", "untold", "--no-provenance").returncode == 0
    for name in ("a.jpg", "b.png"):
        assert b"algorithmicallyEnhanced" in Path("told", name).read_bytes()
        assert b"algorithmicallyEnhanced" not in Path("untold", name).read_bytes()
