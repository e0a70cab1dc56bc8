"""What these tests share."""

from __future__ import annotations

import pytest

from tintype import Colorizer
from tintype.live.picture import LivePainter


@pytest.fixture
def painter(tiny_model):
    return LivePainter(Colorizer(tiny_model, threads=1), every=4)
