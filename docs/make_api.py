"""Writes api.md: every public name with its signature and docstring.

python docs/make_api.py
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tintype

HEAD = """\
# The public names

All of them come from the package: `from tintype import Colorizer`. What stands here, and the command line as
`tintype COMMAND --help` documents it, is kept within a major version ([CHANGELOG](../CHANGELOG.md)); all else
may change. The package is typed (`py.typed`). This page is made by `python docs/make_api.py`.
"""


def api() -> str:
    """The page."""
    names = "\n".join(f"- {_link(name)}" for name in _names())
    parts = [HEAD, f"Version {tintype.__version__}:", names]
    parts += ["\n".join(_section(name, getattr(tintype, name))) for name in _names()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _names() -> list[str]:
    return [name for name in tintype.__all__ if not name.startswith("__")]


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _section(name: str, value: Any) -> Iterator[str]:
    yield f"## {name}\n"
    if issubclass(value, Exception):
        kind = "" if value.__base__ is Exception else f" of the kind {_link(value.__base__.__name__)}"
        yield f"An error{kind}. {_doc(value)}"
        return
    yield f"```python\n{_signature(name, value)}\n```\n\n{_doc(value)}"
    if fields := _fields(value):
        yield "\n" + "\n".join(f"- `{field}`: {text}" for field, text in fields)
    for method, member in vars(value).items():
        if (method.startswith("_") and method != "__call__") or not (
            inspect.isfunction(member) or isinstance(member, property)
        ):
            continue
        shown = f"{name}.{method}" if isinstance(member, property) else _signature(f"{name}.{method}", member)
        yield f"\n### {name}.{method.strip('_')}\n\n```python\n{shown}\n```\n\n{_doc(member)}"


def _signature(name: str, value: Any) -> str:
    """A call as it is written, on one line where it fits."""
    signature = inspect.signature(value)
    name = name.removesuffix(".__call__")
    returned = signature.return_annotation
    result = f" -> {returned}" if returned not in (None, "None", inspect.Signature.empty) else ""
    parameters = list(_parameters(signature))
    whole = f"{name}({', '.join(parameters)}){result}"
    if len(whole) <= 90:
        return whole
    return f"{name}(\n" + "".join(f"    {parameter},\n" for parameter in parameters) + f"){result}"


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    starred = False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        default = parameter.default
        shown = f'"{default}"' if isinstance(default, str) else repr(default)
        if shown == "<factory>":  # of a dataclass's list
            shown = "[]"
        yield f"{parameter.name}: {parameter.annotation}" + (
            "" if default is parameter.empty else f" = {shown}"
        )


def _doc(value: Any) -> str:
    text = inspect.getdoc(value)
    if not text:
        raise SystemExit(f"{value} has no docstring.")
    return text.strip()


def _fields(value: Any) -> list[tuple[str, str]]:
    """A dataclass's fields and the docstrings below them."""
    if not hasattr(value, "__dataclass_fields__"):
        return []
    tree = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = []
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if not is_text:
                raise SystemExit(f"{value.__name__}.{node.target.id} has no docstring.")
            found.append((node.target.id, " ".join(after.value.value.split())))
    return found


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("api.md")
    target.write_text(api(), encoding="utf-8")
