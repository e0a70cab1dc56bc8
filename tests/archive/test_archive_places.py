"""Folders and URLs alike list, read, and write whole files."""

from __future__ import annotations

import dataclasses
import errno
import http.server
import os
import threading
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import fsspec.implementations.local
import pytest
from archive_makers import archive, files, hidden, picture, settings

from tintype.archive import places
from tintype.archive.places import Folder, Place, check_writable, patiently, place
from tintype.archive.record import Written
from tintype.archive.remote import Remote, _unquoted
from tintype.archive.settings import Task
from tintype.archive.work import Work
from tintype.errors import InputError, OutputError, OutputExistsError, SettingsError
from tintype.whole import part_name, parts_in


@pytest.fixture(params=["folder", "local", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place's name: a folder, one by fsspec, an object store."""
    yield {"folder": str(tmp_path), "local": f"local://{tmp_path}", "memory": f"memory://{tmp_path}"}[
        request.param
    ]
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()


def names(at: Place, leave_out: str | None = None) -> list[str]:
    refused: list[str] = []
    found = [found.name for found in at.pictures(lambda name, reason: refused.append(name), leave_out, print)]
    assert refused == []
    return found


def test_what_is_stored_is_listed_and_fetched(root: str) -> None:
    at = place(root)
    for name in ("b.jpg", "a/c.PNG", "a/.hidden.jpg", "note.txt", ".x/y.jpg", "out/z.tif"):
        at.store(name, BytesIO(name.encode()))
    assert sorted(names(at)) == ["a/c.PNG", "b.jpg", "out/z.tif"]
    assert sorted(names(at, at.full_name("out"))) == ["a/c.PNG", "b.jpg"]
    assert at.fetch("a/c.PNG") == b"a/c.PNG"
    is_there = at.presence()
    assert [is_there(name) is not None for name in ("b.jpg", "a/c.PNG", "c.jpg")] == [True, True, False]
    with pytest.raises(FileNotFoundError):
        at.fetch("none.jpg")


def test_what_was_stored_is_told_from_what_another_puts_in_its_place(root: str) -> None:
    at, other = place(root), fsspec.core.url_to_fs(root)
    written = at.store("a/b.jpg", BytesIO(b"result"))
    at.store("a/c.jpg", BytesIO(b"next"))
    assert at.presence()("a/b.jpg") == written
    other[0].pipe_file(f"{other[1]}/a/b.jpg", b"the work of others")
    assert at.presence()("a/b.jpg") not in (written, None)


def test_a_stamp_changes_with_the_picture(root: str) -> None:
    at = place(root)

    def stamp() -> str:
        (found,) = at.pictures(lambda *_: None, None, print)
        assert found.size == 3
        return found.stamp

    at.store("a.jpg", BytesIO(b"one"))
    first = stamp()
    assert first == stamp() != ""
    at.store("a.jpg", BytesIO(b"two"))
    assert stamp() != first


def test_what_a_run_does_not_know_of_is_not_replaced(root: str) -> None:
    at = place(root)
    seen = at.store("a.jpg", BytesIO(b"result"), replace=False)
    with pytest.raises(OutputExistsError, match=r"a\.jpg has appeared meanwhile, and was left as it is"):
        at.store("a.jpg", BytesIO(b"next one"), replace=False)
    assert at.fetch("a.jpg") == b"result"
    seen = at.store("a.jpg", BytesIO(b"next one"), replace=False, known=seen)
    at.store("a.jpg", BytesIO(b"the work of others"))
    with pytest.raises(OutputExistsError, match="has appeared meanwhile"):
        at.store("a.jpg", BytesIO(b"the third"), replace=False, known=seen)
    assert at.fetch("a.jpg") == b"the work of others"
    assert len(fsspec.core.url_to_fs(root)[0].find(fsspec.core.url_to_fs(root)[1])) == 1
    at.store("b.jpg", BytesIO(b"gone meanwhile"), replace=False, known=seen)
    assert at.fetch("b.jpg") == b"gone meanwhile"


def test_what_appears_while_a_picture_is_coloured_stays_unless_it_is_the_same(
    tmp_path: Path, tiny_model: Path
) -> None:
    (name,) = archive(tmp_path / "in", 1)
    given, task = settings(tmp_path / "in", tmp_path / "out", tiny_model), Task(name, -1, "", 0)
    work = Work(given)
    assert [work(task).status for _ in range(2)] == ["done", "done"]  # as a second try does it
    (tmp_path / "out" / name).write_bytes(b"the only copy")
    record = work(task)
    assert (record.status, record.kind) == ("failed", "exists")
    assert "neither this manifest's" in record.reason
    assert (tmp_path / "out" / name).read_bytes() == b"the only copy"
    assert hidden(tmp_path / "out") == []
    assert Work(dataclasses.replace(given, overwrite=True))(task).status == "done"


def test_a_write_that_fails_leaves_the_old_file_and_no_part(root: str) -> None:
    class Failing(BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError("the disk is on fire")

    at = place(root)
    at.store("a.jpg", BytesIO(b"old"))
    with pytest.raises(OSError, match="on fire"):
        at.store("a.jpg", Failing(b"new"))
    assert at.fetch("a.jpg") == b"old"
    listed = fsspec.core.url_to_fs(root)[0].find(fsspec.core.url_to_fs(root)[1])
    assert [Path(name).name for name in listed] == ["a.jpg"]


def test_large_results_go_by_way_of_a_file(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "IN_MEMORY", 10)
    monkeypatch.setattr("tintype.archive.remote.IN_MEMORY", 10)
    place(root).store("a.jpg", BytesIO(bytes(100)))
    content = place(root).fetch("a.jpg")
    assert (content.read_bytes() if isinstance(content, Path) else content) == bytes(100)


@pytest.mark.parametrize(("own", "kind"), [(True, "unwritable"), (False, "full")])
def test_a_full_disk_of_the_machine_is_not_the_stores(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, own: bool, kind: str
) -> None:
    """A copy of large results is made for the upload."""

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tintype.archive.remote.IN_MEMORY", 10)
    if own:
        monkeypatch.setattr("tintype.archive.remote.shutil.copyfileobj", full)
    else:
        monkeypatch.setattr(fsspec.implementations.local.LocalFileSystem, "put_file", full)
    (tmp_path / "a.png").write_bytes(picture(0, ".png"))
    work = Work(settings(tmp_path, f"local://{tmp_path}/out", tiny_model))
    record = work(Task("a.png", 1, "", 0))
    assert record.kind == kind
    assert record.reason.endswith("the disk is full")
    assert ("a copy for the upload cannot be written" in record.reason) is own


def test_a_temporary_folder_without_room_is_named(
    tmp_path: Path, tiny_model: Path, tiny_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(picture(0, ".png", (400, 300)))
    work = Work(settings(tmp_path, tmp_path / "out", tiny_model))
    monkeypatch.setattr("tintype.archive.work.IN_MEMORY", 10)
    monkeypatch.setattr("tempfile.tempdir", str(tiny_disk))
    (tiny_disk / "rest").write_bytes(bytes(60_000))
    record = work(Task("a.png", -1, "", 0))
    assert record.reason == f"there is no room to make it in {tiny_disk}; TMPDIR names another folder"
    monkeypatch.undo()
    assert work(Task("a.png", -1, "", 0)).status == "done"


def test_parts_of_a_dead_writer_are_cleared_and_no_others(tmp_path: Path) -> None:
    for root in (str(tmp_path), f"local://{tmp_path}"):
        others = [part_name("b.jpg"), part_name("a.jpg.jpg")]
        for name in (part_name("a.jpg"), *others, "a.jpg"):
            (tmp_path / name).write_bytes(b"")
        at = place(root)
        at.presence()
        at.clearing()("a.jpg")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "a.jpg"])
        for name in others:
            (tmp_path / name).unlink()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server with an archive."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    archive(tmp_path / "in", 4)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "in"))
    ) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def test_a_web_servers_listing_is_a_source(server: str, tmp_path: Path, tiny_model: Path) -> None:
    at = place(server)
    found = sorted(names(at))
    assert found == sorted(files(tmp_path / "in"))
    work = Work(settings(server, tmp_path / "out", tiny_model))
    (tmp_path / "in" / found[0]).unlink()
    done = [work(Task(name, -1, "", 0)) for name in found]
    assert [record.status for record in done] == ["failed", "done", "done", "done"]
    assert done[0].kind == "missing"
    assert sorted(files(tmp_path / "out")) == found[1:]
    assert hidden(tmp_path / "out") == []


def test_names_from_a_web_server_are_those_of_its_files(
    server: str, tmp_path: Path, tiny_model: Path
) -> None:
    odd = ["a b.jpg", "ü/n%41me.jpg", "100%.jpg", "x+y&(z)#1?.jpg"]
    for name in odd:
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(0))
    at = place(server)
    assert set(odd) < set(names(at))
    assert at.full_name("a b.jpg") == f"{server}/a%20b.jpg"
    work = Work(settings(server, tmp_path / "out", tiny_model))
    assert {work(Task(name, -1, "", 0)).status for name in odd} == {"done"}
    assert set(odd) == set(files(tmp_path / "out"))


@pytest.mark.parametrize(
    "listed", ["%2e%2e/a.jpg", "b/%2E%2E%2Fa.jpg", "b%2Fa.jpg", "%00.jpg", "b%2F%2Fa.jpg"]
)
def test_a_name_that_leads_elsewhere_is_taken_as_the_server_spells_it(listed: str) -> None:
    assert _unquoted(listed) == listed


def test_a_name_that_leads_out_of_a_store_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ("../a.jpg", "b.jpg", "c/../../d.jpg")
    listed = [{"name": f"/in/{name}", "type": "file", "size": 1} for name in keys]
    monkeypatch.setattr(fsspec.filesystem("memory"), "ls", lambda *_, **__: listed)
    assert names(place("memory://in")) == ["b.jpg"]


def test_what_a_web_server_refuses_is_told_in_its_words(
    server: str, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(handler: http.server.SimpleHTTPRequestHandler) -> None:
        handler.send_error(503, "too busy")

    found = names(place(server))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "do_GET", busy)
    record = Work(settings(server, tmp_path / "out", tiny_model))(Task(found[0], -1, "", 0))
    assert (record.status, record.kind) == ("failed", "unreachable")
    assert record.reason.startswith("it cannot be read: ")
    assert "503" in record.reason
    assert "fault in Tintype" not in record.reason


def test_an_object_store_is_a_target(tmp_path: Path, tiny_model: Path) -> None:
    found = archive(tmp_path / "in", 3)
    works = [
        Work(settings(tmp_path / "in", target, tiny_model)) for target in ("memory://out", tmp_path / "out")
    ]
    for name in found:
        assert {work(Task(name, -1, "", 0)).status for work in works} == {"done"}
    stored = fsspec.filesystem("memory")
    assert {name: stored.cat(f"/out/{name}") for name in found} == files(tmp_path / "out")
    stored.store.clear()


def test_a_picture_larger_than_memory_is_read_from_its_file(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tif").write_bytes(picture(0, ".tif"))
    once = Work(settings(tmp_path / "in", tmp_path / "out", tiny_model))(Task("a.tif", -1, "", 0))
    monkeypatch.setattr(places, "IN_MEMORY", 10)
    assert isinstance(Folder(str(tmp_path / "in")).fetch("a.tif"), Path)
    again = Work(settings(tmp_path / "in", tmp_path / "again", tiny_model))(Task("a.tif", -1, "", 0))
    assert (once.status, once.sha256) == (again.status, again.sha256)
    assert files(tmp_path / "out") == files(tmp_path / "again")


def test_what_may_pass_is_tried_again_and_what_cannot_is_not() -> None:
    tries = []

    def failing(error: Exception, times: int) -> str:
        tries.append(error)
        if len(tries) <= times:
            raise error
        return "done"

    assert patiently(lambda: failing(ConnectionError(), 2), 3, 0) == "done"
    denied = 3 if os.name == "nt" else 1
    for error, expected in (
        (ConnectionError(), 3),
        (OSError(errno.ENOSPC, "full"), 3),
        (FileNotFoundError(), 1),
        (InputError(), 1),
        (PermissionError(), denied),
        (NotADirectoryError(), 1),
        (OSError(errno.EROFS, "read-only"), 1),
        (OSError(errno.ENAMETOOLONG, "long"), 1),
    ):
        tries.clear()
        with pytest.raises(type(error)):
            patiently(partial(failing, error, 9), 3, 0)
        assert len(tries) == expected


def test_links_and_what_is_no_file_are_told_and_not_followed(tmp_path: Path) -> None:
    archive(tmp_path, 3)
    (tmp_path / "linked").symlink_to("below")
    (tmp_path / "gone.jpg").symlink_to("nothing")
    (tmp_path / "notes.txt").symlink_to("nothing")
    for root in (str(tmp_path), f"local://{tmp_path}"):
        told: dict[str, str] = {}
        at = place(root)
        found = [found.name for found in at.pictures(told.__setitem__, None, print)]
        assert sorted(found) == ["000.jpg", "001.png", "below/002.tif"]
        assert sorted(told) == [at.full_name("gone.jpg"), at.full_name("linked")]
        assert "name it itself" in told[at.full_name("linked")]
        assert "it is a link" in told[at.full_name("gone.jpg")]


def test_targets_that_take_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="web servers are read from alone"):
        check_writable("https://example.org/x")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file"):
        check_writable(str(tmp_path / "file"))
    for text in ("nosuch://x", "s3://x"):
        with pytest.raises(SettingsError, match=r"cannot be reached.*pip install 'tintype\[cloud\]'"):
            Remote(text)
    with pytest.raises(InputError, match="no such folder"):
        names(Folder(str(tmp_path / "none")))
    with pytest.raises(InputError, match="cannot be listed: there is no such place"):
        names(place("memory://none"))


def test_a_target_that_cannot_be_listed_is_not_taken_for_an_empty_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or what lies in it, and is others', would be replaced."""
    at = place("memory://out")
    assert not at.presence()("a.jpg")

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("the network is away")

    monkeypatch.setattr(fsspec.filesystem("memory"), "ls", away)
    with pytest.raises(InputError, match=r"memory://out cannot be listed: the network is away"):
        at.presence()


def test_a_folder_of_many_parts_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = []
    monkeypatch.setattr(places, "parts_in", lambda folder: (listed.append(folder), parts_in(folder))[1])
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / part_name(name)).touch()
    clear = place(str(tmp_path)).clearing()
    for name in ("a.jpg", "b.jpg"):
        clear(name)
    assert listed == [tmp_path]
    assert [path.name[:6] for path in tmp_path.iterdir()] == [".c.jpg"]


class Plain(fsspec.implementations.local.LocalFileSystem):
    """A driver that is asked for lists as SFTP's is, and keeps them as those of stores do."""

    protocol = "plain"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("plain://"))

    def ls(self, path: str, detail: bool = False) -> list[Any]:
        if path not in self.dircache:
            self.dircache[path] = super().ls(path, detail=True)
        found = self.dircache[path]
        return found if detail else [entry["name"] for entry in found]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.dircache.pop(path, None)


def test_drivers_need_little_and_keep_nothing(tmp_path: Path) -> None:
    fsspec.register_implementation("plain", Plain, clobber=True)
    at = place(f"plain://{tmp_path}")
    at.store("below/a.jpg", BytesIO(b"1"))
    (tmp_path / "below" / part_name("a.jpg")).touch()
    assert at.presence()("below/a.jpg") == Written(1)
    at.clearing()("below/a.jpg")
    assert names(at) == ["below/a.jpg"]
    assert [path.name for path in (tmp_path / "below").iterdir()] == ["a.jpg"]
    assert fsspec.core.url_to_fs(f"plain://{tmp_path}")[0].dircache == {}
