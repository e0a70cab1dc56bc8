"""What a newcomer does: the README's first command, in a fresh environment and a copy of the sources."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
LIMIT_MB = 350


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
