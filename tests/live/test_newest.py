"""The newest picture is what is coloured; what is passed over is counted."""

from __future__ import annotations

import time

import pytest
from live_helpers import Keyboard, Pictures, live, numbered

from tintype.errors import InputError
from tintype.live.sources import Newest


def test_the_newest_picture_wins():
    newest = Newest(Pictures(numbered(40)))
    while not newest._ended:
        time.sleep(0.01)
    shot = newest.take(1)
    assert (shot.number, shot.rgb[0, 0, 0]) == (39, 195)
    assert newest.take(0) is None
    assert newest.ended
    newest.close()
    assert newest._source.closed


def test_what_the_source_raises_comes_after_its_last_picture():
    newest = Newest(Pictures(numbered(3), ending=InputError("The camera 0 has stopped.")))
    while not newest._ended:
        time.sleep(0.01)
    assert newest.take(1).number == 2
    with pytest.raises(InputError, match="has stopped"):
        newest.take(1)
    newest.close()


def test_what_the_source_raises_while_a_picture_is_painted_is_raised(painter):
    class Slow(Keyboard):
        def show(self, picture):
            super().show(picture)
            time.sleep(0.2)

    view = Slow()
    with pytest.raises(InputError, match="has stopped"):
        live(painter, numbered(3), view=view, ending=InputError("The camera 0 has stopped."))
    assert view.shown


def test_pictures_that_nobody_waits_for_are_counted_as_passed_over(painter):
    loop, view = live(painter, numbered(50), pause=0.001)
    summary = loop.summary
    assert summary.shown == len(view.shown) >= 1
    assert summary.shown + summary.dropped == 50
    assert f"{summary.shown} pictures shown" in summary.sentence()
