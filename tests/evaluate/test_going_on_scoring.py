"""A run that was stopped goes on, and scores of anything else are not taken."""

from __future__ import annotations

import dataclasses
import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from evaluate_helpers import Stripes, run, values

from scoring_helpers import SIDE, counted, linear_model, size_model, vivid_model, write_photographs
from tintype import evaluate
from tintype.errors import OutputError
from tintype.evaluate import board
from tintype.evaluate.board import Board, Group
from tintype.evaluate.models import Network
from tintype.train.photographs import Record


def test_what_is_there_is_not_computed_again(photographs, model, tmp_path, monkeypatch):
    first = values(run([model, "gray"], photographs, tmp_path))
    calls = counted(monkeypatch, Network, "predict")
    reads = counted(monkeypatch, type(photographs.records[0]), "read")
    assert values(run([model, "gray"], photographs, tmp_path)) == first
    assert not calls
    assert not reads
    run([model, "gray", "mean"], photographs, tmp_path)
    assert not calls
    assert len(reads) == len(photographs)


def test_a_run_goes_on_where_it_stopped(photographs, model, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    whole = values(run([model, "gray"], photographs, tmp_path / "whole"))
    (tmp_path / "stopped").mkdir()

    seen = []

    class Told:
        def begin(self, count):
            seen.append(count)

        def step(self):
            if len(seen) == 2:
                seen.append("one")
            elif len(seen) == 3:
                raise KeyboardInterrupt

        def say(self, text):
            pass

    with pytest.raises(KeyboardInterrupt):
        run([model, "gray"], photographs, tmp_path / "stopped", told=Told())
    file = tmp_path / "stopped" / "per-picture.jsonl"
    file.write_bytes(file.read_bytes()[:-40])  # as a power cut leaves it
    calls = counted(monkeypatch, Network, "predict")
    assert values(run([model, "gray"], photographs, tmp_path / "stopped")) == whole
    assert len(calls) == len(photographs) - 2
    assert values(run([model, "gray"], photographs, tmp_path / "stopped")) == whole


def test_scores_of_other_options_models_and_photographs_are_not_taken(photographs, model, tmp_path):
    first = run([model], photographs, tmp_path)
    other = run([model], photographs, tmp_path, evaluate.Options(size=48))
    assert values(other) != values(first)
    (tmp_path / "new").mkdir()
    changed = run([str(linear_model(tmp_path / "new", gain=(0, 0)))], photographs, tmp_path)
    assert values(changed)["linear"]["colorfulness"] < 1
    fewer = evaluate.Photographs(photographs.records[:3], photographs.names[:3], photographs.labels[:3])
    assert len(run([model], fewer, tmp_path).used) == 3


@pytest.mark.parametrize("end_to_end", [False, True])
def test_scores_of_another_card_of_the_same_file_are_not_taken(photographs, tmp_path, end_to_end):
    options = evaluate.Options(size=SIDE, end_to_end=end_to_end)
    path = size_model(tmp_path)
    card = path.with_suffix(".toml")
    before = values(run([str(path)], photographs, tmp_path, options))["sized"]
    card.write_text(card.read_text().replace(f"size = {SIDE}", "size = 96"))
    after = values(run([str(path)], photographs, tmp_path, options))["sized"]
    (tmp_path / "new").mkdir()
    assert after == values(run([str(path)], photographs, tmp_path / "new", options))["sized"]
    assert after != before


def test_a_default_on_the_card_shapes_the_scores(photographs, tmp_path):
    path = vivid_model(tmp_path)
    card = path.with_suffix(".toml")
    before = values(run([str(path)], photographs, tmp_path))
    card.write_text(card.read_text().replace("default = 1.0", "default = 0.0"))
    after = values(run([str(path)], photographs, tmp_path))
    assert after["vivid"] == before["vivid (mean)"] != before["vivid"]


def test_each_card_of_one_file_keeps_its_own_scores(photographs, tmp_path):
    paths = []
    for folder, size in (("one", 64), ("two", 96)):
        (tmp_path / folder / "same").mkdir(parents=True)
        paths.append(str(size_model(tmp_path / folder / "same", size=size)))
    alone = [
        run([path], photographs, tmp_path / folder)
        for path, folder in zip(paths, ("one", "two"), strict=True)
    ]
    first = run(paths, photographs, tmp_path)
    names = [model.name for model in first.models]
    assert len(set(names)) == 2
    assert all(name.startswith("same/sized ") for name in names)
    for _ in range(2):
        again = run(paths, photographs, tmp_path)
        for name, own in zip(names, alone, strict=True):
            assert values(again)[name] == values(own)["sized"]
            assert np.array_equal(again.colours(name), own.colours("sized"))


def test_a_model_that_is_named_twice_keeps_both_columns(photographs, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path)
    paths = [str(linear_model(tmp_path)), str(tmp_path / "link" / "linear.onnx")]
    first = values(run(paths, photographs, tmp_path))
    assert len(first) == 3
    calls = counted(monkeypatch, Network, "predict")
    assert values(run(paths, photographs, tmp_path)) == first
    assert not calls


def test_scores_of_photographs_that_were_replaced_are_not_taken(tmp_path):
    def write(seed, folder):
        rng = np.random.default_rng(seed)
        for i in range(2):
            bgr = cv2.resize(rng.integers(0, 255, (8, 8, 3), np.uint8), (SIDE, SIDE))
            cv2.imwrite(str(folder / f"{i}.bmp"), bgr)  # of the same size, whatever it shows
        return values(run(["gray"], evaluate.find_photographs([folder]), tmp_path))["gray"]

    (tmp_path / "photos").mkdir()
    (tmp_path / "others").mkdir()
    before, after = write(1, tmp_path / "photos"), write(2, tmp_path / "photos")
    assert after == write(2, tmp_path / "others") != before


def test_scores_of_a_shard_that_was_written_anew_are_not_taken(tmp_path):
    shard = tmp_path / "photos.tar"

    def write(seed):
        data = cv2.imencode(".bmp", np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), np.uint8))[
            1
        ]
        with tarfile.open(shard, "w") as tar:
            member = tarfile.TarInfo("0.bmp")
            member.size = data.size
            tar.addfile(member, io.BytesIO(data.tobytes()))
        return values(run(["gray"], evaluate.find_photographs([shard]), tmp_path))["gray"]

    assert write(1) != write(2)


def test_scores_of_other_labels_are_not_taken(photographs, tmp_path):
    class Cats(Stripes):
        keys, frechet = ("class_right",), ""

        def compare(self, seen, truth, label):
            return {"class_right": float(label == "cat")}

    for label, share in (("cat", 100), ("dog", 0)):
        labelled = dataclasses.replace(photographs, labels=[label] * len(photographs))
        found = values(run(["gray"], labelled, tmp_path, judges=[Cats()]))
        assert found["gray"]["class_right"] == found["truth"]["class_right"] == share


def test_the_fingerprint_is_the_same_wherever_the_photographs_lie(photographs, tmp_path):
    copy = evaluate.find_photographs([write_photographs(tmp_path / "copy")])
    assert copy.fingerprint() == photographs.fingerprint()
    assert copy.state() != photographs.state()


def test_a_judge_that_comes_later_adds_its_scores_alone(photographs, model, tmp_path, monkeypatch):
    before = values(run([model], photographs, tmp_path))["linear"]
    calls = counted(monkeypatch, Board, "add")
    after = values(run([model], photographs, tmp_path, judges=[Stripes()]))["linear"]
    assert {key: after[key] for key in before} == before
    assert after.keys() - before.keys() == {"class_kept", "frechet_classifier"}
    assert {tuple(call[3]) for call in calls} == {("stripes",)}


def test_rows_that_are_lost_are_computed_again(photographs, model, tmp_path):
    first = run([model], photographs, tmp_path)
    colours = first.colours("linear")
    for file in (tmp_path / "rows").iterdir():
        file.unlink()
    assert np.array_equal(run([model], photographs, tmp_path).colours("linear"), colours)


def test_the_board_passes_over_what_is_no_score(tmp_path):
    (tmp_path / "per-picture.jsonl").write_text(
        '{"run": "r"}\n[1]\nno json\n\n{"run": "r", "digest": "d", "pic'
    )
    group = Group("arithmetic", "1", ("psnr",))
    board = Board(tmp_path, "r", ["a"], {"m": "d"}, [group])
    assert board.missing("m", 0) == {"arithmetic"}
    board.add("m", 0, ["arithmetic"], {"psnr": 3.5})
    board.close()
    again = Board(tmp_path, "r", ["a"], {"m": "d"}, [group])
    assert again.columns["m"].values["psnr"][0] == 3.5


def test_a_photograph_that_could_not_be_read_is_looked_at_again(tmp_path, monkeypatch):
    found = evaluate.find_photographs([write_photographs(tmp_path / "photos", 3)])
    with monkeypatch.context() as patch:
        read = Record.read

        def broken(record):
            if record.name == "0.png":
                raise OSError(5, "Input/output error")
            return read(record)

        patch.setattr(Record, "read", broken)
        results = run(["gray", "mean"], found, tmp_path)
        assert len(results.used) == 2
        assert "Input/output error" in results.survey.skipped["0.png"]
    whole = run(["gray", "mean"], found, tmp_path)
    assert not whole.survey.skipped
    # The scores of the others hang on all colours that there are.
    assert values(whole) == values(run(["gray", "mean"], found, tmp_path / "new"))


def test_the_folder_is_made_before_anything_is_looked_at(photographs, tmp_path):
    run(["gray"], photographs, tmp_path / "deep" / "scores")
    assert (tmp_path / "deep" / "scores" / "per-picture.jsonl").is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot make the folder"):
        run(["gray"], photographs, tmp_path / "file" / "scores")


@pytest.mark.parametrize("kind", ["survey-*.json", "per-picture.jsonl"])
def test_damaged_notes_are_made_anew(photographs, tmp_path, kind):
    wanted = values(run(["gray", "mean"], photographs, tmp_path))
    (file,) = tmp_path.glob(kind)
    file.write_bytes(b"{\xff" + file.read_bytes()[30:])
    assert values(run(["gray", "mean"], photographs, tmp_path)) == wanted


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_disk_that_fills_is_told(photographs, tmp_path, monkeypatch):
    with pytest.raises(OutputError, match="Cannot write /dev/full: No space left on device"):
        board._allocate(Path("/dev/full"), 100)
    board._allocate(tmp_path / "rows", (1 << 20) + 3)
    assert (tmp_path / "rows").read_bytes() == bytes((1 << 20) + 3)
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "per-picture.jsonl").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"Cannot write .*per-picture\.jsonl: No space left on device"):
        run(["gray"], photographs, tmp_path / "scores")
