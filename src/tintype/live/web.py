"""The stream in a browser of this computer: motion JPEG over HTTP, on localhost alone."""

from __future__ import annotations

import os
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from tintype.errors import TintypeError
from tintype.live import views

Rgb8 = NDArray[np.uint8]
HOST = "127.0.0.1"
_QUALITY = 88
_BOUNDARY = "picture"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Tintype live</title>
<style>body{margin:0;background:#181818;color:#ddd;font:14px sans-serif;text-align:center}
img{max-width:100%;max-height:92vh}</style>
<img src="/stream" alt="the live picture">
<p>ESC or q ends &middot; s saves a still &middot; m next model &middot; space freezes</p>
<script>
const names = {Escape: "escape", q: "q", s: "s", m: "m", " ": "space"};
addEventListener("keydown", e => { if (e.key in names) { e.preventDefault();
  fetch("/key/" + names[e.key], {method: "POST", headers: {"X-Tintype": "1"}}); } });
</script></html>
"""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # elsewhere it lets two processes have one port

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing is told of a browser that hangs up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class WebView:
    """Serves what is shown. A browser that is slow gets fewer pictures, never old ones.

    Raises TintypeError when the port is taken. Keys are taken from this page alone: other sites cannot send
    the header, nor reach the server by a name of their own.
    """

    def __init__(self, port: int) -> None:
        self._changed = threading.Condition()
        self._picture: Rgb8 | None = None
        self._number = 0
        self._keys: list[str] = []
        self._closed = False
        view = self

        class Handler(_Handler):
            owner = view

        try:
            self._server = _Server((HOST, port), Handler)
        except OSError as error:
            raise TintypeError(
                f"Port {port} of this computer cannot be used ({error.strerror}); --port names another."
            ) from None
        self.address = f"http://{HOST}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="tintype-web", daemon=True)
        self._thread.start()

    def show(self, picture: Rgb8) -> None:
        """Show RGB (H, W, 3) in all browsers that look."""
        with self._changed:
            self._picture = picture
            self._number += 1
            self._changed.notify_all()

    def pressed(self) -> list[str]:
        """What was pressed in a browser."""
        with self._changed:
            pressed, self._keys = self._keys, []
        return pressed

    def press(self, key: str) -> bool:
        """A key from a browser; False if there is no such key."""
        if key not in views.KEYS:
            return False
        with self._changed:
            self._keys.append(key)
        return True

    def close(self) -> None:
        """End the server and all connections."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def newer_than(self, number: int) -> tuple[int, bytes] | None:
        """Wait for a picture after `number`: its number and JPEG; None when the view is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number or self._closed)
            if self._closed or self._picture is None:
                return None
            number, picture = self._number, self._picture
        return number, simplejpeg.encode_jpeg(np.ascontiguousarray(picture), _QUALITY, "RGB", "420")


class _Handler(BaseHTTPRequestHandler):
    owner: WebView

    def do_GET(self) -> None:
        """The page, or the stream."""
        if not self._is_ours():
            return
        if self.path == "/":
            self._answer(HTTPStatus.OK, _PAGE.encode(), "text/html; charset=utf-8")
        elif self.path == "/stream":
            self._stream()
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """A key: /key/NAME."""
        if not self._is_ours():
            return
        if self.headers.get("X-Tintype") != "1":
            self._answer(HTTPStatus.FORBIDDEN)
        else:
            known = self.path.startswith("/key/") and self.owner.press(self.path.removeprefix("/key/"))
            self._answer(HTTPStatus.NO_CONTENT if known else HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is told of requests."""

    def _is_ours(self) -> bool:
        """Whether the browser asked for this computer; else it was led here by a name of somebody else's."""
        name = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if name in (HOST, "localhost"):
            return True
        self._answer(HTTPStatus.FORBIDDEN)
        return False

    def _stream(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        number = 0
        while (newer := self.owner.newer_than(number)) is not None:
            number, jpeg = newer
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")

    def _answer(self, status: HTTPStatus, body: bytes = b"", kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
