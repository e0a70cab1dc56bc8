"""Twenty thousand seeded damages to files of every kind: each is taken, or refused by a TintypeError.

No crash, no hang over 5 s, no more than 1 GiB, in worker processes that may die of it. `fuzz/README.md` tells
how the readers are fuzzed by coverage, and how to see one case.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
CASES, PROCESSES = 20_000, 2


def findings(folder: Path, first: int, last: int) -> list[str]:
    """What came of the cases; a process that dies is a finding, and another goes on behind its case."""
    progress = folder / f"{first}"
    found = []
    while first < last:
        command = [sys.executable, "fuzz/seeded.py", str(first), str(last), str(progress)]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
        reached = int.from_bytes(progress.read_bytes(), "little")
        assert first <= reached, done.stderr.decode(errors="replace")
        found += [done.stdout.decode(errors="replace")] if done.stdout else []
        if done.returncode < 0:
            found.append(f"case {reached}: the process died of {signal.Signals(-done.returncode).name}")
        first = reached + 1
    return found


def test_damaged_files_are_taken_or_refused(tmp_path: Path) -> None:
    share = CASES // PROCESSES
    with ThreadPoolExecutor(PROCESSES) as pool:
        starts = range(0, CASES, share)
        parts = pool.map(partial(findings, tmp_path), starts, [start + share for start in starts])
    found = [finding for part in parts for finding in part]
    assert not found, "\n".join(found)


def test_the_harness_sees_what_goes_wrong(tmp_path: Path) -> None:
    """A reader that fails is told of, and the rest still runs; one that hangs ends the process there."""
    code = """
import os, signal, sys, time
sys.argv = ["seeded.py", "0", "5", sys.argv[1]]
sys.path.insert(0, "fuzz")
import seeded
seeded.LIMIT_S = 1
def run(number):
    if number == 1:
        raise KeyError("a fault")
    if number == 2:
        time.sleep(9) if signal.getsignal(signal.SIGALRM) == signal.SIG_DFL else None
seeded.case = lambda number: ("made", lambda: run(number))
seeded.main(0, 5, __import__("pathlib").Path(sys.argv[3]))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "at")], cwd=ROOT, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGALRM
    assert "case 1 (made):" in done.stdout
    assert "KeyError: 'a fault'" in done.stdout
    assert (tmp_path / "at").read_bytes() == (2).to_bytes(8, "little")
