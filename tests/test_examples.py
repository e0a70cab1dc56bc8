"""Every example runs as it stands, with the model that ships."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def run(*arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    result = subprocess.run(
        [sys.executable, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_arrays():
    assert "(240, 320, 3) uint16" in run(EXAMPLES / "colorize_array.py")
    assert "2) float32" in run(EXAMPLES / "chroma_only.py")


@pytest.mark.parametrize("photograph", sorted(EXAMPLES.glob("*.jpg")), ids=lambda path: path.stem)
def test_each_photograph_side_by_side(photograph, tmp_path):
    run(EXAMPLES / "old_and_new.py", photograph, tmp_path / "pair.png")
    with Image.open(tmp_path / "pair.png") as pair, Image.open(photograph) as grey:
        assert pair.size == (2 * grey.width, grey.height)


def test_calling_the_service(tmp_path):
    command = [sys.executable, "-m", "tintype", "serve", "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as service:
        try:
            address = re.search(r"http://\S+", service.stderr.readline())[0]
            grey = EXAMPLES / "cat.jpg"
            assert "451x300, by tint" in run(EXAMPLES / "call_service.py", grey, tmp_path / "a.jpg", address)
            if shutil.which("curl"):
                script = ["sh", EXAMPLES / "call_service.sh", grey, tmp_path / "b.jpg", address]
                told = subprocess.run(script, capture_output=True, text=True, check=True).stdout
                assert "is not a picture" in told
            for result in tmp_path.iterdir():
                with Image.open(result) as picture:
                    assert (picture.mode, picture.size) == ("RGB", (451, 300))
        finally:
            service.terminate()


def test_every_script_here_is_run_by_a_test():
    tested = Path(__file__).read_text(encoding="utf-8")
    assert all(script.name in tested for script in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.sh")])
