"""Where photographs lie: folders, shards, an index beside them, class folders, COCO."""

from __future__ import annotations

import dataclasses
import json
import os
import tarfile

import cv2
import pytest
from skimage import data

from tintype.errors import DataError
from tintype.train.photographs import Photographs, Record, some, split
from tintype.train.sources import find_photographs, find_records


@pytest.fixture
def folder(tmp_path):
    bgr = cv2.resize(data.chelsea()[..., ::-1], (45, 30))
    for name in ("cat/1.png", "cat/2.webp", "dog/deep/3.jpg", "4.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), bgr)
    (tmp_path / "photos" / "notes.txt").write_text("not a picture")
    return tmp_path / "photos"


@pytest.fixture
def shard(folder, tmp_path):
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(folder, "x")
    return path


def test_a_shard_gives_the_folders_bytes(folder, shard):
    files, slices = find_records([folder]), find_records([shard])
    assert [r.name for r in files] == ["4.png", "cat/1.png", "cat/2.webp", "dog/deep/3.jpg"]
    assert sorted(r.read() for r in slices) == sorted(r.read() for r in files)


def test_linked_folders_count_once(folder, tmp_path):
    apart = tmp_path / "apart"
    (folder / "cat").rename(apart)
    (folder / "cat").symlink_to(apart)
    (folder / "again").symlink_to(apart)
    (apart / "round").symlink_to(folder)
    assert [r.name for r in find_records([folder])] == [
        "4.png",
        "again/1.png",
        "again/2.webp",
        "dog/deep/3.jpg",
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.mkdir(), "No photographs"),
        (lambda p: None, "neither a folder"),
        (lambda p: p.with_suffix(".tar").write_bytes(b"x" * 700), "no readable tar"),
    ],
)
def test_what_holds_no_photographs(tmp_path, make, message):
    place = tmp_path / "place"
    make(place)
    with pytest.raises(DataError, match=message):
        find_records([place.with_suffix(".tar") if message.endswith("tar") else place])


def test_folders_are_labels(folder):
    photographs = find_photographs([folder])
    assert photographs.label_names == ("cat", "dog/deep")
    assert [r.label for r in photographs.records] == [-1, 0, 0, 1]


def test_a_folder_of_pictures_and_shards_is_refused(folder, shard):
    shard.rename(folder / "cat" / "0.tar")
    with pytest.raises(DataError, match=r"holds both pictures, as 4.png, and shards, as cat.0.tar: name"):
        find_records([folder])


def test_a_folder_of_shards(folder, shard):
    shards = shard.parent / "shards"
    shards.mkdir()
    shard.rename(shards / "0.tar")
    assert len(find_records([shards])) == 4


def test_labels_beside_the_pictures_of_a_shard(folder, tmp_path):
    (folder / "cat" / "1.cls").write_text("10\n")
    (folder / "cat" / "2.json").write_text(json.dumps({"label": 9, "url": "https://x"}))
    (folder / "dog" / "deep" / "3.json").write_text(json.dumps({"caption": "no label"}))
    (folder / "4.cls").write_bytes(b"\xff")
    with tarfile.open(tmp_path / "labelled.tar", "w") as tar:
        for path in sorted(folder.rglob("*.*")):
            tar.add(path, path.name)
    photographs = find_photographs([tmp_path / "labelled.tar"])
    assert photographs.label_names == ("9", "10")
    assert {r.name: r.label for r in photographs.records} == {
        "1.png": 1,
        "2.webp": 0,
        "3.jpg": -1,
        "4.png": -1,
    }


def test_an_index_labels_and_narrows(shard, tmp_path):
    index = tmp_path / "index.csv"
    index.write_text("key,source,label\n1,a,tabby\n2,b,\n3,a,hound\n")
    everything = find_photographs([shard], index=index)
    assert len(everything) == 3
    assert everything.label_names == ("hound", "tabby")
    some = find_photographs([shard], index=index, where={"source": ("a",), "label": ("hound",)})
    assert [r.name for r in some.records] == ["x/dog/deep/3.jpg"]
    either = find_photographs([shard], index=index, where={"label": ("hound", "tabby")})
    assert {r.name for r in either.records} == {"x/dog/deep/3.jpg", "x/cat/1.png"}
    for where, message in (
        (
            {"source": ("b",), "label": ("hound",)},
            "No photograph fits the index .* with source=b, label=hound",
        ),
        ({"source": ("a", "z")}, "no row with source=z"),
        ({"kind": ("a",)}, "no column 'kind'"),
    ):
        with pytest.raises(DataError, match=message):
            find_photographs([shard], index=index, where=where)
    with pytest.raises(DataError, match="needs an --index"):
        find_photographs([shard], where={"source": ("a",)})


def test_an_index_as_spreadsheets_write_it(shard, tmp_path):
    index = tmp_path / "index.csv"
    index.write_bytes("\ufeffkey,label\r\n1,café\r\n".encode())
    assert find_photographs([shard], index=index).label_names == ("café",)
    index.write_bytes("key,label\r\n1,café\r\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"index\.csv is no CSV file in UTF-8"):
        find_photographs([shard], index=index)


def test_names_that_are_no_text_are_split_as_others(folder):
    (folder / "4.png").rename(folder / os.fsdecode(b"\xe9.png"))
    photographs = find_photographs([folder])
    assert sum(map(len, split(photographs, 0.5))) == len(photographs) == 4
    assert len(some(photographs, 2)) == 2


@pytest.fixture
def coco(folder):
    kinds = [("cat", "animal"), ("dog", "animal"), ("car", "vehicle")]
    content = {
        "categories": [{"id": i, "name": n, "supercategory": s} for i, (n, s) in enumerate(kinds)],
        "images": [{"id": 9, "file_name": "1.png"}, {"id": 8, "file_name": "train/3.jpg"}],
        "annotations": [
            {"image_id": 9, "category_id": 0, "area": None},
            {"image_id": 9, "category_id": 2, "area": 50},
            {"image_id": 8, "category_id": 1, "area": 7},
        ],
    }
    (folder / "instances_train.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("categories", "names", "labels"),
    [
        (["cat"], ["cat/1.png"], ("cat",)),
        (["animal"], ["cat/1.png", "dog/deep/3.jpg"], ("cat", "dog")),
        (["vehicle", "dog"], ["cat/1.png", "dog/deep/3.jpg"], ("car", "dog")),
    ],
)
def test_coco_categories_and_supercategories(coco, categories, names, labels):
    photographs = find_photographs([coco], categories=categories)
    assert [r.name for r in photographs.records] == names
    assert set(names) <= {r.name for r in find_photographs([coco]).records}  # by which they are found again
    assert photographs.label_names == labels


def test_coco_errors(coco, tmp_path):
    with pytest.raises(DataError, match="no category boat"):
        find_photographs([coco], categories=["boat"])
    with pytest.raises(DataError, match="leave out it, or --index"):
        find_photographs([coco], categories=["cat"], index=tmp_path / "index.csv")
    file = coco / "instances_train.json"
    file.write_text(file.read_text().replace('"category_id": 1', '"category_id": 7'))
    with pytest.raises(DataError, match="no COCO annotation"):
        find_photographs([coco], categories=["cat"])
    (coco / "instances_train.json").write_text("[]")
    with pytest.raises(DataError, match="no COCO annotation"):
        find_photographs([coco], categories=["cat"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no COCO annotation JSON"):
        find_photographs([tmp_path / "empty"], categories=["cat"])


def test_the_split_is_stable_and_disjoint(folder):
    photographs = find_photographs([folder])
    train, val = split(photographs, 0.5)
    assert {r.name for r in train.records} | {r.name for r in val.records} == {
        r.name for r in photographs.records
    }
    assert not {r.name for r in train.records} & {r.name for r in val.records}
    assert split(photographs, 0.5) == (train, val)
    assert len(split(photographs, 0.0)[1]) == 0


def test_some_photographs_are_always_the_same_ones(folder):
    whole = find_photographs([folder])
    few = some(whole, 2)
    assert len(few) == 2
    assert set(few.records) < set(whole.records)
    assert some(dataclasses.replace(whole, records=whole.records[::-1]), 2).records == few.records[::-1]
    assert some(whole, 10**6) == whole


def test_some_are_as_many_as_asked_for_where_names_come_again():
    records = [Record(f"{folder}/{i}.png", f"{i}.png") for folder in "ab" for i in range(5)]
    for count in (1, 3, 7):
        assert len(some(Photographs(tuple(records)), count)) == count


def test_what_is_held_out_of_some_is_a_fair_share():
    whole = Photographs(tuple(Record("shard.tar", f"{i}.webp", 0, 1) for i in range(4000)))
    first, second = split(some(whole, 1000), 0.1)
    assert 60 < len(second) < 140
    assert len(first) + len(second) == 1000


def test_labels_as_the_numbers_that_a_stream_has():
    photographs = Photographs(
        (Record("a", "a", label=0), Record("b", "b", label=1), Record("c", "c")), ("7", "sea")
    )
    assert [record.label for record in photographs.numbered().records] == [7, -1, -1]


def test_all_formats_that_are_read_are_found_and_others_are_told(tmp_path):
    read = ["a.jpg", "b.JFIF", "c.avif", "d.gif", "e.jp2", "f.HEIC"]
    for name in (*read, "g.nef", "h.PSD", "i.txt", ".j.psd"):
        (tmp_path / name).touch()
    found = find_photographs([tmp_path])
    assert [record.name for record in found.records] == read
    (note,) = found.notes
    assert "2 files in formats that are not read (.nef, .psd) left out" in note
    assert some(split(found, 0.0)[0], 2).notes == found.labelled_as(("x",)).notes == found.notes
