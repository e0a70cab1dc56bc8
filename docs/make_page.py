"""Makes the README's picture of the page, at desktop and telephone width: python docs/make_page.py

Needs the extra `dev` and Chromium. The photograph is from the data that scikit-image ships, made grey.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright
from skimage import data

ROOT = Path(__file__).parents[1]
GAP, GROUND = 24, (128, 128, 128)
PHOTOGRAPHS = {"coffee": data.coffee, "cat": data.chelsea, "astronaut": data.astronaut, "rocket": data.rocket}
# The desktop and the telephone: size, colour scheme, the first photograph, a spot and its swatch, the line.
VIEWS = (
    ((1180, 760), "dark", "coffee", ((0.27, 0.55), "strong blue"), 0.16),
    ((390, 760), "light", "astronaut", None, 0.5),
)


def main() -> None:
    """Write `docs/images/page.jpg`."""
    command = [sys.executable, "-m", "tintype", "serve", "--port", "0"]
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert service.stderr is not None
    try:
        address = re.findall(r"http://\S+", service.stderr.readline())[0]
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
            files = {name: str(photograph(Path(folder), name)) for name in PHOTOGRAPHS}
            options = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
            browser = started.chromium.launch(**options)
            shots = [shot(browser, address, files, *view) for view in VIEWS]
            browser.close()
    finally:
        service.terminate()
        service.wait()
    height = max(picture.height for picture in shots)
    sheet = Image.new("RGB", (sum(p.width for p in shots) + GAP * (len(shots) - 1), height), GROUND)
    left = 0
    for picture in shots:
        sheet.paste(picture, (left, 0))
        left += picture.width + GAP
    sheet.save(ROOT / "docs" / "images" / "page.jpg", quality=88)


def photograph(folder: Path, name: str) -> Path:
    """A photograph made grey."""
    path = folder / f"{name}.jpg"
    Image.fromarray(PHOTOGRAPHS[name]()).convert("L").save(path, quality=92)
    return path


def shot(
    browser: Any,
    address: str,
    files: dict[str, str],
    size: tuple[int, int],
    scheme: str,
    first: str,
    hint: tuple[tuple[float, float], str] | None,
    line: float,
) -> Image.Image:
    """The page with its pictures and, where there is a hint, that as it is given."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.set_input_files("#files", [files[first], *(path for name, path in files.items() if name != first)])
    page.wait_for_timeout(4000)
    sheet, knob = (page.locator(place).bounding_box() for place in ("#sheet", "#split .knob"))
    y = knob["y"] + knob["height"] / 2
    page.mouse.move(knob["x"] + knob["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(sheet["x"] + line * sheet["width"], y, steps=5)
    page.mouse.up()
    if hint is not None:
        (x, y), color = hint
        page.mouse.click(sheet["x"] + x * sheet["width"], sheet["y"] + y * sheet["height"])
        page.locator(f"#grid [title={color!r}]").click()
    page.wait_for_timeout(2500)
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


if __name__ == "__main__":
    main()
