"""Services to call, a client that calls them, and pictures to send."""

from __future__ import annotations

import importlib.util
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

_FILE = Path(__file__).parents[2] / "benchmarks" / "serve.py"
_spec = importlib.util.spec_from_file_location("benchmark_of_serving", _FILE)
_benchmark = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _benchmark
_spec.loader.exec_module(_benchmark)

# What the benchmark does at length the tests do in small.
Caller, hammer, serving = _benchmark.Caller, _benchmark.hammer, _benchmark.serving


def encoded(values: np.ndarray, kind: str, **options: object) -> bytes:
    """A picture's file."""
    file = BytesIO()
    Image.fromarray(values).save(file, kind, **options)
    return file.getvalue()
