"""The manifest outlives whatever ends a run, and says of each picture once what became of it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tintype.archive.manifest import Manifest, read_last, read_records, unread_words
from tintype.archive.record import Record
from tintype.archive.report import report_text, summarize
from tintype.errors import InputError, OutputError, SettingsError

DONE = Record(
    source="in/a.jpg", output="out/a.jpg", status="done", sha256="5a", size=10, stamp="10-1", model="m",
    version="1", model_sha256="ff", settings={"strength": 1.0, "colors": ["#ffffff"]}, width=4, height=3,
    pages=1, seconds=0.5, finished="2026-01-01T00:00:00.000+00:00", notes=["A note."], result_size=20,
    result_changed=1 << 60,
)  # fmt: skip
BEGUN = Record(source="in/b.jpg", output="out/b.jpg", status="begun")
FAILED = replace(
    DONE, source="in/c.jpg", status="failed", kind="damaged", reason="it is damaged", width=0,
    finished="2026-01-01T00:00:02.000+00:00",
)  # fmt: skip


@pytest.mark.parametrize("name", ["m.jsonl", "m.parquet"])
def test_what_is_added_is_read_back_once_each(name: str, tmp_path: Path) -> None:
    path = tmp_path / "deep" / name
    with Manifest(path) as manifest:
        for record in (replace(DONE, status="begun"), BEGUN, DONE, FAILED):
            manifest.add(record)
        manifest.close_run()
    assert sorted(read_records(path), key=lambda r: r.source) == [DONE, BEGUN, FAILED]
    with Manifest(path) as manifest:
        known = manifest.known("in/a.jpg")
        assert known == ("done", DONE.state, DONE.content, (20, 1 << 60))
        assert manifest.known("in/none.jpg") is None
        manifest.add(replace(BEGUN, status="done"))
        manifest.close_run()
    assert {record.source: record.status for record in read_records(path)} == {
        "in/a.jpg": "done",
        "in/b.jpg": "done",
        "in/c.jpg": "failed",
    }


def test_what_was_told_when_a_picture_was_done_holds_while_its_bytes_do(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    same = replace(DONE, stamp="10-2", width=0, height=0, pages=0, seconds=0.1, notes=[], finished="")
    other = replace(DONE, source="in/d.jpg")
    cases = [
        ([DONE, BEGUN, same], [replace(DONE, stamp="10-2"), BEGUN]),
        ([DONE, same, other, replace(same, stamp="10-3")], [replace(DONE, stamp="10-3"), other]),
        ([replace(DONE, width=9), DONE, same], [replace(DONE, stamp="10-2")]),
        ([DONE, same, DONE], [DONE]),
        ([DONE, same, replace(DONE, status="failed")], [replace(DONE, status="failed")]),
        ([same, BEGUN], [same, BEGUN]),
    ]
    for added, expected in cases:
        path.unlink(missing_ok=True)
        with Manifest(path) as manifest:
            for record in added:
                manifest.add(record)
            assert list(read_last(path)) == expected
            manifest.close_run()
        assert list(read_records(path)) == expected


@pytest.mark.parametrize("name", ["m.jsonl", "m.parquet"])
def test_a_run_that_dies_leaves_what_it_had_added(name: str, tmp_path: Path) -> None:
    with Manifest(tmp_path / name) as manifest:
        manifest.add(DONE)
        manifest.close_run()
    with Manifest(tmp_path / name) as manifest:
        manifest.add(BEGUN)
        manifest.add(FAILED)  # and no close_run
    assert list(read_last(tmp_path / name)) != []
    assert {record.source for record in read_last(tmp_path / name)} == {"in/a.jpg", "in/b.jpg", "in/c.jpg"}


@pytest.mark.parametrize("manifest", ["m.jsonl", "m.parquet"])
@pytest.mark.parametrize(
    "name",
    [
        "caf\udce9.jpg",
        r"caf\udce9.jpg",
        "\\\udce9",
        "\\\\\udce9",
        r"\\\udce9",
        r"C:\udder\a.jpg",
        r"\udce9" "\udce9",
    ],
)
def test_names_that_are_not_unicode_are_kept(name: str, manifest: str, tmp_path: Path) -> None:
    odd = replace(DONE, source=f"in/{name}", output=f"out/{name}", notes=[f"Of {name}."])
    for _ in range(2):
        with Manifest(tmp_path / manifest) as opened:
            opened.add(odd)
            opened.close_run()
        assert list(read_records(tmp_path / manifest)) == [odd]
    with Manifest(tmp_path / manifest) as opened:
        assert opened.known(odd.source) is not None


@pytest.mark.parametrize("cut", [2, 20, 100])
def test_a_torn_line_is_passed_over_wherever_it_stands(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with Manifest(path) as manifest:
        manifest.add(DONE)
        manifest.add(FAILED)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert list(read_records(path)) == [DONE]
    with Manifest(path) as manifest:
        manifest.add(BEGUN)
    assert list(read_records(path)) == [DONE, BEGUN]
    path.write_bytes(whole[: whole.index(b"\n") - cut])  # the very first line
    assert list(read_records(path)) == []


def test_a_state_hangs_on_picture_model_settings_and_output() -> None:
    for change in (
        {"source": "x"}, {"stamp": "x"}, {"output": "x"}, {"model_sha256": "x"},
        {"settings": {"strength": 0.5}},
    ):  # fmt: skip
        assert replace(DONE, **change).state != DONE.state
        assert (replace(DONE, **change).content == DONE.content) is ("stamp" in change)
    assert replace(DONE, sha256="x").content != DONE.content
    assert replace(DONE, seconds=3.0, notes=[]).state == DONE.state


def test_a_manifest_is_one_runs_at_a_time(tmp_path: Path) -> None:
    with Manifest(tmp_path / "m.jsonl"), pytest.raises(SettingsError, match="Another run is using"):
        Manifest(tmp_path / "m.jsonl")
    Manifest(tmp_path / "m.jsonl").__exit__(None, None, None)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK])
def test_a_file_system_without_locks_takes_a_manifest(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(pytest.importorskip("fcntl", reason="no locks here"), "flock", flock)
    with Manifest(tmp_path / "m.jsonl") as manifest:
        manifest.add(DONE)
    assert list(read_records(tmp_path / "m.jsonl")) == [DONE]


def test_a_manifest_that_is_replaced_before_it_is_locked_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl, path = pytest.importorskip("fcntl", reason="no locks here"), tmp_path / "m.jsonl"
    real = fcntl.flock

    def late(*arguments: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real)
        with Manifest(path) as another:  # run, which ends just now
            another.add(replace(DONE, status="begun"))
            another.add(DONE)
            another.close_run()
        real(*arguments)

    path.touch()
    monkeypatch.setattr(fcntl, "flock", late)
    with Manifest(path) as manifest:
        manifest.add(FAILED)
        with pytest.raises(SettingsError, match="Another run is using"):
            Manifest(path)
    assert list(read_records(path)) == [DONE, FAILED]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
@pytest.mark.parametrize("action", [lambda manifest: manifest.add(DONE), Manifest.close_run])
def test_a_disk_that_is_full_is_told_with_the_manifests_name(
    action: Callable[[Manifest], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its closing, which tries once more, fails again."""

    def run() -> None:
        with Manifest(tmp_path / "m.jsonl") as manifest:
            os.dup2(full, manifest._file.fileno())
            action(manifest)

    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(
        OutputError, match=rf"Cannot write the manifest {tmp_path}/m\.jsonl: the disk is full\."
    ):
        run()
    os.close(full)


@pytest.mark.parametrize("content", [b"Dear Sir,\nyours.", b"\xff\xd8\xff\xe0 a photograph\n", b"[]\n{}"])
@pytest.mark.parametrize("name", ["m.jsonl", "m.parquet"])
def test_no_other_file_is_taken_for_a_manifest_or_harmed(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for use in (lambda: Manifest(path), lambda: list(read_last(path))):
        with pytest.raises(InputError, match="no manifest"):
            use()
    assert path.read_bytes() == content


def test_a_report_counts_rates_and_tells_errors_by_kind() -> None:
    later = replace(DONE, source="in/d.jpg", finished="2026-01-01T00:00:04.000+00:00")
    next_day = replace(DONE, source="in/e.jpg", finished="2026-01-02T00:00:00.000+00:00")
    summary = summarize([DONE, BEGUN, FAILED, later, next_day])
    assert summary.counts == {"done": 3, "begun": 1, "failed": 1}
    assert summary.errors == {"damaged": 1}
    assert (summary.seconds, summary.at_work, summary.pixels, summary.input_bytes) == (1.5, 4.0, 36, 30)
    assert json.loads(json.dumps(summary.as_json()))["models"] == {"m 1 (ff)": 3}
    text = report_text(summary)
    assert text.splitlines()[0] == "5 pictures: 3 done, 1 begun, 1 failed"
    assert "a picture: 0.500 s to read" in text
    assert "error, damaged: 1\n  in/c.jpg: it is damaged" in text
    assert report_text(summarize([])) == "0 pictures: none"


def test_there_must_be_a_manifest_to_report_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no manifest"):
        list(read_last(tmp_path / "none.jsonl"))


@pytest.mark.parametrize(
    "change",
    [
        {"source": 1}, {"status": ["done"]}, {"status": "odd"}, {"notes": 5}, {"notes": [5]}, {"pages": "x"},
        {"finished": "x"}, {"seconds": "x"}, {"kind": []}, {"settings": []}, {"more": 1},
        {"result_size": "x"}, {"result_changed": 1 << 63},
    ],
)  # fmt: skip
def test_a_line_that_is_no_record_is_passed_over(change: dict[str, object], tmp_path: Path) -> None:
    values = {"source": "a", "output": "b", "status": "done"}
    lines = [json.dumps({"source": "c", "output": "d", "status": "begun"}), json.dumps(values | change)]
    (tmp_path / "m.jsonl").write_text("\n".join([*lines, "[" * 100_000, ""]))
    unread: list[int] = []
    (found,) = read_last(tmp_path / "m.jsonl", unread.append)
    assert (found.source, unread) == ("c", [2, 3])


@pytest.mark.parametrize("name", ["m.jsonl", "m.parquet"])
def test_lines_that_are_no_records_are_counted_and_kept(name: str, tmp_path: Path) -> None:
    path, bad = tmp_path / name, b'{"source": "in/x.jpg", "output": "out/x.jpg", "status": "odd"}\n'
    with Manifest(path) as manifest:
        manifest.add(DONE)
    (journal,) = tmp_path.iterdir()
    journal.write_bytes(journal.read_bytes() + bad + b"\n" + bad + b'{"source": "torn')
    for _ in range(2):
        with Manifest(path) as manifest:
            assert manifest.unread == [2, 4]
            manifest.add(replace(DONE, status="begun"))
            manifest.add(FAILED)
            manifest.close_run()
        unread: list[int] = []
        assert {record.source: record.status for record in read_last(path, unread.append)} == {
            DONE.source: "begun",
            FAILED.source: "failed",
        }
        assert unread == [2, 4]
        assert journal.read_bytes().count(bad) == 2
    told = f"2 lines of {journal} could not be read and were passed over; see line 2."
    assert unread_words(path, unread) == told
    assert "1 line of" in unread_words(path, [7])


@pytest.mark.parametrize("tail", [b'{"source": "in/z', b"\0" * 9])
def test_a_last_line_that_was_torn_leaves_nothing_to_tell_of(tail: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with Manifest(path) as manifest:
        manifest.add(DONE)
    path.write_bytes(path.read_bytes() + tail)
    unread: list[int] = []
    assert list(read_records(path, unread.append)) == [DONE]
    with Manifest(path) as manifest:
        manifest.add(FAILED)
    assert list(read_records(path, unread.append)) == [DONE, FAILED]
    assert unread == []


def test_a_last_line_that_is_whole_but_for_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with Manifest(path) as manifest:
        manifest.add(DONE)
    path.write_bytes(path.read_bytes().rstrip())
    with Manifest(path) as manifest:
        manifest.add(FAILED)
    assert list(read_records(path)) == [DONE, FAILED]


def test_a_manifest_may_be_read_while_a_run_adds_to_it(tmp_path: Path) -> None:
    with Manifest(tmp_path / "m.jsonl") as manifest:
        manifest.add(DONE)
        found = read_last(tmp_path / "m.jsonl")
        manifest.add(BEGUN)
        assert list(found) == [DONE]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("crash", "begun"),
        ("time", "begun"),
        ("worker", "begun"),
        ("unwritable", "begun"),
        ("exists", "exists"),
        ("damaged", "failed"),
    ],
)
def test_what_a_failure_leaves_open_is_known(kind, status, tmp_path):
    with Manifest(tmp_path / "m.jsonl") as manifest:
        for n in range(20):
            manifest.add(
                Record(source=f"in/{n}.jpg", output="out/a.jpg", status="failed", kind=kind, reason="x")
            )
    with Manifest(tmp_path / "m.jsonl") as manifest:
        assert manifest.known("in/7.jpg").status == status
        assert all(manifest.known(f"in/{n}.jpg") is None for n in range(20, 60))
