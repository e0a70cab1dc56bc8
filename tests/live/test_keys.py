"""What keys do: models, stills, freezing; what cannot be is said."""

from __future__ import annotations

import dataclasses
import shutil
import time
from itertools import cycle

import numpy as np
import pytest
from live_helpers import Keyboard, live, numbered
from PIL import Image

from tintype import Colorizer, Hint, cards
from tintype.errors import OutputError, SettingsError
from tintype.live import command
from tintype.live.picture import LivePainter


def test_keys(painter, tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keyboard = Keyboard({1: ["s"], 2: ["m"], 3: ["q"]})
    loop, view = live(painter, cycle(numbered(9)), view=keyboard)
    assert len(view.shown) == 3
    assert [path.resolve().parent for path in loop.stills] == [tmp_path]
    assert loop.stills[0].read_bytes().startswith(b"\x89PNG")
    assert painter.colorizer.card.name != "tiny"  # a model that is installed


def test_the_next_model_has_the_same_settings_or_that_is_said(
    telling_model, tiny_model, tmp_path, monkeypatch
):
    for model in (telling_model, tiny_model):  # the second takes no vividness
        for suffix in (".onnx", ".toml"):
            shutil.copy(model.with_suffix(suffix), tmp_path)
    monkeypatch.setattr(cards, "MODELS_DIR", tmp_path)
    wished = Colorizer(telling_model, threads=1, strength=0.5, vividness=1.5, size=96)
    painter, told, seen = LivePainter(wished, every=4), [], []
    take = painter.take

    def watched(colorizer):
        seen.append((colorizer.card.name, colorizer.strength, colorizer.vividness, colorizer.size))
        take(colorizer)

    monkeypatch.setattr(painter, "take", watched)
    keyboard = Keyboard({1: ["m"], 2: ["m"], 3: ["q"]})
    live(painter, cycle(numbered(9)), view=keyboard, say=told.append)
    settings = {"telling": ("telling", 0.5, 1.5, 96), "tiny": ("tiny", 0.5, 1.0, 96)}
    assert sorted(seen) == sorted(settings.values())
    assert told == ["The model tiny takes no vividness, which is left out meanwhile."]


def test_main_colours_that_the_next_model_takes_are_passed_on(monkeypatch):
    made = {}
    first = Colorizer("tint", threads=1)
    taking = dataclasses.replace(first.card, inputs={"dominant_colors": {}, "vividness": {}})
    first._proposer.colors = ("#c04020",)
    monkeypatch.setattr(command, "Colorizer", lambda model, **settings: made.update(settings) or first)
    monkeypatch.setattr(command, "list_models", lambda: [taking])
    assert command._next_model(first, first) == (first, [])
    assert made["colors"] == ("#c04020",)
    assert made["size"] is None  # the card's own is no wish


def test_the_models_come_round_to_ones_own(tiny_model):
    own = current = Colorizer(tiny_model, threads=1)
    seen = []
    for _ in range(len(cards.list_models()) + 1):
        current, _ = command._next_model(current, own)
        seen.append(current.card.name)
    assert seen == [*(card.name for card in cards.list_models()), "tiny"]


def test_space_freezes(painter):
    class Impatient(Keyboard):
        calls = 0

        def pressed(self):
            self.calls += 1
            return {3: ["space"], 8: ["space"], 12: ["escape"]}.get(self.calls, [])

    _, view = live(painter, cycle(numbered(9)), view=Impatient())
    assert len(view.shown) < 8


def test_stills_never_replace_one_another(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "tintype-now")
    paths = [command.save_still(np.zeros((4, 4, 3), np.uint8), tmp_path) for _ in range(3)]
    assert [p.name for p in paths] == ["tintype-now.png", "tintype-now-2.png", "tintype-now-3.png"]


def test_a_still_that_cannot_be_written_is_told_and_the_view_goes_on(painter, tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()  # in which root, too, can write nothing
    loop, view = live(painter, cycle(numbered(9)), view=Keyboard({1: ["s"], 3: ["q"]}))
    assert len(view.shown) == 3
    assert loop.stills == []
    assert "tintype: Cannot write tintype-2" in capsys.readouterr().err


def test_a_still_is_whole_or_absent(tmp_path, monkeypatch):
    def half(self, file, kind):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(OutputError, match=r"Cannot write .*\.png: No space left on device"):
        command.save_still(np.zeros((4, 4, 3), np.uint8), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_hints_are_refused(telling_model, painter):
    hinted = Colorizer(telling_model, hints=[Hint(x=5, y=5, color="#c04020")], threads=1)
    with pytest.raises(SettingsError, match="moving pictures take none: make the Colorizer without hints"):
        LivePainter(hinted, every=4)
    with pytest.raises(SettingsError, match="Hints belong to one picture"):
        painter.take(hinted)
