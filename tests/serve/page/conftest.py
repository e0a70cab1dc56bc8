"""The page in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_helpers import is_complaint
from PIL import Image
from playwright.sync_api import sync_playwright
from service_helpers import serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def tint_service() -> Iterator[str]:
    """The model that ships, whose hints reach beyond their spot."""
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_playwright() as started:
        # The sandbox wants rights that a container's root has not.
        options = ["--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else []
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, tint_service: str) -> Iterator[Any]:
    """The page, which must not complain nor ask any other host."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, accept_downloads=True)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: dialog.accept())
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(tint_service)
    yield opened
    assert complaints == []
    assert all(url.startswith((tint_service, f"blob:{tint_service}")) for url in asked)
    context.close()


@pytest.fixture
def photo(tmp_path: Path, grey_photo: np.ndarray) -> Path:
    exif = Image.Exif()
    exif[0x010E] = "A cat"
    path = tmp_path / "cat.png"
    Image.fromarray(grey_photo).save(path, exif=exif, dpi=(300, 300))
    return path
