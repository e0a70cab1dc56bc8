"""What a run found, as a table for the terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tintype import __version__
from tintype.evaluate import further
from tintype.evaluate.cost import Cost
from tintype.evaluate.results import Results
from tintype.evaluate.scores import Score
from tintype.evaluate.summary import Estimate
from tintype.words import count_of

WIDTH = 100  # columns of the terminal table
_NAME_WIDTH = 28
GROUPS = {
    "Nearness to the truth (plain averages, which reward caution)": (
        "psnr", "ssim", "delta_e", "ab_rmse", "target_mse", "half_sum",
    ),
    "Chroma within reach of the truth's, plainly and with rare colours given their say": (
        "auc", "auc_balanced", "auc_balanced_pixels",
    ),
    "What networks trained on photographs see": (
        "lpips_alex", "lpips_squeeze", "class_kept", "class_right", "frechet_classifier", "fid",
    ),
    "Colourfulness, and how far from the truth's": (
        "colorfulness", "colorfulness_difference", "colorfulness_of_means", "colorfulness_absolute",
        "colorfulness_absolute_difference", "colorfulness_absolute_of_means",
    ),
}  # fmt: skip
COSTS: dict[str, tuple[str, Callable[[float], str]]] = {
    "parameters": ("parameters", lambda v: f"{v / 1e6:.2f} M"),
    "multiply_adds": ("multiply-adds", lambda v: f"{v / 1e9:.2f} G"),
    "file_bytes": ("file", lambda v: f"{v / 1e6:.1f} MB"),
    "milliseconds": ("time", lambda v: f"{v:.0f} ms"),
    "memory_bytes": ("peak memory", lambda v: f"{v / 2**20:.0f} MiB"),
}


def terminal_table(results: Results, costs: Mapping[str, Cost]) -> str:
    """The scores by group, no line longer than `WIDTH`; ± is half the 95% interval."""
    blocks = []
    names = list(results.table)
    for title, keys in (GROUPS | {further.TITLE: tuple(results.further)}).items():
        known = [key for key in keys if any(key in row for row in results.table.values())]
        heads = [results.scores[key] for key in known]
        columns = [
            [head.title, *(cell(results.table[n].get(key), head) for n in names)]
            for key, head in zip(known, heads, strict=True)
        ]
        blocks += [title, *_wrapped(names, columns), ""] if columns else []
    if costs:
        columns = [
            [head, *(_cost_cell(costs.get(name), key) for name in names)] for key, (head, _) in COSTS.items()
        ]
        blocks += ["What it costs", *_wrapped(names, columns), ""]
    blocks += [sentence(results), *notes(results, costs)]
    return "\n".join(blocks)


def cell(estimate: Estimate | None, score: Score, plus_minus: bool = True) -> str:
    """A score as text, with half its interval; "" where there is none."""
    if estimate is None:
        return ""
    digits, half = score.digits, estimate.half_width
    text = "∞" if math.isinf(estimate.value) else f"{estimate.value:,.{digits}f}"
    return f"{text} ±{half:,.{digits}f}" if plus_minus and half else text


def sentence(results: Results) -> str:
    """What the scores are of."""
    options, count = results.options, len(results.used)
    shape = {
        "center": f"{options.size} × {options.size}, centre crop",
        "squash": f"squashed to {options.size} × {options.size}",
        "none": f"shorter side {options.size}",
    }[options.crop]
    fed = "the whole pipeline from the BT.601 grey picture" if options.end_to_end else "the truth's L kept"
    hints = f", {options.random_hints} random hints" if options.random_hints else ""
    damage = f", seen with {', '.join(options.damage)}" if options.damage else ""
    return (
        f"{count_of(count, 'photograph')}, {shape}, {fed}{hints}{damage}; "
        "± is half of a bootstrap 95% interval."
    )


def notes(results: Results, costs: Mapping[str, Cost]) -> list[str]:
    """What a reader of the scores should know, in sentences."""
    found = []
    if "mean" in results.table:
        a, b = results.survey.mean_ab
        found.append(f"mean is ab ({a:.1f}, {b:.1f}), the mean of these same photographs.")
    if results.survey.enlarged:
        found.append(f"{_were(results.survey.enlarged)} enlarged, being smaller.")
    if skipped := results.survey.skipped:
        found.append(f"{_were(len(skipped))} left out:")
        found += [f"  {name}: {reason}" for name, reason in list(skipped.items())[:10]]
        found += ["  …"] if len(skipped) > 10 else []
    for model in results.models:
        psnr = results.board.columns[model.name].values["psnr"][results.used]
        if exact := int(np.isposinf(psnr).sum()):
            found.append(
                f"{model.name} gave {count_of(exact, 'photograph')} exactly: the PSNR there, and so its "
                "mean, is infinite."
            )
    measured = {key for row in results.table.values() for key in row}
    width = max((judge.width for judge in results.judges if judge.frechet in measured), default=0)
    if width >= len(results.used):
        many = f"{len(results.used):,} photographs and {width:,} features"
        found.append(f"The Fréchet distance is of {many}: compare it within this table alone.")
    return found + [cost.note for cost in costs.values() if cost.note]


def as_json(results: Results, costs: Mapping[str, Cost]) -> str:
    """Everything as one JSON object; a number that is not finite is null."""
    hashes = _hashes(results)
    models = {
        name: {
            "scores": {key: _plain(estimate._asdict()) for key, estimate in row.items()},
            "cost": dataclasses.asdict(costs[name]) if name in costs else None,
            "sha256": hashes.get(name),
        }
        for name, row in results.table.items()
    }
    whole = {
        "tintype": __version__,
        "photographs": {
            "count": len(results.used), "fingerprint": results.photographs.fingerprint(),
            "skipped": results.survey.skipped, "enlarged": results.survey.enlarged,
            "mean_ab": results.survey.mean_ab,
        },
        "options": dataclasses.asdict(results.options),
        "judges": {judge.name: judge.digest for judge in results.judges},
        "models": models,
        "meanings": {key: score.meaning for key, score in results.scores.items()},
    }  # fmt: skip
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)


def as_csv(results: Results, costs: Mapping[str, Cost]) -> str:
    """A row for each model: every score with the limits of its interval, then its cost."""
    keys = [key for key in results.scores if any(key in row for row in results.table.values())]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["model", *(f"{key}{part}" for key in keys for part in ("", "_low", "_high")), *COSTS])
    for name, row in results.table.items():
        values: list[Any] = [name]
        for key in keys:
            values += [*row[key]] if key in row else [None] * 3
        cost = costs.get(name, Cost())
        writer.writerow([*values, *(getattr(cost, key) for key in COSTS)])
    return out.getvalue()


def _were(count: int) -> str:
    return f"{count_of(count, 'photograph')} {'was' if count == 1 else 'were'}"


def _cost_cell(cost: Cost | None, key: str) -> str:
    value = getattr(cost, key, None)
    return "" if value is None else COSTS[key][1](value)


def _wrapped(names: Sequence[str], columns: Sequence[Sequence[str]]) -> list[str]:
    """Columns of text beside the models' names, in as many rows of tables as `WIDTH` asks for."""
    lines: list[str] = []
    left = list(columns)
    filled = [True] + [any(column[i + 1] for column in columns) for i in range(len(names))]
    head = ["", *(name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…" for name in names)]
    first = max(map(len, head))
    while left:
        taken: list[Sequence[str]] = []
        used = first
        while left and (not taken or used + 2 + max(map(len, left[0])) <= WIDTH):
            taken.append(left.pop(0))
            used += 2 + max(map(len, taken[-1]))
        widths = [max(map(len, column)) for column in taken]
        for i, name in enumerate(head):
            cells = [column[i].rjust(width) for column, width in zip(taken, widths, strict=True)]
            lines += ["  ".join([name.ljust(first), *cells]).rstrip()] if filled[i] else []
        lines += [""] if left else []
    return lines


def _hashes(results: Results) -> dict[str, str]:
    return {model.name: model.card.sha256 for model in results.models if model.card is not None}


def _plain(values: dict[str, float | None]) -> dict[str, float | None]:
    return {k: v if v is not None and math.isfinite(v) else None for k, v in values.items()}
