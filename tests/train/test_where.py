import pytest

from tintype.errors import SettingsError
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
