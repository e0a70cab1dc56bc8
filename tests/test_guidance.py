"""What users may tell a model reaches its graph, or is refused in a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from tintype.color import lab_to_rgb
from tintype.errors import SettingsError
from tintype.guidance import graph_inputs, hex_to_ab


class Card:
    name = "m"


class Told:
    """A session in as much as guidance sees of it."""

    card = Card()
    inputs = {"vividness": (), "dominant_colors": ("N", 3, 3)}  # noqa: RUF012


class Deaf(Told):
    inputs = {}  # noqa: RUF012


def test_the_usual_is_left_to_the_card():
    assert graph_inputs(Told()) == {}
    assert graph_inputs(Deaf(), 1.0, ()) == {}


def test_colors_become_rows_of_ab_and_1():
    values = graph_inputs(Told(), 0.5, ["#c04020", "2040c0"])
    assert values["vividness"] == 0.5
    rows = values["dominant_colors"]
    assert rows.shape == (3, 3)
    np.testing.assert_allclose(rows[0, :2], hex_to_ab("#c04020"), rtol=1e-6)
    assert rows[:, 2].tolist() == [1, 1, 0]
    assert not rows[2].any()


def test_hex_is_srgb():
    a, b = hex_to_ab("#ff0000")
    np.testing.assert_allclose(lab_to_rgb(np.array([53.24, a, b])), [1, 0, 0], atol=2e-3)


@pytest.mark.parametrize(
    ("session", "vividness", "colors", "message"),
    [
        (Told(), -0.1, (), "from 0 to 2"),
        (Told(), float("nan"), (), "from 0 to 2"),
        (Deaf(), 0.5, (), "m cannot be told how vivid"),
        (Deaf(), 1.0, ["#000000"], "cannot be told the picture's main colours"),
        (Told(), 1.0, ["red"], "written #rrggbb"),
        (Told(), 1.0, ["#000000"] * 4, "at most 3 colours, not 4"),
    ],
)
def test_what_cannot_be_is_refused(session, vividness, colors, message):
    with pytest.raises(SettingsError, match=message):
        graph_inputs(session, vividness, colors)


@pytest.mark.parametrize("text", ["", "#", "#fff", "#c0402", "#c04020ff", "#c04020\n", "# c04020"])
def test_other_than_six_digits_are_no_colour(text):
    with pytest.raises(SettingsError, match="rrggbb"):
        hex_to_ab(text)
