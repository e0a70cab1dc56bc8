"""What the networks cost, side by side.

    python benchmarks/networks.py [MODEL ...] [--threads N ...] [--rounds N]

Each model's graph runs at 256 × 256 by onnxruntime, in turn in one run; medians, and ratios to the first.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np

from tintype.cards import find_model
from tintype.session import Session


def main() -> None:
    """Print a table for each number of threads."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", default=["tint", "autoencoder"])
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    L = np.random.default_rng(0).uniform(0, 100, (1, 1, 256, 256)).astype(np.float32)
    for threads in options.threads:
        sessions = [Session(find_model(name), threads) for name in options.models]
        times: list[list[float]] = [[] for _ in sessions]
        for number in range(options.rounds + 1):  # the first one warms up
            for session, taken in zip(sessions, times, strict=True):
                began = time.perf_counter()
                session.run(L)
                taken += [1e3 * (time.perf_counter() - began)] if number else []
        print(f"\n256×256, {threads} threads, {options.rounds} rounds\n")
        print("| model | median ms | ratio |\n| --- | ---: | ---: |")
        for session, taken in zip(sessions, times, strict=True):
            print(f"| {session.card.name} | {median(taken):.1f} | {median(taken) / median(times[0]):.2f} |")


if __name__ == "__main__":
    main()
