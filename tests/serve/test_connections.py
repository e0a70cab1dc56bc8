"""Connections that ask nothing, too many of them, and how the service ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from service_helpers import PATIENCE, Caller, encoded, running

from tintype.serve import door, server


def connect(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE)


def told(connection: socket.socket) -> bytes:
    """All that comes until the connection is closed."""
    pieces = []
    try:
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("begun", [b"", b"GET / HT"])
def test_a_connection_without_a_request_is_closed(tiny_model, monkeypatch, answered, begun):
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(server, "_IDLE_SECONDS", 1)
    with running(model=str(tiny_model)) as (address, _), connect(address) as idle:
        if answered:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while b'"ok"}' not in answer:
                answer += idle.recv(1 << 16)
        began = time.monotonic()
        idle.sendall(begun)
        assert told(idle) == b""
        assert time.monotonic() - began > 0.4


def test_a_head_that_drips_is_closed(tiny_model, monkeypatch):
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.5)
    with running(model=str(tiny_model)) as (address, _), connect(address) as slow:
        began = time.monotonic()
        slow.settimeout(0.05)
        while time.monotonic() - began < PATIENCE:
            try:
                slow.sendall(b"G")
                if not slow.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert 0.4 < time.monotonic() - began < PATIENCE


def test_a_body_has_time_of_its_own(tiny_model, jpeg, monkeypatch):
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.2)
    with running(model=str(tiny_model)) as (address, _), connect(address) as client:
        head = f"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        client.sendall(head.encode() + jpeg[:100])
        time.sleep(0.6)
        client.sendall(jpeg[100:])
        assert client.recv(12) == b"HTTP/1.1 200"


def test_idle_connections_make_room_for_new_ones(tiny_model, jpeg, monkeypatch):
    monkeypatch.setattr(door, "most_connections", lambda: 4)
    with running(model=str(tiny_model)) as (address, _), ExitStack() as stack:
        idle = []
        for _ in range(12):
            idle.append(stack.enter_context(connect(address)))
            time.sleep(0.02)
        with Caller(address) as caller:
            assert caller.post("/v1/colorize", jpeg)[0] == 200
        for connection in idle[:8]:  # those that have waited for longest
            assert told(connection) == b""
        idle[-1].sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in told(idle[-1])


def test_where_all_have_a_request_new_ones_are_told(tiny_model, jpeg, monkeypatch):
    monkeypatch.setattr(door, "most_connections", lambda: 2)
    head = f"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
    with running(model=str(tiny_model)) as (address, desk), ExitStack() as stack:
        busy = [stack.enter_context(connect(address)) for _ in range(2)]
        for connection in busy:
            connection.sendall(head)
        end = time.monotonic() + PATIENCE
        while desk.taken < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        for body in (b"", bytes(5_000_000)):  # which is not to break the connection
            client = stack.enter_context(connect(address))
            client.sendall(head + body)
            client.shutdown(socket.SHUT_WR)
            answer = told(client)
            assert answer.startswith(b"HTTP/1.1 503")
            assert "Too many connections" in json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        for connection in busy:
            connection.sendall(jpeg)
            assert connection.recv(12) == b"HTTP/1.1 200"


@contextmanager
def process(*arguments: str, before: str = "") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`tintype serve` as a user starts it, after some Python `before`: its address, and itself."""
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{start}\n{before}\nfrom tintype.cli import main\nraise SystemExit(main())"
    command = [sys.executable, "-c", code, "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as served:
        assert served.stderr is not None
        try:
            yield served.stderr.readline().partition("Open ")[2].split()[0], served
        finally:
            served.kill()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_nobody_holds_all_files_that_the_process_may_open(tiny_model):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))"
    with process("--model", str(tiny_model), before=limit) as (address, served), ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connect(address))
        with urlopen(f"{address}healthz", timeout=PATIENCE) as answer:
            assert answer.status == 200
        served.terminate()
        _, err = served.communicate(timeout=PATIENCE)
        assert "Traceback" not in err
        assert "out of system resource" not in err


def held(address: str, stack: ExitStack) -> socket.socket:
    """A request that the service has in hand for as long as its body does not come."""
    connection = stack.enter_context(connect(address))
    connection.sendall(b"POST /v1/colorize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
    time.sleep(0.5)
    return connection


@pytest.mark.skipif(os.name == "nt", reason="signals are sent")
def test_a_second_ctrl_c_ends_in_order(tiny_model):
    with process("--model", str(tiny_model)) as (address, served), ExitStack() as stack:
        held(address, stack)
        served.send_signal(signal.SIGINT)
        time.sleep(0.3)
        served.send_signal(signal.SIGINT)
        _, err = served.communicate(timeout=PATIENCE)
        assert err.strip() == "tintype: stopped."  # and not that it waited for the request in vain
        assert served.returncode == 130


@pytest.mark.skipif(os.name == "nt", reason="signals are sent")
def test_ctrl_c_that_is_ignored_stays_so(tiny_model):
    ignored = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    with process("--model", str(tiny_model), before=ignored) as (address, served):
        served.send_signal(signal.SIGINT)
        time.sleep(1)
        with urlopen(f"{address}healthz", timeout=PATIENCE) as answer:
            assert answer.status == 200
        served.terminate()
        served.communicate(timeout=PATIENCE)


def test_services_of_one_host_have_cookies_of_their_own(tiny_model):
    names = set()
    for token in ("a" * 20, "b" * 20):
        with running(model=str(tiny_model), token=token) as (address, _), connect(address) as client:
            client.sendall(f"GET /?token={token} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            head = told(client).decode()
            names.add(head.partition("set-cookie: ")[2].partition("=")[0])
    assert len(names) == 2


REFUSED = (
    b"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: close\r\nContent-Length: 30000000\r\n\r\n"  # as Python's urllib closes
)


def test_who_is_still_sending_hears_the_answer(tiny_model):
    with running(model=str(tiny_model)) as (address, _), connect(address) as client:
        client.sendall(REFUSED)
        for _ in range(30):
            client.sendall(bytes(1_000_000))
        client.shutdown(socket.SHUT_WR)
        assert told(client).startswith(b"HTTP/1.1 404")


def test_who_sends_on_and_on_is_closed(tiny_model, monkeypatch):
    monkeypatch.setattr(door, "LINGER_SECONDS", 0.5)
    with running(model=str(tiny_model)) as (address, _), connect(address) as client:
        client.sendall(REFUSED)
        began = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - began < PATIENCE:
                client.sendall(b"x")
                time.sleep(0.01)
        assert 0.3 < time.monotonic() - began < PATIENCE


def test_the_end_does_not_wait_for_who_sends_on(tiny_model):
    """As long as it would for a request that is in hand."""
    with process("--model", str(tiny_model)) as (address, served), connect(address) as client:
        client.sendall(REFUSED)
        assert client.recv(12) == b"HTTP/1.1 404"
        began = time.monotonic()
        served.send_signal(signal.SIGINT)
        served.wait(PATIENCE)
        assert time.monotonic() - began < server.END_SECONDS - 1


def wanting_bmp(picture):
    """A request whose answer is large."""
    head = f"POST /v1/colorize?format=bmp HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(picture)}"
    return f"{head}\r\n\r\n".encode() + picture


@pytest.fixture
def alive(monkeypatch):
    """The connections that the service holds, each of which takes a file."""
    found = set()
    made, lost = door.Door.connection_made, door.Door.connection_lost
    monkeypatch.setattr(
        door.Door, "connection_made", lambda self, transport: (found.add(self), made(self, transport))
    )
    monkeypatch.setattr(
        door.Door, "connection_lost", lambda self, error: (found.discard(self), lost(self, error))
    )
    return found


def test_who_does_not_read_its_answer_makes_room(tiny_model, monkeypatch, alive):
    """Closed they are, but what they do not read keeps the connection; a new one takes its place."""
    came = []
    made = door.Door.connection_made
    monkeypatch.setattr(
        door.Door, "connection_made", lambda self, transport: (made(self, transport), came.append(self))
    )
    monkeypatch.setattr(door, "most_connections", lambda: 1)
    picture = encoded(np.zeros((2000, 2000), np.uint8), "PNG")
    with running(model=str(tiny_model), timeout=1) as (address, _), ExitStack() as stack:
        for number in range(4):
            client = stack.enter_context(connect(address))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(wanting_bmp(picture))
            end = time.monotonic() + PATIENCE
            while len(came) <= number or not came[number].transport.is_closing():
                assert time.monotonic() < end
                time.sleep(0.05)
        assert len(alive) <= 2


def test_an_answer_that_is_not_read_is_given_up(tiny_model, monkeypatch, alive):
    monkeypatch.setattr(door, "UNREAD_SECONDS", 0.5)
    with running(model=str(tiny_model), timeout=1) as (address, _), connect(address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(wanting_bmp(encoded(np.zeros((2000, 2000), np.uint8), "PNG")))
        end = time.monotonic() + PATIENCE
        while not alive:
            assert time.monotonic() < end
            time.sleep(0.01)
        while alive:
            assert time.monotonic() < end
            time.sleep(0.05)
