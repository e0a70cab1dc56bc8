"""From photographs to a model in use: a short run, its export, and the runtime colouring with it."""

from __future__ import annotations

import json
import warnings

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from tintype import Colorizer, cards
from tintype.cards import ModelCard
from tintype.errors import DataError, ModelError
from tintype.session import Session
from tintype.train import export, fit
from tintype.train.recipes import tint

SETTINGS = tint.Settings(width=16, head_width=16)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for i, rgb in enumerate([data.astronaut(), data.coffee(), data.chelsea(), data.rocket()] * 2):
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(rgb[..., ::-1], (160, 144)))
    return folder


def short_run(photographs, out, **options):
    settings = fit.FitOptions(
        data=(str(photographs),),
        steps=3,
        batch=4,
        size=64,
        workers=0,
        precision="32",
        device="cpu",
        **options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Lightning advises on workers and loggers, which a test does not need
        fit.fit("tint", SETTINGS, settings, out)


@pytest.fixture(scope="module")
def run(photographs, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    short_run(photographs, out)
    return out


def test_a_run_says_what_it_was(run):
    info = json.loads((run / "run.json").read_text())
    assert info["recipe"] == "tint"
    assert info["settings"]["width"] == 16
    assert list(run.glob("events.out.tfevents.*"))


def test_weights_move_and_are_read_back(run):
    _, model, _ = fit.load_run(run)
    torch.manual_seed(0)
    fresh = tint.Model(SETTINGS)
    moved = (model.head.weight - fresh.head.weight).abs().max()
    assert moved > 0
    assert not torch.allclose(model.bin_weights, torch.ones(313))


def test_a_second_phase_starts_from_the_first(run, photographs, tmp_path):
    short_run(photographs, tmp_path / "second", start_from=str(run), lr_scale=0.0)
    before, after = fit.load_run(run)[1], fit.load_run(tmp_path / "second")[1]
    assert torch.allclose(before.head.weight, after.head.weight, atol=1e-6)


def test_export_gives_a_model_in_use(run, photographs, tmp_path):
    recipe, model, _ = fit.load_run(run)
    card = ModelCard(name="mine", version="1", description="a test", recipe=recipe, license="MIT", sha256="")
    card = export.export(model, tmp_path, card, [photographs], score_size=96)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.onnx", "mine.toml"]
    assert cards.load_card(card.path) == card
    assert card.scores["parity"] >= 0.999
    assert set(card.scores) == {"how", "parity", "truth", "mine", "gray", "constant"}
    rgb = Colorizer(card.path, threads=1)(np.full((50, 70), 120, np.uint8))
    assert rgb.shape == (50, 70, 3)


def test_a_graph_that_is_not_its_source_is_refused(run, photographs, tmp_path):
    recipe, model, _ = fit.load_run(run)
    card = ModelCard(name="mine", version="1", description="", recipe=recipe, license="MIT", sha256="")
    card = export.export(model, tmp_path, card, [photographs], score_size=96)
    torch.nn.init.normal_(model.head.bias, std=3.0)
    with pytest.raises(ModelError, match="not its source"):
        export.check_parity(model, Session(card, 1), export.find_records([photographs]), 96)


def test_folding_batch_norm_changes_no_answer(run):
    _, model, _ = fit.load_run(run)
    L = torch.rand(1, 1, 64, 64) * 100
    with torch.no_grad():
        before = model(L)
        after = export.fold_batch_norm(model)(L)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    assert torch.allclose(before, after, atol=1e-3)


def test_what_cannot_be_trained_is_said(photographs, tmp_path):
    with pytest.raises(DataError, match="do not fill one batch"):
        fit.fit("tint", SETTINGS, fit.FitOptions(data=(str(photographs),), batch=99, size=64), tmp_path)
    with pytest.raises(ModelError, match="no training run"):
        fit.load_run(tmp_path / "nothing")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_said(photographs, tmp_path):
    options = fit.FitOptions(data=(str(photographs),), device="cuda")
    with pytest.raises(ModelError, match="no usable GPU"):
        fit.fit("tint", SETTINGS, options, tmp_path)
