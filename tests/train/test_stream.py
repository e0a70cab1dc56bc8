"""Remote shards: read as they come over connections that drop, mixed, shared out, and what is wrong said."""

from __future__ import annotations

import http.server
import io
import tarfile
import threading

import cv2
import pytest
from skimage import data
from torch.utils.data import DataLoader

from tintype.errors import DataError
from tintype.train import remote, stream
from tintype.train.data import CropSettings
from tintype.train.remote import RemoteFile, expand
from tintype.train.stream import Stream, StreamDataset, read_shard


def jpeg(i):
    rgb = cv2.resize(data.coffee()[i : i + 200, i : i + 250], (50, 40))
    return cv2.imencode(".jpg", rgb[..., ::-1])[1].tobytes()


def write_shard(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


class Handler(http.server.SimpleHTTPRequestHandler):
    """Gives files as they are, without ranges; `drops` connections break after half of what was asked."""

    ranges = False
    drops = 0

    def do_GET(self):
        content = (self.server.folder / self.path.lstrip("/")).read_bytes()
        start, status = 0, 200
        if self.server.ranges and (wanted := self.headers.get("Range")):
            start, end = map(int, wanted.removeprefix("bytes=").split("-"))
            status, total, content = 206, len(content), content[start : end + 1]
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{start + len(content) - 1}/{total}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.server.requests.append((self.path, start))
        if self.server.drops > 0:
            self.server.drops -= 1
            content = content[: len(content) // 2]
            self.close_connection = True
        self.wfile.write(content)

    def do_HEAD(self):
        if not (self.server.folder / self.path.lstrip("/")).is_file():
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str((self.server.folder / self.path.lstrip("/")).stat().st_size))
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "WAIT_S", 0.01)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.folder, server.ranges, server.drops, server.requests = tmp_path, False, 0, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def shards(server, tmp_path):
    """Four shards of five photographs each, with labels."""
    for i in range(4):
        members = []
        for j in range(5):
            key = f"{i}{j}"
            members += [(f"{key}.cls", str(i).encode()), (f"{key}.jpg", jpeg(5 * i + j))]
        write_shard(tmp_path / f"shard-{i:02d}.tar", members)
    return tuple(expand(server.url + "/shard-{00..03}.tar"))


def test_ranges_of_names():
    assert expand("s3://b/x-{08..11}.tar") == [f"s3://b/x-{n}.tar" for n in ("08", "09", "10", "11")]
    assert expand("http://x/{1..2}/{1..2}.tar")[-1] == "http://x/2/2.tar"
    assert expand("http://x/a.tar") == ["http://x/a.tar"]
    with pytest.raises(DataError, match="empty"):
        expand("http://x/{5..3}.tar")


def test_a_shard_gives_pictures_and_whole_numbers_as_labels(server, tmp_path):
    members = [
        ("a/1.cls", b"7"), ("a/1.jpg", jpeg(1)), ("a/2.jpg", jpeg(2)), ("a/2.json", b'{"label": 3}'),
        ("a/3.jpg", jpeg(3)), ("a/3.txt", b"words"), ("a/4.jpg", jpeg(4)), ("a/4.cls", b"tabby"),
    ]  # fmt: skip
    write_shard(tmp_path / "x.tar", members)
    samples = list(read_shard(server.url + "/x.tar"))
    assert [(s.name, s.label) for s in samples] == [
        ("a/1.jpg", 7), ("a/2.jpg", 3), ("a/3.jpg", -1), ("a/4.jpg", -1)
    ]  # fmt: skip
    assert [s.data for s in samples] == [jpeg(i) for i in (1, 2, 3, 4)]


@pytest.mark.parametrize("ranges", [False, True])
def test_a_dropped_connection_is_opened_again_where_it_was(server, shards, ranges):
    server.ranges = ranges
    wanted = list(read_shard(shards[0]))
    server.requests.clear()
    server.drops = 2
    assert list(read_shard(shards[0])) == wanted
    assert len(server.requests) == 3
    assert server.drops == 0


def test_a_range_that_a_server_can_give_is_not_read_twice(server, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_BLOCK", 1000)
    content = bytes(range(256)) * 20
    (tmp_path / "file").write_bytes(content)
    server.ranges = True
    file = RemoteFile(server.url + "/file")
    first = file.read(3000)
    file.close()  # as a failure does
    server.requests.clear()
    rest = b"".join(iter(lambda: file.read(1000), b""))
    file.close()
    assert first + rest == content
    assert min(start for _, start in server.requests) >= len(first)


def test_what_cannot_be_read_is_said(server, shards, tmp_path):
    with pytest.raises(DataError, match=r"^There is no http://127.*/gone\.tar\.$"):
        list(read_shard(server.url + "/gone.tar"))
    server.drops = 99
    with pytest.raises(DataError, match="cannot be read, after 5 tries"):
        list(read_shard(shards[0]))
    server.drops = 0
    (tmp_path / "text.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(DataError, match="no readable tar shard"):
        list(read_shard(server.url + "/text.tar"))


def test_a_store_whose_driver_is_missing():
    with pytest.raises(DataError, match="cannot be read: Install s3fs"):
        list(read_shard("s3://bucket/x.tar"))


def test_a_stream_is_mixed_and_hangs_on_seed_and_start(shards, monkeypatch):
    monkeypatch.setattr(stream, "BUFFER_COUNT", 8)

    def labels(**kw):
        dataset = StreamDataset(Stream(shards), 32, CropSettings(), **kw)
        return [(label, int(crop.sum())) for _, (crop, label) in zip(range(20), dataset, strict=False)]

    one = labels(seed=1)
    assert one == labels(seed=1)
    assert one != labels(seed=2)
    assert one != labels(seed=1, start=50)
    assert [label for label, _ in one] != sorted(label for label, _ in one)  # shards run into one another
    assert len(set(one)) == 20


def test_processes_and_readers_share_the_shards(shards):
    def once(rank, world):
        dataset = StreamDataset(Stream(shards), 32, rank=rank, world=world)
        return [label for _, label in DataLoader(dataset, batch_size=None, num_workers=0)]

    halves = [once(rank, 2) for rank in (0, 1)]
    assert sorted(halves[0] + halves[1]) == sorted([0, 1, 2, 3] * 5)
    assert not set(halves[0]) & set(halves[1])
    two_readers = DataLoader(StreamDataset(Stream(shards), 32), batch_size=None, num_workers=2)
    assert sorted(int(label) for _, label in two_readers) == sorted([0, 1, 2, 3] * 5)


def test_every_reader_gets_photographs_where_shards_are_few(shards, monkeypatch):
    monkeypatch.setattr(stream, "BUFFER_COUNT", 2)
    for rank in range(3):
        dataset = StreamDataset(Stream(shards[:1]), 32, CropSettings(), rank=rank, world=3)
        assert sum(1 for _ in zip(range(12), dataset, strict=False)) == 12


def test_unusable_photographs_are_passed_over_and_named(server, tmp_path):
    members = [("1.jpg", b"broken"), ("2.jpg", jpeg(2)), ("3.jpg", jpeg(3)[:50])]
    write_shard(tmp_path / "x.tar", members)
    log = tmp_path / "skipped.tsv"
    dataset = StreamDataset(Stream((server.url + "/x.tar",)), 32, skipped=log)
    assert len(list(dataset)) == 1
    assert [line.split("\t")[0] for line in log.read_text().splitlines()] == ["1.jpg", "3.jpg"]
    endless = StreamDataset(dataset.stream, 32, CropSettings(drop_grey=True), skipped=log)
    assert sum(1 for _ in zip(range(5), endless, strict=False)) == 5


def test_shards_without_a_usable_photograph(server, tmp_path):
    write_shard(tmp_path / "broken.tar", [("1.jpg", b"broken")])
    write_shard(tmp_path / "words.tar", [("1.txt", b"words")])
    for name, message in (
        ("broken", "None of 50 photographs in a row.*1.jpg"),
        ("words", "No photographs in"),
    ):
        with pytest.raises(DataError, match=message):
            next(iter(StreamDataset(Stream((f"{server.url}/{name}.tar",)), 32, CropSettings())))
