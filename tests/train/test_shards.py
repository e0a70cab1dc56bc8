"""Tar shards: damage is told, and packed pictures keep labels of their own."""

from __future__ import annotations

import io
import tarfile

import pytest

from tintype.errors import DataError
from tintype.train.shards import keys_for, sidecar_label
from tintype.train.sources import find_records


def tar_of(path, count):
    with tarfile.open(path, "w") as tar:
        for i in range(count):
            member = tarfile.TarInfo(f"{i}.jpg")
            member.size = 700
            tar.addfile(member, io.BytesIO(bytes(700)))
    return path


@pytest.mark.parametrize("count", [1, 10])
def test_a_whole_shard_is_read_to_its_end(tmp_path, count):
    assert len(find_records([tar_of(tmp_path / "a.tar", count)])) == count


def test_a_damaged_shard_is_refused_rather_than_read_in_part(tmp_path):
    path = tar_of(tmp_path / "a.tar", 10)
    data, member = path.read_bytes(), 512 + 1024
    for broken in (
        data[: 5 * member] + b"x" * 512 + data[5 * member + 512 :],  # a header overwritten
        data[: 5 * member],  # cut where a header should be
        data[: 5 * member + 100],  # within one
        data[: 5 * member + 700],  # within a picture
        data + data,  # joined with another
    ):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"a\.tar is no readable tar shard"):
            find_records([path])


@pytest.mark.parametrize(
    ("suffix", "data", "label"),
    [
        (".cls", b"cat\n", "cat"),
        (".cls", b"-1", ""),
        (".json", b'{"label": 3}', "3"),
        (".json", b'{"label": 3.0}', "3"),
        (".json", b'{"label": -1}', ""),
        (".json", b'{"label": true}', ""),
        (".json", b'{"label": "sea"}', "sea"),
        (".json", b"[]", ""),
        (".cls", b"\xff", ""),
    ],
)
def test_labels_of_side_cars(suffix, data, label):
    assert sidecar_label(suffix, data) == label


def test_each_picture_gets_a_key_of_its_own_without_further_dots():
    names = ["a/img.0.jpg", "a/img.1.jpg", "img_0.png", "img.0.jpg", "b.c/x.jpg", "img_0.webp"]
    assert keys_for(names) == ["a/img_0", "a/img_1", "img_0", "img_0_2", "b.c/x", "img_0_3"]


def test_keys_of_many_names_are_numbered():
    """More than could be done if each were looked for among all."""
    keys = keys_for([f"{i}.png" for i in range(50_000)] + ["a.png"] * 50_000)
    assert len(set(keys)) == 100_000
    assert keys[-1] == "a_50000"
