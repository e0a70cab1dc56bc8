"""JPEG 2000: its depths, what is told in its boxes, and what is refused."""

from __future__ import annotations

import struct
from base64 import b64decode
from io import BytesIO

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
    off,
    opened,
    tiff,
)
from PIL import ExifTags, Image, ImageCms

from tintype.errors import InputError, OutputError, TooLargeError
from tintype.images import Limits, decode_rgb8, luma_of_codes, open_picture, save_picture
from tintype.images.icc import SRGB_PROFILE, gamma_profile
from tintype.images.jp2_boxes import SIGNATURE, box, boxes
from tintype.images.metadata import iptc_of
from tintype.running import opencv_silence

ROWS, COLUMNS = np.mgrid[:8, :8]
# By opj_compress, as neither Pillow nor OpenCV writes other depths than 8 and 16: -n 2 -F 8,8,1,12,u and so.
GREY_12 = b64decode(
    b"AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAgAAQsHAAAAAAAPY29scgEAAAAA"
    b"ABEAAACwanAyY/9P/1EAKQAAAAAACAAAAAgAAAAAAAAAAAAAAAgAAAAIAAAAAAAAAAAAAQsBAf9SAAwAAAABAAEEBAAB/1wAB0Bg"
    b"aGhw/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS4w/5AACgAAAAAAOwAB/5Pf4GQSC2f8n5aHV0GGsnMXcrsz"
    b"A06AYmj/Fwk3w/YHgA+EMCIaCF18XL8Df7//2Q=="
)
RGB_12 = b64decode(
    b"AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAgAAwsHAAAAAAAPY29scgEAAAAA"
    b"ABAAAAEOanAyY/9P/1EALwAAAAAACAAAAAgAAAAAAAAAAAAAAAgAAAAIAAAAAAAAAAAAAwsBAQsBAQsBAf9SAAwAAAABAQEEBAAB"
    b"/1wAB0BgaGhw/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS4w/5AACgAAAAAAkwAB/5PP5FASjINJdL+t3StH"
    b"d+xm0cexaWmBk9/gaBOQ2jg0g25NSZUbGtPQvmfF+/ZYiEyLE3F33+BsBkGUjLQHMclO5tXGgFGtiJKlPzr48OwFFp5/oPzCQAN/"
    b"3VJHxhxZ58P2B4fsDCFuBl18XL8Az9VSR9DD9geH7AwiGghdfFy/AM/eT6kk/9k="
)
GREY_4 = b64decode(
    b"AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAgAAQMHAAAAAAAPY29scgEAAAAA"
    b"ABEAAACUanAyY/9P/1EAKQAAAAAACAAAAAgAAAAAAAAAAAAAAAgAAAAIAAAAAAAAAAAAAQMBAf9SAAwAAAABAAEEBAAB/1wAB0Ag"
    b"KCgw/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS4w/5AACgAAAAAAHwAB/5PfIJAQ+81Ipmi2Vk/DoQAiGf/Z"
)
LA_12 = b64decode(
    b"AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAgAAgsHAAAAAAAPY29scgEAAAAA"
    b"AAAAAADTanAyY/9P/1EALAAAAAAACAAAAAgAAAAAAAAAAAAAAAgAAAAIAAAAAAAAAAAAAgsBAQsBAf9SAAwAAAABAAEEBAAB/1wA"
    b"B0BgaGhw/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS4w/5AACgAAAAAAWwAB/5Pf4GQSC2f8n5aHV0GGsnMX"
    b"crszA06AYmj/Fwk3z+RME3xWCgmJ4asvMCNQ04qXQTbfy8P2B4APhDAiGghdfFy/A3+/oPzBgADOZKvDh//Z"
)

GREY_9 = b64decode(
    b"AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAgAAQgHAAAAAAAPY29scgEAAAAA"
    b"ABEAAAClanAyY/9P/1EAKQAAAAAACAAAAAgAAAAAAAAAAAAAAAgAAAAIAAAAAAAAAAAAAQgBAf9SAAwAAAABAAEEBAAB/1wAB0BI"
    b"UFBY/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS4w/5AACgAAAAAAMAAB/5PfmJASC2f8n5aHV0XK5juGJwN4"
    b"n1/D7QWAEQAiGghdfwN//9k="
)
RGB_4 = b64decode(
    b"AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAACAAAAAgAAwMHAAAAAAAPY29scgEAAAAA"
    b"ABAAAAC9anAyY/9P/1EALwAAAAAACAAAAAgAAAAAAAAAAAAAAAgAAAAIAAAAAAAAAAAAAwMBAQMBAQMBAf9SAAwAAAABAQEEBAAB"
    b"/1wAB0AgKCgw/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS4w/5AACgAAAAAAQgAB/5PHRRzzCRO/3yCgENw9"
    b"t/DJdiT3n98goBFNuF1/LKreOB3BGBQAT6HQwAN+f8OhQRAiGQN//9k="
)
YCC_EVEN = b64decode(
    b"AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAABgAAAAYAAwcHAAAAAAAPY29scgEAAAAA"
    b"ABIAAACqanAyY/9P/1EALwAAAAAABgAAAAYAAAAAAAAAAAAAAAYAAAAGAAAAAAAAAAAAAwcBAQcCAgcCAv9SAAwAAAABAAEEBAAB"
    b"/1wAB0BASEhQ/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS4w/5AACgAAAAAALwAB/5PfgEAJW2X2idZnXMPn"
    b"BgiBjMPnBgiBjMPqBAAVkVkPgID/2Q=="
)
YCC_ODD = b64decode(
    b"AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAABgAAAAcAAwcHAAAAAAAPY29scgEAAAAA"
    b"ABIAAADJanAyY/9P/1EALwAAAAAABwAAAAYAAAAAAAAAAAAAAAcAAAAGAAAAAAAAAAAAAwcBAQcCAgcCAv9SAAwAAAABAAEEBAAB"
    b"/1wAB0BASEhQ/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS4w/5AACgAAAAAATgAB/5PfgFAJWsmxFjYbPYDc"
    b"z7QUEB7URr/PtBQQHtRGv4DD6gOH1AcD5wQLjjoLRNcGd8PqA4fUBwPnBAuOOgtE1wZ3/9k="
)
UUIDS = {
    "xmp": bytes.fromhex("be7acfcb97a942e89c71999491e3afac"),
    "exif": b"JpgTiffExif->JP2",
    "photoshop": bytes.fromhex("2c4c0100850440b9a03e562148d6dfeb"),
    "iptc": bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"),
    "map": bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03"),
}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><note>Grandmother, 1931</note></x:xmpmeta>'
IPTC = b"\x1c\x02\x78\x00\x0bGrandmother"
XML = b"<mets>A garden</mets>"
DPI_300 = struct.pack(">4H2b", 15000, 127, 15000, 127, 2, 2)


def file_of(source: bytes, head: bytes = b"", beside: bytes = b"", **replaced: bytes) -> bytes:
    """A JPEG 2000 with more boxes in its head and beside it, and others than its own by their kinds."""
    inner = b""
    for kind, body in boxes(dict(boxes(source))[b"jp2h"]):
        inner += box(kind, replaced.get(kind.decode().strip(), body))
    stream = replaced.get("jp2c", dict(boxes(source))[b"jp2c"])
    start = SIGNATURE + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return start + box(b"jp2h", inner + head) + beside + box(b"jp2c", stream)


def deep(pixels: Pixels) -> bytes:
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jp2", pixels, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1].tobytes()


def deep_pixels(source: bytes) -> Pixels:
    """RGB or RGBA of 16 bits."""
    values = cv2.imdecode(np.frombuffer(source, np.uint8), cv2.IMREAD_UNCHANGED)
    assert values.dtype == np.uint16
    return cv2.cvtColor(values, cv2.COLOR_BGRA2RGBA if values.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def uuids_of(source: bytes) -> dict[str, bytes]:
    """What is in its UUID boxes."""
    names = {uuid: name for name, uuid in UUIDS.items()}
    return {names[body[:16]]: body[16:] for kind, body in boxes(source) if kind == b"uuid"}


def rich() -> bytes:
    """One with all that a scanner or an archive may tell."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Ensign", 6
    told = {"xmp": XMP, "exif": exif.tobytes(), "iptc": IPTC, "map": b"where"}
    beside = box(b"xml ", XML) + b"".join(box(b"uuid", UUIDS[name] + body) for name, body in told.items())
    return file_of(encoded(GREY, "JPEG2000"), box(b"res ", box(b"resc", DPI_300)), beside)


RGBA_16 = np.dstack([COLOR_16, GREY_16])


@pytest.mark.parametrize("pixels", [GREY_16, COLOR_16, RGBA_16], ids=["grey", "rgb", "rgba"])
def test_16_bits_stay(pixels: Pixels) -> None:
    luma = pixels if pixels.ndim == 2 else luma_of_codes(np.ascontiguousarray(pixels[..., :3]))
    with open_picture(deep(pixels)) as picture:
        assert off(picture.pages[0].luma(), luma).max() == 0
        assert picture.pages[0].has_alpha == (pixels.shape[2:] == (4,))
        assert picture.pages[0].is_colored() == (pixels.ndim == 3)
    result, notes = colored(deep(pixels))
    assert notes == []
    after = deep_pixels(result)
    assert_same_grey(after, luma)
    assert np.ptp(after[..., :3].astype(int), axis=-1).max() > 1000
    if pixels.shape[2:] == (4,):
        assert (after[..., 3] == pixels[..., 3]).all()


def test_16_bits_come_from_other_formats_and_go_there() -> None:
    assert_same_grey(deep_pixels(colored(tiff(GREY_16), "JPEG2000")[0]), GREY_16)
    result, notes = colored(deep(GREY_16), "TIFF")
    with open_picture(result) as picture:
        assert off(picture.pages[0].luma(), GREY_16).max() <= 1
    assert notes == []
    assert colored(deep(GREY_16), "WEBP")[1] == ["WEBP has no 16 bits a channel: the result has 8."]


def test_depths_between_fill_the_scale() -> None:
    """White is white, whatever number stands for it."""
    expected = np.rint((COLUMNS * 580 + ROWS * 5) * (65535 / 4095)).astype(np.uint16)
    with open_picture(GREY_12) as picture:
        assert off(picture.pages[0].luma(), expected).max() == 0
    rgb = np.dstack([COLUMNS * 580 + ROWS * 5, ROWS * 580, 4095 - COLUMNS * 580])
    expected = luma_of_codes(np.rint(rgb * (65535 / 4095)).astype(np.uint16))
    with open_picture(RGB_12) as picture:
        assert off(picture.pages[0].luma(), expected).max() <= 1
    with open_picture(GREY_4) as picture:
        assert off(picture.pages[0].luma(), ((COLUMNS * 2 + (ROWS > 3)) * 17).astype(np.uint8)).max() == 0


def test_one_of_16_bits_must_be_of_some_size() -> None:
    with pytest.raises(OutputError, match="from 32 pixels a side on: write a PNG"):
        colored(GREY_12)
    assert len(colored(GREY_12, "PNG")[0]) > 100


def test_lossless_stays_lossless_and_lossy_lossy() -> None:
    lossy = encoded(GREY, "JPEG2000", irreversible=True, quality_mode="dB", quality_layers=[42])
    for source, lossless in ((encoded(GREY, "JPEG2000"), True), (lossy, False)):
        with open_picture(source) as picture:
            assert picture.lossless == lossless
        result, _ = colored(source)
        with open_picture(result) as picture:
            assert picture.lossless == lossless
    assert len(colored(lossy, quality=60)[0]) < len(colored(lossy, quality=95)[0])
    assert len(result) < len(colored(encoded(GREY, "JPEG2000"))[0]) / 2


def test_what_is_told_in_boxes_is_kept() -> None:
    result, notes = colored(rich())
    assert notes == []
    told, before = uuids_of(result), uuids_of(rich())
    assert (told["xmp"], told["exif"], told["map"]) == (XMP, before["exif"][6:], b"where")
    assert iptc_of(told["photoshop"]) == IPTC
    assert dict(boxes(result))[b"xml "] == XML
    assert opened(result).info["dpi"] == pytest.approx((300, 300), abs=1e-9)
    with open_picture(result) as picture:
        assert picture.pages[0].orientation == 6


def test_what_is_told_in_boxes_goes_to_other_formats() -> None:
    for kind in ("JPEG", "TIFF", "PNG"):
        result, notes = colored(rich(), kind)
        assert opened(result).getexif()[ExifTags.Base.Make] == "Ensign"
        assert opened(result).info["dpi"] == pytest.approx((300, 300), abs=0.02)
        assert "The texts of the JPEG2000 have no like in " + kind + ": they were left out." in notes
        back, notes = colored(result, "JPEG2000")
        assert uuids_of(back)["xmp"] == XMP
        assert ("photoshop" in uuids_of(back)) == (kind != "PNG")
        assert opened(back).info["dpi"] == pytest.approx((300, 300), abs=0.02)


@pytest.mark.parametrize("dpi", [1.0, 72.0, 299.9994, 300.0, 1200.0, 25400.0, 100_000.0])
def test_any_resolution_has_its_place(dpi: float) -> None:
    with open_picture(encoded(GREY, "PNG")) as picture:
        picture.metadata.dpi = (dpi, dpi / 1.5 + 1)
        file = BytesIO()
        save_picture(picture, [Tint()], file, "JPEG2000")
    assert opened(file.getvalue()).info["dpi"] == pytest.approx((dpi, dpi / 1.5 + 1), rel=1e-4)


def test_a_damaged_resolution_is_left_out() -> None:
    zero = struct.pack(">4H2b", 15000, 0, 15000, 127, 2, 2)
    for body in (zero, b"", DPI_300[:5], b"\xff" * 10):
        source = file_of(encoded(GREY, "JPEG2000"), box(b"res ", box(b"resc", body)))
        assert "dpi" not in opened(colored(source)[0]).info


@pytest.mark.parametrize("pixels", [GREY, COLOR], ids=["grey", "rgb"])
def test_a_profile_counts_and_a_right_one_goes_out(pixels: Pixels) -> None:
    source = file_of(encoded(pixels, "JPEG2000"), colr=b"\2\0\0" + gamma_profile(1.8).icc)
    for data in (source, colored(source)[0]):
        with open_picture(data) as picture:
            assert picture.pages[0].tone.decode(np.array([0.5]))[0] == pytest.approx(0.5**1.8, abs=2e-3)
    ImageCms.ImageCmsProfile(BytesIO(color_of(data)[3:]))
    assert color_of(colored(encoded(pixels, "JPEG2000"))[0]) == struct.pack(">BBBI", 1, 0, 0, 16)
    assert decode_rgb8(file_of(encoded(COLOR, "JPEG2000"), colr=b"\2\0\0" + gamma_profile(1).icc)).mean() > (
        COLOR.mean() + 20
    )


def color_of(source: bytes) -> bytes:
    """What is in the box that tells the colour space."""
    return dict(boxes(dict(boxes(source))[b"jp2h"]))[b"colr"]


def test_transparency_is_told_as_such() -> None:
    rgba = np.dstack([COLOR, ALPHA])
    inner = dict(boxes(dict(boxes(colored(encoded(rgba, "JPEG2000"))[0]))[b"jp2h"]))
    assert inner[b"cdef"] == struct.pack(">H12H", 4, 0, 0, 1, 1, 0, 2, 2, 0, 3, 3, 1, 0)


def test_premultiplied_transparency_is_taken_off() -> None:
    """The box's second number says so: 2 in place of 1."""
    told = struct.pack(">H12H", 4, 0, 0, 1, 1, 0, 2, 2, 0, 3, 3, 2, 0)
    rgba = np.dstack([np.full((40, 40, 3), 60, np.uint8), np.full((40, 40), 128, np.uint8)])
    source = file_of(encoded(rgba, "JPEG2000"), cdef=told)
    after = np.asarray(opened(colored(source)[0]))
    assert_same_grey(after, np.full((40, 40), 120, np.uint8))


def test_a_palette_and_smaller_color_components_are_read() -> None:
    table = np.dstack([np.arange(256), 255 - np.arange(256), np.full(256, 77)]).astype(np.uint8)[0]
    palette = struct.pack(">HB3B", 256, 3, 7, 7, 7) + table.tobytes()
    mapped = struct.pack(">HBB", 0, 1, 0) + struct.pack(">HBB", 0, 1, 1) + struct.pack(">HBB", 0, 1, 2)
    more = box(b"pclr", palette) + box(b"cmap", mapped)
    source = file_of(encoded(GREY, "JPEG2000"), more, colr=struct.pack(">BBBI", 1, 0, 0, 16))
    with open_picture(source) as picture:
        assert off(picture.pages[0].luma(), luma_of_codes(table[GREY])).max() == 0
        assert picture.pages[0].is_colored()
    with pytest.raises(InputError, match="rare kind of palette"):
        open_picture(file_of(GREY_4, more))


def test_further_pictures_are_told() -> None:
    two = encoded(GREY, "JPEG2000") + box(b"jp2c", b"more")
    with open_picture(two) as picture:
        assert picture.notes == ["The JPEG2000 holds several pictures: its first was taken."]
        assert off(picture.pages[0].luma(), GREY).max() == 0


def test_what_is_learnt_from() -> None:
    assert (decode_rgb8(encoded(COLOR, "JPEG2000")) == COLOR).all()
    assert (decode_rgb8(deep(COLOR_16))[..., 1].astype(int) - COLOR[..., 1]).max() <= 1
    for pixels in (GREY_16, RGBA_16):
        assert decode_rgb8(deep(pixels)).shape == (*GREY.shape, 3)
    assert off(decode_rgb8(deep(GREY_16))[..., 2], np.rint(GREY_16 / 257).astype(np.uint8)).max() == 0
    assert decode_rgb8(rich()).shape == (GREY.shape[1], GREY.shape[0], 3)  # upright
    with pytest.raises(InputError, match="no picture that can be decoded"):
        decode_rgb8(encoded(COLOR, "JPEG2000")[:-5000])


CMYK = struct.pack(">BBBI", 1, 0, 0, 12)
INKS = b"\2\0\0" + bytes(16) + b"CMYK"
STREAM = dict(boxes(encoded(COLOR, "JPEG2000", tile_size=(128, 128))))[b"jp2c"]
HEAD = struct.pack(">IIHBBBB", *GREY.shape, 1, 7, 7, 0, 0)
SECOND = STREAM.index(b"\xff\x90", STREAM.index(b"\xff\x90") + 12)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (STREAM, "bare codestream"),
        (LA_12, "more than 8 bits a channel in a rare form"),
        (file_of(encoded(np.dstack([COLOR, ALPHA]), "JPEG2000"), colr=CMYK), "another colour space"),
        (file_of(encoded(np.dstack([COLOR, ALPHA]), "JPEG2000"), colr=INKS), "another colour space"),
        (file_of(encoded(GREY, "JPEG2000"), ihdr=HEAD[:3] + b"\xff" + HEAD[4:]), "does not fit"),
        (file_of(encoded(GREY, "JPEG2000"), ihdr=HEAD[:9] + b"\3" + HEAD[10:]), "does not fit"),
        (file_of(encoded(GREY, "JPEG2000"), ihdr=b""), "does not fit"),
        (file_of(encoded(COLOR, "JPEG2000"), jp2c=STREAM[:SECOND]), "ends before its end marker"),
        (file_of(encoded(COLOR, "JPEG2000"), jp2c=STREAM[: SECOND + 500]), "ends before its end marker"),
        (file_of(encoded(COLOR, "JPEG2000"), jp2c=STREAM[:-2]), "ends before its end marker"),
        (file_of(encoded(COLOR, "JPEG2000"), jp2c=STREAM[:SECOND] + STREAM[-2:]), "tiles of it are missing"),
        (file_of(encoded(COLOR, "JPEG2000"), jp2c=STREAM[:60]), "ends within its header"),
        (file_of(encoded(COLOR, "JPEG2000"), jp2c=b"nothing"), "has no header"),
        (SIGNATURE + box(b"ftyp", b"jp2 "), "no codestream"),
        (encoded(COLOR, "JPEG2000")[:-1], "jp2c box is cut off"),
    ],
)  # fmt: skip
def test_what_is_refused(source: bytes, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=words) as caught:
        colored(source)
    assert str(caught.value).endswith(".")
    assert capfd.readouterr() == ("", "")


def test_decoders_keep_their_words_to_themselves(capfd: pytest.CaptureFixture[str]) -> None:
    garbled = bytearray(deep(COLOR_16))
    garbled[garbled.index(b"\xff\x52") + 5] = 9  # an order of packets that there is not
    with open_picture(bytes(garbled)) as picture, pytest.raises(InputError, match="cannot be decoded"):
        picture.pages[0].luma()
    colored(deep(GREY_16))
    assert capfd.readouterr() == ("", "")


def test_the_limit_counts_every_channel() -> None:
    """Each takes four bytes a pixel while it is decoded."""
    open_picture(encoded(COLOR, "JPEG2000"), Limits(max_pixels=3 * GREY.size)).close()
    with pytest.raises(TooLargeError):
        open_picture(encoded(COLOR, "JPEG2000"), Limits(max_pixels=3 * GREY.size - 1))


def test_any_length_of_a_box_is_read() -> None:
    long = struct.pack(">I4sQ", 1, b"xml ", 16 + 3) + b"abc"
    last = struct.pack(">I4s", 0, b"jp2c") + b"def"
    assert list(boxes(long + last)) == [(b"xml ", b"abc"), (b"jp2c", b"def")]
    assert list(boxes(long + b"\r\n")) == [(b"xml ", b"abc")]  # what a program left behind
    for cut in (long[:15], long[:-1], struct.pack(">I4s", 7, b"xml ")):
        with pytest.raises(ValueError, match=r"cut off|within a box"):
            list(boxes(cut))


def with_channels(pixels: Pixels, *told: tuple[int, int, int]) -> bytes:
    """A JPEG 2000 of components in that order, with words on what each is: component, kind, colour."""
    body = struct.pack(f">H{3 * len(told)}H", len(told), *(number for row in told for number in row))
    source = encoded(pixels, "JPEG2000") if pixels.dtype == np.uint8 else deep(pixels)
    if b"cdef" in source:
        return file_of(source, cdef=body)
    return file_of(source, box(b"cdef", body))


@pytest.mark.parametrize("depth", [8, 16])
def test_channels_may_come_in_any_order(depth: int) -> None:
    rgb, alpha = (COLOR, ALPHA) if depth == 8 else (COLOR_16, GREY_16)
    told = [(0, 1, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3)]
    with open_picture(with_channels(np.dstack([alpha, rgb]), *told)) as picture:
        page = picture.pages[0]
        assert off(page.luma(), luma_of_codes(rgb)).max() == 0
        assert (page.alpha() == alpha).all()
    backward = np.ascontiguousarray(rgb[..., ::-1])
    with open_picture(with_channels(backward, (0, 0, 3), (1, 0, 2), (2, 0, 1))) as picture:
        assert off(picture.pages[0].luma(), luma_of_codes(rgb)).max() == 0
        small = picture.pages[0].small_rgb()
        assert small is not None
        assert np.abs(small.mean((0, 1)) - rgb.mean((0, 1))).max() < rgb.max() / 50


def test_alpha_may_come_before_grey() -> None:
    with open_picture(with_channels(np.dstack([ALPHA, GREY]), (0, 1, 0), (1, 0, 1))) as picture:
        assert off(picture.pages[0].luma(), GREY).max() == 0
        assert (picture.pages[0].alpha() == ALPHA).all()


def test_a_channel_that_is_not_told_to_be_transparency_is_left_out() -> None:
    """As the infrared of aerial photographs."""
    told = [(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 65535, 65535)]
    result, notes = colored(with_channels(np.dstack([COLOR, ALPHA]), *told))
    assert notes == ["The JPEG2000 does not say that its extra channel is transparency: it was left out."]
    assert opened(result).mode == "RGB"
    assert_same_grey(np.asarray(opened(result)), luma_of_codes(COLOR))


@pytest.mark.parametrize("pixels", [COLOR, np.dstack([COLOR, ALPHA])], ids=["rgb", "rgba"])
def test_channels_that_make_no_colors_are_refused(pixels: Pixels) -> None:
    with pytest.raises(InputError, match="none of grey or of RGB"):
        open_picture(with_channels(pixels, (0, 0, 1), (1, 0, 1), (2, 0, 9), (3, 1, 0)))


def test_channels_that_are_not_told_are_as_usual() -> None:
    for pixels, told in ((np.dstack([GREY, ALPHA]), (1, 2, 0)), (np.dstack([COLOR, ALPHA]), (3, 1, 0))):
        with open_picture(with_channels(pixels, told)) as picture:
            luma = GREY if pixels.shape[2] == 2 else luma_of_codes(COLOR)
            assert off(picture.pages[0].luma(), luma).max() == 0
            assert (picture.pages[0].alpha() == ALPHA).all()
            assert picture.pages[0].is_transparent


@pytest.mark.parametrize("depth", [0, 6, 8, 15, 255])
@pytest.mark.parametrize("pixels", [GREY, GREY_16], ids=["8", "16"])
def test_the_codestreams_depth_counts(pixels: Pixels, depth: int) -> None:
    source = encoded(GREY, "JPEG2000") if pixels is GREY else deep(GREY_16)
    head = bytearray(HEAD)
    head[10] = depth
    with open_picture(file_of(source, ihdr=bytes(head))) as picture:
        assert off(picture.pages[0].luma(), pixels).max() == 0


def test_nine_bits_and_few_bits_of_color() -> None:
    with open_picture(GREY_9) as picture:
        expected = np.rint((COLUMNS * 72 + ROWS) * (65535 / 511)).astype(np.uint16)
        assert off(picture.pages[0].luma(), expected).max() == 0
    with open_picture(RGB_4) as picture:
        rgb = (np.dstack([COLUMNS * 2 + (ROWS > 3), 15 - ROWS, ROWS * 2]) * 17).astype(np.uint8)
        assert off(picture.pages[0].luma(), luma_of_codes(rgb)).max() == 0
        assert (picture.pages[0].small_rgb() == rgb).all()
    assert (decode_rgb8(RGB_4) == rgb).all()


def test_smaller_color_components_that_do_not_fit_are_refused() -> None:
    """Pillow would skew them."""
    with open_picture(YCC_EVEN) as picture:
        luma = picture.pages[0].luma().astype(int)
        assert np.abs(luma - np.arange(6) * 36)[:, 2:].max() <= 1  # the first are too dark for such a colour
    with pytest.raises(InputError, match="smaller components do not fit its size"):
        open_picture(YCC_ODD)


def test_grey_may_be_told_to_be_srgb() -> None:
    with open_picture(file_of(encoded(GREY, "JPEG2000"), colr=struct.pack(">BBBI", 1, 0, 0, 16))) as picture:
        assert off(picture.pages[0].luma(), GREY).max() == 0


def test_of_two_color_spaces_the_first_counts() -> None:
    number = struct.pack(">BBBI", 1, 0, 0, 16)
    linear = b"\2\0\0" + gamma_profile(1).icc
    plain = file_of(encoded(COLOR, "JPEG2000"), box(b"colr", linear), colr=number)
    assert (decode_rgb8(plain) == COLOR).all()
    with open_picture(plain) as picture:
        assert picture.pages[0].profile is SRGB_PROFILE
    with open_picture(file_of(encoded(COLOR, "JPEG2000"), box(b"colr", number), colr=linear)) as picture:
        assert picture.pages[0].profile is not SRGB_PROFILE


def test_a_part_of_a_tile_that_is_missing_is_told() -> None:
    """The first part says how many there are."""
    first = STREAM.index(b"\xff\x90")
    assert STREAM[first + 11] == 1
    more = STREAM[: first + 11] + b"\2" + STREAM[first + 12 :]
    with pytest.raises(InputError, match="parts of its tiles are missing"):
        open_picture(file_of(encoded(COLOR, "JPEG2000"), jp2c=more))


def test_silence_is_kept_while_any_thread_wants_it() -> None:
    level = cv2.utils.logging.getLogLevel
    before = level()
    first, second = opencv_silence(), opencv_silence()
    with first:
        second.__enter__()
    assert level() == cv2.utils.logging.LOG_LEVEL_SILENT
    second.__exit__(None, None, None)
    assert level() == before
