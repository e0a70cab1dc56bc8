"""Ctrl-C and its kin: what is in hand is finished, and nothing half is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_helpers import command, environment, names, python
from PIL import Image

PART = ".tintype-part"
HALF_WRITTEN = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests' own parent ignores
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
from tintype import images
from tintype.cli import main
real = images.save_picture
def save(picture, colorings, target, *rest):
    target.write(b"half")
    target.flush()
    os.write(1, b"half written\\n")  # at once: threads interleave what print writes
    while not os.path.exists("go"):
        time.sleep(0.01)
    target.seek(0)
    real(picture, colorings, target, *rest)
images.save_picture = save
sys.exit(main(["colorize", *sys.argv[1:], "--workers", "2"]))
"""


class HalfWritten:
    """`tintype colorize ARGS`, stopped in the middle of writing `count` results."""

    def __init__(self, *args: str | Path, count: int) -> None:
        line = [sys.executable, "-c", HALF_WRITTEN, *map(str, args)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(line, env=environment(), text=True, **pipes)
        assert self.process.stdout is not None
        for _ in range(count):
            assert self.process.stdout.readline() == "half written\n"

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> str:
        """What it said after its end with status 130."""
        _, said = self.process.communicate(timeout=60)
        assert self.process.returncode == 130, said
        assert "Traceback" not in said
        return said


def parts(folder: Path) -> list[str]:
    return [name for name in names(folder) if name.endswith(PART)]


needs_signals = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


@needs_signals
def test_ctrl_c_finishes_what_is_in_hand_and_the_run_can_be_resumed(album: Path, tiny_model: Path) -> None:
    run = HalfWritten("album", "-o", "out", "--model", tiny_model, count=2)
    assert len(parts(Path("out"))) == 2
    run.interrupt()
    assert run.process.stderr is not None
    assert run.process.stderr.readline() == "\n"
    assert run.process.stderr.readline().startswith("Stopping after the pictures in hand")
    Path("go").touch()
    said = run.end()
    assert said.startswith("Stopped: 2 done, 0 failed; ")
    assert "1 picture not begun" in said
    assert names(Path("out")) == ["a.jpg", "b.png"]
    for path in Path("out").iterdir():
        with Image.open(path) as picture:
            picture.load()
    done = command("colorize", "album", "-o", "out", "--model", tiny_model)
    assert done.returncode == 0
    assert done.stderr.startswith(b"1 done, 2 skipped (result exists")
    assert names(Path("out")) == ["a.jpg", "b.png", "c.png"]


@needs_signals
def test_a_second_ctrl_c_stops_at_once_and_leaves_nothing(album: Path, tiny_model: Path) -> None:
    run = HalfWritten("album", "-o", "out", "--model", tiny_model, count=2)
    run.interrupt()
    assert run.process.stderr is not None
    run.process.stderr.readline()
    run.interrupt()
    run.end()
    assert names(Path("out")) == []


@needs_signals
def test_ctrl_c_stops_a_single_picture_at_once(album: Path, tiny_model: Path) -> None:
    run = HalfWritten("album/a.jpg", "--model", tiny_model, count=1)
    run.interrupt()
    assert run.end() == "tintype: stopped.\n"
    assert names(album) == ["a.jpg", "b.png", "c.png"]


@needs_signals
@pytest.mark.parametrize("pictures", ["album", "album/a.jpg"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_being_ended_is_like_ctrl_c(album: Path, tiny_model: Path, pictures: str, name: str) -> None:
    run = HalfWritten(pictures, "-o", "out/", "--model", tiny_model, count=1)
    for _ in range(2 if name == "SIGHUP" else 1):  # which comes twice when a window is closed
        run.process.send_signal(signal.Signals[name])
    Path("go").touch()
    run.end()
    assert parts(Path("out")) == []


@needs_signals
def test_what_ignores_a_hangup_goes_on_doing_so() -> None:
    code = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
from tintype import cli
cli.main(["models"])
assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
"""
    assert python(code).returncode == 0


INTERRUPTED_IMPORT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Finder:
    def find_spec(self, name, *_):
        if name == "onnxruntime.capi":
            signal.raise_signal(signal.SIGINT)
            print("imported on")
sys.meta_path.insert(0, Finder())
from tintype.cli import main
sys.exit(main(["colorize", "album", "--model", sys.argv[1]]))
"""


@needs_signals
def test_ctrl_c_does_not_break_the_import_of_onnxruntime(album: Path, tiny_model: Path) -> None:
    """Which would make another error of it, with a traceback."""
    done = python(INTERRUPTED_IMPORT, tiny_model)
    assert (done.returncode, done.stdout, done.stderr) == (130, "imported on\n", "tintype: stopped.\n")
    assert names(album) == ["a.jpg", "b.png", "c.png"]
