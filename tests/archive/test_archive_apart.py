"""No spelling of a place, and no link, lets a result land among the pictures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tintype.archive import apart
from tintype.archive.apart import absolute, check_apart, inside, plain_path, strays
from tintype.errors import SettingsError


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("in", "out", True), ("in", "in/out", True), ("in", "in2", True), ("in", "in", False),
        ("in", "./in/../in/", False), ("out/in", "out", False), ("s3://a/in", "s3://a/in/", False),
        ("s3://a/in", "s3://a", False), ("s3://a", "s3://ab", True), ("s3://a/in", "in", True),
        ("file://HERE/in", "in", False), ("in", "FILE:HERE/in//", False), ("in", "local://HERE/in", False),
        ("in", "file://localhost/HERE/x/../in", False), ("in", "file://HERE/%69n", False),
        ("file://HERE/out/in", "out", False), ("file://HERE/in", "in/out", True), ("in", "LINK", False),
        ("LINK/sub", "file://HERE/in", False), ("in", "simplecache::file://HERE/in", False),
        ("simplecache::filecache://::s3a://a/in", "s3://a/in", False), ("memory://a", "memory:///a/", False),
        ("s3a://a/in", "s3://a/in", False), ("s3://a//b", "s3a://a/./b", False), ("gcs://a", "gs://a", False),
        ("s3://a/in", "s3a://a/in/out", True), ("s3://a/in", "gs://a/in", True), ("s3://a", "S3://", False),
        ("az://a/in", "abfs://a/in", False), ("az://a@x.net/in", "abfss://a/in", False),
        ("az://a@x.net/in", "az://a@y.net/in", True), ("ssh://me@a/in", "sftp://a/in", False),
    ],
)  # fmt: skip
def test_results_never_land_among_the_pictures(
    source: str, target: str, allowed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "LINK").symlink_to("in")
    source, target = (text.replace("HERE", str(tmp_path)) for text in (source, target))
    if allowed:
        check_apart(source, target)
    else:
        with pytest.raises(SettingsError, match="choose another -o"):
            check_apart(source, target)


def test_folders_that_only_the_file_system_knows_as_one_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where case does not count."""
    for name in ("in/sub", "IN"):
        (tmp_path / name).mkdir(parents=True)
    same_file = os.path.samefile
    monkeypatch.setattr(
        apart.os.path, "samefile", lambda a, b: same_file(a, b) or str(a).lower() == str(b).lower()
    )
    assert inside(str(tmp_path / "in"), str(tmp_path / "IN")) == ""
    assert inside(str(tmp_path / "in/sub"), str(tmp_path / "IN")) == "sub"
    assert inside(str(tmp_path), str(tmp_path / "IN")) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("scans", "scans"), ("s3://a/b", "s3://a/b"), ("file:///a/b", "/a/b"), ("file:/a", "/a"),
        ("local:///a%20b", "/a b"), ("file://localhost/a%FF", "/a\udcff"), ("file:name", "file:name"),
        ("file:///caf\udce9", "/caf\udce9"),
    ],
)  # fmt: skip
def test_a_file_url_is_a_path(text: str, path: str) -> None:
    assert plain_path(text) == path


def test_a_step_back_is_one_from_where_a_link_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/away")
    monkeypatch.chdir(tmp_path)
    assert absolute("link/x") == f"{tmp_path}/link/x"
    assert absolute("link/../x") == f"{tmp_path}/far/x"
    assert absolute("s3://link/../x") == "s3://link/../x"


@pytest.mark.parametrize("text", ["file://tmp/x", "file://", "local://x"])
def test_a_file_url_of_another_machine_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="names no file of this machine"):
        plain_path(text)


def test_a_link_that_leads_back_to_the_pictures_is_seen(tmp_path: Path) -> None:
    for name in ("in/below/deep", "in/out/own", "out", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    for name, to in {
        "out/below": "../in/below", "out/else": "../elsewhere", "in/out/below": "../below",
        "in/alias.jpg": "../out/alias.jpg", "in/twin.jpg": "a.jpg",
    }.items():  # fmt: skip
        (tmp_path / name).symlink_to(to)
    names = ["a.jpg", "below/a.jpg", "below/deep/a.jpg", "else/a.jpg", "alias.jpg", "twin.jpg", "own/a.jpg"]
    source = str(tmp_path / "in")
    expected = ["below/a.jpg", "below/deep/a.jpg", "alias.jpg"]
    for target, stray in ((f"file://{tmp_path}/out", expected), (f"{source}/out", expected[:2])):
        assert [name for name in names if strays(source, target)(name)] == stray
    assert not any(map(strays(source, "s3://out"), names))


def test_a_place_whose_name_begins_like_another_lies_outside():
    assert inside("/nowhere/in2", "/nowhere/in") is None
    assert inside("s3://a/in2", "s3://a/in") is None
