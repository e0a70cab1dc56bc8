"""What a model costs: parameters, multiply-adds, file size, time and memory, in a process of its own."""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tintype.cards import ModelCard

_WARM_UP, _RUNS = 3, 15


@dataclass(frozen=True)
class Cost:
    """What one model costs; None where it is not known."""

    parameters: int | None = None
    multiply_adds: int | None = None
    """Of one picture of 256 × 256."""
    file_bytes: int | None = None
    milliseconds: float | None = None
    """Median of warm runs of the network alone, on a square of the size at which it sees pictures."""
    memory_bytes: int | None = None
    """Greatest memory of a process that loads the model and runs it, libraries included."""
    note: str = ""
    """Why something is not known."""


def measure(card: ModelCard, size: int | None = None, threads: int = 1) -> Cost:
    """The cost of a model, timed with `threads` on a square of `size` pixels (the card's by default)."""
    known = Cost(card.parameters or None, file_bytes=card.path.stat().st_size)
    # -P: what lies in the folder of today is no part of this.
    command = [sys.executable, "-P", "-m", __name__, str(card.path), str(size or card.size), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return replace(known, note=f"{card.name} could not be measured: {reason}")
    return replace(known, **json.loads(done.stdout))


def _measure_here(path: Path, size: int, threads: int) -> dict[str, Any]:
    """Run the model in this process, which should do nothing else."""
    import numpy as np

    from tintype.cards import load_card
    from tintype.session import Session

    card = load_card(path)
    session = Session(card, threads)
    side = math.ceil(size / card.multiple) * card.multiple
    L = np.full((1, 1, side, side), 50, np.float32) + np.arange(side, dtype=np.float32) % 40
    times = []
    for _ in range(_WARM_UP + _RUNS):
        started = time.perf_counter()
        session.run(L)
        times.append(time.perf_counter() - started)
    found = {"milliseconds": 1000 * median(times[_WARM_UP:]), "memory_bytes": _peak_memory()}
    try:
        from tintype.train.multiply_adds import count_multiply_adds

        found["multiply_adds"] = count_multiply_adds(path)
        note = "" if found["multiply_adds"] else "its graph's shapes hang on what it is shown"
    except ModuleNotFoundError:
        note = "onnx is not installed (pip install 'tintype[train]')"
    text = f"The multiply-adds of {card.name} were not counted: {note}."
    return found | {"note": text if note else ""}


def _peak_memory() -> int | None:
    """Bytes, of this process alone; the figure of `resource` can be that of the process that started it."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError):
        pass
    try:
        import resource
    except ModuleNotFoundError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("size", type=int)
    parser.add_argument("threads", type=int)
    arguments = parser.parse_args()
    print(json.dumps(_measure_here(arguments.model, arguments.size, arguments.threads)))
