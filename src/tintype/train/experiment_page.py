"""An experiment's page: what was asked, the table and the plot that the runs gave, and what they showed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tintype.cards import ModelCard
from tintype.evaluate.results import Results
from tintype.evaluate.scores import SCORES
from tintype.session import Session
from tintype.train.experiment import Experiment, Run
from tintype.train.runs import photographs_seen
from tintype.train.sweep import read_curve

_TIMED = 30  # pictures that a rate is the median of
_SIDE = 256
_AB_SPAN = 255  # Lab units that are normalised to 0…1


def write_page(
    experiment: Experiment,
    out: Path,
    runs: Mapping[str, Path],
    cards: Mapping[str, ModelCard],
    results: Results,
    budget: int,
    learnt: int = 0,
) -> Path:
    """Write `NAME.md` and `NAME.png` into `out`; the page's path.

    `learnt` is how many of the photographs that score the models were learnt from.
    """
    out.mkdir(parents=True, exist_ok=True)
    draw(experiment, out / f"{experiment.name}.png", runs, results)
    shared = " ".join(experiment.train.split())
    lines = [
        f"# {experiment.title}",
        "",
        f"*{experiment.source}.* {experiment.claim}",
        "",
        score_table(list(experiment.scores), results),
        "",
        f"Each model saw {budget:,} photographs in training, by `tintype train` and the words below; "
        f"{_judges(len(results.used), learnt)}, {how_scored(results)}. "
        "± is half of a bootstrap 95% interval.",
        "",
        *[
            f"- {run.name}: `{' '.join(f'{shared} {run.words}'.split())}`{_origin(run)}"
            f"{_seen(runs.get(run.name), budget)}"
            for run in experiment.runs
        ],
        "",
        f"![{experiment.title}]({experiment.name}.png)",
    ]
    if experiment.frames:
        lines += ["", rate_table(list(cards.values()), experiment.frames)]
    if experiment.mean_ab:
        lines += ["", mean_ab_table(results, experiment.mean_ab)]
    lines += ["", "## Did it hold?", "", experiment.conclusion.strip(), "", again(experiment), ""]
    page = out / f"{experiment.name}.md"
    page.write_text("\n".join(lines), encoding="utf-8")
    return page


def _judges(count: int, learnt: int) -> str:
    if not learnt:
        return f"{count} others score it"
    return f"{count} photographs score it, of which it learnt from {min(learnt, count)}"


def _origin(run: Run) -> str:
    if run.weights_of:
        return f", with the weights of {run.weights_of}"
    return f", starting from {run.start}" if run.start else ""


def _seen(run: Path | None, budget: int) -> str:
    """How many photographs a run saw, where it was not the others' number, as of one that ended early."""
    seen, batch = photographs_seen(run) if run else (budget, 1)
    return "" if abs(seen - budget) < batch else f"; {seen:,} photographs"


def how_scored(results: Results) -> str:
    """The evaluator's convention in words."""
    options = results.options
    return f"at {options.size}×{options.size} ({options.crop} crop), the truth's L kept"


def again(experiment: Experiment) -> str:
    """How to run it again."""
    return (
        f"Run it again, with any budget: `tintype experiment experiments/{experiment.name}.yaml "
        "--data PHOTOS --val OTHERS --work WORK -o OUT --photographs N`."
    )


def score_table(keys: Sequence[str], results: Results) -> str:
    """A Markdown table: a row for each model, with half intervals; the best of each column is bold."""
    models = [model.name for model in results.models]
    titles = [SCORES[key].title for key in keys]
    lines = ["| model | " + " | ".join(titles) + " |", "|" + " --- |" * (len(keys) + 1)]
    best = {key: _best(key, models, results) for key in keys}
    for name in models:
        lines.append(f"| {name} | " + " | ".join(_cell(key, name, results, best[key]) for key in keys) + " |")
    if "colorfulness" in keys and "truth" in results.table:
        own = [
            f"{results.table['truth']['colorfulness'].value:.1f}" if k == "colorfulness" else "" for k in keys
        ]
        lines.append("| *the truth* | " + " | ".join(own) + " |")
    return "\n".join(lines)


def rate_table(cards: Sequence[ModelCard], threads: Sequence[int]) -> str:
    """A Markdown table of the frames a second that each network does at 256×256."""
    head = ["model", "parameters", *(f"frames/s, {n} thread{'s' if n > 1 else ''}" for n in threads)]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for card in cards:
        rates = [f"{frames_per_second(card, n):.1f}" for n in threads]
        lines.append("| " + " | ".join([card.name, f"{card.parameters:,}", *rates]) + " |")
    return "\n".join(lines)


def frames_per_second(card: ModelCard, threads: int) -> float:
    """Pictures of 256×256 a second through the network alone, on this machine; one over the median time."""
    session = Session(card, threads)
    L = np.full((1, 1, _SIDE, _SIDE), 50, np.float32)
    times = []
    for _ in range(_TIMED + 2):
        start = time.perf_counter()
        session.run(L)
        times.append(time.perf_counter() - start)
    return 1 / float(np.median(times[2:]))


def mean_ab_table(results: Results, count: int) -> str:
    """A Markdown table of the true and predicted mean a and b of the first photographs, and the means' error.

    The error is the mean square over all photographs, of the means normalised to 0…1 (255 Lab units).
    """
    models = [model for model in results.models if model.card]
    head = ["photograph", "true a", "true b", *(f"{m.name} {c}" for m in models for c in "ab")]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    means = []
    for number in results.used:
        truth = results.truth(int(number))
        means.append([truth.ab.mean((0, 1)), *(model.predict(truth).ab.mean((0, 1)) for model in models)])
    for row, values in enumerate(means[:count], start=1):
        cells = [f"{float(v):.1f}" for pair in values for v in pair]
        lines.append("| " + " | ".join([str(row), *cells]) + " |")
    true, *predicted = np.moveaxis(np.array(means) / _AB_SPAN, 1, 0)  # (photographs, 2) of each
    best = ((true - true.mean(0)) ** 2).mean()
    errors = [f"{m.name} {((one - true) ** 2).mean():.2e}" for m, one in zip(models, predicted, strict=True)]
    lines += [
        "",
        f"Mean squared error of the means of all {len(means)}, normalised to 0…1: {', '.join(errors)}; "
        f"of one a and b for all, the best that there are, {best:.2e}.",
    ]
    return "\n".join(lines)


def draw(experiment: Experiment, file: Path, runs: Mapping[str, Path], results: Results) -> None:
    """The experiment's plot, of the kind that it names, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    if experiment.plot == "intervals":
        _intervals(axes, experiment.scores[0], results)
    elif experiment.plot == "per-photograph":
        _per_photograph(axes, experiment.scores[0], results)
    else:
        _curves(axes, "train/loss" if experiment.plot == "train-curves" else "val/loss", runs)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(file, dpi=90)
    pyplot.close(figure)


def _intervals(axes: Any, key: str, results: Results) -> None:
    names = [model.name for model in results.models]
    estimates = [results.table[name][key] for name in names]
    widths = [estimate.half_width or 0 for estimate in estimates]
    axes.errorbar([estimate.value for estimate in estimates], names, xerr=widths, fmt="o", capsize=4)
    axes.invert_yaxis()
    axes.set_xlabel(SCORES[key].title)


def _per_photograph(axes: Any, key: str, results: Results) -> None:
    shown = [model.name for model in results.models if model.card]
    values = {name: results.board.columns[name].values[key][results.used] for name in shown}
    order = np.argsort(values[shown[0]])
    for name, one in values.items():
        axes.plot(one[order], label=name, linewidth=1)
    axes.set(xlabel=f"photographs, in the order of {shown[0]}", ylabel=SCORES[key].title)
    axes.legend()


def _curves(axes: Any, tag: str, runs: Mapping[str, Path]) -> None:
    curves = {name: read_curve(run, tag) for name, run in runs.items()}
    if not any(curves.values()) and tag != "train/loss":  # few photographs leave none to validate on
        return _curves(axes, "train/loss", runs)
    for name, curve in curves.items():
        if curve:
            axes.plot(*zip(*curve, strict=True), label=name, marker="o" if len(curve) < 20 else "")
    axes.set(xlabel="step", ylabel="validation loss" if tag == "val/loss" else "training loss", yscale="log")
    if axes.lines:
        axes.legend()


def _best(key: str, models: Sequence[str], results: Results) -> str:
    values = {name: results.table[name][key].value for name in models if key in results.table[name]}
    choose = {"higher": max, "lower": min}.get(SCORES[key].better)
    return choose(values, key=values.__getitem__) if choose and values else ""


def _cell(key: str, name: str, results: Results, best: str) -> str:
    if key not in results.table[name]:
        return ""
    estimate, digits = results.table[name][key], SCORES[key].digits
    spread = estimate.half_width
    text = f"{estimate.value:.{digits}f}"
    text = f"**{text}**" if name == best else text
    return text if spread is None else f"{text} ± {spread:.{digits}f}"
