"""A service in a process of its own, as users start it, and pictures to send."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tintype

SOURCE = Path(tintype.__file__).parent.parent


def encoded(values: np.ndarray, kind: str, **options: object) -> bytes:
    """A picture's file."""
    file = BytesIO()
    Image.fromarray(values).save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def jpeg(grey_photo: np.ndarray) -> bytes:
    """A grey photograph as JPEG, with a resolution and a word of EXIF."""
    exif = Image.Exif()
    exif[0x010E] = "A cat"
    return encoded(grey_photo, "JPEG", quality=90, dpi=(300, 300), exif=exif)


@contextmanager
def serving(*arguments: str | Path) -> Iterator[str]:
    """`tintype serve` on a port that is free: its address, with the token where there is one."""
    command = [sys.executable, "-m", "tintype", "serve", "--port", "0", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        yield found[0]
        assert process.poll() is None, "the service has ended by itself"
    finally:
        process.terminate()
        process.wait(20)
        process.stderr.close()


@pytest.fixture(scope="session")
def service(telling_model: Path) -> Iterator[str]:
    """The address of a service with a model that takes hints."""
    with serving("--model", telling_model) as address:
        yield address
