"""Many jobs with few in hand, and an orderly stop on Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path
from types import FrameType
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")
_GROUP, _MEMORY = Path("/sys/fs/cgroup"), Path("/proc/meminfo")
_MOST_CODEC_THREADS = 8
_codec_threads = [_MOST_CODEC_THREADS]
_silencing, _silenced = threading.Lock(), list[int]()  # the levels of those that want silence
STOPPING = "Stopping after the pictures in hand; press Ctrl-C again to stop at once."


def run_jobs(
    jobs: Iterable[J], work: Callable[[J], R], workers: int, stop: threading.Event
) -> Generator[R, None, None]:
    """Results in the order of completion, with at most `workers` jobs in hand and none queued.

    Once `stop` is set no job is begun; those in hand are finished.
    """
    waiting = iter(jobs)
    with ThreadPoolExecutor(workers, "tintype") as pool:
        running: set[Future[R]] = set()
        while True:
            while len(running) < workers and not stop.is_set() and (job := next(waiting, None)) is not None:
                running.add(pool.submit(work, job))
            if not running:
                return
            # The time limit lets signals through on systems whose locks cannot be interrupted.
            finished, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()


@contextmanager
def orderly_stop(stop: threading.Event, abandon: Callable[[], None], words: str = STOPPING) -> Iterator[None]:
    """The first Ctrl-C sets `stop` and says `words`; a second calls `abandon` and ends the process there."""
    came = threading.Event()  # not `stop`, which others set, too

    def on_interrupt(signum: int, frame: FrameType | None) -> None:
        if came.is_set():
            abandon()
            os._exit(130)  # nothing else ends threads, and they would write on
        came.set()
        stop.set()
        with suppress(OSError):  # not `print`: the signal may have come in the middle of one
            os.write(2, f"\n{words}\n".encode())

    with _interrupts_to(on_interrupt):
        yield


@contextmanager
def _interrupts_to(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    # Only the main thread may set handlers. What a process ignores, as one in a script's background does
    # Ctrl-C, it goes on ignoring; a handler that is not Python's (None) cannot be put back.
    before = {}
    if threading.current_thread() is threading.main_thread():
        now = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        before = {number: old for number, old in now.items() if old not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def held_signals() -> Iterator[list[int]]:
    """Ctrl-C and what is like it are heard after this, inside of which they would break what is begun.

    Gives those that came so far.
    """
    came: list[int] = []
    with _interrupts_to(lambda number, frame: came.append(number)):
        yield came
    for number in came:
        signal.raise_signal(number)


def processors() -> int:
    """How many processors this process may use at once."""
    return processor_quota() or _allowed()


def processor_quota() -> int | None:
    """How many processors' time a container gives, rounded up; None where that is all there are.

    By Linux's control groups of version 2. Few programs know of it: they start a thread for each processor.
    """
    try:
        quota, period = (_GROUP / "cpu.max").read_text(encoding="ascii").split()
        given = max(1, ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return given if given < _allowed() else None


def _allowed() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int | None:
    """Bytes of memory that are to be had, by the system's word and the limit of this control group.

    All that the machine has, where the system tells no more; None where it does not tell that.
    """
    found = []
    try:
        for line in _MEMORY.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) << 10)
    except OSError:
        pass
    try:
        limit = (_GROUP / "memory.max").read_text(encoding="ascii").strip()
        if limit.isdigit():
            used = int((_GROUP / "memory.current").read_text(encoding="ascii"))
            found.append(max(0, int(limit) - max(0, used - _file_pages())))
    except OSError:
        pass
    return min(found) if found else _all_memory()


def _file_pages() -> int:
    """Bytes that count as used in this control group and are copies of files, which give way."""
    lines = (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    pages = dict(line.split() for line in lines)
    return int(pages.get("active_file", 0)) + int(pages.get("inactive_file", 0))


def _all_memory() -> int | None:
    """Bytes of the machine's memory; None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no such call, some systems no such name
        return None


def codec_threads() -> int:
    """Threads in which the parts of one file are packed and unpacked: those of compressed TIFFs."""
    return min(_codec_threads[0], processors())


def limit_codec_threads(count: int) -> None:
    """Have this process use at most so many `codec_threads`: where it is one of many that share a machine."""
    _codec_threads[0] = min(count, _MOST_CODEC_THREADS)


@contextmanager
def opencv_threads(count: int) -> Iterator[None]:
    """OpenCV with at most so many threads; it knows only one number for the whole process."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def opencv_silence() -> Iterator[None]:
    """OpenCV without its own lines on standard error, where what goes wrong is told in our words.

    It knows only one level for the whole process, which the last of several threads puts back.
    """
    import cv2

    log = cv2.utils.logging
    with _silencing:
        if not _silenced:
            _silenced.append(log.getLogLevel())
            log.setLogLevel(log.LOG_LEVEL_SILENT)
        else:
            _silenced.append(_silenced[0])
    try:
        yield
    finally:
        with _silencing:
            level = _silenced.pop()
            if not _silenced:
                log.setLogLevel(level)
