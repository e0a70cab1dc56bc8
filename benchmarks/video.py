"""What colour costs on a film, and how still it keeps. Prints tables; both sides are measured in one run.

    python benchmarks/video.py [speed] [flicker] [memory] [--model NAME|FILE.onnx] [--frames N] [--film FILM]

*speed*: a 1080p film, H.264, is decoded and encoded with libx264, plain and by `tintype.video`, with the
same settings, in turn. *flicker*: moving pictures with true colour are made grey and coloured picture by
picture and steadily. Flicker is the flow-warped ab error between neighbours, where nothing was hidden; the
error is that to the true colours, in Lab units; CDC is as `tintype.metrics` defines it. The moving pictures
are made of scikit-image's photographs, with a camera that pans, zooms and turns, something that passes in
front, grain and cuts; or they are `--film`s in colour, whose own coding noise counts. *memory*: a film of
`--frames` pictures of 480×270 is coloured, and the process's memory printed on the way.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import cycle, islice, pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from live import resident  # a script beside this one
from tintype import Colorizer, metrics
from tintype.chroma import chroma_field
from tintype.color import luma_of, rgb_to_lab
from tintype.framing import network_size
from tintype.temporal import EVERY, FrameByFrame, Steady
from tintype.video import FilmOptions, colorize_film
from tintype.video.run import painting_threads

Rgb8 = NDArray[np.uint8]
# x264's preset, and pictures between two looks.
SETTINGS = {
    "libx264 medium, crf 18": ("medium", EVERY),
    "libx264 ultrafast, crf 18, --every 10": ("ultrafast", 10),
}


def moving(count: int, height: int, width: int) -> Iterator[Rgb8]:
    """RGB pictures (H, W, 3): two shots of a moving camera, with an object passing in front, and grain."""
    from skimage import data

    rng = np.random.default_rng(0)
    shots = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()][: max(1, min(4, count // 30))]
    passing = data.chelsea()[60:240, 120:330]
    for i in range(count):
        shot, t = divmod(i, -(-count // len(shots)))
        picture = shots[shot]
        scale = 1.25 * max(height / picture.shape[0], width / picture.shape[1]) * (1 + 0.002 * t)
        middle = (picture.shape[1] / 2 + 0.6 * t - 8, picture.shape[0] / 2 + 0.3 * t - 4)
        turn = cv2.getRotationMatrix2D(middle, 0.08 * t, scale)
        turn[:, 2] += np.array([width / 2, height / 2]) - middle
        rgb = cv2.warpAffine(
            picture, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        size = height // 3
        front = cv2.resize(passing, (size, size), interpolation=cv2.INTER_AREA)
        x = round(width / 4 + 0.006 * width * t)
        left, right = max(0, x), min(width, x + size)
        if right > left:
            rgb[height // 2 : height // 2 + size, left:right] = front[
                : height - height // 2, left - x : right - x
            ]
        grain = rng.normal(0, 4, (height, width, 1)).astype(np.float32)
        yield (rgb + grain).clip(0, 255).astype(np.uint8)


def of_film(path: Path, count: int, height: int) -> Iterator[Rgb8]:
    """The first pictures of a film in colour, at most `height` rows."""
    with av.open(str(path)) as container:
        for frame in islice(container.decode(video=0), count):
            scale = min(1.0, height / frame.height)
            size = {
                "width": round(frame.width * scale / 2) * 2,
                "height": round(frame.height * scale / 2) * 2,
            }
            yield frame.reformat(format="rgb24", **size).to_ndarray()


def flicker(colorizer: Colorizer, films: dict[str, list[Rgb8]]) -> None:
    print("\n| | side | flicker | ratio | ab error | CDC × 1000 | looks |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name, truth in films.items():
        flows = list(_flows(truth))
        sides: dict[str, Any] = {
            "frame by frame": FrameByFrame(colorizer.see),
            "steady": Steady(colorizer.see),
            "steady, every 10": Steady(colorizer.see, 10),
        }
        _row(name, "truth", _scores(truth, truth, flows), None, 0)
        base = None
        for side, carry in sides.items():
            colored = [_color(colorizer, rgb, carry) for rgb in truth]
            scores = _scores(colored, truth, flows)
            base = base or scores[0]
            _row("", side, scores, base, getattr(carry, "looks", len(truth)))


def _row(name: str, side: str, scores: tuple[float, float, float], base: float | None, looks: int) -> None:
    ratio = "" if base is None else f"{scores[0] / base:.2f}"
    error, cdc = f"{scores[1]:.2f}" if looks else "", f"{1000 * scores[2]:.2f}"
    print(f"| {name} | {side} | {scores[0]:.3f} | {ratio} | {error} | {cdc} | {looks or ''} |", flush=True)


def _color(colorizer: Colorizer, rgb: Rgb8, carry: Any) -> Rgb8:
    """A picture's luma by the film's way: small luma, carried ab, guided chroma at full size."""
    luma = np.rint(luma_of(rgb.astype(np.float32))).astype(np.uint8)
    height, width = luma.shape
    size = network_size(height, width, colorizer.size, colorizer.card.stride)
    small = cv2.resize(luma, size[::-1], interpolation=cv2.INTER_AREA) / np.float32(255)
    ab = carry(small)
    field = chroma_field(small, ab, luma.shape, strength=colorizer.strength, threads=colorizer.threads)
    return np.asarray(field.rgb(0, luma))


def _flows(pictures: list[Rgb8]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """From each picture to the one before, and where that was in sight; nothing is across a cut."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (0, 0), 1) for rgb in pictures]
    x, y = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in grey[0].shape[::-1]))
    for before, now in pairwise(grey):
        flow, back = search.calc(now, before, None), search.calc(before, now, None)
        at = (x + flow[..., 0], y + flow[..., 1])
        returned = cv2.remap(back, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        came = cv2.remap(before, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        visible = (np.square(flow + returned).sum(-1) < 1) & (cv2.absdiff(now, came) < 12)
        yield flow, visible if visible.mean() > 0.5 else np.zeros_like(visible)


def _scores(colored: list[Rgb8], truth: list[Rgb8], flows: list[Any]) -> tuple[float, float, float]:
    """Flicker, error and CDC; ab of one picture and its neighbour at a time, for memory's sake."""
    moved, errors, before = [], [], None
    for i, (rgb, true) in enumerate(zip(colored, truth, strict=True)):
        ab, wanted = (rgb_to_lab(x.astype(np.float32) / 255)[..., 1:] for x in (rgb, true))
        errors.append(metrics.ab_rmse(ab, wanted))
        if before is not None and flows[i - 1][1].any():
            moved.append(metrics.warped_error(ab, before, *flows[i - 1]))
        before = ab
    return mean(moved), mean(errors), metrics.color_distribution_consistency(colored)


def speed(model: str, frames: int, rounds: int) -> None:
    colorizer = _colorizer(model, None)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.mp4"
        _encode(source, (_grey_frame(rgb) for rgb in moving(frames, 1080, 1920)), "veryfast")
        print(f"\n1080p, {frames} frames, model {model}, {rounds} rounds\n")
        print("| | plain decode + encode, frames/s | coloured, frames/s | ratio of times | min | max |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, (preset, every) in SETTINGS.items():
            plain, ours = [], []
            for _ in range(rounds):
                plain.append(
                    _timed(lambda preset=preset: _recode(source, Path(folder) / "plain.mp4", preset))
                )
                options = FilmOptions(preset=preset, crf=18, every=every, overwrite=True)
                target = Path(folder) / "ours.mp4"
                ours.append(_timed(lambda c=colorizer, o=options, t=target: colorize_film(c, source, t, o)))
            ratios = [b / a for a, b in zip(plain, ours, strict=True)]
            rates = f"{frames / median(plain):.1f} | {frames / median(ours):.1f}"
            print(
                f"| {name} | {rates} | {median(ratios):.2f} | {min(ratios):.2f} | {max(ratios):.2f} |",
                flush=True,
            )


def _colorizer(model: str, size: int | None) -> Colorizer:
    """As the command makes it."""
    return Colorizer(model, size=size, threads=painting_threads())


def memory(model: str, frames: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, shot = Path(folder) / "source.mp4", list(moving(240, 270, 480))
        _encode(source, (_grey_frame(rgb) for rgb in islice(cycle(shot), frames)), "ultrafast")
        print("\n| pictures coloured | memory, MiB |\n| ---: | ---: |")

        def tell(done: int, _total: int | None) -> None:
            if done % max(1, frames // 10) == 0:
                print(f"| {done:,} | {resident():.1f} |", flush=True)

        options = FilmOptions(preset="ultrafast", every=10)
        colorize_film(_colorizer(model, None), source, Path(folder) / "colored.mp4", options, tell)


def _timed(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _grey_frame(rgb: Rgb8) -> Any:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return av.VideoFrame.from_ndarray(np.dstack([grey] * 3), "rgb24").reformat(format="yuv420p")


def _encode(path: Path, pictures: Iterator[Any], preset: str) -> None:
    with av.open(str(path), "w") as output:
        stream = None
        for i, frame in enumerate(pictures):
            if stream is None:
                stream = output.add_stream("libx264", rate=25, options={"preset": preset, "crf": "18"})
                stream.width, stream.height = frame.width, frame.height
            frame.pts, frame.time_base, frame.pict_type = i, Fraction(1, 25), 0
            output.mux(stream.encode(frame))
        if stream is not None:
            output.mux(stream.encode(None))


def _recode(source: Path, target: Path, preset: str) -> None:
    with av.open(str(source)) as container:
        container.streams.video[0].thread_type = "AUTO"
        _encode(target, container.decode(video=0), preset)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help="some of speed, flicker and memory (default: the first two)")
    parser.add_argument("--model", default="tint")
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--film", type=Path, nargs="*", default=[])
    parser.add_argument("--height", type=int, default=360, help="rows of the pictures that flicker")
    parser.add_argument("--size", type=int, help="the network's, where flicker is measured")
    options = parser.parse_args()
    parts = options.parts or ["speed", "flicker"]
    if unknown := set(parts) - {"speed", "flicker", "memory"}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    if "speed" in parts:
        speed(options.model, options.frames, options.rounds)
    if "memory" in parts:
        memory(options.model, options.frames)
    if "flicker" in parts:
        colorizer = _colorizer(options.model, options.size)
        films = {path.stem: list(of_film(path, options.frames, options.height)) for path in options.film}
        width = options.height * 16 // 9
        flicker(
            colorizer, films or {"moving photographs": list(moving(options.frames, options.height, width))}
        )


if __name__ == "__main__":
    main()
