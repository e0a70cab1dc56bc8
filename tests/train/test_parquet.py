"""Parquet files as data sets: rows are photographs, read by row group, in an order that can go on."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from skimage import data

from tintype import evaluate
from tintype.errors import DataError
from tintype.train import parquet
from tintype.train.data import CropDataset, CropSettings, OrderedBatches
from tintype.train.sources import find_photographs, find_records


def pictures(count):
    rgb = data.chelsea()
    return [cv2.imencode(".png", rgb[i : i + 40, i : i + 50, ::-1])[1].tobytes() for i in range(count)]


def structs(values, names=None):
    names = names or [None] * len(values)
    rows = [{"bytes": value, "path": name} for value, name in zip(values, names, strict=True)]
    return pa.array(rows, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


def write(path, columns, group=4, notes=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns).replace_schema_metadata(notes)
    pq.write_table(table, path, row_group_size=group)
    return path


def test_hugging_faces_layout(tmp_path):
    values = pictures(10)
    names = [f"photo{i}.png" for i in range(10)]
    file = write(tmp_path / "a.parquet", {"image": structs(values, names), "caption": ["x"] * 10})
    records = find_records([file])
    assert [r.read() for r in records] == values
    assert [r.name for r in records] == names
    assert {r.block for r in records} == {(str(file), i) for i in range(3)}


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_a_plain_binary_column(tmp_path, kind):
    values = pictures(5)
    write(tmp_path / "deep" / "a.parquet", {"id": range(5), "jpg": pa.array(values, kind)})
    records = find_records([tmp_path])  # a folder of them
    assert [r.read() for r in records] == values
    assert [r.name for r in records] == [f"a-{i:08d}" for i in range(5)]


def test_names_that_are_no_names_are_replaced_by_the_rows_number(tmp_path):
    file = write(tmp_path / "a.parquet", {"image": structs(pictures(3), ["image.png"] * 3)})
    assert [r.name for r in find_records([file])] == [f"a-{i:08d}" for i in range(3)]


@pytest.mark.parametrize(
    ("labels", "names", "wanted"),
    [
        (["sea", None, "land", "sea"], ("land", "sea"), [1, -1, 0, 1]),
        ([10, 9, -1, None], ("9", "10"), [1, 0, -1, -1]),
        ([[1], [2], [3], [4]], (), [-1] * 4),
    ],
)
def test_labels(tmp_path, labels, names, wanted):
    file = write(tmp_path / "a.parquet", {"image": structs(pictures(4)), "label": labels})
    photographs = find_photographs([file])
    assert photographs.label_names == names
    assert [r.label for r in photographs.records] == wanted


def test_class_names_kept_by_hugging_faces_library(tmp_path):
    notes = {"huggingface": json.dumps({"info": {"features": {"label": {"names": ["cat", "dog"]}}}})}
    columns = {"image": structs(pictures(2)), "label": [1, 0]}
    photographs = find_photographs([write(tmp_path / "a.parquet", columns, notes=notes)])
    assert photographs.label_names == ("cat", "dog")
    assert [r.label for r in photographs.records] == [1, 0]


@pytest.mark.parametrize("note", ["no JSON", "[]", '{"info": []}', '{"info": {"features": {"label": []}}}'])
def test_notes_of_another_kind_say_nothing(tmp_path, note):
    columns = {"image": structs(pictures(2)), "label": [1, 0]}
    photographs = find_photographs([write(tmp_path / "a.parquet", columns, notes={"huggingface": note})])
    assert photographs.label_names == ("0", "1")


@pytest.mark.parametrize(
    "kind", [pa.large_binary(), pa.binary_view(), pa.dictionary(pa.int32(), pa.binary())]
)
def test_columns_of_any_kind_of_bytes(tmp_path, kind):
    values = pictures(3)
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"photo": pa.array(values).cast(kind)}), file)
    assert [record.read() for record in find_records([file])] == values


def test_which_column(tmp_path):
    values = pictures(2)
    file = write(tmp_path / "a.parquet", {"small": values[:1], "large": values[1:]})
    with pytest.raises(DataError, match="may have pictures in small, large; say where with --image-column"):
        find_photographs([file])
    assert find_photographs([file], image_column="large").records[0].read() == values[1]
    with pytest.raises(DataError, match="no column of pictures 'huge'; it has small, large"):
        find_photographs([file], image_column="huge")
    with pytest.raises(DataError, match="no column of pictures; it has url, width"):
        find_photographs([write(tmp_path / "b.parquet", {"url": ["https://x"], "width": [3]})])


def test_files_that_are_no_parquet_or_end_early(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="no readable Parquet file"):
        find_records([tmp_path / "a.parquet"])
    file = write(tmp_path / "b.parquet", {"image": structs(pictures(40))})
    (record, *_) = find_records([file])
    file.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        record.read()


def test_broken_rows_are_skipped_and_named(tmp_path):
    values = pictures(4)
    file = write(tmp_path / "a.parquet", {"image": structs([None, b"broken", *values[2:]])})
    log = tmp_path / "skipped.tsv"
    dataset = CropDataset(find_photographs([file]), 32, skipped=log)
    assert (dataset[0][0] == dataset[2][0]).all()
    assert (dataset[1][0] == dataset[2][0]).all()
    reason = "Not a picture that can be decoded."
    assert log.read_text() == f"a-00000000\t{reason}\na-00000001\t{reason}\n"


def test_each_column_gives_its_own_pictures(tmp_path):
    values = pictures(6)
    file = write(tmp_path / "a.parquet", {"photo": values[:3], "edited": values[3:]})
    found = [[r.read() for r in find_records([file], column)] for column in ("photo", "edited")]
    assert found == [values[:3], values[3:]]


def test_a_file_that_was_replaced_is_read_anew(tmp_path):
    values = pictures(6)
    records = find_records([write(tmp_path / "a.parquet", {"image": values[:3]})])
    assert [r.read() for r in records] == values[:3]
    write(tmp_path / "a.parquet", {"image": values[3:]})
    assert [r.read() for r in records] == values[3:]
    write(tmp_path / "a.parquet", {"image": values[:1]})
    with pytest.raises(DataError, match="fewer rows"):
        records[2].read()
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        records[0].read()


def test_scores_of_another_column_are_not_taken(tmp_path):
    values = pictures(2)
    file = write(tmp_path / "a.parquet", {"photo": values[:1], "edited": values[1:]})
    places = [evaluate.find_photographs([file], image_column=column) for column in ("photo", "edited")]
    assert places[0].state() != places[1].state()


@pytest.fixture
def many(tmp_path, monkeypatch):
    """200 rows in 20 row groups in two files, and a window of about four groups."""
    values = pictures(100)
    for name in "ab":
        write(tmp_path / f"{name}.parquet", {"image": structs(values)}, group=10)
    photographs = find_photographs([tmp_path])
    limit = 4 * max(r.size for r in photographs.records)
    monkeypatch.setattr(parquet, "WINDOW_BYTES", limit)
    monkeypatch.setattr("tintype.train.photographs.WINDOW_BYTES", limit)
    monkeypatch.setattr(parquet, "_cache", parquet._RowGroups())
    return photographs


def test_an_epoch_reads_each_row_group_once_and_mixes_several(many, monkeypatch):
    reads = []
    read = parquet._read
    monkeypatch.setattr(parquet, "_read", lambda record: reads.append(record.block) or read(record))
    order = many.shuffled(np.random.default_rng(0))
    assert sorted(order) == list(range(200))
    for i in order:
        many.records[i].read()
    assert len(reads) == len(set(reads)) == 20
    assert len({many.records[i].block for i in order[:20]}) >= 3
    assert len(parquet._cache._kept) <= 4
    assert list(many.shuffled(np.random.default_rng(1))) != list(order)


def test_a_run_on_parquet_goes_on_where_it_stopped(many):
    crops = CropDataset(many, 16, CropSettings())

    def batches():
        return OrderedBatches(len(many), 16, seed=3, shuffle=many.shuffled)

    whole, later = batches(), batches()
    everything = [batch for _ in range(2) for batch in whole]
    later.go_on_at(15)
    assert list(later) == everything[15:]
    again = CropDataset(many, 16, CropSettings())
    assert all((again[p][0] == crops[p][0]).all() for p in everything[15])
