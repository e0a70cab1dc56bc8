"""The keeper of one worker process: starts it, hands it tasks, and starts it again when it has died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

from tintype import errors
from tintype.archive.places import place
from tintype.archive.record import FAILED, Record
from tintype.archive.settings import Settings, Task, now

_STARTS = 3  # that may fail, of which chance explains two
_TRIES = 2  # of a picture whose worker died: the second tells chance from the picture
# One thread each: more would fight for the processors that the other workers fill.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Worker:
    """Colours tasks, one at a time, in a process of its own, whose death costs its picture at most."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self._ended = self._overdue = False

    def start(self) -> None:
        """Start the process unless it runs. Raises what it refuses with: ModelError, SettingsError …"""
        for _ in range(_STARTS):
            if self._process is not None:
                return
            self._process = _spawned()
            answer = self._ask(self._settings.to_json())
            if answer is None:
                reason = self._epitaph()
            elif "error" in answer:
                self.close()
                raise getattr(errors, answer["error"], errors.TintypeError)(answer["message"])
        if self._process is None:
            raise errors.TintypeError(f"A worker process died {_STARTS} times before it began, {reason}.")

    def __call__(self, task: Task) -> Record:
        """The task's record, `failed` where its worker died twice over it or took longer than it may."""
        reason = ""
        for _ in range(_TRIES):
            self.start()
            timer = threading.Timer(self._settings.time_limit_s, self._kill)
            timer.start()
            try:
                answer = self._ask(json.dumps(task))
            finally:
                timer.cancel()
            if answer is not None:
                return Record(**answer)
            reason = self._epitaph()
            place(self._settings.target).clear(task.name)
            if self._overdue:
                self._overdue = False
                reason = f"it took longer than {self._settings.time_limit_s:g} s (--time-limit)"
                return self._settings.record(task, FAILED, kind="time", reason=reason, finished=now())
            if self._ended:
                break
        reason = f"its worker process died over it {_TRIES} times, {reason}"
        return self._settings.record(task, FAILED, kind="crash", reason=reason, finished=now())

    def close(self) -> None:
        """Let the process end once it has finished what it has in hand."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.close()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def abandon(self) -> None:
        """End the process at once."""
        self._ended = True
        if self._process is not None:
            self._process.kill()

    def _kill(self) -> None:
        self._overdue = True
        if self._process is not None:
            self._process.kill()

    def _ask(self, line: str) -> dict[str, Any] | None:
        """The answer to a line; None where the process has died."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):  # no line, or a torn one
            return None
        return answer

    def _epitaph(self) -> str:
        """How the process died."""
        assert self._process is not None
        status = self._process.wait()
        self.close()
        if status >= 0:
            return f"with exit status {status}"
        name = signal.Signals(-status).name if -status in list(signal.Signals) else "an unknown one"
        short = "; memory may have been short" if name == "SIGKILL" else ""
        return f"by signal {-status} ({name}){short}"


def _spawned() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tintype.archive.child"],  # -P: no code from the folder of today
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | _ONE_THREAD,
        start_new_session=True,  # Ctrl-C is for the driver alone
    )
