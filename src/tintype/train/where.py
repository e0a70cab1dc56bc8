"""Which rows of an index are taken: `--where COLUMN=VALUE,…`."""

from __future__ import annotations

from collections.abc import Mapping

from tintype.errors import SettingsError

Where = Mapping[str, tuple[str, ...]]
"""Of each column the values that will do; a row is taken where each of its columns has one of them."""


def parse_where(text: str) -> Where:
    """`source=a,b,label=sea` as {"source": ("a", "b"), "label": ("sea",)}; SettingsError for other text."""
    found: dict[str, tuple[str, ...]] = {}
    column = ""
    for word in text.split(",") if text else ():
        name, equals, value = word.partition("=")
        if equals:
            column = name
        if not column:
            raise SettingsError(f"--where takes COLUMN=VALUE,VALUE,COLUMN=VALUE, not {text!r}.")
        found[column] = (*found.get(column, ()), value if equals else word)
    return found


def fits(row: Mapping[str, str], where: Where) -> bool:
    """Whether a row of the index is taken."""
    return all(row[column] in values for column, values in where.items())
