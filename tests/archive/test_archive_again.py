"""What a second run of `tintype batch` does: what is missing or changed, and no file of others."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from archive_makers import COUNT, Archive, files, lines_of, picture, records

from tintype.archive.manifest import read_last


@pytest.mark.parametrize("manifest", ["m.jsonl", "m.parquet"])
def test_a_second_run_does_what_is_missing_or_changed(
    manifest: str, tmp_path: Path, tiny_model: Path
) -> None:
    here = Archive(tmp_path, tiny_model, manifest)
    names = here.names
    assert here.done() == set(names)
    assert here.done() == set()
    (here.source / names[0]).write_bytes(picture(99, Path(names[0]).suffix))
    os.utime(here.source / names[1], (1, 1))
    (here.target / names[2]).unlink()
    (here.source / "new.jpg").write_bytes(picture(98))
    assert here.done() == {names[0], names[2], "new.jpg"}
    told = lines_of(here.run().stdout)
    assert [result["status"] for result in told] == ["skipped"] * (COUNT + 1)
    assert here.done("--strength", "0.5") == {*names, "new.jpg"}
    assert here.done("--overwrite", "--strength", "0.5") == {*names, "new.jpg"}
    found = {record.source: record for record in read_last(here.manifest)}
    assert set(found) == {str(here.source / name) for name in [*names, "new.jpg"]}
    record = found[str(here.source / names[1])]
    assert (record.status, record.output) == ("done", str(here.target / names[1]))
    assert record.settings["strength"] == 0.5
    assert len(record.sha256) == len(record.model_sha256) == 64
    assert (record.model, record.version, record.size) == (
        "tiny",
        "1",
        len((here.source / names[1]).read_bytes()),
    )


@pytest.mark.parametrize("manifest", ["m.jsonl", "m.parquet"])
def test_a_picture_that_was_touched_stays_done_as_it_was(
    manifest: str, tmp_path: Path, tiny_model: Path
) -> None:
    here = Archive(tmp_path, tiny_model, manifest)
    here.done()
    before = {record.source: record for record in read_last(here.manifest)}
    for turn in range(2):
        for name in here.names:
            os.utime(here.source / name, (turn, turn))
        ran = here.run()
        assert {result["status"] for result in lines_of(ran.stdout)} == {"skipped"}
        assert f"0 done, {COUNT} skipped (result exists" in ran.stderr
    for record in read_last(here.manifest):
        assert record.stamp == f"{record.size}-{1_000_000_000}"
        assert replace(record, stamp="") == replace(before[record.source], stamp="")
    assert here.done() == set()


def test_what_failed_is_tried_again(tmp_path: Path, tiny_model: Path) -> None:
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    bad = here.source / "bad.jpg"
    bad.write_bytes(picture(0)[:200])
    ran = here.run()
    assert ran.returncode == 1
    assert f"tintype: {bad}: The picture is a damaged or truncated JPEG" in ran.stderr
    assert records(here.manifest)[str(bad)].kind == "damaged"
    bad.write_bytes(picture(0))
    assert here.done() == {"bad.jpg"}
    assert records(here.manifest)[str(bad)].status == "done"


def test_a_file_of_others_is_never_replaced_unasked(tmp_path: Path, tiny_model: Path) -> None:
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    theirs = here.target / here.names[0]
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_bytes(b"the only copy")
    for _ in range(2):
        ran = here.run()
        assert ran.returncode == 1
        assert "a file that is not of this manifest" in ran.stderr
        assert theirs.read_bytes() == b"the only copy"
        assert records(here.manifest)[str(here.source / here.names[0])].kind == "exists"
    assert len(files(here.target)) == COUNT
    assert here.done("--overwrite") == set(here.names)
    assert here.done() == set()


def own_work(here: Archive, name: str, words: str, *more: object) -> None:
    """Somebody's own file in a result's place is named by two runs and stays."""
    theirs = here.target / name
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_bytes(b"my own work")
    for _ in range(2):
        ran = here.run(*more)
        assert ran.returncode == 1
        assert f"tintype: {here.source / name}" in ran.stderr
        assert words in ran.stderr
        assert theirs.read_bytes() == b"my own work"
    assert here.done("--overwrite", *more) >= {name}
    assert theirs.read_bytes() != b"my own work"


@pytest.mark.parametrize("manifest", ["m.jsonl", "m.parquet"])
def test_a_file_in_the_place_of_a_failed_picture_stays(
    manifest: str, tmp_path: Path, tiny_model: Path
) -> None:
    here = Archive(tmp_path, tiny_model, manifest)
    assert here.run("--max-pixels", 100).returncode == 1
    assert files(here.target) == {}
    own_work(here, here.names[0], "a file that is not of this manifest")


def test_a_file_in_the_place_of_a_skipped_picture_stays(tmp_path: Path, tiny_model: Path) -> None:
    from PIL import Image
    from skimage import data

    here = Archive(tmp_path, tiny_model, "m.jsonl")
    Image.fromarray(data.astronaut()).save(here.source / "color.png")
    here.done("--skip-colored")
    (here.target / "color.png").write_bytes(b"my own work")
    assert here.done("--skip-colored") == set()  # nothing would be written there
    own_work(here, "color.png", "a file that is not of this manifest")


def test_a_result_that_was_worked_on_stays(tmp_path: Path, tiny_model: Path) -> None:
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    here.done()
    (here.target / here.names[0]).write_bytes(b"my own work")
    assert here.done() == set()
    own_work(here, here.names[0], "was changed since", "--strength", "0.5")


def test_results_are_redone_with_other_settings_after_a_failure_too(tmp_path: Path, tiny_model: Path) -> None:
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    here.done()
    before = here.states()
    assert here.run("--max-pixels", 100).returncode == 1
    assert here.states() == before
    assert here.done("--strength", "0.5") == set(here.names)


def test_another_target_of_the_same_manifest_has_its_own_files(tmp_path: Path, tiny_model: Path) -> None:
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    here.done()
    here.target = tmp_path / "elsewhere"
    own_work(here, here.names[0], "a file that is not of this manifest")


def test_a_manifest_without_sizes_of_results_owns_what_was_done(tmp_path: Path, tiny_model: Path) -> None:
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    here.done()
    lines = lines_of(here.manifest.read_text())
    for line in lines:
        del line["result_size"], line["result_changed"]
    here.manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert here.done() == set()
    assert here.done("--strength", "0.5") == set(here.names)
    own_work(here, here.names[0], "was changed since")


def test_a_touched_picture_that_is_in_colour_stays_skipped(tmp_path: Path, tiny_model: Path) -> None:
    from PIL import Image
    from skimage import data

    here = Archive(tmp_path, tiny_model, "m.jsonl")
    Image.fromarray(data.astronaut()).save(here.source / "color.png")
    here.done("--skip-colored")
    os.utime(here.source / "color.png", (1, 1))
    assert here.done("--skip-colored") == set()
    assert records(here.manifest)[str(here.source / "color.png")].status == "skipped"


def forget(here: Archive, name: str) -> None:
    """The manifest as it is where the driver died between a result and its record."""
    lines = lines_of(here.manifest.read_text())
    begun = {"source": str(here.source / name), "output": str(here.target / name), "status": "begun"}
    lines = [line if line["source"] != begun["source"] else begun for line in lines]
    here.manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_what_was_written_and_not_noted_is_taken_up(tmp_path: Path, tiny_model: Path) -> None:
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    here.done()
    forget(here, here.names[0])
    assert here.done() == {here.names[0]}
    assert here.done("--strength", "0.5") == set(here.names)


def test_a_file_in_the_place_of_a_picture_that_was_in_hand_stays(tmp_path: Path, tiny_model: Path) -> None:
    here = Archive(tmp_path, tiny_model, "m.jsonl")
    here.done()
    forget(here, here.names[0])
    own_work(here, here.names[0], "--overwrite replaces it")
