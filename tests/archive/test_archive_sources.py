"""What `tintype batch` makes of names and links: no picture is replaced, and none is passed over unsaid."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from archive_makers import archive, batch, files, records

from tintype import cli


class Scans:
    """A folder of pictures, `in`, and the command on it."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.source, self.target = folder, folder / "in", folder / "out"
        self.options = ["--model", str(model), "--manifest", str(folder / "m.jsonl"), "--workers", "1"]
        self.names = archive(self.source, 4)
        self.before = files(self.source)

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        return batch(self.source, "-o", self.target, *self.options, *more)


@pytest.fixture
def scans(tmp_path: Path, tiny_model: Path) -> Scans:
    return Scans(tmp_path, tiny_model)


@pytest.mark.parametrize(
    "name", ["file://HERE/in", "file:HERE/in", "local://HERE/far/../in/", "HERE/link", "HERE/link/../in"]
)
def test_the_pictures_are_not_replaced_by_another_name_of_theirs(
    name: str, scans: Scans, capsys: pytest.CaptureFixture[str]
) -> None:
    (scans.folder / "far").mkdir()
    (scans.folder / "link").symlink_to("in")
    other, options = name.replace("HERE", str(scans.folder)), [*scans.options, "--overwrite"]
    for source, target in ((str(scans.source), other), (other, str(scans.source))):
        assert cli.main(["batch", source, "-o", target, *options]) == 2
        assert "would replace the pictures" in capsys.readouterr().err
    assert files(scans.source) == scans.before


def test_a_step_back_from_a_link_leads_where_the_system_says(scans: Scans) -> None:
    (scans.folder / "far" / "away").mkdir(parents=True)
    (scans.folder / "link").symlink_to("far/away")
    scans.target = scans.folder / "link/../in"
    assert scans.run("--overwrite").returncode == 0
    assert files(scans.source) == scans.before
    assert sorted(files(scans.folder / "far/in")) == scans.names


def test_the_pictures_are_not_replaced_by_way_of_a_link(scans: Scans) -> None:
    scans.target.mkdir()
    (scans.target / "below").symlink_to(scans.source / "below")
    for _ in range(2):
        ran = scans.run("--overwrite")
        assert ran.returncode == 1
        assert ran.stderr.count("a link leads from its result's place to the pictures") == 1
        assert files(scans.source) == scans.before
    assert records(scans.folder / "m.jsonl")[str(scans.source / "below/002.tif")].kind == "link"
    (scans.target / "below").unlink()
    assert scans.run().returncode == 0
    assert sorted(files(scans.target)) == scans.names


def test_file_urls_are_paths_and_a_target_inside_the_source_is_no_input(
    tmp_path: Path, tiny_model: Path
) -> None:
    source = tmp_path / "all in"
    names = archive(source, 4)
    url = f"file://{tmp_path}/all%20in"
    run = [url, "-o", f"{url}/below/out", "--manifest", f"file:{tmp_path}/m.jsonl", "--model", tiny_model]
    for _ in range(2):
        ran = batch(*run)
        assert ran.returncode == 0, ran.stderr
        assert sorted(files(source / "below/out")) == names
    assert sorted(records(tmp_path / "m.jsonl")) == [str(source / name) for name in names]
    assert cli.main(["batch", "--report", f"file://{tmp_path}/m.jsonl"]) == 0


def test_links_below_the_source_are_named(scans: Scans) -> None:
    (scans.source / "loop").symlink_to(scans.source)
    (scans.source / "gone.jpg").symlink_to("nothing")
    ran = scans.run()
    assert ran.returncode == 1
    loop = "it is a link to a folder, which is not followed; name it itself"
    assert f"tintype: {scans.source}/loop: {loop}.\n" in ran.stderr
    assert f"tintype: {scans.source}/gone.jpg: it is a link to a file that is not there.\n" in ran.stderr
    assert "4 done, 2 failed" in ran.stderr
    assert sorted(files(scans.target)) == scans.names


def test_formats_that_are_not_read_are_told_of(scans: Scans) -> None:
    for name in ("a.psd", "below/b.PSD", "c.pdf", ".d.pdf"):
        (scans.source / name).touch()
    for source in (scans.source, f"file://{scans.source}"):
        scans.source = source
        ran = scans.run("--overwrite")
        assert ran.returncode == 0
        where = str(source).removeprefix("file://")
        assert (
            f"{where}: 3 files in formats that are not read (.pdf, .psd) left out; "
            "save them as JPEG, PNG or TIFF.\n"
        ) in ran.stderr


@pytest.mark.parametrize("linked", [False, True])
def test_a_source_without_pictures_fails_and_leaves_nothing_behind(
    linked: bool, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    if linked:
        (tmp_path / "empty" / "elsewhere").symlink_to(tmp_path)
    words = [str(tmp_path / "empty"), "-o", str(tmp_path / "out"), "--model", str(tiny_model)]
    assert cli.main(["batch", *words]) == 1
    told = capsys.readouterr().err
    assert f"tintype: {tmp_path}/empty: there is no picture in this folder.\n" in told
    assert ("elsewhere: it is a link to a folder" in told) is linked
    assert f"0 done, {1 + linked} failed" in told
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert cli.main(["colorize", *words]) == 1
    assert f"tintype: {tmp_path}/empty: there is no picture in this folder.\n" in capsys.readouterr().err
