"""The public surface is what `docs/api.md` says, typed, and documented name by name."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path

import tintype

ROOT = Path(__file__).parents[1]


def test_the_page_of_the_api_is_the_api() -> None:
    written = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    assert written == runpy.run_path(str(ROOT / "docs/make_api.py"))["api"](), "run python docs/make_api.py"
    for name in tintype.__all__:
        assert name == "__version__" or f"\n## {name}\n" in written


def test_every_public_name_and_method_is_documented_and_annotated() -> None:
    for name in set(tintype.__all__) - {"__version__"}:
        value = getattr(tintype, name)
        assert value.__doc__, name
        assert not value.__doc__.startswith(f"{name}("), f"{name} has a dataclass's own docstring"
        for method, member in vars(value).items():
            if inspect.isfunction(member) and not method.startswith("_"):
                assert member.__doc__, f"{name}.{method}"
                missing = {*inspect.signature(member).parameters, "return"} - {
                    *member.__annotations__,
                    "self",
                }
                assert not missing, f"{name}.{method}"


def test_the_package_is_marked_as_typed_and_its_version_stands_in_the_changelog() -> None:
    assert (Path(tintype.__file__).parent / "py.typed").exists()
    assert f"\n## {tintype.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
