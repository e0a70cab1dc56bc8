import argparse

import cv2
import numpy as np
import pytest

from tintype.errors import DataError, SettingsError
from tintype.train.arguments import add_train_arguments
from tintype.train.named_photographs import named_photographs
from tintype.train.where import fits, parse_where


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", {}),
        ("source=a", {"source": ("a",)}),
        ("source=a,b,label=sea", {"source": ("a", "b"), "label": ("sea",)}),
        ("source=a,label=sea,source=b", {"source": ("a", "b"), "label": ("sea",)}),
        ("label=", {"label": ("",)}),
        ("label=a=b", {"label": ("a=b",)}),
    ],
)
def test_every_word_is_a_value_of_the_column_named_last(text, wanted):
    assert parse_where(text) == wanted


@pytest.mark.parametrize("text", ["a", ",source=a", "a,source=b", "=a"])
def test_a_value_without_column_is_refused(text):
    with pytest.raises(SettingsError, match="COLUMN=VALUE"):
        parse_where(text)


def test_a_row_is_taken_where_each_column_has_one_of_its_values():
    where = parse_where("source=a,b,label=sea")
    assert fits({"source": "b", "label": "sea"}, where)
    assert not fits({"source": "c", "label": "sea"}, where)
    assert not fits({"source": "a", "label": "hill"}, where)


@pytest.fixture
def places(tmp_path):
    for name in ("some/sea/1.png", "some/town/2.png", "others/sea/3.png", "others/town/4.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((8, 8, 3), (20, 90, 200), np.uint8))
    return tmp_path


def found(places, index, *words):
    (places / "index.csv").write_text(index)
    parser = argparse.ArgumentParser(add_help=False)
    add_train_arguments(parser)
    line = [
        "tint", "--data", places / "some", "--val", places / "others", "--index", places / "index.csv",
        "-o", places / "run", *words,
    ]  # fmt: skip
    train, val, _ = named_photographs(parser.parse_args(list(map(str, line))), {})
    return [
        [(r.name, p.label_names[r.label] if r.label >= 0 else "") for r in p.records] for p in (train, val)
    ]


def test_the_photographs_to_validate_on_are_narrowed_and_labelled_as_those_to_learn_from(places):
    index = "key,source,label\n1,x,blue\n2,y,grey\n3,x,blue\n4,y,grey\n"
    assert found(places, index, "--where", "source=x") == [
        [("sea/1.png", "blue")],
        [("sea/3.png", "blue")],
    ]
    with pytest.raises(DataError, match=r"^--val: No photograph fits the index"):
        found(places, "key,source\n1,x\n2,y\n", "--where", "source=x")


def test_an_index_without_labels_leaves_those_that_there_are(places):
    index = "key, source\n1,x\n2,x\n3,x\n4,y\n"  # as spreadsheets and people write it
    assert found(places, index, "--where", "source=x") == [
        [("sea/1.png", "sea"), ("town/2.png", "town")],
        [("sea/3.png", "sea")],
    ]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("key,source\n1,x\n1,y\n", "two rows with the key 1"),
        ("name,source\n1,x\n", "no column `key`"),
        ("key,source\n1,x,more,and more\n", "no column 'kind'; it has key, source"),
        ("", "no column `key`"),
    ],
)
def test_indexes_that_are_wrong(places, index, message):
    with pytest.raises(DataError, match=message):
        found(places, index, "--where", "kind=x")
