"""The page in a real browser: what a person does, and what they see."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright
from service_helpers import serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium")

RED = (200, 40, 40)


@pytest.fixture(scope="module")
def tint_service() -> Iterator[str]:
    """The model that ships, whose hints reach beyond their spot."""
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
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


def is_complaint(message: Any) -> bool:
    """An error that is not just a picture's refusal, or its file's, which the page tells in words."""
    return message.type == "error" and not any(
        known in message.text for known in ("422", "ERR_FILE_NOT_FOUND", "ERR_UPLOAD_FILE_CHANGED")
    )


@pytest.fixture
def photo(tmp_path: Path, grey_photo: np.ndarray) -> Path:
    exif = Image.Exif()
    exif[0x010E] = "A cat"
    path = tmp_path / "cat.png"
    Image.fromarray(grey_photo).save(path, exif=exif, dpi=(300, 300))
    return path


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


def test_drop_slide_hint_undo_save_reload(page: Any, photo: Path, tmp_path: Path) -> None:
    drop(page, photo)
    assert page.locator("#percent").inner_text().endswith("%")

    # The slider: grey to its left, colour to its right, by pointer and by key.
    line = page.locator("#split .knob").bounding_box()
    middle = line["x"] + line["width"] / 2, line["y"] + line["height"] / 2
    left, right = screen_place(page, 0, 0)[0], screen_place(page, 1, 0)[0]
    assert np.ptp(seen(page, 0.3, 0.55)) < 3
    colored = seen(page, 0.7, 0.55)
    assert np.ptp(colored) > 8
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(left + 0.9 * (right - left), middle[1], steps=4)
    page.mouse.up()
    assert np.ptp(seen(page, 0.7, 0.55)) < 3
    page.locator("#split").focus()
    page.keyboard.press("Home")
    np.testing.assert_allclose(seen(page, 0.7, 0.55), colored, atol=3)

    # A hint: pixels beside it turn towards its colour.
    near = (0.62, 0.68)
    before = seen(page, *near)
    hint(page, 0.6, 0.68, "#c82828")
    after = seen(page, *near)
    assert distance(after, RED) < distance(before, RED) - 15
    assert page.locator(".mark").count() == 1

    # Undo and redo, by keys.
    page.keyboard.press("Control+z")
    settle(page)
    np.testing.assert_allclose(seen(page, *near), before, atol=4)
    assert page.locator(".mark").count() == 0
    page.keyboard.press("Control+Shift+z")
    settle(page)
    np.testing.assert_allclose(seen(page, *near), after, atol=4)

    # Save: full size, all that came with it, the same colours.
    with page.expect_download() as saved:
        page.keyboard.press("Control+s")
    assert saved.value.suggested_filename == "cat.color.png"
    saved.value.save_as(tmp_path / "saved.png")
    with Image.open(photo) as grey, Image.open(tmp_path / "saved.png") as color:
        assert (color.mode, color.size) == ("RGB", grey.size)
        assert round(color.info["dpi"][0]) == 300
        assert color.getexif()[0x010E] == "A cat"
        np.testing.assert_allclose(np.asarray(color.convert("L"), int), np.asarray(grey, int), atol=1)
        spot = color.getpixel((round(near[0] * grey.width), round(near[1] * grey.height)))
        assert distance(np.array(spot, float), RED) < distance(before, RED) - 15

    # The hints go to a file, and come back after a reload.
    with page.expect_download() as hints:
        page.locator("#hints-save").click()
    hints.value.save_as(tmp_path / "cat.hints.json")
    told = json.loads((tmp_path / "cat.hints.json").read_text(encoding="utf-8"))
    assert told["units"] == "fractions"
    assert told["points"][0]["color"] == "#c82828"
    page.reload()
    assert page.locator("#empty").is_visible()
    drop(page, photo)
    page.locator("#hints-file").set_input_files(tmp_path / "cat.hints.json")
    settle(page)
    page.locator("#split").focus()
    page.keyboard.press("Home")
    np.testing.assert_allclose(seen(page, *near), after, atol=4)


def test_hints_by_keyboard_alone(page: Any, photo: Path) -> None:
    drop(page, photo)
    page.locator("#view").focus()
    page.keyboard.press("h")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    mark = page.locator(".mark")
    assert mark.count() == 1
    where = mark.bounding_box()["x"]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    settle(page)
    width = page.locator("#sheet").bounding_box()["width"]
    assert page.locator(".mark").bounding_box()["x"] - where == pytest.approx(0.02 * width, abs=1)
    page.keyboard.press("Control+z")
    assert page.locator(".mark").bounding_box()["x"] - where == pytest.approx(0.01 * width, abs=1)
    page.locator(".mark").focus()
    page.keyboard.press("Delete")
    assert page.locator(".mark").count() == 0
    settle(page)


def test_a_hint_is_dragged_and_removed_by_pointer(page: Any, photo: Path) -> None:
    drop(page, photo)
    page.locator("#split").focus()
    page.keyboard.press("Home")
    before = seen(page, 0.87, 0.2)
    hint(page, 0.5, 0.75, "#c82828")
    page.mouse.move(*screen_place(page, 0.5, 0.75))
    page.mouse.down()
    page.mouse.move(*screen_place(page, 0.85, 0.2), steps=6)
    page.mouse.up()
    settle(page)
    assert distance(seen(page, 0.87, 0.2), RED) < distance(before, RED) - 15
    with page.expect_download() as saved:
        page.locator("#hints-save").click()
    told = json.loads(Path(saved.value.path()).read_text(encoding="utf-8"))["points"]
    assert [round(told[0][axis], 2) for axis in "xy"] == [0.85, 0.2]
    page.locator(".mark").click()
    page.locator("#swatches-remove").click()
    settle(page)
    assert page.locator(".mark").count() == 0
    np.testing.assert_allclose(seen(page, 0.87, 0.2), before, atol=4)


def test_paste_zoom_pan_and_theme(page: Any, photo: Path) -> None:
    page.evaluate(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "pasted.png", {type: "image/png"}));
            window.dispatchEvent(new ClipboardEvent("paste", {clipboardData: transfer}));
        }""",
        list(photo.read_bytes()),
    )
    page.locator("#after[src]").wait_for()
    settle(page)
    fitted = page.locator("#sheet").bounding_box()
    page.mouse.move(*screen_place(page, 0.5, 0.5))
    page.mouse.wheel(0, -300)  # until no side has room to spare
    page.wait_for_timeout(200)
    spot = screen_place(page, 0.25, 0.25)
    page.mouse.move(*spot)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(200)
    zoomed = page.locator("#sheet").bounding_box()
    assert zoomed["width"] > 1.7 * fitted["width"]
    assert screen_place(page, 0.25, 0.25) == pytest.approx(spot, abs=1)  # it stays under the pointer
    page.mouse.down()
    page.mouse.move(spot[0] - 40, spot[1] - 30, steps=4)
    page.mouse.up()
    moved = page.locator("#sheet").bounding_box()
    assert (moved["x"] - zoomed["x"], moved["y"] - zoomed["y"]) == pytest.approx((-40, -30), abs=1)
    assert page.locator(".mark").count() == 0  # which was no click
    page.keyboard.press("0")
    assert page.locator("#sheet").bounding_box() == pytest.approx(fitted, abs=1)

    def ground() -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    first = ground()
    page.locator("#theme").click()
    changed = ground()
    assert changed != first
    page.reload()
    assert ground() == changed


def test_sliders_versions_and_sureness_change_what_is_seen(page: Any, photo: Path) -> None:
    drop(page, photo)
    page.locator("#split").focus()
    page.keyboard.press("Home")
    usual = seen(page, 0.7, 0.55)
    page.locator("#strength").fill("0")
    settle(page)
    assert np.ptp(seen(page, 0.7, 0.55)) < 3
    page.keyboard.press("Control+z")
    settle(page)
    np.testing.assert_allclose(seen(page, 0.7, 0.55), usual, atol=4)
    page.locator("#versions button").nth(2).click()
    settle(page)
    other = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), float)
    page.locator("#versions button").nth(0).click()
    settle(page)
    same = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), float)
    box = page.locator("#sheet").bounding_box()
    part = np.s_[int(box["y"]) : int(box["y"] + box["height"]), int(box["x"]) : int(box["x"] + box["width"])]
    assert np.abs(other[part] - same[part]).mean() > 2
    page.locator("#sureness").check()
    settle(page)
    assert page.locator("#sure").is_visible()
    assert np.abs(seen(page, 0.7, 0.55) - usual).max() > 15


def test_zooming_in_brings_full_detail(page: Any, tmp_path: Path) -> None:
    lines = np.zeros((1800, 2400), np.uint8)
    lines[:, ::2] = 255  # a pattern that no smaller picture can show
    Image.fromarray(lines).save(tmp_path / "lines.png")
    drop(page, tmp_path / "lines.png")
    page.keyboard.press("1")
    page.wait_for_timeout(500)
    settle(page)
    assert page.locator("#percent").inner_text() == "100%"
    shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"), float)
    part = shot[300:340, 200:260]
    assert np.abs(np.diff(part, axis=1)).mean() > 100


def test_several_pictures_and_a_zip(page: Any, photo: Path, tmp_path: Path) -> None:
    Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (120, 1))).save(tmp_path / "ramp.tif")
    (tmp_path / "words.jpg").write_text("no picture", encoding="utf-8")
    (tmp_path / "again").mkdir()
    second = tmp_path / "again" / photo.name
    second.write_bytes(photo.read_bytes())
    drop(page, photo, second, tmp_path / "ramp.tif", tmp_path / "words.jpg")
    page.locator("#strip .is-bad").wait_for()
    settle(page)
    assert "is not a picture" in page.locator("#strip .is-bad").get_attribute("title")
    page.keyboard.press("PageDown")
    settle(page)
    assert page.locator("#strip [aria-current=true]").get_attribute("aria-label") == "cat.png"
    with page.expect_download() as saved:
        page.locator("#zip").click()
    saved.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as packed:
        assert packed.testzip() is None
        assert packed.namelist() == ["cat.color.png", "cat-2.color.png", "ramp.color.tif"]
        with Image.open(io.BytesIO(packed.read("ramp.color.tif"))) as ramp:
            assert (ramp.mode, ramp.size) == ("RGB", (200, 120))
    page.locator("#status", has_text="words.jpg").wait_for()


def test_a_zip_holds_all_pictures_though_one_is_closed_meanwhile(page: Any, photo: Path) -> None:
    names = ["first.png", "second.png", "third.png"]
    paths = [photo.with_name(name) for name in names]
    for path in paths:
        path.write_bytes(photo.read_bytes())
    drop(page, *paths)
    page.evaluate(
        """() => {
            const real = window.fetch;
            let asked = 0;
            window.fetch = (path, options) => {
                if (path.startsWith("/v1/colorize") && ++asked === 2) {
                    document.querySelector('[aria-label="Close first.png"]').click();
                }
                return real(path, options);
            };
        }"""
    )
    with page.expect_download() as saved:
        page.locator("#zip").click()
    with zipfile.ZipFile(saved.value.path()) as packed:
        assert packed.namelist() == ["first.color.png", "second.color.png", "third.color.png"]
    page.locator("#status", has_text="Saved 3 of 3 pictures").wait_for()


def test_closing_asks_before_hints_are_lost(page: Any, photo: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.png"
    second.write_bytes(photo.read_bytes())
    drop(page, photo, second)
    settle(page)
    page.evaluate(
        """() => {
            window.questions = [];
            window.confirm = (text) => { questions.push(text); return false; };
        }"""
    )
    close = page.get_by_label("Close cat.png")
    hint(page, 0.7, 0.55, "#c82828")
    close.click()
    assert page.evaluate("questions") == ["cat.png has hints and was not saved. Close it?"]
    assert close.count() == 1
    with page.expect_download():
        page.locator("#save").click()
    page.locator("#status", has_text="Saved").wait_for()
    page.locator("#undo").click()
    hint(page, 0.3, 0.4, "#2828c8")
    close.click()
    assert len(page.evaluate("questions")) == 2, "what was saved is not what is shown now"
    page.locator("#undo").click()
    page.locator("#redo").click()
    with page.expect_download():
        page.locator("#save").click()
    page.locator("#status", has_text="Saved").wait_for()
    close.click()
    page.get_by_label("Close cat.png").wait_for(state="detached")
    assert len(page.evaluate("questions")) == 2


def test_nothing_overflows_on_a_telephone(browser: Any, tint_service: str, photo: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    page.goto(tint_service)
    drop(page, photo)
    for address in ("", "api"):
        if address:
            page.goto(tint_service + address)
            page.get_by_text("/v1/colorize").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()


def test_every_control_has_a_name(page: Any, photo: Path) -> None:
    drop(page, photo)
    page.mouse.click(*screen_place(page, 0.7, 0.5))
    page.locator("#swatches").wait_for()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, [role=slider]")]
            .filter((e) => e.checkVisibility() && !(e.ariaLabel || e.innerText?.trim()
                || e.labels?.[0]?.textContent.trim()))
            .map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_the_interfaces_page_tells_every_route(page: Any, tint_service: str) -> None:
    page.goto(tint_service + "api")
    for route in ("/v1/colorize", "/v1/ab", "/v1/preview", "/v1/models", "/healthz", "/metrics"):
        page.locator("article h2", has_text=route).wait_for()


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


def test_the_version_that_is_chosen_is_saved(page: Any, photo: Path, tmp_path: Path) -> None:
    drop(page, photo)
    shown, saved = {}, {}
    for number in (1, 2, 3, 4):
        page.locator("#versions button").nth(number - 1).click()
        settle(page)
        shown[number] = on_stage(page)
        with page.expect_download() as download:
            page.locator("#save").click()
        download.value.save_as(tmp_path / f"{number}.png")
        saved[number] = np.asarray(Image.open(tmp_path / f"{number}.png").convert("RGB"), float)
    for number, picture in shown.items():
        away = {other: np.abs(picture - found).mean() for other, found in saved.items()}
        assert min(away, key=lambda other: away[other]) == number, away
        assert away[number] < 3, away


def delay(page: Any, condition: str, milliseconds: int) -> None:
    """Have the page's next requests wait where the condition on `path` holds, from its next loading on."""
    page.add_init_script(
        f"""const plainly = window.fetch;
        window.fetch = async (path, options) => {{
            if ({condition}) await new Promise((done) => setTimeout(done, {milliseconds}));
            return plainly(path, options);
        }};"""
    )


def test_what_is_dropped_before_the_page_knows_its_models_is_taken(page: Any, photo: Path) -> None:
    delay(page, 'path === "/v1/models"', 700)
    page.reload(wait_until="domcontentloaded")
    drop(page, photo)
    assert page.locator("#strip li, #strip button").count() > 0
    assert page.locator("#after").is_visible()


def test_closing_a_picture_keeps_those_that_are_still_read(page: Any, photo: Path, tmp_path: Path) -> None:
    names = ["a.png", "b.png", "c.png"]
    for name in names:
        (tmp_path / name).write_bytes(photo.read_bytes())
    delay(page, '(path.includes("show=grey") && window.read++ > 0)', 1500)
    page.add_init_script("window.read = 0;")
    page.reload()
    let_fall(page, *(tmp_path / name for name in names))
    page.locator("#after[src]").wait_for()
    page.get_by_role("button", name="Close a.png").click()
    until(page, lambda: page.title().startswith("b.png"))
    settle(page)
    assert page.locator("#view").is_visible()
    until(page, lambda: page.locator("#strip img").count() == 2)
    assert page.evaluate("window.read") == 3  # the page was not loaded anew


def test_a_small_picture_is_seen_pixel_on_pixel(page: Any, photo: Path) -> None:
    drop(page, photo)
    assert page.locator("#percent").inner_text() != "100%"
    page.keyboard.press("1")
    assert page.locator("#percent").inner_text() == "100%"
    box = page.locator("#sheet").bounding_box()
    assert (box["width"], box["height"]) == (451, 300)
    page.keyboard.press("0")
    assert page.locator("#percent").inner_text() != "100%"


def test_a_name_of_two_lines_in_a_zip(page: Any, photo: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a\nb.png"
    odd.write_bytes(photo.read_bytes())
    drop(page, photo, odd)
    until(page, lambda: page.locator("#strip img").count() == 2)
    with page.expect_download() as saved:
        page.locator("#zip").click()
    saved.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as packed:
        assert packed.namelist() == ["cat.color.png", "a\nb.color.png"]


def test_a_file_that_has_gone_is_told_as_such(page: Any, photo: Path, tmp_path: Path) -> None:
    page.set_input_files("#files", photo)
    page.locator("#after[src]").wait_for()
    settle(page)
    photo.unlink()
    page.locator("#save").click()
    page.locator("#status", has_text="changed or removed since it was chosen").wait_for()


def test_an_empty_file_is_told_as_such(page: Any, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    drop(page, tmp_path / "empty.png", photo)
    page.locator("#strip .is-bad").wait_for()
    assert page.locator("#strip .is-bad").get_attribute("title") == "The file is empty."


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"points": [{"x": 9, "y": 9, "color": "#c04020"}], "unit": "pixels"}, "unknown entries: unit"),
        ({"points": [{"x": 9, "y": 9, "color": "#c04020"}], "units": "feet"}, "pixels or fractions"),
        ({"points": [{"x": 9, "y": 9, "color": "#c04020"}], "orientation": "left"}, "upright or stored"),
        ({"points": [{"x": 9, "y": 9, "color": "#c04020", "radius": 0}]}, "radius of point 1"),
        ({"points": [{"x": 9, "y": 9, "color": "#c04020", "radius": 9000}]}, "1 hints loaded."),
    ],
)
def test_a_file_of_hints_is_read_as_strictly_as_by_the_command(
    page: Any, photo: Path, tmp_path: Path, told: dict[str, Any], sentence: str
) -> None:
    drop(page, photo)
    (tmp_path / "h.json").write_text(json.dumps(told), encoding="utf-8")
    page.set_input_files("#hints-file", tmp_path / "h.json")
    page.locator("#status", has_text=sentence).wait_for()
    settle(page)


def test_a_picture_that_is_closed_while_its_hint_is_chosen(page: Any, photo: Path, tmp_path: Path) -> None:
    """The next one, which is still read, comes to the stage all the same."""
    delay(page, '(path.includes("show=grey") && window.read++ > 0)', 2500)
    page.add_init_script("window.read = 0;")
    page.reload()
    (tmp_path / "next.png").write_bytes(photo.read_bytes())
    page.set_input_files("#files", [photo, tmp_path / "next.png"])
    page.locator("#after[src]").wait_for()
    page.wait_for_timeout(700)
    page.mouse.click(*screen_place(page, 0.7, 0.55))
    page.locator("#swatches").wait_for()
    page.get_by_role("button", name="Close cat.png").click()
    until(page, lambda: not page.locator("#swatches").is_visible())
    assert page.title() == "Tintype"
    until(page, lambda: page.title().startswith("next.png"))
    settle(page)
    hint(page, 0.7, 0.55, "#c02020")
    assert page.locator("#view").is_visible()


def test_a_telephones_photograph_is_shown_and_saved_as_jpeg(page: Any, photo: Path, tmp_path: Path) -> None:
    """Which the browser itself cannot show."""
    with Image.open(photo) as picture:
        pillow_heif.from_pillow(picture).save(tmp_path / "IMG_1.HEIC")
        size = picture.size
    drop(page, tmp_path / "IMG_1.HEIC")
    assert page.locator("#after").evaluate("image => image.naturalWidth > 0")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save full size").click()
    assert download.value.suggested_filename == "IMG_1.color.jpg"
    with Image.open(download.value.path()) as saved:
        assert (saved.format, saved.size) == ("JPEG", size)
