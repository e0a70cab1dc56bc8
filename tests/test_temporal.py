"""Chroma follows what moves, cuts begin anew, and little is asked of the model."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from skimage import data

from tintype.temporal import FrameByFrame, Steady

SIZE = (64, 96)


def window(x, y=20, picture=None):
    """Luma (64, 96) 0…1 of a part of a photograph."""
    whole = cv2.cvtColor(data.astronaut() if picture is None else picture, cv2.COLOR_RGB2GRAY)[::2, ::2]
    return np.ascontiguousarray(whole[y : y + SIZE[0], x : x + SIZE[1]]) / np.float32(255)


class Model:
    """ab is a function of L, with a new tint at every look when `noise` is given."""

    def __init__(self, noise=0.0):
        self.looks, self._noise = 0, noise
        self._rng = np.random.default_rng(0)

    def __call__(self, L):
        self.looks += 1
        small = cv2.resize(L, (SIZE[1] // 4, SIZE[0] // 4), interpolation=cv2.INTER_AREA)
        tint = (
            self._rng.normal(0, self._noise, 2).astype(np.float32) if self._noise else np.zeros(2, np.float32)
        )
        return np.stack([small - 40, 30 - small], -1) + tint


def test_carried_chroma_moves_with_the_picture():
    model = Model()
    steady = Steady(model, every=100)
    for x in range(40, 64):
        ab = steady(window(x))
    truth = FrameByFrame(Model())(window(63))
    assert ab.shape == truth.shape
    still = FrameByFrame(Model())(window(40))
    inside = np.s_[:, :16]  # what has come into sight at the right edge could not be carried
    assert np.abs(ab - truth)[inside].mean() < 0.4 * np.abs(still - truth)[inside].mean()


def test_the_model_looks_seldom_where_little_moves_and_at_each_cut():
    model = Model()
    steady = Steady(model, every=10)
    for _ in range(40):
        steady(window(40))
    assert model.looks < 10
    before = model.looks
    cut = window(60, 10, data.coffee())
    ab = steady(cut)
    assert (steady.cuts, model.looks) == (1, before + 1)
    np.testing.assert_array_equal(ab, FrameByFrame(Model())(cut))


def test_the_model_looks_more_often_where_much_comes_into_sight():
    looks = []
    for step in (0, 5):
        model = Model()
        steady = Steady(model, every=20)
        for i in range(20):
            steady(window(10 + step * i))
        looks.append(model.looks - steady.cuts)
    assert looks[1] > looks[0] + 2


def test_a_restless_model_is_calmed():
    steady, restless = Steady(Model(noise=8), every=4), FrameByFrame(Model(noise=8))
    apart = []
    for carry in (steady, restless):
        shown = [carry(window(40 + i // 4)) for i in range(40)]
        apart.append(np.mean([np.abs(b - a).mean() for a, b in pairwise(shown)]))
    assert apart[0] < 0.25 * apart[1]


def test_a_fade_from_black_is_coloured():
    steady = Steady(Model(), every=8)
    shown = [steady(window(40) * np.float32(min(1, i / 20))) for i in range(32)]
    truth = FrameByFrame(Model())(window(40))
    assert np.abs(shown[-1] - truth).mean() < 0.35 * np.abs(shown[0] - truth).mean()


def test_going_on_from_what_was_remembered_is_the_same():
    whole, first, second = (Steady(Model(), every=5) for _ in range(3))
    wanted = [whole(window(40 + i)) for i in range(24)]
    for i in range(13):
        first(window(40 + i))
    second.restore({name: value.copy() for name, value in first.state().items()})
    for i in range(13, 24):
        np.testing.assert_array_equal(second(window(40 + i)), wanted[i])


@pytest.mark.parametrize("size", [(4, 4), (8, 64), (32, 8), (60, 2048)])
def test_tiny_and_slender_pictures(size):
    steady = Steady(lambda L: np.zeros((size[0] // 4, size[1] // 4, 2), np.float32) + L.mean(), every=2)
    for i in range(6):
        ab = steady(np.full(size, i / 10, np.float32))
    assert np.isfinite(ab).all()


def test_a_cut_is_seen_by_motion_and_by_light_alone():
    steady = Steady(Model())
    steady(window(40))
    steady(np.ascontiguousarray(window(40)[::-1, ::-1]))
    assert steady.cuts == 1, "of like light"
    steady = Steady(Model())
    steady(np.full((64, 96), 0.40, np.float32))
    steady(np.full((64, 96), 0.48, np.float32))
    assert steady.cuts == 1, "of no motion"


def test_what_is_stale_takes_the_new_colours_at_once():
    steady = Steady(Model(), every=1)
    wanted = steady(window(40)).copy()
    state = steady.state()
    off = {"shown": wanted + 50, "wanted": wanted + 50, "stale": np.ones_like(state["stale"])}
    steady.restore(state | off)
    np.testing.assert_allclose(steady(window(40)), wanted, atol=1e-3)


def test_what_is_stale_stays_so_until_the_model_looks():
    steady = Steady(Model(), every=100)
    steady(window(40))
    state = steady.state()
    stale = np.full_like(state["stale"], 0.02)
    steady.restore(state | {"stale": stale, "counts": np.array([0, 9])})
    steady(window(40))
    assert steady.looks == 1
    np.testing.assert_allclose(steady.state()["stale"], stale, atol=1e-4)


def test_a_look_settles_what_was_stale_and_is_at_first_a_mean_with_what_was_carried():
    steady = Steady(Model(), every=1)
    wanted = steady(window(40)).copy()
    state = steady.state()
    steady.restore(state | {"wanted": wanted + 10, "stale": np.full_like(state["stale"], 0.02)})
    steady(window(40))
    assert not steady.state()["stale"].any()
    np.testing.assert_allclose(steady.state()["wanted"] - wanted, 5 * 0.98, atol=0.01)


@pytest.mark.parametrize("shape", [(64, 104), (72, 96), (96, 64)])
def test_pictures_of_another_size_begin_anew(shape):
    """As a stream's may be from one moment to the next."""

    def see(L):
        return np.zeros((L.shape[0] // 4, L.shape[1] // 4, 2), np.float32)

    steady = Steady(see, every=1)
    wider = [cv2.resize(window(x), shape[::-1], interpolation=cv2.INTER_AREA) for x in (42, 43)]
    for luma in (window(40), window(41), *wider):
        ab = steady(luma)
        assert ab.shape == (luma.shape[0] // 4, luma.shape[1] // 4, 2)
    other = Steady(see, every=1)
    other.restore(steady.state())
    assert other(window(40)).shape == (16, 24, 2)
