"""Services to call, a client that calls them, and pictures to send."""

from __future__ import annotations

import importlib.util
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tintype.serve.app import make_app
from tintype.serve.server import Server
from tintype.serve.settings import ServeSettings

_FILE = Path(__file__).parents[2] / "benchmarks" / "serve.py"
_spec = importlib.util.spec_from_file_location("benchmark_of_serving", _FILE)
_benchmark = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _benchmark
_spec.loader.exec_module(_benchmark)

HINTS = {"units": "fractions", "points": [{"x": 0.5, "y": 0.5, "color": "#c02030", "radius": 0.1}]}
RAW = {"Content-Type": "application/octet-stream"}
ROUTES = ("/v1/colorize", "/v1/ab", "/v1/preview")
TOKEN = "a token that is long enough"
PATIENCE = 20  # seconds that a test waits for what must come

# What the benchmark does at length the tests do in small.
Caller, hammer, serving = _benchmark.Caller, _benchmark.hammer, _benchmark.serving


@contextmanager
def running(**settings: Any) -> Iterator[tuple[str, Any]]:
    """A service in a thread of this process: its address and its desk."""
    app = make_app(ServeSettings(**settings))
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(app, lambda: None, end_seconds=1)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/", app.state.desk
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listening.close()
        assert not thread.is_alive()


def encoded(values: np.ndarray, kind: str, **options: object) -> bytes:
    """A picture's file."""
    file = BytesIO()
    Image.fromarray(values).save(file, kind, **options)
    return file.getvalue()


def sentence(response: Any) -> str:
    """The one sentence of a refusal."""
    text = response.json()["error"]
    assert list(response.json()) == ["error"]
    assert re.fullmatch(r"[A-Z][^\n]{8,300}[.!]", text), text
    assert "/tmp" not in text
    return text
