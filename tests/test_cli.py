"""The command as a user meets it: arguments, streams, exit status, and what stands on the screen."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tintype
from tintype import cards, cli
from tintype.cards import ModelCard

SOURCE = Path(tintype.__file__).parent.parent
NOBODY = 65534
PART = ".tintype-part"


def grey(size: tuple[int, int] = (40, 30), seed: int = 0) -> Image.Image:
    """A grey picture of noise, (W, H), which no format makes much smaller."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, size[::-1], np.uint8))


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures in `album`, in the current folder."""
    folder = tmp_path / "album"
    folder.mkdir()
    for seed, name in enumerate(("a.jpg", "b.png", "c.png")):
        grey(seed=seed).save(folder / name)
    monkeypatch.chdir(tmp_path)
    return folder


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(SOURCE)}


def command(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """`tintype ARGS` in a process of its own."""
    line = [sys.executable, "-m", "tintype", *map(str, args)]
    options = {"capture_output": True} | options
    return subprocess.run(line, env=environment(), check=False, timeout=120, **options)


def python(code: str, *args: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(
        line, env=environment(), check=False, timeout=120, capture_output=True, text=True, **options
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- what an import costs


def test_version_and_import_load_nothing_heavy() -> None:
    code = """
import sys
import tintype, tintype.cli
try:
    tintype.cli.main(["--version"])
finally:
    heavy = {"numpy", "onnxruntime", "cv2", "PIL", "tifffile", "simplejpeg", "tqdm", "torch"}
    print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""
    done = python(code)
    assert (done.returncode, done.stdout) == (0, f"tintype {tintype.__version__}\n")
    assert done.stderr == "[]\n"


def test_no_runtime_module_brings_torch() -> None:
    code = """
import importlib, pkgutil, sys
import tintype
runtime, packages = [], [tintype]
for package in packages:
    for _, name, is_package in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if name not in ("tintype.train", "tintype.__main__"):
            runtime.append(name)
            module = importlib.import_module(name)
            packages += [module] if is_package else []
print(len(runtime), sorted({"torch", "lightning", "onnx"} & sys.modules.keys()))
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    count, rest = done.stdout.split(maxsplit=1)
    assert int(count) >= 10
    assert rest == "[]\n"


def test_public_names_are_sorted_and_all_there() -> None:
    assert tintype.__all__ == sorted(tintype.__all__)
    for name in tintype.__all__:
        assert getattr(tintype, name) is not None
    assert set(tintype.__all__) <= set(dir(tintype))
    with pytest.raises(AttributeError, match="no attribute 'Colouriser'"):
        tintype.Colouriser  # noqa: B018
    errors = {name for name in vars(tintype.errors) if name.endswith("Error")}
    assert errors <= set(tintype.__all__)


# --- arguments


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


# --- pictures


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
    assert cli.main(line) == 1
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


# --- streams


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


# --- refusals of the system


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


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    line = [str(mount), "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if mount is None or subprocess.run(line, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(album: Path, tiny_model: Path, tiny_disk: Path, capsys: Any) -> None:
    grey((300, 300)).save(album / "big.png")
    assert cli.main(["colorize", "album", "-o", str(tiny_disk), "--model", str(tiny_model)]) == 1
    failure, summary = capsys.readouterr().err.splitlines()
    assert failure == (
        f"tintype: album/big.png: Cannot write {tiny_disk / 'big.png'}: No space left on device."
    )
    assert summary.startswith("3 done, 1 failed")
    assert names(tiny_disk) == ["a.jpg", "b.png", "c.png"]


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


# --- Ctrl-C

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


def test_the_limit_on_pixels_can_be_set(album: Path, tiny_model: Path) -> None:
    line = ["colorize", "album/b.png", "--model", tiny_model, "-o", "out.png", "--max-pixels"]
    refused = command(*line, "10")
    assert refused.returncode == 1
    assert b"more than the limit of 10" in refused.stderr
    assert command(*line, "1000000").returncode == 0


# --- models


def card(name: str, **more: Any) -> ModelCard:
    plain = {"version": "1.2", "recipe": "tint", "license": "Apache-2.0", "sha256": "0" * 64}
    return ModelCard(name=name, description=f"Colours like {name}.", **plain, **more)


def test_models_as_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    scores = {"grey": {"psnr": 20.0}, "tint": {"psnr": 24.25, "lpips": 0.178, "on": "val-224"}}
    both = [card("tint", parameters=2_900_000, file_bytes=11_600_000, scores=scores), card("other")]
    monkeypatch.setattr(cards, "list_models", lambda: both)
    assert cli.main(["models"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "NAME   VERSION  RECIPE  LICENCE     PARAMETERS  FILE",
        "tint   1.2      tint    Apache-2.0  2.9 M       11.6 MB",
        "  Colours like tint.",
        "  psnr 24.25, lpips 0.178",
        "other  1.2      tint    Apache-2.0  0.0 M       0.0 MB",
        "  Colours like other.",
    ]
    assert cli.main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == ["tint", "other"]
    assert listed[0]["scores"] == scores


def test_no_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cards, "list_models", list)
    assert cli.main(["models"]) == 0
    assert "No model is installed" in capsys.readouterr().out


def test_names_that_the_terminal_cannot_show(
    album: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"album/\xff\xe9.png")
    grey().save(name)
    assert cli.main(["colorize", name, "--model", str(tiny_model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == name


def test_results_say_that_their_colours_are_computed_unless_told_not_to(album: Path) -> None:
    assert command("colorize", "album", "-o", "told").returncode == 0
    assert command("colorize", "album", "-o", "untold", "--no-provenance").returncode == 0
    for name in ("a.jpg", "b.png"):
        assert b"algorithmicallyEnhanced" in Path("told", name).read_bytes()
        assert b"algorithmicallyEnhanced" not in Path("untold", name).read_bytes()


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
