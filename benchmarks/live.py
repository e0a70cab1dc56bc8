"""How fast and how late live pictures are shown, and whether memory grows. Prints a table.

    python benchmarks/live.py [--model NAME|FILE.onnx ...] [--seconds S] [--memory N]

A film of 640×480 at 60 frames/s is the source, at its own speed, and no screen shows it. Latency is from
a picture's coming to its being handed to the view; a frame lasts as long as one of those shown. `--memory N`
then goes through N pictures as fast as it can, and prints the process's memory on the way.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import cv2
import numpy as np

from tintype import Colorizer
from tintype.live.arguments import PANELS
from tintype.live.command import Live
from tintype.live.picture import LivePainter, Screen
from tintype.live.sources import Newest, open_source
from tintype.live.views import Nowhere

HEIGHT, WIDTH, RATE = 480, 640, 60


def make_film(path: Path, seconds: float) -> None:
    """A camera that pans over a photograph in colour."""
    from skimage import data

    photograph = cv2.resize(data.astronaut(), (900, 900))
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "20"})
        stream.width, stream.height = WIDTH, HEIGHT
        for i in range(round(seconds * RATE)):
            x = round(130 * (1 + np.sin(i / 90)))
            rgb = np.ascontiguousarray(photograph[100 : 100 + HEIGHT, x : x + WIDTH])
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


class Watching(Nowhere):
    """Notes the latency of what would be shown, and every thousandth picture the memory."""

    def __init__(self, screen: Screen, tell_memory: bool = False) -> None:
        self._screen, self._tell = screen, tell_memory
        self.latencies: list[float] = []
        self.shown = 0

    def show(self, picture: Any) -> None:
        """Note."""
        self.shown += 1
        self.latencies = [*self.latencies[-5000:], self._screen.latency]
        if self._tell and self.shown % 1000 == 0:
            print(f"| {self.shown:,} | {resident():.1f} |", flush=True)


def resident() -> float:
    """This process's memory, MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def measure(model: str, film: Path) -> None:
    painter, screen = LivePainter(Colorizer(model), every=4), Screen(PANELS, loss=True)
    view = Watching(screen)
    newest = Newest(open_source(str(film)))
    live = Live(newest, view, painter, screen, None)
    live.run()
    newest.close()
    summary = live.summary
    rate = (summary.shown - 1) / summary.seconds
    late = [1000 * seconds for seconds in view.latencies[5:]]
    name, frames = painter.colorizer.card.name, median(late) / 1000 * rate
    print(f"| {name} | {rate:.1f} | {median(late):.0f} | {max(late):.0f} | {frames:.2f} |")


class Repeated:
    """A few pictures again and again, as fast as they are taken."""

    def __init__(self, film: Path, count: int) -> None:
        source = open_source(str(film), paced=False)
        self._pictures = [rgb for rgb in (source.read() for _ in range(60)) if rgb is not None]
        source.close()
        self._left = count

    def read(self) -> Any:
        """The next picture; a short sleep lets the painter keep up."""
        time.sleep(0.002)
        self._left -= 1
        return self._pictures[self._left % len(self._pictures)] if self._left >= 0 else None

    def stop(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Nothing to close."""


def memory(model: str, film: Path, count: int) -> None:
    print("\n| pictures shown | memory, MiB |\n| ---: | ---: |")
    screen = Screen(PANELS, loss=True)
    newest = Newest(Repeated(film, 10**9))
    Live(newest, Watching(screen, True), LivePainter(Colorizer(model), 4), screen, None).run(count)
    newest.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", default=["tint"])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--memory", type=int, default=0, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"
        make_film(film, options.seconds)
        print(f"{WIDTH}×{HEIGHT}, {RATE} frames/s come\n")
        print("| model | shown, frames/s | latency, median ms | max ms | median, frames |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for model in options.model:
            measure(model, film)
        if options.memory:
            memory(options.model[0], film, options.memory)


if __name__ == "__main__":
    main()
