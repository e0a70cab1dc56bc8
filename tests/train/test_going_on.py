"""Runs and sweeps that were stopped, and go on: what they keep, and what is refused."""

from __future__ import annotations

import json
import signal

import cv2
import pytest
import torch
from skimage import data

from tintype import cli
from tintype.train import runs
from tintype.train.fitter import Fitter


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    for i in range(8):
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(pictures[i % 4][i:, i:, ::-1], (96, 80)))
    return folder


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


def test_a_run_goes_on_without_a_word_of_what_it_was(folder, tmp_path):
    run = tmp_path / "run"
    assert begin(folder, run, "--limit", 6, "--val", folder, "--set", "fade=0.1", "--lr-scale", 0.5) == 0
    before = runs.read_run(run)
    assert len(before["split"]["train"]) == 6
    assert train(run, "--resume", "--steps", 3) == 0
    assert steps_of(run) == 3
    assert runs.read_run(run) == before | {"options": before["options"] | {"steps": 3}}


def test_a_run_that_has_its_steps_stays_as_it_is(folder, tmp_path, capsys):
    run = tmp_path / "run"
    assert begin(folder, run) == 0
    weights = runs.read_weights(run)[1]
    assert train(run, "--resume") == 0
    assert "has its 2 steps; a higher --steps" in capsys.readouterr().out
    assert steps_of(run) == 2
    assert all(torch.equal(value, weights[name]) for name, value in runs.read_weights(run)[1].items())
    assert train(run, "--resume", "--epochs", 1.5) == 0  # 8 photographs, by fours
    assert steps_of(run) == 3


def test_settings_of_another_network_are_refused_and_harm_nothing(folder, tmp_path, capsys):
    run = tmp_path / "run"
    assert begin(folder, run) == 0
    before = (run / "run.json").read_text(encoding="utf-8")
    assert train(run, "--resume", "--steps", 4, "--set", "width=16") == 1
    error = capsys.readouterr().err
    assert "other settings" in error
    assert "Traceback" not in error
    assert (run / "run.json").read_text(encoding="utf-8") == before


def test_a_schedule_that_is_set_anew_holds(folder, tmp_path):
    run = tmp_path / "run"
    assert begin(folder, run) == 0
    assert train(run, "--resume", "--set", "epochs=3", "--set", "batch=2", "--set", "size=32") == 0
    options = runs.read_run(run)["options"]
    assert (options["batch"], options["size"], options["steps"]) == (2, 32, 12)


def test_other_photographs_are_refused(folder, tmp_path, capsys):
    run, few = tmp_path / "run", tmp_path / "few"
    assert begin(folder, run) == 0
    few.mkdir()
    for name in "0123":
        (few / f"{name}.png").write_bytes((folder / f"{name}.png").read_bytes())
    assert train(run, "--resume", "--steps", 4, "--data", few) == 2
    assert "learnt from other photographs" in capsys.readouterr().err
    assert steps_of(run) == 2


def test_a_sweep_goes_on_with_what_each_run_was(folder, tmp_path):
    sweep = ("--set", "hint_none=0.1,0.9")
    config = tmp_path / "c.yaml"
    config.write_text("fade: 0.7\n")
    out = tmp_path / "out"
    assert begin(folder, out, "--config", config, *sweep) == 0
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


def test_ctrl_c_is_status_130_and_leaves_a_run_to_export(folder, tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    step = Fitter.training_step

    def interrupted(self, batch, index):
        if self.batches_done == 2:
            raise KeyboardInterrupt
        return step(self, batch, index)

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(Fitter, "training_step", interrupted)
        assert begin(folder, run, "--steps", 4, "--checkpoint-every", 1) == 130
    assert signal.getsignal(signal.SIGINT) == handler
    told = capsys.readouterr()
    assert "Stopped after 2 of 4 steps; --resume goes on" in told.out
    assert "Traceback" not in told.err
    assert tintype("export", run, "-o", tmp_path / "models") == 0
    assert train(run, "--resume") == 0
    assert steps_of(run) == 4


def test_minutes_are_those_of_this_time(folder, tmp_path):
    run = tmp_path / "run"
    assert begin(folder, run, "--minutes", 60) == 0
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert "time_elapsed" not in json.dumps(state["callbacks"], default=str)
    assert train(run, "--resume", "--steps", 3, "--minutes", 60) == 0
    assert steps_of(run) == 3


def test_no_photographs_and_damaged_notes_are_said(folder, tmp_path, capsys):
    assert train(tmp_path / "new") == 2
    assert "Say with --data" in capsys.readouterr().err
    run = tmp_path / "run"
    assert begin(folder, run) == 0
    (run / "run.json").write_text("{", encoding="utf-8")
    assert train(run, "--resume") == 1
    assert "run.json is damaged" in capsys.readouterr().err
