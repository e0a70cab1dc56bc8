"""Whatever is no whole picture of a sensible size gives one clear sentence."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from heif_makers import heif, tiled_heif
from picture_makers import COLOR, COLOR_16, GREY, GREY_16, Tint, encoded, tiff
from PIL import Image

from tintype.errors import InputError, OutputError, TooLargeError
from tintype.images import Limits, decode_rgb8, open_picture, save_picture
from tintype.images.picture import ArrayPage

WHOLE = {
    "jpeg": encoded(GREY, "JPEG"),
    "jpeg progressive": encoded(COLOR, "JPEG", progressive=True),
    "jpeg cmyk": encoded(Image.fromarray(COLOR).convert("CMYK"), "JPEG"),
    "png": encoded(GREY, "PNG"),
    "png 16": encoded(Image.fromarray(GREY_16), "PNG"),
    "tiff": tiff(GREY, rowsperstrip=20),
    "tiff deflate": tiff(COLOR_16, compression="zlib", rowsperstrip=20),
    "tiff tiles": tiff(GREY, compression="zlib", tile=(64, 64)),
    "tiff lzw": encoded(COLOR, "TIFF", compression="tiff_lzw"),
    "tiff jpeg": encoded(COLOR, "TIFF", compression="jpeg"),
    "tiff fax": encoded(Image.fromarray(GREY > 120), "TIFF", compression="group4"),
    "webp": encoded(GREY, "WEBP"),
    "webp lossless": encoded(COLOR, "WEBP", lossless=True),
    "avif": encoded(COLOR, "AVIF"),
    "jp2": encoded(GREY, "JPEG2000"),
    "jp2 tiles": encoded(COLOR, "JPEG2000", tile_size=(64, 64)),
    "jp2 with loss": encoded(COLOR, "JPEG2000", irreversible=True, quality_layers=[20]),
    "heif": heif(GREY),
    "heif tiles": tiled_heif(COLOR, 64, (180, 250))[0],
    "gif": encoded(GREY, "GIF"),
    "bmp": encoded(GREY, "BMP"),
}


def read_all(source: bytes | Path) -> None:
    """Everything that a colorizer would read of it."""
    with open_picture(source) as picture:
        for page in picture.pages:
            page.is_colored()
            page.thumbnail(8, 8)
            page.luma()


def assert_one_sentence(message: str) -> None:
    assert message.endswith(".")
    assert "\n" not in message
    assert 20 < len(message) < 300


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
def test_truncated_files_are_refused(name: str, share: float, tmp_path: Path) -> None:
    read_all(WHOLE[name])
    path = tmp_path / "cut"
    path.write_bytes(WHOLE[name][: int(len(WHOLE[name]) * share)])
    with pytest.raises(InputError, match="cut") as caught:
        read_all(path)
    assert_one_sentence(str(caught.value))


@pytest.mark.parametrize("name", WHOLE)
def test_garbled_files_give_a_picture_or_a_sentence(name: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(15):
        data = bytearray(WHOLE[name])
        for position in rng.integers(4, len(data), 12):
            data[position] = rng.integers(256)
        try:
            read_all(bytes(data))
        except InputError as error:
            assert_one_sentence(str(error))


@pytest.mark.parametrize(
    "content", [b"", b"Dear Sir,\nyours.\n", b"\0" * 500, b"BM", b"\xff\xd8\xff", b"II*\0"]
)
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "letter.jpg"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(InputError) as caught:
            read_all(source)
        assert_one_sentence(str(caught.value))


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.png"):
        with pytest.raises(InputError, match="cannot be read") as caught:
            open_picture(path)
        assert str(path) in str(caught.value)


def huge(kind: str) -> bytes:
    """A small file whose header claims 60,000 × 60,000 pixels."""
    side = 60_000
    data = bytearray(encoded(GREY, kind) if kind != "TIFF" else tiff(GREY, rowsperstrip=10))
    if kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", side, side)
    elif kind == "PNG":
        data[16:24] = struct.pack(">II", side, side)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", side, side)
    elif kind == "JPEG2000":
        at = data.index(b"\xff\x51") + 6
        data[at : at + 8] = struct.pack(">II", side, side)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", side, side)
    else:
        for tag in (256, 257):
            for count in (b"\3\0\1\0\0\0", b"\4\0\1\0\0\0"):
                at = data.find(struct.pack("<H", tag) + count)
                if at >= 0:
                    data[at : at + 12] = struct.pack("<HHII", tag, 4, 1, side)
    return bytes(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "JPEG2000", "BMP", "GIF"])
def test_a_claim_of_gigapixels_is_refused_from_the_header(kind: str) -> None:
    with pytest.raises(TooLargeError, match="60000 × 60000") as caught:
        open_picture(huge(kind))
    assert_one_sentence(str(caught.value))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "JPEG2000", "WEBP", "AVIF", "GIF", "BMP"])
def test_limits_can_be_set(kind: str) -> None:
    with pytest.raises(TooLargeError):
        open_picture(encoded(GREY, kind), Limits(max_pixels=GREY.size - 1))
    open_picture(encoded(GREY, kind), Limits(max_pixels=GREY.size)).close()


def test_striped_tiffs_have_a_limit_of_their_own() -> None:
    striped = tiff(GREY, rowsperstrip=10, compression="zlib")
    one_strip = tiff(GREY, rowsperstrip=1000, compression="zlib")
    limits = Limits(max_pixels=GREY.size - 1)
    with open_picture(striped, limits) as picture:
        assert (picture.pages[0].luma() == GREY).all()
        with pytest.raises(OutputError, match="write a TIFF"):
            save_picture(picture, [Tint()], BytesIO(), "PNG")
    with pytest.raises(TooLargeError, match="for one compressed strip or tile of a TIFF"):
        open_picture(one_strip, limits)
    with pytest.raises(TooLargeError):
        open_picture(striped, Limits(max_pixels_banded=GREY.size - 1))


def test_samples_of_other_kinds_are_refused() -> None:
    for values in (GREY.astype(np.float32), GREY.astype(np.int32), GREY.astype(np.int16)):
        with pytest.raises(InputError, match="8 or 16 bits"):
            open_picture(tiff(values))


def test_garbage_in_a_chunks_name_does_not_break_the_sentence() -> None:
    data = bytearray(encoded(GREY, "PNG"))
    at = data.index(b"IDAT")
    data[at - 4 : at + 4] = b"\xff\xff\xff\xffID\n\0"
    with pytest.raises(InputError, match="its 49440a00 chunk is cut off") as caught:
        read_all(bytes(data))
    assert_one_sentence(str(caught.value))


def test_a_sentence_quotes_no_control_characters() -> None:
    whole = WHOLE["png"]
    at = whole.index(b"IDAT") - 4
    odd = whole[:at] + b"\x7f\xff\xff\xff" + b"\n\x07\x1b\x00" + whole[at:]
    with pytest.raises(InputError) as caught:
        read_all(odd)
    assert_one_sentence(str(caught.value))
    assert str(caught.value).isprintable()


def plain_tiff(further: list[tuple[int, int, int, int]], body: bytes = b"") -> bytes:
    """A TIFF of one black pixel, `body` at 8, and `further` entries (code, kind, count, value or place)."""
    own = [(code, 3, 1, 1) for code in (256, 257, 259, 262, 277, 278)]
    own += [(258, 3, 1, 8), (273, 4, 1, 8), (279, 4, 1, 1)]
    codes = {entry[0] for entry in further}
    entries = sorted([entry for entry in own if entry[0] not in codes] + further)
    body = body.ljust(2, b"\0")
    table = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<2sHI", b"II", 42, 8 + len(body)) + body + table + bytes(4)


def test_tags_that_share_their_bytes_are_refused_before_they_fill_the_memory() -> None:
    size = 100_000
    shared = [(40_000 + n, 7, size, 8) for n in range(1_500)]
    with pytest.raises(InputError, match="its tags claim more bytes than it has") as caught:
        open_picture(plain_tiff(shared, bytes(size)))
    assert_one_sentence(str(caught.value))
    with open_picture(plain_tiff(shared[:20], bytes(size))) as picture:
        assert len(picture.pages[0].tags[40_000].raw) == size  # type: ignore[attr-defined]


def test_large_tags_of_their_own_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tintype.images.tiff_tags._MAX_VALUES", 1_000)
    with open_picture(plain_tiff([(37_723, 7, 100_000, 8)], bytes(100_000))) as picture:
        assert len(picture.pages[0].tags[37_723].raw) == 100_000  # type: ignore[attr-defined]


def test_directories_that_nest_in_each_other_are_passed_over() -> None:
    """Each of thousands of EXIF tags leads back to the directory that holds them all."""
    source = plain_tiff([(34_665, 4, 1, 10)] * 3_000)
    with open_picture(source) as picture:
        assert picture.pages[0].luma().shape == (1, 1)


def test_jpeg_data_inside_a_tiff_cannot_be_larger_than_its_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    def page(side: int, claimed: int) -> bytes:
        """One of 16 × 16 pixels with JPEG data of `side` that say they are of `claimed`."""
        data = bytearray(simplejpeg.encode_jpeg(np.full((side, side, 1), 128, np.uint8), 90, "GRAY", "Gray"))
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", claimed, claimed)
        own = [(256, 3, 1, 16), (257, 3, 1, 16), (259, 3, 1, 7), (278, 3, 1, 16), (279, 4, 1, len(data))]
        return plain_tiff(own, bytes(data))

    with open_picture(page(32, 32)) as picture:  # filled up to whole units
        assert (picture.pages[0].luma() == np.full((16, 16), 128)).all()
    monkeypatch.setattr(simplejpeg, "decode_jpeg", None)
    with pytest.raises(InputError, match="of another size than announced") as caught:
        read_all(page(16, 16_000))
    assert_one_sentence(str(caught.value))


def png(
    header: tuple[int, ...], rows: bytes, *chunks: tuple[bytes, bytes], interlaced: bool = False
) -> bytes:
    """A PNG of `header` (width, height, bits, kind), filtered `rows`, and further chunks before these."""
    head = struct.pack(">IIBBBBB", *header, 0, 0, interlaced)
    every = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in every]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_second_header_in_a_png_cannot_get_around_the_limits() -> None:
    second = struct.pack(">IIBBBBB", 300, 300, 8, 0, 0, 0, 0)
    with pytest.raises(InputError, match="more than one header") as caught:
        open_picture(png((8, 8, 8, 0), bytes(301 * 300), (b"IHDR", second)), Limits(max_pixels=100))
    assert_one_sentence(str(caught.value))


def test_pixels_of_another_size_than_was_checked_are_refused() -> None:
    page = ArrayPage((8, 8), np.uint8, lambda: (np.zeros((9, 8), np.uint8), None), name="A scan")
    with pytest.raises(InputError, match="A scan is damaged: its pixels are of another size") as caught:
        page.luma()
    assert_one_sentence(str(caught.value))


@pytest.mark.parametrize(("kind", "color"), [(0, b""), (0, b"\0"), (2, b"\0\0\0\0\0")])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_color_that_is_cut_short_is_refused(bits: int, kind: int, color: bytes) -> None:
    rows = bytes(4 * (1 + 4 * bits // 8 * (1 if kind == 0 else 3)))
    with pytest.raises(InputError, match="tRNS chunk") as caught:
        read_all(png((4, 4, bits, kind), rows, (b"tRNS", color)))
    assert_one_sentence(str(caught.value))


@pytest.mark.parametrize(
    ("bits", "kind"), [(8, 0), (8, 2), (4, 3), (8, 6), (1, 0), (16, 0), (16, 2), (16, 4)]
)
def test_a_png_that_lacks_rows_is_refused(bits: int, kind: int) -> None:
    """Its checksums are right, and Pillow would have the rest black."""
    row = b"\0" + b"\x4d" * -(-9 * bits * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind] // 8)
    palette = [(b"PLTE", bytes(range(48)))] if kind == 3 else []
    read_all(png((9, 12, bits, kind), 12 * row, *palette))
    for rows in (11, 3):
        with pytest.raises(InputError, match="damaged or truncated PNG") as caught:
            read_all(png((9, 12, bits, kind), rows * row, *palette))
        assert_one_sentence(str(caught.value))


def test_a_png_that_is_black_below_lacks_nothing() -> None:
    for mode in ("1", "L", "LA", "RGB", "RGBA", "P"):
        for size in ((35, 41), (1, 1), (3, 2)):
            read_all(encoded(Image.new(mode, size), "PNG"))
    sides = [(2, 1), (1, 1), (3, 1), (2, 2), (5, 1), (4, 3), (9, 2)]  # of the seven passes over 9 × 5
    rows = b"".join(bytes(height * (1 + width)) for width, height in sides)
    read_all(png((9, 5, 8, 0), rows, interlaced=True))
    with pytest.raises(InputError, match="damaged or truncated PNG"):
        read_all(png((9, 5, 8, 0), rows[:-1], interlaced=True))


def test_a_palette_that_is_missing_is_told() -> None:
    with pytest.raises(InputError, match="it has no palette"):
        read_all(png((4, 4, 8, 3), bytes(4 * 5)))


def test_an_animation_that_is_cut_anywhere_gives_its_first_frame_or_a_sentence() -> None:
    frames = [Image.fromarray(np.full((20, 20), value, np.uint8)) for value in (10, 120, 250)]
    whole = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)
    refused = 0
    for end in range(20, len(whole)):
        try:
            with open_picture(whole[:end]) as picture:
                assert (picture.pages[0].luma() == 10).all()
        except InputError as error:
            refused += 1
            assert_one_sentence(str(error))
    assert 0 < refused < len(whole) - 20
    with open_picture(whole) as picture:
        assert picture.notes == ["The GIF is an animation: its first frame was taken."]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            b"%PDF-1.7" + bytes(40),
            "is a PDF, which is not read; save it as JPEG, PNG or TIFF first, each page",
        ),
    ],
)
def test_formats_of_telephones_and_scanners_that_are_not_read_are_named(data: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        open_picture(data)


def test_a_jpeg_of_too_many_scans_is_refused() -> None:
    """Each takes a pass over all pixels, and a few bytes of the file."""
    whole = WHOLE["jpeg progressive"]
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00\x00"
    with pytest.raises(InputError, match="it has more than 128 scans, which no program writes"):
        open_picture(whole[:-2] + 200 * scan + whole[-2:])
    with pytest.raises(InputError, match="no picture that can be decoded"):
        decode_rgb8(whole[:-2] + 200 * scan + whole[-2:])
    assert decode_rgb8(whole).size
    with open_picture(whole + 200 * scan) as behind_its_end:
        assert behind_its_end.pages[0].luma().size


def test_what_all_pages_lack_is_told_once() -> None:
    page = Image.fromarray(GREY)
    with open_picture(
        encoded(GREY, "TIFF", icc_profile=b"x" * 200, save_all=True, append_images=[page, page])
    ) as picture:
        assert len(picture.pages) == 3
        assert [note for note in picture.notes if "ICC profile" in note] == picture.notes[:1]
