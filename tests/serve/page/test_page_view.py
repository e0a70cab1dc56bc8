"""What the page shows of a picture, and of itself."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_helpers import drop, screen_place, seen, settle
from PIL import Image


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


def test_a_small_picture_is_seen_pixel_on_pixel(page: Any, photo: Path) -> None:
    drop(page, photo)
    assert page.locator("#percent").inner_text() != "100%"
    page.keyboard.press("1")
    assert page.locator("#percent").inner_text() == "100%"
    box = page.locator("#sheet").bounding_box()
    assert (box["width"], box["height"]) == (451, 300)
    page.keyboard.press("0")
    assert page.locator("#percent").inner_text() != "100%"
