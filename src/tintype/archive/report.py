"""What a manifest says in sum: counts, rates, and errors by kind."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from tintype.archive.record import BEGUN, DONE, FAILED, Record
from tintype.words import count_of

_PAUSE_S = 60.0  # no picture finished for so long: the run stood still or was another


@dataclass
class Summary:
    """Sums over the records of a manifest."""

    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    """A sentence for each kind of error."""
    models: Counter[str] = field(default_factory=Counter)
    input_bytes: int = 0
    pixels: int = 0
    seconds: float = 0.0
    """Of reading, colouring and writing all that were done; a worker reads one while it colours another."""
    at_work: float = 0.0
    """Seconds on the clock in which pictures were finished, pauses left out."""

    def as_json(self) -> dict[str, Any]:
        """For a machine to read."""
        return {
            "counts": dict(self.counts), "errors": dict(self.errors), "examples": self.examples,
            "models": dict(self.models), "input_bytes": self.input_bytes, "pixels": self.pixels,
            "worker_seconds": round(self.seconds, 3), "seconds_at_work": round(self.at_work, 3),
        }  # fmt: skip


def summarize(records: Iterable[Record]) -> Summary:
    """Sums of records, of which a later one of a source has already replaced an earlier one."""
    summary = Summary()
    finished = array("d")
    for record in records:
        summary.counts[record.status] += 1
        if record.finished:
            finished.append(datetime.fromisoformat(record.finished).timestamp())
        if record.status == FAILED:
            summary.errors[record.kind] += 1
            summary.examples.setdefault(record.kind, f"{record.source}: {record.reason}")
        if record.status == DONE:
            summary.models[f"{record.model} {record.version} ({record.model_sha256[:12]})"] += 1
            summary.input_bytes += max(0, record.size)
            summary.pixels += record.width * record.height * record.pages
            summary.seconds += record.seconds
    gaps = np.diff(np.sort(np.frombuffer(finished))) if finished else np.zeros(0)
    summary.at_work = float(gaps[gaps < _PAUSE_S].sum())
    return summary


def report_text(summary: Summary) -> str:
    """The summary in lines."""
    counts = summary.counts
    told = ", ".join(f"{number:,} {status}" for status, number in counts.items()) or "none"
    lines = [f"{count_of(counts.total(), 'picture')}: {told}"]
    if counts[BEGUN]:
        lines.append(
            f"{count_of(counts[BEGUN], 'picture')} in hand when a run ended; the same command goes on."
        )
    if counts[DONE]:
        lines.append(f"done: {summary.input_bytes / 1e9:.2f} GB in, {summary.pixels / 1e6:,.1f} megapixels")
    if counts[DONE] and summary.seconds:
        each, size = summary.seconds / counts[DONE], summary.pixels / 1e6 / counts[DONE]
        lines.append(f"a picture: {each:.3f} s to read, colour and write, {size:.2f} megapixels")
    if counts[DONE] and summary.at_work:
        lines.append(f"all workers: {counts[DONE] / summary.at_work:.2f} pictures/s while at work")
    lines += [f"model {name}: {number:,}" for name, number in summary.models.most_common()]
    for kind, number in summary.errors.most_common():
        lines += [f"error, {kind}: {number:,}", f"  {summary.examples[kind]}"]
    return "\n".join(lines)
