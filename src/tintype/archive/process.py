"""A worker process from outside: lines go in, answers come back in any order until it ends."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

# One thread each: more would fight for the processors that the other workers fill.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Asked:
    """A task in a process's hands."""

    def __init__(self) -> None:
        self.answer: Future[dict[str, Any] | None] = Future()
        """None where the process has died."""
        self._state: tuple[float, float | None] = (0.0, time.monotonic())

    def note(self, *, waits: bool) -> None:
        """It waits while others are coloured, or does so no longer."""
        self._state = (self.worked_s(), None if waits else time.monotonic())

    def worked_s(self) -> float:
        """Seconds that it has been worked at."""
        before, since = self._state
        return before if since is None else before + time.monotonic() - since


class Process:
    """A worker process, which several threads may ask at once."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "tintype.archive.child"],  # -P: no code from the folder of today
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | _ONE_THREAD,
            start_new_session=True,  # Ctrl-C is for the driver alone
        )
        self._numbers = itertools.count()
        self._asked: dict[int, Asked] = {}
        self._lock = threading.Lock()
        self._ended = False
        self._listener: threading.Thread | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will be answered."""
        return self._ended

    def greet(self, settings: str) -> dict[str, Any] | None:
        """Its answer to a line of settings, the first that it must be sent; None where it has died."""
        assert self._popen.stdout is not None
        with suppress(OSError):
            self._send(settings)
            for line in self._popen.stdout:
                try:
                    answer = json.loads(line)
                except ValueError:
                    continue  # what something prints before the process has its output to itself
                if isinstance(answer, dict):
                    self._listener = threading.Thread(target=self._listen, daemon=True)
                    self._listener.start()
                    return answer
        self._ended = True
        return None

    def ask(self, task: Any) -> Asked:
        """Hand it a task."""
        asked = Asked()
        with self._lock:
            if self._ended:
                asked.answer.set_result(None)
                return asked
            number = next(self._numbers)
            self._asked[number] = asked
            with suppress(OSError):  # that it has died the listener hears
                self._send(json.dumps([number, task]))
        return asked

    def end(self) -> None:
        """Have it leave what it has in hand, and no part of it."""
        self._popen.terminate()

    def kill(self, after_s: float = 0.0) -> None:
        """End it, if it has not ended by then."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(after_s)
        self._popen.kill()

    def epitaph(self) -> str:
        """How it died."""
        status = self._popen.wait()
        if status >= 0:
            return f"with exit status {status}"
        name = signal.Signals(-status).name if -status in list(signal.Signals) else "an unknown one"
        short = "; memory may have been short" if name == "SIGKILL" else ""
        return f"by signal {-status} ({name}){short}"

    def close(self) -> None:
        """Let it end; what it has in hand it leaves."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        with self._lock, suppress(OSError):
            self._popen.stdin.close()
        self._popen.wait()
        if self._listener is not None:
            self._listener.join()
        self._popen.stdout.close()

    def _send(self, line: str) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(line + "\n")
        self._popen.stdin.flush()

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        with suppress(OSError, ValueError):  # a torn line
            for line in self._popen.stdout:
                number, told = json.loads(line)
                if isinstance(told, bool):
                    self._asked[number].note(waits=told)
                    continue
                with self._lock:
                    asked = self._asked.pop(number)
                asked.answer.set_result(told)
        with self._lock:
            self._ended = True
        for asked in self._asked.values():
            asked.answer.set_result(None)
