"""Whether a film is in colour already, judged by pictures from all over it."""

from __future__ import annotations

from typing import Any

from tintype.images.toning import shows_color as picture_shows_color
from tintype.video.film import Film
from tintype.video.media import load_av, open_film

_SAMPLES, _SHARE = 12, 0.25  # a grey film may open with a coloured emblem
_SIDE = 128


def shows_color(film: Film) -> bool:
    """True where a quarter or more of the pictures looked at show true colour, not toning."""
    if film.pix_fmt.startswith(("gray", "mono")):
        return False
    av = load_av()
    found = looked = 0
    scale = _SIDE / min(film.size)
    size = {"height": max(1, round(film.size[0] * scale)), "width": max(1, round(film.size[1] * scale))}
    with open_film(film.path) as container:
        stream: Any = container.streams[film.stream.index]
        length = (film.duration or 0) / float(film.time_base)
        for i in range(_SAMPLES if length else 1):
            try:
                if i:
                    start = stream.start_time or 0
                    container.seek(int(start + length * i / _SAMPLES), stream=stream)
                frame = next(container.decode(stream))
            except (StopIteration, av.error.FFmpegError):
                continue
            small = frame.reformat(format="rgb24", **size).to_ndarray()
            found += picture_shows_color(small)
            looked += 1
    return found > 0 and found >= _SHARE * looked
