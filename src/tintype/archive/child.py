"""The worker process: settings come in as a first line, then a task a line; a record a line goes out.

It reads nothing else, ends when its input does, and ignores Ctrl-C, which is its keeper's affair.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys

from tintype.errors import TintypeError


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    lines = sys.stdin
    text = lines.readline()
    if not text:
        return
    try:
        import cv2

        from tintype.archive.settings import Settings, Task
        from tintype.archive.work import Work

        cv2.setNumThreads(1)
        work = Work(Settings.from_json(text))
    except TintypeError as error:
        _answer(answers, {"error": type(error).__name__, "message": str(error)})
        return
    _answer(answers, {"ready": True})
    for line in lines:
        _answer(answers, dataclasses.asdict(work(Task.from_json(line))))


def _answer(answers: object, values: dict[str, object]) -> None:
    print(json.dumps(values), file=answers, flush=True)  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
