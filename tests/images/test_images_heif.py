"""HEIF: what telephones write is read, whole and upright, and written as something else."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from heif_makers import heif, heif_of_several, saved, tiled_heif
from picture_makers import (
    ALPHA,
    COLOR,
    COLOR_16,
    GREY,
    GREY_16,
    Pixels,
    colored,
    encoded,
    luma_of_file,
    off,
    opened,
)
from PIL import ExifTags, Image
from skimage import data

from tintype import Colorizer
from tintype.errors import InputError, OutputError, TooLargeError
from tintype.images import Limits, decode_rgb8, luma_of_codes, open_picture, output_format, result_name
from tintype.images.icc import gamma_profile
from tintype.images.metadata import exif_orientation

TILED = np.ascontiguousarray(data.astronaut()[:256, 40:424])


def test_grey_comes_as_it_is_stored() -> None:
    with open_picture(heif(GREY)) as picture:
        page = picture.pages[0]
        assert (picture.format, page.dtype, page.small_rgb(), page.has_alpha) == (
            "HEIF",
            np.uint8,
            None,
            False,
        )
        np.testing.assert_array_equal(page.luma(), GREY)


def test_grey_of_ten_bits_keeps_them() -> None:
    luma = luma_of_file(heif(GREY_16))
    codes = np.rint(luma / 65535 * 1023).astype(int)
    assert np.abs(codes - (GREY_16 >> 6)).max() <= 1
    np.testing.assert_array_equal(np.rint(codes * (65535 / 1023)), luma)  # the full scale, white being 65535
    assert luma.dtype == np.uint16


@pytest.mark.parametrize("pixels", [COLOR, COLOR_16], ids=["8 bits", "10 bits"])
def test_colour_is_taken_by_its_luma(pixels: Pixels) -> None:
    luma = luma_of_file(heif(pixels))
    full = np.iinfo(pixels.dtype).max
    assert off(luma, luma_of_codes(pixels)).mean() < 0.005 * full
    with open_picture(heif(pixels)) as picture:
        assert picture.pages[0].is_colored()


@pytest.mark.parametrize(
    "pixels", [np.dstack([GREY, ALPHA]), np.dstack([COLOR, ALPHA])], ids=["grey", "colour"]
)
def test_transparency_is_read_and_what_becomes_of_it_told(pixels: Pixels) -> None:
    with open_picture(heif(pixels)) as picture:
        np.testing.assert_array_equal(picture.pages[0].alpha(), ALPHA)
    result, notes = colored(heif(pixels))
    assert opened(result).format == "JPEG"
    assert "JPEG has no transparency: it was left out." in notes
    kept, _ = colored(heif(pixels), "PNG")
    np.testing.assert_array_equal(np.asarray(opened(kept))[..., 3], ALPHA)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_telephones_picture_is_put_together_and_turned_upright(turns: int) -> None:
    source, _ = tiled_heif(TILED, 128, (250, 380), turns=turns)
    upright = np.rot90(TILED[:250, :380], turns)
    with open_picture(source) as picture:
        page = picture.pages[0]
        assert (page.height, page.width, page.orientation) == (*upright.shape[:2], 1)
        assert off(page.luma(), luma_of_codes(np.ascontiguousarray(upright))).mean() < 3
    assert decode_rgb8(source).shape == upright.shape


def test_exif_is_kept_and_turns_nothing_a_second_time() -> None:
    told = Image.Exif()
    told[ExifTags.Base.Make], told[ExifTags.Base.Orientation] = "Ensign", 6
    source, _ = tiled_heif(TILED, 128, (250, 380), turns=3, exif=b"\0\0\0\6" + told.tobytes())
    result, _ = colored(source)
    exif = opened(result).getexif()
    assert exif[ExifTags.Base.Make] == "Ensign"
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    assert opened(result).size == (250, 380)
    with open_picture(source) as picture:
        assert exif_orientation(picture.metadata.exif) == 1


def test_xmp_and_the_colour_profile_are_kept() -> None:
    icc = gamma_profile(2.2).icc
    made = pillow_heif.from_pillow(Image.fromarray(COLOR))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    result, _ = colored(saved(made, icc_profile=icc, xmp=xmp))
    assert opened(result).info["xmp"] == xmp
    assert opened(result).info["icc_profile"]
    with open_picture(saved(made, icc_profile=icc)) as picture:
        assert picture.pages[0].tone.table is not None


def test_photographs_to_learn_from_are_brought_to_srgb() -> None:
    source = saved(pillow_heif.from_pillow(Image.fromarray(COLOR)))
    assert off(decode_rgb8(source), COLOR).mean() < 2
    grey = decode_rgb8(heif(GREY))
    np.testing.assert_array_equal(grey, GREY[..., None].repeat(3, -1))
    linear = decode_rgb8(
        saved(pillow_heif.from_pillow(Image.fromarray(COLOR)), icc_profile=gamma_profile(1.0).icc)
    )
    assert linear.mean() > COLOR.mean() + 20


def test_of_several_pictures_the_main_one_is_taken() -> None:
    with open_picture(heif_of_several(np.full_like(COLOR, 9), COLOR)) as picture:
        assert picture.notes == ["The HEIF holds several pictures: its main one was taken."]
        assert off(picture.pages[0].luma(), luma_of_codes(COLOR)).mean() < 2


@pytest.mark.parametrize("cut", [1, 50, 3000])
def test_a_file_that_ends_too_early_is_told(cut: int) -> None:
    source, _ = tiled_heif(TILED, 128, (250, 380))
    for whole in (heif(COLOR), source):
        with (
            pytest.raises(InputError, match="is a damaged or truncated HEIF"),
            open_picture(whole[:-cut]) as picture,
        ):
            picture.pages[0].luma()


@pytest.mark.parametrize("filling", [b"\0", b"\xff"])
@pytest.mark.parametrize("length", [4, 30, None])
def test_a_tile_that_cannot_be_decoded_is_told(filling: bytes, length: int | None) -> None:
    """libheif leaves its place blank."""
    source, tiles = tiled_heif(TILED, 128, (250, 380))
    at = source.index(tiles[2])
    size = len(tiles[2]) if length is None else length
    damaged = source[:at] + filling * size + source[at + size :]
    for read in (lambda: luma_of_file(damaged), lambda: decode_rgb8(damaged)):
        with pytest.raises(InputError, match=r"damaged or truncated HEIF|no picture that can be decoded"):
            read()


def test_a_green_that_was_painted_is_no_damage() -> None:
    for green in (100, 135, 255):
        whole = np.zeros((96, 96, 3), np.uint8)
        whole[:64, :64, 1] = green
        luma_of_file(heif(whole))
    for green in (70, 90, 120, 140, 150, 255):  # but for those few that a missing tile has
        pixels = TILED.copy()
        pixels[:128, :128] = 0, green, 0
        luma_of_file(tiled_heif(pixels, 128, (256, 384))[0])
    pixels[:128, :128] = TILED[:128, :128]
    pixels[:64, :64] = 0, 135, 0  # smaller than a tile
    luma_of_file(tiled_heif(pixels, 128, (256, 384))[0])


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_refused(transfer: int) -> None:
    source = heif(COLOR_16, transfer_characteristics=transfer, color_primaries=9, matrix_coefficients=9)
    with pytest.raises(InputError, match=r"is a HEIF of a kind that is not read .*HDR.*; save it as JPEG"):
        open_picture(source)


def test_what_libheif_has_no_decoder_for_is_told() -> None:
    """A HEIF of AV1 that does not say so in its brands."""
    source = encoded(COLOR, "AVIF")
    end = int.from_bytes(source[:4])
    head = source[8:end].replace(b"avif", b"mif1").replace(b"avis", b"mif1")
    with pytest.raises(InputError, match=r"HEIF"), open_picture(source[:8] + head + source[end:]) as picture:
        picture.pages[0].luma()


@pytest.mark.parametrize("kind", [b"Exif", b"hvc1"])
def test_a_part_whose_kind_is_no_text_is_refused(kind: bytes) -> None:
    """pi-heif would end the process over it."""
    source, _ = tiled_heif(TILED, 128, (250, 380), exif=b"\0\0\0\6" + Image.Exif().tobytes())
    with pytest.raises(InputError, match="damaged or truncated HEIF"):
        open_picture(source.replace(b"\0" + kind, b"\0\xff\xfe\xfd\xfc"))


def test_the_size_is_limited_before_anything_is_decoded() -> None:
    with pytest.raises(TooLargeError, match="claims 317 × 233 pixels"):
        open_picture(heif(COLOR), Limits(max_pixels=70_000))


def test_it_is_written_as_jpeg_unless_another_format_is_asked_for() -> None:
    with open_picture(heif(GREY)) as picture:
        assert output_format(picture, None) == "JPEG"
        assert output_format(picture, ".png") == "PNG"
        with pytest.raises(OutputError, match=r"cannot be written as \.heic: use \.avif"):
            output_format(picture, ".heic")


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("a.jpg", "a.jpg"),
        ("in/IMG_1.HEIC", "in/IMG_1.color.HEIC.jpg"),
        ("a.heif", "a.color.heif.jpg"),
        ("a.hif", "a.color.hif.jpg"),
    ],
)
def test_a_result_has_a_name_of_its_own(name: str, result: str) -> None:
    assert result_name(name) == result


def test_one_that_is_no_heif_in_spite_of_its_name_is_read_as_what_it_is(
    tmp_path: Path, tiny_model: Path
) -> None:
    (tmp_path / "a.heic").write_bytes(encoded(GREY, "JPEG"))
    (tmp_path / "b.jpg").write_bytes(heif(GREY))
    colorizer = Colorizer(tiny_model)
    assert colorizer(tmp_path / "a.heic") == tmp_path / "a.color.heic.jpg"
    assert colorizer(tmp_path / "b.jpg") == tmp_path / "b.color.jpg"
    for name in ("a.color.heic.jpg", "b.color.jpg"):
        assert opened((tmp_path / name).read_bytes()).format == "JPEG"


def test_bytes_and_pillow_pictures_come_back_in_colour(tiny_model: Path) -> None:
    colorizer = Colorizer(tiny_model)
    assert opened(colorizer(heif(GREY))).size == GREY.shape[::-1]
    image: Any = pillow_heif.open_heif(BytesIO(heif(GREY))).to_pillow()
    assert colorizer(image).mode == "RGB"


@pytest.mark.parametrize("filling", [b"\0", b"\xff"])
@pytest.mark.parametrize("grey", [True, False])
def test_what_a_broken_copy_left_empty_is_told(filling: bytes, grey: bool) -> None:
    pixels = luma_of_codes(TILED) if grey else TILED
    source, tiles = tiled_heif(pixels, 128, (250, 380))
    whole = heif(pixels)
    for file, end in ((source, source.index(tiles[5]) + len(tiles[5])), (whole, len(whole))):
        for missing in (30, 3000):
            holed = file[: end - missing] + filling * missing + file[end:]
            with pytest.raises(InputError, match="damaged or truncated HEIF"), open_picture(holed) as picture:
                picture.pages[0].luma()


def test_parts_that_lie_over_each_other_are_refused() -> None:
    """Else a small file would be read through as often as it likes."""
    source, tiles = tiled_heif(TILED, 128, (250, 380))
    table = source.index(b"iloc") + 4
    count = int.from_bytes(source[table + 6 : table + 8])
    data = bytearray(source)
    for number in range(count - 1):  # 14 bytes each: number, reference, one extent, start and length
        at = table + 8 + 14 * number + 6
        data[at : at + 8] = len(source).to_bytes(4) + (1 << 20).to_bytes(4)
    data += ((1 << 20) - 4).to_bytes(4) + b"\x55" * ((1 << 20) - 4)
    with pytest.raises(InputError, match="its pictures lie over each other"):
        open_picture(bytes(data))
    assert len(tiles) == count - 1


def test_the_boxes_may_stand_in_another_order() -> None:
    """As where the tables were written last, over what a file begins with."""
    source, _ = tiled_heif(TILED, 128, (256, 384), meta_last=True)
    assert off(luma_of_file(source), luma_of_codes(TILED)).mean() < 3
    damaged, tiles = tiled_heif(TILED, 128, (256, 384), meta_last=True)
    at = damaged.index(tiles[2])
    with pytest.raises(InputError, match="damaged or truncated HEIF"):
        luma_of_file(damaged[: at + 4] + bytes(9) + damaged[at + 13 :])


@pytest.mark.parametrize("behind", [b"\xff" * 512, b"a trailer", encoded(GREY, "JPEG")])
def test_what_hangs_behind_the_file_is_passed_over(behind: bytes) -> None:
    np.testing.assert_array_equal(luma_of_file(heif(GREY) + behind), GREY)


@pytest.mark.parametrize("brands", [b"mif1heicavif", b"mif1" + b"miaf" * 8 + b"heic", b"heix"])
def test_a_heif_is_known_by_any_of_its_brands(brands: bytes) -> None:
    source = heif(GREY)
    rest = source[int.from_bytes(source[:4]) :]
    moved = 16 + len(brands) - (len(source) - len(rest))
    head = (16 + len(brands)).to_bytes(4) + b"ftyp" + brands[:4] + bytes(4) + brands
    with open_picture(head + _moved(rest, moved)) as picture:
        assert picture.format == "HEIF"
        np.testing.assert_array_equal(picture.pages[0].luma(), GREY)


def _moved(rest: bytes, by: int) -> bytes:
    """The boxes behind the first, where its one picture lies `by` bytes further on."""
    at = rest.index(b"iloc") + 4
    start = int.from_bytes(rest[at + 12 : at + 16])
    return rest[: at + 12] + (start + by).to_bytes(4) + rest[at + 16 :]
