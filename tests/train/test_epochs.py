"""What an epoch is, what is told and kept of each, and when the last one was."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tintype import cli
from tintype.train import recipes
from tintype.train.data import CropSettings
from tintype.train.fit import fit
from tintype.train.loading import load_run, read_weights
from tintype.train.options import FitOptions
from tintype.train.recipe import Schedule
from tintype.train.sources import find_photographs
from tintype.train.stopping import EpochLoss
from tintype.train.sweep import read_curve

SMALL = recipes.get("fusion").Settings(width=0.125, global_width=4)


@pytest.fixture
def photographs(album):
    return find_photographs([album])


def trained(photographs, out, steps, schedule, *, val=None, resume=False, **options):
    options = FitOptions(steps=steps, batch=2, size=32, workers=0, device="cpu", **options)
    return fit("fusion", SMALL, options, photographs, val, out, schedule=schedule, resume=resume)


def steps_of(run, name="last"):
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["batches_done"]


def test_an_epoch_of_the_face_recipes_takes_each_photograph_ten_times(album, tmp_path):
    words = ["train", "colornet", "--data", str(album), "--val", str(album), "--out", str(tmp_path)]
    small = ["--epochs", "1", "--batch", "4", "--size", "32", "--workers", "0", "--device", "cpu"]
    assert cli.main([*words, *small]) == 0
    a_pass = len(find_photographs([album])) // 4
    assert steps_of(tmp_path) == 10 * a_pass
    assert [step for step, _ in read_curve(tmp_path, "val/loss")] == [0, 10 * a_pass - 1]


def test_the_mean_loss_of_an_epoch_is_of_all_of_it(photographs, tmp_path):
    an_epoch = len(photographs) // 2
    for out, stops in ((tmp_path / "whole", [2 * an_epoch]), (tmp_path / "parts", [3, 2 * an_epoch])):
        for steps in stops:
            trained(photographs, out, steps, Schedule(converged=1e-9), resume=steps != stops[0])
    whole, parts = (
        [v for _, v in read_curve(tmp_path / name, "train/epoch_loss")] for name in ("whole", "parts")
    )
    assert len(whole) == 3
    assert parts == pytest.approx(whole)


def test_both_curves_begin_before_training_and_go_on_after_each_epoch(photographs, tmp_path):
    a_pass = len(photographs) // 2
    run = trained(photographs, tmp_path, 4 * a_pass, Schedule(repeats=2), val=photographs, lr_scale=1e-9)
    curves = [read_curve(run, f"{name}loss") for name in ("train/epoch_", "val/")]
    for curve in curves:
        assert [step for step, _ in curve] == [0, 2 * a_pass - 1, 4 * a_pass - 1]
    assert curves[0][0][1] == pytest.approx(
        curves[1][0][1], rel=1e-3
    )  # both of the photographs that there are


def struck(*losses):
    """After which of its epochs, of one step each, a run of these losses ends."""
    trainer = SimpleNamespace(should_stop=False, strategy=SimpleNamespace(reduce=lambda x, reduce_op: x))
    callback = EpochLoss(torch.zeros(0), 0.01, steps_an_epoch=1)
    for done, loss in enumerate(losses, start=1):
        module = SimpleNamespace(device="cpu", batches_done=done, log=lambda *_: None)
        callback.on_train_batch_end(trainer, module, {"loss": torch.tensor(loss)}, None, 0)
        if trainer.should_stop:
            assert callback.has_struck
            return done
    return None


def test_a_loss_has_converged_when_an_epoch_moves_it_no_more():
    assert struck(1.0, 0.5, 0.495, 0.2) == 3
    assert struck(1.0, 0.5, 0.6, 0.3) is None  # one that rises has not
    assert struck(1.0, 0.5, 0.6, 0.605) == 4


def test_a_run_ends_when_it_has_converged(photographs, tmp_path, capsys):
    an_epoch = len(photographs) // 2
    run = trained(photographs, tmp_path, 20 * an_epoch, Schedule(converged=10.0), lr_scale=1e-9)
    ended = f"Ended after {2 * an_epoch} of {20 * an_epoch} steps: the loss no longer got better"
    assert ended in capsys.readouterr().out
    assert steps_of(run) == 2 * an_epoch


def test_weights_of_epochs_are_kept_and_can_be_started_from(photographs, tmp_path):
    an_epoch = len(photographs) // 2
    run = trained(photographs, tmp_path / "a", 5 * an_epoch, Schedule(), keep_every=2)
    assert sorted(p.stem for p in (run / "checkpoints").iterdir()) == ["epoch-0002", "epoch-0004", "last"]
    assert steps_of(run, "epoch-0002") == 2 * an_epoch
    start = run / "checkpoints" / "epoch-0002.ckpt"
    on = trained(photographs, tmp_path / "b", 1, Schedule(), start_from=(str(start),), lr_scale=1e-12)
    begun, kept = load_run(on)[1].state_dict(), read_weights(start)[1]
    assert all(torch.allclose(begun[name], kept[name], atol=1e-6) for name in kept)


def test_a_recipe_may_take_crops_in_a_way_of_its_own(album, tmp_path, capsys):
    assert recipes.crops_of(recipes.get("fusion")) == CropSettings(drop_grey=True)
    assert recipes.crops_of(recipes.get("tint")) == CropSettings()
    with pytest.raises(SystemExit):
        cli.main(["train", "fusion", "--help"])
    assert "drop_grey=True" in capsys.readouterr().out
