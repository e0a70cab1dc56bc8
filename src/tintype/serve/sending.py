"""Sends what a worker made: in pieces, for as long as a client reads them and time lasts."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from tintype.serve.work import Answer

_CHUNK = 256 << 10  # bytes that are handed on at once; so many may lie in a connection that is not read


class Result(Response):
    """An answer on its way; `held` is closed when the sending ends, however that comes.

    After `seconds`, or when the client goes away, what is left is not sent, and the connection is closed.
    """

    def __init__(self, answer: Answer, held: ExitStack, seconds: float) -> None:
        super().__init__(media_type=answer.media_type, headers=answer.headers)
        self._file, self._held, self._seconds = answer.body, held, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._held, suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._send(Request(scope, receive), send)

    async def _send(self, request: Request, send: Send) -> None:
        """The last message, which is empty, waits until the client has read most of what came before."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while chunk := self._file.read(_CHUNK):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if await request.is_disconnected():
                return
        await send({"type": "http.response.body", "body": b""})
