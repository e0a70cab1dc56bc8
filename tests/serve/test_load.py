"""Many requests at once, clients that go away, work that takes too long."""

from __future__ import annotations

import gc
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from service_helpers import PATIENCE, Caller, encoded, hammer, running

from tintype.pages import PagePainter
from tintype.serve import work
from tintype.serve.desk import Desk, GoneError, Job


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Work that goes on until the event is set, or until nobody wants it."""
    go_on = threading.Event()
    real = work.colorize

    def waiting(colorizer: Any, upload: Any, look: Any, format: Any, job: Any) -> Any:
        while not go_on.wait(0.01):
            job.check()
        return real(colorizer, upload, look, format, job)

    monkeypatch.setattr(work, "colorize", waiting)
    yield go_on
    go_on.set()


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> int:
    """Chroma of more bytes than the system takes for a client that does not read; how many."""
    ab = np.zeros((2000, 2000, 2), np.float32)
    monkeypatch.setattr(PagePainter, "ab", lambda *args, **options: ab)
    return ab.nbytes


def request(address: str, body: bytes, path: str = "/v1/colorize") -> socket.socket:
    """Send a picture and do not wait for the answer."""
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
    head = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def test_many_at_once_fail_only_by_429(tiny_model, jpeg):
    with running(model=str(tiny_model), workers=2, queue=6) as (address, desk):
        counts = hammer(address, jpeg, requests=200, at_once=16)
        assert sum(counts.values()) == 200
        assert set(counts) <= {200, 429}
        assert counts[200] >= 8
        until(lambda: desk.taken == desk.working == 0)


def test_beyond_the_queue_429_says_when_to_come_again(tiny_model, jpeg, slow):
    with running(model=str(tiny_model), workers=1, queue=2) as (address, desk):
        held = [request(address, jpeg) for _ in range(3)]
        until(lambda: desk.taken == 3)
        with Caller(address) as caller:
            status, headers, body = caller.post("/v1/colorize", jpeg)
            assert status == 429
            assert 1 <= int(headers["retry-after"]) <= 60
            assert "try again" in json.loads(body)["error"]
            slow.set()
            for connection in held:
                assert connection.recv(12) == b"HTTP/1.1 200"
                connection.close()
            until(lambda: desk.taken == 0)
            assert caller.post("/v1/colorize", jpeg)[0] == 200


def test_clients_that_go_away_free_their_places(tiny_model, jpeg, slow):
    with running(model=str(tiny_model), workers=1, queue=3) as (address, desk):
        held = [request(address, jpeg) for _ in range(4)]
        until(lambda: desk.taken == 4)
        for connection in held[1:]:  # those that wait
            connection.close()
        until(lambda: desk.taken == 1)
        held[0].close()  # the one in hand
        until(lambda: desk.taken == desk.working == 0)
        slow.set()
        with Caller(address) as caller:
            assert caller.post("/v1/colorize", jpeg)[0] == 200


def test_a_client_that_goes_away_while_it_sends_frees_its_place(tiny_model, jpeg):
    with running(model=str(tiny_model), workers=1, queue=1) as (address, desk):
        parts = urlsplit(address)
        connection = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
        connection.sendall(
            f"POST /v1/ab HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 99999\r\n\r\n".encode()
        )
        connection.sendall(jpeg[:500])
        until(lambda: desk.taken == 1)
        connection.close()
        until(lambda: desk.taken == 0)


def test_work_that_takes_too_long_is_given_up(tiny_model, jpeg, slow):
    with (
        running(model=str(tiny_model), workers=1, queue=1, timeout=0.3) as (address, desk),
        Caller(address) as caller,
    ):
        status, _, body = caller.post("/v1/colorize", jpeg)
        assert status == 503
        assert "longer than this service allows" in json.loads(body)["error"]
        until(lambda: desk.taken == desk.working == 0)


def test_a_body_that_comes_too_slowly_is_given_up(tiny_model):
    with running(model=str(tiny_model), workers=1, queue=1, timeout=0.3) as (address, desk):
        parts = urlsplit(address)
        connection = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)
        connection.sendall(
            f"POST /v1/ab HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 99999\r\n\r\n".encode()
        )
        assert connection.recv(12) == b"HTTP/1.1 408"
        connection.close()
        until(lambda: desk.taken == 0)


def test_a_place_is_held_until_the_answer_is_read(tiny_model, jpeg, large):
    with running(model=str(tiny_model), workers=1, queue=1) as (address, desk), Caller(address) as caller:
        held = [request(address, jpeg, "/v1/ab") for _ in range(2)]
        for connection in held:
            assert connection.recv(12) == b"HTTP/1.1 200"
        until(lambda: desk.ended == 2)
        assert caller.post("/v1/ab", jpeg)[0] == 429
        held[0].close()
        until(lambda: desk.taken == 1)
        assert read(held[1]) > large
        until(lambda: desk.taken == 0)
        status, headers, body = caller.post("/v1/ab", jpeg)
        assert (status, int(headers["content-length"])) == (200, len(body))
        held[1].close()


def read(connection: socket.socket) -> int:
    """How many bytes of an answer come until the service closes the connection."""
    size = 0
    while data := connection.recv(1 << 20):
        size += len(data)
    return size


def test_an_answer_that_nobody_reads_is_given_up(tiny_model, jpeg, large):
    with (
        running(model=str(tiny_model), workers=1, queue=1, timeout=1) as (address, desk),
        request(address, jpeg, "/v1/ab") as connection,
    ):
        assert connection.recv(12) == b"HTTP/1.1 200"
        assert desk.taken == 1
        until(lambda: desk.taken == 0)
        assert read(connection) < large


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The files that results are written to, which no collection of garbage closes meanwhile."""
    written: list[Any] = []

    class Watched(work._Result):
        def __init__(self, job: Any) -> None:
            super().__init__(job)
            written.append(self)

    monkeypatch.setattr(work, "_Result", Watched)
    gc.disable()
    yield written
    gc.enable()


def test_results_of_clients_that_hang_up_are_closed_at_once(tiny_model, results):
    picture = encoded(np.zeros((3600, 3200), np.uint8), "PNG")
    with running(model=str(tiny_model), workers=1, queue=1) as (address, desk):
        with request(address, picture, "/v1/colorize?format=bmp") as connection:
            assert connection.recv(12) == b"HTTP/1.1 200"
        until(lambda: desk.taken == 0)
        until(lambda: [result.closed for result in results] == [True])


def test_a_result_that_comes_too_late_is_closed(tiny_model, jpeg, slow, results, monkeypatch):
    monkeypatch.setattr(Job, "check", lambda job: None)  # the work goes on to its end
    with running(model=str(tiny_model), workers=1, queue=1, timeout=0.3) as (address, desk):
        with request(address, jpeg) as connection:
            assert connection.recv(12) == b"HTTP/1.1 503"
        assert desk.taken == 1
        slow.set()
        until(lambda: desk.taken == 0)
        assert [result.closed for result in results] == [True]


def test_a_service_that_is_stopped_says_so(tiny_model, jpeg, slow, capsys):
    with running(model=str(tiny_model), workers=1, queue=1) as (address, desk):
        held = [request(address, jpeg) for _ in range(2)]
        until(lambda: desk.taken == 2)
    answers = [connection.recv(1 << 16) for connection in held]
    for connection, answer in zip(held, answers, strict=True):
        connection.close()
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"is being stopped" in answer
    assert "Traceback" not in capsys.readouterr().err


def test_a_place_is_given_back_even_where_something_cannot_be_closed():
    desk = Desk(1, 0)
    for _ in range(2):
        with pytest.raises(OSError, match="full"), desk.place() as place:
            place.stack.callback(fail)
    assert desk.taken == 0


def fail() -> None:
    raise OSError("The disk is full.")


def test_a_result_that_nobody_wants_is_not_written_on():
    job = Job()
    with work._Result(job) as result:
        result.write(b"some")
        job.drop()
        with pytest.raises(GoneError):
            result.write(b"more")
