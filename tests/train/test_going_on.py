"""Runs and sweeps that were stopped, and go on: what they keep, and what is refused."""

from __future__ import annotations

import json
import signal

import pytest
import torch

from tintype import cards, cli
from tintype.train import loading, recipes, runs
from tintype.train.fit import fit
from tintype.train.fitter import Fitter
from tintype.train.options import FitOptions
from tintype.train.recipe import Schedule
from tintype.train.sources import find_photographs
from tintype.train.sweep import read_curve
from tintype.words import count_of


def tintype(*words):
    return cli.main([str(word) for word in words])


def train(out, *more):
    narrow = ("--set", "width=8", "--set", "head_width=8") if "--resume" not in more else ()
    return tintype("train", "tint", "--out", out, "--workers", 0, "--device", "cpu", *narrow, *more)


def begin(folder, out, *more):
    steps = () if "--steps" in more else ("--steps", 2)
    return train(out, "--data", folder, "--batch", 4, "--size", 64, *steps, *more)


def steps_of(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["batches_done"]


def test_a_run_goes_on_without_a_word_of_what_it_was(album, tmp_path):
    run = tmp_path / "run"
    assert (
        begin(
            album,
            run,
            "--limit",
            6,
            "--val",
            album,
            "--set",
            "fade=0.1",
            "--lr-scale",
            0.5,
        )
        == 0
    )
    before = runs.read_run(run)
    assert len(before["split"]["train"]) == 6
    assert train(run, "--resume", "--steps", 3) == 0
    assert steps_of(run) == 3
    assert runs.read_run(run) == before | {"options": before["options"] | {"steps": 3}}


def test_a_run_goes_on_from_any_folder(album, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    keys = [record.name.rsplit(".", 1)[0] for record in find_photographs([album]).records]
    (tmp_path / "here" / "it.csv").write_text("\n".join(["key,label", *(f"{key},a" for key in keys)]))
    run = tmp_path / "run"
    assert begin(album, run, "--index", "it.csv", "--val", album) == 0
    monkeypatch.chdir(tmp_path / "there")
    assert train(run, "--resume", "--steps", 3) == 0
    assert steps_of(run) == 3


def test_a_run_that_has_its_steps_stays_as_it_is(album, tmp_path, capsys):
    run = tmp_path / "run"
    assert begin(album, run) == 0
    weights = loading.read_weights(run)[1]
    assert train(run, "--resume") == 0
    assert "has its 2 steps; a higher --steps" in capsys.readouterr().out
    assert steps_of(run) == 2
    assert all(torch.equal(value, weights[name]) for name, value in loading.read_weights(run)[1].items())
    assert train(run, "--resume", "--epochs", 1.5) == 0  # 8 photographs, by fours
    assert steps_of(run) == 3


def test_settings_of_another_network_are_refused_and_harm_nothing(album, tmp_path, capsys):
    run = tmp_path / "run"
    assert begin(album, run) == 0
    before = (run / "run.json").read_text(encoding="utf-8")
    assert train(run, "--resume", "--steps", 4, "--set", "width=16") == 1
    error = capsys.readouterr().err
    assert "other settings" in error
    assert "Traceback" not in error
    assert (run / "run.json").read_text(encoding="utf-8") == before


def test_a_schedule_that_is_set_anew_holds(album, tmp_path):
    run = tmp_path / "run"
    assert begin(album, run) == 0
    assert train(run, "--resume", "--set", "epochs=3", "--set", "batch=2", "--set", "size=32") == 0
    options = runs.read_run(run)["options"]
    assert (options["batch"], options["size"], options["steps"]) == (2, 32, 12)


def test_other_photographs_are_refused(album, tmp_path, capsys):
    run, few = tmp_path / "run", tmp_path / "few"
    assert begin(album, run) == 0
    few.mkdir()
    for name in "0123":
        (few / f"{name}.png").write_bytes((album / f"{name}.png").read_bytes())
    assert train(run, "--resume", "--steps", 4, "--data", few) == 2
    assert "learnt from other photographs" in capsys.readouterr().err
    assert steps_of(run) == 2


def test_a_sweep_goes_on_with_what_each_run_was(album, tmp_path):
    sweep = ("--set", "hint_none=0.1,0.9")
    config = tmp_path / "c.yaml"
    config.write_text("fade: 0.7\n")
    out = tmp_path / "out"
    assert begin(album, out, "--config", config, *sweep) == 0
    first, second = (f"width=8,head_width=8,hint_none={share}" for share in (0.1, 0.9))
    for file in (out / second / "checkpoints").iterdir():
        file.unlink()  # as if the sweep had been stopped before it
    narrow = ("--set", "width=8", "--set", "head_width=8")
    assert train(out, "--resume", "--steps", 3, *narrow, *sweep) == 0
    for name in (first, second):
        info = runs.read_run(out / name)
        assert steps_of(out / name) == 3
        assert info["settings"]["hint_none"] == float(name.rpartition("=")[2])
        assert (info["grey"]["fade"], info["options"]["batch"]) == (0.7, 4)


def test_ctrl_c_is_status_130_and_leaves_a_run_to_export(album, tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    step = Fitter.training_step

    def interrupted(self, batch, index):
        if self.batches_done == 2:
            raise KeyboardInterrupt
        return step(self, batch, index)

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(Fitter, "training_step", interrupted)
        assert begin(album, run, "--steps", 4, "--checkpoint-every", 1) == 130
    assert signal.getsignal(signal.SIGINT) == handler
    told = capsys.readouterr()
    assert "Stopped after 2 of 4 steps; --resume goes on" in told.out
    assert "Traceback" not in told.err
    assert tintype("export", run, "-o", tmp_path / "models") == 0
    assert train(run, "--resume") == 0
    assert steps_of(run) == 4


def test_minutes_are_those_of_this_time(album, tmp_path):
    run = tmp_path / "run"
    assert begin(album, run, "--minutes", 60) == 0
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert "time_elapsed" not in json.dumps(state["callbacks"], default=str)
    assert train(run, "--resume", "--steps", 3, "--minutes", 60) == 0
    assert steps_of(run) == 3


def test_no_photographs_and_damaged_notes_are_said(album, tmp_path, capsys):
    assert train(tmp_path / "new") == 2
    assert "Say with --data" in capsys.readouterr().err
    run = tmp_path / "run"
    assert begin(album, run) == 0
    (run / "run.json").write_text("{", encoding="utf-8")
    assert train(run, "--resume") == 1
    assert "run.json is damaged" in capsys.readouterr().err


def test_learning_rates_stay_as_they_were(album, tmp_path, capsys):
    run = tmp_path / "run"
    assert begin(album, run) == 0
    for words in (("--lr-scale", 2), ("--set", "encoder_lr=0.5")):
        assert train(run, "--resume", "--steps", 4, *words) == 2
        assert "keeps its" in capsys.readouterr().err
    assert train(run, "--resume", "--steps", 3, "--lr-scale", 1) == 0


def test_averaged_weights_do_not_take_the_place_of_those_that_learn(album, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    constant = ("--set", "lr_schedule=constant", "--set", "ema_decay=0.9")
    assert begin(album, whole, "--steps", 4, *constant) == 0
    assert begin(album, parts, "--steps", 2, *constant) == 0
    assert train(parts, "--resume", "--steps", 4) == 0
    for wanted, got in zip(*(loading.read_weights(run)[1].values() for run in (whole, parts)), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-6)


def test_patience_counts_epochs(album, tmp_path):
    found = find_photographs([album])
    settings = recipes.get("fusion").Settings(width=0.125, global_width=4)  # no BatchNorm: nothing moves
    options = FitOptions(
        steps=30, batch=2, size=32, workers=0, device="cpu", lr_scale=1e-12, validate_every=1
    )
    out = fit("fusion", settings, options, found, found, tmp_path, schedule=Schedule(patience=2))
    assert 8 <= steps_of(out) < 30  # two epochs of four steps, each of which is followed by a validation


def test_patience_is_of_whole_epochs_where_validations_do_not_fit_into_them(album, tmp_path):
    found = find_photographs([album])
    settings = recipes.get("fusion").Settings(width=0.125, global_width=4)
    options = FitOptions(
        steps=40, batch=2, size=32, workers=0, device="cpu", lr_scale=1e-12, validate_every=3
    )
    out = fit("fusion", settings, options, found, found, tmp_path, schedule=Schedule(patience=2))
    assert steps_of(out) == 12  # after 3, which is the best, 6, 9 and 12: no fewer than two epochs of four


def test_a_run_validates_after_as_many_steps_whenever_it_was_stopped(album, tmp_path):
    found = find_photographs([album])
    settings = recipes.get("fusion").Settings(width=0.125, global_width=4)
    for out, stops in ((tmp_path / "whole", [11]), (tmp_path / "parts", [5, 7, 11])):
        for steps in stops:
            options = FitOptions(steps=steps, batch=2, size=32, workers=0, device="cpu", validate_every=3)
            schedule = Schedule(lr_schedule="constant")
            fit("fusion", settings, options, found, found, out, schedule=schedule, resume=steps != stops[0])
    steps, values = zip(*read_curve(tmp_path / "whole", "val/loss"), strict=True)
    assert steps == (0, 2, 5, 8, 10)
    parts = dict(read_curve(tmp_path / "parts", "val/loss"))
    assert {step: parts[step] for step in steps} == dict(zip(steps, values, strict=True))


def test_a_run_that_is_moved_or_saved_more_seldom_keeps_its_checkpoints(album, tmp_path, monkeypatch):
    run, moved = tmp_path / "run", tmp_path / "moved"
    assert begin(album, run, "--val", album, "--steps", 4, "--checkpoint-every", 1) == 0
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["callbacks"]
    run.rename(moved)
    learn = Fitter.training_step

    def die(self, *args):
        if self.batches_done == 7:
            raise RuntimeError("power cut")
        return learn(self, *args)

    monkeypatch.setattr(Fitter, "training_step", die)
    monkeypatch.setattr(Fitter, "_rate", lambda self, step: 1e6)  # from here on all gets worse
    with pytest.raises(RuntimeError, match="power cut"):
        train(moved, "--resume", "--steps", 8, "--checkpoint-every", 3, "--data", album, "--val", album)
    assert steps_of(moved) == 6
    assert sorted(p.name for p in (moved / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    after = torch.load(moved / "checkpoints" / "best.ckpt", weights_only=True)["callbacks"]
    assert [one.get("best_model_score") for one in after.values()] == [
        one.get("best_model_score") for one in best.values()
    ]


def test_a_patience_told_anew_holds(album, tmp_path):
    found = find_photographs([album])
    settings = recipes.get("fusion").Settings(width=0.125, global_width=4)
    for steps, patience, resume in ((4, 2, False), (40, 5, True)):
        options = FitOptions(steps=steps, batch=2, size=32, workers=0, device="cpu", lr_scale=1e-12)
        schedule = Schedule(patience=patience)
        out = fit("fusion", settings, options, found, found, tmp_path, schedule=schedule, resume=resume)
    assert 20 <= steps_of(out) < 40


def test_rates_that_no_optimiser_would_take_up_are_refused(album, tmp_path, capsys):
    run = tmp_path / "run"
    assert begin(album, run, "--set", "rebalance_mix=1") == 0
    assert train(run, "--resume", "--steps", 4, "--set", "lr_schedule=constant") == 2
    assert "keeps its lr_schedule of cosine" in capsys.readouterr().err
    same = ("--set", "lr_schedule=cosine", "--set", "rebalance_mix=1", "--set", "lr=.0015")
    assert train(run, "--resume", "--steps", 3, *same) == 0


def test_an_export_is_scored_on_what_was_held_out(album, tmp_path, capsys):
    many = tmp_path / "many"
    many.mkdir()
    for i in range(30):
        (many / f"e{i:02d}.png").write_bytes((album / f"{i % 8}.png").read_bytes())
    (many / "z.png").write_bytes(b"no picture")
    run = tmp_path / "run"
    assert begin(many, run) == 0
    held_out = runs.read_run(run)["split"]["val"]
    assert 0 < len(held_out) < 10
    assert tintype("export", run, "-o", tmp_path) == 0
    how = cards.load_card(tmp_path / "run.onnx").scores["how"]
    assert how.startswith(f"{count_of(len(set(held_out) - {'z.png'}), 'photograph')}, ")
    again = ("export", run, "-o", tmp_path, "--data", many, "--limit", 10)
    assert tintype(*again) == 1
    assert "--overwrite replaces it, --name adds another" in capsys.readouterr().err
    assert tintype(*again, "--overwrite") == 0
    assert cards.load_card(tmp_path / "run.onnx").scores["how"].startswith("10 photographs")
    capsys.readouterr()


def test_validation_has_the_labels_of_training(album, tmp_path):
    for place, names in (("train", ("beach", "city", "sea")), ("val", ("city", "desert", "sea"))):
        for i, name in enumerate(names):
            (tmp_path / place / name).mkdir(parents=True)
            (tmp_path / place / name / "0.png").write_bytes((album / f"{i}.png").read_bytes())
    train, val = (find_photographs([tmp_path / place]) for place in ("train", "val"))
    val = val.labelled_as(train.label_names)
    assert [(record.name, record.label) for record in val.records] == [
        ("city/0.png", 1), ("desert/0.png", -1), ("sea/0.png", 2)
    ]  # fmt: skip


def test_what_a_run_held_out_is_not_learnt_from_when_others_validate(album, tmp_path, capsys):
    """As the guide has it: on resume `--val` seeks the best weights anew, by other photographs."""
    many = tmp_path / "many"
    many.mkdir()
    for i in range(30):
        (many / f"e{i:02d}.png").write_bytes((album / f"{i % 8}.png").read_bytes())
    run = tmp_path / "run"
    assert begin(many, run) == 0
    before = runs.read_run(run)["split"]
    assert before["val"]
    for more in ((), ("--data", many)):
        assert train(run, "--resume", "--val", album, "--steps", 3 + len(more), *more) == 0
        after = runs.read_run(run)["split"]
        assert after["train"] == before["train"]
        assert len(after["val"]) == 8
    (many / "new.png").write_bytes((album / "0.png").read_bytes())
    capsys.readouterr()
    assert train(run, "--resume", "--steps", 6) == 0
    assert "1 photograph with which the run did not begin: left out." in capsys.readouterr().out
    assert runs.read_run(run)["split"]["train"] == before["train"]
    (many / before["train"][0]).unlink()
    assert train(run, "--resume", "--steps", 7) == 2
    assert "learnt from other photographs" in capsys.readouterr().err


def test_a_card_tells_of_photographs_that_were_learnt_from(album, tmp_path):
    run, others = tmp_path / "run", tmp_path / "others"
    others.mkdir()
    for name in ("0.png", "1.png"):  # names that those that are learnt from have, too
        (others / name).write_bytes((album / "5.png").read_bytes())
    assert begin(album, run, "--val", album, "--lr-scale", 0.5) == 0
    hows = []
    for words in ((), ("--data", others), ("--data", others, album / "..")):
        places = tmp_path / "places"
        if len(words) == 3:
            places.mkdir()
            (places / "new.png").write_bytes((album / "2.png").read_bytes())
            (places / "old").symlink_to(album)
            words = ("--data", places)
        assert tintype("export", run, "-o", tmp_path, "--name", f"m{len(hows)}", *words) == 0
        card = cards.load_card(tmp_path / f"m{len(hows)}.onnx")
        hows.append(card.scores["how"])
    assert hows[0].endswith("; it learnt from these photographs")
    assert "learnt" not in hows[1]
    assert hows[2].endswith("; it learnt from 8 of these photographs")
    assert card.training["lr_scale"] == 0.5
    assert card.training["lr_schedule"] == "cosine"
    assert tintype("export", run, "tint", "-o", tmp_path, "--name", "mean") != 0  # of another width
    first = tmp_path / "m0.onnx"  # a model: whose photographs nobody knows
    assert tintype("export", run, first, "-o", tmp_path, "--name", "mean") == 0
    how = cards.load_card(tmp_path / "mean.onnx").scores["how"]
    assert how.endswith("; how many of these it learnt from is not known")


def test_one_run_of_a_sweep_that_fails_does_not_end_it(album, tmp_path, capsys):
    sweep = ("--set", "lr=1e-4,1e30,1e-3", "--steps", 3, "--val", album)
    assert begin(album, tmp_path / "sweep", *sweep) == 1
    told = capsys.readouterr()
    assert "lr=1e30: " in told.err
    table = (tmp_path / "sweep" / "sweep.md").read_text(encoding="utf-8")
    assert "lr=1e30 failed: " in table
    assert table.count("\n| ") >= 4
    for name in ("lr=1e-4", "lr=1e-3"):
        assert steps_of(next((tmp_path / "sweep").glob(f"*{name}"))) == 3
    narrow = ("--set", "width=8", "--set", "head_width=8")
    assert train(tmp_path / "sweep", "--resume", *narrow, *sweep[:2]) == 1
    assert "lr=1e30: " in capsys.readouterr().err


def test_checkpoints_stay_as_many_and_seeds_have_an_end(album, tmp_path, capsys):
    run = tmp_path / "run"
    assert begin(album, run, "--checkpoint-every", 5) == 0
    assert train(run, "--resume", "--steps", 3) == 0
    assert runs.read_run(run)["options"]["checkpoint_every"] == 5
    with pytest.raises(SystemExit, match="2"):
        begin(album, tmp_path / "other", "--seed", 1 << 32)
    assert "must be from 0 to 4294967295" in capsys.readouterr().err
