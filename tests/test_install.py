"""What is installed: the wheel, built twice alike, in a fresh environment; the README's first command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
LIMIT_MB = 350
# Run against the wheel: the public surface, every format, the command and what it starts.
CORE = ["tests/test_public_names.py", "tests/test_colorizer.py", "tests/test_untouched.py",
        "tests/images/test_provenance.py",
        "tests/archive/test_archive_again.py::test_a_second_run_does_what_is_missing_or_changed",
        "tests/archive/test_archive_again.py::test_what_failed_is_tried_again"]  # fmt: skip


def build(folder: Path) -> Path:
    """The wheel, built with the hatchling that is installed."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
    ]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run([*command, str(ROOT)], env=environment, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of commands of an environment with the wheel and this one's packages but for Tintype."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = folder / sysconfig.get_path("purelib", vars={"base": "", "platbase": ""}).lstrip("/")
    # A path file's folders are searched last, and their own path files (an editable Tintype's) ignored.
    (packages / "rest.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(folder), "install", "-q", "--no-deps", "--no-index"]
    pip.append("--ignore-installed")  # this environment may hold the same version, which must not count
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    return folder / "bin"


def without_paths() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def test_a_wheel_is_built_twice_alike_and_holds_what_it_must(wheel, tmp_path):
    assert build(tmp_path).read_bytes() == wheel.read_bytes()
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = subprocess.run(
        ["git", "ls-files", "src/tintype"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name.removeprefix("src/") for name in sources} <= names
    assert {"tintype/py.typed", "tintype/models/tint.onnx"} <= names


def test_the_wheel_colorizes(installed, tmp_path):
    photograph = ROOT / "examples" / "photographer.jpg"
    command = [installed / "tintype", "colorize", photograph, "-o", tmp_path / "out.jpg"]
    subprocess.run(command, cwd=tmp_path, env=without_paths(), check=True, capture_output=True)
    with Image.open(tmp_path / "out.jpg") as result:
        assert result.mode == "RGB"


def test_the_core_of_the_tests_passes_on_the_wheel(installed):
    where = [installed / "python", "-c", "import tintype; print(tintype.__file__)"]
    found = subprocess.run(
        where, env=without_paths(), cwd="/", capture_output=True, text=True, check=True
    ).stdout
    assert Path(found.strip()).is_relative_to(installed.parent)
    command = [installed / "python", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *CORE]
    done = subprocess.run(command, cwd=ROOT, env=without_paths(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.slow
def test_the_readmes_first_command_and_the_size_of_what_it_brings(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = next(line for line in readme.splitlines() if line.startswith("python3 -m venv"))
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(["python3", "-m", "venv", tmp_path / "empty"], check=True)
    empty, before = _megabytes(tmp_path / "empty"), _megabytes(tmp_path)
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True)
    photograph = re.search(r"tintype colorize (\S+)", command)[1]
    with Image.open((tmp_path / photograph).with_suffix(".color.jpg")) as result:
        assert result.mode == "RGB"
    packages = tmp_path / ".venv" / "lib"
    assert not list(packages.rglob("torch"))
    size = _megabytes(tmp_path) - before - empty
    print(f"\nwhat the install brings, dependencies included: {size:.0f} MB")
    assert size <= LIMIT_MB


def _megabytes(folder: Path) -> float:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6
