"""What the system refuses: permissions, full disks, limits on files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_helpers import grey, names, python
from PIL import Image

from tintype import cli

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user can reach; pytest's own are for this one alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in (folder / "closed", folder / "sealed"):
        path.chmod(0o755)
    shutil.rmtree(folder)


AS_NOBODY = """
import os, sys
from tintype.cli import main
model, warm, nobody, *line = sys.argv[1:]
# Everything is loaded first: the interpreter's own files may be closed to others.
assert main(["colorize", warm, "--model", model, "--quiet"]) == 0
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(int(nobody)); os.setuid(int(nobody))
sys.exit(main(["colorize", *line, "--model", model]))
"""


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_no_permission(open_folder: Path, tiny_model: Path) -> None:
    for path in (tiny_model, tiny_model.with_suffix(".toml")):
        shutil.copy(path, open_folder)
    for name in ("warm.png", "closed/a.png", "closed/b.png", "good.png"):
        (open_folder / name).parent.mkdir(exist_ok=True)
        grey().save(open_folder / name)
    (open_folder / "closed/b.png").chmod(0o000)
    (open_folder / "closed").chmod(0o555)
    (open_folder / "sealed").mkdir(mode=0o000)
    (open_folder / "free").mkdir()
    (open_folder / "free").chmod(0o777)
    model, warm = open_folder / tiny_model.name, open_folder / "warm.png"

    def run(*line: str) -> list[str]:
        done = python(AS_NOBODY, model, warm, str(NOBODY), *line, cwd=open_folder)
        (open_folder / "warm.color.png").unlink()
        assert done.returncode == 1, done.stderr
        return done.stderr.splitlines()

    first, second, summary = run("closed")
    assert sorted((first, second)) == [
        "tintype: closed/a.png: Cannot write closed/a.color.png: Permission denied.",
        "tintype: closed/b.png cannot be read: Permission denied.",
    ]
    assert summary.startswith("0 done, 2 failed")
    assert names(open_folder / "closed") == ["a.png", "b.png"]

    lines = run("good.png", "closed/b.png", "sealed", "sealed/x.png", "-o", "free")
    assert sorted(lines[:-1]) == [
        "tintype: closed/b.png cannot be read: Permission denied.",
        "tintype: sealed/x.png: permission denied.",
        "tintype: sealed: permission denied.",
    ]
    assert names(open_folder / "free") == ["good.png"]

    assert run("good.png", "-o", "closed/new/") == ["tintype: good.png: permission denied (closed/new)."]


def test_a_full_disk(album: Path, tiny_model: Path, tiny_disk: Path, capsys: Any) -> None:
    grey((300, 300)).save(album / "big.png")
    assert cli.main(["colorize", "album", "-o", str(tiny_disk), "--model", str(tiny_model)]) == 1
    failure, summary = capsys.readouterr().err.splitlines()
    assert failure == (
        f"tintype: album/big.png: Cannot write {tiny_disk / 'big.png'}: No space left on device."
    )
    assert summary.startswith("3 done, 1 failed")
    assert names(tiny_disk) == ["a.jpg", "b.png", "c.png"]


def test_a_disk_that_stays_full_ends_the_run(
    album: Path, tiny_model: Path, tiny_disk: Path, capsys: Any
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 120), np.uint8)
    for number in range(40):
        Image.fromarray(noise).save(album / f"n{number:02}.png")
    line = ["colorize", "album", "-o", str(tiny_disk), "--model", str(tiny_model), "--workers", "1"]
    assert cli.main(line) == 1
    *failures, told, summary = capsys.readouterr().err.splitlines()
    assert len(failures) == 8
    assert all("No space left on device" in failure for failure in failures)
    assert told == "tintype: The disk is full: there was no room for 8 results in a row."
    assert "8 failed" in summary
    assert "the same command goes on from here" in summary
    assert all(not name.startswith(".") for name in names(tiny_disk))


def test_a_file_larger_than_is_allowed(album: Path, tiny_model: Path) -> None:
    pytest.importorskip("resource", reason="there are no limits of this kind here")
    grey((300, 300)).save(album / "big.png")
    code = """
import resource, sys
from tintype.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
sys.exit(main(["colorize", "album", "-o", "out", "--model", sys.argv[1]]))
"""
    done = python(code, tiny_model)
    failure, summary = done.stderr.splitlines()
    assert done.returncode == 1
    assert failure.startswith("tintype: album/big.png: ")
    assert summary.startswith("3 done, 1 failed")
    assert names(Path("out")) == ["a.jpg", "b.png", "c.png"]
