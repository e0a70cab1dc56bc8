"""What these tests share."""

from __future__ import annotations

import pytest

from scoring_helpers import linear_model, vivid_model, write_photographs
from tintype import evaluate


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return evaluate.find_photographs([write_photographs(tmp_path_factory.mktemp("photographs"))])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(linear_model(tmp_path_factory.mktemp("linear")))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with photographs and two models, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    write_photographs(tmp_path / "photos")
    linear_model(tmp_path)
    vivid_model(tmp_path)
    return tmp_path
