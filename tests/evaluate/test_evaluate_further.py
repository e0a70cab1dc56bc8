"""Hints kept and steadiness over sizes: what the scores say, and that they are scores as all others."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest
from onnx import helper
from skimage import data

from scoring_helpers import (
    SIDE,
    counted,
    linear_model,
    obedient_model,
    size_model,
    vivid_model,
    write_model,
    write_photographs,
)
from tintype import cli, evaluate, metrics
from tintype.errors import SettingsError
from tintype.evaluate import further
from tintype.evaluate.aged import ager
from tintype.evaluate.models import Network
from tintype.evaluate.told import random_hints, share_kept


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return evaluate.find_photographs([write_photographs(tmp_path_factory.mktemp("photographs"))])


def run(names, photographs, folder, **options):
    how = evaluate.Options(size=SIDE, **options)
    return evaluate.evaluate(evaluate.open_models([*map(str, names)], how), photographs, how, folder)


def values(results, key):
    return {name: row[key].value for name, row in results.table.items() if key in row}


# --- hints kept


def test_who_paints_what_it_is_told_keeps_all_hints_and_who_does_not_few(photographs, tmp_path):
    names = [obedient_model(tmp_path), obedient_model(tmp_path, "deaf", obeys=False), "gray"]
    found = values(run(names, photographs, tmp_path, random_hints=8), "hints_kept")
    assert found["obedient"] == 100
    assert found["deaf"] < 40
    assert "truth" not in found


def test_a_told_patch_is_found_again_at_another_resolution(photographs, tmp_path):
    found = run([obedient_model(tmp_path)], photographs, tmp_path, random_hints=1, input_size=2 * SIDE)
    assert values(found, "hints_kept")["obedient"] == 100


def test_hints_and_damage_for_a_photograph_whose_name_is_no_text():
    truth = evaluate.Truth(os.fsdecode(b"\xe9.png"), data.chelsea()[:SIDE, :SIDE])
    assert len(random_hints(truth, (SIDE, SIDE), 3, 0).patches) == 3
    assert ager(["fade"], 0)(truth).shape == (SIDE, SIDE)


def test_what_is_kept_is_what_lies_within_reach_at_the_pictures_own_lightness():
    truth = evaluate.Truth("a.png", data.astronaut()[:64, :96])
    told = random_hints(truth, (32, 48), 12, 3)
    asked = np.zeros((64, 96, 2), np.float32)
    for rows, columns in told.patches:
        area = np.s_[2 * rows.start : 2 * rows.stop, 2 * columns.start : 2 * columns.stop]
        asked[area] = told.hint_ab[0, :, rows, columns].mean((1, 2))
    assert share_kept(asked, truth.L, told) > 0.5
    one = random_hints(truth, (32, 48), 1, 3)
    rows, columns = one.patches[0]
    L = truth.L[2 * rows.start : 2 * rows.stop, 2 * columns.start : 2 * columns.stop].mean()
    color = one.hint_ab[0, :, rows.start, columns.start]
    for shift in np.arange(0, 40, 2, np.float32):
        moved = color + np.array([shift, 0], np.float32)
        wanted = metrics.delta_e_2000(np.array([[[L, *moved]]]), np.array([[[L, *color]]])) <= 6
        assert share_kept(np.broadcast_to(moved, (64, 96, 2)), truth.L, one) == wanted, shift


def test_points_at_the_very_corner_and_larger_than_the_picture_count():
    truth = evaluate.Truth("a.png", data.astronaut()[:16, :16])
    told = random_hints(truth, (512, 512), 200, 0)
    assert 0 <= share_kept(truth.ab, truth.L, told) <= 1


def test_without_hints_there_is_no_such_score(photographs, tmp_path):
    results = run([obedient_model(tmp_path)], photographs, tmp_path)
    assert "hints_kept" not in results.table["obedient"]
    assert "hints_kept" not in results.scores


# --- steadiness over sizes


def test_who_sees_no_size_has_not_moved_and_who_does_has_by_as_much(photographs, tmp_path):
    names = [size_model(tmp_path), "gray", "mean"]
    results = run(names, photographs, tmp_path, steady_sizes=(32, 64, 96))
    assert values(results, "size_32") == {"sized": pytest.approx(3.2), "gray": 0, "mean": 0}
    assert values(results, "size_64")["sized"] == 0
    assert values(results, "size_96")["sized"] == pytest.approx(3.2)


def test_the_other_size_is_compared_with_the_one_that_is_scored(photographs, tmp_path):
    results = run([size_model(tmp_path)], photographs, tmp_path, steady_sizes=(32,), input_size=96)
    assert values(results, "size_32")["sized"] == pytest.approx(6.4)
    (tmp_path / "larger").mkdir()
    results = run([size_model(tmp_path / "larger", size=128)], photographs, tmp_path, steady_sizes=(32,))
    assert values(results, "size_32")["sized"] == pytest.approx(9.6)


def test_the_distance_is_that_of_two_ab_at_full_size(photographs, tmp_path):
    results = run([linear_model(tmp_path)], photographs, tmp_path, steady_sizes=(40,))
    network = results.models[0]
    distances = []
    for number in results.used:
        truth = results.truth(number)
        small = evaluate.Options(size=SIDE, input_size=40)
        other = evaluate.open_models([str(tmp_path / "linear.onnx")], small)[0]
        difference = network.predict(truth).ab - other.predict(truth).ab
        distances.append(np.hypot(*np.moveaxis(difference, -1, 0)).mean())
    assert values(results, "size_40")["linear"] == pytest.approx(np.mean(distances), rel=1e-4)
    assert np.mean(distances) > 0.1


def test_a_model_of_one_size_is_refused(tmp_path):
    node = helper.make_node("Concat", ["L", "L"], ["ab"], axis=1)
    path = write_model(tmp_path, "fixed", [node], axes=[1, 1, SIDE, SIDE])
    with pytest.raises(SettingsError, match="fixed takes pictures of one size alone"):
        evaluate.open_models([str(path)], evaluate.Options(size=SIDE, steady_sizes=(32,)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steady_sizes": (8,)}, "--steady-sizes must be from 32"),
        ({"steady_sizes": (64, 4096)}, "not 4096"),
        ({"steady_sizes": (64,), "random_hints": 2}, "--random-hints and --steady-sizes"),
        ({"steady_sizes": (64,), "end_to_end": True}, "--steady-sizes and --end-to-end"),
        ({"random_hints": -1}, "--random-hints must be 0 or more"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(SettingsError, match=message):
        evaluate.Options(**options)


# --- scores as all others


def test_another_size_adds_its_score_alone(photographs, tmp_path, monkeypatch):
    name = size_model(tmp_path)
    first = run([name], photographs, tmp_path, steady_sizes=(32,))
    calls = counted(monkeypatch, Network, "ab_at")
    again = run([name], photographs, tmp_path, steady_sizes=(32,))
    assert not calls
    assert again.table == first.table
    both = run([name], photographs, tmp_path, steady_sizes=(32, 96))
    assert [call[2] for call in calls] == [SIDE, 96] * len(photographs)
    assert {key: both.table["sized"][key] for key in first.table["sized"]} == first.table["sized"]
    plain = run([name], photographs, tmp_path)
    assert "size_32" not in plain.table["sized"]


def test_every_form_of_the_results_has_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_photographs(tmp_path / "photos")
    obedient_model(tmp_path)
    size_model(tmp_path)
    vivid_model(tmp_path)
    line = "evaluate obedient.onnx gray --data photos --size 64 --random-hints 3 --out scores"
    assert cli.main(line.split()) == 0
    found = capsys.readouterr().out
    assert "hints kept %" in found
    assert "3 random hints" in found
    assert further.TITLE in found
    check_files(tmp_path / "scores", "hints_kept", "hints kept %", "obedient", 100)
    line = "evaluate sized.onnx vivid.onnx --data photos --size 64 --steady-sizes 32 96 --out scores"
    assert cli.main(line.split()) == 0
    found = capsys.readouterr().out
    assert "Δab at 32" in found
    assert "Δab at 96" in found
    check_files(tmp_path / "scores", "size_96", "Δab at 96", "sized", 3.2)


def check_files(folder, key, title, model, value):
    whole = json.loads((folder / "scores.json").read_text())
    assert whole["models"][model]["scores"][key]["value"] == pytest.approx(value)
    assert key in whole["meanings"]
    with (folder / "scores.csv").open(newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert float(rows[model][key]) == pytest.approx(value)
    lines = [json.loads(line) for line in (folder / "per-picture.jsonl").read_text().splitlines()]
    assert sum(key in line["scores"] and line["model"] == model for line in lines) == 6
    page = (folder / "report.html").read_text()
    assert f">{title} " in page
    assert f"<dt>{title}</dt>" in page
    assert f'"{key}": [' in page
