"""No command harms what it is given: bytes and time of change stay, wherever results are to go."""

from __future__ import annotations

import os
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from tintype import cli

KINDS = {"a.jpg": "JPEG", "b.png": "PNG", "c.tif": "TIFF", "d.webp": "WEBP", "e.gif": "GIF", "f.bmp": "BMP",
         "g.avif": "AVIF", "h.jp2": "JPEG2000", "i.heic": "HEIF"}  # fmt: skip


@pytest.fixture
def album(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture of every format and a damaged one, with an old time, in `album`; the model as `tiny.onnx`."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "album"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, kind in KINDS.items():
        file = BytesIO()
        image = Image.fromarray(rng.integers(0, 256, (40, 48), np.uint8))
        (pillow_heif.from_pillow(image).save(file) if kind == "HEIF" else image.save(file, kind))
        (folder / name).write_bytes(file.getvalue())
    (folder / "damaged.jpg").write_bytes((folder / "a.jpg").read_bytes()[:300])
    for path in folder.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    for suffix in (".onnx", ".toml"):
        shutil.copy(tiny_model.with_suffix(suffix), tmp_path)
    return folder


def state(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """The pictures that were there first: bytes, time of change, and the file itself."""
    names = [*KINDS, "damaged.jpg"]
    return {
        name: (
            (folder / name).read_bytes(),
            (folder / name).stat().st_mtime_ns,
            (folder / name).stat().st_ino,
        )
        for name in names
    }


COMMANDS = [
    "colorize album",
    "colorize album -o out",
    "colorize album -o out --recursive --overwrite",
    "colorize album -o album",
    "colorize album -o album --overwrite",
    "colorize album/a.jpg -o album/a.jpg",
    "colorize album/a.jpg -o album/a.jpg --overwrite",
    "colorize album/a.jpg -o album/b.png",
    "colorize album/a.jpg -o ALIAS.jpg --overwrite",
    "colorize album/a.jpg album/b.png -o album --overwrite",
    "colorize album/damaged.jpg",
    "batch album -o out",
    "batch album -o album",
    "batch album -o album --overwrite",
    "batch album -o album/out",
    "batch album -o . --overwrite",
    "batch album -o LINK --overwrite",
    "batch album -o file://HERE/album --manifest m.jsonl --overwrite",
    "batch file:HERE/album -o album --overwrite",
    "batch album -o out --manifest album/a.jpg",
    "batch --report album/a.jpg",
    "compare gray mean --images album -o sheet.png",
    "data inspect album",
]


@pytest.mark.parametrize("line", COMMANDS)
def test_inputs_stay_as_they_are(line: str, album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (album.parent / "ALIAS.jpg").symlink_to(album / "a.jpg")
    (album.parent / "LINK").symlink_to(album)
    before = state(album)
    words = line.replace("HERE", str(album.parent)).split()
    if words[0] in ("colorize", "batch") and "--report" not in words:
        words += ["--model", "tiny.onnx"]
    try:
        status = cli.main(words)
    except SystemExit as stopped:
        status = int(str(stopped.code))
    told = capsys.readouterr().err
    assert state(album) == before
    if status:
        assert "tintype" in told
        assert "Traceback" not in told


def test_most_of_the_commands_do_something(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So that what is asserted above is not the silence of wrong usage."""
    done = [cli.main([*line.split(), "--model", "tiny.onnx"]) for line in COMMANDS[:2]]
    assert done == [1, 1]  # for the damaged one alone
    assert len(list(album.glob("*.color.*"))) == len(list((album.parent / "out").iterdir())) == len(KINDS)
    capsys.readouterr()
