"""A gigapixel scan in a child process, whose peak memory is measured. Run with `pytest -m slow`."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

HEIGHT, WIDTH = 33_000, 30_000
MAX_GIB = 1.5

CHILD = """
import json, resource, sys, time
from pathlib import Path
import numpy as np
from tintype.images import open_picture, save_picture

class Tint:
    def rgb(self, y0, luma):
        rgb = np.repeat(luma[..., None], 3, axis=-1)
        inside = (luma > 20) & (luma < 235)
        rgb[..., 0] += inside * np.uint8(4)
        rgb[..., 1] -= inside * np.uint8(2)
        return rgb

start = time.perf_counter()
with open_picture(Path(sys.argv[1])) as picture, Path(sys.argv[2]).open("wb") as target:
    page = picture.pages[0]
    small = page.thumbnail(256, 256)
    colored = page.is_colored()
    save_picture(picture, [Tint()], target, "TIFF")
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"gib": peak, "seconds": seconds, "mean": float(small.mean()), "colored": colored}))
"""


def rows(y: int, count: int) -> np.ndarray:
    """Rows of the picture: a ramp with grain."""
    rng = np.random.default_rng(y)
    ramp = np.linspace(40, 200, WIDTH)[None] + (y % 3000) / 100
    return (ramp + rng.integers(-4, 5, (count, WIDTH), np.int8)).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_gigapixel_tiff_stays_under_one_and_a_half_gib(tmp_path: Path, compression: str | None) -> None:
    source, target = tmp_path / "scan.tif", tmp_path / "scan.color.tif"
    strip = 100
    tifffile.imwrite(
        source,
        (
            zlib.compress(rows(y, strip), 1) if compression else rows(y, strip)
            for y in range(0, HEIGHT, strip)
        ),
        shape=(HEIGHT, WIDTH),
        dtype=np.uint8,
        rowsperstrip=strip,
        compression=compression,
        metadata=None,
    )
    command = [sys.executable, "-c", CHILD, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    print(figures)
    assert figures["gib"] < MAX_GIB
    assert not figures["colored"]
    assert figures["mean"] == pytest.approx(135 / 255, abs=0.02)
    with tifffile.TiffFile(target) as file:
        page = file.pages[0]
        assert page.shape == (HEIGHT, WIDTH, 3)
        for y in (0, HEIGHT // 2 // strip * strip, HEIGHT - strip):
            first = y // page.rowsperstrip
            file.filehandle.seek(page.dataoffsets[first])
            data = file.filehandle.read(page.databytecounts[first])
            top = first * page.rowsperstrip
            decoded = np.asarray(page.decode(data, first, jpegtables=None)[0])[0]
            grey = np.rint(decoded[y - top] @ [0.299, 0.587, 0.114])
            assert np.abs(grey - rows(y, strip)[0]).max() <= 1
