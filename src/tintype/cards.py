"""Model cards: what a model is, where it came from, how good it is; finding and checking models.

A model is a pair of files: `NAME.onnx` and its card `NAME.toml`. A model whose bytes do not have the
SHA-256 that its card states is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tintype.errors import ModelError

MODELS_DIR = Path(__file__).parent / "models"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """All that is stated of one model; sizes in pixels of the network's input."""

    name: str
    version: str
    description: str
    recipe: str
    """The recipe of `tintype.train.recipes` that made it."""
    license: str
    sha256: str
    """Of the ONNX file, in hexadecimal."""
    size: int = 256
    """Shorter side at which the picture is shown to the network unless the user says otherwise."""
    multiple: int = 32
    """Height and width of the network's input must be multiples of this."""
    stride: int = 4
    """Height of the input over height of `ab`."""
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The graph's inputs beside `L`, each with its `default` (a number) and a `description`."""
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the graph can tell beside ab (`bin_probs` and their `bins`), each with a `description`."""
    parameters: int = 0
    file_bytes: int = 0
    commit: str = ""
    """The commit of Tintype that exported it."""
    limits: str = ""
    """What it is known to get wrong."""
    pretrained: tuple[str, ...] = ()
    """Weights that training started from: what, source, licence."""
    training: dict[str, Any] = field(default_factory=dict)
    """Settings and length of the training."""
    data: tuple[dict[str, Any], ...] = ()
    """Training photographs: source, count, terms."""
    scores: dict[str, dict[str, float | str]] = field(default_factory=dict)
    """A table for each rival (`grey`, `constant`) and for the model itself, and how they were measured."""
    path: Path = field(default=Path(), compare=False)
    """Where the ONNX file lies; not part of the card's text."""

    def to_toml(self) -> str:
        """The card as TOML text, which `load_card` reads back."""
        values = {k: v for k, v in dataclasses.asdict(self).items() if k != "path"}
        tables = {k: v for k, v in values.items() if isinstance(v, dict)}
        rows = {k: v for k, v in values.items() if k == "data"}
        plain = {k: v for k, v in values.items() if k not in tables and k not in rows}
        lines = _pairs(plain)
        for key, table in tables.items():
            nested = {k: v for k, v in table.items() if isinstance(v, dict)}
            lines += ["", f"[{key}]", *_pairs({k: v for k, v in table.items() if k not in nested})]
            for name, inner in nested.items():
                lines += ["", f"[{key}.{_key(name)}]", *_pairs(inner)]
        for row in rows["data"]:
            lines += ["", "[[data]]", *_pairs(row)]
        return "\n".join(lines) + "\n"


def load_card(onnx: Path) -> ModelCard:
    """Read the card beside an ONNX file. ModelError where either is missing or the card is damaged."""
    if not onnx.is_file():
        raise ModelError(f"There is no model file {onnx}.")
    if not onnx.with_suffix(".toml").is_file():
        raise ModelError(f"{onnx.name} has no card: {onnx.with_suffix('.toml').name} must lie beside it.")
    return read_card(onnx.with_suffix(".toml"))


def read_card(path: Path) -> ModelCard:
    """Read a card, whether or not its model lies beside it. ModelError where it is missing or damaged."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"There is no card {path}.") from None
    except (ValueError, RecursionError) as error:  # no TOML or UTF-8; numbers and nesting beyond reason
        raise ModelError(f"The card {path} is damaged: {error}.") from None
    known = {f.name for f in dataclasses.fields(ModelCard)} - {"path"}
    if unknown := sorted(values.keys() - known):
        raise ModelError(f"The card {path} has unknown entries: {', '.join(unknown)}.")
    for key in ("data", "pretrained"):
        if isinstance(values.get(key), list):
            values[key] = tuple(values[key])
    try:
        card = ModelCard(**values, path=path.with_suffix(".onnx"))
    except TypeError as error:
        raise ModelError(f"The card {path} is incomplete: {error}.") from None
    _check_types(card, path)
    return card


def find_model(model: str | Path) -> ModelCard:
    """The card of a shipped model by name, or of an ONNX file by path. ModelError when there is none."""
    text = str(model)
    if text.endswith(".onnx") or "/" in text:
        return load_card(Path(model))
    path = MODELS_DIR / f"{text}.onnx"
    if not path.is_file():
        names = ", ".join(path.stem for path in _shipped())
        raise ModelError(f"There is no model named {text!r}; choose from {names}, or give a file NAME.onnx.")
    return load_card(path)


def list_models() -> list[ModelCard]:
    """The cards of the models that ship with the package, by name."""
    return [load_card(path) for path in _shipped()]


def _shipped() -> list[Path]:
    return sorted(MODELS_DIR.glob("*.onnx"), key=lambda path: path.stem)


def read_model(card: ModelCard) -> bytes:
    """The ONNX file's bytes. ModelError when their SHA-256 is not the card's."""
    data = card.path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256:
        raise ModelError(
            f"{card.path.name} is not the file its card describes (SHA-256 {digest[:12]}… instead of "
            f"{card.sha256[:12]}…); download or export it again."
        )
    return data


def _check_types(card: ModelCard, path: Path) -> None:
    for name in ("name", "version", "description", "recipe", "license", "sha256", "commit", "limits"):
        if not isinstance(getattr(card, name), str):
            raise ModelError(f"The card {path} must give {name} as text.")
    for name in ("size", "multiple", "stride"):
        value = getattr(card, name)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 8192:
            raise ModelError(f"The card {path} must give {name} as a whole number from 1 to 8192.")
    for name in ("parameters", "file_bytes"):
        value = getattr(card, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ModelError(f"The card {path} must give {name} as a whole number.")
    for name in ("inputs", "outputs", "training", "scores"):
        if not isinstance(getattr(card, name), dict):
            raise ModelError(f"The card {path} must give {name} as a table.")
    for name, kind in (("data", dict), ("pretrained", str)):
        values = getattr(card, name)
        if not (isinstance(values, tuple) and all(isinstance(value, kind) for value in values)):
            what = "tables" if kind is dict else "texts"
            raise ModelError(f"The card {path} must give {name} as a list of {what}.")
    for name, entry in card.inputs.items():
        default = entry.get("default") if isinstance(entry, dict) else None
        if isinstance(default, bool) or not isinstance(default, (int, float)):
            raise ModelError(f"The card {path} must give the input {name} a number as its default.")


def _pairs(values: dict[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_toml(value)}" for key, value in values.items()]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _toml(value: Any) -> str:
    # A JSON string without escaped slashes is a TOML basic string; numbers and booleans are alike.
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, float) and not math.isfinite(value):  # a grey photograph's PSNR, for one
        return str(value)
    if isinstance(value, (str, bool, int, float)):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise TypeError(f"a card cannot hold {type(value).__name__}")
