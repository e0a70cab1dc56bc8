"""Arguments of the command: what is refused, with status 2, and what help shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_helpers import names

from tintype import cli


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "COMMAND"),
        ("paint", "invalid choice: 'paint'"),
        ("colorize", "INPUT"),
        ("colorize album --strength 3", "must be from 0 to 2, not 3"),
        ("colorize album --strength nan", "must be from 0 to 2, not nan"),
        ("colorize album --strength much", "invalid number value: 'much'"),
        ("colorize album --workers 0", "must be 1 or more, not 0"),
        ("colorize album --size tall", "invalid whole number value: 'tall'"),
        ("colorize album --candidates 0", "must be 1 or more, not 0"),
        ("colorize album --unknown", "unrecognized arguments: --unknown"),
        ("colorize album --recurs", "unrecognized arguments: --recurs"),
    ],
)
def test_wrong_arguments_exit_with_2(
    line: str, message: str, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(line.split())
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("album/a.jpg -o out", "has no suffix"),
        ("album/a.jpg -o out.xyz", "no format is known by .xyz"),
        ("album/a.jpg --confidence chart/", "--confidence chart/ is a folder; give the name of a file."),
        ("- -o out.xyz", "no format is known by .xyz"),
        ("album -o album", "would replace itself"),
        ("album/a.jpg - ", "only one picture"),
        ("album/a.jpg album/b.png -o -", "only one picture"),
        ("album -o -", "only one picture"),
        ("- -o album", "has no name"),
        ("album --size 5", "size must be from 32"),
        ("album/a.jpg --candidates 17", "from 1 to 16 candidates, not 17"),
        ("album --confidence c.png", "--confidence is for one picture"),
        ("album/a.jpg --confidence chart", "chart has no suffix: write chart.jpg for a file."),
        ("album/a.jpg -o - --candidates 2", "--candidates writes files of its own"),
        ("- --confidence c.png", "--confidence writes files of its own"),
        ("album/a.jpg --confidence album/a.jpg", "--confidence album/a.jpg is the picture itself or its"),
        ("album/a.jpg -o x.png --confidence ./x.png", "is the picture itself or its result"),
        ("album/a.jpg -o x.png --candidates 2 --confidence x-2.png", "is the picture itself or its result"),
    ],
)
def test_wrong_usage_exits_with_2(
    line: str, message: str, album: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["colorize", *line.split(), "--model", str(tiny_model)]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n"), names(album)) == ("", 1, ["a.jpg", "b.png", "c.png"])


def test_two_inputs_with_one_output_write_nothing(
    album: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (album / "sub").mkdir()
    shutil.copy(album / "a.jpg", album / "sub" / "a.jpg")
    line = ["colorize", "album/b.png", "album/a.jpg", "album/sub", "-o", "out", "--model", str(tiny_model)]
    assert cli.main(line) == 2
    assert "album/a.jpg and album/sub/a.jpg would both be written to out/a.jpg" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize("line", [["--help"], ["colorize", "--help"], ["models", "--help"]])
def test_help_has_examples_and_fits_the_screen(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(line)
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 110
    assert ("examples:" in text) is (len(line) == 2)
