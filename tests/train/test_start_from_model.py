"""An exported model as the start of a run: its weights, its settings and what its card owes."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from torch import nn

from tintype import cards, cli
from tintype.cards import ModelCard
from tintype.errors import ModelError
from tintype.session import Session
from tintype.train import export, folding, loading, recipes, runs
from tintype.train.lab import rgb_to_lab


def trained(recipe, **settings):
    """A model as after training: no two tensors are alike, and each BatchNorm does something."""
    module = recipes.get(recipe)
    torch.manual_seed(3)
    model = module.Model(module.Settings(**settings))
    for name, tensor in model.state_dict().items():
        if name.endswith(("running_var", "bin_weights")):
            nn.init.uniform_(tensor, 0.5, 2)
        elif tensor.is_floating_point() and name != "bins":
            tensor.add_(torch.randn_like(tensor) * 0.03)
    return model.eval()


def exported(model, folder, recipe, size=256):
    card = ModelCard(
        name="start", version="3", description="", recipe=recipe, license="MIT", sha256="",
        training=dataclasses.asdict(model.settings), data=({"source": "elsewhere", "photographs": 7},),
        pretrained=("an encoder",), size=size,
    )  # fmt: skip
    card = dataclasses.replace(card, path=folder / "start.onnx")
    export.export_onnx(model, card.path)
    card = dataclasses.replace(card, **export._facts(model, card.path.read_bytes()))
    card.path.with_suffix(".toml").write_text(card.to_toml(), encoding="utf-8")
    return card


def train(folder, out, *more, recipe="tint"):
    line = ["train", recipe, "--data", folder, "--out", out, "--batch", 4, "--size", 64, "--workers", 0]
    return cli.main([str(word) for word in (*line, "--device", "cpu", "--steps", 1, *more)])


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        ("tint", {"width": 16, "head_width": 16}),
        ("tint", {"width": 16, "head_width": 16, "head": "residual", "global_features": False}),
        ("autoencoder", {}),
        ("colornet", {"width": 64}),
        ("mean-chroma", {}),
        ("fusion", {"width": 0.125}),
    ],
)
def test_what_was_folded_is_taken_out_again(recipe, settings, tmp_path):
    model = trained(recipe, **settings)
    card = exported(model, tmp_path, recipe)
    L = torch.rand(3, 1, 96, 96) * 100
    answer = torch.from_numpy(Session(card, 1).run(L.numpy()))
    again = recipes.get(recipe).Model(model.settings)
    name, weights = loading.read_weights(card.path)
    assert name == recipe
    weights, unfolded = folding.unfold(again, weights)
    loading.set_weights(again, weights, card.path)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(L), answer, atol=0.02, rtol=0.002)
        folding.settle(again, unfolded, L)
        torch.testing.assert_close(again(L), answer, atol=0.02, rtol=0.002)


def test_settled_statistics_are_those_of_training(photographs_L):
    model = trained("tint", width=16, head_width=16)
    folded = folding.fold_batch_norm(trained("tint", width=16, head_width=16)).state_dict()
    weights, unfolded = folding.unfold(model, folded)
    loading.set_weights(model, weights, None)
    assert len(unfolded) == 6
    with torch.no_grad():
        wanted = model(photographs_L)
        far = (model.train()(photographs_L) - wanted).abs().mean()  # its statistics are none yet
        loading.set_weights(model, weights, None)  # the pass in training has moved them
        folding.settle(model.eval(), unfolded, photographs_L)
        near = (model.train()(photographs_L) - wanted).abs().mean()
    assert model.training
    assert near < 0.02 * far


@pytest.fixture(scope="module")
def photographs_L():
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    rgb = np.stack([cv2.resize(picture, (96, 96)) for picture in pictures]).transpose(0, 3, 1, 2)
    return rgb_to_lab(torch.from_numpy(rgb).float() / 255)[:, :1]


def test_the_shipped_model_is_a_start_by_its_name(album, tmp_path, photographs_L, capsys):
    run = tmp_path / "mine"
    assert train(album, run, "--from", "tint", "--lr-scale", 1e-9) == 0
    card = cards.find_model("tint")
    _, model, info = loading.load_run(run)
    for name in model.handed_on:
        assert info["settings"][name] == card.training[name], name
    assert info["settings"]["lpips_weight"] == 0 != card.training["lpips_weight"]  # the loss is the user's
    with torch.no_grad():
        answer = torch.from_numpy(Session(card, 1).run(photographs_L.numpy()))
        # One step moves the statistics of BatchNorm by a tenth towards those of its four pictures.
        assert (model(photographs_L) - answer).abs().mean() < 0.1 * answer.abs().mean()
    assert cli.main(["export", str(run), "-o", str(tmp_path), "--source", "my album", "--limit", "4"]) == 0
    made = cards.load_card(tmp_path / "mine.onnx")
    assert made.pretrained == (f"tint {card.version}, {card.license}", *card.pretrained)
    assert made.data == ({"source": "my album", "photographs": 8}, *card.data)
    capsys.readouterr()


def test_a_start_hands_on_what_the_graph_is_unless_told_otherwise(album, tmp_path):
    start = exported(trained("tint", width=16, head_width=24, T=0.5), tmp_path, "tint")
    run = tmp_path / "run"
    assert train(album, run, "--from", start.path, "--set", "rebalance_decode=-0.5") == 0
    settings = runs.read_run(run)["settings"]
    assert (settings["width"], settings["head_width"], settings["T"]) == (16, 24, 0.5)
    assert settings["rebalance_decode"] == -0.5
    on = tmp_path / "on"
    assert train(album, on, "--from", run) == 0  # a run does so too, and tells on what it came of
    assert runs.read_run(on)["settings"] == settings
    assert runs.read_run(on)["origin"] == {
        "pretrained": ["start 3, MIT", "an encoder"],
        "data": [
            {"source": "photographs of the run before", "photographs": 8},
            {"source": "elsewhere", "photographs": 7},
        ],
        "size": 256,
    }


def test_a_run_that_goes_on_stays_what_it_was(album, tmp_path, capsys):
    start = exported(trained("tint", width=16, head_width=24, T=0.5), tmp_path, "tint")
    run = tmp_path / "run"
    choices = ["--set", "hint_none=0.9", "--set", "fade=0.2", "--lr-scale", 0.5, "--seed", 4]
    assert train(album, run, "--from", start.path, *choices) == 0
    before = runs.read_run(run)
    start.path.unlink()
    again = ["--out", run, "--data", album, "--device", "cpu", "--workers", 0, "--resume"]
    assert cli.main([*map(str, ["train", "tint", *again, "--steps", 2])]) == 0
    after = runs.read_run(run)
    assert after["options"] == before["options"] | {"steps": 2}
    assert after == before | {"options": after["options"]}
    assert cli.main([*map(str, ["train", "colornet", *again])]) == 2
    assert "holds a run of tint, not of colornet" in capsys.readouterr().err
    alone = [word for word in again if word not in ("--data", album)]
    for line, message in (
        ([*again, "--from", "tint"], "has its start: leave out --from"),
        ([*again, "--init-encoder", "x"], "has its start: leave out --init-encoder"),
        ([*again, "--set", "rebalance_mix=0.9"], "rebalance_mix .* come with the run: leave it out"),
        ([*alone, "--limit", 2], "finds its photographs itself: leave out --index"),
    ):
        assert cli.main([*map(str, ["train", "tint", *line])]) == 2
        assert re.search(message, capsys.readouterr().err)
    same = [*again, "--from", start.path, "--set", "rebalance_mix=0.5", "--steps", 3]
    assert cli.main([*map(str, ["train", "tint", *same])]) == 0


@pytest.mark.parametrize(("recipe", "setting"), [("tint", "rebalance_mix=1"), ("binned", "rebalance=none")])
def test_how_weights_of_colours_are_made_cannot_be_told_beside_a_start(
    album, tmp_path, capsys, recipe, setting
):
    out = ["--out", tmp_path / "run", "--data", album, "--device", "cpu", "--from", "tint"]
    assert cli.main([*map(str, ["train", recipe, *out, "--set", setting])]) == 2
    assert "come with --from: leave it out" in capsys.readouterr().err


def test_what_an_export_leaves_out_is_named(album, tmp_path, capsys):
    start = exported(trained("binned", width_factor=0.125), tmp_path, "binned")
    assert train(album, tmp_path / "run", "--from", start.path, recipe="binned") == 1
    assert "no longer has all that training binned needs (bin_weights)" in capsys.readouterr().err


def test_models_that_are_no_start_are_refused(album, tmp_path, capsys):
    other = exported(trained("colornet", width=64), tmp_path, "colornet")
    attempts = {
        "tint-int8": "tint-int8 computes in 8 bits",
        "tnit": "no model of that name among autoencoder, tint, tint-int8",
        str(tmp_path / "gone.onnx"): "no model file",
        str(other.path): "is of the recipe colornet, not of tint",
    }
    for start, message in attempts.items():
        assert train(album, tmp_path / "run", "--from", start) == 1
        assert message in capsys.readouterr().err
    other.path.write_bytes(b"changed")
    with pytest.raises(ModelError, match="not the file its card describes"):
        loading.read_weights(other.path)


def test_a_half_way_mean_with_the_start(album, tmp_path, capsys):
    start = exported(trained("tint", width=16, head_width=16), tmp_path, "tint")
    run = tmp_path / "run"
    assert train(album, run, "--from", start.path, "--steps", 3, "--lr-scale", 5) == 0
    assert cli.main(["export", str(run), str(start.path), "-o", str(tmp_path), "--name", "half"]) == 0
    capsys.readouterr()
    weights = [loading.read_weights(source)[1] for source in (start.path, tmp_path / "half.onnx")]
    _, model, _ = loading.load_run(run)
    learnt = folding.fold_batch_norm(model).state_dict()
    for name, value in weights[1].items():
        torch.testing.assert_close(
            value, (weights[0][name] + learnt[name]) / 2, atol=2e-3, rtol=2e-3, msg=name
        )
    assert (learnt["head.weight"] - weights[0]["head.weight"]).abs().max() > 0.01
    card = cards.load_card(tmp_path / "half.onnx")
    assert card.pretrained == ("start 3, MIT", "an encoder")
    assert card.data == ({"source": "own photographs", "photographs": 8}, *start.data)
    assert train(album, tmp_path / "on", "--from", start.path, run) == 0


def test_a_model_goes_before_an_empty_folder_of_its_name(album, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train(album, "tint", "--from", "tint") == 0  # into a folder of that name
    assert runs.exported(Path("tint")) is None  # which is a run now


def test_the_size_at_which_a_start_sees_pictures_goes_along(album, tmp_path, capsys):
    start = exported(trained("tint", width=16, head_width=16), tmp_path, "tint", size=96)
    assert train(album, tmp_path / "run", "--from", start.path) == 0
    assert train(album, tmp_path / "on", "--from", tmp_path / "run" / "checkpoints" / "last.ckpt") == 0
    assert cli.main(["export", str(tmp_path / "on"), "-o", str(tmp_path / "models")]) == 0
    capsys.readouterr()
    card = cards.load_card(tmp_path / "models" / "on.onnx")
    assert card.size == 96
    assert card.data[1] == {"source": "photographs of the run before", "photographs": 8}
    assert card.data[2:] == start.data


def test_a_regression_is_a_start_too(album, tmp_path):
    start = exported(trained("tint", width=16, head_width=16, head="regression"), tmp_path, "tint")
    assert train(album, tmp_path / "run", "--from", start.path) == 0
    assert runs.read_run(tmp_path / "run")["settings"]["head"] == "regression"


def test_two_starts_at_once_are_refused(album, tmp_path, capsys):
    assert train(album, tmp_path / "run", "--from", "tint", "--init-encoder", "x.safetensors") == 2
    assert "leave out --init-encoder" in capsys.readouterr().err
