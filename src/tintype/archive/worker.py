"""The keeper of one worker process: starts it, hands it tasks, and starts it again when it has died."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from typing import NamedTuple

from tintype import errors
from tintype.archive.places import place
from tintype.archive.process import Process
from tintype.archive.record import FAILED, Record
from tintype.archive.settings import Settings, Task, now

_STARTS = 3  # that may fail, of which chance explains two
_DEATHS = 2  # of a worker with this picture alone in hand; the first may be chance
_LOOK_S = 1.0  # between looks at whether a picture's time, which stands still while it waits, is over


class Worker:
    """Colours tasks in a process of its own, whose death costs the picture alone that it dies over.

    `settings.in_hand` threads may call it at once; more of them wait.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: Process | None = None
        self._starting, self._gate = threading.Lock(), threading.Lock()
        self._places = threading.Semaphore(settings.in_hand)
        self._alone = settings.in_hand  # what a picture takes of those places that no other may be beside
        self._abandoned = False

    def start(self) -> Process:
        """The process, started unless it runs. Raises what it refuses with: ModelError, SettingsError …"""
        with self._starting:
            if self._process is not None and not self._process.ended:
                return self._process
            for _ in range(_STARTS):
                self.close()
                self._process = process = Process()
                answer = process.greet(self._settings.to_json())
                if answer is None:
                    continue
                if "error" in answer:
                    self.close()
                    raise getattr(errors, answer["error"], errors.TintypeError)(answer["message"])
                return process
            reason = process.epitaph()
            self.close()
        raise errors.TintypeError(f"A worker process died {_STARTS} times before it began, {reason}.")

    def __call__(self, task: Task) -> Record:
        """The task's record; `failed` where its worker died twice over it alone, or it took too long."""
        places, deaths = 1, 0
        while True:
            with self._held(places):
                tried = self._try(task)
            if isinstance(tried, Record):
                return tried
            death = tried
            place(self._settings.target).clearing()(task.result)
            deaths += places == self._alone  # else a neighbour may be to blame
            if self._abandoned or death.overdue or deaths == _DEATHS:
                break
            places = self._alone
        if death.overdue:
            reason = f"it took longer than {self._settings.time_limit_s:g} s (--time-limit)"
            return self._settings.record(task, FAILED, kind="time", reason=reason, finished=now())
        reason = f"its worker process died over it {deaths} times, {death.reason}"
        return self._settings.record(task, FAILED, kind="crash", reason=reason, finished=now())

    def close(self) -> None:
        """Let the process end; what it has in hand it leaves."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def abandon(self) -> None:
        """Have the process leave what it has in hand; no other is started for it."""
        self._abandoned = True
        if (process := self._process) is not None:
            process.end()

    def kill(self, after_s: float) -> None:
        """End the process, if it has not ended by then."""
        if (process := self._process) is not None:
            process.kill(after_s)

    def _try(self, task: Task) -> Record | _Death:
        process = self.start()
        asked = process.ask(task)
        overdue = False
        while not (overdue or asked.answer.done()):
            left_s = self._settings.time_limit_s - asked.worked_s()
            wait([asked.answer], min(max(0, left_s), _LOOK_S))
            overdue = left_s <= 0
        if not asked.answer.done():
            process.kill()
        if (answer := asked.answer.result()) is not None:
            return Record(**answer)
        return _Death(process.epitaph(), overdue)

    @contextmanager
    def _held(self, places: int) -> Iterator[None]:
        """So many of the places in hand; whoever waits for all is not overtaken."""
        with self._gate:
            for _ in range(places):
                self._places.acquire()
        try:
            yield
        finally:
            self._places.release(places)


class _Death(NamedTuple):
    reason: str
    overdue: bool
    """Whether it was ended as the task took too long."""
