"""What a file says about itself stays with it: EXIF with its orientation, XMP, IPTC, resolution."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile
from picture_makers import GREY, GREY_16, Tint, colored, encoded, opened, tiff
from PIL import ExifTags, Image, ImageOps, IptcImagePlugin, PngImagePlugin

from tintype.errors import InputError
from tintype.images import open_picture, png, save_picture
from tintype.images.metadata import iptc_of, without_thumbnails

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><note>Grandmother, 1931</note></x:xmpmeta>'
IPTC = b"\x1c\x02\x78\x00\x0bGrandmother"
PHOTOSHOP = b"8BIM\x04\x04\0\0" + len(IPTC).to_bytes(4, "big") + IPTC
RICH = ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"]


def exif(orientation: int = 6, thumbnail: bool = False) -> Image.Exif:
    data = Image.Exif()
    data[ExifTags.Base.Make] = "Ensign"
    data[ExifTags.Base.Orientation] = orientation
    data.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 5.6
    data.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude] = 12.0
    return data


def source_of(kind: str, **options: Any) -> bytes:
    if kind == "TIFF":
        info = {270: "A garden", 271: "Ensign", 274: 6, 33432: "Me"}
        return encoded(GREY, kind, dpi=(300, 300), tiffinfo=info | {700: XMP, 33723: IPTC}, **options)
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        info.add_text("Title", "A garden")
        return encoded(GREY, kind, exif=exif(), pnginfo=info, dpi=(300, 300), **options)
    if kind == "JPEG":
        data = encoded(GREY, kind, exif=exif(), dpi=(300, 300), xmp=XMP, comment=b"A garden", **options)
        body = b"Photoshop 3.0\0" + PHOTOSHOP
        return data[:2] + b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]
    return encoded(GREY, kind, exif=exif(), xmp=XMP, **options)


def orientation_of(source: bytes) -> int:
    """The tag as it is stored: Pillow turns a TIFF when it loads it, and drops the tag."""
    return int(Image.open(BytesIO(source)).getexif()[ExifTags.Base.Orientation])


def xmp_of(image: Image.Image) -> bytes:
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    return found.encode() if isinstance(found, str) else bytes(found)


@pytest.mark.parametrize("kind", RICH)
def test_metadata_is_kept_in_its_own_format(kind: str) -> None:
    result, notes = colored(source_of(kind))
    after = opened(result)
    data = after.getexif()
    assert data[ExifTags.Base.Make] == "Ensign"
    assert orientation_of(result) == 6
    assert xmp_of(after).strip() == XMP
    if kind != "TIFF":
        assert float(data.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber]) == 5.6
        assert float(data.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude]) == 12
    if kind in ("JPEG", "PNG", "TIFF"):
        assert after.info["dpi"] == pytest.approx((300, 300), abs=0.02)
    if kind in ("JPEG", "TIFF"):
        assert IptcImagePlugin.getiptcinfo(after) == {(2, 120): b"Grandmother"}
    assert notes == []


def test_the_rest_that_a_format_knows_is_kept() -> None:
    assert opened(colored(source_of("JPEG"))[0]).info["comment"] == b"A garden"
    assert opened(colored(source_of("PNG"))[0]).info["Title"] == "A garden"
    tags = opened(colored(source_of("TIFF"))[0]).tag_v2  # type: ignore[attr-defined]
    assert (tags[270], tags[33432]) == ("A garden", "Me")


@pytest.mark.parametrize("into", RICH)
@pytest.mark.parametrize("kind", RICH)
def test_metadata_moves_between_formats(kind: str, into: str) -> None:
    result, notes = colored(source_of(kind), into)
    after = opened(result)
    data = after.getexif()
    assert data[ExifTags.Base.Make] == "Ensign"
    assert orientation_of(result) == 6
    assert xmp_of(after).strip() == XMP
    if kind != "TIFF":
        assert float(data.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber]) == 5.6
        assert float(data.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude]) == 12
    plain = {"JPEG", "PNG", "TIFF"}
    if {kind, into} <= plain:
        assert after.info["dpi"] == pytest.approx((300, 300), abs=0.02)
    if kind in ("JPEG", "TIFF"):
        if into in ("JPEG", "TIFF"):
            assert IptcImagePlugin.getiptcinfo(after) == {(2, 120): b"Grandmother"}
        else:
            assert any("IPTC" in note for note in notes)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [*RICH, "GIF", "BMP"])
def test_orientation_is_applied_once(orientation: int, kind: str) -> None:
    source = encoded(GREY, "PNG", exif=exif(orientation))
    with open_picture(source) as picture:
        assert picture.pages[0].orientation == orientation
    upright = ImageOps.exif_transpose(opened(source))
    after = ImageOps.exif_transpose(opened(colored(source, kind)[0]))
    assert after.size == upright.size
    difference = np.asarray(after.convert("RGB").convert("L")).astype(int) - np.asarray(upright)
    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("kind", ["GIF", "BMP"])
def test_formats_without_metadata_say_so(kind: str) -> None:
    _, notes = colored(source_of("JPEG"), kind)
    things = "EXIF, XMP and IPTC" if kind == "BMP" else "EXIF, XMP, IPTC and the resolution"
    assert f"{kind} has no place for {things}: they were left out." in notes


@pytest.mark.parametrize(("kind", "what"), [("JPEG", "comments"), ("PNG", "texts")])
@pytest.mark.parametrize("into", ["WEBP", "TIFF"])
def test_words_that_cannot_cross_formats_are_told(kind: str, what: str, into: str) -> None:
    _, notes = colored(source_of(kind), into)
    assert f"The {what} of the {kind} have no like in {into}: they were left out." in notes
    # EXIF would hold it, but this one does not.
    assert any("the resolution" in note for note in notes) == (into == "WEBP")


def test_a_resolution_within_exif_is_no_loss() -> None:
    data = exif()
    data[ExifTags.Base.XResolution] = data[ExifTags.Base.YResolution] = 300.0
    result, notes = colored(encoded(GREY, "JPEG", exif=data, dpi=(300, 300)), "WEBP")
    assert opened(result).getexif()[ExifTags.Base.XResolution] == 300
    assert notes == []


@pytest.mark.parametrize("into", [*RICH, "JPEG2000"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_preview_that_would_still_be_grey_is_left_out(kind: str, into: str) -> None:
    """EXIF's second directory, with the words of what stands in the first."""
    data = exif()
    plain = data.tobytes().removeprefix(b"Exif\0\0")
    preview = encoded(GREY[:40, :60], "JPEG")
    end = struct.pack(">I", 0)
    entries = [(0x0201, 4, len(plain) + 2 + 12 * 2 + 4), (0x0202, 4, len(preview))]
    second = struct.pack(">H", 2) + b"".join(
        struct.pack(">HHII", tag, form, 1, v) for tag, form, v in entries
    )
    link = 8 + 2 + 12 * struct.unpack_from(">H", plain, 8)[0]
    whole = plain[:link] + struct.pack(">I", len(plain)) + plain[link + 4 :] + second + end + preview
    source = encoded(GREY, kind, exif=b"Exif\0\0" + whole)
    if kind == "PNG":
        source = encoded(GREY, kind, exif=whole)
    assert preview in source
    result, notes = colored(source, into)
    if into == "JPEG2000":
        assert b"Ensign" in result
    else:
        found = opened(result).getexif()
        assert found[ExifTags.Base.Make] == "Ensign"
        assert not found.get_ifd(ExifTags.IFD.IFD1)
    assert notes == []


@pytest.mark.parametrize("kind", ["GIF", "BMP"])
def test_a_profile_without_a_place_is_told(kind: str) -> None:
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgb = np.dstack([GREY] * 3)
    _, notes = colored(encoded(rgb, "PNG", icc_profile=icc), kind)
    assert f"{kind} has no place for the colour profile: it was left out." in notes


@pytest.mark.parametrize(
    ("into", "sentence"),
    [
        ("JPEG", "JPEG has no transparency: it was left out."),
        ("BMP", "BMP has no transparency: it was left out."),
        ("GIF", "GIF has no partial transparency: pixels are shown, or not."),
        ("WEBP", None),
    ],
)
def test_transparency_without_a_place_is_told(into: str, sentence: str | None) -> None:
    _, notes = colored(encoded(np.dstack([GREY, GREY]), "PNG"), into)
    told = [note for note in notes if "transparency" in note]
    assert told == ([sentence] if sentence else [])


@pytest.mark.parametrize("kind", [4, 7])
def test_iptc_of_a_big_endian_tiff_keeps_its_order(kind: int) -> None:
    """Photoshop calls the bytes LONG; they are no numbers, whose bytes the order of the file would turn."""
    padded = IPTC + bytes(-len(IPTC) % 4)
    written = BytesIO()
    values = np.frombuffer(padded, ">u4").tolist() if kind == 4 else padded
    count = len(values)
    tifffile.imwrite(written, GREY, byteorder=">", extratags=[(33723, kind, count, values, True)])
    assert padded in written.getvalue()
    for into in ("TIFF", "JPEG"):
        assert padded in colored(written.getvalue(), into)[0]


def test_the_grey_preview_inside_exif_is_not_shown() -> None:
    small = encoded(GREY[:40, :60], "JPEG")
    # One directory with one tag, linked to a second that points to the preview.
    first = b"\x01\x00" + b"\x12\x01\x03\x00\x01\0\0\0\x06\0\0\0" + (26).to_bytes(4, "little")
    where = 26 + 2 + 24 + 4
    second = b"\x02\x00" + b"\x01\x02\x04\x00\x01\0\0\0" + where.to_bytes(4, "little")
    second += b"\x02\x02\x04\x00\x01\0\0\0" + len(small).to_bytes(4, "little") + bytes(4)
    block = b"Exif\0\0II*\0\x08\0\0\0" + first + second + small
    source = encoded(GREY, "JPEG", exif=block)
    assert opened(source).getexif().get_ifd(ExifTags.IFD.IFD1)
    after = opened(colored(source)[0]).getexif()
    assert not after.get_ifd(ExifTags.IFD.IFD1)
    assert after[ExifTags.Base.Orientation] == 6


def test_exif_too_large_for_a_jpeg_is_told() -> None:
    data = exif()
    data[ExifTags.Base.ImageDescription] = "x" * 70_000
    result, notes = colored(encoded(GREY, "PNG", exif=data), "JPEG")
    assert any("EXIF is too large" in note for note in notes)
    assert opened(result).size == GREY.shape[::-1]


def test_nested_directories_of_a_tiff_survive(tmp_path: Any) -> None:
    first = colored(source_of("JPEG"), "TIFF")[0]
    again = colored(first)[0]
    nested = opened(again).getexif().get_ifd(ExifTags.IFD.Exif)
    assert float(nested[ExifTags.Base.FNumber]) == 5.6


def test_a_nonsensical_resolution_is_left_out() -> None:
    source = bytearray(encoded(GREY, "BMP"))
    source[38:46] = b"\xff" * 8  # dots a metre
    for kind in ("TIFF", "PNG", "JPEG"):
        assert opened(colored(bytes(source), kind)[0]).size == GREY.shape[::-1]


def test_damaged_metadata_does_not_stop_a_picture() -> None:
    for body in (b"", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0"):
        head = b"Exif\0\0" + body
        for mode in ("L", "RGB", "CMYK"):
            plain = encoded(Image.fromarray(GREY).convert(mode), "JPEG")
            source = plain[:2] + b"\xff\xe1" + (len(head) + 2).to_bytes(2, "big") + head + plain[2:]
            for kind in ("JPEG", "TIFF", "AVIF", "WEBP", "PNG"):
                assert len(colored(source, kind)[0]) > 1000


def test_descriptions_of_the_old_array_are_left_out() -> None:
    file = BytesIO()
    tifffile.imwrite(file, GREY_16)  # says {"shape": [233, 317]}
    with open_picture(file.getvalue()) as picture:
        out = BytesIO()
        save_picture(picture, [Tint()], out, "TIFF")
    out.seek(0)
    assert tifffile.imread(out).shape == (*GREY_16.shape, 3)


def test_of_many_xmp_chunks_in_a_png_the_last_alone_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    info = PngImagePlugin.PngInfo()
    for text in ("<a/>", "<b/>", XMP.decode()):
        info.add_itxt("XML:com.adobe.xmp", text, zip=True)
    inflated = []
    original = png._inflated
    monkeypatch.setattr(png, "_inflated", lambda data: inflated.append(data) or original(data))
    with open_picture(encoded(GREY, "PNG", pnginfo=info)) as picture:
        assert picture.metadata.xmp == XMP
    assert len(inflated) == 1


def test_parts_of_photoshop_resources_are_joined_in_their_order() -> None:
    data = encoded(GREY, "JPEG")
    parts = [PHOTOSHOP[:7], PHOTOSHOP[7:20], PHOTOSHOP[20:]]
    segments = [
        b"\xff\xed" + (len(part) + 16).to_bytes(2, "big") + b"Photoshop 3.0\0" + part for part in parts
    ]
    with open_picture(data[:2] + b"".join(segments) + data[2:]) as picture:
        assert picture.metadata.photoshop == PHOTOSHOP


@pytest.mark.parametrize("fill", [b"\xff", b"\xff\0", b"\0", b"ab"])
def test_what_fills_the_room_between_a_jpegs_markers_is_passed_over(fill: bytes) -> None:
    data = source_of("JPEG")
    start = 4 + int.from_bytes(data[4:6], "big")
    with open_picture(data) as plain, open_picture(data[:start] + fill * 100_000 + data[start:]) as filled:
        assert filled.metadata == plain.metadata
    with pytest.raises(InputError, match="breaks off before its end"):
        open_picture(data[:start] + fill * 100_000)


THUMBNAIL = b"8BIM\x04\x0c\0\0" + (5).to_bytes(4, "big") + b"small\0"
RESOLUTION = b"8BIM\x03\xed\0\0" + (16).to_bytes(4, "big") + bytes(16)


OTHER = b"MeSa" + RESOLUTION[4:]


def test_resources_of_other_programs_hide_none() -> None:
    assert without_thumbnails(OTHER + THUMBNAIL + PHOTOSHOP) == OTHER + PHOTOSHOP
    assert iptc_of(OTHER + PHOTOSHOP) == iptc_of(PHOTOSHOP)


def test_a_thumbnail_that_breaks_off_takes_nothing_along() -> None:
    damaged = THUMBNAIL[:8] + (1 << 20).to_bytes(4, "big") + b"small\0"
    assert without_thumbnails(damaged + PHOTOSHOP) == damaged + PHOTOSHOP


def test_a_tag_of_nothing_but_a_thumbnail_goes_and_one_of_none_stays_as_it_is() -> None:
    for photoshop, kept in ((THUMBNAIL, None), (RESOLUTION, (1, RESOLUTION))):
        result, _ = colored(tiff(GREY, extratags=[(34377, 1, len(photoshop), photoshop, True)]))
        with tifffile.TiffFile(BytesIO(result)) as file:
            tag = file.pages[0].tags.get(34377)
            assert (tag and (int(tag.dtype), bytes(tag.value))) == kept


@pytest.mark.parametrize("photoshop", [THUMBNAIL + PHOTOSHOP, PHOTOSHOP + THUMBNAIL, PHOTOSHOP])
def test_photoshops_thumbnail_does_not_stay_grey(photoshop: bytes) -> None:
    assert without_thumbnails(RESOLUTION + photoshop) == RESOLUTION + PHOTOSHOP
    tagged = tiff(GREY, extratags=[(34377, 7, len(photoshop), photoshop, True)])
    with open_picture(tagged) as picture:
        assert picture.metadata.photoshop == PHOTOSHOP
    result, _ = colored(tagged)
    with tifffile.TiffFile(BytesIO(result)) as file:
        assert bytes(file.pages[0].tags[34377].value) == PHOTOSHOP


def test_iptc_beside_photoshops_other_resources_is_kept() -> None:
    both = tiff(
        GREY,
        extratags=[(34377, 7, len(RESOLUTION), RESOLUTION, True), (33723, 7, len(IPTC), IPTC, True)],
    )
    with open_picture(both) as picture:
        assert picture.metadata.photoshop == PHOTOSHOP + bytes(len(IPTC) % 2) + RESOLUTION


def test_ratings_and_keywords_of_a_tiff_go_into_exif() -> None:
    words = "two words\0".encode("utf-16-le")
    source = tiff(GREY, extratags=[(18246, 3, 1, 4, True), (40094, 1, len(words), words, True)])
    with open_picture(source) as picture:
        exif = Image.Exif()
        exif.load(picture.metadata.exif)
    assert (exif[18246], bytes(exif[40094])) == (4, words)
