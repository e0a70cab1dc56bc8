"""The service as other programs call it."""

from __future__ import annotations

import errno
import http.client
import io
import json
import os
import queue
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pillow_heif
import pytest
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image
from service_helpers import encoded, serving

from tintype import Colorizer, Hint
from tintype.cli import build_parser
from tintype.serve import bodies, work
from tintype.serve.app import make_app
from tintype.serve.command import run_serve, settings_of
from tintype.serve.desk import GoneError, Job
from tintype.serve.guard import SECURITY_HEADERS
from tintype.serve.settings import ServeSettings

HINTS = {"units": "fractions", "points": [{"x": 0.5, "y": 0.5, "color": "#c02030", "radius": 0.1}]}
RAW = {"Content-Type": "application/octet-stream"}
ROUTES = ("/v1/colorize", "/v1/ab", "/v1/preview")


@pytest.fixture(scope="module")
def client(telling_model: Path) -> Iterator[TestClient]:
    settings = ServeSettings(
        model=str(telling_model), max_pixels=500_000, max_bytes=2_000_000, workers=2, queue=4
    )
    with TestClient(make_app(settings), base_url="http://localhost") as opened:
        yield opened


def sentence(response: Any) -> str:
    """The one sentence of a refusal."""
    text = response.json()["error"]
    assert list(response.json()) == ["error"]
    assert re.fullmatch(r"[A-Z][^\n]{8,300}[.!]", text), text
    assert "/tmp" not in text
    return text


# --- what it gives


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


# --- what it refuses


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


# --- uploads that outgrow memory


def test_a_large_upload_lies_on_disk_while_it_is_needed_and_no_longer(client, jpeg, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(bodies, "MEMORY_BYTES", 10_000)
    seen: list[list[str]] = []
    source = bodies.Upload.source

    def watched(upload: bodies.Upload) -> Any:
        seen.append([path.name for path in tmp_path.iterdir()])
        return source(upload)

    monkeypatch.setattr(bodies.Upload, "source", watched)
    response = client.post("/v1/colorize", content=jpeg)
    assert response.status_code == 200
    assert len(seen[0]) == 1
    assert seen[0][0].startswith("tintype-upload-")
    assert list(tmp_path.iterdir()) == []
    refused = client.post("/v1/colorize", content=b"x" * 20_000)
    assert refused.status_code == 422
    sentence(refused)  # which does not tell where the file was
    assert list(tmp_path.iterdir()) == []


def test_a_small_upload_never_lies_on_disk(client, jpeg, monkeypatch):
    monkeypatch.setattr("tempfile.NamedTemporaryFile", lambda **options: pytest.fail("a file"))
    assert client.post("/v1/colorize", files={"picture": jpeg}).status_code == 200


def test_a_full_disk_is_told_and_costs_no_place(client, frank, monkeypatch):
    class Full:
        name = "/tmp/full"

        def writelines(self, parts: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/full")

        def close(self) -> None:
            self.writelines([])

    monkeypatch.setattr(bodies, "MEMORY_BYTES", 1000)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", lambda **options: Full())
    for _ in range(10):
        response = frank.post("/v1/colorize", content=bytes(20_000))
        assert response.status_code == 500
        assert "No space left on device" in sentence(response)
    assert client.app.state.desk.taken == 0


# --- what should not happen


@pytest.fixture
def frank(client: TestClient) -> TestClient:
    """A client that hears of the service's own faults as others do."""
    return TestClient(client.app, base_url="http://localhost", raise_server_exceptions=False)


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


# --- who may ask


def test_every_answer_has_the_headers(client, jpeg):
    for response in (
        client.get("/"), client.get("/main.js"), client.get("/api"), client.get("/openapi.json"),
        client.get("/no"), client.post("/v1/colorize", content=jpeg), client.post("/v1/ab"),
        client.get("/", headers={"Host": "evil.example"}),
    ):  # fmt: skip
        for name, value in SECURITY_HEADERS.items():
            if name != "Cache-Control":
                assert response.headers[name] == value
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_page_names_no_other_host_and_has_no_code_in_it(client):
    page = client.get("/").text + client.get("/api").text
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|https?://(?!www\.w3\.org)", page)
    for name in set(re.findall(r'(?:src|href)="(/[^"#]+)"', page)) - {"/api", "/openapi.json"}:
        assert client.get(name).status_code == 200, name


def test_files_of_the_page_are_asked_for_again_only_when_they_change(client):
    first = client.get("/main.js")
    again = client.get("/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_another_name_for_this_computer_is_refused(client, jpeg):
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io", ""):
        response = client.post("/v1/colorize", content=jpeg, headers={"Host": host})
        assert response.status_code == 403, host
    for host in ("localhost:9", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 200, host


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:9999"},
        {"Origin": "http://["}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
def test_another_sites_page_is_refused(client, jpeg, headers):
    assert client.post("/v1/colorize", content=jpeg, headers=headers).status_code == 403
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/colorize", content=jpeg, headers=own).status_code == 200


TOKEN = "a token that is long enough"


@pytest.fixture(scope="module")
def locked(tiny_model: Path) -> Iterator[TestClient]:
    """A service for other computers."""
    with TestClient(make_app(ServeSettings(model=str(tiny_model), token=TOKEN, hosts=None))) as opened:
        yield opened


def test_without_the_token_nothing_is_given(locked, jpeg):
    for method, path in [("GET", "/"), ("GET", "/main.js"), ("GET", "/openapi.json"), ("GET", "/metrics"),
                         ("GET", "/v1/models"), *(("POST", route) for route in ROUTES)]:  # fmt: skip
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Cookie": f"tintype={TOKEN}"},
            {"Cookie": "tintype="},
        ):
            response = locked.request(method, path, content=jpeg, headers=headers)
            assert response.status_code == 401, path
            assert response.headers["www-authenticate"] == "Bearer"
    assert locked.get("/healthz").status_code == 200


def test_the_token_opens(locked, jpeg):
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "any.example"}
    assert locked.post("/v1/colorize", content=jpeg, headers=headers).status_code == 200


def test_a_browser_gets_a_cookie_for_the_token(locked):
    asked = locked.get("/", headers={"Accept": "text/html"})
    assert asked.status_code == 401
    assert "Give the token" in asked.text
    wrong = locked.get("/", params={"token": "<b>"}, headers={"Accept": "text/html"})
    assert "That is not the token" in wrong.text
    assert "<b>" not in wrong.text
    entered = locked.get("/", params={"token": TOKEN}, follow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    pair = cookie.partition(";")[0]
    assert locked.get("/v1/models", headers={"Cookie": pair}).status_code == 200
    for other in ('prefs={"theme":"dark"}', "name=John Smith", "flag", "a[b]=1", "", "tintype=old"):
        for cookies in (f"{other}; {pair}", f"{pair}; {other}"):  # those of other programs of the same host
            assert locked.get("/v1/models", headers={"Cookie": cookies}).status_code == 200


# --- the command


def test_the_token_is_not_in_what_opens_the_browser(tiny_model, monkeypatch, capsys):
    opened: queue.Queue[str] = queue.Queue()

    def look(address: str) -> None:
        opened.put(address)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("webbrowser.open", look)
    monkeypatch.setenv("TINTYPE_TOKEN", TOKEN)
    with pytest.raises(KeyboardInterrupt):
        run_serve(build_parser().parse_args(["serve", "--open", "--port", "0", "--model", str(tiny_model)]))
    address = opened.get(timeout=20)  # other users see it in the list of processes
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    assert f"{address}?token=" in capsys.readouterr().err


@pytest.mark.filterwarnings("error")
def test_an_interrupt_before_it_listens_ends_it(tiny_model, monkeypatch, capsys):
    def interrupted(*args, **options):
        signal.raise_signal(signal.SIGINT)
        return asyncio_run(*args, **options)

    asyncio_run = uvicorn.server.asyncio_run
    monkeypatch.setattr("uvicorn.server.asyncio_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_serve(build_parser().parse_args(["serve", "--port", "0", "--model", str(tiny_model)]))
    assert capsys.readouterr().err == ""


def test_a_token_is_made_up_for_other_computers(tiny_model):
    with serving("--host", "0.0.0.0", "--model", str(tiny_model)) as address:
        assert re.search(r"\?token=[\w-]{32}$", address)
    with serving("--model", str(tiny_model)) as address:
        assert "token" not in address


def test_the_address_that_is_told_holds_any_token(tiny_model):
    token = "a+b/c=d&e#f%20g?hi"
    with serving("--model", str(tiny_model), "--token", token) as address:
        told = urlsplit(address)
        connection = http.client.HTTPConnection(told.netloc)
        for query, status in ((told.query, 303), (f"token={token}", 401)):
            connection.request("GET", f"/?{query}")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
        connection.close()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--token", "short"], 2, "at least 16"),
        (["--token", ""], 2, "at least 16"),
        (["--token", "0123456789abcdef "], 2, "space at its ends"),
        (["--model", "nothing"], 1, "There is no model named"),
        (["--host", "203.0.113.7"], 1, "cannot be used"),
        (["--port", "70000"], 2, "from 0 to 65535"),
    ],
)
def test_a_start_that_cannot_be(arguments, status, words):
    command = [sys.executable, "-m", "tintype", "serve", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "token", "names"),
    [
        ([], False, {"127.0.0.1", "localhost", "[::1]"}),
        (["--host", "::1"], False, {"127.0.0.1", "localhost", "[::1]"}),
        (["--host", "127.0.0.9"], False, {"127.0.0.1", "localhost", "[::1]", "127.0.0.9"}),
        (["--token", TOKEN], True, None),  # behind a server that speaks HTTPS
        (["--host", "0.0.0.0"], True, None),
        (["--host", "photos.example"], True, None),
    ],
)
def test_who_a_service_is_for(arguments, token, names, monkeypatch):
    monkeypatch.delenv("TINTYPE_TOKEN", raising=False)
    settings = settings_of(build_parser().parse_args(["serve", *arguments]))
    assert (settings.token is not None) == token
    assert settings.hosts == names


def test_the_token_of_the_environment(monkeypatch):
    monkeypatch.setenv("TINTYPE_TOKEN", TOKEN)
    assert settings_of(build_parser().parse_args(["serve"])).token == TOKEN


def test_a_port_that_is_taken(service):
    port = service.rstrip("/").rpartition(":")[2]
    command = [sys.executable, "-m", "tintype", "serve", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"Port {port}" in done.stderr


def test_without_the_extra_there_is_one_sentence():
    code = (
        "import sys; sys.modules['uvicorn'] = None; from tintype.cli import main; sys.exit(main(['serve']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'tintype[web]'" in done.stderr


def test_no_further_page_is_looked_at_for_a_client_that_has_gone(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [Image.fromarray(np.full((40, 48), n, np.uint8)) for n in range(5)]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    upload, job, colorizer = bodies.Upload(), Job(), Colorizer(tiny_model, threads=1)
    upload.write(file.getvalue())
    looked, look = [], colorizer.painter.field

    def watched(page: Any, **options: Any) -> Any:
        looked.append(page)
        if len(looked) == 2:
            job.drop()
        return look(page, **options)

    monkeypatch.setattr(colorizer.painter, "field", watched)
    with pytest.raises(GoneError):
        work.colorize(colorizer, upload, work.Look(), None, job)
    assert len(looked) == 2
