"""Settings are typed and documented; a wrong key or value is named with the nearest right one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from tintype.errors import SettingsError
from tintype.train import recipes, settings
from tintype.train.ranges import Count, Positive, Range, Ranged, Share
from tintype.train.recipe import Schedule


@dataclass(frozen=True, kw_only=True)
class Some(Ranged):
    """An example."""

    width: Count = 8
    """Channels
    of the decoder."""
    lr: Positive = 1e-3
    """Learning rate."""
    mode: Literal["sigmoid", "relu"] = "relu"
    """Which one."""
    fast: bool = False
    """Whether."""
    name: str = ""
    """What it is called."""


def test_values_are_converted():
    got = settings.build(Some, {"width": "16", "lr": "3e-4", "mode": "sigmoid", "fast": "yes", "name": "x"})
    assert got == Some(width=16, lr=3e-4, mode="sigmoid", fast=True, name="x")
    assert settings.build(Some, {"width": 16, "lr": 1, "fast": False}) == Some(width=16, lr=1.0)


def test_settings_that_stand_elsewhere_are_named_too():
    with pytest.raises(SettingsError, match="did you mean 'patience'"):
        settings.build(Some, {"patiense": 3}, ["width", "patience"])
    with pytest.raises(SettingsError, match=r"there are width, lr, mode, fast, name, patience\."):
        settings.build(Some, {"zzzzz": 3}, ["width", "patience"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widht": "3"}, "did you mean 'width'"),
        ({"zzzzz": "3"}, "there are width, lr, mode, fast, name"),
        ({"width": "3.5"}, "whole number"),
        ({"width": 3.5}, "whole number"),
        ({"lr": "fast"}, "a number"),
        ({"mode": "sigmod"}, "did you mean 'sigmoid'"),
        ({"fast": "maybe"}, "true or false"),
        ({"lr": True}, "lr must be a number, not True"),
        ({"width": False}, "width must be a whole number, not False"),
        ({"name": None}, "name must be text, not None"),
        ({"name": True}, "name must be text, not True"),
        ({"lr": -1}, "lr must be above 0, not -1"),
        ({"width": "0"}, "width must be 1 or above, not 0"),
    ],
)
def test_wrong_settings_are_named(values, message):
    with pytest.raises(SettingsError, match=message):
        settings.build(Some, values)


def test_sweeps_are_all_combinations():
    values = settings.parse_assignments(["width=4, 8", "mode=relu"])
    assert settings.sweep(values) == [{"width": "4", "mode": "relu"}, {"width": "8", "mode": "relu"}]
    with pytest.raises(SettingsError, match="key=value"):
        settings.parse_assignments(["width"])


def test_yaml(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("width: 32\nlr: 0.1\n")
    assert settings.build(Some, settings.read_yaml(file)) == Some(width=32, lr=0.1)
    file.write_text("- a\n- b\n")
    with pytest.raises(SettingsError, match="key: value"):
        settings.read_yaml(file)
    with pytest.raises(SettingsError, match="no configuration file"):
        settings.read_yaml(tmp_path / "gone.yaml")


def test_help_shows_name_default_and_docstring():
    text = settings.help_text(Some)
    assert "width=8  (int, 1 or above)" in text
    assert "Channels of the decoder." in text
    assert "mode=relu  (sigmoid|relu)" in text


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipes_settings_are_documented(name):
    for field in settings.fields_of(recipes.get(name).Settings):
        assert field.doc, field.name


@pytest.mark.parametrize(
    ("name", "value"), [("clip", -1), ("patience", -3), ("converged", -1), ("ema_decay", 5), ("ema_decay", 1)]
)
def test_a_schedule_that_cannot_be_is_refused(name, value):
    with pytest.raises(SettingsError, match=f"{name} must be"):
        settings.build(Schedule, {name: value})


@pytest.mark.parametrize(
    ("allowed", "text", "within", "without"),
    [
        (Range(above=0), "above 0", (1e-9, 1e9), (0, -1, float("nan"))),
        (Range(least=0), "0 or above", (0, 1e9), (-1e-9,)),
        (Range(least=0, most=1), "from 0 to 1", (0, 1), (-0.1, 1.1)),
        (Range(above=0, most=1), "from above 0 to 1", (0.1, 1), (0, 1.1)),
        (Range(least=0, under=1), "from 0 to under 1", (0, 0.9), (-0.1, 1)),
    ],
)
def test_a_range_says_which_numbers_it_has(allowed, text, within, without):
    assert str(allowed) == text
    assert all(number in allowed for number in within)
    assert not any(number in allowed for number in without)


def test_settings_made_in_python_have_the_same_ranges():
    with pytest.raises(SettingsError, match="lr must be above 0, not 0"):
        Some(lr=0)
    assert Share.__metadata__ == (Range(least=0, most=1),)


def test_the_help_says_the_range():
    assert "  lr=0.001  (float, above 0)" in settings.help_text(Some).splitlines()


def test_a_key_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "it.yaml").write_text("lr: 1\nwidth: 8\nlr: 2\n")
    with pytest.raises(SettingsError, match="lr stands there twice"):
        settings.read_yaml(tmp_path / "it.yaml")


@pytest.mark.parametrize(
    ("recipe", "values", "message"),
    [
        ("tint", {"weight_decay": -1}, "weight_decay must be 0 or above"),
        ("tint", {"T": 0}, "T must be above 0"),
        ("tint", {"colorfulness_weight": -1}, "colorfulness_weight must be 0 or above"),
        ("sagan", {"dropout": 2}, "dropout must be from 0 to 1"),
        ("fusion", {"classes": -1}, "classes must be 0 or above"),
    ],
)
def test_numbers_that_no_recipe_can_use_are_refused(recipe, values, message):
    with pytest.raises(SettingsError, match=message):
        settings.build(recipes.get(recipe).Settings, values)
