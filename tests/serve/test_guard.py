"""Who may ask: names, other sites, tokens, and what a browser is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from service_helpers import ROUTES, TOKEN

from tintype.serve.app import make_app
from tintype.serve.guard import SECURITY_HEADERS
from tintype.serve.settings import ServeSettings


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
