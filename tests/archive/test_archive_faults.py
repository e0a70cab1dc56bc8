"""Whatever dies, each picture is done exactly once or named, and no part of a result is ever seen.

Kills come at random moments: after a random number of pictures and a random while.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from archive_makers import (
    INTERRUPTIBLE,
    archive,
    batch,
    environment,
    files,
    hidden,
    line,
    picture,
    records,
    settings,
    workers_of,
)

from tintype.archive.local import LocalEngine
from tintype.archive.process import Asked
from tintype.archive.record import Record
from tintype.archive.settings import Settings, Task
from tintype.archive.worker import Worker
from tintype.errors import ModelError

COUNT = 12
KILLS = 20


class Killed:
    """An archive, what a run that nothing disturbed made of it, and runs that are killed."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.source, self.model = folder / "in", model
        self.names = archive(self.source, COUNT)
        self.before = files(self.source)
        self.target = folder / "undisturbed"
        assert self.run().returncode == 0
        self.expected = files(self.target)
        assert sorted(self.expected) == self.names

    def command(self) -> list[object]:
        return [self.source, "-o", self.target, "--model", self.model, "--workers", 2]

    def run(self) -> subprocess.CompletedProcess[str]:
        return batch(*self.command(), "--quiet")

    def start(self, finished: int, while_s: float) -> subprocess.Popen[str]:
        """A run that is so many pictures and seconds on its way."""
        process = subprocess.Popen(
            line(*self.command(), "--quiet", "--json"), env=environment(), stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(finished):
            process.stdout.readline()
        time.sleep(while_s)
        return process

    def check_whole(self) -> None:
        """What is to be seen is what the undisturbed run made, to the byte."""
        for name, data in files(self.target).items():
            assert data == self.expected[name]

    def check_done(self) -> None:
        assert files(self.target) == self.expected
        assert hidden(self.target) == []
        found = records(self.target / "tintype-manifest.jsonl")
        assert sorted(found) == [str(self.source / name) for name in self.names]
        assert {record.status for record in found.values()} == {"done"}
        assert files(self.source) == self.before


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Killed:
    return Killed(tmp_path_factory.mktemp("killed"), tiny_model)


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_kill_at_a_random_moment(seed: int, killed: Killed) -> None:
    chance = random.Random(seed)
    killed.target = killed.source.with_name(f"out-{seed}")
    process = killed.start(chance.randrange(COUNT), chance.uniform(0, 0.05))
    victims = [process.pid] if seed % 2 else workers_of(process.pid) or [process.pid]
    victim = chance.choice(victims)
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        assert victim != process.pid  # a worker had ended already
    process.communicate(timeout=100)
    killed.check_whole()
    if victim == process.pid:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 0
        killed.check_done()
    assert killed.run().returncode == 0
    killed.check_done()


def tasks(folder: Path, names: list[str]) -> Iterator[Task]:
    for name in names:
        yield Task(name, (folder / name).stat().st_size, "", 0)


def run(settings: Settings, tasks: Iterator[Task], workers: int = 1) -> dict[str, Record]:
    engine = LocalEngine(settings, workers)
    try:
        return {Path(record.source).name: record for record in engine.records(tasks, threading.Event())}
    finally:
        engine.close()


def test_a_picture_that_vanishes_is_named(tmp_path: Path, tiny_model: Path) -> None:
    names = archive(tmp_path / "in", 3)

    def vanishing() -> Iterator[Task]:
        for task in tasks(tmp_path / "in", names):
            if task.name == names[1]:
                (tmp_path / "in" / task.name).unlink()
            yield task

    found = run(settings(tmp_path / "in", tmp_path / "out", tiny_model), vanishing())
    assert [found[Path(name).name].status for name in names] == ["done", "failed", "done"]
    gone = found[Path(names[1]).name]
    assert (gone.kind, gone.reason) == ("missing", "it has gone since it was listed")


def test_a_target_that_refuses_for_a_while_is_waited_for(tmp_path: Path, tiny_model: Path) -> None:
    names = archive(tmp_path / "in", 3)
    blocked = tmp_path / "out" / "below"
    blocked.parent.mkdir()
    blocked.write_bytes(b"where a folder should be")
    patient = settings(tmp_path / "in", tmp_path / "out", tiny_model, tries=9, wait_s=0.05)
    timer = threading.Timer(1.5, blocked.unlink)
    timer.start()
    found = run(patient, tasks(tmp_path / "in", names))
    timer.join()
    assert {record.status for record in found.values()} == {"done"}
    assert sorted(files(tmp_path / "out")) == names


def test_a_target_that_goes_on_refusing_is_named_and_made_up_for(tmp_path: Path, tiny_model: Path) -> None:
    names = archive(tmp_path / "in", 3)
    below = next(name for name in names if "below" in name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "below").write_bytes(b"where a folder should be")
    found = run(settings(tmp_path / "in", tmp_path / "out", tiny_model), tasks(tmp_path / "in", names))
    refused = found[Path(below).name]
    assert (refused.status, refused.kind) == ("failed", "unwritable")
    assert "cannot be written" in refused.reason
    assert hidden(tmp_path / "out") == []
    assert sorted(files(tmp_path / "out")) == sorted({"below", *names} - {below})


CRASHES = """
import os, signal, time
print("what a library says as it is imported")
import simplejpeg
decode = simplejpeg.decode_jpeg
def odd(data, *args, **options):
    if b"CRASH" in data:
        time.sleep(0.7 if b"LATER" in data else 0)
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"SLOW" in data:
        time.sleep(1.5)
    if b"ONCE" in data and not os.path.exists(os.environ["ONCE"]):
        open(os.environ["ONCE"], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if b"HANG" in data:
        time.sleep(600)
    return decode(data, *args, **options)
simplejpeg.decode_jpeg = odd
sync = os.fsync
def dying(number):
    if "STORE_HANG" in os.environ:
        time.sleep(600)
    if "STORE_ONCE" in os.environ and not os.path.exists(os.environ["STORE_ONCE"]):
        open(os.environ["STORE_ONCE"], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    sync(number)
os.fsync = dying
"""


@pytest.fixture
def _odd_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes whose decoder crashes, dies once or hangs over pictures that say so."""
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "sitecustomize.py").write_text(CRASHES)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "odd"), environment()["PYTHONPATH"]]))
    monkeypatch.setenv("ONCE", str(tmp_path / "once"))


@pytest.mark.usefixtures("_odd_decoder")
def test_a_crash_of_the_decoder_costs_one_picture(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for n, word in enumerate((b"", b"CRASH", b"ONCE", b"HANG", b"")):
        (folder / f"{n}.jpg").write_bytes(picture(n) + word)
    names = [f"{n}.jpg" for n in range(5)]
    hasty = settings(folder, tmp_path / "out", tiny_model, time_limit_s=3)
    found = run(hasty, tasks(folder, names))
    assert [found[name].status for name in names] == ["done", "failed", "done", "failed", "done"]
    assert found["1.jpg"].kind == "crash"
    assert found["1.jpg"].reason == "its worker process died over it 2 times, by signal 11 (SIGSEGV)"
    assert found["3.jpg"].kind == "time"
    assert "--time-limit" in found["3.jpg"].reason
    assert sorted(files(tmp_path / "out")) == ["0.jpg", "2.jpg", "4.jpg"]


@pytest.mark.usefixtures("_odd_decoder")
def test_a_crash_beside_a_picture_does_not_count_against_it(tmp_path: Path, tiny_model: Path) -> None:
    """The second, over it alone, may be chance: a process that was killed for memory, say."""
    (tmp_path / "0.jpg").write_bytes(picture(0) + b"LATER CRASH")
    (tmp_path / "1.jpg").write_bytes(picture(1) + b"SLOW ONCE")
    found = run(settings(tmp_path, tmp_path / "out", tiny_model), tasks(tmp_path, ["0.jpg", "1.jpg"]))
    assert (tmp_path / "once").exists()
    assert {name: record.status for name, record in found.items()} == {"0.jpg": "failed", "1.jpg": "done"}


@pytest.mark.usefixtures("_odd_decoder")
def test_a_picture_that_waits_for_slow_ones_is_not_overdue(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    names = [f"{n}.jpg" for n in range(4)]
    for n, name in enumerate(names):
        (folder / name).write_bytes(picture(n) + b"SLOW")
    once = settings(f"file://{folder}", tmp_path / "out", tiny_model, time_limit_s=4)
    assert once.in_hand == len(names)  # so that the last waits longer than it may take
    found = run(once, tasks(folder, names))
    assert {record.status for record in found.values()} == {"done"}
    assert all(1.5 <= record.seconds < 4 for record in found.values())


@pytest.mark.usefixtures("_odd_decoder")
def test_a_worker_that_dies_while_it_writes_leaves_no_part(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = archive(tmp_path / "in", 2)
    monkeypatch.setenv("STORE_ONCE", str(tmp_path / "died"))
    found = run(settings(tmp_path / "in", tmp_path / "out", tiny_model), tasks(tmp_path / "in", names))
    assert (tmp_path / "died").exists()
    assert {record.status for record in found.values()} == {"done"}
    assert sorted(files(tmp_path / "out")) == names
    assert hidden(tmp_path / "out") == []


def test_a_worker_with_another_model_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    other = replace(settings(tmp_path, tmp_path / "out", tiny_model), model_sha256="0" * 64)
    with pytest.raises(ModelError, match="is not the one that the run began with"):
        Worker(other).start()


@pytest.mark.usefixtures("_odd_decoder")
def test_an_abandoned_worker_ends_at_once_and_is_not_started_again(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(picture(0) + b"HANG")
    worker = Worker(settings(tmp_path, tmp_path / "out", tiny_model))
    worker.abandon()  # before there is a process
    worker = Worker(settings(tmp_path, tmp_path / "out", tiny_model))
    process = worker.start()
    timer = threading.Timer(0.5, worker.abandon)
    timer.start()
    record = worker(Task("0.jpg", -1, "", 0))
    timer.join()
    assert (record.status, record.kind) == ("failed", "crash")
    assert process.ended
    worker.close()


def vanish(what: Callable[[], object], seconds: float = 20) -> None:
    """Wait until there is none of it."""
    end = time.monotonic() + seconds
    while found := what():
        assert time.monotonic() < end, found
        time.sleep(0.05)


@pytest.fixture
def storing(
    _odd_decoder: None, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[str]]:
    """A run whose worker is writing a first result, which takes for ever."""
    archive(tmp_path / "in", 3)
    monkeypatch.setenv("STORE_HANG", "1")
    words = ["batch", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model, "--workers", 1]
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *map(str, words)],
        env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    vanish(lambda: not hidden(tmp_path / "out"))
    yield process
    process.kill()
    process.communicate(timeout=20)


def test_a_second_ctrl_c_leaves_no_part(storing: subprocess.Popen[str], tmp_path: Path) -> None:
    workers = workers_of(storing.pid)
    assert workers
    storing.send_signal(signal.SIGINT)
    assert storing.stderr is not None
    while "Stopping" not in storing.stderr.readline():
        assert storing.poll() is None
    storing.send_signal(signal.SIGINT)
    assert storing.wait(20) == 130
    assert hidden(tmp_path / "out") == []
    vanish(lambda: [pid for pid in workers if Path(f"/proc/{pid}").exists()])


def test_workers_leave_what_they_have_in_hand_when_their_driver_dies(
    storing: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Or they would go on beside the next run, and write over what that has written."""
    workers = workers_of(storing.pid)
    storing.kill()
    storing.wait(20)
    vanish(lambda: [pid for pid in workers if Path(f"/proc/{pid}").exists()])
    assert hidden(tmp_path / "out") == []
    assert set(files(tmp_path / "out")) == set()


def test_what_a_picture_waits_for_others_is_not_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    asked = Asked()
    for seconds, waits in ((1.0, True), (10.0, False), (2.0, True), (20.0, True), (30.0, False)):
        clock[0] += seconds
        asked.note(waits=waits)
    assert asked.worked_s() == 3
    clock[0] += 4
    assert asked.worked_s() == 7
