"""`tintype batch` as a user meets it: what becomes of each picture, what is refused, what is told."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pillow_heif
import pytest
from archive_makers import (
    COUNT,
    INTERRUPTIBLE,
    Archive,
    archive,
    batch,
    environment,
    files,
    hidden,
    lines_of,
    picture,
    records,
    settings,
)
from PIL import Image

from tintype import cli, running
from tintype.archive import local
from tintype.archive.local import default_workers
from tintype.archive.manifest import Manifest, read_last
from tintype.archive.places import Found
from tintype.archive.record import Record
from tintype.archive.tasks import listed, wanted
from tintype.progress import Report
from tintype.running import processors


def test_nothing_in_the_folder_of_today_is_run(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(tmp_path / "in", 1)
    (tmp_path / "cv2.py").write_text("raise SystemExit('what lay there was run')")
    monkeypatch.chdir(tmp_path)
    words = ["batch", "in", "-o", "out", "--model", str(tiny_model), "--workers", "1"]
    assert cli.main(words) == 0  # the console script has no such folder in its path, either


def test_what_is_not_written_becomes_a_jpeg_once(tmp_path: Path, tiny_model: Path) -> None:
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    shutil.rmtree(here.source)
    (here.source / "below").mkdir(parents=True)
    image = Image.new("L", (40, 30), 90)
    image.save(here.source / "below" / "a.jpg")
    pillow_heif.from_pillow(image).save(here.source / "below" / "a.heic")
    assert here.done() == {"below/a.color.heic.jpg", "below/a.jpg"}
    assert here.done() == set()
    (here.target / "below/a.color.heic.jpg").unlink()
    assert here.done() == {"below/a.color.heic.jpg"}
    outputs = {
        Path(record.source).name: Path(record.output).name for record in records(here.manifest).values()
    }
    assert outputs == {"a.heic": "a.color.heic.jpg", "a.jpg": "a.jpg"}


def test_two_pictures_never_have_one_result(tmp_path: Path, tiny_model: Path) -> None:
    """`tintype colorize` may have been at work in the archive before."""
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    shutil.rmtree(here.source)
    here.source.mkdir()
    image = Image.new("L", (40, 30), 90)
    pillow_heif.from_pillow(image).save(here.source / "a.heic")
    image.save(here.source / "a.color.heic.jpg")
    image.save(here.source / "b.color.heic.jpg")
    for more in ((), ("--overwrite",)):
        ran = here.run(*more)
        assert ran.returncode == 1
        assert "it has the name that the result of a.heic beside it gets" in ran.stderr + ran.stdout
        statuses = {Path(r.source).name: r.status for r in records(here.manifest).values()}
        assert statuses == {"a.heic": "done", "a.color.heic.jpg": "failed", "b.color.heic.jpg": "done"}
    assert set(files(here.target)) == {"a.color.heic.jpg", "b.color.heic.jpg"}


def test_coloured_pictures_are_left_out_on_demand(tmp_path: Path, tiny_model: Path) -> None:
    from PIL import Image
    from skimage import data

    here = Archive(tmp_path, tiny_model, "m.jsonl")
    Image.fromarray(data.astronaut()).save(here.source / "color.png")
    assert here.done("--skip-colored") == set(here.names)
    assert records(here.manifest)[str(here.source / "color.png")].status == "skipped"
    assert here.done("--skip-colored") == set()
    assert here.done() == {*here.names, "color.png"}


def test_a_report_is_printed(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = Archive(tmp_path, tiny_model, "m.parquet")
    (here.source / "bad.png").write_bytes(b"no picture")
    assert here.run().returncode == 1
    assert cli.main(["batch", "--report", str(here.manifest)]) == 0
    text = capsys.readouterr().out
    assert f"{COUNT + 1} pictures: " in text
    assert "error, damaged: 1" in text
    assert "pictures/s" in text
    assert cli.main(["batch", "--report", str(here.manifest), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["counts"], values["errors"]) == ({"done": COUNT, "failed": 1}, {"damaged": 1})


def test_lines_that_cannot_be_read_are_told_by_report_and_run(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    here.done()
    lines = here.manifest.read_text().splitlines(keepends=True)
    lines[1] = lines[1].replace('"done"', '"odd"')
    here.manifest.write_text("".join(lines))
    told = f"1 line of {here.manifest} could not be read and was passed over; see line 2."
    assert cli.main(["batch", "--report", str(here.manifest)]) == 1
    out, err = capsys.readouterr()
    assert f"{COUNT - 1} pictures: " in out
    assert err == f"tintype: {told}\n"
    ran = here.run()
    assert ran.returncode == 1  # for what lies in the target is not known any more
    assert told in ran.stderr
    assert lines[1] in here.manifest.read_text()


@pytest.mark.parametrize(
    ("more", "named"),
    [(["in"], "in"), (["-o", "out"], "-o out"), (["in", "-o", "out"], "in and -o out")],
)
def test_a_report_is_not_asked_for_along_with_a_run(
    more: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["batch", *more, "--report", str(tmp_path / "m.jsonl")]) == 2
    assert f"leave out {named}, or --report." in capsys.readouterr().err


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("ignored", [False, True])
def test_an_interrupt_finishes_what_is_in_hand(
    ignored: bool, overwrite: bool, tmp_path: Path, tiny_model: Path
) -> None:
    """Ctrl-C; or SIGTERM where that is ignored, as it is in the background of a script."""
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    words = ["batch", here.source, "-o", here.target, "--model", tiny_model, "--workers", 1, "--json"]
    words += ["--overwrite"] if overwrite else []
    code = INTERRUPTIBLE.replace("default_int_handler", "SIG_IGN") if ignored else INTERRUPTIBLE
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM if ignored else signal.SIGINT)
    _, told = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "Stopping after the pictures in hand" in told
    assert ("the same command goes on from here" in told.lower()) is not overwrite
    assert ("with --overwrite it begins anew" in told.lower()) is overwrite
    assert 1 <= len(files(here.target)) <= COUNT
    assert hidden(here.target) == []
    here.manifest = here.target / "tintype-manifest.jsonl"
    assert {record.status for record in records(here.manifest).values()} == {"done"}
    before = set(files(here.target))
    assert here.done() == set(here.names) - before


def test_a_run_is_stopped_while_it_passes_over_what_is_done(tmp_path: Path, tiny_model: Path) -> None:
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    here.done()
    done = next(iter(records(here.manifest).values()))
    plan = replace(settings(here.source, here.target, tiny_model), coloring=done.settings)
    told = io.StringIO()
    with Manifest(here.manifest) as manifest, Report(None, told, as_json=True) as report:
        pictures = listed(plan, report)
        assert pictures is not None

        def stopping() -> Iterator[Found]:
            for number, found in enumerate(pictures):
                if number == 2:
                    report.stop.set()
                yield found

        assert list(wanted(stopping(), plan, manifest, report)) == []
    assert len(lines_of(told.getvalue())) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["in"], "Name the pictures and a place for the results"),
        (["-o", "out"], "Name the pictures and a place for the results"),
        (["in", "-o", "in"], "would replace the pictures"),
        (["in", "-o", "out", "--address", "auto"], "add --engine ray"),
        (["in", "-o", "memory://out"], "name a file for --manifest"),
        (["in", "-o", "out", "--manifest", "s3://m"], "a file of this machine"),
        (["in", "-o", "out", "--strength", "3"], "must be from 0 to 2"),
        (["in", "-o", "https://example.org"], "web servers are read from alone"),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive(tmp_path / "in", 1)
    monkeypatch.chdir(tmp_path)
    try:
        status = cli.main(["batch", *arguments])
    except SystemExit as stopped:
        status = int(str(stopped.code))
    assert status == 2
    assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_model_that_is_not_its_cards_is_refused_before_any_picture(
    tmp_path: Path, tiny_model: Path
) -> None:
    here = Archive(tmp_path, tmp_path / "tiny.onnx", "m.jsonl")
    for name in ("tiny.onnx", "tiny.toml"):
        shutil.copy(tiny_model.with_name(name), tmp_path / name)
    (tmp_path / "tiny.onnx").write_bytes(tiny_model.read_bytes() + b" ")
    ran = here.run()
    assert ran.returncode == 1
    assert "tiny.onnx is not the file its card describes" in ran.stderr
    assert not here.target.exists()
    assert list(read_last(here.manifest)) == []


def test_a_source_that_is_not_there_leaves_nothing_behind(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["batch", str(tmp_path / "none"), "-o", str(tmp_path / "out"), "--model", str(tiny_model)]
    assert cli.main(words) == 1
    assert "there is no such folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_pyarrow_is_told_before_any_picture(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.png").write_bytes(picture(1))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    line = ["batch", tmp_path / "scans", "-o", tmp_path / "out", "--manifest", tmp_path / "run.parquet"]
    assert cli.main([*map(str, line), "--model", str(tiny_model)]) == 2
    assert "needs pyarrow" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []
    assert not list((tmp_path / "out").glob("*"))


def test_workers_are_sized_to_processors_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for memory, expected in ((None, processors()), (1 << 60, processors()), (100, 1)):
        monkeypatch.setattr(local, "free_memory", lambda memory=memory: memory)
        assert default_workers() == expected
    monkeypatch.undo()
    assert 1 <= default_workers() <= processors()


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max", 6), (f"{5 << 30}", 3), (f"{1 << 30}", 1), (None, 6)],
    ids=["no limit", "a limit", "one that is passed", "no group"],
)
def test_workers_by_what_memory_the_system_and_the_group_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, expected: int
) -> None:
    """6 GiB to be had of the system; of the group's limit 2 are used, and 1.5 by copies of files."""
    memory = tmp_path / "meminfo"
    memory.write_text(f"MemTotal: 99999999 kB\nMemFree: 1 kB\nMemAvailable: {6 << 20} kB\n")
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text(f"{7 << 29}\n")
        (tmp_path / "memory.stat").write_text(
            f"anon {2 << 30}\ninactive_file {1 << 30}\nactive_file {1 << 29}\n"
        )
    monkeypatch.setattr(running, "_MEMORY", memory)
    monkeypatch.setattr(running, "_GROUP", tmp_path)
    monkeypatch.setattr(local, "processors", lambda: 8)
    assert default_workers() == expected


def test_memory_where_the_system_tells_nothing_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Path("/nowhere")
    monkeypatch.setattr(running, "_MEMORY", nowhere)
    monkeypatch.setattr(running, "_GROUP", nowhere)
    assert running.free_memory() == running._all_memory()
    monkeypatch.delattr("os.sysconf", raising=False)
    assert running.free_memory() is None


def test_a_record_becomes_what_is_told_of_a_picture() -> None:
    result = Record(source="a", output="b", status="failed", reason="why", notes=["n"]).result()
    assert (result.source, result.status, result.reason, result.notes) == ("a", "failed", "why", ["n"])


def test_a_full_target_ends_the_run_which_goes_on_where_there_is_room(
    tmp_path: Path, tiny_model: Path, tiny_disk: Path
) -> None:
    names = archive(tmp_path / "in", 40)
    line = [tmp_path / "in", "-o", tiny_disk, "--manifest", tmp_path / "m.jsonl", "--model", tiny_model]
    full = batch(*line, "--workers", 1)
    assert full.returncode == 1
    assert full.stderr.count(f"There is no room left in {tiny_disk}.") == 1
    assert "The same command goes on from here" in full.stderr
    found = records(tmp_path / "m.jsonl")
    assert {record.kind for record in found.values() if record.status == "failed"} == {"full"}
    assert len(found) < 40, "the rest was not even tried"
    assert hidden(tiny_disk) == []
    subprocess.run(["mount", "-o", "remount,size=16m", str(tiny_disk)], check=True)
    assert batch(*line, "--workers", 1).returncode == 0
    assert sorted(files(tiny_disk)) == sorted(names)
