"""Which pictures a command means, and where each result goes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tintype.errors import SettingsError
from tintype.listing import walk
from tintype.plan import Plan, make_plan
from tintype.words import plain_words


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`album` in the current folder: pictures on three levels, and what is none of them."""
    for name in (
        "b.jpg",
        "a.PNG",
        "a.color.PNG",
        "notes.txt",
        ".hidden.jpg",
        ".b.color.jpg.x.tintype-part",
        "sub/c.tif",
        "sub/deep/d.jpg",
        ".thumbnails/e.jpg",
    ):
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "album"


def targets(plan: Plan) -> dict[str, str]:
    return {job.source: job.target for job in plan.jobs}


def test_a_result_lies_beside_its_picture(album: Path) -> None:
    plan = make_plan(["album/b.jpg"])
    assert targets(plan) == {"album/b.jpg": "album/b.color.jpg"}
    assert plan.single


def test_a_folder_gives_its_own_level_and_tells_of_the_rest(album: Path) -> None:
    plan = make_plan(["album"])
    assert targets(plan) == {"album/a.PNG": "album/a.color.PNG", "album/b.jpg": "album/b.color.jpg"}
    assert plan.notes == [
        "album: 1 earlier result (NAME.color.EXT) left out.",
        "album: 2 more pictures lie deeper; --recursive takes them too.",
    ]
    assert not plan.single
    assert not plan.failures


@pytest.mark.parametrize("folder", ["album", "album/", "./album"])
def test_a_tree_is_kept_under_out(album: Path, folder: str) -> None:
    plan = make_plan([folder], "out", recursive=True)
    assert sorted(targets(plan).values()) == ["out/a.PNG", "out/b.jpg", "out/sub/c.tif", "out/sub/deep/d.jpg"]
    assert not Path("out").exists()


def test_out_inside_the_folder_is_no_input(album: Path) -> None:
    (album / "colored").mkdir()
    (album / "colored" / "b.jpg").write_bytes(b"")
    plan = make_plan(["album"], "album/colored", recursive=True)
    assert "album/colored/b.jpg" not in targets(plan)
    assert targets(plan)["album/b.jpg"] == "album/colored/b.jpg"


def test_one_file_may_be_given_a_file_a_folder_or_a_folder_to_be(album: Path) -> None:
    assert targets(make_plan(["album/b.jpg"], "new.png")) == {"album/b.jpg": "new.png"}
    assert targets(make_plan(["album/b.jpg"], "album/sub")) == {"album/b.jpg": "album/sub/b.jpg"}
    assert targets(make_plan(["album/b.jpg"], "new/")) == {"album/b.jpg": "new/b.jpg"}


def test_several_files_go_into_a_folder(album: Path) -> None:
    plan = make_plan(["album/b.jpg", "album/sub/c.tif"], "out")
    assert targets(plan) == {"album/b.jpg": "out/b.jpg", "album/sub/c.tif": "out/c.tif"}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("album/*.jpg", {"out/b.jpg"}),
        ("album/*", {"out/a.PNG", "out/b.jpg", "out/c.tif"}),
        ("album/s*", {"out/c.tif"}),
        ("album/*/", {"out/c.tif"}),
        ("album/**/*.[jt]*", {"out/b.jpg", "out/sub/c.tif", "out/sub/deep/d.jpg"}),
        ("album/**", {"out/a.PNG", "out/b.jpg", "out/sub/c.tif", "out/sub/deep/d.jpg"}),
        ("album/**/*", {"out/a.PNG", "out/b.jpg", "out/sub/c.tif", "out/sub/deep/d.jpg"}),
    ],
)
def test_a_glob_is_expanded(album: Path, pattern: str, found: set[str]) -> None:
    plan = make_plan([pattern], "out")
    assert set(targets(plan).values()) == found
    assert not plan.single


@pytest.mark.parametrize("recursive", [False, True])
def test_a_folder_that_a_glob_matches_is_taken_as_one_that_is_named(album: Path, recursive: bool) -> None:
    (album / "empty").mkdir()
    matched = make_plan(["album/*"], "out", recursive=recursive)
    names = ["album/a.PNG", "album/b.jpg", "album/empty", "album/sub"]
    named = make_plan(names, "out", recursive=recursive)
    assert matched.jobs == named.jobs
    assert matched.failures == named.failures == [("album/empty", "there is no picture in this folder")]
    earlier = "album/*: 1 earlier result (NAME.color.EXT) left out."
    assert matched.notes == [earlier, *named.notes]
    assert ("out/deep/d.jpg" in targets(matched).values()) is recursive


def test_the_output_folder_is_no_input_of_a_glob(album: Path) -> None:
    (album / "out").mkdir()
    (album / "out" / "b.jpg").write_bytes(b"")
    plan = make_plan(["album/*"], "album/out")
    assert sorted(targets(plan)) == ["album/a.PNG", "album/b.jpg", "album/sub/c.tif"]


@pytest.mark.parametrize("pattern", ["**/*.jpg", "**", "album/**/*", "al*/**/*.tif"])
def test_what_lies_in_the_output_folder_is_no_input_of_a_glob(album: Path, pattern: str) -> None:
    """The same command goes on after a stop, when there are results already."""
    before = make_plan([pattern], "album/out")
    for job in before.jobs:
        Path(job.target).parent.mkdir(parents=True, exist_ok=True)
        Path(job.target).write_bytes(b"")
    after = make_plan([pattern], "album/out")
    assert after.jobs == before.jobs != []


def test_a_glob_that_names_the_output_folder_itself_is_refused_as_ever(album: Path) -> None:
    (album / "out").mkdir()
    (album / "out" / "b.jpg").write_bytes(b"")
    with pytest.raises(SettingsError, match="would replace itself"):
        make_plan(["album/out/*.jpg"], "album/out")


def test_what_a_folder_links_to_is_told_and_not_followed(album: Path) -> None:
    (album / "sub" / "loop").symlink_to(album)
    (album / "elsewhere").symlink_to(album / "sub")
    (album / ".hidden").symlink_to(album / "sub")
    for name in ("gone.jpg", "sub/lost.jpg", "gone.color.jpg", "gone.txt"):
        (album / name).symlink_to("nothing")
    (album / "alias.jpg").symlink_to("b.jpg")
    dangling = "it is a link to a file that is not there"
    linked = "it is a link to a folder, which is not followed; name it itself"
    plan = make_plan(["album"], "out", recursive=True)
    assert sorted(plan.failures) == [
        ("album/elsewhere", linked), ("album/gone.jpg", dangling), ("album/sub/loop", linked),
        ("album/sub/lost.jpg", dangling),
    ]  # fmt: skip
    found = ["out/a.PNG", "out/alias.jpg", "out/b.jpg", "out/sub/c.tif", "out/sub/deep/d.jpg"]
    assert sorted(targets(plan).values()) == found
    for folder in ("album", "album/"):  # alone, what lies deeper is not asked for
        assert make_plan([folder], "out").failures == [(f"{folder.rstrip('/')}/gone.jpg", dangling)]
    assert make_plan(["album/g*"], "out").failures == [("album/gone.jpg", dangling)]
    assert make_plan(["album/gone.jpg"], "out/").failures == [("album/gone.jpg", dangling)]


def test_a_folder_that_may_not_be_looked_into_is_told_and_the_rest_is_found(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with r and without x: what lies in it is listed and cannot be reached, also by root here."""
    locked = str(album / "locked")
    (album / "locked" / "below").mkdir(parents=True)

    def refusing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *more: Any) -> Any:
            if str(path).startswith(f"{locked}{os.sep}"):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *more)

        return call

    (album / "out").mkdir()
    with monkeypatch.context() as here:
        for name in ("stat", "scandir"):
            here.setattr(os, name, refusing(getattr(os, name)))
        plan = make_plan([str(album)], str(album / "out"), recursive=True)
    assert plan.failures == [(f"{locked}{os.sep}below", "permission denied")]
    assert len(plan.jobs) == 4


def test_what_is_no_file_is_told_of_a_folder(album: Path) -> None:
    os.mkfifo(album / "pipe.jpg")
    assert make_plan(["album"]).failures == [("album/pipe.jpg", "it is neither a file nor a folder")]


def test_an_output_that_comes_to_be_inside_a_folder_while_it_is_walked_is_left_out(album: Path) -> None:
    walked = walk("album", lambda path, reason: None, "album/sub/out")
    found = [next(walked)]
    (album / "sub" / "out").mkdir()
    (album / "sub" / "out" / "b.jpg").write_bytes(b"")
    found += walked
    assert [here for here, _ in found] == ["album", "album/sub", "album/sub/deep"]


def test_a_file_whose_name_looks_like_a_glob(album: Path) -> None:
    (album / "x[1].jpg").write_bytes(b"")
    assert targets(make_plan(["album/x[1].jpg"])) == {"album/x[1].jpg": "album/x[1].color.jpg"}


def test_what_is_named_twice_is_done_once(album: Path) -> None:
    plan = make_plan(["./album//b.jpg", "album", "album/../album/b.jpg"])
    assert sorted(targets(plan).values()) == ["album/a.color.PNG", "album/b.color.jpg"]


def test_an_earlier_result_named_beside_its_picture_is_left_out(album: Path) -> None:
    plan = make_plan(["album/a.PNG", "album/a.color.PNG"])
    assert targets(plan) == {"album/a.PNG": "album/a.color.PNG"}
    assert plan.notes == ["1 earlier result (NAME.color.EXT) was left out."]


def test_a_result_named_alone_is_a_picture_like_any_other(album: Path) -> None:
    assert targets(make_plan(["album/a.color.PNG"])) == {"album/a.color.PNG": "album/a.color.color.PNG"}


def test_two_inputs_with_one_output_are_refused(album: Path) -> None:
    (album / "sub" / "b.jpg").write_bytes(b"")
    with pytest.raises(SettingsError, match=r"album/b.jpg and album/sub/b.jpg would both .* out/b.jpg"):
        make_plan(["album/b.jpg", "album/sub/b.jpg"], "out")


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (["album/b.jpg"], "album/b.jpg", "would replace itself"),
        (["album"], "album", "would replace itself"),
        (["album/sub/c.tif", "album"], "album/../album", "would replace itself"),
        (["album", "album/sub/deep/d.jpg"], "album/sub/../sub/deep", "would replace itself"),
        (["album/b.jpg"], "out", "write out.jpg for a file, out/ for a folder"),
        (["album"], "album/notes.txt", "need a folder"),
        (["album/*.jpg"], "album/notes.txt", "need a folder"),
    ],
)
def test_an_output_that_does_not_fit_is_refused(
    album: Path, inputs: list[str], output: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        make_plan(inputs, output)


def test_a_result_may_not_replace_another_input(album: Path) -> None:
    (album / "sub" / "b.jpg").write_bytes(b"")
    (album / "sub" / "sub").mkdir()
    (album / "sub" / "sub" / "b.jpg").write_bytes(b"")
    with pytest.raises(SettingsError, match="would replace"):
        make_plan(["album/sub"], "album", recursive=True)


def test_no_pictures_is_said_clearly(album: Path) -> None:
    (album / "empty").mkdir()
    (album / "over" / "under").mkdir(parents=True)
    (album / "over" / "under" / "x.jpg").write_bytes(b"")
    plan = make_plan(["album/empty", "album/over", "album/q*.jpg", "nosuch.jpg"])
    assert plan.jobs == []
    assert plan.failures == [
        ("album/empty", "there is no picture in this folder"),
        ("album/over", "there is no picture in this folder; 1 picture lies deeper (add --recursive)"),
        ("album/q*.jpg", "no picture has a name like this"),
        ("nosuch.jpg", "there is no such file or folder"),
    ]


def test_a_folder_of_results_alone(album: Path) -> None:
    (album / "b.jpg").unlink()
    (album / "a.PNG").unlink()
    plan = make_plan(["album"], recursive=False)
    assert plan.failures[0][1].startswith(
        "there is no picture in this folder but earlier results; 2 pictures"
    )


def test_names_that_are_not_utf8(album: Path) -> None:
    name = os.fsdecode(b"album/\xff.jpg")
    Path(name).write_bytes(b"")
    assert name in targets(make_plan(["album"]))


def test_the_system_is_put_in_plain_words() -> None:
    assert plain_words(PermissionError(errno.EACCES, "Permission denied", "x")) == "permission denied (x)"
    assert plain_words(OSError(errno.ENOSPC, "No space left on device")) == "the disk is full"
    assert plain_words(OSError(errno.EIO, "Input/output error", "x")) == "Input/output error (x)"
    assert plain_words(OSError("odd")) == "odd"


def test_a_folders_results_need_a_folder(album: Path) -> None:
    with pytest.raises(SettingsError, match="names a picture"):
        make_plan(["album"], "out.jpg")


def test_a_picture_without_suffix_needs_a_name_for_its_result(album: Path) -> None:
    (album / "scan").write_bytes(b"")
    plan = make_plan([str(album / "scan")])
    assert not plan.jobs
    assert plan.failures == [(str(album / "scan"), "its name has no suffix; name the result with -o")]
    assert len(make_plan([str(album / "scan")], "scan.jpg").jobs) == 1


def test_a_pipe_is_not_waited_for(album: Path) -> None:
    os.mkfifo(album / "pipe.jpg")
    plan = make_plan([str(album / "pipe.jpg")])
    assert plan.failures == [(str(album / "pipe.jpg"), "it is neither a file nor a folder")]


def test_pictures_in_formats_that_are_not_read_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("album/a.jpg", "album/b.PSD", "album/c.pdf", "album/notes.txt", "album/sub/d.psd"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    told = "in formats that are not read (.pdf, .psd) left out; save them as JPEG, PNG or TIFF."
    assert make_plan(["album"]).notes == [f"album: 2 files {told}"]
    assert make_plan(["album"], recursive=True).notes == [f"album: 3 files {told}"]
    assert make_plan(["album/*.*"]).notes == [f"album/*.*: 2 files {told}"]


def test_the_result_of_what_is_not_written_has_a_name_of_its_own(tmp_path: Path) -> None:
    earlier = ("a.color.heic.jpg", "b.color.HEIF-2.jpg", "c.color.hif.jpg")
    for name in ("a.heic", "a.jpg", "a.heic.jpg", "b.HEIF", *earlier):
        (tmp_path / name).touch()
    beside = {Path(job.source).name: Path(job.target).name for job in make_plan([str(tmp_path)]).jobs}
    assert beside == {
        "a.heic": "a.color.heic.jpg", "a.jpg": "a.color.jpg", "a.heic.jpg": "a.heic.color.jpg",
        "b.HEIF": "b.color.HEIF.jpg",
    }  # fmt: skip
    below = {Path(job.source).name: Path(job.target) for job in make_plan([str(tmp_path)], "out").jobs}
    assert below["a.heic"] == Path("out/a.color.heic.jpg")
    assert below["a.jpg"] == Path("out/a.jpg")
    with pytest.raises(SettingsError, match=r"\.heic is read and not written; choose one of \.avif"):
        make_plan([str(tmp_path / "a.jpg")], "new.heic")


def test_a_version_may_not_replace_another_input(album: Path) -> None:
    (album / "sub" / "b-1.jpg").write_bytes(b"")
    with pytest.raises(SettingsError, match="would replace"):
        make_plan(["album/b.jpg", "album/s*/b-1.jpg"], "album/sub", candidates=2)


def test_an_earlier_version_named_beside_its_picture_is_left_out(album: Path) -> None:
    (album / "b.color-1.jpg").write_bytes(b"")
    plan = make_plan(["album/b.jpg", "album/b.color-1.jpg"], candidates=2)
    assert targets(plan) == {"album/b.jpg": "album/b.color.jpg"}


def test_earlier_versions_in_a_folder_are_no_pictures_and_watercolors_are(album: Path) -> None:
    for name in ("b.color-1.jpg", "b.COLOR-12.jpg", "watercolor.jpg", "color-2.jpg", "b.color-x.jpg"):
        (album / name).write_bytes(b"")
    found = {Path(job.source).name for job in make_plan(["album"]).jobs}
    assert found == {"a.PNG", "b.jpg", "watercolor.jpg", "color-2.jpg", "b.color-x.jpg"}


@pytest.mark.parametrize("output", [None, "out.png", "out/"])
def test_an_empty_name_is_not_the_current_folder(
    album: Path, monkeypatch: pytest.MonkeyPatch, output: str | None
) -> None:
    monkeypatch.chdir(album / "sub" / "deep")
    plan = make_plan([""], output)
    assert plan.jobs == []
    assert [name for name, _ in plan.failures] == [""]
