"""Scores on photographs that age has damaged: networks see the damage, the truth stays."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from skimage import data

from scoring_helpers import SIDE, linear_model, write_photographs
from tintype import cli, evaluate
from tintype.errors import SettingsError, TintypeError
from tintype.evaluate.aged import ager
from tintype.train import damage


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_photographs(tmp_path_factory.mktemp("photographs"))


@pytest.fixture
def truth():
    return evaluate.Truth("a.png", data.astronaut()[:96, :128])


def psnr(model, folder, out, **options):
    how = evaluate.Options(size=SIDE, **options)
    models = evaluate.open_models([str(model), "gray"], how)
    table = evaluate.evaluate(models, evaluate.find_photographs([folder]), how, out).table
    return [table[one.name]["psnr"].value for one in models]


@pytest.mark.parametrize("kind", damage.KINDS)
def test_each_kind_changes_what_is_seen_and_not_the_truth(truth, kind):
    whole = truth.L.copy()
    seen = ager([kind], 0)(truth)
    assert seen.shape == whole.shape
    assert seen.dtype == np.float32
    assert np.abs(seen - whole).mean() > 0.02
    assert 0 <= seen.min() <= seen.max() <= 100
    assert np.array_equal(truth.L, whole)


def test_it_hangs_on_seed_and_name_alone(truth):
    seen = ager(["fade", "grain"], 0)(truth)
    assert np.array_equal(ager(["grain", "fade"], 0)(truth), seen)
    assert not np.array_equal(ager(["fade", "grain"], 1)(truth), seen)
    assert not np.array_equal(ager(["fade", "grain"], 0)(evaluate.Truth("b.png", truth.rgb8)), seen)


def test_who_looks_paints_otherwise_and_grey_stays_grey(folder, tmp_path):
    model = linear_model(tmp_path)
    whole, grey = psnr(model, folder, tmp_path)
    faded, still_grey = psnr(model, folder, tmp_path, damage=("fade", "uneven"))
    assert abs(faded - whole) > 0.01
    assert still_grey == grey
    assert psnr(model, folder, tmp_path)[0] == whole


def test_the_command_says_what_was_seen(folder, tmp_path, capsys):
    words = ["evaluate", str(linear_model(tmp_path)), "--data", str(folder), "--size", str(SIDE)]
    assert cli.main([*words, "--damage", "fade", "grain"]) == 0
    assert "seen with fade, grain" in capsys.readouterr().out


def test_what_cannot_be_is_said(folder, tmp_path, capsys):
    with pytest.raises(SettingsError, match="--end-to-end and --damage cannot be had together"):
        evaluate.Options(damage=("fade",), end_to_end=True)
    words = ["evaluate", str(linear_model(tmp_path)), "--data", str(folder), "--size", str(SIDE)]
    assert cli.main([*words, "--damage", "fire"]) != 0
    assert "--damage takes blur, uneven, fade" in capsys.readouterr().err


def test_without_the_extra_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(TintypeError, match=r"pip install 'tintype\[train\]'"):
        ager(["fade"], 0)
