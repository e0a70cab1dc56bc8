"""Runs of a sweep side by side: one table and one plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

Curve = list[tuple[int, float]]


def read_curve(run: Path, tag: str) -> Curve:
    """A scalar of a run's TensorBoard events as (step, value); empty when it was never logged."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    if tag not in events.Tags()["scalars"]:
        return []
    return [(event.step, event.value) for event in events.Scalars(tag)]


def summarise(out: Path, chosen: Sequence[dict[str, str]], failed: Mapping[str, str]) -> str:
    """A table of the runs' last losses, also written to `sweep.md`, with their curves in `sweep.png`.

    Below it stands why a run `failed`, by its folder.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    keys = list(chosen[0])
    lines = [
        "| " + " | ".join([*keys, "train loss", "validation loss"]) + " |",
        "|" + " --- |" * (len(keys) + 2),
    ]
    figure, axes = pyplot.subplots(figsize=(8, 5))
    for one in chosen:
        name = ",".join(f"{key}={value}" for key, value in one.items())
        train, val = (read_curve(out / name, f"{part}/loss") for part in ("train", "val"))
        cells = [one[key] for key in keys]
        cells += [f"{curve[-1][1]:.5g}" if curve else "—" for curve in (train, val)]
        lines.append("| " + " | ".join(cells) + " |")
        shown = val if len(val) > 1 else train
        if shown:
            axes.plot(*zip(*shown, strict=True), label=name)
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    if axes.lines:
        axes.legend()
    figure.tight_layout()
    figure.savefig(out / "sweep.png", dpi=100)
    pyplot.close(figure)
    lines += [f"\n{name} failed: {why}" for name, why in failed.items()]
    table = "\n".join(lines)
    (out / "sweep.md").write_text(table + "\n", encoding="utf-8")
    return table
