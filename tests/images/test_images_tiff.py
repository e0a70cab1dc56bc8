"""TIFF in all its kinds, read and written without the codecs that tifffile would like to have."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
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

from tintype.images import luma_of_codes, open_picture, save_picture
from tintype.images.tiff_tags import Reader, Tag, header, longs, pack, shorts

BILEVEL = GREY > 120
SHAPES = {"grey 8": GREY, "grey 16": GREY_16, "rgb 8": COLOR, "rgb 16": COLOR_16}


def test_no_codecs_beyond_the_dependencies_are_used(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    path.write_bytes(encoded(GREY, "TIFF", compression="tiff_lzw"))
    code = (
        "import sys; from pathlib import Path; from tintype.images import open_picture;"
        f"open_picture(Path({str(path)!r})).pages[0].luma();"
        "print({'imagecodecs', 'tifffile'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def expected_luma(pixels: Pixels) -> Pixels:
    return luma_of_codes(np.ascontiguousarray(pixels[..., :3])) if pixels.ndim == 3 else pixels


def check(source: bytes, luma: Pixels, depth: Any, told: Sequence[str] = ()) -> Pixels:
    """The luma read, the beginnings of the notes, and the coloured file, which is given back, are right."""
    assert (luma_of_file(source) == luma).all()
    result, notes = colored(source)
    assert [note[: len(begin)] for note, begin in zip(notes, told, strict=True)] == list(told)
    pixels = tifffile.imread(BytesIO(result))
    assert (pixels.shape[:2], pixels.dtype) == (luma.shape, np.dtype(depth))
    assert_same_grey(pixels, luma)
    return pixels


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib", "zlib, predictor"])
@pytest.mark.parametrize("tile", [None, (64, 48)])
def test_storage(name: str, byteorder: str, planar: str, compression: str | None, tile: Any) -> None:
    pixels = SHAPES[name]
    options: dict[str, Any] = {"byteorder": byteorder, "tile": tile, "photometric": "minisblack"}
    if pixels.ndim == 3:
        options |= {"photometric": "rgb", "planarconfig": planar}
    if compression:
        options |= {"compression": "zlib", "predictor": 2 if "predictor" in compression else None}
    if not tile:
        options["rowsperstrip"] = 30
    stored = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 and planar == "separate" else pixels
    check(tiff(stored, **options), expected_luma(pixels), pixels.dtype)


@pytest.mark.parametrize("codec", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "zstd", "lzma"])
@pytest.mark.parametrize("pixels", [GREY, COLOR, GREY_16], ids=["grey", "rgb", "grey 16"])
def test_codecs(codec: str, pixels: Pixels) -> None:
    check(encoded(pixels, "TIFF", compression=codec), expected_luma(pixels), pixels.dtype)


@pytest.mark.parametrize("predictor", [1, 2])
def test_lzw_of_16_bits_in_color(predictor: int) -> None:
    options = [cv2.IMWRITE_TIFF_COMPRESSION, 5, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    done, data = cv2.imencode(".tif", np.ascontiguousarray(COLOR_16[..., ::-1]), options)
    assert done
    check(data.tobytes(), expected_luma(COLOR_16), np.uint16)


@pytest.mark.parametrize("codec", ["raw", "tiff_ccitt", "group3", "group4", "tiff_lzw", "packbits"])
def test_one_bit(codec: str) -> None:
    source = encoded(Image.fromarray(BILEVEL), "TIFF", compression=codec)
    check(source, BILEVEL.astype(np.uint8) * 255, np.uint8)


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits(bits: int) -> None:
    codes = GREY >> (8 - bits)
    padded = np.pad(codes, ((0, 0), (0, -codes.shape[1] % (8 // bits))))
    packed = np.zeros((len(codes), padded.shape[1] * bits // 8), np.uint8)
    for i in range(8 // bits):
        packed |= padded[:, i :: 8 // bits] << (8 - bits * (i + 1))
    source = bytearray(tiff(packed, photometric="minisblack"))
    with tifffile.TiffFile(BytesIO(source)) as file:
        tags = file.pages[0].tags
        places = {256: codes.shape[1], 258: bits}
        for code, value in places.items():
            at = tags[code].offset + 8
            source[at : at + 2] = value.to_bytes(2, "little")
    check(bytes(source), codes * np.uint8(255 // (2**bits - 1)), np.uint8)


@pytest.mark.parametrize("pixels", [GREY, GREY_16], ids=["8", "16"])
def test_min_is_white(pixels: Pixels) -> None:
    check(tiff(pixels, photometric="miniswhite"), ~pixels, pixels.dtype)


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize("deep", [False, True])
def test_alpha_is_kept_with_its_meaning(kind: str, deep: bool) -> None:
    grey, alpha = (GREY_16, ALPHA.astype(np.uint16) * 257) if deep else (GREY, ALPHA)
    for stack in ((grey, alpha), (*np.moveaxis(COLOR_16 if deep else COLOR, -1, 0), alpha)):
        pixels = np.dstack(stack)
        source = tiff(
            pixels,
            photometric="rgb" if len(stack) == 4 else "minisblack",
            planarconfig="contig",
            extrasamples=[kind],
            compression="zlib",
        )
        result = check(source, grey if len(stack) == 2 else expected_luma(pixels), pixels.dtype)
        assert (result[..., 3] == alpha).all()
        with tifffile.TiffFile(BytesIO(colored(source)[0])) as file:
            assert file.pages[0].extrasamples[0].name.lower() == kind


def test_palette() -> None:
    image = Image.fromarray(COLOR).quantize(200)
    check(encoded(image, "TIFF"), np.asarray(image.convert("RGB").convert("L")), np.uint8)


@pytest.mark.parametrize("pixels", [GREY, COLOR], ids=["grey", "Y'CbCr"])
def test_jpeg_inside(pixels: Pixels) -> None:
    source = encoded(pixels, "TIFF", compression="jpeg", quality=95)
    luma = luma_of_file(source)
    assert (off(luma, np.asarray(opened(source).convert("L"))) <= 2).mean() > 0.99
    check(source, luma, np.uint8)


def test_inks() -> None:
    image = Image.fromarray(COLOR).convert("CMYK")
    for codec in ("raw", "tiff_lzw"):
        source = encoded(image, "TIFF", compression=codec)
        check(source, np.asarray(image.convert("RGB").convert("L")), np.uint8, ["Its inks have no profile"])


def several_pages() -> bytes:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(GREY, metadata=None, description="one")
        writer.write(GREY_16[:50, :71], metadata=None, compression="zlib", description="two")
        writer.write(COLOR[:, :99], metadata=None, tile=(32, 32), description="three")
    return file.getvalue()


def test_each_page_has_its_own_size_depth_and_tags() -> None:
    result, _ = colored(several_pages())
    wanted = [GREY, GREY_16[:50, :71], expected_luma(COLOR[:, :99])]
    with tifffile.TiffFile(BytesIO(result)) as file:
        assert [page.description for page in file.pages] == ["one", "two", "three"]
        for page, luma in zip(file.pages, wanted, strict=True):
            assert page.dtype == luma.dtype
            assert_same_grey(page.asarray(), luma)


def test_several_pages_do_not_fit_other_formats() -> None:
    with open_picture(several_pages()) as picture, pytest.raises(Exception, match="3 pages"):
        save_picture(picture, [Tint()] * 3, BytesIO(), "PNG")


def test_compressed_stays_compressed_and_plain_plain() -> None:
    for compression, wanted in (("zlib", 8), (None, 1)):
        result, _ = colored(tiff(GREY, compression=compression))
        with tifffile.TiffFile(BytesIO(result)) as file:
            assert file.pages[0].compression == wanted
            assert file.pages[0].predictor == (2 if compression else 1)


def test_big_tiff_is_read() -> None:
    check(tiff(GREY, bigtiff=True), GREY, np.uint8)


def test_big_tiff_is_written_when_4_gib_could_be_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tintype.images.tiff_write._CLASSIC_MAX", 1000)
    file = several_pages()
    result, _ = colored(file)
    assert result[:4] == b"II+\0"
    with tifffile.TiffFile(BytesIO(result)) as written:
        assert_same_grey(written.pages[1].asarray(), GREY_16[:50, :71])


class Pipe(io.RawIOBase):
    """A target that cannot seek, as standard output."""

    def __init__(self) -> None:
        self.got = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.got += data
        return len(data)


def test_a_pipe_gets_the_same_file() -> None:
    source = tiff(GREY)
    pipe = Pipe()
    with open_picture(source) as picture:
        save_picture(picture, [Tint()], pipe, "TIFF")  # type: ignore[arg-type]
    assert bytes(pipe.got) == colored(source)[0]


def test_other_formats_become_tiffs() -> None:
    for source, luma in ((encoded(GREY, "PNG"), GREY), (encoded(Image.fromarray(GREY_16), "PNG"), GREY_16)):
        pixels = tifffile.imread(BytesIO(colored(source, "TIFF")[0]))
        assert_same_grey(pixels, luma)


def test_a_large_single_strip_is_read_in_parts() -> None:
    pixels = np.zeros((5000, 3000), np.uint8)
    pixels[:] = np.arange(5000)[:, None] % 251
    with open_picture(tiff(pixels)) as picture:
        bands = [band.luma for band in picture.pages[0].bands()]
        assert len(bands) > 2
        assert (np.concatenate(bands) == pixels).all()


def few_bits(samples: Pixels, bits: int, photometric: int, tags: dict[int, Tag] | None = None) -> bytes:
    """An uncompressed TIFF of `samples` (H, W, n), each of 1, 2 or 4 bits, with further tags."""
    height, width, count = samples.shape
    ones = np.unpackbits(samples.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
    data = np.packbits(ones.reshape(height, -1), axis=1).tobytes()
    own = {256: longs(width), 257: longs(height), 258: shorts(*[bits] * count), 259: shorts(1)}
    own |= {262: shorts(photometric), 273: longs(8), 277: shorts(count), 278: longs(height)}
    own |= {279: longs(len(data))} | (tags or {})
    start = 8 + len(data) + len(data) % 2
    return header(start, big=False) + data.ljust(start - 8, b"\0") + pack(own, start, big=False)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_every_sample_of_few_bits_is_brought_to_8(bits: int) -> None:
    top = (1 << bits) - 1
    codes = np.random.default_rng(0).integers(0, top + 1, (6, 9, 5), np.uint8)
    full = codes * np.uint8(255 // top)
    alpha = {338: shorts(2)}
    with open_picture(few_bits(codes[..., :3], bits, photometric=2)) as picture:
        assert (picture.pages[0].luma() == expected_luma(full[..., :3])).all()
    with open_picture(few_bits(codes[..., :2], bits, 1, alpha)) as picture:
        assert (picture.pages[0].luma() == full[..., 0]).all()
        assert (picture.pages[0].alpha() == full[..., 1]).all()
    with open_picture(few_bits(codes[..., :2], bits, 0)) as picture:
        assert (picture.pages[0].luma() == 255 - full[..., 0]).all()
    with open_picture(few_bits(codes[..., :4], bits, photometric=5)) as picture:
        inks = Image.fromarray(np.ascontiguousarray(full[..., :4]), "CMYK")
        assert (picture.pages[0].luma() == np.asarray(inks.convert("RGB").convert("L"))).all()
    colors = np.random.default_rng(1).integers(0, 256, (top + 1, 3), np.uint8)
    palette = {320: shorts(*(int(value) * 257 for value in colors.T.ravel()))}
    with open_picture(few_bits(codes[..., :2], bits, 3, palette | alpha)) as picture:
        assert (picture.pages[0].luma() == expected_luma(colors[codes[..., 0]])).all()
        assert (picture.pages[0].alpha() == full[..., 1]).all()


def with_extra(kind: int | None, deep: bool) -> bytes:
    """Grey of a quarter with a second channel of a quarter, which ExtraSamples says to be of `kind`."""
    top = 65535 if deep else 255
    pixels = np.full((4, 5, 2), top // 4, np.uint16 if deep else np.uint8)
    pixels[0] = 0
    data = pixels.tobytes()
    tags = {256: longs(5), 257: longs(4), 258: shorts(*[16 if deep else 8] * 2), 259: shorts(1)}
    tags |= {262: shorts(1), 273: longs(8), 277: shorts(2), 278: longs(4), 279: longs(len(data))}
    tags |= {} if kind is None else {338: shorts(kind)}
    return header(8 + len(data), big=False) + data + pack(tags, 8 + len(data), big=False)


@pytest.mark.parametrize("deep", [False, True])
def test_an_extra_channel_goes_to_other_formats_by_its_meaning(deep: bool) -> None:
    top, kept = (65535, np.uint16) if deep else (255, np.uint8)
    for kind, grey, alpha in ((2, top // 4, top // 4), (1, top, top // 4), (0, top // 4, None)):
        result, notes = colored(with_extra(kind, deep), "PNG")
        with open_picture(result) as picture:
            page = picture.pages[0]
            assert page.dtype == kept
            assert (off(page.luma()[1:], np.full((3, 5), grey, kept)) <= (1 if top == 255 else 16)).all()
            channel = page.alpha()
        if alpha is None:
            assert channel is None
            assert any("does not say that its extra channel is transparency" in note for note in notes)
        else:
            assert channel is not None
            assert (channel[1:] == alpha).all()
            assert (channel[0] == 0).all()
            assert notes == []
    assert colored(with_extra(None, deep), "WEBP")[1] == colored(with_extra(0, deep), "WEBP")[1] != []
    assert not any("JPEG has no transparency" in note for note in colored(with_extra(0, deep), "JPEG")[1])


@pytest.mark.parametrize("kind", [None, 0, 1, 2])
def test_a_tiff_claims_no_more_of_its_extra_channel_than_it_did(kind: int | None) -> None:
    with open_picture(colored(with_extra(kind, deep=False))[0]) as picture:
        assert picture.pages[0].tags[338].numbers() == [kind or 0]  # type: ignore[attr-defined]
        assert (picture.pages[0].alpha()[1:] == 63).all()  # type: ignore[index]


@pytest.mark.parametrize("rows", [1, 8, 10, 1400])
def test_toning_is_judged_alike_however_the_strips_lie(rows: int) -> None:
    """Grain in each channel of its own would be taken for colour where it is not averaged."""
    tone = np.linspace(20, 220, 1000)[None, :, None] * np.array([1.0, 0.93, 0.8])
    grain = np.random.default_rng(0).normal(0, 3, (1400, 1000, 3))
    sepia = (tone + grain).clip(0, 255).astype(np.uint8)
    for pixels, is_colored in ((sepia, False), (cv2.resize(COLOR, (1000, 1400)), True)):
        with open_picture(tiff(pixels, compression="zlib", rowsperstrip=rows)) as picture:
            assert picture.pages[0].is_colored() == is_colored


def test_layers_are_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are often larger than the pixels, of which bands are held."""
    source = tiff(GREY, extratags=[(37724, 7, 5000, bytes(5000), True)])
    read: list[int] = []
    real = Reader.read
    monkeypatch.setattr(
        Reader, "read", lambda self, offset, size: read.append(size) or real(self, offset, size)
    )
    colored(source)
    assert read
    assert 5000 not in read


def test_layers_do_not_go_into_the_result_which_is_told() -> None:
    """Photoshop opens these in place of the page, and they are grey."""
    source = tiff(GREY, extratags=[(37724, 7, 40, b"Adobe Photoshop Document Data Block\0" + bytes(4), True)])
    result, notes = colored(source)
    assert notes == ["The TIFF's layers were left out: it was taken as a whole."]
    with tifffile.TiffFile(BytesIO(result)) as file:
        assert 37724 not in file.pages[0].tags
