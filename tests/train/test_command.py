"""`tintype train` and `tintype export` as their user meets them: the guide's commands on a tiny set."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from tintype import cards, cli
from tintype.train import runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    for i in range(12):
        path = folder / ("sea" if i % 2 else "land") / f"{i:02d}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), cv2.resize(pictures[i % 4][i:, i:, ::-1], (96, 80)))
    return folder


def train(recipe, folder, out, *more):
    line = ["train", recipe, "--data", folder, "--out", out, "--batch", 4, "--size", 64, "--workers", 0]
    return cli.main([str(word) for word in (*line, "--device", "cpu", *more)])


SMALL = ("--set", "width=16", "--set", "head_width=16")


def test_from_photographs_to_a_coloured_picture(folder, tmp_path, capsys):
    run = tmp_path / "runs" / "mine"
    assert train("tint", folder, run, "--steps", 3, "--val", folder, *SMALL) == 0
    assert str(run) in capsys.readouterr().out
    assert cli.main(["export", str(run), "-o", str(tmp_path / "models"), "--license", "CC0-1.0"]) == 0
    model = tmp_path / "models" / "mine.onnx"
    assert str(model) in capsys.readouterr().out
    old = tmp_path / "old.png"
    Image.fromarray(np.full((40, 60), 120, np.uint8)).save(old)
    assert cli.main(["colorize", str(old), "--model", str(model)]) == 0
    with Image.open(tmp_path / "old.color.png") as picture:
        assert picture.size == (60, 40)


def test_a_card_tells_of_the_training_that_was(folder, tmp_path, capsys):
    run = tmp_path / "mine"
    assert train("tint", folder, run, "--steps", 500, "--minutes", 0.02, *SMALL) == 0
    assert "chance holds none out to validate on" in capsys.readouterr().out
    assert cli.main(["export", str(run), "-o", str(tmp_path)]) == 0
    card = cards.load_card(tmp_path / "mine.onnx")
    assert 0 < card.training["steps"] < 500
    assert card.training["batch"] == 4
    assert card.scores["how"].endswith("it learnt from these photographs")


def test_a_network_of_a_size_of_its_own_wants_crops_of_as_much(folder, tmp_path, capsys):
    line = ["train", "sagan", "--data", folder, "--out", tmp_path / "run", "--batch", 4, "--device", "cpu"]
    words = [*map(str, line), "--steps", "1", "--set", "size=128"]
    assert cli.main(words) == 2
    assert "Crops of 64 pixels are too small for size=128: add --size 128" in capsys.readouterr().err


def test_a_sweep_trains_each_and_compares(folder, tmp_path, capsys):
    more = ("--steps", 2, "--set", "width=8,16", "--set", "head_width=8", "--set", "min_side=0.9")
    assert train("tint", folder, tmp_path, *more) == 0
    table = capsys.readouterr().out
    assert "| 8 | 8 |" in table
    assert "| 16 | 8 |" in table
    assert (tmp_path / "sweep.md").read_text(encoding="utf-8").strip() in table
    with Image.open(tmp_path / "sweep.png") as plot:
        assert plot.size[0] >= 600
    run = tmp_path / "width=16,head_width=8,min_side=0.9"
    assert runs.read_run(run)["settings"]["width"] == 16
    assert runs.read_run(run)["crops"]["min_side"] == 0.9


def test_settings_from_a_file_give_way_to_those_of_the_line(folder, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("width: 8\nhead_width: 8\nclip: 0.5\n")
    run = tmp_path / "run"
    assert train("tint", folder, run, "--steps", 1, "--config", file, "--set", "width=16") == 0
    info = runs.read_run(run)
    assert (info["settings"]["width"], info["settings"]["head_width"]) == (16, 8)
    assert info["schedule"]["clip"] == 0.5
    assert info["schedule"]["ema_decay"] == 0.999


def test_labels_reach_the_run(folder, tmp_path):
    assert train("colornet", folder, tmp_path / "run", "--steps", 1) == 0
    assert runs.read_run(tmp_path / "run")["label_names"] == ["land", "sea"]


def test_help_shows_the_recipes_settings(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "tint", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "encoder_lr=0.0004" in text
    assert "Channels of the decoder at strides 32 to 8." in text


@pytest.mark.parametrize(
    ("recipe", "more", "status", "message"),
    [
        ("tnit", (), 2, "There is no recipe 'tnit'"),
        ("tint", ("--set", "widht=3"), 2, "did you mean 'width'"),
        ("tint", ("--set", "width=wide"), 2, "whole number"),
        ("tint", ("--size", 50), 2, "multiple of 32"),
        ("tint", ("--set", "lr=nan"), 2, "finite number"),
        ("tint", ("--set", "fade=7"), 2, "from 0 to 1, not 7"),
        ("tint", ("--set", "min_side=1.5"), 2, "min_side must be from above 0 to 1, not 1.5"),
        ("tint", ("--set", "epochs=0"), 2, "epochs must be 1 or above"),
        ("tint", ("--batch", 99), 1, "do not fill one batch of 99"),
        ("tint", ("--resume",), 1, "no checkpoint to go on from"),
        ("tint", ("--from", "/nowhere", *SMALL), 1, "no run or file"),
        ("tint", ("--where", "source=x"), 1, "needs an --index"),
        ("tint", ("--set", "batch=2,4"), 2, "--batch and --set batch=… both say it"),
        ("tint", ("--epochs", 1, "--set", "epochs=1,2"), 2, "--epochs and --set epochs=… both say it"),
        (
            "fusion",
            ("--set", "classes=1"),
            2,
            "classes=1 wants as many labels or fewer; the photographs have 2",
        ),
        ("tint", ("--where", "flickr,source=x"), 2, "takes COLUMN=VALUE,VALUE,COLUMN=VALUE, not 'flickr,"),
    ],
)
def test_mistakes_are_said_in_one_sentence(folder, tmp_path, capsys, recipe, more, status, message):
    long = () if "--epochs" in more else ("--steps", 1)
    assert train(recipe, folder, tmp_path / "run", *long, *more) == status
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1


def test_what_a_run_cannot_do_is_said(folder, tmp_path, capsys):
    more = ("--steps", 1, "--set", "patience=2", "--set", "adversarial_weight=0.1", *SMALL)
    assert train("tint", folder, tmp_path / "run", *more) == 0
    told = capsys.readouterr().out
    assert "Beside a discriminator learning rates stay constant." in told
    assert "no photographs to validate on, so training does not stop early" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [("on: 3", "True is no setting's name"), ("width: .inf", "width must be a whole number")],
)
def test_mistakes_in_a_file_are_said_too(folder, tmp_path, capsys, text, message):
    (tmp_path / "it.yaml").write_text(text)
    assert train("tint", folder, tmp_path / "run", "--config", tmp_path / "it.yaml") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ["pack x -o y --shard 0", "inspect x --workers 0", "pack x -o y --limit -2"]
)
def test_numbers_of_data_that_cannot_be_are_wrong_usage(capsys, words):
    with pytest.raises(SystemExit) as stop:
        cli.main(["data", *words.split()])
    assert stop.value.code == 2
    assert "must be 1 or more" in capsys.readouterr().err


def test_data_that_is_not_there(tmp_path, capsys):
    assert train("tint", tmp_path / "gone", tmp_path / "run") == 1
    assert "neither a folder nor" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("--epochs", 0), ("--epochs", "nan"), ("--steps", -5), ("--devices", 0), ("--workers", -1)]
)
def test_numbers_that_cannot_be_are_wrong_usage(folder, tmp_path, capsys, words):
    with pytest.raises(SystemExit) as stop:
        train("tint", folder, tmp_path / "run", *words)
    assert stop.value.code == 2
    assert words[0] in capsys.readouterr().err
