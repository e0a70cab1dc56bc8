"""Work on a film's pictures in a thread of its own: reading, painting and encoding overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
_LOOK_UP = 0.2  # seconds after which a full queue's maker looks whether anybody still wants its items


def ahead(items: Iterator[T], count: int = 3) -> Generator[T]:
    """The same items in the same order, made in another thread, at most `count` before they are asked for.

    An error in making them is raised here, after the items before it. Closing this, or leaving it to be
    collected, ends the thread and closes `items`.
    """
    made: queue.Queue[tuple[str, Any]] = queue.Queue(count)
    unwanted, ended = threading.Event(), threading.Event()
    maker = threading.Thread(target=_make, args=(items, made, unwanted, ended), daemon=True)
    maker.start()
    try:
        while True:
            kind, value = made.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        unwanted.set()
        _wait(ended)
        maker.join()


def _wait(ended: threading.Event) -> None:
    """Wait, also if there is a further Ctrl-C: a thread inside of a library must not see the process end."""
    interrupt: KeyboardInterrupt | None = None
    while not ended.is_set():
        try:
            ended.wait()  # not `join`, after whose interruption Python 3.11 takes the thread for ended
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt


def _make(
    items: Iterator[Any],
    made: queue.Queue[tuple[str, Any]],
    unwanted: threading.Event,
    ended: threading.Event,
) -> None:
    def put(kind: str, value: Any) -> None:
        while not unwanted.is_set():
            try:
                return made.put((kind, value), timeout=_LOOK_UP)
            except queue.Full:
                continue

    try:
        for item in items:
            put("item", item)
            if unwanted.is_set():
                break
        put("end", None)
    except BaseException as error:  # whatever it is, the other thread must hear of it
        put("error", error)
    finally:
        try:
            if isinstance(items, Generator):
                items.close()
        finally:
            ended.set()
