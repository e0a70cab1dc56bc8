"""A run that was killed goes on as if it had not been; several processes do what one does."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch
from skimage import data

from tintype.train.augment import GreySettings
from tintype.train.sweep import read_curve

SOURCES = Path(__file__).parents[2] / "src"
STEPS = 13
SMALL = {
    "tint": ["width=16", "head_width=16"],
    "sagan": ["size=32", "width=4", "discriminator_width=4", "perceptual_weight=0"],
}
GREY_CHANGES = [field.name for field in dataclasses.fields(GreySettings)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    for i in range(20):
        cv2.imwrite(str(folder / f"{i:02d}.png"), cv2.resize(pictures[i % 4][i:, i:, ::-1], (96, 80)))
    return folder


def command(folder, out, *more, recipe="tint"):
    settings = [word for setting in SMALL[recipe] for word in ("--set", setting)]
    line = [sys.executable, "-m", "tintype", "train", recipe, "--data", folder, "--val", folder, "--out", out]
    length = ["--steps", STEPS, "--batch", 4, "--size", 64, "--workers", 0, "--device", "cpu"]
    return [str(word) for word in (*line, *length, "--checkpoint-every", 3, *settings, *more)]


def environment():
    return os.environ | {"PYTHONPATH": str(SOURCES), "OMP_NUM_THREADS": "1"}


def losses(run):
    return dict(read_curve(run, "train/loss"))


@pytest.mark.parametrize("recipe", SMALL)
def test_a_killed_run_goes_on_exactly(folder, tmp_path, recipe):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    begun = command(folder, killed, recipe=recipe)
    subprocess.run(command(folder, whole, recipe=recipe), env=environment(), check=True, capture_output=True)
    process = subprocess.Popen(begun, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    last = killed / "checkpoints" / "last.ckpt"
    while not last.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = torch.load(last, weights_only=True)["batches_done"]
    subprocess.run([*begun, "--resume"], env=environment(), check=True, capture_output=True)
    wanted, got = losses(whole), losses(killed)
    assert sorted(wanted) == list(range(STEPS))
    # What was logged before the kill may have died with the process; every later step was logged again.
    assert set(range(done, STEPS)) <= got.keys() <= wanted.keys()
    for step, loss in got.items():
        assert loss == pytest.approx(wanted[step], abs=1e-6), step


def test_a_run_is_not_begun_twice(folder, tmp_path):
    first = subprocess.run(
        command(folder, tmp_path, "--resume"), env=environment(), check=False, capture_output=True, text=True
    )
    assert first.returncode == 1
    assert "holds no checkpoint to go on from" in first.stderr
    assert "Traceback" not in first.stderr


@pytest.mark.parametrize(
    ("recipe", "settings"), [("fusion", ["width=0.25"]), ("binned", ["width_factor=0.1", "batch_norm=false"])]
)
def test_two_processes_do_what_one_does(folder, tmp_path, recipe, settings):
    line = [sys.executable, "-m", "tintype", "train", recipe, "--data", folder, "--val", folder]
    line += ["--steps", 6, "--batch", 4, "--size", 64, "--workers", 0, "--device", "cpu", "--lr-scale", 10]
    unchanged = [f"{field.name}=0" for field in dataclasses.fields(GreySettings)]  # these draw per process
    line += [word for setting in (*settings, *unchanged) for word in ("--set", setting)]
    for count in (1, 2):
        words = map(str, [*line, "--devices", count, "--out", tmp_path / str(count)])
        subprocess.run(list(words), env=environment(), check=True, capture_output=True)
    for tag in ("train/loss", "val/loss"):
        one, two = (dict(read_curve(tmp_path / str(count), tag)) for count in (1, 2))
        assert one.keys() == two.keys()
        assert len(one) > 0
        assert max(one.values()) > 1.001 * min(one.values())  # what it learns shows
        for step, loss in one.items():
            assert two[step] == pytest.approx(loss, rel=1e-4, abs=1e-4), (tag, step)


def test_rivals_are_trained_by_two_processes(folder, tmp_path):
    line = [sys.executable, "-m", "tintype", "train", "sagan", "--data", folder, "--out", tmp_path / "run"]
    line += ["--steps", 3, "--batch", 4, "--size", 64, "--workers", 0, "--device", "cpu", "--devices", 2]
    line += [word for setting in SMALL["sagan"] for word in ("--set", setting)]
    subprocess.run(list(map(str, line)), env=environment(), check=True, capture_output=True)
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["batches_done"] == 3
