"""Small whole files of every kind that is read, and seeded ways to damage them."""

from __future__ import annotations

import re
import struct
import zlib
from functools import cache
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pillow_heif
import tifffile
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from tintype.cards import MODELS_DIR
from tintype.images.provenance import Provenance, marked

SIZE = (24, 20)  # (W, H)
_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_VALUE = re.compile(rb"""[=:]\s*("[^"\n]*"|[-\w.]+|\[[^\]]*\]|\{[^}]*\})""")  # of TOML or JSON
ODD = [
    b"5", b"-1", b"0", b"true", b"null", b"nan", b"NaN", b"1e999", b"'x'", b'""', b'"\\u0000"', b"[]", b"[1]",
    b"[[1]]", b"{}", b"{a = 1}", b'{"a": {"b": 1}}', b"1979-01-01", b"9" * 400, b"1" * 5000, b"[" * 3000,
    b"{a = " * 3000,
]  # fmt: skip
_IPTC = b"\x1c\x02\x78\x00\x0bGrandmother"
_PHOTOSHOP = b"8BIM\x04\x04\0\0" + len(_IPTC).to_bytes(4, "big") + _IPTC


def xmp() -> bytes:
    """A packet with all that is merged."""
    return marked(b"", Provenance("Scanner 3", "none", "ff"))


def _exif() -> Image.Exif:
    data = Image.Exif()
    data[ExifTags.Base.Make] = "Ensign"
    data[ExifTags.Base.Orientation] = 6
    data.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 5.6
    data.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAltitude] = 12.0
    return data


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _tiled(pixels: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, pixels, tile=(16, 16), compression="zlib", predictor=True, metadata=None)
    return file.getvalue()


def _jpeg_2000(color: Image.Image) -> dict[str, bytes]:
    deep = np.tile(np.asarray(color) * np.uint16(257), (2, 2, 1))  # OpenCV writes none of less than 32 pixels
    return {
        "jpeg 2000": _saved(color.convert("L"), "JPEG2000"),
        "jpeg 2000 tiles": _saved(color, "JPEG2000", tile_size=(32, 32)),
        "jpeg 2000 16": cv2.imencode(".jp2", deep)[1].tobytes(),
    }


def _heif(color: Image.Image, **options: Any) -> dict[str, bytes]:
    deep = (np.asarray(color.convert("L")) * np.uint16(257)).tobytes()
    made = {
        "heif": pillow_heif.from_pillow(color),
        "heif alpha": pillow_heif.from_pillow(color.convert("RGBA")),
        "heif 10": pillow_heif.from_bytes("L;16", color.size, deep),
    }
    files = {name: BytesIO() for name in made}
    for name, file in files.items():
        made[name].save(file, quality=90, **(options if name == "heif" else {}))
    return {name: file.getvalue() for name, file in files.items()}


@cache
def pictures() -> dict[str, bytes]:
    """A small file of every format, in the forms that take different ways through the readers."""
    rng = np.random.default_rng(0)
    color = Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8))
    grey, alpha = color.convert("L"), color.convert("RGBA")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rich = {"exif": _exif(), "xmp": xmp(), "icc_profile": icc}
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp().decode(), zip=True)
    png = {"exif": _exif(), "icc_profile": icc, "pnginfo": text, "dpi": (300, 300)}
    tags = {270: "A garden", 274: 6, 700: xmp(), 33723: _IPTC}
    jpeg = _saved(grey, "JPEG", dpi=(300, 300), comment=b"A garden", **rich)
    segment = b"Photoshop 3.0\0" + _PHOTOSHOP
    jpeg = jpeg[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]
    found = {
        "jpeg grey": jpeg,
        "jpeg": _saved(color, "JPEG", **rich),
        "jpeg progressive": _saved(grey, "JPEG", progressive=True),
        "jpeg cmyk": _saved(color.convert("CMYK"), "JPEG"),
        "png": _saved(grey, "PNG", **png),
        "png 16": _saved(deep, "PNG"),
        "png palette": _saved(color.convert("P"), "PNG"),
        "png alpha": _saved(alpha, "PNG"),
        "png 1": _saved(grey.convert("1"), "PNG"),
        "webp": _saved(color, "WEBP", **rich),
        "webp lossless": _saved(alpha, "WEBP", lossless=True),
        "avif": _saved(color, "AVIF", speed=10, **rich),
        "gif": _saved(grey, "GIF"),
        "gif color": _saved(color.convert("P"), "GIF"),
        "gif animated": _saved(grey, "GIF", save_all=True, append_images=[color, alpha], duration=50),
        "bmp": _saved(grey, "BMP"),
        "bmp color": _saved(color, "BMP"),
        "tiff pages": _saved(grey, "TIFF", save_all=True, append_images=[color], tiffinfo=tags),
        "tiff big": _saved(grey, "TIFF", big_tiff=True),
        "tiff 16": _saved(deep, "TIFF", compression="tiff_adobe_deflate"),
        "tiff alpha": _saved(alpha, "TIFF", compression="tiff_lzw"),
        "tiff cmyk": _saved(color.convert("CMYK"), "TIFF"),
        "tiff tiles": _tiled(np.asarray(color)),
        "tiff palette": _saved(color.convert("P"), "TIFF"),
    }
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        found[f"tiff {compression}"] = _saved(color, "TIFF", compression=compression, tiffinfo=tags)
    found |= _jpeg_2000(color) | _heif(color, exif=_exif().tobytes(), xmp=xmp(), icc_profile=icc)
    for compression in ("group3", "group4"):
        found[f"tiff {compression}"] = _saved(grey.convert("1"), "TIFF", compression=compression)
    return found


def texts() -> dict[str, bytes]:
    """Whole files of the other kinds, by the reader's name."""
    line = b'{"source": "%s", "output": "b", "status": "done", "settings": {"strength": 1.0}, "notes": []}\n'
    return {
        "card": next(MODELS_DIR.glob("*.toml")).read_bytes(),
        "hints": b'{"units": "pixels", "points": [{"x": 1, "y": 2.5, "color": "#c04020", "radius": 6}, '
        b'{"x": 0.5, "y": 1e3, "color": "#000000"}], "orientation": "stored"}',
        "manifest": line % b"in/a.jpg" + line % b"in/b.jpg",
        "metadata": xmp(),
    }


def metadata_blocks() -> list[bytes]:
    """EXIF, IPTC and ICC of the kinds that pictures carry."""
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return [_exif().tobytes(), _PHOTOSHOP, icc, xmp()]


def damaged(data: bytes, other: bytes, seed: int) -> bytes:
    """One of the ways to damage a file, `other` being one to take pieces of."""
    rng = np.random.default_rng(seed)
    if _VALUE.search(data) and data[:1] in (b"{", b"n") and rng.random() < 0.5:
        return _with_odd_value(data, rng)
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        _damage(out, other, rng)
    if data.startswith(b"\x89PNG") and rng.random() < 0.7:
        _mend_checksums(out)
    return bytes(out)


def _with_odd_value(text: bytes, rng: np.random.Generator) -> bytes:
    """A TOML or JSON text in which one value is another."""
    found = list(_VALUE.finditer(text))
    place = found[int(rng.integers(len(found)))]
    return text[: place.start(1)] + ODD[int(rng.integers(len(ODD)))] + text[place.end(1) :]


def _damage(out: bytearray, other: bytes, rng: np.random.Generator) -> None:
    size = max(1, len(out))
    # Headers are where the decisions fall: half of all damage lies in the first 200 bytes.
    at = int(rng.integers(min(200, size) if rng.random() < 0.5 else size))
    length = int(rng.integers(1, 33))
    way = rng.integers(8)
    if way == 0:
        out[at : at + length] = rng.integers(0, 256, length, np.uint8).tobytes()
    elif way == 1:
        out[at : at + 1] = bytes([int(rng.integers(256))])
    elif way == 2:
        number = int(rng.choice(_INTERESTING))
        kind = str(rng.choice([">I", "<I", ">H", "<H"]))
        out[at : at + struct.calcsize(kind)] = struct.pack(kind, number % (1 << 8 * struct.calcsize(kind)))
    elif way == 3:
        del out[at:]
    elif way == 4:
        del out[at : at + length]
    elif way == 5:
        out[at:at] = out[at : at + length] * int(rng.integers(1, 20))
    elif way == 6:
        start = int(rng.integers(max(1, len(other))))
        out[at : at + length] = other[start : start + length]
    else:
        for place in rng.integers(0, size, 8):
            if place < len(out):
                out[place] ^= 1 << int(rng.integers(8))


def _mend_checksums(png: bytearray) -> None:
    """Make the chunks' checksums right, or no damage would get past them."""
    at = 8
    while at + 12 <= len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        if end > len(png):
            return
        png[end - 4 : end] = struct.pack(">I", zlib.crc32(png[at + 4 : end - 4]))
        at = end
