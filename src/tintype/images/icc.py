"""ICC profiles: the tone curve of the one that came in, and the RGB profile that goes out.

The luma's code values are kept as they are, so the outgoing profile has sRGB's primaries and the *same*
tone curve as the incoming one: then every grey keeps its code and its look.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tintype.color import SRGB_TONE, ToneCurve, srgb_to_linear

Curve = NDArray[np.float64]

TABLE_SIZE = 4096
# sRGB's primaries adapted to D50, as every sRGB profile has them: columns of RGB to XYZ.
_PRIMARIES = {
    b"rXYZ": (0.436066, 0.222488, 0.013916),
    b"gXYZ": (0.385147, 0.716873, 0.097076),
    b"bXYZ": (0.143066, 0.060608, 0.714096),
}
_D50 = (0.964203, 1.0, 0.824905)
_D65_TO_D50 = (1.047882, 0.022919, -0.050201, 0.029587, 0.990479, -0.017059, -0.009232, 0.015076, 0.751678)
# A curve nearer to sRGB's than this, in linear light, is taken for it: half a code value of 8 bits.
_SAME = 1e-3


@dataclass(frozen=True, eq=False)
class Profile:
    """A page's tone curve and the bytes of the RGB profile that its coloured version carries."""

    tone: ToneCurve
    icc: bytes


def read_profile(data: bytes | None, note: Callable[[str], object], *, grey: bool) -> Profile:
    """The profile of a picture; `grey` says that its pixels have one channel.

    No profile means sRGB. One that is broken, or meant for other pixels, also does, which `note` is told.
    """
    if not data:
        return SRGB_PROFILE
    try:
        space, tags = _parse(data)
        if (space == b"GRAY" and not grey) or space not in (b"GRAY", b"RGB "):
            note("The ICC profile is not meant for such pixels: sRGB was assumed.")
            return SRGB_PROFILE
        with np.errstate(divide="raise", over="raise", invalid="raise"):  # exponents beyond reason
            return _profile_from(data, tags)
    except (ValueError, ArithmeticError, struct.error, IndexError, OSError) as error:
        note(f"The ICC profile is damaged ({error}): sRGB was assumed.")
        return SRGB_PROFILE


def gamma_profile(gamma: float) -> Profile:
    """The profile of a picture whose codes are linear light to the power of 1/`gamma`."""
    trc = b"curv" + struct.pack(">IIH2x", 0, 1, round(gamma * 256))
    return Profile(ToneCurve(_curve(trc)), build_rgb_profile(trc, version=2, name=_NAME))


def _parse(data: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Colour space signature and tags of a profile; ValueError when it is none."""
    if len(data) < 132 or data[36:40] != b"acsp":
        raise ValueError("it has no ICC header")
    count = struct.unpack_from(">I", data, 128)[0]
    if count > 1000:
        raise ValueError("it claims too many tags")
    tags = {}
    for i in range(count):
        name, offset, size = struct.unpack_from(">4sII", data, 132 + 12 * i)
        if offset + size > len(data):
            raise ValueError("it is cut short")
        tags[name] = data[offset : offset + size]
    return data[16:20], tags


def _profile_from(data: bytes, tags: dict[bytes, bytes]) -> Profile:
    version = 4 if data[8] >= 4 else 2
    names = [b"kTRC"] if data[16:20] == b"GRAY" else [b"rTRC", b"gTRC", b"bTRC"]
    if any(name.startswith((b"A2B", b"D2B")) for name in tags) or names[0] not in tags:
        table = _sampled(data)
    else:
        _check_present(names, tags)
        curves = [_curve(tags[name]) for name in names]
        if names[0] == b"kTRC" and data[20:24] == b"Lab ":
            table = _lightness_to_luminance(100 * curves[0])
        elif len({tags[name] for name in names}) > 1:
            _check_present(list(_PRIMARIES), tags)
            weights = [struct.unpack_from(">i", tags[n[:1] + b"XYZ"], 12)[0] / 65536 for n in names]
            table = np.tensordot(np.array(weights) / sum(weights), np.array(curves), axes=1)
        else:
            trc = tags[names[0]]
            icc = build_rgb_profile(trc, version=4 if trc[:4] == b"para" else version, name=_NAME)
            return Profile(_tone(curves[0]), icc)
    table = np.maximum.accumulate(np.clip(table, 0, 1))
    codes = np.rint(table * 65535).astype(">u2")
    trc = b"curv" + struct.pack(">II", 0, len(codes)) + codes.tobytes()
    return Profile(_tone(table), build_rgb_profile(trc, version=version, name=_NAME))


def _check_present(names: list[bytes], tags: dict[bytes, bytes]) -> None:
    if missing := [name.decode() for name in names if name not in tags]:
        raise ValueError(f"it lacks {', '.join(missing)}")


_NAME = "Source tone curve, sRGB primaries"


def _tone(table: Curve) -> ToneCurve:
    codes = np.linspace(0, 1, len(table))
    if np.abs(table - srgb_to_linear(codes)).max() < _SAME:
        return SRGB_TONE
    return ToneCurve(np.maximum.accumulate(np.clip(table, 0, 1)))


def _curve(tag: bytes) -> Curve:
    """A curv or para tag sampled at TABLE_SIZE even steps of the code value."""
    x = np.linspace(0, 1, TABLE_SIZE)
    kind = tag[:4]
    if kind == b"curv":
        count = struct.unpack_from(">I", tag, 8)[0]
        if count == 0:
            return x
        if count == 1:
            return np.asarray(x ** (struct.unpack_from(">H", tag, 12)[0] / 256))
        table = np.frombuffer(tag, ">u2", count, 12) / 65535
        return np.interp(x, np.linspace(0, 1, count), table)
    if kind == b"para":
        return _parametric(x, tag)
    raise ValueError(f"its tone curve is of an unknown kind {kind!r}")


def _parametric(x: Curve, tag: bytes) -> Curve:
    """ICC.1 parametricCurveType, functions 0 to 4."""
    kind = struct.unpack_from(">H", tag, 8)[0]
    if kind > 4:
        raise ValueError(f"its tone curve is of the unknown function {kind}")
    count = (1, 3, 4, 5, 7)[kind]
    given = [value / 65536 for value in struct.unpack_from(f">{count}i", tag, 12)]
    g, a, b, c, d, e, f = given + [0.0] * (7 - count)
    if kind == 0:
        return np.asarray(x**g)
    if a == 0:
        raise ValueError("its tone curve is flat")
    power = np.maximum(a * x + b, 0) ** g
    if kind < 3:  # 1: zero below -b/a; 2: the same, raised by c
        return np.asarray(np.where(x >= -b / a, power, 0) + (c if kind == 2 else 0))
    return np.asarray(np.where(x >= d, power + e, c * x + f))


def _sampled(data: bytes) -> Curve:
    """The luminance of the neutral axis through LittleCMS, for profiles made of lookup tables."""
    import io

    from PIL import Image, ImageCms

    mode = "L" if data[16:20] == b"GRAY" else "RGB"
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None]).convert(mode)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(data))
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        # Unoptimized: LittleCMS would put a coarse table in place of the curves.
        lab, flags = ImageCms.createProfile("LAB"), ImageCms.Flags.NOOPTIMIZE
        transform = ImageCms.buildTransform(source, lab, mode, "LAB", intent, flags)
    except ImageCms.PyCMSError as error:
        raise ValueError(f"LittleCMS says: {error}") from error
    converted = ImageCms.applyTransform(ramp, transform)
    assert converted is not None  # None is given for work in place only
    L = np.asarray(converted)[0, :, 0] * (100 / 255)
    return _lightness_to_luminance(np.interp(np.linspace(0, 1, TABLE_SIZE), np.linspace(0, 1, 256), L))


def _lightness_to_luminance(L: Curve) -> Curve:
    f = (L + 16) / 116
    return np.where(L > 8, f**3, L * (27 / 24389))


def build_rgb_profile(trc: bytes, *, version: int, name: str) -> bytes:
    """A matrix profile of sRGB's primaries with `trc`, a curv or para tag, for all three channels."""
    tags = {b"desc": _text(name, version), b"cprt": _copyright("No copyright, use freely", version)}
    tags[b"wtpt"] = b"XYZ \0\0\0\0" + _fixed(_D50)
    tags |= {key: b"XYZ \0\0\0\0" + _fixed(value) for key, value in _PRIMARIES.items()}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc)
    if version >= 4:
        tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(_D65_TO_D50)
    offset = 132 + 12 * len(tags)
    table, body, places = b"", b"", {}
    for key, value in tags.items():
        if value not in places:  # the three channels share one curve
            places[value] = offset + len(body)
            body += value + bytes(-len(value) % 4)
        table += struct.pack(">4sII", key, places[value], len(value))
    return _header(offset + len(body), version) + struct.pack(">I", len(tags)) + table + body


def _header(size: int, version: int) -> bytes:
    number = 0x04300000 if version >= 4 else 0x02100000
    head = struct.pack(">I4xI4s4s4s", size, number, b"mntr", b"RGB ", b"XYZ ")
    date = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    return (head + date + b"acsp" + bytes(28) + _fixed(_D50)).ljust(128, b"\0")


def _fixed(values: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _text(text: str, version: int) -> bytes:
    if version >= 4:
        encoded = text.encode("utf-16-be")
        return b"mluc" + struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", len(encoded), 28) + encoded
    ascii_text = text.encode("ascii") + b"\0"
    return b"desc" + struct.pack(">II", 0, len(ascii_text)) + ascii_text + bytes(4 + 4 + 2 + 1 + 67)


def _copyright(text: str, version: int) -> bytes:
    return _text(text, version) if version >= 4 else b"text\0\0\0\0" + text.encode("ascii") + b"\0"


_SRGB_CURVE = b"para" + struct.pack(">IHH", 0, 3, 0)
_SRGB_CURVE += _fixed((2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
SRGB_PROFILE = Profile(SRGB_TONE, build_rgb_profile(_SRGB_CURVE, version=4, name="sRGB"))
