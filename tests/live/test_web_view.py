"""The view in a browser."""

from __future__ import annotations

import socket
import struct
import threading
import time
import urllib.error
import urllib.request

import pytest
import simplejpeg
from live_helpers import numbered

from tintype.errors import TintypeError
from tintype.live.web import WebView


@pytest.fixture
def web():
    view = WebView(0)
    yield view
    view.close()


def request(view, path, method="GET", **headers):
    asked = urllib.request.Request(view.address + path, method=method, headers=headers)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return answer.status, answer.read()


def test_the_browser_gets_the_newest_picture(web):
    assert web.address.startswith("http://127.0.0.1:")
    assert b"/stream" in request(web, "")[1]
    for rgb in numbered(5):
        web.show(rgb)
    with urllib.request.urlopen(web.address + "stream", timeout=10) as answer:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += answer.read(1)
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        picture = simplejpeg.decode_jpeg(answer.read(length))
        assert abs(int(picture[24, 32, 0]) - 20) <= 2


def test_keys_come_from_the_page_alone(web):
    assert request(web, "key/s", "POST", **{"X-Tintype": "1"})[0] == 204
    assert web.pressed() == ["s"]
    assert web.pressed() == []
    for path, headers in (
        ("key/q", {}),  # another site's form
        ("key/q", {"X-Tintype": "1", "Host": "evil.example"}),
        ("key/rm", {"X-Tintype": "1"}),
    ):
        with pytest.raises(urllib.error.HTTPError):
            request(web, path, "POST", **headers)
    assert web.pressed() == []


def test_a_browser_that_waits_is_let_go_at_the_end():
    view = WebView(0)
    view.show(numbered(1)[0])
    done = threading.Event()

    def look():
        with urllib.request.urlopen(view.address + "stream", timeout=10) as answer:
            answer.read()
        done.set()

    thread = threading.Thread(target=look)
    thread.start()
    time.sleep(0.2)
    view.close()
    assert done.wait(10)
    thread.join()


def test_a_browser_that_hangs_up_is_no_fault(web, capsys):
    port = int(web.address.rsplit(":", 1)[1].strip("/"))
    web.show(numbered(1)[0])
    for text in (b"", b"GET / HTTP/1.1\r\n", b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port)) as browser:
            browser.sendall(text)
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # by a reset
    assert b"/stream" in request(web, "")[1]
    web.close()
    time.sleep(0.2)
    assert capsys.readouterr() == ("", "")


def test_a_port_that_is_taken(web):
    with pytest.raises(TintypeError, match=r"Port .* cannot be used .* --port names another"):
        WebView(int(web.address.rsplit(":", 1)[1].strip("/")))
