"""Photographs, models and options that cannot be are named."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from evaluate_helpers import OPTIONS, Stripes, run, values
from onnx import helper
from skimage import data

from scoring_helpers import SIDE, linear_model, write_model, write_photographs
from tintype import evaluate
from tintype.errors import InputError, ModelError, SettingsError
from tintype.evaluate.models import Constant, Prediction


def test_grey_and_broken_pictures_are_left_out_and_named(photographs, model, tmp_path):
    write_photographs(tmp_path / "some", 3)
    grey = cv2.cvtColor(data.coffee()[:80, :80], cv2.COLOR_RGB2GRAY)
    cv2.imwrite(str(tmp_path / "some" / "grey.png"), grey)
    (tmp_path / "some" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    results = run([model], evaluate.find_photographs([tmp_path / "some"]), tmp_path)
    assert len(results.used) == 3
    assert results.survey.skipped.keys() == {"grey.png", "broken.jpg"}
    assert "no colour to compare with" in results.survey.skipped["grey.png"]


def test_a_folder_of_grey_pictures_says_so(model, tmp_path):
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((70, 70), 40 * i + 20, np.uint8))
    found = evaluate.find_photographs([tmp_path])
    with pytest.raises(InputError, match=r"None of 3 .* no colour to compare with"):
        run([model], found, tmp_path)


def test_a_model_that_breaks_the_contract_is_named_with_the_picture(photographs, tmp_path):
    half = helper.make_node("Concat", ["L", "L"], ["x"], axis=1)
    pool = helper.make_node("AveragePool", ["x"], ["ab"], kernel_shape=[2, 2], strides=[2, 2])
    path = write_model(tmp_path, "halved", [half, pool])  # its card says stride 1
    with pytest.raises(ModelError, match=r"halved failed on 0\.png: .* of shape"):
        run([str(path)], photographs, tmp_path)
    nothing = [helper.make_node("Log", ["L"], ["x"]), helper.make_node("Mul", ["x", "minus"], ["y"])]
    nothing += [helper.make_node("Log", ["y"], ["z"]), helper.make_node("Concat", ["z", "z"], ["ab"], axis=1)]
    path = write_model(tmp_path, "nan", nothing, {"minus": np.float32(-1)})
    with pytest.raises(ModelError, match=r"nan failed on 0\.png: nan\.onnx gave ab that is no number"):
        run([str(path)], photographs, tmp_path)


def test_any_model_that_gives_no_numbers_is_named_with_the_picture(photographs, tmp_path):
    class Nothing(evaluate.Model):
        name = digest = "nothing"

        def predict(self, truth):
            return Prediction(np.full_like(truth.ab, np.nan), truth.rgb8)

    with pytest.raises(ModelError, match=r"nothing failed on 0\.png: it gave ab that is no number"):
        evaluate.evaluate([Nothing()], photographs, OPTIONS, tmp_path)


def test_a_judge_that_fails_is_named_with_the_picture(photographs, tmp_path):
    class Short(Stripes):
        def look(self, rgb8):
            raise RuntimeError("Output size is\n too small")

    with pytest.raises(ModelError, match=r"stripes failed on 0\.png: Output size is too small"):
        run(["gray"], photographs, tmp_path, judges=[Short()])


def test_a_size_that_does_not_fit_the_model(photographs, tmp_path):
    node = helper.make_node("Concat", ["L", "L"], ["ab"], axis=1)
    path = write_model(tmp_path, "fixed", [node], axes=[1, 1, 40, 40])
    with pytest.raises(ModelError, match=r"fixed failed on 0\.png"):
        run([str(path)], photographs, tmp_path)
    run([str(path)], photographs, tmp_path, evaluate.Options(size=SIDE, input_size=40))


@pytest.mark.parametrize(
    "options",
    [{"size": 8}, {"size": 9000}, {"input_size": 4}, {"random_hints": 2, "end_to_end": True}, {"seed": -1}],
)
def test_options_out_of_range(options):
    with pytest.raises(SettingsError):
        evaluate.Options(**options)


def test_models_of_one_name_are_told_apart(tmp_path):
    for folder, gain in (("one", (0, 1)), ("two", (1, 0))):
        (tmp_path / folder).mkdir()
        linear_model(tmp_path / folder, gain=gain)
    models = evaluate.open_models([str(tmp_path / f / "linear.onnx") for f in ("one", "two")], OPTIONS)
    assert [m.name for m in models] == ["one/linear", "two/linear"]
    assert [m.name for m in evaluate.open_models(["gray", "gray"], OPTIONS)] == ["gray"]
    assert isinstance(evaluate.open_models(["gray"], OPTIONS)[0], Constant)


def test_a_model_called_truth_does_not_take_the_truths_place(photographs, tmp_path):
    path = str(linear_model(tmp_path, "truth"))
    found = values(run([path], photographs, tmp_path))
    assert list(found) == ["truth", f"{tmp_path.name}/truth"]
    assert "psnr" not in found["truth"]
    for names in (["truth"], ["same", "same"]):
        models = [Constant("gray", name=name) for name in names]
        with pytest.raises(SettingsError, match="give each model a name of its own"):
            evaluate.evaluate(models, photographs, OPTIONS, tmp_path)


def test_each_score_is_explained_and_stored_as_json(photographs, model, tmp_path):
    results = run([model, "gray"], photographs, tmp_path)
    assert set(results.table["linear"]) <= set(evaluate.SCORES)
    lines = (tmp_path / "per-picture.jsonl").read_text().splitlines()
    assert len(lines) == 3 * len(photographs)
    assert json.loads(lines[0])["picture"] == "0.png"
