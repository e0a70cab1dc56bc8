"""From photographs to a model in use: a short run, its export, and the runtime colouring with it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tintype import Colorizer, cards
from tintype.cards import ModelCard
from tintype.errors import DataError, ModelError
from tintype.session import Session
from tintype.train import export, fit, recipes, runs
from tintype.train.recipes import tint
from tintype.train.sources import find_photographs
from tintype.train.sweep import read_curve

SETTINGS = tint.Settings(width=16, head_width=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for i, rgb in enumerate([data.astronaut(), data.coffee(), data.chelsea(), data.rocket()] * 2):
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(rgb[..., ::-1], (160, 144)))
    return folder


@pytest.fixture(scope="module")
def photographs(folder):
    return find_photographs([folder])


def short_run(photographs, out, val=None, recipe="tint", settings=SETTINGS, **options):
    choices = {"steps": 3, "batch": 4, "size": 64, "workers": 0, "device": "cpu"} | options
    return fit.fit(recipe, settings, fit.FitOptions(**choices), photographs, val, out)


@pytest.fixture(scope="module")
def run(photographs, tmp_path_factory):
    return short_run(photographs, tmp_path_factory.mktemp("run"), photographs)


def test_a_run_says_what_it_was(run):
    info = runs.read_run(run)
    assert info["recipe"] == "tint"
    assert info["settings"]["width"] == 16
    assert info["split"]["train"] == [f"{i}.png" for i in range(8)]
    assert list(run.glob("events.out.tfevents.*"))
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["batches_done"] == 3


def test_curves_and_sheets_are_in_tensorboard(run):
    assert read_curve(run, "val/loss")
    events = EventAccumulator(str(run))
    events.Reload()
    assert events.Tags()["images"] == ["grey, truth, predicted"]


def test_class_weights_are_learnt_from_the_photographs(run):
    assert not torch.allclose(runs.load_run(run)[1].bin_weights, torch.ones(313))


def test_training_moves_the_weights(run, photographs, tmp_path):
    short_run(photographs, tmp_path / "on", start_from=str(run), steps=6)
    before, after = (runs.load_run(r)[1] for r in (run, tmp_path / "on"))
    assert not torch.equal(before.head.weight, after.head.weight)


def test_a_second_phase_starts_from_the_first(run, photographs, tmp_path):
    short_run(photographs, tmp_path / "second", start_from=str(run), lr_scale=0.0)
    before, after = (runs.load_run(r)[1] for r in (run, tmp_path / "second"))
    assert torch.allclose(before.head.weight, after.head.weight, atol=1e-6)


def test_another_recipes_or_widths_run_is_no_start(run, photographs, tmp_path):
    wider = tint.Settings(width=24, head_width=16)
    with pytest.raises(ModelError, match="trained with other settings"):
        short_run(photographs, tmp_path / "a", start_from=str(run), settings=wider)
    settings = recipes.get("autoencoder").Settings()
    with pytest.raises(ModelError, match="a run of tint, not of autoencoder"):
        short_run(photographs, tmp_path / "b", recipe="autoencoder", settings=settings, start_from=str(run))


def test_export_gives_a_model_in_use(run, folder, tmp_path):
    recipe, model, _ = runs.load_run(run)
    card = ModelCard(name="mine", version="1", description="a test", recipe=recipe, license="MIT", sha256="")
    card = export.export(model, tmp_path, card, [folder], score_size=96)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.onnx", "mine.toml"]
    assert cards.load_card(card.path) == card
    assert card.scores["parity"] >= 0.999
    assert set(card.scores) == {"how", "parity", "truth", "mine", "gray", "constant"}
    rgb = Colorizer(card.path, threads=1)(np.full((50, 70), 120, np.uint8))
    assert rgb.shape == (50, 70, 3)


def test_a_graph_that_is_not_its_source_is_refused(run, folder, tmp_path):
    recipe, model, _ = runs.load_run(run)
    card = ModelCard(name="mine", version="1", description="", recipe=recipe, license="MIT", sha256="")
    card = export.export(model, tmp_path, card, [folder], score_size=96)
    torch.nn.init.normal_(model.head.bias, std=3.0)
    with pytest.raises(ModelError, match="not its source"):
        export.check_parity(model, Session(card, 1), export.find_records([folder]), 96)


def test_folding_batch_norm_changes_no_answer(run):
    _, model, _ = runs.load_run(run)
    L = torch.rand(1, 1, 64, 64) * 100
    with torch.no_grad():
        before = model(L)
        after = export.fold_batch_norm(model)(L)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    assert torch.allclose(before, after, atol=1e-3)


def test_what_cannot_be_trained_is_said(photographs, run, tmp_path):
    with pytest.raises(DataError, match="do not fill one batch"):
        short_run(photographs, tmp_path, batch=99)
    with pytest.raises(ModelError, match="no training run"):
        runs.load_run(tmp_path / "nothing")
    with pytest.raises(ModelError, match="holds a run already"):
        short_run(photographs, run)
    settings = recipes.get("autoencoder").Settings()
    with pytest.raises(ModelError, match="has no encoder"):
        short_run(photographs, tmp_path / "x", recipe="autoencoder", settings=settings, init_encoder="x")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_said(photographs, tmp_path):
    with pytest.raises(ModelError, match="no usable GPU"):
        short_run(photographs, tmp_path, device="cuda")
