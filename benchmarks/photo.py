"""What colour costs on top of decoding and encoding a photograph. Prints a table with ratios.

For a 12-megapixel grey JPEG, warm, both sides in one run:

- plain: decode it to grey and encode a colour JPEG of its size (simplejpeg, which is libjpeg-turbo);
- ours without the network: everything `Colorizer` does to the file's bytes but run the model;
- ours whole.

Then cold starts: `tintype --version` and one small photograph, each in a fresh process. Figures are medians.

    python benchmarks/photo.py [--model NAME|FILE.onnx] [--repeat N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import simplejpeg

from tintype import Colorizer

HEIGHT, WIDTH = 3000, 4000


def grey_jpeg(height: int, width: int) -> bytes:
    """A grey JPEG of quality 92 with the detail and grain of a photograph."""
    from skimage import data

    luma = cv2.resize(data.camera(), (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grain = np.random.default_rng(0).normal(0, 9, luma.shape).astype(np.float32)
    luma += cv2.GaussianBlur(grain, (0, 0), 1)
    return simplejpeg.encode_jpeg(luma.clip(0, 255).astype(np.uint8)[..., None], 92, "GRAY", "Gray")


def alternate(sides: dict[str, Callable[[], Any]], repeat: int) -> dict[str, list[float]]:
    """Milliseconds of each side, run in turn after one warm-up round, so that drift hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(repeat + 2):
        for name, work in sides.items():
            start = time.perf_counter()
            work()
            if i >= 2:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def warm(model: str, repeat: int) -> None:
    jpeg = grey_jpeg(HEIGHT, WIDTH)
    rgb = np.repeat(simplejpeg.decode_jpeg(jpeg, "GRAY"), 3, axis=-1)
    colorizer, without = Colorizer(model), Colorizer(model)
    run, answers = without._proposer.session.run_for, {}

    def remembered(names: Any, L: Any) -> Any:
        """The network's answer is kept from its first call: what is timed is all the rest."""
        if L.shape not in answers:
            answers[L.shape] = run(names, L)
        return dict(answers[L.shape])

    without._proposer.session.run_for = remembered

    def plain() -> None:
        simplejpeg.decode_jpeg(jpeg, "GRAY")
        simplejpeg.encode_jpeg(rgb, 92, "RGB", "420")

    times = alternate(
        {
            "plain: decode grey, encode colour": plain,
            "Tintype, all but the network": lambda: without.colorize_bytes(jpeg),
            "Tintype, whole": lambda: colorizer.colorize_bytes(jpeg),
        },
        repeat,
    )
    title = f"{WIDTH}×{HEIGHT} grey JPEG of {len(jpeg) / 1e6:.1f} MB"
    print(f"{title}, model {colorizer.card.name}, {repeat} rounds\n")
    print("| | median ms | min | max | ratio to plain |")
    print("| --- | ---: | ---: | ---: | ---: |")
    base = times["plain: decode grey, encode colour"]
    for name, values in times.items():
        ratio = median(value / other for value, other in zip(values, base, strict=True))
        print(f"| {name} | {median(values):.1f} | {min(values):.1f} | {max(values):.1f} | {ratio:.2f} |")


def cold(model: str, repeat: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "small.jpg"
        photo.write_bytes(grey_jpeg(480, 640))
        target = Path(folder) / "out.jpg"
        command = [sys.executable, "-m", "tintype"]
        colorize = [
            *command,
            "colorize",
            str(photo),
            "-o",
            str(target),
            "--overwrite",
            "--quiet",
            "--model",
            model,
        ]
        sides = {
            "`tintype --version`": [*command, "--version"],
            "`tintype colorize` of a 640×480 JPEG": colorize,
            "an empty Python process": [sys.executable, "-c", ""],
        }
        work = {
            name: lambda line=line: subprocess.run(line, check=True, capture_output=True)
            for name, line in sides.items()
        }
        times = alternate(work, repeat)
    print("\n| cold, a fresh process | median ms | min | max |\n| --- | ---: | ---: | ---: |")
    for name, values in times.items():
        print(f"| {name} | {median(values):.0f} | {min(values):.0f} | {max(values):.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tint")
    parser.add_argument("--repeat", type=int, default=11)
    options = parser.parse_args()
    warm(options.model, options.repeat)
    cold(options.model, max(3, options.repeat // 2))


if __name__ == "__main__":
    main()
