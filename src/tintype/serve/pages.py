"""The files of the page, read once at the start: no request names a path."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from fastapi import APIRouter, Request, Response

_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_ADDRESSES = {"index.html": "/", "api.html": "/api"}  # of the rest: /NAME


def page_router() -> APIRouter:
    """A route for each file of the folder `static`."""
    router = APIRouter(include_in_schema=False)
    for file in (files("tintype.serve") / "static").iterdir():
        kind = _KINDS.get(f".{file.name.rpartition('.')[2]}")
        if kind is not None:
            _add(router, _ADDRESSES.get(file.name, f"/{file.name}"), file.read_bytes(), kind)
    return router


def _add(router: APIRouter, address: str, body: bytes, kind: str) -> None:
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}

    def send(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=kind, headers=headers)

    router.add_api_route(address, send, methods=["GET", "HEAD"])
