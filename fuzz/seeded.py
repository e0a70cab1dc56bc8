"""Runs a range of seeded cases: damage to small whole files, which the readers must take or refuse.

    python fuzz/seeded.py FIRST LAST PROGRESS

PROGRESS is a file that holds the number of the case in hand, for whoever finds this process dead. A case
of more than 5 s is ended by SIGALRM, and the process with it; one that raises anything but TintypeError, or
takes the process over 1 GiB, is printed, with a traceback.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
from exercise import READERS, a_picture
from mutations import damaged, metadata_blocks, pictures, texts

from tintype.errors import TintypeError
from tintype.images import Limits

LIMIT_S = 5
LIMIT_BYTES = 1 << 30
_WRITTEN_EVERY = 4  # writing takes longer than reading
_UNLIMITED_EVERY = 10  # with the limits that users have


def case(number: int) -> tuple[str, Callable[[], None]]:
    """The case of this number: its name, and what runs it."""
    whole = pictures()
    names = [*whole, *texts(), *(f"metadata {n}" for n in range(len(metadata_blocks())))]
    name = names[number % len(names)]
    other = list(whole.values())[number // len(names) % len(whole)]
    if name in whole:
        data = damaged(whole[name], other, number)
        write = number // len(names) % _WRITTEN_EVERY == 0
        if number // len(names) % _UNLIMITED_EVERY == 0:
            return name, partial(a_picture, data, write=write, limits=Limits())
        return name, partial(a_picture, data, write=write)
    if name in texts():
        return name, partial(READERS[name], damaged(texts()[name], texts()["card"], number))
    block = metadata_blocks()[int(name.split()[1])]
    return name, partial(READERS["metadata"], damaged(block, other, number))


def main(first: int, last: int, progress: Path) -> int:
    """Run the cases; the number of findings."""
    resource.setrlimit(resource.RLIMIT_AS, (4 * LIMIT_BYTES, 4 * LIMIT_BYTES))
    warnings.simplefilter("error")
    cv2.setNumThreads(1)
    findings = 0
    with progress.open("wb", buffering=0) as file:
        for number in range(first, last):
            os.pwrite(file.fileno(), number.to_bytes(8, "little"), 0)
            name, run = case(number)
            signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
            try:
                run()
            except TintypeError as error:
                if "\n" in str(error):
                    findings += 1
                    print(f"case {number} ({name}): more than one line: {error}", flush=True)
            except BaseException:
                findings += 1
                print(f"case {number} ({name}):\n{traceback.format_exc()}", flush=True)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if _peak_bytes() > LIMIT_BYTES:
                print(f"case {number} ({name}): more than 1 GiB of memory", flush=True)
                return findings + 1
    return findings


def _peak_bytes() -> int:
    """The most memory that this process has had. (What `getrusage` tells counts that of its parent, too.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(min(1, main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
