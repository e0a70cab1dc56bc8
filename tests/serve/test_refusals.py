"""What the service refuses, in one sentence each."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from service_helpers import HINTS, ROUTES, encoded, sentence

from tintype.serve import work


@pytest.mark.parametrize("route", ROUTES)
def test_bad_bodies_get_a_sentence(client, jpeg, route):
    assert "no picture" in sentence(client.post(route))
    assert "not a picture" in sentence(client.post(route, content=b"words, no picture"))
    response = client.post(route, content=jpeg[: len(jpeg) // 2])
    assert response.status_code == 422
    assert "damaged or truncated" in sentence(response)


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"strength": "2.1"}, "strength"),
        ({"strength": "nan"}, "strength"),
        ({"vividness": "-1"}, "vividness"),
        ({"candidate": "17"}, "candidate"),
        ({"format": "exe"}, "format"),
        ({"vividnes": "0"}, "There is no setting vividnes here"),
        ({"side": "64"}, "There is no setting side here"),
        ({"strength": ["1", "0.2"]}, "The query has strength twice"),
        ({"hints": '{"points": [], "points": []}'}, "'points' stands twice in one object"),
        ({"model": "../../etc/passwd"}, "There is no model"),
        ({"model": "models/other.onnx"}, "There is no model"),
        ({"model": "autoencoder", "vividness": "0.5"}, "cannot be told how vivid"),
        ({"model": "autoencoder", "candidate": "2"}, "cannot give several"),
        ({"model": "autoencoder", "hints": json.dumps(HINTS)}, "cannot be told colours"),
        ({"hints": "[" * 20_000}, "no JSON"),
        ({"hints": "1" * 5000}, "no JSON"),
        ({"hints": "{}"}, "points"),
        ({"hints": '{"points": [{"x": 1e999, "y": 1, "color": "#aabbcc"}]}'}, "is a number"),
        ({"hints": '{"points": [{"x": 1%s, "y": 1, "color": "#aabbcc"}]}' % ("0" * 400)}, "is a number"),
        ({"hints": '{"points": [{"x": 9999, "y": 1, "color": "#aabbcc"}]}'}, "outside of the picture"),
        ({"hints": '{"points": [{"x": 1, "y": 1, "color": 7}]}'}, "color"),
    ],
)
def test_bad_settings_get_a_sentence(client, jpeg, query, word):
    response = client.post("/v1/colorize", params=query, content=jpeg)
    assert response.status_code == 422
    assert word in sentence(response)


def test_a_preview_takes_hints_as_the_whole_picture_does(client, jpeg):
    with Image.open(io.BytesIO(jpeg)) as opened:
        width, height = opened.size
    told = {"x": width * 0.75, "y": height * 0.8, "radius": min(width, height) / 8, "color": "#c02020"}
    point = told | {"x": 0.75, "y": 0.8, "radius": 1 / 8}
    texts = [json.dumps({"points": [told]}), json.dumps({"units": "fractions", "points": [point]})]
    small = [
        client.post("/v1/preview", params={"hints": text, "side": min(width, height) // 2}, content=jpeg)
        for text in texts
    ]
    assert [response.status_code for response in small] == [200, 200]
    assert small[0].content == small[1].content
    far = json.dumps({"points": [told | {"x": width + 1}]})
    refused = client.post("/v1/preview", params={"hints": far}, content=jpeg)
    assert f"outside of the picture of {width} × {height} pixels" in sentence(refused)


@pytest.mark.parametrize(
    ("route", "query", "word"),
    [
        ("ab", {"strength": "0"}, "leave strength out"),
        ("ab", {"candidate": "2"}, "leave candidate out"),
        ("preview", {"show": "confidence", "candidate": "3"}, "leave candidate out"),
    ],
)
def test_settings_that_a_route_has_no_use_for_are_refused(client, jpeg, route, query, word):
    response = client.post(f"/v1/{route}", params=query, content=jpeg)
    assert response.status_code == 422
    assert word in sentence(response)


def test_too_many_hints(client, jpeg):
    many = json.dumps({"points": [{"x": 1, "y": 1, "color": "#aabbcc"}] * 1001})
    response = client.post("/v1/colorize", files={"picture": jpeg}, data={"hints": many})
    assert "1,001 hints" in sentence(response)


def test_bad_forms_get_a_sentence(client, jpeg):
    def form(body: bytes, kind: str = "multipart/form-data; boundary=x") -> Any:
        response = client.post("/v1/colorize", content=body, headers={"Content-Type": kind})
        assert response.status_code == 400
        return sentence(response)

    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    assert "boundary" in form(b"", "multipart/form-data")
    assert "damaged" in form(b"no form at all")
    assert "cut off" in form(part % (b"picture", b"..."))
    assert "no part named picture" in form(part % (b"hints", b"{}") + b"--x--\r\n")
    assert "not 'path'" in form(part % (b"path", b"/etc/passwd") + b"--x--\r\n")
    assert "more than one" in form(part % (b"picture", b"1") + part % (b"picture", b"2") + b"--x--\r\n")
    assert "UTF-8" in form(part % (b"picture", b"1") + part % (b"hints", b"\xff") + b"--x--\r\n")
    twice = client.post("/v1/colorize", params={"hints": "{}"}, files={"picture": jpeg}, data={"hints": "{}"})
    assert "twice" in sentence(twice)


def test_sizes_are_bounded_before_decoding(client, jpeg, monkeypatch):
    assert client.post("/v1/colorize", content=bytes(2_000_001)).status_code == 413
    streamed = client.post("/v1/colorize", content=(bytes(100_000) for _ in range(21)))
    assert "2,000,000 bytes" in sentence(streamed)
    monkeypatch.setattr("tintype.images.picture.ArrayPage._decoded", lambda self: pytest.fail("decoded"))
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"):
        bomb = encoded(np.zeros((1000, 700), np.uint8), kind)
        response = client.post("/v1/colorize", content=bomb)
        assert response.status_code == 413, kind
        assert "limit" in sentence(response)


def test_pages_together_are_bounded(client):
    page = Image.fromarray(np.zeros((300, 400), np.uint8))
    file = io.BytesIO()
    page.save(file, "TIFF", save_all=True, append_images=[page] * 4, compression="tiff_deflate")
    response = client.post("/v1/colorize", content=file.getvalue())
    assert response.status_code == 413
    assert "600,000" in sentence(response)


def test_routes_that_are_not_there(client):
    assert client.get("/v1/colorize").status_code == 405
    for path in ("/docs", "/redoc", "/..%2f..%2fpyproject.toml", "/static/main.js", "/main.py"):
        assert client.get(path).status_code == 404
        sentence(client.get(path))


def test_a_fault_gets_a_sentence_and_is_known(client, frank, jpeg, monkeypatch):
    def fail(*args: Any) -> None:
        raise RuntimeError("what no client should read")

    monkeypatch.setattr(work, "preview", fail)
    with pytest.raises(RuntimeError):  # the server hears of it and prints where it was
        client.post("/v1/preview", content=jpeg)
    response = frank.post("/v1/preview", content=jpeg)
    assert response.status_code == 500
    assert "no client" not in sentence(response)
    assert response.headers["content-security-policy"]
    assert 'tintype_requests_total{route="/v1/preview",status="500"} 2' in client.get("/metrics").text
