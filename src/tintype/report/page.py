"""One HTML page of a run's results, which needs no other file: tables, sheets and charts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from tintype.evaluate import SCORES, TRUTH, Estimate, Model, Results, Truth, tables
from tintype.evaluate.cost import Cost
from tintype.evaluate.models import Prediction, merge
from tintype.evaluate.scores import Score
from tintype.report.charts import PALETTE, Point, cloud, histogram, scatter
from tintype.report.sheets import RGB8, data_uri, grey_rgb

_HERE = Path(__file__).parent
SHEET_ROWS, EXTREMES = 8, 3  # photographs on the contact sheet; best and worst of each model
_SIDE = 208  # pixels of a picture's longer side
_LIGHTNESS = 65  # L of colours that are shown without their own: most of them can be had there
_MOST_LOSSES = 2000  # photographs in the chart of losses
_PER_PICTURE = (
    "half_sum",
    "psnr",
    "ssim",
    "delta_e",
    "ab_rmse",
    "auc_balanced",
    "lpips_alex",
    "lpips_squeeze",
)
_AGAINST_SPEED = ("lpips_alex", "lpips_squeeze", "psnr", "auc_balanced", "delta_e", "colorfulness")


def page(results: Results, costs: Mapping[str, Cost]) -> str:
    """The page of a run."""
    pictures, colours = _sheets(results)
    sections = [
        ("Scores", _score_table(results, costs)),
        ("The same photographs by every model", pictures),
        ("Their a and b alone, at one lightness", colours),
        ("Quality against speed", _speed(results, costs)),
        ("Two models, photograph by photograph", _losses(results)),
        ("Which colours are used, and how often", _clouds(results)),
        ("Best and worst of each model", _extremes(results)),
        ("What the scores mean", _meanings(results)),
    ]
    body = "".join(f"<section><h2>{title}</h2>{html}</section>" for title, html in sections if html)
    notes = "".join(f"<p>{escape(note)}</p>" for note in tables.notes(results, costs))
    template = (_HERE / "page.html").read_text(encoding="utf-8")
    values = {"SENTENCE": escape(tables.sentence(results)), "NOTES": notes, "BODY": body}
    for key, value in values.items():
        template = template.replace(f"<!--{key}-->", value)
    return template


def _score_table(results: Results, costs: Mapping[str, Cost]) -> str:
    known = _known(results)
    heads = ["<th>model</th>"]
    heads += [f'<th title="{escape(s.meaning)}">{escape(s.title)}{_arrow(s)}</th>' for s in known.values()]
    heads += [f"<th>{head}</th>" for head, _ in tables.COSTS.values()]
    best = {key: _best(results, key) for key in known}
    lines = []
    for name, row in results.table.items():
        cells = [f"<th>{escape(name)}</th>"]
        cells += [_score_cell(row.get(key), score, best[key]) for key, score in known.items()]
        for key, (_, show) in tables.COSTS.items():
            value = getattr(costs.get(name), key, None)
            cells.append("<td></td>" if value is None else f'<td data-v="{value}">{show(value)}</td>')
        lines.append(f"<tr{' class=truth' if name == TRUTH else ''}>{''.join(cells)}</tr>")
    head = f"<thead><tr>{''.join(heads)}</tr></thead>"
    hint = '<p class="faint">Click a heading to sort; ↑ higher is better, ↓ lower is better.</p>'
    return f'{hint}<div class="wide"><table id="scores">{head}<tbody>{"".join(lines)}</tbody></table></div>'


def _known(results: Results) -> dict[str, Score]:
    """The scores that a model or the truth has, by key."""
    rows = results.table.values()
    return {key: score for key, score in results.scores.items() if any(key in row for row in rows)}


def _arrow(score: Score) -> str:
    return {"higher": " ↑", "lower": " ↓", "": ""}[score.better]


def _best(results: Results, key: str) -> float | None:
    """The best value that a model has."""
    values = [row[key].value for name, row in results.table.items() if key in row and name != TRUTH]
    better = results.scores[key].better
    return None if not (values and better) else max(values) if better == "higher" else min(values)


def _score_cell(estimate: Estimate | None, score: Score, best: float | None) -> str:
    if estimate is None:
        return "<td></td>"
    digits = score.digits
    mark = " class=best" if estimate.value == best else ""
    interval = ""
    if estimate.half_width:
        interval = f"<small>{estimate.low:,.{digits}f} … {estimate.high:,.{digits}f}</small>"
    value = str(estimate.value).replace("inf", "Infinity")  # as the page's script reads it
    return f'<td{mark} data-v="{value}">{tables.cell(estimate, score, False)}{interval}</td>'


def _sheets(results: Results) -> tuple[str, str]:
    """The pictures of some photographs, and their colours alone: grey, each model's, the true ones."""
    used = results.used
    rows_shown = min(SHEET_ROWS, len(used))
    chosen = [int(used[i * len(used) // rows_shown]) for i in range(rows_shown)]
    heads = [*(model.name for model in results.models), TRUTH]
    rows, bare = [], []
    for number in chosen:
        truth = results.truth(number)
        found = [*(model.predict(truth) for model in results.models), Prediction(truth.ab, truth.rgb8)]
        rows.append(_row([grey_rgb(truth.luma8), *(one.rgb8 for one in found)], truth.name))
        even = np.full_like(truth.L, _LIGHTNESS)
        bare.append(_row([merge(even, one.ab).rgb8 for one in found], truth.name))
    return _table(["grey", *heads], rows), _table(heads, bare)


def _row(pictures: Sequence[RGB8], name: str) -> str:
    return f"<tr>{''.join(f'<td>{_picture(picture, name)}</td>' for picture in pictures)}</tr>"


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(head)}</th>" for head in heads)
    return f'<div class="wide"><table class="sheet"><tr>{head}</tr>{"".join(rows)}</table></div>'


def _speed(results: Results, costs: Mapping[str, Cost]) -> str:
    charts = []
    for key in _AGAINST_SPEED:
        points = []
        for name, row in results.table.items():
            if key in row and name != TRUTH and math.isfinite(row[key].value):
                points.append(Point(name, getattr(costs.get(name), "milliseconds", None), *row[key]))
        if points and any(point.x for point in points):
            title = SCORES[key].title + _arrow(SCORES[key])
            charts.append(scatter(points, "milliseconds a picture, network alone", title))
    return f'<div class="charts">{"".join(charts[:4])}</div>' if charts else ""


def _losses(results: Results) -> str:
    """The chart's data and its controls; the page's script draws it."""
    used = results.used
    taken = used[np.linspace(0, len(used) - 1, min(len(used), _MOST_LOSSES)).astype(int)]
    names = [model.name for model in results.models]
    if len(names) < 2 or len(taken) < 2:
        return ""
    columns = {name: results.board.columns[name].values for name in names}
    keys = [
        key
        for key in (*_PER_PICTURE, *results.further)
        if all(key in column and np.isfinite(column[key][taken]).all() for column in columns.values())
    ]
    data = {
        "pictures": [results.photographs.names[i] for i in taken],
        "keys": {key: [results.scores[key].title, results.scores[key].better] for key in keys},
        "models": {n: {k: [float(f"{v:.4g}") for v in columns[n][k][taken]] for k in keys} for n in names},
        "palette": PALETTE,
    }
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    few = f" {len(taken):,} of {len(used):,} photographs, evenly spread." if len(taken) < len(used) else ""
    return (
        '<p>Of <select id="score"></select> for <select id="first"></select> and '
        f'<select id="second"></select>, sorted by the first.{few} <span id="verdict"></span></p>'
        f'<div id="losses"></div><script type="application/json" id="data">{text}</script>'
    )


def _clouds(results: Results) -> str:
    names = [TRUTH, *(model.name for model in results.models)]
    shares = {name: results.colours(name) for name in names}
    figures = "".join(cloud(share, name) for name, share in shares.items())
    along = {"a, green to red": 1, "b, blue to yellow": 0}
    charts = "".join(
        histogram(
            {name: share.sum(axis=axis) for name, share in shares.items()}, f"Share of pixels by {title}"
        )
        for title, axis in along.items()
    )
    return (
        "<p>The plane of a (to the right, green to red) and b (upwards, blue to yellow), ±105 Lab units; "
        "grey is the middle. The fainter, the rarer, by powers of ten.</p>"
        f'<div class="clouds">{figures}</div><div class="charts">{charts}</div>'
    )


def _extremes(results: Results) -> str:
    key = next((k for k in ("lpips_alex", "lpips_squeeze", "delta_e") if _is_there(results, k)), "delta_e")
    parts = [f"<p>By {escape(SCORES[key].title)}; each as the model painted it, and the truth below.</p>"]
    for model in results.models:
        values = results.board.columns[model.name].values[key][results.used]
        order = results.used[np.argsort(values, kind="stable")]
        count = min(EXTREMES, len(order) // 2)
        if not count:
            continue
        groups = [("best", order[:count]), ("worst", order[::-1][:count])]
        halves = "".join(_half(results, model, title, numbers, key) for title, numbers in groups)
        parts.append(f'<h3>{escape(model.name)}</h3><div class="extremes">{halves}</div>')
    return "".join(parts)


def _half(results: Results, model: Model, title: str, numbers: Iterable[int], key: str) -> str:
    figures = []
    for number in map(int, numbers):
        truth: Truth = results.truth(number)
        value = results.board.columns[model.name].values[key][number]
        pair = _picture(model.predict(truth).rgb8, truth.name) + _picture(truth.rgb8, truth.name)
        figures.append(f"<figure>{pair}<figcaption>{value:.{SCORES[key].digits}f}</figcaption></figure>")
    return f"<div><h4>{title}</h4>{''.join(figures)}</div>"


def _is_there(results: Results, key: str) -> bool:
    return all(key in results.table[model.name] for model in results.models)


def _picture(rgb8: RGB8, name: str) -> str:
    return f'<img src="{data_uri(rgb8, _SIDE)}" alt="{escape(name)}" title="{escape(name)}" loading="lazy">'


def _meanings(results: Results) -> str:
    known = _known(results).values()
    rows = (f"<dt>{escape(score.title)}</dt><dd>{escape(score.meaning)}</dd>" for score in known)
    return f"<dl>{''.join(rows)}</dl>"
