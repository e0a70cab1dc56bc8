"""A service as users start it, and a picture to send."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from service_helpers import encoded, serving

import tintype
from tintype.serve.app import make_app
from tintype.serve.settings import ServeSettings


@pytest.fixture(scope="session", autouse=True)
def these_sources() -> Iterator[None]:
    """What is started in a process of its own is what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(tintype.__file__).parent.parent))
        yield


@pytest.fixture(scope="session")
def jpeg(grey_photo: np.ndarray) -> bytes:
    """A grey photograph as JPEG, with a resolution and a word of EXIF."""
    exif = Image.Exif()
    exif[0x010E] = "A cat"
    return encoded(grey_photo, "JPEG", quality=90, dpi=(300, 300), exif=exif)


@pytest.fixture(scope="session")
def service(telling_model: Path, these_sources: None) -> Iterator[str]:
    """The address of a service in a process of its own."""
    with serving("--model", str(telling_model)) as address:
        yield address


@pytest.fixture(scope="module")
def client(telling_model: Path) -> Iterator[TestClient]:
    settings = ServeSettings(
        model=str(telling_model), max_pixels=500_000, max_bytes=2_000_000, workers=2, queue=4
    )
    with TestClient(make_app(settings), base_url="http://localhost") as opened:
        yield opened


@pytest.fixture
def frank(client: TestClient) -> TestClient:
    """A client that hears of the service's own faults as others do."""
    return TestClient(client.app, base_url="http://localhost", raise_server_exceptions=False)
