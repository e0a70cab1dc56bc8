"""What an import of the package loads, and its public names."""

from __future__ import annotations

import pytest
from command_helpers import python

import tintype


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
