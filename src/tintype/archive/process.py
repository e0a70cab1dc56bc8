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
from typing import Any, TypeAlias

# One thread each: more would fight for the processors that the other workers fill.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

Answer: TypeAlias = "Future[dict[str, Any] | None]"


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
        self._asked: dict[int, Answer] = {}
        self._lock = threading.Lock()
        self._ended = False
        self.heard = 0.0
        """When it last answered, by `time.monotonic`."""
        self._listener: threading.Thread | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will be answered."""
        return self._ended

    def greet(self, settings: str) -> dict[str, Any] | None:
        """Its answer to a line of settings, the first that it must be sent; None where it has died."""
        assert self._popen.stdout is not None
        try:
            self._send(settings)
            answer: dict[str, Any] = json.loads(self._popen.stdout.readline())
        except (OSError, ValueError):  # no line, or a torn one
            self._ended = True
            return None
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return answer

    def ask(self, task: Any) -> Answer:
        """What its answer to a task will be: None where it has died."""
        answer: Answer = Future()
        with self._lock:
            if self._ended:
                answer.set_result(None)
                return answer
            number = next(self._numbers)
            self._asked[number] = answer
            with suppress(OSError):  # that it has died the listener hears
                self._send(json.dumps([number, task]))
        return answer

    def kill(self) -> None:
        """End it at once."""
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
        """Let it end once it has finished what it has in hand."""
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
                number, answer = json.loads(line)
                with self._lock:
                    asked = self._asked.pop(number)
                self.heard = time.monotonic()
                asked.set_result(answer)
        with self._lock:
            self._ended = True
        for asked in self._asked.values():
            asked.set_result(None)
