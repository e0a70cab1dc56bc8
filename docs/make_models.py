"""Writes docs/models: a page for each model from its card, and the list of them.

Cards of models that ship with the package are read there; those of models that are too large to ship lie in
docs/models themselves, NAME.toml, as `tintype export` or `tintype experiment` wrote them.
"""

from __future__ import annotations

from pathlib import Path

from tintype.cards import MODELS_DIR, ModelCard, read_card

OUT = Path(__file__).parent / "models"
COLUMNS = {
    "psnr": "PSNR dB", "ab_rmse": "ab RMSE", "auc": "AuC %", "auc_balanced": "AuC bal. %",
    "lpips_alex": "LPIPS", "colorfulness": "colourful",
}  # fmt: skip


def main() -> None:
    """Write every page."""
    shipped = [read_card(path) for path in sorted(MODELS_DIR.glob("*.toml"))]
    others = [read_card(path) for path in sorted(OUT.glob("*.toml"))]
    for card in (*shipped, *others):
        (OUT / f"{card.name}.md").write_text(page(card, card in shipped), encoding="utf-8")
    (OUT / "README.md").write_text(overview(shipped, others), encoding="utf-8")


def overview(shipped: list[ModelCard], others: list[ModelCard]) -> str:
    """The list of all models."""
    head = ["model", "in the package", "recipe", "parameters", "MB", *COLUMNS.values()]
    lines = ["# Models", "", table_row(head), "|" + " --- |" * len(head)]
    for card in (*shipped, *others):
        megabytes = f"{card.file_bytes / 1e6:.1f}"
        facts = ["yes" if card in shipped else "no", f"`{card.recipe}`", f"{card.parameters:,}", megabytes]
        lines.append(table_row([f"[{card.name}]({card.name}.md)", *facts, *score_cells(card, card.name)]))
    lines += [
        "",
        "Scores compare only where the pages name the same photographs and size.",
    ]
    return "\n".join([*lines, ""])


def page(card: ModelCard, shipped: bool) -> str:
    """One model's page."""
    lines = [f"# {card.name} {card.version}", "", card.description, ""]
    lines += [f"- recipe `{card.recipe}`, {card.parameters:,} parameters, {card.file_bytes / 1e6:.1f} MB"]
    lines += [f"- sees pictures at {card.size} pixels on the shorter side; ab at 1/{card.stride} of that"]
    lines += [f"- licence of the weights: {card.license}"]
    lines += [f"- takes `{name}`: {one['description']}" for name, one in card.inputs.items()]
    where = "ships with the package" if shipped else "does not ship; see how it was trained below"
    lines += [f"- {where}; SHA-256 `{card.sha256}`", "", "## Limits", "", card.limits or "None stated.", ""]
    lines += ["## Scores", "", f"On {card.scores.get('how', 'unstated photographs')}.", ""]
    lines += [table_row(["model", *COLUMNS.values()]), "|" + " --- |" * (len(COLUMNS) + 1)]
    tables = [name for name, one in card.scores.items() if isinstance(one, dict)]
    lines += [table_row([name, *score_cells(card, name)]) for name in tables]
    lines += ["", "## Training", "", *[f"- {key}: {value}" for key, value in card.training.items()]]
    lines += [f"- started from {one}" for one in card.pretrained]
    if card.data:
        lines += ["", "## Photographs learnt from", "", table_row(list(card.data[0]))]
        lines += ["|" + " --- |" * len(card.data[0])]
        lines += [table_row([str(value) for value in row.values()]) for row in card.data]
    return "\n".join([*lines, ""])


def score_cells(card: ModelCard, name: str) -> list[str]:
    """A model's scores in the order of the columns, "" where it has none."""
    scores = card.scores.get(name, {})
    values = [scores.get(key, "") if isinstance(scores, dict) else "" for key in COLUMNS]
    return [_number(value) for value in values]


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def table_row(cells: list[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
