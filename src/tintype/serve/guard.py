"""What stands before every request: who may ask, and under which headers a browser gets the answer.

- A service without a token, which is for this computer alone, is called by this computer's names alone:
  another site's name that was made to point here (DNS rebinding) is refused.
- Requests that another site's page sends are refused, by what the browser says of their origin.
- Where there is a token, it is demanded: as `Authorization: Bearer …`, or in the cookie that the page gets
  for `/?token=…`.
- What goes wrong in the service itself, or is cut off by its end, is answered in a sentence too.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tintype.serve.counters import Counters
from tintype.serve.settings import ServeSettings

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_FREE = {"/healthz", "/style.css", "/icon.svg"}  # of the token: they tell nothing
_SIGN_IN = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Tintype</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/style.css">'
    '<body class="plain"><main class="card"><h1>Tintype</h1><p>{}</p>'
    '<form action="/"><label for="token">Token</label>'
    '<input id="token" name="token" type="password" required autofocus autocomplete="off">'
    '<button class="primary">Open</button></form></main></body></html>'
)


class Guard:
    """Wraps the application: refuses what may not pass, counts, and sets SECURITY_HEADERS on every answer."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, counters: Counters) -> None:
        self._app, self._counters = app, counters
        self._token, self._hosts = settings.token, settings.hosts
        # A browser keeps the cookies of all ports of a host together: each service has a name of its own.
        self._cookie, self._pass = ("", "") if self._token is None else _cookie_of(self._token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer. What the application did not expect is raised on, for the server's log."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                route = getattr(scope.get("route"), "path", None) or "other"
                self._counters.count(route, message["status"])
            await send(message)

        try:
            await self._respond(scope, receive, send_guarded)
        except asyncio.CancelledError:  # by a server that ends, which would print it as a fault
            if not begun:
                await _answer(
                    send_guarded, *_sentence(503, "The service is being stopped; the work was dropped.")
                )
        except Exception as error:
            if not begun:
                await _answer(send_guarded, *_sentence(500, _fault(error)))
            raise

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            return await _answer(send, *refusal)
        if self._token is not None and scope["path"] == "/" and _token_in_query(scope):
            cookie = f"{self._cookie}={self._pass}; Path=/; HttpOnly; SameSite=Strict"
            return await _answer(send, 303, b"", {"Location": "/", "Set-Cookie": cookie})
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, bytes, dict[str, str]] | None:
        """What to answer instead: status, body and headers; None where the request may pass."""
        host = headers.get("host", "")
        if self._hosts is not None and _name_of(host) not in self._hosts:
            return _sentence(403, "This service is for this computer alone: call it by localhost.")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and _is_foreign(headers, host):
            return _sentence(403, "Another site's page may not send requests here.")
        if self._token is None or scope["path"] in _FREE or self._may_pass(scope, headers):
            return None
        if scope["path"] == "/" and "text/html" in headers.get("accept", ""):
            wrong = _token_in_query(scope) is not None
            told = "That is not the token. " if wrong else ""
            page = _SIGN_IN.format(f"{told}Give the token that <code>tintype serve</code> printed.")
            return 401, page.encode(), {"Content-Type": "text/html; charset=utf-8"}
        status, body, sent = _sentence(
            401, "The token is missing or wrong: send Authorization: Bearer TOKEN."
        )
        return status, body, sent | {"WWW-Authenticate": "Bearer"}

    def _may_pass(self, scope: Scope, headers: Headers) -> bool:
        assert self._token is not None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(given.strip(), self._token):
            return True
        if scope["path"] == "/" and _same(_token_in_query(scope) or "", self._token):
            return True
        # Not by http.cookies, which stops at the first cookie that it dislikes: another program's, say.
        cookies = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        held = [value for name, _, value in cookies if name == self._cookie]
        return any(_same(value, self._pass) for value in held)


async def _answer(send: Send, status: int, body: bytes, headers: MutableMapping[str, str]) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _sentence(status: int, text: str) -> tuple[int, bytes, dict[str, str]]:
    return status, json.dumps({"error": text}).encode(), {"Content-Type": "application/json"}


def _fault(error: Exception) -> str:
    """What a client hears of a fault of the service's own: nothing of its files and their content."""
    if isinstance(error, OSError) and error.strerror:
        return f"The service failed at this request: {error.strerror}."
    return "The service failed at this request; what it printed tells more."


def _name_of(host: str) -> str:
    """A Host header without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()


def _is_foreign(headers: Headers, host: str) -> bool:
    """Whether a browser says that another site's page sends this. Other programs say nothing."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc.lower() != host.lower()
    except ValueError:  # no address at all
        return True


def _token_in_query(scope: Scope) -> str | None:
    query: dict[str, Any] = parse_qs(scope["query_string"].decode("latin-1"))
    return query["token"][0] if "token" in query else None


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _cookie_of(token: str) -> tuple[str, str]:
    """The name of the cookie and what it holds, so that the token itself is not kept in the browser."""
    name = hashlib.sha256(b"tintype cookie's name " + token.encode()).hexdigest()[:8]
    return f"tintype-{name}", hashlib.sha256(b"tintype cookie " + token.encode()).hexdigest()
