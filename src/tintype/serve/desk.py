"""The bounded queue before the threads that colour: places, time limits, clients that go away.

A request takes a place before its body is read and keeps it until its answer is sent, so that no more bodies
and results than places are ever held. Where the client has gone or time has run out, the place is free again
when work that has not begun is dropped, or work that has looks at its `Job` the next time.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class BusyError(Exception):
    """All places are taken; `seconds` is when it may be worth to come again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many requests at once; try again in {seconds} s.")
        self.seconds = seconds


class GoneError(Exception):
    """The client went away."""


class LateError(Exception):
    """The work took longer than it may."""


class Job:
    """What work in a thread asks whether anybody still wants it."""

    def __init__(self) -> None:
        self._dropped = threading.Event()

    def drop(self) -> None:
        """Nobody does."""
        self._dropped.set()

    def check(self) -> None:
        """GoneError where nobody does."""
        if self._dropped.is_set():
            raise GoneError


class Place:
    """One of the desk's places. What is on `stack` is closed when it is given back."""

    def __init__(self, desk: Desk) -> None:
        self.stack = ExitStack()
        self._desk = desk
        self._work: Future[Any] | None = None

    async def run(
        self, work: Callable[[Job], T], gone: Callable[[], Coroutine[Any, Any, None]], seconds: float
    ) -> T:
        """The result of `work`, in one of the desk's threads.

        `gone` returns when the client goes away, which raises GoneError; LateError after `seconds`.
        """
        job = Job()
        future = self._work = self._desk.submit(work, job)
        ended, went = asyncio.wrap_future(future), asyncio.create_task(gone())
        try:
            done, _ = await asyncio.wait({ended, went}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if ended in done:
                return ended.result()
        finally:
            went.cancel()
            job.drop()
            ended.cancel()  # and with it the work, if it has not begun
        raise GoneError if done else LateError

    def leave(self) -> None:
        """Give the place back: now, or, where its work goes on, when that has ended."""
        if self._work is None:
            self._end()
        else:
            self._work.add_done_callback(lambda _: self._end())

    def _end(self) -> None:
        try:
            self.stack.close()
        finally:
            self._desk.left()


class Desk:
    """`workers` threads, and room for `waiting` requests beside those in hand."""

    def __init__(self, workers: int, waiting: int) -> None:
        self.workers, self.places = workers, workers + waiting
        self.taken = self.working = 0
        self.ended, self.seconds = 0, 0.0
        """How many works have ended, and how long they took together."""
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Its threads, while the service runs; at the end what has not begun is dropped."""
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="tintype-worker")
        try:
            yield
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place, which is left at the end. Raises BusyError."""
        with self._lock:
            if self.taken >= self.places:
                raise BusyError(self._wait())
            self.taken += 1
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    def submit(self, work: Callable[[Job], T], job: Job) -> Future[T]:
        """Have a thread do the work; its future. Only while the desk is `opened`."""
        assert self._pool is not None

        def timed() -> T:
            began = time.perf_counter()
            with self._lock:
                self.working += 1
            try:
                return work(job)
            finally:
                with self._lock:
                    self.working -= 1
                    self.ended += 1
                    self.seconds += time.perf_counter() - began

        return self._pool.submit(timed)

    def left(self) -> None:
        """A place is free again."""
        with self._lock:
            self.taken -= 1

    def _wait(self) -> int:
        """Seconds, from 1 on, in which half of the places are likely to be free."""
        each = self.seconds / self.ended if self.ended else 1.0
        return min(60, max(1, math.ceil(each * self.places / self.workers / 2)))
