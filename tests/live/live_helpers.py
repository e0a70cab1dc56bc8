"""Sources, keys and films that the tests of the live view make themselves."""

from __future__ import annotations

import time

import av
import numpy as np

from tintype.live import command, views
from tintype.live.picture import Screen
from tintype.live.sources import Newest


def numbered(count, height=48, width=64):
    """Pictures whose grey says their number."""
    return [np.full((height, width, 3), 5 * i % 256, np.uint8) for i in range(count)]


class Pictures:
    """A source of given pictures, as fast as they are taken, then of what `ending` raises."""

    def __init__(self, pictures, ending=None, pause=0.0):
        self.pictures, self.ending, self.pause = iter(pictures), ending, pause
        self.closed = False

    def read(self):
        time.sleep(self.pause)
        picture = next(self.pictures, None)
        if picture is None and self.ending:
            raise self.ending
        return picture

    def stop(self):
        pass

    def close(self):
        self.closed = True


class Keyboard(views.Nowhere):
    """Shows to a list, and presses given keys after so many pictures."""

    def __init__(self, keys=None):
        self.shown, self.presses = [], dict(keys or {})

    def show(self, picture):
        self.shown.append(picture)

    def pressed(self):
        return self.presses.pop(len(self.shown), [])


def live(
    painter,
    pictures,
    view=None,
    recorder=None,
    panels=("original", "grey", "color"),
    loss=False,
    say=None,
    **source,
):
    newest = Newest(Pictures(pictures, **source))
    view = view or Keyboard()
    loop = command.Live(newest, view, painter, Screen(panels, loss=loss), recorder, say)
    try:
        loop.run()
    finally:
        newest.close()
    return loop, view


def film(path, count=8, rate=50):
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=rate)
        stream.width, stream.height = 64, 48
        for rgb in numbered(count):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        output.mux(stream.encode(None))
    return str(path)
