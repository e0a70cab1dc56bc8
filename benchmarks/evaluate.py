"""What scoring costs beside the model: python benchmarks/evaluate.py --photos PATH [--model tint] [--limit N]

Photographs at 256 × 256, one processor thread, each step timed by itself and the medians printed. Without
`--photos` crops of scikit-image's own pictures are used.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype import metrics
from tintype.color import rgb_to_lab
from tintype.evaluate import Options, Survey, Truth, find_photographs, open_models
from tintype.evaluate.scores import Judged, arithmetic
from tintype.evaluate.truths import cut, to_float
from tintype.images import decode_rgb8

SIZE = 256


def photographs(paths: list[Path], limit: int) -> Iterator[NDArray[np.uint8]]:
    """RGB (256, 256, 3) uint8."""
    if paths:
        for record in find_photographs(paths, limit=limit).records:
            yield cut(decode_rgb8(record.read()), SIZE, "center")
        return
    from skimage import data

    for i in range(min(limit, 40)):
        whole = (data.astronaut(), data.coffee(), data.chelsea())[i % 3]
        yield np.ascontiguousarray(whole[i : i + SIZE, 2 * i : 2 * i + SIZE])


class Stopwatch:
    """Milliseconds of each step."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)

    def __call__(self, step: str, action, *arguments):
        started = time.perf_counter()
        result = action(*arguments)
        self.times[step].append(1000 * (time.perf_counter() - started))
        return result

    def table(self) -> str:
        rows = [f"| {step} | {median(times):.1f} |" for step, times in self.times.items()]
        return "\n".join(["| step | ms a photograph |", "| --- | ---: |", *rows])


def measure(pictures: list[NDArray[np.uint8]], model_name: str) -> Stopwatch:
    """Time every step on every photograph."""
    model = open_models([model_name], Options(size=SIZE, threads=1))[0]
    watch, survey = Stopwatch(), Survey()
    for rgb8 in pictures:
        watch("first look (beside decoding)", lambda picture: survey.add(Truth("", picture)), rgb8)
    weights = survey.weights()
    for rgb8 in pictures:
        truth = Truth("", rgb8)
        watch("truth to Lab", lambda one: one.lab, truth)
        prediction = watch("model, and its colours merged", model.predict, truth)
        judged = Judged(truth, weights)
        watch("all arithmetic scores", arithmetic, prediction, judged)
        rgb = to_float(prediction.rgb8)
        watch("… of them SSIM", metrics.ssim, rgb, truth.rgb)
        watch("… of them ΔE2000", metrics.delta_e_2000, rgb_to_lab(rgb), truth.lab)
    return watch


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--model", default="tint")
    parser.add_argument("--limit", type=int, default=200)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    pictures = list(photographs(options.photos, options.limit))
    print(f"{len(pictures)} photographs of {SIZE} × {SIZE}, {options.model}, one thread\n")
    print(measure(pictures, options.model).table())


if __name__ == "__main__":
    main()
