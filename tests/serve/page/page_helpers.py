"""What a person does on the page, and what they see there."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RED = (200, 40, 40)


def is_complaint(message: Any) -> bool:
    """An error that is not just a picture's refusal, or its file's, which the page tells in words."""
    return message.type == "error" and not any(
        known in message.text for known in ("422", "ERR_FILE_NOT_FOUND", "ERR_UPLOAD_FILE_CHANGED")
    )


def let_fall(page: Any, *paths: Path) -> None:
    """Drop files on the page, as the browser tells it."""
    files = [{"name": path.name, "bytes": list(path.read_bytes())} for path in paths]
    page.evaluate(
        """(files) => {
            const transfer = new DataTransfer();
            for (const file of files) transfer.items.add(new File([new Uint8Array(file.bytes)], file.name));
            window.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, cancelable: true}));
        }""",
        files,
    )


def drop(page: Any, *paths: Path) -> None:
    """The same, until all that follows has come."""
    let_fall(page, *paths)
    page.locator("#after[src]").wait_for()
    settle(page)


def settle(page: Any) -> None:
    """Until nothing is asked of the service any more."""
    quiet = 0
    while quiet < 3:
        page.wait_for_timeout(70)
        quiet = 0 if page.locator("#stage").get_attribute("aria-busy") == "true" else quiet + 1


def until(page: Any, condition: Callable[[], bool]) -> None:
    """The page forbids Playwright's own waiting for a condition."""
    for _ in range(200):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not come to be within 10 s")


def seen(page: Any, x: float, y: float, half: int = 3) -> np.ndarray:
    """The mean colour (3,) of what stands on the screen around a place of the picture, in fractions."""
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), float)
    column, row = (round(v) for v in screen_place(page, x, y))
    return shot[row - half : row + half + 1, column - half : column + half + 1].mean((0, 1))


def screen_place(page: Any, x: float, y: float) -> tuple[float, float]:
    box = page.locator("#sheet").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def distance(color: np.ndarray, to: tuple[int, int, int]) -> float:
    """How far the red-green and blue-yellow parts are apart, whatever the lightness."""
    difference = color - np.array(to)
    return float(np.hypot(difference[0] - difference[1], difference[2] - difference[1]))


def hint(page: Any, x: float, y: float, color: str) -> None:
    """Click a place and give it a colour by the picker."""
    page.mouse.click(*screen_place(page, x, y))
    page.locator("#swatches").wait_for()
    page.locator("#picker").fill(color)
    page.locator("#swatches-close").click()
    settle(page)


def on_stage(page: Any) -> np.ndarray:
    """The colour picture of the stage as it came, RGB (H, W, 3)."""
    address = page.evaluate(
        """() => {
            const image = document.getElementById("after");
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext("2d").drawImage(image, 0, 0);
            return canvas.toDataURL("image/png");
        }"""
    )
    data = base64.b64decode(address.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), float)


def delay(page: Any, condition: str, milliseconds: int) -> None:
    """Have the page's next requests wait where the condition on `path` holds, from its next loading on."""
    page.add_init_script(
        f"""const plainly = window.fetch;
        window.fetch = async (path, options) => {{
            if ({condition}) await new Promise((done) => setTimeout(done, {milliseconds}));
            return plainly(path, options);
        }};"""
    )
