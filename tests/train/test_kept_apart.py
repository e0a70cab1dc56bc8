"""Runs that are kept apart: from those that died, from others in their folder, from other photographs."""

from __future__ import annotations

import argparse
import json
import types

import cv2
import pytest
import torch

from tintype import cards, cli
from tintype.errors import DataError, ModelError, OutputError, SettingsError
from tintype.train import loading, runs
from tintype.train.checkpoints import BestCheckpoint, WholeCheckpoints
from tintype.train.data import SkipLog
from tintype.train.sources import find_photographs, find_records
from tintype.train.stopping import Patience
from tintype.train.trainer import stopped_by_hand


def tintype(*words):
    return cli.main([str(word) for word in words])


def train(folder, out, *more):
    words = ("train", "colornet", "--data", folder, "--out", out, "--batch", 4, "--size", 32)
    return tintype(*words, "--workers", 0, "--device", "cpu", "--set", "width=8", *more)


def test_a_new_run_takes_nothing_of_one_that_died_before_its_first_checkpoint(album, tmp_path):
    run = tmp_path / "run"
    assert train(album, run, "--steps", 2, "--val", album) == 0
    checkpoints = run / "checkpoints"
    (checkpoints / "last.ckpt").unlink()
    (checkpoints / "best.ckpt").write_bytes(b"of the run that died")
    (run / "skipped.tsv").write_text("gone.jpg\tof that run\n")
    curves = sorted(run.glob("events.out.tfevents.*"))
    assert curves
    assert train(album, run, "--steps", 2, "--seed", 5, "--set", "patience=0", "--val", album) == 0
    assert torch.load(checkpoints / "best.ckpt", weights_only=True)["batches_done"] <= 2
    assert not (run / "skipped.tsv").exists()
    assert not set(curves) & set(run.glob("events.out.tfevents.*"))
    assert tintype("export", run, "-o", tmp_path, "--limit", 2) == 0
    assert cards.load_card(tmp_path / "run.onnx").training["seed"] == 5


def test_what_is_no_runs_folder_keeps_its_files(tmp_path):
    (tmp_path / "skipped.tsv").write_text("mine")
    runs.clear(tmp_path)
    assert (tmp_path / "skipped.tsv").read_text() == "mine"


def test_the_best_is_sought_anew_where_others_are_validated_on(album, tmp_path, capsys):
    pale = tmp_path / "pale"
    pale.mkdir()
    for path in album.iterdir():
        grey = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2GRAY)[..., None]
        cv2.imwrite(str(pale / path.name), (0.1 * cv2.imread(str(path)) + 0.9 * grey).astype("uint8"))
    run = tmp_path / "run"
    assert train(album, run, "--val", pale, "--steps", 2) == 0
    capsys.readouterr()
    assert train(album, run, "--val", pale, "--steps", 4, "--resume") == 0
    assert "sought anew" not in capsys.readouterr().out
    assert train(album, run, "--val", album, "--steps", 6, "--resume") == 0  # others of the same names
    assert "It is validated otherwise than before: the best loss is sought anew." in capsys.readouterr().out
    assert torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["batches_done"] > 4


@pytest.mark.parametrize(("before", "count"), [("a", 2), ("b", 0), (None, 2)])
def test_patience_counts_on_by_the_same_judge_alone(before, count):
    old = Patience(3, before or "")
    old.wait_count = 2
    state = old.state_dict()
    if before is None:  # as earlier versions kept it
        del state["judged_by"]
    new = Patience(4, "a")
    new.load_state_dict(state)
    assert (new.wait_count, new.patience) == (count, 4)


def test_the_best_of_an_earlier_version_is_the_best(tmp_path):
    old = BestCheckpoint(tmp_path, "a")
    old.best_model_score = torch.tensor(3.0)
    state = {key: value for key, value in old.state_dict().items() if key != "judged_by"}
    new = BestCheckpoint(tmp_path, "a")
    new.load_state_dict(state)
    assert new.best_model_score == 3


@pytest.mark.parametrize("more", [(), ("--set", "patience=0")])
def test_training_that_diverges_is_told(album, tmp_path, capsys, more):
    run = tmp_path / "run"
    steps = ("--steps", 30, "--checkpoint-every", 5)
    assert train(album, run, "--val", album, *steps, "--set", "lr=1e30", *more) == 1
    err = capsys.readouterr().err
    assert "Training has diverged: after" in err
    assert "--lr-scale" in err
    assert not (run / "checkpoints" / "last.ckpt").exists()


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    path = tmp_path / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"state_dict": {"w": torch.ones(2), "n": torch.ones(1).int()}}, path)
    broken = {"w": torch.tensor([1.0, float("nan")])}
    with pytest.raises(ModelError, match="after 7 steps"):
        WholeCheckpoints().save_checkpoint({"state_dict": broken, "batches_done": 7}, path)
    assert torch.load(path, weights_only=True)["state_dict"]["w"].isfinite().all()


def test_a_first_checkpoint_that_cannot_be_written_promises_none(tmp_path, monkeypatch):
    def full(path):
        raise OutputError(f"Cannot write {path}: no space left on device.")

    monkeypatch.setattr("tintype.train.checkpoints.whole_file", full)
    with pytest.raises(OutputError, match=r"no space left on device\.$"):
        WholeCheckpoints().save_checkpoint({}, tmp_path / "last.ckpt")


@pytest.mark.parametrize("kept", [False, True])
def test_going_on_is_promised_where_there_is_a_checkpoint(tmp_path, capsys, kept):
    if kept:
        (tmp_path / "checkpoints").mkdir()
        (tmp_path / "checkpoints" / "last.ckpt").touch()
    trainer = types.SimpleNamespace(interrupted=True, default_root_dir=str(tmp_path))
    options = types.SimpleNamespace(steps=9, checkpoint_every=200)
    fitter = types.SimpleNamespace(batches_done=5, options=options)
    with pytest.raises(KeyboardInterrupt), stopped_by_hand(trainer, fitter):
        raise SystemExit(1)
    out = capsys.readouterr().out
    assert ("--resume goes on" in out) == kept
    assert ("there is no checkpoint to go on from" in out) != kept


def test_a_name_that_is_no_unicode_is_noted(tmp_path):
    log = SkipLog(tmp_path / "skipped.tsv")
    for _ in range(2):
        log.tell("caf\udce9.jpg", "no picture")
    assert SkipLog(tmp_path / "skipped.tsv").names() == {"caf\udce9.jpg"}


def test_each_name_is_noted_once_by_however_many_processes(tmp_path):
    path = tmp_path / "skipped.tsv"
    one, other = SkipLog(path), SkipLog(path)
    for log, name in ((one, "a"), (other, "a"), (other, "b"), (one, "b"), (one, "c")):
        log.tell(f"{name}.jpg", "grey")
    assert path.read_text() == "a.jpg\tgrey\nb.jpg\tgrey\nc.jpg\tgrey\n"
    with path.open("a") as file:
        file.write("half a na")
    assert other.names() == {"a.jpg", "b.jpg", "c.jpg"}


def test_one_training_at_a_time_in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_ORPHANS_S", 0.3)
    with runs.alone(tmp_path / "run"):
        with pytest.raises(SettingsError, match="Another process trains in"), runs.alone(tmp_path / "run"):
            pass
        with runs.alone(tmp_path / "other"):
            pass
    with runs.alone(tmp_path / "run"):
        pass
    assert list((tmp_path / "run").iterdir()) == []


def test_a_sweep_is_checked_before_its_first_run(album, tmp_path, capsys):
    words = ("train", "colornet", "--data", album, "--out", tmp_path / "sweep", "--batch", 4, "--steps", 1)
    assert tintype(*words, "--set", "size=32,33") == 2
    assert "must be a multiple of 8" in capsys.readouterr().err
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["train", "tint", "--out", "x", "--data", "a", "--data", "b"], "data"),
        (["train", "tint", "--out", "x", "--val", "a", "--val", "b"], "val"),
        (["train", "tint", "--out", "x", "--from", "a", "--from", "b"], "start_from"),
        (["export", "run", "--data", "a", "--data", "b"], "data"),
        (["quantize", "m", "-o", "x", "--val", "v", "--data", "a", "--data", "b"], "data"),
        (["evaluate", "m", "--data", "a", "--data", "b"], "data"),
        (["evaluate", "m", "--data", "d", "--damage", "a", "--damage", "b"], "damage"),
        (["compare", "m", "-o", "x", "--images", "a", "--images", "b"], "images"),
        (
            ["experiment", "f", "--val", "v", "--work", "w", "-o", "x", "--data", "a", "--data", "b"],
            "data",
        ),
    ],
)
def test_a_flag_of_several_may_stand_several_times(words, name):
    args: argparse.Namespace = cli.build_parser().parse_args(words)
    assert getattr(args, name) == ["a", "b"]


def test_a_place_that_is_named_twice_counts_once(album, tmp_path):
    (tmp_path / "link").symlink_to(album)
    twice = find_records([album, album / ".." / album.name, tmp_path / "link"])
    assert len(twice) == len(find_records([album]))


def test_validating_on_what_is_learnt_from_is_told(album, tmp_path, capsys):
    (tmp_path / "link").symlink_to(album)
    told = "8 of the photographs to validate on are learnt from, too"
    assert train(album, tmp_path / "a", "--steps", 1, "--val", tmp_path / "link") == 0
    assert told in capsys.readouterr().out
    other = tmp_path / "other"
    other.mkdir()
    (other / "0.png").write_bytes((album / "0.png").read_bytes())
    assert train(album, tmp_path / "b", "--steps", 1, "--val", other) == 0
    assert "learnt from, too" not in capsys.readouterr().out


@pytest.mark.parametrize("content", ["{}", "[]", '{"recipe": "tint"}'])
def test_a_run_whose_note_says_nothing(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ModelError, match=r"run\.json is damaged"):
        runs.read_run(tmp_path)


@pytest.mark.parametrize(
    "content",
    [torch.ones(3), {"state_dict": 5}, {"state_dict": {"model.a": 5}}, [1], {"state_dict": [1, 2]}],
)
def test_a_foreign_checkpoint(tmp_path, content):
    file = tmp_path / "it.pt"
    torch.save(content, file)
    with pytest.raises(ModelError, match="is no checkpoint of a run"):
        loading.read_weights(file)


def test_a_truncated_checkpoint(tmp_path):
    file = tmp_path / "it.ckpt"
    torch.save({"state_dict": {"model.a": torch.ones(10_000)}}, file)
    for size in (0, 1, 100, 5000):
        part = tmp_path / f"{size}.ckpt"
        part.write_bytes(file.read_bytes()[:size])
        with pytest.raises(ModelError, match="is no checkpoint of a run"):
            loading.read_weights(part)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--name", "a/b"), "--name must be a file's name"),
        (("--name", ".a"), "--name must be a file's name"),
        (("--size", 1), "--size must be from 32 to 2048"),
        (("--size", 4000), "--size must be from 32 to 2048"),
    ],
)
def test_exports_that_cannot_be(tmp_path, capsys, words, message):
    assert tintype("export", tmp_path, "-o", tmp_path, *words) == 2
    assert message in capsys.readouterr().err


def coco(folder, *names):
    """A COCO folder: cats in `a`, dogs in `b`, which have the same names; and `names` for two of them."""
    for label in ("a", "b"):
        (folder / "train" / label).mkdir(parents=True)
        for n in range(2):
            (folder / "train" / label / f"{n}.jpg").touch()
    content = {
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [{"image_id": i, "category_id": 1 + i % 2, "area": 9} for i in range(len(names))],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return folder


def test_coco_pictures_of_one_name_in_two_folders(tmp_path):
    found = find_photographs([coco(tmp_path, "a/0.jpg", "b/0.jpg", "a/1.jpg")], categories=["cat"])
    assert [record.name for record in found.records] == ["train/a/0.jpg", "train/a/1.jpg"]
    found = find_photographs([tmp_path], categories=["cat", "dog"])
    assert [(r.name, found.label_names[r.label]) for r in found.records] == [
        ("train/a/0.jpg", "cat"), ("train/a/1.jpg", "cat"), ("train/b/0.jpg", "dog"),
    ]  # fmt: skip


def test_coco_pictures_that_may_be_either(tmp_path):
    with pytest.raises(DataError, match=r"names 0\.jpg, which may be .*a/0\.jpg or .*b/0\.jpg"):
        find_photographs([coco(tmp_path, "0.jpg")], categories=["cat"])


@pytest.mark.parametrize("kind", [{"id": 1}, {"id": 1, "name": "cat", "supercategory": ["x"]}])
def test_coco_categories_that_are_none(tmp_path, kind):
    file = coco(tmp_path, "a/0.jpg") / "instances.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"categories": [kind]}))
    with pytest.raises(DataError, match="is no COCO annotation"):
        find_photographs([tmp_path], categories=["cat"])
