"""The engine of many machines, on one: Ray with actors and drivers that die."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from archive_makers import archive, batch, descendants, environment, files, hidden, line, records, workers_of

COUNT = 150  # so many that the run goes on for a while after its first


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    return archive(tmp_path / "in", COUNT)


def start(folder: Path, model: Path) -> subprocess.Popen[str]:
    """A run on Ray whose first pictures are done."""
    options = ["--model", model, "--engine", "ray", "--workers", 2, "--quiet", "--json"]
    process = subprocess.Popen(
        line(folder / "in", "-o", folder / "out", *options),
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline(), process.communicate()[1]
    return process


def check_done(folder: Path, names: list[str], model: Path) -> None:
    found = records(folder / "out" / "tintype-manifest.jsonl")
    assert sorted(found) == [str(folder / "in" / name) for name in names]
    assert {record.status for record in found.values()} == {"done"}
    assert batch(folder / "in", "-o", folder / "local", "--model", model, "--quiet").returncode == 0
    assert files(folder / "out") == files(folder / "local")
    assert hidden(folder / "out") == []


def test_an_actor_is_killed(tmp_path: Path, names: list[str], tiny_model: Path) -> None:
    process = start(tmp_path, tiny_model)
    parents = {child: int(Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[1])
               for child in workers_of(process.pid)}  # fmt: skip
    actor = next(iter(parents.values()))
    assert "ray::" in dict(descendants(process.pid))[actor]
    os.kill(actor, signal.SIGKILL)
    _, told = process.communicate(timeout=150)
    assert process.returncode == 0, told
    assert "tintype:" not in told
    check_done(tmp_path, names, tiny_model)


def test_a_full_target_ends_the_run_and_all_that_failed_is_named(
    tmp_path: Path, names: list[str], tiny_model: Path, tiny_disk: Path
) -> None:
    line = [tmp_path / "in", "-o", tiny_disk, "--manifest", tmp_path / "m.jsonl", "--model", tiny_model]
    full = batch(*line, "--engine", "ray", "--workers", 1)
    assert full.returncode == 1
    assert full.stderr.count(f"There is no room left in {tiny_disk}.") == 1
    found = records(tmp_path / "m.jsonl")
    failed = [record for record in found.values() if record.status == "failed"]
    assert len(failed) > 1, "all that were in hand"
    assert {record.kind for record in failed} == {"full"}
    done = {record.output for record in found.values() if record.status == "done"}
    assert done == {str(tiny_disk / name) for name in files(tiny_disk)}, "none was written and not recorded"
    assert len(done) + len(failed) < COUNT, "the rest was not even tried"
    assert hidden(tiny_disk) == []


def test_a_run_goes_on_whose_driver_was_killed(tmp_path: Path, names: list[str], tiny_model: Path) -> None:
    process = start(tmp_path, tiny_model)
    ray = [pid for pid, command in descendants(process.pid) if "tintype.archive.child" not in command]
    os.kill(process.pid, signal.SIGKILL)
    for pid in ray:  # which would notice in a minute, and hold the pipes till then
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=100)
    seen = files(tmp_path / "out")
    assert seen
    again = batch(tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model, "--quiet")
    assert (again.returncode, again.stderr) == (0, "")
    check_done(tmp_path, names, tiny_model)
    assert all(files(tmp_path / "out")[name] == data for name, data in seen.items())
