"""Many pictures: workers, resuming, failures one by one, and what is told of them."""

from __future__ import annotations

import io
import json
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tintype import batch
from tintype.archive.cluster import ClusterEngine
from tintype.batch import Options, run_plan
from tintype.errors import InputError, ModelError, OutputExistsError, SettingsError
from tintype.plan import Job, make_plan
from tintype.progress import Report
from tintype.results import FileResult, versions_of
from tintype.running import orderly_stop, run_jobs
from tintype.whole import part_name, whole_file

Lines = list[str]


class FakeColorizer:
    """Copies files; fails, or raises something odd, where their bytes say so."""

    made = 0

    def __init__(self, model: str, **settings: Any) -> None:
        type(self).made += 1
        self.model = model
        self.card = SimpleNamespace(name=model, outputs={"bin_probs": {}, "bins": {}})

    def colorize_file(
        self, source: Path, target: Path, *, overwrite: bool, skip_colored: bool, candidates: int
    ) -> FileResult:
        data = source.read_bytes()
        if data == b"bad":
            raise InputError(f"{source} is no picture.")
        if data == b"odd":
            raise ZeroDivisionError("division\nby zero")
        if data == b"huge":
            raise MemoryError
        result = FileResult(str(source), str(target), width=4, height=3, seconds=0.1, model=self.model)
        if data == b"colored" and skip_colored:
            result.status, result.reason, result.target = "skipped", "it is in colour already", None
            return result
        result.notes += ["It was in colour and was made grey first."] if data == b"colored" else []
        for place in versions_of(target, candidates):
            with whole_file(place) as file:
                file.write(data)
        return result


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(batch, "Colorizer", FakeColorizer)
    monkeypatch.setattr(FakeColorizer, "made", 0)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Four pictures, one of them coloured."""
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (folder / name).write_bytes(name.encode())
    (folder / "d.jpg").write_bytes(b"colored")
    return folder


def run(inputs: list[str], output: str | None = None, **options: Any) -> int:
    return run_plan(make_plan(inputs, output), Options(**options))


def err_lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_a_folder_is_done_and_summed_up(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["album"], "new/out") == 0
    assert sorted(p.name for p in Path("new/out").iterdir()) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    note, summary = err_lines(capsys)
    assert note == "album/d.jpg: It was in colour and was made grey first."
    assert summary.startswith("4 done, 0 failed; ")


def test_bad_pictures_do_not_stop_the_rest(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, data in (("b0.jpg", b"bad"), ("b1.jpg", b"odd"), ("b2.jpg", b"huge")):
        (album / name).write_bytes(data)
    assert run(["album", "nosuch"], "out", quiet=True) == 1
    assert len(list(Path("out").iterdir())) == 4
    line = line_of("raise ZeroDivisionError")
    fault = f"a fault in Tintype, please report it: ZeroDivisionError in test_batch.py line {line}"
    assert sorted(err_lines(capsys)) == [
        "tintype: album/b0.jpg is no picture.",
        f"tintype: album/b1.jpg: {fault}: division by zero.",
        "tintype: album/b2.jpg: there is not enough memory for this picture.",
        "tintype: nosuch: there is no such file or folder.",
    ]


def line_of(text: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(n for n, line in enumerate(lines, 1) if text in line)


def test_a_run_is_resumed(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["album"], "out", quiet=True) == 0
    Path("out/b.jpg").unlink()
    Path("out/c.jpg").write_bytes(b"kept")
    capsys.readouterr()
    assert run(["album"], "out") == 0
    assert err_lines(capsys)[-1].startswith("1 done, 3 skipped (result exists; --overwrite")
    assert Path("out/c.jpg").read_bytes() == b"kept"
    assert run(["album"], "out", overwrite=True) == 0
    assert Path("out/c.jpg").read_bytes() == b"c.jpg"


def test_candidates_are_numbered_and_resumed_as_one(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def coloured(count: int, **options: Any) -> int:
        return run_plan(make_plan(["album"], candidates=count), Options(candidates=count, **options))

    assert coloured(2) == 0
    results = {p.name for p in album.iterdir()} - {"a.jpg", "b.jpg", "c.jpg", "d.jpg"}
    assert results == {f"{name}.color-{n}.jpg" for name in "abcd" for n in (1, 2)}
    notes = err_lines(capsys)
    assert "album/a.jpg: There are 2 versions, up to a.color-2.jpg." in notes
    assert notes[-1].startswith("4 done, 0 failed; ")
    (album / "b.color-1.jpg").unlink()
    assert coloured(2) == 0  # what is there of b is not replaced
    told = err_lines(capsys)
    assert told[0] == "album: 7 earlier results (NAME.color.EXT) left out."
    assert told[-1].startswith("0 done, 4 skipped (result exists; --overwrite")
    assert not (album / "b.color-1.jpg").exists()
    assert coloured(2, overwrite=True) == 0
    assert (album / "b.color-1.jpg").exists()


def test_a_version_never_lands_on_an_input(album: Path) -> None:
    (album / "out").mkdir()
    (album / "out" / "a-2.jpg").write_bytes(b"mine")
    with pytest.raises(SettingsError, match=r"a\.jpg would replace the input album/out/a-2\.jpg"):
        make_plan(["album/a.jpg", "album/out/a-2.jpg"], "album/out", candidates=2)
    assert make_plan(["album/a.jpg"], "album/out", candidates=2).jobs


def test_no_model_is_loaded_when_there_is_nothing_to_do(album: Path) -> None:
    assert run(["album"], quiet=True) == 0
    assert FakeColorizer.made == 1
    assert run(["album"], quiet=True) == 0
    assert FakeColorizer.made == 1


def test_one_named_file_whose_result_exists_is_an_error(
    album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["album/a.jpg"]) == 0
    assert run(["album/a.jpg"]) == 1
    assert err_lines(capsys)[-1] == (
        "tintype: album/a.jpg: album/a.color.jpg exists already; --overwrite replaces it."
    )
    assert run(["album/a.jpg"], overwrite=True) == 0


def test_one_named_file_whose_result_is_a_link_to_nothing_is_an_error(
    album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (album / "a.color.jpg").symlink_to("nowhere")
    assert run(["album/a.jpg"]) == 1
    assert "album/a.color.jpg exists already; --overwrite replaces it." in err_lines(capsys)[-1]
    assert (album / "a.color.jpg").is_symlink()


def test_one_named_file_whose_result_appears_meanwhile_is_an_error(
    album: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: object, **__: object) -> None:
        raise OutputExistsError("album/a.color.jpg has appeared meanwhile, and was left as it is.")

    monkeypatch.setattr(FakeColorizer, "colorize_file", late)
    assert run(["album/a.jpg"]) == 1
    assert "has appeared meanwhile" in err_lines(capsys)[-1]
    assert run(["album"]) == 0


def test_one_named_file_is_told_in_a_line(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["album/d.jpg"]) == 0
    assert err_lines(capsys) == [
        "album/d.jpg -> album/d.color.jpg (4 x 3, 0.10 s)",
        "album/d.jpg: It was in colour and was made grey first.",
    ]


def test_colored_pictures_are_left_alone_on_demand(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["album/d.jpg"], skip_colored=True) == 0
    assert err_lines(capsys) == ["album/d.jpg: skipped, it is in colour already."]
    assert run(["album"], skip_colored=True) == 0
    assert err_lines(capsys)[-1].startswith("3 done, 1 skipped (in colour already), 0 failed")


def test_quiet_says_nothing_of_success(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["album"], quiet=True) == 0
    assert capsys.readouterr() == ("", "")


def test_json_has_one_object_a_file(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (album / "b.jpg").write_bytes(b"bad")
    (album / "c.color.jpg").write_bytes(b"")
    assert run(["album"], json=True, workers=1) == 1
    out, err = capsys.readouterr()
    results = [json.loads(line) for line in out.splitlines()]
    keys = ["source", "target", "status", "reason", "notes", "width", "height", "pages", "seconds", "model"]
    assert [list(result) for result in results] == [keys] * 4
    by_name = {Path(result["source"]).name: result for result in results}
    assert [by_name[n]["status"] for n in ("a.jpg", "b.jpg", "c.jpg", "d.jpg")] == [
        "done",
        "failed",
        "skipped",
        "done",
    ]
    assert by_name["a.jpg"]["target"] == "album/a.color.jpg"
    assert (by_name["a.jpg"]["width"], by_name["a.jpg"]["height"]) == (4, 3)
    assert by_name["b.jpg"]["reason"] == "album/b.jpg is no picture."
    assert by_name["b.jpg"]["width"] is by_name["b.jpg"]["model"] is None
    assert "--overwrite" in by_name["c.jpg"]["reason"]
    assert by_name["d.jpg"]["notes"] == ["It was in colour and was made grey first."]
    assert "tintype: album/b.jpg is no picture.\n" in err


def test_a_model_that_cannot_be_had_is_told_once(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ModelError("There is no model named 'x'.")

    monkeypatch.setattr(batch, "Colorizer", refuse)
    with pytest.raises(ModelError):
        run(["album"], "out", quiet=True)
    assert not Path("out").exists()


def test_results_follow_completion_and_workers_share_the_work() -> None:
    first_may_end = threading.Event()

    def work(job: Job) -> FileResult:
        if job.source == "slow":
            assert first_may_end.wait(30)
        return FileResult(job.source)

    jobs = [Job(name, "") for name in ("slow", "x", "y", "z")]
    order = []
    for result in run_jobs(jobs, work, 2, threading.Event()):
        order.append(result.source)
        if len(order) == 3:
            first_may_end.set()
    assert order == ["x", "y", "z", "slow"]


def test_few_jobs_and_results_are_held_at_once() -> None:
    alive: weakref.WeakSet[FileResult] = weakref.WeakSet()
    begun = most = 0

    def work(job: Job) -> FileResult:
        result = HashableResult(job.source)
        alive.add(result)
        return result

    def jobs() -> Iterator[Job]:
        nonlocal begun
        for begun in range(1, 301):
            yield Job(str(begun), "")

    for finished, _ in enumerate(run_jobs(jobs(), work, 3, threading.Event()), 1):
        assert begun <= finished + 3
        most = max(most, len(alive))
    assert finished == 300
    assert most <= 8


class HashableResult(FileResult):
    __hash__ = object.__hash__


def test_stopping_finishes_what_is_in_hand() -> None:
    stop = threading.Event()
    jobs = [Job(str(n), "") for n in range(100)]
    results = run_jobs(jobs, lambda job: FileResult(job.source), 2, stop)
    seen = [next(results).source]
    stop.set()
    seen += [result.source for result in results]
    assert len(seen) == len(set(seen)) <= 4


def test_what_is_said_of_stopping_is_the_engines(capfd: pytest.CaptureFixture[str]) -> None:
    stop, before = threading.Event(), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with orderly_stop(stop, lambda: None, ClusterEngine.stopping):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert stop.is_set()
    said = "Stopping; the same command does again what the actors have in hand."
    assert capfd.readouterr().err == f"\n{said}\n"


def test_the_first_ctrl_c_is_the_first_where_others_stopped_already(
    capfd: pytest.CaptureFixture[str],
) -> None:
    report, before = Report(None, io.StringIO()), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with orderly_stop(report.stop, lambda: pytest.fail("abandoned"), "Stopping."):
            report.give_up("There is no room left.")
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().err == "tintype: There is no room left.\n\nStopping.\n"
    assert report.status == 0, "as nothing failed"


def test_who_was_stopped_by_ctrl_c_says_so_whatever_follows() -> None:
    report = Report(None, io.StringIO())
    report.stop.set()
    report.give_up("There is no room left.")
    assert report.status == 130


def test_a_bar_is_shown_on_a_terminal_only(
    album: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for quiet, shown in ((False, True), (True, False)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        assert run(["album"], "out", quiet=quiet, overwrite=True) == 0
        assert ("4/4" in terminal.getvalue()) is shown
        assert ("pictures" in terminal.getvalue()) is shown
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run(["album/a.jpg"], "out/", overwrite=True) == 0
    assert "1/1" not in terminal.getvalue()


def test_an_interrupt_leaves_no_temporary_file_and_those_of_others(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: FakeColorizer, source: Path, target: Path, **_: Any) -> FileResult:
        Path("out", other).write_bytes(b"of another process, at work on the same result")
        with whole_file(target) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    other = part_name("a.jpg")
    monkeypatch.setattr(FakeColorizer, "colorize_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(["album/a.jpg"], "out/")
    assert [p.name for p in Path("out").iterdir()] == [other]
