"""Standard input and output: pictures in pipes, terminals, readers that go, progress."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_helpers import command, grey, names
from PIL import Image

from tintype import cli


def test_standard_input_to_standard_output(album: Path, tiny_model: Path) -> None:
    done = command("colorize", "-", "--model", tiny_model, "--json", input=Path("album/b.png").read_bytes())
    assert done.returncode == 0
    with Image.open(io.BytesIO(done.stdout)) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (40, 30))
    result = json.loads(done.stderr)  # alone there
    assert (result["source"], result["target"], result["status"]) == ("-", "-", "done")


def test_nothing_on_standard_output_for_a_bad_picture(tiny_model: Path) -> None:
    done = command("colorize", "-", "--model", tiny_model, input=b"")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"tintype: standard input: ")
    assert done.stderr.count(b"\n") == 1


def test_standard_input_to_a_file_and_a_file_to_standard_output(
    album: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("album/b.png").read_bytes())))
    model = ["--model", str(tiny_model)]
    assert cli.main(["colorize", "-", "-o", "new/x.jpg", *model]) == 0
    assert names(Path("new")) == ["x.jpg"]
    assert cli.main(["colorize", "-", "-o", "new/x.jpg", *model]) == 1
    assert b"new/x.jpg exists already; --overwrite replaces it." in capfdbinary.readouterr().err
    assert cli.main(["colorize", "new/x.jpg", "-o", "-", "--quiet", *model]) == 0
    with Image.open(io.BytesIO(capfdbinary.readouterr().out)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (40, 30))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_pictures_do_not_come_from_the_keyboard_nor_go_to_the_terminal(
    album: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    assert cli.main(["colorize", "-"]) == 2
    assert "keyboard" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert cli.main(["colorize", "album/a.jpg", "-o", "-"]) == 2
    assert "terminal" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", [["models"], ["colorize", "album", "--json"], ["colorize", "album/b.png", "-o", "-"]]
)
def test_a_reader_that_has_gone_is_no_traceback(line: list[str], album: Path, tiny_model: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    model = ["--model", tiny_model] if line[0] == "colorize" else []
    with os.fdopen(writer, "wb") as pipe:
        done = command(*line, *model, capture_output=False, stdout=pipe, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("line", [["models", "--json"], ["colorize", "album/b.png", "-o", "-"]])
def test_a_full_disk_behind_standard_output(line: list[str], album: Path, tiny_model: Path) -> None:
    model = ["--model", tiny_model] if line[0] == "colorize" else []
    with Path("/dev/full").open("wb") as full:
        done = command(*line, *model, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.startswith(b"tintype: ")
    assert done.stderr.count(b"\n") == 1


def test_progress_is_shown_on_a_terminal(album: Path, tiny_model: Path) -> None:
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "wb") as terminal:
        done = command(
            "colorize", "album", "--model", tiny_model, capture_output=False, stdout=terminal, stderr=terminal
        )
    with os.fdopen(ours, "rb", buffering=0) as screen:
        text = screen.read(65536)
    assert done.returncode == 0
    assert b"3/3" in text
    assert b" pictures" in text
    assert b"3 done, 0 failed" in text


@pytest.mark.parametrize(
    ("name", "told"), [(None, "a file cannot be read or written: No space"), ("it.txt", "it.txt: No space")]
)
def test_standard_output_is_not_blamed_for_what_others_did(monkeypatch, capsys, name, told):
    def full(args):
        raise OSError(errno.ENOSPC, "No space left on device", name)

    monkeypatch.setattr("tintype.models_command.run_models", full)
    assert cli.main(["models"]) == 1
    err = capsys.readouterr().err
    assert told in err
    assert "standard output" not in err


def test_names_that_the_terminal_cannot_show(
    album: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"album/\xff\xe9.png")
    grey().save(name)
    assert cli.main(["colorize", name, "--model", str(tiny_model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == name
