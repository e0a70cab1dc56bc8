"""Settings as typed, documented dataclasses: reading `key=value` and YAML, sweeps, and help texts."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import itertools
import math
import textwrap
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tintype.errors import SettingsError
from tintype.train.ranges import Range, range_of


@dataclass(frozen=True)
class Field:
    """One setting: its name, type, default, the docstring below it in its class, the numbers it may have."""

    name: str
    type: Any
    default: Any
    doc: str
    range: Range | None = None


def fields_of(cls: type) -> list[Field]:
    """The settings of a dataclass in order, with the docstrings of their fields."""
    docs = _field_docs(cls)
    types, ranges = (typing.get_type_hints(cls, include_extras=extras) for extras in (False, True))
    return [
        Field(f.name, types[f.name], f.default, docs.get(f.name, ""), range_of(ranges[f.name]))
        for f in dataclasses.fields(cls)
    ]


def help_text(cls: type, defaults: Any = None) -> str:
    """A line for each setting: name, default (that of the instance `defaults`, if given), docstring."""
    lines = []
    for field in fields_of(cls):
        default = field.default if defaults is None else getattr(defaults, field.name)
        choices = typing.get_args(field.type) if typing.get_origin(field.type) is typing.Literal else ()
        kind = "|".join(map(str, choices)) or getattr(field.type, "__name__", str(field.type))
        kind += f", {field.range}" if field.range else ""
        lines.append(f"  {field.name}={default}  ({kind})")
        lines += textwrap.wrap(field.doc, 96, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def build(cls: type[Any], values: Mapping[str, Any], others: Iterable[str] = ()) -> Any:
    """An instance of a settings class from text or YAML values.

    SettingsError for an unknown key, naming the nearest right one of these and `others`, and for a value of
    the wrong type.
    """
    known = {field.name: field for field in fields_of(cls)}
    for key in values:
        if key not in known:
            names = [*known, *(name for name in others if name not in known)]
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(names)}."
            raise SettingsError(f"There is no setting {key!r}{hint}")
    return cls(**{key: _convert(known[key], value) for key, value in values.items()})


def parse_assignments(assignments: Iterable[str]) -> dict[str, list[str]]:
    """`key=a,b,c` to the values that each key is to take; SettingsError where there is no `=`."""
    values: dict[str, list[str]] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise SettingsError(f"--set takes key=value, not {text!r}.")
        values[key.strip()] = list(dict.fromkeys(part.strip() for part in value.split(",")))
    return values


def sweep(values: Mapping[str, list[str]]) -> list[dict[str, str]]:
    """Every combination of the values that the keys are to take; one where each key has one value."""
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def load_yaml(text: str) -> Any:
    """What a YAML text says; ValueError where it is none, or where a key stands twice in one table."""
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value]
            if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
                raise ValueError(f"{twice[0]} stands there twice")
            return super().construct_mapping(node, deep)

    try:
        return Loader(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a YAML file; SettingsError when it is missing or holds no table."""
    try:
        values = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"There is no configuration file {path}.") from None
    except ValueError as error:
        raise SettingsError(f"{path} is no valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{path} must hold settings as `key: value` lines.")
    for key in values:
        if not isinstance(key, str):  # YAML takes `on` for true
            raise SettingsError(f"{path}: {key!r} is no setting's name; put it in quotes if it is meant so.")
    return values


def _convert(field: Field, value: Any) -> Any:
    origin = typing.get_origin(field.type)
    if origin is typing.Literal:
        choices = typing.get_args(field.type)
        for choice in choices:
            if value == choice or str(value) == str(choice):
                return choice
        near = difflib.get_close_matches(str(value), map(str, choices), n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SettingsError(
            f"{field.name} must be one of {', '.join(map(str, choices))}, not {value!r}{hint}"
        )
    if field.type is bool:
        answers = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if str(value).lower() in answers:
            return answers[str(value).lower()]
        raise SettingsError(f"{field.name} must be true or false, not {value!r}.")
    if field.type in (int, float):
        return _number(field, value)
    if field.type is str and (value is None or isinstance(value, bool)):  # YAML's reading of nothing, or no
        raise SettingsError(f"{field.name} must be text, not {value!r}; put it in quotes if it is meant so.")
    return str(value) if field.type is str else value


def _number(field: Field, value: Any) -> Any:
    try:
        number = field.type(value if not isinstance(value, bool) else None)
    except (TypeError, ValueError, OverflowError):
        kind = "a whole number" if field.type is int else "a number"
        raise SettingsError(f"{field.name} must be {kind}, not {value!r}.") from None
    if not math.isfinite(number):
        raise SettingsError(f"{field.name} must be a finite number, not {value!r}.")
    if field.type is int and not isinstance(value, str) and number != value:
        raise SettingsError(f"{field.name} must be a whole number, not {value!r}.")
    return number


def _field_docs(cls: type) -> dict[str, str]:
    """The string that follows each annotated field in the class's source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for field, after in itertools.pairwise(body.body):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr):
            name, text = field.target, after.value
            if isinstance(name, ast.Name) and isinstance(text, ast.Constant):
                docs[name.id] = " ".join(str(text.value).split())
    return docs
