"""Pictures that come to the page, are saved from it, and leave it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from page_helpers import delay, drop, let_fall, on_stage, settle, until
from PIL import Image


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
