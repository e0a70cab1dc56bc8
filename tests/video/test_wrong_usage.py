"""What would be passed over in silence is refused or told in a sentence."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest
from film_makers import StopError, make_film, scene, stopper

from tintype import Colorizer, Hint, cli
from tintype.errors import SettingsError
from tintype.video import FilmOptions, colorize_film
from tintype.video.arguments import seconds
from tintype.video.encoder import make_encoding


def test_a_film_takes_no_hints(tmp_path, telling_model):
    source = make_film(tmp_path / "in.mkv", list(scene(2, colored=False)))
    hinted = Colorizer(telling_model, hints=[Hint(x=5, y=5, color="#c04020")], threads=1)
    with pytest.raises(SettingsError, match="moving pictures take none: make the Colorizer without hints"):
        colorize_film(hinted, source, tmp_path / "out.mkv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


@pytest.mark.parametrize(
    ("codec", "crf", "bounds"),
    [
        ("libx264", -1, "0 to 51"),
        ("libx264", 60, "0 to 51"),
        ("libx264", float("nan"), "0 to 51"),
        ("libx265", 51.5, "0 to 51"),
        ("libvpx-vp9", -1, "0 to 63"),
        ("libvpx-vp9", 64, "0 to 63"),
        ("libsvtav1", 0, "1 to 63"),  # which FFmpeg takes for none, and encodes at 35
        ("libsvtav1", 64, "1 to 63"),
        ("h264", 52, "0 to 51"),  # FFmpeg's other name of libx264
    ],
)
def test_a_crf_that_the_encoder_has_not_is_refused(codec, crf, bounds):
    with pytest.raises(SettingsError, match=rf"^--crf must be from {bounds} with lib\S+, not {crf:g}\.$"):
        make_encoding(codec, crf, None, ".mkv")


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libsvtav1"])
def test_a_crf_that_would_be_rounded_is_refused(codec):
    message = rf"^--crf must be a whole number with {codec}, not 24\.5\.$"
    with pytest.raises(SettingsError, match=message):
        make_encoding(codec, 24.5, None, ".mkv")
    assert ("crf", "24.5") in make_encoding("libx264", 24.5, None, ".mkv").options


@pytest.mark.parametrize(
    ("codec", "crf"), [("libx264", 0), ("libx265", 51), ("libvpx-vp9", 63), ("libsvtav1", 1)]
)
def test_the_bounds_of_crf_are_taken(codec, crf):
    assert ("crf", str(crf)) in make_encoding(codec, crf, None, ".mkv").options


def test_a_wrong_crf_is_wrong_usage(tmp_path, tiny_model, capsys):
    source = make_film(tmp_path / "in.mkv", list(scene(2, colored=False)))
    assert cli.main(["video", str(source), "--crf", "99", "--model", str(tiny_model)]) == 2
    assert "--crf must be from 0 to 51 with libx264, not 99." in capsys.readouterr().err


def test_resume_says_that_there_is_nothing_to_go_on_from(tmp_path, colorizer):
    source, target = make_film(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    told = []

    def color(target, progress=None, **options):
        options = FilmOptions(codec="ffv1", segment_frames=8, **options)
        return colorize_film(colorizer, source, target, options, progress, told.append)

    with pytest.raises(StopError):
        color(target, stopper(10))
    assert told == []
    mistyped = tmp_path / "uot.mkv"
    result = color(mistyped, resume=True)
    assert told == [f"There is nothing of {mistyped} to go on from, so it begins anew."]
    assert (result.resumed, result.complete, result.notes) == (0, True, [])
    assert color(target, resume=True).resumed == 8
    assert len(told) == 1


def test_the_command_line_says_it_too_unless_it_is_to_be_quiet(tmp_path, tiny_model, capsys):
    source = make_film(tmp_path / "in.mkv", list(scene(2, colored=False)))
    line = ["video", str(source), "--model", str(tiny_model), "--resume"]
    assert cli.main(line) == 0
    assert "in.color.mkv to go on from, so it begins anew." in capsys.readouterr().err
    assert cli.main([*line, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("1:30.5", 90.5), ("1:00:01", 3601), ("1:90", 150)]
)
def test_times_are_read(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["1:-59", "-1", "-1:00:00", "nan", "inf", "1:2:3:4"])
def test_times_that_are_none_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="h:mm:ss"):
        seconds(text)


def test_a_fault_ends_the_process(tmp_path, tiny_model):
    source = make_film(tmp_path / "in.mkv", list(scene(20, colored=False)))
    code = (
        "import sys\n"
        "from tintype import cli\n"
        "from tintype.colorizer import Colorizer\n"
        "def see(*_, **__): raise {}\n"
        "Colorizer.see = see\n"
        f"sys.exit(cli.main(['video', {str(source)!r}, '--model', {str(tiny_model)!r}]))"
    )
    for error, told in (
        ("ZeroDivisionError('odd')", "ZeroDivisionError: odd"),
        ("MemoryError", "not enough memory"),
    ):
        line = [sys.executable, "-c", code.replace("{}", error)]
        ended = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 1
        assert told in ended.stderr
    assert not (tmp_path / "in.color.mkv").exists()
