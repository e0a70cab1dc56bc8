"""Every format but TIFF: in and out with the size, depth, luma and alpha that it came with."""

from __future__ import annotations

import gc
import struct
import weakref
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from picture_makers import (
    ALPHA,
    COLOR,
    COLOR_16,
    GREY,
    GREY_16,
    Pixels,
    Tint,
    assert_same_grey,
    colored,
    encoded,
    luma_of_file,
    off,
    opened,
    tiff,
)
from PIL import Image
from skimage import data

from tintype.errors import InputError, OutputError, TooLargeError
from tintype.images import (
    WRITABLE_SUFFIXES,
    Limits,
    decode_rgb8,
    luma_in_memory,
    luma_of_codes,
    open_picture,
    output_format,
    pil_to_luma,
    save_picture,
    suffix_for,
)
from tintype.images.icc import SRGB_PROFILE
from tintype.images.luma import array_to_luma, merge_pil

RGBA = np.dstack([COLOR, ALPHA])
LA = np.dstack([GREY, ALPHA])
BILEVEL = Image.fromarray(GREY > 120)
PALETTE = Image.fromarray(COLOR).quantize(200)


def png_16(pixels: Pixels, kind: int) -> bytes:
    """A PNG of 16 bits and colour type `kind`, filters left out, made by hand."""
    rows = pixels.astype(">u2").reshape(len(pixels), -1)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_transparent_color() -> Image.Image:
    image = Image.fromarray(GREY)
    image.info["transparency"] = 7
    return image


LOSSLESS = {
    "png grey": encoded(GREY, "PNG"),
    "png rgb": encoded(COLOR, "PNG"),
    "png rgba": encoded(RGBA, "PNG"),
    "png grey and alpha": encoded(LA, "PNG"),
    "png one bit": encoded(BILEVEL, "PNG"),
    "png palette": encoded(PALETTE, "PNG"),
    "png palette with alpha": encoded(PALETTE, "PNG", transparency=3),
    "png transparent grey": encoded(with_transparent_color(), "PNG", transparency=7),
    "webp": encoded(GREY, "WEBP", lossless=True),
    "webp with alpha": encoded(RGBA, "WEBP", lossless=True, exact=True),
    "jp2 grey": encoded(GREY, "JPEG2000"),
    "jp2 grey and alpha": encoded(LA, "JPEG2000"),
    "jp2 rgb": encoded(COLOR, "JPEG2000"),
    "jp2 rgba": encoded(RGBA, "JPEG2000"),
    "bmp grey": encoded(GREY, "BMP"),
    "bmp rgb": encoded(COLOR, "BMP"),
    "bmp one bit": encoded(BILEVEL, "BMP"),
    "bmp palette": encoded(PALETTE, "BMP"),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_lossless_file_keeps_size_luma_and_alpha(name: str) -> None:
    source = LOSSLESS[name]
    before = opened(source)
    result, notes = colored(source)
    after = opened(result)
    assert (after.format, after.size) == (before.format, before.size)
    flat = before.convert("RGBA") if before.mode in ("P", "RGBA", "LA") else before
    assert_same_grey(np.asarray(after), np.asarray(flat.convert("RGB").convert("L")))
    if "one bit" not in name:  # black and white leave no room for colour
        assert np.ptp(np.asarray(after)[..., :3].astype(int), axis=-1).max() > 10
    has_alpha = "A" in before.mode or "transparency" in before.info
    assert ("A" in after.mode) == has_alpha
    if has_alpha:
        assert (np.asarray(after)[..., 3] == np.asarray(before.convert("RGBA"))[..., 3]).all()
    assert notes == []


FREED = {
    "jpeg grey": encoded(GREY, "JPEG"),
    "jpeg rgb": encoded(COLOR, "JPEG"),
    "jpeg cmyk": encoded(Image.fromarray(COLOR).convert("CMYK"), "JPEG"),
    "tiff": tiff(GREY),
    "avif": encoded(COLOR, "AVIF"),
    "gif": encoded(PALETTE, "GIF"),
} | LOSSLESS


@pytest.mark.parametrize("name", FREED)
def test_a_picture_is_freed_with_the_last_who_holds_it(name: str) -> None:
    """Its megabytes do not wait for the garbage collector, which sees only how many objects there are."""
    gc.disable()
    try:
        with open_picture(FREED[name]) as picture:
            page = picture.pages[0]
            page.is_colored()
            save_picture(picture, [Tint()], BytesIO(), "PNG")
            held = [weakref.ref(picture), weakref.ref(page), weakref.ref(page.luma())]
        del picture, page
        assert [thing() for thing in held] == [None, None, None]
    finally:
        gc.enable()


DEEP = {
    "grey": (GREY_16[..., None], 0),
    "grey and alpha": (np.dstack([GREY_16, GREY_16[::-1]]), 4),
    "rgb": (COLOR_16, 2),
    "rgba": (np.dstack([COLOR_16, GREY_16]), 6),
}


@pytest.mark.parametrize("name", DEEP)
def test_png_of_16_bits_keeps_all_of_them(name: str) -> None:
    pixels, kind = DEEP[name]
    source = png_16(pixels, kind)
    luma = luma_of_file(source)
    expected = pixels[..., 0] if kind in (0, 4) else np.rint(pixels[..., :3] @ [0.299, 0.587, 0.114])
    assert (off(luma, expected.astype(np.uint16)) <= 1).all()
    result, _ = colored(source)
    after = cv2.imdecode(np.frombuffer(result, np.uint8), cv2.IMREAD_UNCHANGED)
    assert after.dtype == np.uint16
    assert_same_grey(after[..., 2::-1], luma)
    assert after.shape[2] == (4 if kind in (4, 6) else 3)
    if kind in (4, 6):
        assert (after[..., 3] == pixels[..., -1]).all()


def test_the_transparent_color_of_a_deep_png_becomes_alpha() -> None:
    source = png_16(GREY_16[..., None], 0)
    value = struct.pack(">H", GREY_16[5, 5])
    chunk = struct.pack(">I", 2) + b"tRNS" + value + struct.pack(">I", zlib.crc32(b"tRNS" + value))
    with open_picture(source[:33] + chunk + source[33:]) as picture:
        alpha = picture.pages[0].alpha()
    assert alpha is not None
    assert ((alpha == 0) == (GREY_16[5, 5] == GREY_16)).all()


def test_an_interlaced_png_is_read() -> None:
    assert opened(encoded(GREY, "PNG")).size == GREY.shape[::-1]
    done, data = cv2.imencode(".png", GREY)
    assert done
    assert (luma_of_file(data.tobytes()) == GREY).all()


JPEGS = {
    "grey": encoded(GREY, "JPEG", quality=92),
    "progressive grey": encoded(GREY, "JPEG", quality=92, progressive=True),
    "rgb": encoded(COLOR, "JPEG", quality=92),
    "rgb 4:4:4": encoded(COLOR, "JPEG", quality=92, subsampling=0),
    "progressive rgb": encoded(COLOR, "JPEG", quality=92, progressive=True),
    "rgb, not Y'CbCr": encoded(COLOR, "JPEG", quality=92, keep_rgb=True),
    "restart markers": encoded(GREY, "JPEG", quality=92, restart_marker_rows=2),
    "cmyk": encoded(Image.fromarray(COLOR).convert("CMYK"), "JPEG", quality=92),
}


NO_PROFILE = "Its inks have no profile that can be used (there is none): their look was computed plainly."


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_keeps_its_luma(name: str) -> None:
    before = opened(JPEGS[name])
    luma = luma_of_file(JPEGS[name])
    assert (off(luma, np.asarray(before.convert("RGB").convert("L"))) <= 1).mean() > 0.99
    result, notes = colored(JPEGS[name])
    after = opened(result)
    assert (after.mode, after.size) == ("RGB", before.size)
    assert (off(np.asarray(after.convert("L")), luma) <= 3).mean() >= 0.997
    assert notes == ([NO_PROFILE] if name == "cmyk" else [])


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 3), (7, 8), (16, 17)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "JPEG2000", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_any_size(shape: tuple[int, int], kind: str) -> None:
    values = np.random.default_rng(1).integers(60, 200, shape, np.uint8)
    result, _ = colored(encoded(values, kind))
    assert opened(result).size == shape[::-1]


@pytest.mark.parametrize("pixels", [GREY, RGBA], ids=["grey", "rgba"])
def test_what_was_stored_with_loss_stays_near(pixels: Pixels) -> None:
    j2k: dict[str, Any] = {"irreversible": True, "quality_mode": "dB", "quality_layers": [45]}
    for kind in ("AVIF", "WEBP", "JPEG2000"):
        source = encoded(pixels, kind, **(j2k if kind == "JPEG2000" else {"quality": 95}))
        luma = luma_of_file(source)
        result, _ = colored(source, quality=95)
        after = opened(result)
        assert after.format == kind
        far = off(np.asarray(after.convert("RGB").convert("L")), luma) > 3
        assert far.mean() <= {"AVIF": 0.02, "WEBP": 0.05, "JPEG2000": 0.02}[kind]  # as the README has it
        assert ("A" in after.mode) == (pixels.ndim == 3)


def test_lossless_webp_stays_lossless_and_lossy_lossy() -> None:
    assert b"VP8L" in colored(LOSSLESS["webp"])[0]
    assert b"VP8L" not in colored(encoded(GREY, "WEBP", quality=80))[0]


@pytest.mark.parametrize("beside", [b"an odd one.", b"an even one."], ids=["odd", "even"])
def test_a_webp_is_lossless_wherever_its_pixels_lie(beside: bytes) -> None:
    """A profile comes before the pixels, and a chunk of odd size has a byte after it."""
    data = encoded(COLOR, "WEBP", lossless=True, icc_profile=beside)
    assert data[12:16] == b"VP8X"
    assert open_picture(data).lossless
    assert not open_picture(encoded(COLOR, "WEBP", quality=80, icc_profile=beside)).lossless


def test_an_avif_of_more_than_8_bits_is_told_of() -> None:
    for depth, pixels, notes in ((8, GREY, 0), (10, GREY_16 // 64, 1)):
        _, data = cv2.imencode(".avif", pixels, [cv2.IMWRITE_AVIF_DEPTH, depth])
        assert len(open_picture(data.tobytes()).notes) == notes


class Painted:
    """A coloring that gives these pixels."""

    def __init__(self, rgb8: Pixels) -> None:
        self.rgb8 = rgb8

    def rgb(self, y0: int, luma: Pixels) -> Pixels:
        return self.rgb8[y0 : y0 + len(luma)]

    def planes_420(self, luma: Pixels) -> tuple[Pixels, Pixels]:
        raise NotImplementedError


def test_a_gif_keeps_colours_that_few_pixels_have() -> None:
    rgb8 = data.astronaut()
    file = BytesIO()
    with open_picture(encoded(rgb8, "PNG")) as picture:
        save_picture(picture, [Painted(rgb8)], file, "GIF")
    got = np.asarray(opened(file.getvalue()).convert("RGB"), np.float32)
    # As the eye sees it from some way off.
    apart = np.abs(cv2.GaussianBlur(got, (0, 0), 2) - cv2.GaussianBlur(np.float32(rgb8), (0, 0), 2))
    assert apart.max() < 20
    assert apart.mean() < 1


def test_gif_takes_the_first_frame_and_keeps_what_is_clear() -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    source = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (luma_of_file(source) == GREY).all()
    result, notes = colored(source)
    assert opened(result).mode == "P"
    assert any("first frame" in note for note in notes)
    clear = Image.fromarray(GREY)
    after = opened(colored(encoded(clear, "GIF", transparency=int(GREY[0, 0])))[0]).convert("RGBA")
    assert ((np.asarray(after)[..., 3] == 0) == (GREY[0, 0] == GREY)).all()


def test_animations_say_so() -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    for kind in ("PNG", "WEBP", "AVIF"):
        _, notes = colored(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
        assert any("first frame" in note for note in notes), kind
    _, notes = colored(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert notes == ["The JPEG holds further pictures behind the first: these were left out."]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "JPEG2000", "WEBP", "AVIF", "GIF", "BMP"])
def test_the_content_counts_not_the_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "wrong.xyz"
    path.write_bytes(encoded(GREY, kind))
    with open_picture(path) as picture:
        assert picture.format == kind
        assert picture.pages[0].luma().shape == GREY.shape


def test_the_suffix_chooses_the_format() -> None:
    with open_picture(encoded(GREY, "PNG")) as picture:
        assert output_format(picture, None) == "PNG"
        assert output_format(picture, ".JPG") == "JPEG"
        for suffix in WRITABLE_SUFFIXES:
            name = output_format(picture, suffix)
            assert output_format(picture, suffix_for(name)) == name
        for unknown in (".xcf", ""):
            with pytest.raises(OutputError, match="cannot be written"):
                output_format(picture, unknown)


def test_what_a_format_cannot_hold_is_told() -> None:
    result, notes = colored(png_16(GREY_16[..., None], 0), "JPEG")
    assert any("16 bits" in note for note in notes)
    assert (
        off(np.asarray(opened(result).convert("L")), (GREY_16 // 257).astype(np.uint8)) <= 4
    ).mean() > 0.95
    _, notes = colored(LOSSLESS["png rgba"], "JPEG")
    assert any("transparency" in note for note in notes)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_side_too_long_for_the_format_is_refused(kind: str) -> None:
    with (
        open_picture(encoded(np.zeros((1, 66_000), np.uint8), "PNG")) as picture,
        pytest.raises(OutputError, match="pixels a side at most"),
    ):
        save_picture(picture, [Tint()], BytesIO(), kind)


def test_one_coloring_a_page() -> None:
    with open_picture(LOSSLESS["png grey"]) as picture, pytest.raises(ValueError, match="2 colorings"):
        save_picture(picture, [Tint(), Tint()], BytesIO(), "PNG")


MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "La", "RGBa"]


@pytest.mark.parametrize("mode", MODES)
def test_every_pillow_mode_has_luma(mode: str) -> None:
    base = Image.fromarray(RGBA)
    if mode == "La":
        image = base.convert("LA").convert("La")
    elif mode == "PA":
        image = base.convert("RGB").convert("P").convert("PA")
    elif mode in ("RGBa", "LA", "RGBA"):
        image = base.convert(mode)
    else:
        image = base.convert("RGB").convert(mode)
    luma, alpha = pil_to_luma(image)
    assert (luma.shape, luma.dtype) == (GREY.shape, np.uint8)
    assert (alpha is not None) == (mode in ("LA", "La", "PA", "RGBA", "RGBa"))
    if mode in ("RGB", "RGBA", "L"):
        assert (luma == np.asarray(Image.fromarray(COLOR).convert("L"))).all()


def test_deep_pillow_pictures() -> None:
    luma, alpha = pil_to_luma(Image.fromarray(GREY_16))
    assert alpha is None
    assert (luma == GREY_16).all()
    with pytest.raises(Exception, match="floating point"):
        pil_to_luma(Image.fromarray(GREY.astype(np.float32)))
    with pytest.raises(Exception, match="65535"):
        pil_to_luma(Image.fromarray(GREY.astype(np.int32) * 70_000))


def test_merge_keeps_what_the_pillow_picture_says() -> None:
    image = opened(encoded(RGBA, "PNG", dpi=(300, 300), icc_profile=b"broken"))
    merged = merge_pil(image, COLOR_16, ALPHA)
    assert (merged.mode, merged.size) == ("RGBA", image.size)
    assert merged.info["dpi"] == image.info["dpi"]
    assert merged.info["icc_profile"] != b"broken"
    assert (np.asarray(merged)[..., 3] == ALPHA).all()


def test_luma_is_pillows_in_8_bits_and_rounded_in_16() -> None:
    assert (luma_of_codes(COLOR) == np.asarray(Image.fromarray(COLOR).convert("L"))).all()
    exact = np.rint(COLOR_16.astype(np.float64) @ [0.299, 0.587, 0.114]).astype(np.uint16)
    assert off(luma_of_codes(COLOR_16), exact).max() <= 1


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (5, 7, 4)])
def test_floats_of_the_other_order_of_bytes_are_the_same_picture(kind: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).random(shape).astype(kind)
    swapped = array.astype(array.dtype.newbyteorder("S"))
    for native, other in zip(array_to_luma(array), array_to_luma(swapped), strict=True):
        assert (native is None) is (other is None)
        if native is not None and other is not None:
            assert native.dtype == other.dtype == array.dtype
            assert (native == other).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_value_is_found_at_any_depth(bits: int) -> None:
    top = (1 << bits) - 1
    values = (np.arange(16).reshape(2, 8) % (top + 1)).astype(np.uint8)
    rows = np.packbits(np.unpackbits(values[..., None], axis=-1)[..., 8 - bits :].reshape(2, -1), axis=1)
    key = top // 2
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 8, 2, bits, 0, 0, 0, 0)), (b"tRNS", struct.pack(">H", key))]
    parts += [(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))), (b"IEND", b"")]
    source = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    with open_picture(source) as picture:
        luma, alpha = picture.pages[0].luma(), picture.pages[0].alpha()
    assert (luma == values * np.uint8(255 // top)).all()
    assert alpha is not None
    assert (alpha == np.where(values == key, 0, 255)).all()
    of_pillow = pil_to_luma(Image.open(BytesIO(source)))[1]
    assert of_pillow is not None
    assert (of_pillow == alpha).all()


@pytest.mark.parametrize("format", ["AVIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_what_is_learnt_from_is_upright(format):
    rgb = np.zeros((32, 48, 3), np.uint8)
    rgb[:16, :24] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    file = BytesIO()
    Image.fromarray(rgb).save(file, format, exif=exif)
    found = decode_rgb8(file.getvalue())
    assert found.shape == (48, 32, 3)
    assert np.abs(found[4:20, 20:28].astype(int) - 255).max() < 30
    assert found[28:, :12].max() < 30


def test_a_damaged_avif_is_told():
    file = BytesIO()
    Image.fromarray(COLOR).save(file, "AVIF")
    data = bytearray(file.getvalue())
    place = data.find(b"mdat") + 4
    data[place : place + 100] = bytes(100)
    with pytest.raises(InputError, match="no picture that can be decoded"):
        decode_rgb8(bytes(data))


def test_gifs_can_be_learnt_from():
    file = BytesIO()
    frames = [Image.new("P", (20, 10), n) for n in (0, 1)]
    for frame in frames:
        frame.putpalette([200, 30, 60, 10, 20, 30])
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert (decode_rgb8(file.getvalue()) == (200, 30, 60)).all()
    with pytest.raises(InputError, match="no picture that can be decoded"):
        decode_rgb8(file.getvalue()[:20])


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_with_a_damaged_profile_are_read_plainly_which_is_told(kind: str) -> None:
    inks = Image.fromarray(COLOR).convert("CMYK")
    profile = bytes(16) + b"CMYK" + bytes(400)
    luma = luma_of_file(encoded(inks, kind))
    with open_picture(encoded(inks, kind, icc_profile=profile)) as picture:
        assert (off(picture.pages[0].luma(), luma) <= 1).all()
        assert len(picture.notes) == 1
        assert picture.notes[0].startswith("Its inks have no profile that can be used (")


def test_a_profile_that_is_not_for_inks_is_told_of_as_such() -> None:
    data = encoded(Image.fromarray(COLOR).convert("CMYK"), "JPEG", icc_profile=SRGB_PROFILE.icc)
    with open_picture(data) as picture:
        assert picture.pages[0].luma().size
        assert "the one that there is, is not for inks" in picture.notes[0]


def test_the_transparent_value_of_a_deep_pillow_picture_becomes_alpha() -> None:
    image = opened(encoded(Image.fromarray(GREY_16), "PNG", transparency=int(GREY_16[0, 0])))
    luma, alpha = pil_to_luma(image)
    assert (luma == GREY_16).all()
    assert alpha is not None
    assert ((alpha == 0) == (GREY_16[0, 0] == GREY_16)).all()


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_is_none_is_upright(orientation: int) -> None:
    image = Image.fromarray(GREY)
    image.getexif()[0x0112] = orientation
    assert luma_in_memory(image)[2] == 1


def test_a_jpeg_2000_of_several_components_tells_its_limit() -> None:
    with pytest.raises(TooLargeError, match="the limit of 16,666 for such pictures of 3 components"):
        open_picture(encoded(COLOR, "JPEG2000"), Limits(max_pixels=50_000))
