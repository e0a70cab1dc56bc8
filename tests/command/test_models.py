"""`tintype models` as a user meets it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tintype import cards, cli
from tintype.cards import ModelCard


def card(name: str, **more: Any) -> ModelCard:
    plain = {"version": "1.2", "recipe": "tint", "license": "Apache-2.0", "sha256": "0" * 64}
    return ModelCard(name=name, description=f"Colours like {name}.", **plain, **more)


def test_models_as_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    scores = {"grey": {"psnr": 20.0}, "tint": {"psnr": 24.25, "lpips": 0.178, "on": "val-224"}}
    both = [card("tint", parameters=2_900_000, file_bytes=11_600_000, scores=scores), card("other")]
    monkeypatch.setattr(cards, "list_models", lambda: both)
    assert cli.main(["models"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "NAME   VERSION  RECIPE  LICENCE     PARAMETERS  FILE",
        "tint   1.2      tint    Apache-2.0  2.9 M       11.6 MB",
        "  Colours like tint.",
        "  psnr 24.25, lpips 0.178",
        "other  1.2      tint    Apache-2.0  0.0 M       0.0 MB",
        "  Colours like other.",
    ]
    assert cli.main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == ["tint", "other"]
    assert listed[0]["scores"] == scores


def test_no_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cards, "list_models", list)
    assert cli.main(["models"]) == 0
    assert "No model is installed" in capsys.readouterr().out
