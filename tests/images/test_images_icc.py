"""Profiles: a grey looks the same through the one that came in and the one that goes out."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from picture_makers import COLOR, GREY, colored, encoded, opened
from PIL import Image, ImageCms

from tintype.color import SRGB_TONE
from tintype.images import SRGB_PROFILE, open_picture, read_profile
from tintype.images.icc import build_rgb_profile, gamma_profile

RAMP = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
CODES = np.linspace(0, 1, 1024)


def curve(function: object) -> bytes:
    table = np.rint(65535 * function(CODES)).astype(">u2")  # type: ignore[operator]
    return b"curv" + struct.pack(">II", 0, len(table)) + table.tobytes()


GAMMA_18 = b"curv" + struct.pack(">IIHxx", 0, 1, round(1.8 * 256))
LINEAR = b"curv" + struct.pack(">II", 0, 0)
DOT_GAIN = curve(lambda x: np.clip(x**1.75 + 0.02 * np.sin(np.pi * x), 0, 1))
KINDS = [  # parametric curves: function and parameters
    (0, (2.0,)),
    (1, (2.2, 0.95, 0.05)),
    (2, (2.0, 0.9, 0.05, 0.02)),
    (3, (2.2, 0.9, 0.1, 0.08, 0.06)),
    (4, (2.4, 0.9, 0.1, 0.1, 0.05, 0.0, 0.0)),
]


def parametric(kind: int, values: tuple[float, ...]) -> bytes:
    fixed = (round(value * 65536) for value in values)
    return b"para" + struct.pack(f">IHH{len(values)}i", 0, kind, 0, *fixed)


def rgb_profile(trc: bytes, version: int) -> bytes:
    """Primaries other than sRGB's do not matter to greys: red and blue are swapped."""
    data = build_rgb_profile(trc, version=version, name="test")
    return data.replace(b"rXYZ", b"tmpX").replace(b"bXYZ", b"rXYZ").replace(b"tmpX", b"bXYZ")


def grey_profile(trc: bytes, connection: bytes = b"XYZ ") -> bytes:
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1, 0.8249)))
    tags = {b"kTRC": trc, b"wtpt": white, b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    tags[b"desc"] = b"desc" + struct.pack(">II", 0, 5) + b"test\0" + bytes(79)
    offset, table, body = 132 + 12 * len(tags), b"", b""
    for key, value in tags.items():
        table += struct.pack(">4sII", key, offset + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(">I4xI4s4s", offset + len(body), 0x02100000, b"mntr", b"GRAY")
    head += struct.pack("4s12x4s", connection, b"acsp")
    head = (head + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)).ljust(128, b"\0")
    return head + struct.pack(">I", len(tags)) + table + body


PROFILES = {
    "sRGB": (SRGB, "RGB"),
    "rgb gamma 1.8": (rgb_profile(GAMMA_18, 2), "RGB"),
    "rgb linear": (rgb_profile(LINEAR, 2), "RGB"),
    "rgb table, version 4": (rgb_profile(DOT_GAIN, 4), "RGB"),
    "grey gamma 1.8": (grey_profile(GAMMA_18), "L"),
    "grey dot gain": (grey_profile(DOT_GAIN), "L"),
    "grey through Lab": (grey_profile(curve(lambda x: x**1.1), b"Lab "), "L"),
    **{f"parametric {kind}": (rgb_profile(parametric(kind, v), 4), "RGB") for kind, v in KINDS},
}


def lightness(profile: bytes, mode: str) -> np.ndarray:
    """L of the codes 0…255 as LittleCMS sees them through a profile, 0…255."""
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    # As it is: LittleCMS would put a coarse table in place of the curves, and move white onto white.
    flags = ImageCms.Flags.NOOPTIMIZE
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("LAB"), mode, "LAB", intent, flags)
    lab = np.asarray(ImageCms.applyTransform(RAMP.convert(mode), transform))[0].astype(int)
    return lab


@pytest.mark.parametrize("name", PROFILES)
def test_greys_look_the_same_through_the_new_profile(name: str) -> None:
    data, mode = PROFILES[name]
    notes: list[str] = []
    profile = read_profile(data, notes.append, grey=mode == "L")
    assert notes == []
    before, after = lightness(data, mode), lightness(profile.icc, "RGB")
    assert np.abs(before[:, 0] - after[:, 0]).max() <= 1
    # Pillow's a and b are signed bytes: neutral is 0, one step either way is rounding.
    assert np.isin(after[:, 1:], [0, 1, 255]).all()
    # The tone curve that the network sees is the same one.
    Y = profile.tone.decode(np.arange(256) / 255)
    L = np.where(Y > 216 / 24389, 116 * np.cbrt(Y) - 16, Y * 24389 / 27)
    assert np.abs(L * 2.55 - before[:, 0]).max() <= 1.5


def test_srgb_is_recognised_and_its_table_too() -> None:
    assert read_profile(SRGB, [].append, grey=False).tone is SRGB_TONE
    table = rgb_profile(curve(lambda x: np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)), 2)
    assert read_profile(table, [].append, grey=False).tone is SRGB_TONE
    assert read_profile(None, [].append, grey=True) is SRGB_PROFILE


def test_the_standard_profile_is_srgb_to_littlecms() -> None:
    assert np.abs(lightness(SRGB_PROFILE.icc, "RGB") - lightness(SRGB, "RGB"))[:, 0].max() <= 1
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(BytesIO(SRGB_PROFILE.icc)), ImageCms.createProfile("sRGB"), "RGB", "RGB"
    )
    same = np.asarray(ImageCms.applyTransform(Image.fromarray(COLOR), transform)).astype(int)
    assert np.abs(same - COLOR).max() <= 1


def test_channels_with_curves_of_their_own() -> None:
    data = build_rgb_profile(GAMMA_18, version=2, name="test")
    other = b"curv" + struct.pack(">IIHxx", 0, 1, round(2.2 * 256))
    at = data.index(b"gTRC")
    data = data[: at + 4] + struct.pack(">II", len(data), len(other)) + data[at + 12 :] + other
    data = struct.pack(">I", len(data)) + data[4:]
    profile = read_profile(data, [].append, grey=False)
    assert np.abs(lightness(data, "RGB")[:, 0] - lightness(profile.icc, "RGB")[:, 0]).max() <= 1


def test_lookup_tables_are_sampled() -> None:
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    notes: list[str] = []
    assert read_profile(data, notes.append, grey=False) is SRGB_PROFILE
    assert notes


@pytest.mark.parametrize("data", [b"x", b"\0" * 500, SRGB[:200], SRGB[:140] + b"\xff" * 100 + SRGB[240:]])
def test_broken_profiles_are_told_and_srgb_assumed(data: bytes) -> None:
    notes: list[str] = []
    assert read_profile(data, notes.append, grey=False) is SRGB_PROFILE
    assert len(notes) == 1
    assert "sRGB was assumed" in notes[0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_files_carry_the_new_profile(kind: str) -> None:
    for name in ("grey gamma 1.8", "rgb gamma 1.8"):
        data, mode = PROFILES[name]
        if mode == "L" and kind in ("WEBP", "AVIF"):
            continue  # these store no grey
        source = encoded(Image.fromarray(GREY).convert(mode), kind, icc_profile=data)
        with open_picture(source) as picture:
            assert picture.pages[0].tone.decode(np.array([0.5]))[0] == pytest.approx(0.5**1.8, abs=2e-3)
        after = opened(colored(source)[0])
        assert np.abs(lightness(after.info["icc_profile"], "RGB") - lightness(data, mode))[:, 0].max() <= 1
    after = opened(colored(encoded(GREY, kind))[0])
    assert after.info["icc_profile"] == SRGB_PROFILE.icc


def test_a_grey_profile_on_colored_pixels_is_told() -> None:
    _, notes = colored(encoded(COLOR, "TIFF", icc_profile=PROFILES["grey dot gain"][0]))
    assert any("not meant" in note for note in notes)


def test_png_gamma_counts_where_there_is_no_profile() -> None:
    source = encoded(GREY, "PNG")
    import zlib

    def with_gamma(value: int) -> bytes:
        body = b"gAMA" + struct.pack(">I", value)
        return source[:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + source[33:]

    with open_picture(with_gamma(45455)) as picture:
        assert picture.pages[0].tone is SRGB_TONE
    with open_picture(with_gamma(100_000)) as picture:
        assert picture.pages[0].tone.decode(np.array([0.5]))[0] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("lost", [b"gTRC", b"bTRC", b"rXYZ", b"gXYZ", b"bXYZ"])
def test_a_profile_that_lacks_a_part_is_told_not_raised(lost: bytes) -> None:
    table = bytearray(SRGB[128:400])
    if lost.endswith(b"XYZ"):  # of use only where the curves differ: one is read from elsewhere
        at = table.index(b"bTRC") + 4
        table[at : at + 4] = (int.from_bytes(table[at : at + 4], "big") - 4).to_bytes(4, "big")
    table = table.replace(lost, b"none")
    notes: list[str] = []
    profile = read_profile(SRGB[:128] + bytes(table) + SRGB[400:], notes.append, grey=False)
    assert len(notes) == 1
    assert "The ICC profile is damaged" in notes[0]
    assert profile is SRGB_PROFILE


@pytest.mark.parametrize("values", [(30000.0, 300.0, 0.0, 0.0, 0.0), (-3.0, 1.0, 0.0, 1.0, 0.0)])
def test_exponents_beyond_reason_are_told(values: tuple[float, ...]) -> None:
    notes: list[str] = []
    assert read_profile(rgb_profile(parametric(3, values), 4), notes.append, grey=False) is SRGB_PROFILE
    assert len(notes) == 1
    assert "The ICC profile is damaged" in notes[0]


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_a_gamma_is_the_power_of_the_curve(gamma):
    made = gamma_profile(gamma)
    for profile in (made, read_profile(made.icc, [].append, grey=False)):
        np.testing.assert_allclose(
            profile.tone.decode(np.array([0.25, 0.5, 1])), np.array([0.25, 0.5, 1]) ** gamma, atol=2e-3
        )


def test_the_fifth_parametric_curve_is_the_standards():
    values = (2.0, 0.8, 0.1, 0.25, 0.4, 0.09, 0.02)  # g a b c d e f of ICC.1, function 4
    trc = b"para" + struct.pack(">4xHH7i", 4, 0, *(round(v * 65536) for v in values))
    profile = read_profile(build_rgb_profile(trc, version=2, name="x"), notes := [], grey=False)
    assert not notes
    below, above = profile.tone.decode(np.array([0.2, 0.7]))
    assert below == pytest.approx(0.25 * 0.2 + 0.02, abs=1e-3)
    assert above == pytest.approx((0.8 * 0.7 + 0.1) ** 2 + 0.09, abs=1e-3)
    assert profile.icc[8] == 4, "version 2 knows no parametric curves"
