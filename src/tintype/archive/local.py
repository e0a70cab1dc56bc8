"""The engine of one machine: as many worker processes as processors and memory allow."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from threading import Event

from tintype.archive.record import Record
from tintype.archive.settings import Settings, Task
from tintype.archive.worker import Worker
from tintype.running import STOPPING, free_memory, processors, run_jobs

WORKER_BYTES = 1 << 30
"""Memory that a worker is counted with: some 0.25 GiB for model and libraries, the rest for a large scan."""

_GRACE_S = 1.0


class LocalEngine:
    """Runs tasks on `workers` processes of one thread each, started as they are needed."""

    stopping = STOPPING

    def __init__(self, settings: Settings, workers: int | None) -> None:
        self._workers = [Worker(settings) for _ in range(workers or default_workers())]
        self._each = settings.in_hand
        self._in_hand = [0] * len(self._workers)
        self._choosing = threading.Lock()

    def check(self) -> None:
        """Start one worker. Raises what it refuses to run with."""
        self._workers[0].start()

    def records(self, tasks: Iterator[Task], stop: Event) -> Generator[Record, None, None]:
        """A record of each task, as each is finished; once `stop` is set no more are begun."""
        yield from run_jobs(tasks, self._run, self._each * len(self._workers), stop)

    def abandon(self) -> None:
        """End all worker processes, which take their unfinished files away if they still can."""
        for worker in self._workers:
            worker.abandon()
        for worker in self._workers:
            worker.kill(after_s=_GRACE_S)

    def close(self) -> None:
        """Let the worker processes end."""
        for worker in self._workers:
            worker.close()

    def _run(self, task: Task) -> Record:
        with self._choosing:
            least = self._in_hand.index(min(self._in_hand))  # the first such, as those behind may not run yet
            self._in_hand[least] += 1
        try:
            return self._workers[least](task)
        finally:
            with self._choosing:
                self._in_hand[least] -= 1


def default_workers() -> int:
    """One for each processor, fewer where there is less than WORKER_BYTES of free memory for each."""
    memory = free_memory()
    return processors() if memory is None else max(1, min(processors(), memory // WORKER_BYTES))
