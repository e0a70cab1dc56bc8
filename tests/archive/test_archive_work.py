"""What a worker does at once: one picture is coloured while others are read and written."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from archive_makers import archive, files, settings

from tintype.archive.places import Folder
from tintype.archive.settings import Task
from tintype.archive.work import Work
from tintype.colorizer import Colorizer


class Watched:
    """The steps of all pictures, as they began and ended, and steps that wait for others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.before: dict[str, threading.Event] = {}
        self._passed: dict[str, threading.Event] = {}
        for owner, name in ((Folder, "fetch"), (Colorizer, "colorize_into"), (Folder, "store")):
            monkeypatch.setattr(owner, name, self._watched(name, getattr(owner, name)))

    def passed(self, step: str) -> threading.Event:
        return self._passed.setdefault(step, threading.Event())

    def _tell(self, step: str) -> None:
        self.steps.append(step)
        self.passed(step).set()
        if step in self.before:
            assert self.before[step].wait(20), f"{step} waits in vain: {self.steps}"

    def _watched(self, name: str, real: Any) -> Any:
        def watched(*args: Any, **options: Any) -> Any:
            who = threading.current_thread().name
            self._tell(f"{who} {name}")
            try:
                return real(*args, **options)
            finally:
                self._tell(f"{who} {name} done")

        return watched


def both(work: Work, names: list[str]) -> list[str]:
    """The statuses of two pictures, by threads A and B."""

    def do(who: str, name: str) -> str:
        threading.current_thread().name = who
        return work(Task(name, -1, "", 0)).status

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(do, "AB", names))


def test_one_is_read_while_another_is_coloured(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = archive(tmp_path / "in", 2)
    work = Work(settings(tmp_path / "in", tmp_path / "out", tiny_model))
    watched = Watched(monkeypatch)
    watched.before["B fetch"] = watched.passed("A colorize_into")
    watched.before["A colorize_into"] = watched.passed("B fetch done")
    assert both(work, names) == ["done", "done"]
    assert sorted(files(tmp_path / "out")) == names


def test_one_is_coloured_while_another_is_written(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = archive(tmp_path / "in", 2)
    work = Work(settings(tmp_path / "in", tmp_path / "out", tiny_model))
    watched = Watched(monkeypatch)
    watched.before["B fetch"] = watched.passed("A colorize_into")
    watched.before["A store"] = watched.passed("B colorize_into done")
    assert both(work, names) == ["done", "done"]


def test_two_are_never_coloured_at_once(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = archive(tmp_path / "in", 2)
    work = Work(settings(tmp_path / "in", tmp_path / "out", tiny_model))
    at_once = [0]
    colored = Colorizer.colorize_into

    def counted(*args: Any, **options: Any) -> Any:
        at_once.append(at_once[-1] + 1)
        time.sleep(0.2)
        at_once.append(at_once[-1] - 1)
        return colored(*args, **options)

    monkeypatch.setattr(Colorizer, "colorize_into", counted)
    assert both(work, names) == ["done", "done"]
    assert at_once == [0, 1, 0, 1, 0]
