"""The command in a process of its own, and pictures for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import tintype

SOURCE = Path(tintype.__file__).parent.parent


def grey(size: tuple[int, int] = (40, 30), seed: int = 0) -> Image.Image:
    """A grey picture of noise, (W, H), which no format makes much smaller."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, size[::-1], np.uint8))


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(SOURCE)}


def command(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """`tintype ARGS` in a process of its own."""
    line = [sys.executable, "-m", "tintype", *map(str, args)]
    options = {"capture_output": True} | options
    return subprocess.run(line, env=environment(), check=False, timeout=120, **options)


def python(code: str, *args: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(
        line, env=environment(), check=False, timeout=120, capture_output=True, text=True, **options
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
