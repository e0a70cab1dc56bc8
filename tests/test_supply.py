"""What is loaded and decoded is what the project names: no pickles, no other formats, no other model."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tintype
from tintype import Colorizer
from tintype.errors import InputError, ModelError
from tintype.images import decode_rgb8, open_picture

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
# What can run code that a file brings, or opens whatever format a file claims; and what makes it safe.
_NEVER = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "joblib.load", "shelve.open",
    "marshal.load", "marshal.loads", "yaml.load", "yaml.full_load", "yaml.unsafe_load", "eval", "exec",
    "os.system", "cv2.imread", "torch.hub.load", "torch.jit.load", "runpy.run_path",
}  # fmt: skip
# Inception comes as a program, in a file that the user names; docs/reliability.md says so.
_ALLOWED = {"tintype/train/judges.py": ["torch.jit.load"]}
_NEEDED = {
    "torch.load": ("weights_only", True), "trainer.fit": ("weights_only", True),
    "Image.open": ("formats", None),
}  # fmt: skip
_REFUSED = {"allow_pickle": True, "shell": True, "weights_only": False, "trust_remote_code": True}
# The places that hand bytes to OpenCV, all after the format was checked.
_DECODERS = {"images/png.py", "images/jp2.py", "images/files.py"}


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def faults(source: str) -> list[str]:
    """The calls in a source that are not allowed."""
    found = []
    for name, call in calls(source):
        values = {k.arg: getattr(k.value, "value", None) for k in call.keywords}
        if name in _NEVER:
            found.append(name)
        if name in _NEEDED:
            key, wanted = _NEEDED[name]
            if key not in values or (wanted is not None and values[key] is not wanted):
                found.append(f"{name} without {key}")
        found += [f"{name} with {key}" for key, value in _REFUSED.items() if values.get(key) is value]
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.relative_to(ROOT / "src").as_posix())
def test_no_source_loads_code_with_its_data(source: Path) -> None:
    allowed = _ALLOWED.get(source.relative_to(ROOT / "src").as_posix(), [])
    assert faults(source.read_text(encoding="utf-8")) == allowed


def test_the_check_sees_what_it_looks_for() -> None:
    for bad in (
        "pickle.load(f)", "torch.load(f)", "torch.load(f, weights_only=False)", "yaml.load(f)",
        "Image.open(f)", "np.load(f, allow_pickle=True)", "run(x, shell=True)",
        "trainer.fit(m, ckpt_path=p)", "cv2.imread(p)",
    ):  # fmt: skip
        assert faults(bad), bad
    assert faults("torch.load(f, weights_only=True); Image.open(f, formats=('JPEG',)); np.load(f)") == []


def test_only_the_readers_of_pictures_hand_bytes_to_opencv() -> None:
    names = {
        source.relative_to(ROOT / "src/tintype").as_posix()
        for source in SOURCES
        if any(name == "cv2.imdecode" for name, _ in calls(source.read_text(encoding="utf-8")))
    }
    assert names == _DECODERS


@pytest.mark.parametrize("kind", ["PPM", "TGA", "PCX", "SGI", "ICO", "EPS", "DDS"])
def test_formats_off_the_list_are_not_decoded(kind: str) -> None:
    """Pillow or OpenCV could: their rarely used decoders are where the holes are."""
    file = BytesIO()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(file, kind)
    with pytest.raises(
        InputError, match="not a picture in JPEG, PNG, TIFF, JPEG 2000, WebP, AVIF, HEIC, GIF or BMP"
    ):
        open_picture(file.getvalue())
    with pytest.raises(InputError, match="no picture that can be decoded"):
        decode_rgb8(file.getvalue())


def test_nothing_is_noted_anywhere_of_what_was_coloured(tmp_path: Path, tiny_model: Path) -> None:
    """onnxruntime would leave a number for the computer and what it reports under the home folder."""
    home = tmp_path / "home"
    home.mkdir()
    code = "import sys, numpy, tintype; tintype.Colorizer(sys.argv[1])(numpy.zeros((9, 9), numpy.uint8))"
    kept = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    environment = kept | {"HOME": str(home), "PYTHONPATH": str(Path(tintype.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code, str(tiny_model)], env=environment, check=True)
    assert list(home.rglob("*")) == []


def test_a_model_of_another_hash_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    for suffix in (".onnx", ".toml"):
        shutil.copy(tiny_model.with_suffix(suffix), tmp_path)
    Colorizer(tmp_path / tiny_model.name)
    data = bytearray(tiny_model.read_bytes())
    data[-1] ^= 1
    (tmp_path / tiny_model.name).write_bytes(data)
    with pytest.raises(ModelError, match="is not the file its card describes"):
        Colorizer(tmp_path / tiny_model.name)
