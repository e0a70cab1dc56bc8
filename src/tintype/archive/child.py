"""The worker process: settings come in as a first line, then a task a line; a record a line goes out.

Some tasks are worked at together, of which one is coloured while another is read or written. Tasks have
numbers, by which records, that come in the order of their ends, are told apart.

In between it tells, by a number and true or false, that a task begins to wait while others are coloured, or
ends to. Where its input ends before all is answered its keeper is gone: it leaves what it has in hand, since
another run may be at the same pictures. Ctrl-C, which is its keeper's affair, it ignores.
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
from tintype.running import limit_codec_threads
from tintype.whole import remove_last_parts


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _leave())
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
        limit_codec_threads(1)
        settings = Settings.from_json(text)
        work = Work(settings)
    except TintypeError as error:
        _answer(answers, {"error": type(error).__name__, "message": str(error)})
        return
    _answer(answers, {"ready": True})
    one_by_one = threading.Lock()
    in_hand: set[int] = set()

    def tell(number: int, told: Any) -> None:
        with one_by_one:
            _answer(answers, [number, told])

    def do(number: int, task: Task) -> None:
        record = work(task, lambda waits: tell(number, waits))
        in_hand.remove(number)
        tell(number, dataclasses.asdict(record))

    with ThreadPoolExecutor(settings.in_hand) as pool:
        for line in lines:
            number, values = json.loads(line)
            in_hand.add(number)
            pool.submit(do, number, Task.from_values(values))
        if in_hand:
            _leave()


def _leave() -> None:
    """End as by SIGTERM, but leave no part of a result behind."""
    remove_last_parts()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)


def _answer(answers: TextIO, values: Any) -> None:
    print(json.dumps(values), file=answers, flush=True)


if __name__ == "__main__":
    main()
