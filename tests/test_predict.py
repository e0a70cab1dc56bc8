"""Colours hang little on the size at which a model is shown a picture, and auto chooses one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage import data

from tintype import Colorizer, Hint, predict
from tintype.cards import load_card
from tintype.color import ToneCurve, lab_to_linear, rgb_to_cbcr
from tintype.errors import SettingsError
from tintype.framing import auto_size, auto_view, network_size, resize_for_network, run_padded
from tintype.images.resample import shrink
from tintype.session import Session
from tintype.view import Lens, View

OWN, STRIDE = 64, 4


class SizeBound:
    """A session whose colours are those that it gives at its own size plus an error where it is larger."""

    def __init__(self, card):
        self.card, self.inputs, self.outputs, self.seen = card, {}, frozenset(), []

    def run_for(self, names, L, **inputs):
        self.seen.append((L.shape[2:], inputs))
        h, w = L.shape[2] // STRIDE, L.shape[3] // STRIDE
        fine = L.reshape(h, STRIDE, w, STRIDE).mean((1, 3))
        off = 25.0 * (min(L.shape[2:]) > OWN)
        return {"ab": np.stack([fine - 50 + off, fine * 0 - off])[None].astype(np.float32)}


@pytest.fixture
def session(tiny_model):
    return SizeBound(load_card(tiny_model))


@pytest.fixture
def L():
    return np.ascontiguousarray(data.camera()[::2, ::2]).astype(np.float32) / 2.55  # (256, 256)


def test_a_larger_size_agrees_with_the_own_one_and_keeps_its_detail(session, L):
    own = predict.predict(session, resize_for_network(L, OWN, STRIDE), {})
    assert len(session.seen) == 1, "at its own size it is run once"
    large = predict.predict(session, L, {})
    assert [size for size, _ in session.seen[1:]] == [(256, 256), (64, 64)]
    assert large.shape == (64, 64, 2)
    assert np.abs(large.mean((0, 1)) - own.mean((0, 1))).max() < 1, "25 without it"
    fine = L.reshape(64, 4, 64, 4).mean((1, 3)) - 50
    assert np.corrcoef(large[..., 0].ravel(), fine.ravel())[0, 1] > 0.98
    assert np.abs(large[..., 0] - fine).mean() < 4


def test_hints_come_to_both_sizes(session, L):
    mask = np.zeros((1, 1, 256, 256), np.float32)
    mask[..., 100, 101] = 1
    maps = {"hint_ab": mask * np.array([30, -20], np.float32).reshape(1, 2, 1, 1), "hint_mask": mask}
    predict.predict(session, L, maps | {"vividness": np.array(0.5, np.float32)})
    (_, first), (_, second) = session.seen
    assert first["hint_mask"].sum() == 1
    assert second["hint_mask"].shape == (1, 1, 64, 64)
    ((_, _, y, x),) = np.argwhere(second["hint_mask"])
    assert (y, x) == (25, 25)
    np.testing.assert_allclose(second["hint_ab"][0, :, y, x], [30, -20], rtol=1e-5)
    assert second["vividness"] == 0.5


def test_a_hint_holds_also_at_a_larger_size(telling_model):
    hint = Hint(x=100, y=60, color="#a04848", radius=20)
    grey = np.full((120, 200), 130, np.uint8)
    small, large = (Colorizer(telling_model, size=size, hints=[hint], threads=1)(grey) for size in (64, 128))
    assert np.abs(small[60, 100].astype(int) - large[60, 100]).max() < 8


def seen_at(size, picture):
    """The size that auto chooses for luma (H, W) of 0…255 and a model of the size given."""
    view = network_size(*picture.shape, auto_view(*picture.shape, size), STRIDE)
    luma = resize_for_network(picture.astype(np.float32) / 255, auto_view(*picture.shape, size), STRIDE)
    assert luma.shape == view
    return auto_size(luma, size, STRIDE)


def test_auto_enlarges_nothing():
    camera = data.camera()
    assert seen_at(256, camera[::3, ::3]) == 172  # of 171, to a multiple of the stride
    assert seen_at(256, camera[::8, ::8]) == 128  # but for what no network was trained on
    assert seen_at(64, camera[::16, ::16]) == 64


def test_auto_looks_closer_where_there_is_more_to_see():
    assert seen_at(256, data.moon()) == 256
    assert seen_at(256, data.grass()) == 512
    assert seen_at(256, data.gravel()) == 384


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (100, 5000), (1000, 3000), (3000, 300)])
def test_auto_takes_any_shape(shape, tiny_model):
    grey = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    colorizer = Colorizer(tiny_model, size="auto", threads=1)
    assert colorizer(grey).shape == (*shape, 3)
    small = colorizer.predict_ab(grey / 2.55)
    assert small.shape[0] * small.shape[1] <= 2 * (2 * OWN / STRIDE) ** 2 + 2 * max(small.shape[:2])


def test_auto_is_the_size_it_chose(tiny_model):
    texture = data.grass()
    auto, twice = (Colorizer(tiny_model, size=size, threads=1) for size in ("auto", 128))
    assert (auto(texture) == twice(texture)).all()
    assert (auto.predict_ab(texture / 2.55) == twice.predict_ab(texture / 2.55)).all()


def test_no_other_word_is_a_size(tiny_model):
    with pytest.raises(SettingsError, match="from 32 to 2048 pixels, or auto, not large"):
        Colorizer(tiny_model, size="large")


def test_a_real_session_is_run_as_it_is(tiny_model, L):
    """The tiny model does not hang on the size, so nothing is shifted."""
    real = Session(load_card(tiny_model), threads=1)
    ab = predict.predict(real, L, {})
    np.testing.assert_allclose(ab[..., 0], 0.5 * L.reshape(64, 4, 64, 4).mean((1, 3)) - 20, atol=0.05)


def test_a_strip_is_seen_at_twice_the_size_at_most():
    assert network_size(100, 2000, 64, 4) == (8, 128)
    assert network_size(2000, 100, 64, 4) == (128, 8)
    assert network_size(10, 5000, 64, 4) == (4, 128)


def test_what_is_added_at_the_borders_mirrors_the_picture(session):
    seen = []

    class Sees(SizeBound):
        def run_for(self, names, L, **inputs):
            seen.append(L[0, 0])
            return super().run_for(names, L, **inputs)

    ab = run_padded(Sees(session.card), np.tile(np.arange(40, 80, dtype=np.float32), (36, 1)), {})
    assert ab.shape == (9, 10, 2)
    (padded,) = seen
    assert padded.shape == (64, 64)
    assert (padded[36:] == padded[:36][::-1][:28]).all()
    assert (padded[:, 40:] == padded[:, 16:40][:, ::-1]).all()


class Weighing(SizeBound):
    def __init__(self, card):
        super().__init__(replace(card, outputs={"bin_probs": {}, "bins": {}}))
        self.inputs, self.asked = {"vividness": ()}, []

    def run_for(self, names, L, **inputs):
        self.asked.append((tuple(names), float(inputs.get("vividness", 1))))
        found = super().run_for(names, L, **inputs)
        shape = found["ab"].shape[2:]
        found |= {"bin_probs": np.full((1, *shape, 2), 0.5, np.float32), "bins": np.eye(2, dtype=np.float32)}
        return {name: found[name] for name in names}


def test_all_versions_agree_with_the_own_size(session, L, monkeypatch):
    raw = np.moveaxis(session.run_for((), L[None, None])["ab"][0], 0, -1)
    monkeypatch.setattr(predict, "propose", lambda probs, bins, count: [raw, raw + 7])
    first, second = predict.predict_versions(Weighing(session.card), L, {}, 2)
    assert np.abs(first - raw).max() > 10
    np.testing.assert_allclose(second - first, 7, atol=1e-3)


def test_sureness_is_the_belief_at_vividness_0_in_the_colours_that_are_shown(session, L):
    weighing = Weighing(session.card)
    predict.predict_confidence(weighing, L[:64, :64].copy(), {"vividness": np.array(1.5, np.float32)})
    assert sorted(weighing.asked) == [(("ab",), 1.5), (("bin_probs", "bins"), 0.0)]


def test_what_is_seen_and_coloured_goes_by_the_tone_of_the_picture():
    linear = ToneCurve(np.linspace(0, 1, 4096))
    luma = np.full((8, 8), 0.5, np.float32)
    view = View(luma, linear, luma.shape, 1)
    np.testing.assert_allclose(view.L(), 76.07, atol=0.02)
    rgb = view.field(np.broadcast_to(np.float32([20, 30]), (2, 2, 2)), 1.0, 1).rgb(0, luma)
    wanted = rgb_to_cbcr(lab_to_linear(np.array([76.07, 20, 30])))
    np.testing.assert_allclose(rgb_to_cbcr(rgb.astype(float))[4, 4], wanted, atol=0.003)


def test_auto_is_shown_no_more_than_there_is_to_see(tiny_model):
    flat = np.full((500, 700), 120, np.uint8)
    lens = Lens(load_card(tiny_model), "auto")  # whose own size is 64
    assert min(lens.array(flat).L().shape) == 64
    assert min(lens.lightness(flat.astype(np.float32) / 2.55).shape) == 64


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (3, 4000), (700, 500), (50, 40)])
def test_an_array_comes_before_the_network_as_the_same_picture_in_a_file_does(shape):
    values = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    seen = resize_for_network(values.astype(np.float32), OWN, STRIDE) / 255
    np.testing.assert_allclose(seen, shrink(values, *seen.shape), atol=1 / 255)
