"""What these tests share."""

from __future__ import annotations

import pytest

from tintype import Colorizer


@pytest.fixture(scope="module")
def colorizer(tiny_model):
    return Colorizer(tiny_model, threads=1)
