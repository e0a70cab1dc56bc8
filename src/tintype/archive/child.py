"""The worker process: settings come in as a first line, then a task a line; a record a line goes out.

Some tasks are worked at together, of which one is coloured while another is read or written. Tasks have
numbers, by which records, that come in the order of their ends, are told apart.

It reads nothing else, ends when its input does, and ignores Ctrl-C, which is its keeper's affair.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TextIO

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
        settings = Settings.from_json(text)
        work = Work(settings)
    except TintypeError as error:
        _answer(answers, {"error": type(error).__name__, "message": str(error)})
        return
    _answer(answers, {"ready": True})
    one_by_one = threading.Lock()

    def do(number: int, task: Task) -> None:
        record = dataclasses.asdict(work(task))
        with one_by_one:
            _answer(answers, [number, record])

    with ThreadPoolExecutor(settings.in_hand) as pool:
        for line in lines:
            number, values = json.loads(line)
            pool.submit(do, number, Task.from_values(values))


def _answer(answers: TextIO, values: Any) -> None:
    print(json.dumps(values), file=answers, flush=True)


if __name__ == "__main__":
    main()
