"""Colours told by hand: the file's schema, where discs land, and that they reach the picture."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageOps

from tintype import Colorizer, Hint
from tintype.color import lab_to_rgb, rgb_to_lab
from tintype.errors import InputError, SettingsError
from tintype.guidance import hex_to_ab
from tintype.hints import as_seen, hint_maps, read_hints
from tintype.images.orientation import upright

RED = "#d02020"
POINT = {"x": 4, "y": 2, "color": RED}


def write(tmp_path, values):
    path = tmp_path / "hints.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return path


def test_a_file_is_read_whole(tmp_path):
    more = {"x": 0.25, "y": 1, "color": "#203040", "radius": 0.1}
    hints = read_hints(write(tmp_path, {"units": "fractions", "points": [{**POINT, "x": 1, "y": 0}, more]}))
    assert hints == (
        Hint(x=1, y=0, color=RED, units="fractions"),
        Hint(x=0.25, y=1, color="#203040", radius=0.1, units="fractions"),
    )
    assert read_hints(write(tmp_path, {"points": [POINT]})) == (Hint(x=4, y=2, color=RED),)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("{", "no JSON: .* line 1"),
        ("[]", 'must be an object with a list "points"'),
        ({"points": []}, "at least one"),
        ({"points": {"x": 1}}, "must be an object with a list"),
        ({"points": [POINT], "unit": "pixels"}, "unknown entries: unit"),
        ({"points": [POINT, 7]}, "point 2: it must be an object"),
        ({"points": [{"x": 1}]}, "point 1: color, y is missing"),
        ({"points": [{**POINT, "colour": RED}]}, "point 1: there is no colour"),
        ({"points": [{**POINT, "x": "4"}]}, "point 1: A hint's x is a number, not '4'"),
        ({"points": [{**POINT, "y": -1}]}, "point 1: A hint's y cannot be -1"),
        ({"points": [{**POINT, "radius": 0}]}, "point 1: A hint's radius cannot be 0"),
        (
            {"units": "fractions", "points": [{"x": 0.1, "y": 0.2, "radius": 6, "color": RED}]},
            "radius of 6 is no fr",
        ),
        ({"points": [{**POINT, "color": "red"}]}, "point 1: A colour is written #rrggbb"),
        ({"points": [{**POINT, "color": 7}]}, "point 1: A hint's color is text"),
        ({"points": [POINT], "units": "inches"}, "point 1: A hint's units are pixels or fractions"),
        ("[" * 100_000, "no JSON"),
        ('{"points": [], "points": []}', "'points' stands twice in one object"),
        ('{"points": [{"x": 1, "y": 2, "x": 3, "color": "#aabbcc"}]}', "'x' stands twice"),
        ('{"points": [' + "1" * 5000 + "]}", "no JSON"),
        ({"points": [{**POINT, "x": 10**400}]}, "point 1: A hint's x is a number"),
        ({"points": [POINT], "orientation": 6}, "point 1: A hint's orientation is upright or stored"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, values, message):
    with pytest.raises(InputError, match=rf"hints\.json.*{message}"):
        read_hints(write(tmp_path, values))


def test_a_mark_of_the_order_of_bytes_before_the_hints_is_passed_over(tmp_path):
    (tmp_path / "h.json").write_text(json.dumps({"points": [POINT]}), encoding="utf-8-sig")
    assert read_hints(tmp_path / "h.json")[0].color == RED


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_hints(tmp_path / "none.json")
    (tmp_path / "latin.json").write_bytes(b'{"points": "\xff"}')
    with pytest.raises(InputError, match="not text in UTF-8"):
        read_hints(tmp_path / "latin.json")


def covered(hint, seen, full, orientation=1):
    """Rows and columns of the network's picture that a hint tells of."""
    maps = hint_maps([hint], seen, full, orientation)
    mask = maps["hint_mask"][0, 0] > 0
    np.testing.assert_allclose(
        maps["hint_ab"][0][:, mask].T, np.tile(hex_to_ab(hint.color), (mask.sum(), 1)), rtol=1e-6
    )
    assert not maps["hint_ab"][0][:, ~mask].any()
    return {(int(y), int(x)) for y, x in zip(*mask.nonzero(), strict=True)}


def test_a_point_is_at_least_the_pixel_it_lies_in():
    tiny = {"radius": 0.01, "color": RED}
    assert covered(Hint(x=0, y=0, **tiny), (10, 20), (100, 200)) == {(0, 0)}
    assert covered(Hint(x=59, y=41, **tiny), (10, 20), (100, 200)) == {(4, 5)}
    assert covered(Hint(x=200, y=100, **tiny), (10, 20), (100, 200)) == {(9, 19)}
    corner = Hint(x=1, y=0.5, units="fractions", **tiny)
    assert covered(corner, (10, 20), (100, 200)) == {(5, 19)}


def test_a_radius_is_of_the_full_picture():
    pixels = covered(Hint(x=100, y=50, color=RED, radius=20), (10, 20), (100, 200))
    assert pixels == covered(
        Hint(x=0.5, y=0.5, color=RED, radius=0.2, units="fractions"), (10, 20), (100, 200)
    )
    assert {y for y, _ in pixels} == {3, 4, 5, 6}
    assert {x for _, x in pixels} == {8, 9, 10, 11}
    assert len(pixels) == 12, "a disc, not a square"


def test_a_numpy_number_is_a_number_and_a_vast_radius_covers_all():
    hint = Hint(x=np.int64(3), y=np.float32(2.5), color="#c04020", radius=10**308)
    assert hint_maps([hint], (32, 32), (64, 64))["hint_mask"].all()


def test_the_later_of_two_holds():
    hints = [Hint(x=5, y=5, color=RED, radius=3), Hint(x=5, y=5, color="#2020d0", radius=1)]
    ab = hint_maps(hints, (10, 10), (10, 10))["hint_ab"][0]
    np.testing.assert_allclose(ab[:, 5, 5], hex_to_ab("#2020d0"), rtol=1e-6)
    np.testing.assert_allclose(ab[:, 5, 3], hex_to_ab(RED), rtol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_are_of_the_picture_as_seen_or_as_stored(orientation):
    full = (12, 20)
    marked = np.zeros(full, bool)
    marked[3, 15] = True
    seen = upright(marked, orientation)
    ((y, x),) = np.argwhere(seen)
    tiny = {"radius": 0.1, "color": RED}
    stored = Hint(x=15.5, y=3.5, orientation="stored", **tiny)
    assert covered(stored, seen.shape, full, orientation) == {(y, x)}
    assert covered(Hint(x=x + 0.5, y=y + 0.5, **tiny), seen.shape, full, orientation) == {(y, x)}


@pytest.mark.parametrize(
    ("hint", "orientation"),
    [
        (Hint(x=21, y=1, color=RED), 1),
        (Hint(x=1, y=13, color=RED), 1),
        (Hint(x=1.1, y=0, color=RED, units="fractions"), 1),
        (Hint(x=13, y=1, color=RED), 6),
        (Hint(x=21, y=1, color=RED, orientation="stored"), 6),
    ],
)
def test_a_point_outside_is_refused(hint, orientation):
    seen = (12, 20) if orientation == 1 else (20, 12)
    with pytest.raises(SettingsError, match=r"lies outside of the picture of (20 × 12|12 × 20) pixels"):
        hint_maps([hint], seen, (12, 20), orientation)


def ab_near(rgb8, y, x):
    patch = np.asarray(rgb8)[y - 3 : y + 4, x - 3 : x + 4, :3].astype(float) / 255
    return rgb_to_lab(patch)[..., 1:].mean((0, 1))


def test_hints_reach_the_picture(telling_model):
    grey = np.full((120, 200), 130, np.uint8)
    hint = Hint(x=150, y=40, color="#a04848", radius=16)
    of_all, of_one = Colorizer(telling_model, hints=[hint], threads=1), Colorizer(telling_model, threads=1)
    told = of_all(grey)
    assert (told == of_one(grey, hints=[hint])).all()
    assert (of_all(grey, hints=()) == of_one(grey)).all()
    assert np.linalg.norm(ab_near(told, 40, 150) - hex_to_ab("#a04848")) < 4
    assert np.abs(ab_near(told, 90, 40) - ab_near(of_one(grey), 90, 40)).max() < 1


@pytest.mark.parametrize("frame", ["upright", "stored"])
def test_a_turned_photograph_is_hinted_where_it_is_seen(telling_model, frame):
    stored = Image.fromarray(np.full((120, 200), 130, np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # seen, it is 120 wide and 200 high; stored (x, y) is seen at (120 - y, x)
    file = io.BytesIO()
    stored.save(file, "PNG", exif=exif)
    point = {"x": 80, "y": 150} if frame == "upright" else {"x": 150, "y": 40}
    hint = Hint(**point, color="#a04848", radius=16, orientation=frame)
    result = Colorizer(telling_model, threads=1)(file.getvalue(), hints=[hint])
    seen = ImageOps.exif_transpose(Image.open(io.BytesIO(result)))
    assert np.linalg.norm(ab_near(seen, 150, 80) - hex_to_ab("#a04848")) < 4
    assert ab_near(seen, 60, 30)[0] < 20


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("frame", ["upright", "stored"])
def test_a_hint_as_seen_tells_of_the_same_pixels(orientation, frame):
    full = (30, 40)
    seen = (30, 40) if orientation < 5 else (40, 30)
    hint = Hint(x=21, y=9, color=RED, radius=3, orientation=frame)
    wanted = hint_maps([hint], seen, full, orientation)["hint_mask"]
    again = hint_maps([as_seen(hint, full, orientation)], seen, seen)["hint_mask"]
    assert (again == wanted).all()
    with pytest.raises(SettingsError, match=r"outside of the picture of (30 × 40|40 × 30) pixels"):
        as_seen(Hint(x=41, y=9, color=RED, orientation=frame), full, orientation)


def test_hints_that_can_be_looked_at_only_once_are_refused_rather_than_lost(telling_model):
    hint = Hint(x=1, y=1, color=RED)
    with pytest.raises(SettingsError, match=r"Hints are a list of tintype\.Hint, not a generator"):
        Colorizer(telling_model)(np.zeros((9, 9), np.uint8), hints=(one for one in [hint]))


def test_that_hints_hold_on_every_page_is_told(telling_model):
    pages = [Image.fromarray(np.full((40, 60), grey, np.uint8)) for grey in (90, 130, 170)]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    colorizer = Colorizer(telling_model, threads=1)
    hint = Hint(x=20, y=20, color=RED)
    note = "The hints were followed on each of its 3 pages."
    assert note in colorizer.colorize_bytes(file.getvalue(), hints=[hint])[1].notes
    assert note not in colorizer.colorize_bytes(file.getvalue())[1].notes


def test_a_model_that_takes_none_says_so(tiny_model):
    hint = Hint(x=1, y=1, color=RED)
    with pytest.raises(SettingsError, match="tiny cannot be told colours by hand"):
        Colorizer(tiny_model, hints=[hint])
    with pytest.raises(SettingsError, match="tiny cannot be told colours by hand"):
        Colorizer(tiny_model)(np.zeros((9, 9), np.uint8), hints=[hint])


def test_a_radius_wider_than_the_picture_is_seen_as_its_shorter_side():
    assert as_seen(Hint(x=1, y=1, color=RED, radius=500), (100, 60)).radius == 1


def test_a_disc_is_round_in_the_full_picture_of_another_aspect_too():
    mask = hint_maps([Hint(x=500, y=50, color=RED, radius=50)], (8, 128), (100, 1000))["hint_mask"][0, 0]
    assert 12 <= mask[3].sum() <= 13  # 100 of 1000 pixels in 128 columns
    assert mask[:, 64].sum() == 8


def test_versions_and_sureness_know_the_hints(telling_model):
    grey = np.full((64, 64), 200, np.uint8)
    code = np.rint(255 * lab_to_rgb(np.array([60.0, 40.0, 30.0]))).astype(int)  # the model's first bin
    told = [Hint(x=32, y=32, color="#{:02x}{:02x}{:02x}".format(*code), radius=16)]
    model = Colorizer(telling_model, threads=1)
    assert np.array_equal(model.candidates(grey, 2, hints=told)[0], model(grey, hints=told))
    between, told_one = (model.confidence(grey, hints=hints)[8, 8] for hints in ((), told))
    assert told_one > between + 0.1, "its own colour lies between two opinions, the told one is one of them"
