"""`tintype train` on photographs as they come: broken ones, grey ones, streamed ones, none at all."""

from __future__ import annotations

import functools
import http.server
import io
import tarfile
import threading

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from skimage import data

from tintype import cli
from tintype.train import runs
from tintype.train.sweep import read_curve


def encoded(i, rgb=None):
    rgb = data.coffee()[i : i + 80, i : i + 96] if rgb is None else rgb
    return cv2.imencode(".png", rgb[..., ::-1])[1].tobytes()


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(8):
        (folder / f"{i}.png").write_bytes(encoded(5 * i))
    return folder


def train(place, out, *more, workers=1):
    line = ["train", "autoencoder", "--data", place, "--out", out, "--batch", 4, "--size", 64, "--steps", 3]
    return cli.main([str(word) for word in (*line, "--workers", workers, "--device", "cpu", *more)])


def one_sentence(capsys, message):
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def test_broken_photographs_are_skipped_counted_and_named(folder, tmp_path, capsys):
    (folder / "broken.jpg").write_bytes(b"broken")
    (folder / "cut.png").write_bytes(encoded(0)[:100])
    (folder / "empty.webp").write_bytes(b"")
    run = tmp_path / "run"
    assert train(folder, run) == 0
    assert f"3 photographs could not be used; {run}/skipped.tsv names them." in capsys.readouterr().out
    lines = (run / "skipped.tsv").read_text().splitlines()
    assert sorted(line.split("\t")[0] for line in lines) == ["broken.jpg", "cut.png", "empty.webp"]


@pytest.mark.parametrize("workers", [0, 1])
def test_no_usable_photograph(tmp_path, capsys, workers):
    for i in range(5):
        (tmp_path / f"{i}.jpg").write_bytes(b"broken")
    assert train(tmp_path, tmp_path / "run", workers=workers) == 1
    one_sentence(capsys, "None of 50 photographs in a row is a picture that can be decoded")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "has colour, so there is nothing to learn"),
        (("--set", "drop_grey=true"), "has colour); the last"),
    ],
)
def test_a_folder_of_grey_photographs(tmp_path, capsys, more, message):
    for i in range(6):
        grey = np.roll(data.camera(), i)[:80, :80]
        (tmp_path / f"{i}.png").write_bytes(encoded(0, np.dstack([grey] * 3)))
    assert train(tmp_path, tmp_path / "run", *more) == 1
    one_sentence(capsys, message)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_grey_is_told_also_where_weights_come_from_another_run(folder, tmp_path, capsys):
    assert train(folder, tmp_path / "first") == 0
    for path in folder.iterdir():
        path.write_bytes(encoded(0, np.dstack([data.camera()[:80, :80]] * 3)))
    capsys.readouterr()
    assert train(folder, tmp_path / "second", "--from", tmp_path / "first") == 1
    one_sentence(capsys, "nothing to learn")


def test_training_on_parquet(tmp_path):
    table = pa.table({"left": [encoded(i) for i in range(8)], "right": [encoded(i) for i in range(8)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    assert train(tmp_path / "a.parquet", tmp_path / "run", "--image-column", "right") == 0
    assert sorted(runs.read_run(tmp_path / "run")["split"]["train"])[0].startswith("a-0000000")


def test_every_command_finds_the_pictures_of_two_columns(tmp_path, capsys):
    file, run, model = tmp_path / "a.parquet", tmp_path / "run", tmp_path / "run" / "run.onnx"
    table = pa.table({"left": [b"no picture"] * 8, "right": [encoded(i) for i in range(8)]})
    pq.write_table(table, file)
    there = ("--image-column", "right")
    assert train(file, run, *there) == 0
    quantized = ("quantize", model, "-o", tmp_path / "q.onnx", "--data", file, "--val", file, "--count", 2)
    lines = [
        ("export", run),  # which remembers where they were
        ("export", run, "--data", file, *there),
        ("evaluate", model, "--data", file, "--size", 64, *there),
        (*quantized, *there),
        ("data", "inspect", file, *there),
        ("data", "pack", file, "-o", tmp_path / "shards", *there),
    ]
    for line in lines:
        assert cli.main([str(word) for word in line]) == 0, capsys.readouterr().err
    capsys.readouterr()
    for line in lines[1:]:
        words = [str(word) for word in line if word not in there]
        assert cli.main([*words, "--overwrite"] if line[0] == "quantize" else words) == 1
        one_sentence(capsys, "may have pictures in left, right; say where with --image-column")


@pytest.fixture
def server(tmp_path):
    """A web server of the folder, with two shards of six photographs."""
    for shard in range(2):
        with tarfile.open(tmp_path / f"shard-{shard}.tar", "w") as tar:
            for i in range(6):
                info, content = tarfile.TarInfo(f"{shard}{i}.png"), encoded(10 * shard + i)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_training_on_a_stream_and_going_on(server, folder, tmp_path, capsys):
    shards, run = server + "/shard-{0..1}.tar", tmp_path / "run"
    assert train(shards, run, "--val", folder) == 0
    assert runs.read_run(run)["places"] == [shards]
    assert train(shards, run, "--val", folder, "--resume", "--steps", 5) == 0
    assert "a new pass over the shards begins" in capsys.readouterr().out
    assert [step for step, _ in read_curve(run, "train/loss")] == list(range(5))
    assert len(read_curve(run, "val/loss")) > 0
    assert cli.main(["export", str(run), "-o", str(tmp_path / "models")]) == 0


def test_a_streamed_validation(server, tmp_path, capsys):
    run = tmp_path / "run"
    assert train(server + "/shard-0.tar", run, "--val", server + "/shard-1.tar", workers=2) == 0
    assert len(read_curve(run, "val/loss")) > 0
    assert cli.main(["export", str(run), "-o", str(tmp_path / "models")]) == 2
    one_sentence(capsys, "streamed; name some on disk with --data")


def test_what_a_stream_cannot_do(server, folder, tmp_path, capsys):
    shard = server + "/shard-0.tar"
    for place, more, status, message in (
        (server + "/gone.tar", (), 1, "There is no http://"),
        (shard, ("--cache", "ram"), 2, "a stream cannot be kept"),
        (shard, ("--categories", "cat"), 2, "A stream takes no --index"),
        (shard, ("--limit", "3"), 2, "A stream takes no --index"),
    ):
        assert train(place, tmp_path / "run", *more) == status
        one_sentence(capsys, message)
    line = ["train", "autoencoder", "--data", shard, str(folder), "--out", str(tmp_path / "run")]
    assert cli.main(line) == 2
    one_sentence(capsys, "cannot be mixed with photographs on disk")
    line = ["train", "autoencoder", "--data", shard, "--out", str(tmp_path / "run"), "--epochs", "3"]
    assert cli.main(line) == 2
    one_sentence(capsys, "how long to train with --steps")
