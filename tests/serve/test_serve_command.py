"""`tintype serve`: how it starts, for whom, and what cannot be."""

from __future__ import annotations

import http.client
import io
import os
import queue
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import uvicorn
from PIL import Image
from service_helpers import TOKEN, serving

from tintype import Colorizer
from tintype.cli import build_parser
from tintype.serve import bodies, work
from tintype.serve.command import run_serve, settings_of
from tintype.serve.desk import GoneError, Job


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
        return run(*args, **options)

    run = uvicorn.Server.run
    monkeypatch.setattr(uvicorn.Server, "run", interrupted)
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
