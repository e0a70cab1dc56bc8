"""Experiments: their files are sound, their runs are made once, and their pages say what came out."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from tintype import cards, cli
from tintype.errors import SettingsError
from tintype.evaluate.scores import SCORES
from tintype.train import experiment_page, recipes, settings
from tintype.train.experiment import (
    PLOTS,
    changed_settings,
    named_files,
    parsed,
    read_experiment,
    train_run,
    train_words,
    with_files,
)

FILES = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))
FILLED = {"init_encoder": "a file", "vgg": "another", "grey": "folder"}
FILLED |= dict.fromkeys(("edgetpu_encoder", "squeeze", "squeeze_heads"), "one more")

SMALL = """\
title: Wide or narrow
source: A report
claim: Wider is better.
budget: 8
train: colornet --batch 4 --size 32 --workers 0 --set patience=0
runs:
  narrow: --set width=8
  wide: --set width=16
  wide-again: {words: --where label=cat --set width=16, start: wide, budget: 4}
  wide-tanh: {words: --set activation=tanh, weights_of: wide}
scores: [psnr, colorfulness]
frames: [1]
mean_ab: 8
plot: train-curves
conclusion: Too few photographs to tell.
"""


def test_every_shipped_experiment_is_sound():
    assert len(FILES) == 13
    for file in FILES:
        experiment = with_files(read_experiment(file), FILLED)
        assert experiment.conclusion.strip() not in ("", "To be written."), file.name
        assert set(experiment.scores) <= SCORES.keys()
        assert len(experiment.runs) >= 1
        for run in experiment.runs:
            if run.weights_of:
                assert changed_settings(run)
                continue
            words = train_words(experiment, run, ["--data", "x"], Path("w"))
            module = recipes.get(words[0])
            pairs = [words[i + 1].split("=", 1) for i, word in enumerate(words) if word == "--set"]
            own = {field.name for field in settings.fields_of(module.Settings)}
            settings.build(module.Settings, {k: v for k, v in pairs if k in own})


def test_pages_are_of_the_experiments_as_they_stand():
    docs = Path(__file__).parents[2] / "docs"
    for file in FILES:
        one = read_experiment(file)
        page = (
            docs / "leaderboard.md" if one.name == "leaderboard" else docs / "experiments" / f"{one.name}.md"
        )
        text = page.read_text(encoding="utf-8")
        for words in (one.title, one.claim, one.conclusion, f"Each model saw {one.budget:,} photographs"):
            assert " ".join(words.split()) in text, file.name
        for run in one.runs:
            assert f"\n| {run.name} |" in text, file.name
            budget = "" if run.weights_of else " ".join(f"{one.train} {run.words}".split())
            assert budget in text, file.name


def test_the_budget_sets_the_steps():
    experiment = read_experiment(next(f for f in FILES if f.stem == "face-activation"))
    words = train_words(experiment, experiment.runs[0], ["--data", "x"], Path("w"), budget=320)
    assert words[words.index("--steps") + 1] == "10"
    assert words[:3] == ["colornet", "--data", "x"]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    rows = [("key", "label")]
    for i, rgb in enumerate([data.astronaut(), data.coffee(), data.chelsea(), data.rocket()] * 2):
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(rgb[..., ::-1], (72, 64)))
        rows.append((str(i), "cat" if i % 2 else "other"))
    with (tmp_path / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def test_runs_are_made_once_and_the_page_tells_of_them(folder, tmp_path, monkeypatch, capsys):
    file = tmp_path / "width.yaml"
    file.write_text(SMALL)
    line = ["experiment", file, "--data", folder, "--val", folder, "--index", tmp_path / "index.csv"]
    line += ["--work", tmp_path / "work", "-o", tmp_path / "pages", "--size", 64, "--device", "cpu"]
    assert cli.main(list(map(str, line))) == 0
    page = (tmp_path / "pages" / "width.md").read_text(encoding="utf-8")
    for words in (
        "# Wide or narrow",
        "| gray |",
        "| wide-tanh |",
        "frames/s, 1 thread",
        "Too few photographs",
    ):
        assert words in page
    assert (tmp_path / "pages" / "width.png").read_bytes().startswith(b"\x89PNG")
    models = tmp_path / "work" / "width" / "models"
    scores = cards.load_card(models / "wide.onnx").scores
    assert scores["wide"]["psnr"] != scores["gray"]["psnr"]
    assert f"{scores['wide']['psnr']:.2f}" in page
    assert cards.load_card(models / "wide-tanh.onnx").training["activation"] == "tanh"
    assert "starting from wide; 4 photographs\n" in page  # the others saw the 8 of the budget
    assert_mean_errors(page)
    report = (tmp_path / "work" / "width" / "scores" / "report.html").read_text(encoding="utf-8")
    assert all(words in report for words in ("wide-tanh", "The same photographs", "a and b alone"))

    def refuse(*_):
        raise AssertionError("it was trained a second time")

    monkeypatch.setattr("tintype.train.command.train", refuse)
    capsys.readouterr()
    sources = tmp_path / "sources.csv"
    sources.write_text("source,photographs,terms\nAttic,9,own\n")
    told = ["--license", "CC0", "--limits", "Faces are green.", "--sources", sources]
    for words in (told, []):
        assert cli.main(list(map(str, [*line, *words]))) == 0
        assert (tmp_path / "pages" / "width.md").read_text(encoding="utf-8").split("frames/s")[0] in page
        card = cards.load_card(models / "wide.onnx")
        assert (card.license, card.limits) == ("CC0", "Faces are green.")
        assert [dict(row) for row in card.data] == [{"source": "Attic", "photographs": 9, "terms": "own"}]


def assert_mean_errors(page):
    """What is said of all photographs' mean a and b is what the table of them tells."""
    rows = re.findall(r"^\| \d+ \| (.*) \|$", page, re.MULTILINE)
    values = np.array([[float(cell) for cell in row.split("|")] for row in rows]).reshape(8, -1, 2) / 255
    true, narrow = values[:, 0], values[:, 1]
    found = re.search(
        r"of all 8, normalised to 0…1: narrow (\S+), .*; of one a and b .*, (\S+)\.$", page, re.M
    )
    assert float(found[1]) == pytest.approx(((narrow - true) ** 2).mean(), rel=0.03)
    assert float(found[2]) == pytest.approx(true.var(0).mean(), rel=0.03)


def run_small(folder, tmp_path, text, *more):
    file = tmp_path / "small.yaml"
    file.write_text(text)
    line = ["experiment", file, "--data", folder, "--val", folder, "--work", tmp_path / "work", *more]
    return cli.main(list(map(str, [*line, "-o", tmp_path, "--size", 64, "--device", "cpu"])))


TWO = SMALL.replace("--where label=cat ", "").replace("frames: [1]\nmean_ab: 8\n", "")


def test_models_of_runs_that_were_trained_anew_are_made_anew(folder, tmp_path, capsys):
    assert run_small(folder, tmp_path, TWO) == 0
    models = tmp_path / "work" / "small" / "models"
    before = {path.stem: cards.load_card(path) for path in models.glob("*.onnx")}
    assert run_small(folder, tmp_path, TWO, "--photographs", 16) == 2
    assert "narrow holds a run of other words; remove it" in capsys.readouterr().err
    for name in ("narrow", "wide", "wide-again"):
        shutil.rmtree(tmp_path / "work" / "small" / name)
    assert run_small(folder, tmp_path, TWO, "--photographs", 16) == 0
    for name, card in before.items():
        after = cards.load_card(models / f"{name}.onnx")
        assert after.sha256 != card.sha256
        assert after.training["photographs_seen"] == 16


def test_a_run_whose_start_is_another_now_is_refused(folder, tmp_path, capsys):
    assert run_small(folder, tmp_path, TWO) == 0
    shutil.rmtree(tmp_path / "work" / "small" / "wide")
    assert run_small(folder, tmp_path, TWO) == 0  # trained again, it is the same to the bit
    weights = tmp_path / "work" / "small" / "wide" / "checkpoints"
    for file in weights.iterdir():
        file.unlink()
    other = tmp_path / "work" / "small" / "narrow" / "checkpoints" / "last.ckpt"
    (weights / "last.ckpt").write_bytes(other.read_bytes())
    assert run_small(folder, tmp_path, TWO) != 0
    assert "of another model or other settings" in capsys.readouterr().err
    experiment = read_experiment(tmp_path / "small.yaml")
    words = train_words(experiment, experiment.runs[0], ["--data", "x"], tmp_path / "w")
    out = tmp_path / "w" / "small" / "narrow"
    out.mkdir(parents=True)
    (out / "done.json").write_text(json.dumps({"words": words, "start": "a"}))
    assert train_run(words, "a") == out
    with pytest.raises(SettingsError, match="started from a run that is another now"):
        train_run(words, "b")


def test_a_run_may_learn_from_photographs_of_its_own(tmp_path):
    file = tmp_path / "it.yaml"
    file.write_text(SMALL.replace("--set width=8", "--data own1 own2 --set width=8"))
    experiment = read_experiment(file)
    words = train_words(experiment, experiment.runs[0], ["--data", "x", "y", "--device", "cpu"], tmp_path)
    assert parsed(words, "it").data == ["own1", "own2"]
    words = train_words(experiment, experiment.runs[1], ["--data", "x", "y", "--device", "cpu"], tmp_path)
    assert parsed(words, "it").data == ["x", "y"]


@pytest.mark.parametrize("plot", PLOTS)
def test_every_plot_is_drawn(folder, tmp_path, plot):
    file = tmp_path / "it.yaml"
    file.write_text(SMALL[: SMALL.index("  wide:")] + f"plot: {plot}\nconclusion: None.\n")
    line = ["experiment", file, "--data", folder, "--val", folder, "--work", tmp_path / "work"]
    assert cli.main(list(map(str, [*line, "-o", tmp_path, "--size", 64, "--device", "cpu"]))) == 0
    assert cv2.imread(str(tmp_path / "it.png")).std() > 1


@pytest.mark.parametrize("note", ["done", "begun"])
def test_a_damaged_note_is_told(tmp_path, note):
    words = shlex.split(f"colornet --data x --steps 1 --out {tmp_path}")
    (tmp_path / f"{note}.json").write_text("")
    with pytest.raises(SettingsError, match=rf"{note}\.json is damaged; remove"):
        train_run(words)


@pytest.mark.parametrize("note", ["done", "begun"])
def test_a_run_of_other_words_is_not_taken_for_it(tmp_path, note):
    words = shlex.split(f"colornet --data x --steps 1 --out {tmp_path}")
    (tmp_path / f"{note}.json").write_text('["other"]')
    with pytest.raises(SettingsError, match="a run of other words"):
        train_run(words)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: Wide or narrow\n", "", "lacks the field 'title'"),
        ("plot: train-curves", "plot: pie", "must be one of curves, .*, not 'pie'"),
        ("weights_of: wide}", "weights_of: wider}", "run wide-tanh needs wider"),
        ("budget: 8", "budget: many", "budget must be a whole number"),
        ("budget: 4}", "budget: lots}", "run wide-again: budget must be a whole number"),
        ("budget: 4}", "[a, list]", "is no experiment"),
        ("title: Wide", "title: \xff", "is no experiment"),
        ("scores: [psnr, colorfulness]", "scores: [psnr, lpips]", "scores must be a list of some of psnr"),
        ("scores: [psnr, colorfulness]", "scores: psnr", "scores must be a list of some of psnr"),
        ("--batch 4", "--batch many", "it: run narrow: argument --batch: invalid whole number value"),
        ("--batch 4", "--batch 4 --epochs 3", "it: run narrow takes its length from the budget"),
        ("--batch 4", "--batch 4 --steps 3", "it: run narrow takes its length from the budget"),
        ("  wide:", "  narrow:", "is no experiment: narrow stands there twice"),
        ("budget: 8\n", "budget: 8\nbudget: 16\n", "is no experiment: budget stands there twice"),
        ("--batch 4", "--batch 4 --unknown", "it: run narrow: unrecognized arguments: --unknown"),
        ("--set width=8", "'--set width=8 \"'", "it: run narrow: .* cannot be read: no closing quotation"),
        ("runs:", "rums:", "is no experiment"),
        ("--batch 4", "", "must say --batch"),
        ("--batch 4", "--batch 4 --out there", "leave out --out, --resume, --from"),
        ("--batch 4", "--batch 4 --resume", "leave out --out, --resume, --from"),
        ("--batch 4", "--batch 4 --from tint", "leave out --out, --resume, --from"),
        ("--set width=8", "--set width=8,16", "sets one key to several values: make each a run"),
        ("  narrow:", "  ../narrow:", "cannot be a run's name"),
        ("  narrow:", "  a/b:", "cannot be a run's name"),
        ("  narrow:", "  '':", "cannot be a run's name"),
        ("  narrow:", "  models:", "cannot be a run's name"),
        ("width=8", "width={vgg}", "give it with --vgg PATH"),
        ("width=8", "width={a_file} --config {vgg}", "give it with --file a_file=PATH, --vgg PATH"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, old, new, message):
    file = tmp_path / "it.yaml"
    file.write_text(SMALL.replace(old, new), encoding="latin-1")
    with pytest.raises(SettingsError, match=message):
        first_words(file, tmp_path)


def test_runs_may_be_named_by_numbers(tmp_path):
    file = tmp_path / "it.yaml"
    file.write_text(SMALL.replace("narrow:", "8:"))
    assert read_experiment(file).runs[0].name == "8"
    assert str(tmp_path / "it" / "8") in first_words(file, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("plot: train-curves", "plot: intervals", "plots lpips_alex, which needs --lpips"),
        ("--set width=16\n", "--set width=8,16\n", "it: run wide sets one key to several values"),
        ("--set width=16\n", "--set width=16 --size big\n", "it: run wide: argument --size"),
        ("--set width=16\n", "--set widht=16\n", "There is no setting 'widht'; did you mean 'width'?"),
        (
            "activation=tanh,",
            "activation=tanh --size 64,",
            "wide-tanh takes the weights of wide, so it can",
        ),
        (
            "weights_of: wide}",
            "weights_of: wide, budget: 9}",
            "the weights of wide, so it can say --set",
        ),
    ],
)
def test_all_is_checked_before_anything_is_trained(folder, tmp_path, capsys, old, new, message):
    file = tmp_path / "it.yaml"
    file.write_text(SMALL.replace("[psnr,", "[lpips_alex, psnr,").replace(old, new))
    line = ["experiment", file, "--data", folder, "--val", folder, "--work", tmp_path / "work"]
    assert cli.main(list(map(str, [*line, "-o", tmp_path, "--size", 64, "--device", "cpu"]))) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_what_is_learnt_from_and_scored_on_is_told(folder, tmp_path, capsys):
    assert run_small(folder, tmp_path, TWO) == 0
    told = capsys.readouterr().err
    assert "small: its runs learn from 8 of the photographs that score them" in told
    page = (tmp_path / "small.md").read_text(encoding="utf-8")
    assert "8 photographs score it, of which it learnt from 8, at 64×64" in page
    assert "others score it" not in page


def test_curves_are_of_training_where_nothing_was_validated(tmp_path, monkeypatch):
    from matplotlib import pyplot

    monkeypatch.setattr(
        experiment_page, "read_curve", lambda run, tag: [(1, 2.0), (2, 1.0)] if tag == "train/loss" else []
    )
    figure, axes = pyplot.subplots()
    experiment_page._curves(axes, "val/loss", {"a": tmp_path})
    assert (len(axes.lines), axes.get_ylabel()) == (1, "training loss")
    pyplot.close(figure)


def test_files_are_given_by_name(tmp_path):
    file = tmp_path / "it.yaml"
    file.write_text(SMALL.replace("width=8", "width=8 --config {a_file} --init-encoder {a_file}"))
    files = named_files(["other=x", "a_file=a folder/y=2.yaml"])
    experiment = with_files(read_experiment(file), files)
    words = train_words(experiment, experiment.runs[0], [], tmp_path)
    assert (
        words[words.index("--config") + 1] == words[words.index("--init-encoder") + 1] == "a folder/y=2.yaml"
    )


@pytest.mark.parametrize("text", ["squeeze", "=path", "squeeze=", "a name=path"])
def test_a_file_without_name_or_path_is_refused(text):
    with pytest.raises(SettingsError, match="--file takes NAME=PATH"):
        named_files([text])


def first_words(file, work):
    experiment = with_files(read_experiment(file), {})
    return train_words(experiment, experiment.runs[0], [], work)
