"""Colours told by hand on the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_helpers import RED, delay, distance, drop, hint, screen_place, seen, settle, until
from PIL import Image

from tintype import color


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


COLORS = """async (colors) => {
  const { lightness, mostChroma, toRgb } = await import("/color.js");
  const hues = [...Array(12).keys()].map((i) => i * Math.PI / 6);
  return {
    lightness: [...Array(256).keys()].map(lightness),
    rgb: colors.map((lab) => toRgb(...lab)),
    most: [15, 50, 85].map((L) => hues.map((hue) => mostChroma(L, hue))),
  };
}"""


def test_the_pages_colours_are_those_of_python(page: Any) -> None:
    axes = np.linspace(0, 100, 11), np.linspace(-90, 90, 7), np.linspace(-90, 90, 7)
    lab = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    found = page.evaluate(COLORS, lab.tolist())
    grey = np.linspace(0, 1, 256)
    np.testing.assert_allclose(found["lightness"], color.linear_to_L(color.srgb_to_linear(grey)), atol=0.01)
    # Its matrix has four digits; a 255th is what a swatch can show.
    np.testing.assert_allclose(found["rgb"], color.lab_to_rgb(lab, clip=False), atol=1 / 255)
    for L, most in zip((15, 50, 85), found["most"], strict=True):
        for hue, chroma in zip(np.arange(12) * np.pi / 6, most, strict=True):
            near, far = (
                color.lab_to_rgb(np.array([L, c * np.cos(hue), c * np.sin(hue)]), clip=False)
                for c in (chroma - 0.5, chroma + 0.5)
            )
            assert -0.005 < near.min() <= near.max() < 1.005
            assert far.min() < 0 or far.max() > 1
