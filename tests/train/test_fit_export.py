"""From photographs to a model in use: a short run, its export, and the runtime colouring with it."""

from __future__ import annotations

import resource
import signal
import subprocess

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage import data
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.optim.swa_utils import AveragedModel

from tintype import Colorizer, cards, cli
from tintype.cards import ModelCard
from tintype.errors import DataError, ModelError, OutputError
from tintype.session import Session
from tintype.train import export, fit, loading, recipes, runs
from tintype.train.callbacks import WarmAveraging
from tintype.train.checkpoints import WholeCheckpoints
from tintype.train.options import FitOptions
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
    return fit.fit(recipe, settings, FitOptions(**choices), photographs, val, out)


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
    assert not torch.allclose(loading.load_run(run)[1].bin_weights, torch.ones(313))


def test_training_moves_the_weights(run, photographs, tmp_path):
    short_run(photographs, tmp_path / "on", start_from=(str(run),), steps=6)
    before, after = (loading.load_run(r)[1] for r in (run, tmp_path / "on"))
    assert not torch.equal(before.head.weight, after.head.weight)


def test_a_second_phase_starts_from_the_first(run, photographs, tmp_path):
    short_run(photographs, tmp_path / "second", start_from=(str(run),), lr_scale=0.0)
    before, after = (loading.load_run(r)[1] for r in (run, tmp_path / "second"))
    assert torch.allclose(before.head.weight, after.head.weight, atol=1e-6)


def test_the_mean_of_runs_is_a_start_and_a_model(run, photographs, tmp_path):
    ways = [tmp_path / "a", tmp_path / "b"]
    for seed, way in enumerate(ways):
        short_run(photographs, way, start_from=(str(run),), steps=3, seed=seed)
    a, b = (loading.read_weights(way)[1]["head.weight"] for way in ways)
    assert not torch.allclose(a, b)
    _, mean, info = loading.load_run(*ways)
    torch.testing.assert_close(mean.head.weight, (a + b) / 2)
    assert info == runs.read_run(ways[0])
    _, twice, _ = loading.load_run(ways[0], *ways)
    torch.testing.assert_close(twice.head.weight, (2 * a + b) / 3)
    starts = tuple(map(str, ways))
    out = short_run(photographs, tmp_path / "on", start_from=starts, lr_scale=1e-9)
    torch.testing.assert_close(loading.load_run(out)[1].head.weight, (a + b) / 2, atol=1e-6, rtol=0)


def test_the_mean_of_normalised_runs_is_normalised(photographs, tmp_path):
    settings = recipes.get("sagan").Settings(size=32, perceptual_weight=0.0, width=4, discriminator_width=4)
    shared = {"recipe": "sagan", "settings": settings, "size": 32}
    first = short_run(photographs, tmp_path / "0", **shared)
    others = [
        short_run(photographs, tmp_path / str(n), start_from=(str(first),), seed=n, steps=6, **shared)
        for n in (1, 2)
    ]
    for run in others:  # as after long training, when each has a sign of its own
        checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        for name, value in checkpoint["state_dict"].items():
            if name.endswith((".0._u", ".0._v")) and run is others[1]:
                value.neg_()
        torch.save(checkpoint, run / "checkpoints" / "last.ckpt")
    model = loading.load_run(*others)[1]
    norms = [
        float(torch.linalg.matrix_norm(part.weight.detach().flatten(1), 2))
        for part in model.generator.modules()
        if hasattr(part, "parametrizations")
    ]
    assert norms == pytest.approx([1.0] * len(norms), abs=1e-3)


def test_runs_of_two_starts_have_no_mean(run, photographs, tmp_path):
    short_run(photographs, tmp_path / "other", seed=5)
    with pytest.raises(ModelError, match="not of one start"):
        loading.load_run(run, tmp_path / "other")
    wider = tint.Settings(width=24, head_width=16)
    short_run(photographs, tmp_path / "wider", settings=wider)
    with pytest.raises(ModelError, match=r"have no mean: .* is \(24, .* and \(16, "):
        loading.load_run(run, tmp_path / "wider")
    short_run(photographs, tmp_path / "small", recipe="colornet", settings=recipes.get("colornet").Settings())
    with pytest.raises(ModelError, match="have no mean"):
        loading.load_run(run, tmp_path / "small")


def test_another_recipes_or_widths_run_is_no_start(run, photographs, tmp_path):
    wider = tint.Settings(width=24, head_width=16)
    with pytest.raises(ModelError, match="of another model or other settings"):
        short_run(photographs, tmp_path / "a", start_from=(str(run),), settings=wider)
    settings, start = recipes.get("autoencoder").Settings(), (str(run),)
    with pytest.raises(ModelError, match="of the recipe tint, not of autoencoder"):
        short_run(photographs, tmp_path / "b", recipe="autoencoder", settings=settings, start_from=start)


def test_export_gives_a_model_in_use(run, folder, tmp_path):
    recipe, model, _ = loading.load_run(run)
    card = ModelCard(name="mine", version="1", description="a test", recipe=recipe, license="MIT", sha256="")
    card = export.export(model, tmp_path, card, [folder], score_size=96)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.onnx", "mine.toml"]
    assert cards.load_card(card.path) == card
    assert card.scores["parity"] >= 0.999
    assert set(card.scores) == {"how", "parity", "truth", "mine", "gray", "constant"}
    rgb = Colorizer(card.path, threads=1)(np.full((50, 70), 120, np.uint8))
    assert rgb.shape == (50, 70, 3)


def test_a_graph_that_is_not_its_source_is_refused(run, folder, tmp_path):
    recipe, model, _ = loading.load_run(run)
    card = ModelCard(name="mine", version="1", description="", recipe=recipe, license="MIT", sha256="")
    card = export.export(model, tmp_path, card, [folder], score_size=96)
    torch.nn.init.normal_(model.head.bias, std=3.0)
    with pytest.raises(ModelError, match="not its source"):
        export.check_parity(model, Session(card, 1), export.find_records([folder]), 96)


def test_parity_is_checked_at_a_size_that_the_network_takes(run, folder, tmp_path):
    recipe, model, _ = loading.load_run(run)
    card = ModelCard(name="mine", version="1", description="", recipe=recipe, license="MIT", sha256="")
    card = export.export(model, tmp_path, card, [folder], score_size=90)
    assert card.scores["parity"] == 1


def test_the_commit_is_none_of_a_project_that_the_package_is_installed_in(tmp_path, monkeypatch):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=A", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    installed = tmp_path / "export.py"
    installed.touch()
    monkeypatch.setattr(export, "__file__", str(installed))
    assert export.commit_id() == ""
    subprocess.run([*git, "add", "export.py"], check=True)
    assert len(export.commit_id()) == 12


@pytest.mark.parametrize("name", ["tint", "autoencoder", "colornet"])
def test_folding_batch_norm_changes_no_answer(name):
    module = recipes.get(name)
    model = module.Model(module.Settings())
    for part in model.modules():  # as after training: each BatchNorm does something
        if isinstance(part, torch.nn.BatchNorm2d):
            for tensor in (part.weight, part.running_var):
                torch.nn.init.uniform_(tensor, 0.5, 2)
            for tensor in (part.bias, part.running_mean):
                torch.nn.init.normal_(tensor, std=0.1)
    model.eval()
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
        loading.load_run(tmp_path / "nothing")
    with pytest.raises(ModelError, match="holds a run already"):
        short_run(photographs, run)
    settings = recipes.get("autoencoder").Settings()
    with pytest.raises(ModelError, match="has no encoder"):
        short_run(photographs, tmp_path / "x", recipe="autoencoder", settings=settings, init_encoder="x")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_said(photographs, tmp_path):
    with pytest.raises(ModelError, match="no usable GPU"):
        short_run(photographs, tmp_path, device="cuda")


def test_weights_come_from_a_checkpoint_or_a_safetensors_file_too(run, photographs, tmp_path):
    _, model, _ = loading.load_run(run)
    loose = tmp_path / "weights.safetensors"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, loose)
    for start in (run / "checkpoints" / "best.ckpt", loose):
        out = short_run(photographs, tmp_path / start.stem, start_from=(str(start),), lr_scale=1e-9)
        _, started, _ = loading.load_run(out)
        assert torch.allclose(started.head.weight, model.head.weight, atol=1e-6)


def test_weights_that_do_not_fit_are_refused(run, photographs, tmp_path):
    checkpoint = str(run / "checkpoints" / "best.ckpt")
    settings = recipes.get("colornet").Settings()
    with pytest.raises(ModelError, match="of the recipe tint, not of colornet"):
        short_run(photographs, tmp_path / "a", recipe="colornet", settings=settings, start_from=(checkpoint,))
    wider = tint.Settings(width=16, head_width=24)
    with pytest.raises(ModelError, match=r"other settings: .* is \(.*\) there and \(.*\) here \(and"):
        short_run(photographs, tmp_path / "b", settings=wider, start_from=(checkpoint,))
    partial = tmp_path / "partial.safetensors"
    save_file({"head.weight": torch.zeros(313, 16, 1, 1)}, partial)
    with pytest.raises(ModelError, match=r"is missing \(and"):
        short_run(photographs, tmp_path / "c", start_from=(str(partial),))
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(b"nothing")
    for start in (broken, tmp_path / "absent.ckpt"):
        with pytest.raises(ModelError, match=r"no checkpoint of a run|no run or file"):
            short_run(photographs, tmp_path / "d", start_from=(str(start),))


def test_a_start_from_before_hints_is_taken_by_training_alone(run, photographs, tmp_path, capsys):
    _, model, _ = loading.load_run(run)
    old = tmp_path / "old.safetensors"
    weights = {k: v.contiguous() for k, v in model.state_dict().items() if not k.startswith("hints.")}
    save_file(weights, old)
    out = short_run(photographs, tmp_path / "on", start_from=(str(old),), lr_scale=1e-9)
    assert "knows no hints" in capsys.readouterr().out
    assert torch.allclose(loading.load_run(out)[1].head.weight, model.head.weight, atol=1e-6)
    with pytest.raises(ModelError, match=r"hints\.\S+ is missing"):
        loading.set_weights(model, weights, old)


def test_the_curve_begins_before_training(run):
    assert read_curve(run, "val/loss")[0][0] == 0


def test_a_generator_has_no_best_checkpoint(photographs, tmp_path):
    settings = recipes.get("sagan").Settings(size=32, perceptual_weight=0.0, width=4, discriminator_width=4)
    out = short_run(photographs, tmp_path, photographs, recipe="sagan", settings=settings, size=32)
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["last.ckpt"]


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    checkpoint = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"step": 1}, checkpoint)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(
        signal.SIGXFSZ, signal.SIG_IGN
    )  # writing beyond the limit fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="The checkpoint before it is whole"):
            WholeCheckpoints().save_checkpoint({"step": 2, "w": torch.rand(100_000)}, checkpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert torch.load(checkpoint, weights_only=True) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_the_average_of_a_short_run_is_not_its_start():
    averaged = AveragedModel(torch.nn.Linear(1, 1, bias=False), avg_fn=WarmAveraging(0.999)._kwargs["avg_fn"])
    model = torch.nn.Linear(1, 1, bias=False)
    for value in (0.0, *[1.0] * 100):
        torch.nn.init.constant_(model.weight, value)
        averaged.update_parameters(model)
    assert averaged.module.weight.item() > 0.99  # at 0.999 a step it would be 0.1
    for _ in range(20000):
        averaged.update_parameters(model)
    torch.nn.init.zeros_(model.weight)
    averaged.update_parameters(model)
    assert averaged.module.weight.item() == pytest.approx(0.999, abs=1e-4)


def test_photographs_without_colour_do_not_score_an_exported_model(run, folder, tmp_path, capsys):
    places = tmp_path / "places"
    places.mkdir()
    for name in ("0.png", "1.png"):
        (places / name).write_bytes((folder / name).read_bytes())
    cv2.imwrite(str(places / "2.png"), data.camera())
    words = ["export", str(run), "-o", str(tmp_path), "--name", "m", "--data", str(places)]
    assert cli.main(words) == 0
    assert "1 photograph to score on could not be read or had no colour." in capsys.readouterr().out
    scores = cards.load_card(tmp_path / "m.onnx").scores
    assert scores["how"].startswith("2 photographs, ")
    assert scores["gray"]["psnr"] < 50
