"""The colours that the shipped models give are those of before, from file to picture.

After a change that is meant, `python tests/test_shipped_colors.py` writes shipped_colors.json anew.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import tintype
from tintype import Colorizer

GOLDEN = Path(__file__).with_name("shipped_colors.json")
CELLS = 8  # along each side, of which the mean colour is kept
PICTURES = {"astronaut": data.astronaut, "chelsea": data.chelsea}
# 0…255, the mean over a picture: a processor's own rounding. 8 bits are rounded in other ways on others.
DISTANCES = {"tint-int8": 1.0}


def found(model: str, picture: str) -> list[list[list[int]]]:
    """Mean colours (CELLS, CELLS, 3), 0…255, of a grey photograph."""
    grey = np.asarray(Image.fromarray(PICTURES[picture]()[::2, ::2]).convert("L"))
    colored = Image.fromarray(Colorizer(model, threads=1)(grey))
    return np.asarray(colored.resize((CELLS, CELLS), Image.Resampling.BOX)).tolist()


def cases() -> list[tuple[str, str]]:
    models = sorted(path.stem for path in (Path(tintype.__file__).parent / "models").glob("*.onnx"))
    return [(model, picture) for model in models for picture in PICTURES]


@pytest.mark.parametrize(("model", "picture"), cases())
def test_colours_are_those_of_before(model: str, picture: str) -> None:
    golden = np.asarray(json.loads(GOLDEN.read_text(encoding="utf-8"))[f"{model}, {picture}"])
    distance = np.abs(found(model, picture) - golden)
    assert distance.mean() <= DISTANCES.get(model, 0.5)
    assert np.ptp(golden, axis=-1).mean() > 10, "a change of colour would show"


if __name__ == "__main__":
    lines = [f'"{model}, {picture}": {json.dumps(found(model, picture))}' for model, picture in cases()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
