"""What the service gives other programs: pictures, chroma, previews, models, counters."""

from __future__ import annotations

import io
import json
import re
from urllib.parse import unquote

import numpy as np
import pillow_heif
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from service_helpers import HINTS, RAW, encoded, sentence

from tintype import Colorizer, Hint
from tintype.serve.app import make_app
from tintype.serve.settings import ServeSettings


def test_the_result_is_what_the_colorizer_gives(client, telling_model, jpeg):
    expected = Colorizer(telling_model).colorize_bytes(jpeg)[0]
    for response in (
        client.post("/v1/colorize", content=jpeg, headers=RAW),
        client.post("/v1/colorize", files={"picture": ("a.jpg", jpeg)}),
    ):
        assert response.status_code == 200
        assert response.headers["content-type"] == "image/jpeg"
        assert response.headers["tintype-size"] == "451x300"
        assert response.content == expected


@pytest.mark.parametrize("format", ["jpg", "png", "tif", "jp2", "webp", "avif", "gif", "bmp"])
def test_another_format(client, jpeg, format):
    response = client.post("/v1/colorize", params={"format": format}, content=jpeg)
    assert response.status_code == 200
    with Image.open(io.BytesIO(response.content)) as picture:
        assert picture.get_format_mimetype() == response.headers["content-type"]
        assert picture.size == (451, 300)


def test_what_is_not_written_comes_back_as_jpeg(client):
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.new("L", (50, 40), 90)).save(file)
    response = client.post("/v1/colorize", content=file.getvalue())
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["tintype-format"] == "HEIF"
    with Image.open(io.BytesIO(response.content)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (50, 40))
    assert client.post("/v1/preview", content=file.getvalue()).status_code == 200


def test_metadata_stays(client, jpeg):
    with Image.open(io.BytesIO(client.post("/v1/colorize", content=jpeg).content)) as picture:
        assert picture.getexif()[0x010E] == "A cat"
        assert picture.info["dpi"] == (300, 300)


def test_all_pages_and_16_bits_stay(client):
    pages = [Image.fromarray(np.full((40, 50), level, np.uint16)) for level in (9000, 40000)]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    response = client.post("/v1/colorize", content=file.getvalue())
    assert response.headers["tintype-pages"] == "2"
    import tifffile

    with tifffile.TiffFile(io.BytesIO(response.content)) as tiff:
        assert [page.asarray().dtype.name for page in tiff.pages] == ["uint16", "uint16"]
    assert "2 pages" in sentence(client.post("/v1/colorize?format=png", content=file.getvalue()))


def test_settings_are_heeded(client, telling_model, jpeg):
    response = client.post(
        "/v1/colorize", params={"strength": 0.5, "vividness": 2, "format": "png"}, content=jpeg
    )
    colorizer = Colorizer(telling_model, strength=0.5, vividness=2)
    assert response.content == colorizer.colorize_bytes(jpeg, format="png")[0]


def test_candidates_are_those_of_the_colorizer(client, telling_model, jpeg):
    expected = Colorizer(telling_model).candidates(jpeg, 3)
    for number, picture in enumerate(expected, start=1):
        assert client.post(f"/v1/colorize?candidate={number}", content=jpeg).content == picture


def test_hints_by_query_and_by_form_are_those_of_the_command(client, telling_model, jpeg):
    hint = Hint(x=0.5, y=0.5, color="#c02030", radius=0.1, units="fractions")
    expected = Colorizer(telling_model).colorize_bytes(jpeg, hints=[hint])[0]
    assert expected != Colorizer(telling_model).colorize_bytes(jpeg)[0]
    text = json.dumps(HINTS)
    by_query = client.post("/v1/colorize", params={"hints": text}, content=jpeg)
    by_form = client.post("/v1/colorize", files={"picture": jpeg}, data={"hints": text})
    as_file = client.post("/v1/colorize", files={"picture": ("a.jpg", jpeg), "hints": ("h.json", text)})
    assert by_query.content == by_form.content == as_file.content == expected


def test_the_chroma_alone(client, telling_model, jpeg):
    response = client.post("/v1/ab", content=jpeg)
    ab = np.load(io.BytesIO(response.content), allow_pickle=False)
    assert ab.dtype == np.float32
    L = np.zeros((300, 451), np.float32)
    assert ab.shape == Colorizer(telling_model).predict_ab(L).shape
    hinted = np.load(
        io.BytesIO(client.post("/v1/ab", params={"hints": json.dumps(HINTS)}, content=jpeg).content)
    )
    middle = tuple(side // 2 for side in ab.shape[:2])
    np.testing.assert_allclose(hinted[middle], lab_of("#c02030"), atol=0.5)


def lab_of(color: str) -> np.ndarray:
    from tintype.guidance import hex_to_ab

    return hex_to_ab(color)


@pytest.mark.parametrize("orientation", [1, 6])
def test_previews_are_upright_and_small(client, grey_photo, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = encoded(grey_photo, "JPEG", exif=exif)
    for show, mode in (("grey", "L"), ("color", "RGB"), ("confidence", "RGB")):
        response = client.post(f"/v1/preview?side=150&show={show}", content=picture)
        with Image.open(io.BytesIO(response.content)) as shown:
            assert shown.mode == mode
            assert shown.size == ((150, 100) if orientation == 1 else (100, 150))
        assert response.headers["tintype-size"] == ("451x300" if orientation == 1 else "300x451")


def test_the_models(client):
    models = {model["name"]: model for model in client.get("/v1/models").json()}
    assert models["telling"]["default"]
    assert all(models["telling"][able] for able in ("hints", "vividness", "candidates"))
    assert not models["tint"]["default"]
    assert not models["autoencoder"]["hints"]


def test_another_model(client, jpeg):
    response = client.post("/v1/colorize?model=autoencoder", content=jpeg)
    assert response.headers["tintype-model"] == "autoencoder"
    assert response.content == Colorizer("autoencoder").colorize_bytes(jpeg)[0]


def test_health_and_metrics(client, jpeg):
    assert client.get("/healthz").json() == {"status": "ok"}
    client.post("/v1/ab", content=jpeg)
    client.get("/v1/no/such/route")
    text = client.get("/metrics").text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r'[a-z_]+(\{route="[^"]*",status="\d+"\})? [0-9.]+', line) for line in lines)
    values = dict(line.rsplit(" ", 1) for line in lines)
    assert float(values['tintype_requests_total{route="/v1/ab",status="200"}']) >= 1
    assert float(values['tintype_requests_total{route="other",status="404"}']) >= 1
    assert float(values["tintype_work_seconds_count"]) >= 1
    assert values["tintype_places_taken"] == "0"


def test_a_model_of_any_name_is_told(tmp_path, tiny_model, jpeg):
    card = tiny_model.with_suffix(".toml").read_text()
    (tmp_path / "m.onnx").write_bytes(tiny_model.read_bytes())
    (tmp_path / "m.toml").write_text(card.replace('name = "tiny"', 'name = "模型"'), encoding="utf-8")
    settings = ServeSettings(model=str(tmp_path / "m.onnx"))
    with TestClient(make_app(settings), base_url="http://localhost") as client:
        response = client.post("/v1/colorize", content=jpeg)
    assert response.status_code == 200
    assert unquote(response.headers["tintype-model"]) == "模型"
