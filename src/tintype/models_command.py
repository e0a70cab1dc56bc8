"""What `tintype models` prints: the cards of the models, as a table or as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tintype.cards import ModelCard

MODELS_EXAMPLES = """\
examples:
  tintype models                                  a table
  tintype models --json                           everything on their cards, as one JSON array
"""


def run_models(args: argparse.Namespace) -> int:
    """Print the cards of the models; the exit status."""
    from tintype.cards import list_models

    cards = list_models()
    if args.json:
        text = json.dumps([dataclasses.asdict(card) for card in cards], default=str)
        print(json.dumps(json.loads(text, parse_constant=lambda _: None), indent=2))  # no Infinity in JSON
    elif cards:
        print(models_table(cards))
    else:
        print("No model is installed; give colorize one with --model FILE.onnx.")
    return 0


def models_table(cards: Sequence[ModelCard]) -> str:
    """A row for each model, with its description and its own scores below it."""
    head = ("NAME", "VERSION", "RECIPE", "LICENCE", "PARAMETERS", "FILE")
    rows = [head] + [
        (c.name, c.version, c.recipe, c.license, _millions(c.parameters, ""), _millions(c.file_bytes, "B"))
        for c in cards
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    table = [lines[0]]
    for line, card in zip(lines[1:], cards, strict=True):
        table += [line, f"  {card.description}"]
        own = card.scores.get(card.name, {})
        numbers = [f"{name} {value:g}" for name, value in own.items() if not isinstance(value, str)]
        table += [f"  {', '.join(numbers)}"] if numbers else []
    return "\n".join(table)


def _millions(number: int, unit: str) -> str:
    return f"{number / 1e6:.1f} M{unit}"
