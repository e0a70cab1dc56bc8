"""Pictures made ahead in another thread: the same ones, errors in their place, and no thread left behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tintype.video.ahead import ahead


def test_the_same_items_in_their_order() -> None:
    assert list(ahead(iter(range(50)), 3)) == list(range(50))
    assert list(ahead(iter(()))) == []


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("no more")

    made = ahead(items())
    assert [next(made), next(made)] == [1, 2]
    with pytest.raises(OSError, match="no more"):
        next(made)


def test_it_stays_within_its_count() -> None:
    begun: list[int] = []
    third = threading.Event()

    def items() -> Iterator[int]:
        for i in range(100):
            begun.append(i)
            if i == 3:
                third.set()
            yield i

    made = ahead(items(), 2)
    assert next(made) == 0
    assert third.wait(5)
    assert len(begun) <= 4  # one in use, two that wait, one in hand
    made.close()


def test_closing_ends_the_thread_and_closes_the_items() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    threads = threading.active_count()
    made = ahead(ahead(items()), 2)
    next(made)
    made.close()
    assert closed.wait(5)
    assert threading.active_count() == threads


def test_a_further_ctrl_c_waits_for_the_thread_too() -> None:
    begun, ended = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 0
        begun.set()
        time.sleep(0.5)
        ended.set()
        yield 1

    made = ahead(items())
    next(made)
    assert begun.wait(5)
    timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        made.close()
    assert ended.is_set()
    timer.join()
