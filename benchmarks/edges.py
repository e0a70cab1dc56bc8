"""How true colour survives being brought back from an eighth of its size: bilinear against guided.

True Cb, Cr of photographs are averaged down to an eighth and brought back to full size by plain
bilinear interpolation and by `tintype.chroma.ChromaField`. Prints the root mean square error in 8-bit
code values over all pixels and over the tenth where true chroma changes most, and saves a picture.

    python benchmarks/edges.py [--photos FOLDER|SHARD.tar ...] [--limit N] [--picture OUT.png]

Without `--photos` scikit-image's own pictures are used. A folder or shard needs `tintype[train]`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tintype.chroma import ChromaField
from tintype.color import luma_of, rgb_to_cbcr, ycbcr_to_rgb

FACTOR = 8
ZOOM, CAPTION = 4, 32  # of the picture
Float = NDArray[np.float32]


def photographs(paths: list[Path], limit: int | None) -> Iterator[NDArray[np.uint8]]:
    """RGB (H, W, 3) uint8 with sides that are multiples of `FACTOR`."""
    if paths:
        from tintype.train.data import decode_rgb8
        from tintype.train.sources import find_records

        pictures = (decode_rgb8(record.read()) for record in find_records(paths)[:limit])
    else:
        from skimage import data

        pictures = iter([data.astronaut(), data.coffee(), data.chelsea(), data.rocket()][:limit])
    for rgb in pictures:
        height, width = (side // FACTOR * FACTOR for side in rgb.shape[:2])
        yield rgb[:height, :width]


def bilinear(small: Float, luma: Float) -> Float:
    return cv2.resize(small, luma.shape[::-1], interpolation=cv2.INTER_LINEAR)


def guided(small: Float, luma: Float) -> Float:
    luma_small = cv2.resize(luma, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    return rgb_to_cbcr(ChromaField(small, luma_small, luma.shape, 1).rgb(0, luma))


METHODS = {"bilinear": bilinear, "guided by luma": guided}


def score(pictures: Iterator[NDArray[np.uint8]]) -> None:
    everywhere: dict[str, list[float]] = {name: [] for name in METHODS}
    at_edges: dict[str, list[float]] = {name: [] for name in METHODS}
    for rgb8 in pictures:
        rgb = rgb8.astype(np.float32) / 255
        truth, luma = rgb_to_cbcr(rgb), luma_of(rgb)
        small = cv2.resize(
            truth, (luma.shape[1] // FACTOR, luma.shape[0] // FACTOR), interpolation=cv2.INTER_AREA
        )
        change = sum(np.abs(cv2.Laplacian(truth[..., i].copy(), cv2.CV_32F, ksize=3)) for i in (0, 1))
        edges = change > np.quantile(change, 0.9)
        for name, method in METHODS.items():
            error = np.square(255 * (method(small, luma) - truth)).mean(-1)
            everywhere[name].append(float(error.mean()))
            at_edges[name].append(float(error[edges].mean()))
    count = len(everywhere["bilinear"])
    print(f"{count} photographs, true chroma brought back from 1/{FACTOR} of its size\n")
    print("| | RMSE, all pixels | ratio | RMSE, edges | ratio |\n| --- | ---: | ---: | ---: | ---: |")
    rows = {name: [float(np.sqrt(np.mean(v[name]))) for v in (everywhere, at_edges)] for name in METHODS}
    base = rows["bilinear"]
    for name, (whole, edge) in rows.items():
        print(f"| {name} | {whole:.2f} | {whole / base[0]:.2f} | {edge:.2f} | {edge / base[1]:.2f} |")


def save_picture(rgb8: NDArray[np.uint8], path: Path) -> None:
    """A detail with its true colours, and with those brought back bilinearly and guided, side by side."""
    rgb = rgb8.astype(np.float32) / 255
    truth, luma = rgb_to_cbcr(rgb), luma_of(rgb)
    small = cv2.resize(truth, None, fx=1 / FACTOR, fy=1 / FACTOR, interpolation=cv2.INTER_AREA)
    versions = [ycbcr_to_rgb(luma, method(small, luma)).clip(0, 1) for method in METHODS.values()]
    panels = [Image.fromarray(np.rint(255 * panel).astype(np.uint8)) for panel in (rgb, *versions)]
    width, height = ZOOM * panels[0].width, ZOOM * panels[0].height
    sheet = Image.new("RGB", (len(panels) * (width + 8) - 8, height + CAPTION), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (panel, name) in enumerate(zip(panels, ("true colours", *METHODS), strict=True)):
        x = i * (width + 8)
        sheet.paste(panel.resize((width, height), Image.Resampling.NEAREST), (x, CAPTION))
        draw.text((x + 4, 5), name, "black", font_size=20)
    sheet.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--limit", type=int)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    score(photographs(options.photos, options.limit))
    if options.picture:
        from skimage import data

        save_picture(data.astronaut()[96:208, 40:144], options.picture)


if __name__ == "__main__":
    main()
