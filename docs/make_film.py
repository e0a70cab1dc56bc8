"""Makes the guides' pictures of films and of the live view: python docs/make_film.py

A camera pans over the photographs of `examples/` and over one in colour that scikit-image ships; the films
are coloured by the command's own functions and the model that ships.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tintype import Colorizer
from tintype.live.arguments import PANELS
from tintype.live.picture import LivePainter, Screen
from tintype.live.sources import Shot
from tintype.video import FilmOptions, colorize_film

ROOT = Path(__file__).parents[1]
HEIGHT, WIDTH, FRAMES, SHOWN, GAP = 240, 320, 48, 4, 6
Rgb8 = NDArray[np.uint8]


def pan(photograph: Image.Image) -> Iterator[Rgb8]:
    """Pictures (H, W, 3) of a camera that wanders from left to right and comes nearer."""
    scale = 1.35 * max(HEIGHT / photograph.height, WIDTH / photograph.width)
    size = (round(photograph.width * scale), round(photograph.height * scale))
    large = photograph.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    for i in range(FRAMES):
        x = (large.width - WIDTH) * i // (FRAMES - 1)
        y = (large.height - HEIGHT) // 3
        yield np.asarray(large.crop((x, y, x + WIDTH, y + HEIGHT)))


def write(path: Path, pictures: Iterator[Rgb8]) -> None:
    """A film of grey pictures."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=24, options={"crf": "12"})
        stream.width, stream.height = WIDTH, HEIGHT
        for i, rgb in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 24)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def strip(path: Path) -> Image.Image:
    """Some pictures of a film side by side."""
    with av.open(str(path)) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    sheet = Image.new("RGB", (SHOWN * (WIDTH + GAP) - GAP, HEIGHT), "white")
    for i in range(SHOWN):
        sheet.paste(frames[(len(frames) - 1) * i // (SHOWN - 1)], (i * (WIDTH + GAP), 0))
    return sheet


def film() -> None:
    """Write `docs/images/film.jpg`: pictures of two grey films, and below them coloured."""
    rows = []
    for name in ("photographer.jpg", "cat.jpg"):
        with tempfile.TemporaryDirectory() as folder, Image.open(ROOT / "examples" / name) as photograph:
            source, target = Path(folder) / "grey.mp4", Path(folder) / "color.mp4"
            write(source, pan(photograph.convert("L")))
            colorize_film(Colorizer(), source, target, FilmOptions(crf=12))
            rows += [strip(source), strip(target)]
    sheet = Image.new("RGB", (rows[0].width, len(rows) * (HEIGHT + GAP) - GAP), "white")
    for i, row in enumerate(rows):
        sheet.paste(row, (0, i * (HEIGHT + GAP)))
    sheet.save(ROOT / "docs" / "images" / "film.jpg", quality=88)


def live() -> None:
    """Write `docs/images/live.jpg`: the live view of a picture in colour."""
    from skimage import data

    painter, screen = LivePainter(Colorizer(), every=4), Screen(PANELS, loss=True)
    for i, rgb in enumerate(pan(Image.fromarray(data.astronaut()))):
        shot = Shot(rgb, i, time.monotonic())
        whole = screen.compose(shot, *painter(rgb), painter.colorizer.card.name)
    Image.fromarray(whole).save(ROOT / "docs" / "images" / "live.jpg", quality=90)


if __name__ == "__main__":
    film()
    live()
