"""Cards are read back as written; a model whose bytes are not its card's is refused."""

from __future__ import annotations

import json
import math

import pytest

from tintype import cards, cli
from tintype.cards import ModelCard
from tintype.errors import ModelError


def test_card_survives_its_file(tmp_path):
    card = ModelCard(
        name="x", version="1.2", description='says "hello"\nand a backslash \\', recipe="tint", license="MIT",
        sha256="0" * 64, pretrained=("a", "b"), training={"steps": 10, "lr": 1e-3, "ema": True},
        data=({"source": "s", "count": 3}, {"source": "ü", "count": 4}),
        inputs={"vividness": {"default": 1.0, "description": "how bold"}},
        limits="a delete\x7f sign",
        scores={
            "how": "so", "x": {"psnr": 22.5, "low": -math.inf}, "x (mean)": {"psnr": 23.0},
            "gray": {"psnr": math.inf},
        },
        path=tmp_path / "x.onnx",
    )  # fmt: skip
    card.path.write_bytes(b"")
    card.path.with_suffix(".toml").write_text(card.to_toml(), encoding="utf-8")
    assert cards.load_card(card.path) == card


def test_a_card_as_json_has_null_for_infinity(tiny_model, monkeypatch, capsys):
    card = cards.load_card(tiny_model)
    card.scores["gray"] = {"psnr": math.inf}
    monkeypatch.setattr(cards, "list_models", lambda: [card])
    assert cli.main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail)[0]["scores"]["gray"] == {
        "psnr": None
    }


def test_every_shipped_model_is_what_its_card_says():
    shipped = cards.list_models()
    assert [card.name for card in shipped] == ["autoencoder", "tint", "tint-int8"]
    for card in shipped:
        assert len(cards.read_model(card)) == card.file_bytes
        assert card.license
        assert card.commit
        assert card.data
        assert card.limits
        assert card.scores[card.name]["ab_rmse"] < card.scores["gray"]["ab_rmse"]


def test_changed_bytes_are_refused(tiny_model, tmp_path):
    copy = tmp_path / "tiny.onnx"
    copy.write_bytes(tiny_model.read_bytes() + b"\0")
    copy.with_suffix(".toml").write_bytes(tiny_model.with_suffix(".toml").read_bytes())
    with pytest.raises(ModelError, match="SHA-256"):
        cards.read_model(cards.load_card(copy))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "damaged"),
        ("name = 'x'", "incomplete"),
        ("colour = 1", "unknown entries: colour"),
        (
            "name='x'\nversion='1'\ndescription=''\nrecipe=''\nlicense=''\nsha256=''\n[inputs.v]\ndefault='1'",
            "the input v a number",
        ),
        (None, "has no card"),
    ],
)
def test_bad_cards_are_refused(tmp_path, text, message):
    model = tmp_path / "m.onnx"
    model.write_bytes(b"x")
    if text is not None:
        model.with_suffix(".toml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        cards.load_card(model)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", '"big"'), ("size", "true"), ("stride", "0"), ("name", "7"), ("limits", "[]"),
        ("parameters", "-1"),
        ("file_bytes", "1.5"), ("pretrained", "5"), ("pretrained", "[5]"),
    ],
)  # fmt: skip
def test_ill_typed_entries_are_refused(tiny_model, tmp_path, key, value):
    copy = tmp_path / "tiny.onnx"
    copy.write_bytes(tiny_model.read_bytes())
    lines = tiny_model.with_suffix(".toml").read_text(encoding="utf-8").splitlines()
    changed = [f"{key} = {value}" if line.startswith(f"{key} = ") else line for line in lines]
    copy.with_suffix(".toml").write_text("\n".join(changed), encoding="utf-8")
    with pytest.raises(ModelError, match=key):
        cards.load_card(copy)


def test_unknown_model_names_the_known():
    with pytest.raises(ModelError, match="tint"):
        cards.find_model("nonesuch")


def test_missing_file_is_said(tmp_path):
    with pytest.raises(ModelError, match="no model file"):
        cards.find_model(tmp_path / "gone.onnx")


@pytest.mark.parametrize("key", ["inputs", "outputs", "training", "scores", "data"])
@pytest.mark.parametrize("value", ["5", "true", '"x"', "[1]", "[[1]]", "1979-01-01"])
def test_what_must_be_a_table_is_refused_as_anything_else(tiny_model, tmp_path, key, value):
    text = tiny_model.with_suffix(".toml").read_text(encoding="utf-8").split("\n[")[0]
    (tmp_path / "m.onnx").write_bytes(b"x")
    (tmp_path / "m.toml").write_text(f"{key} = {value}\n{text}\n", encoding="utf-8")
    with pytest.raises(ModelError, match=key):
        cards.load_card(tmp_path / "m.onnx")


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "1" * 5000, "a = " + "{a = " * 3000])
def test_cards_beyond_reason_are_refused(tmp_path, text):
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match="is damaged"):
        cards.read_card(tmp_path / "m.toml")
