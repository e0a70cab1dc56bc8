"""uvicorn's server as the service has it: it tells when it listens, and ends in order at any moment."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from tintype.running import held_signals
from tintype.serve.door import Door, most_at_once

END_SECONDS = 5
"""That requests in hand get at the end."""

WAITING = 512
"""Connections that the system keeps until they are taken."""

_IDLE_SECONDS = 30  # that a connection is kept for a next request
_LOOK_SECONDS = 0.1  # between looks at whether the end is to come at once


class Server(uvicorn.Server):
    """Serves `app`; calls `on_listening` once it answers, unless it was interrupted before that."""

    def __init__(
        self, app: ASGIApp, on_listening: Callable[[], None], end_seconds: int = END_SECONDS
    ) -> None:
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, ws="none", http=Door,
            backlog=most_at_once(), timeout_keep_alive=_IDLE_SECONDS, timeout_graceful_shutdown=end_seconds,
        )  # fmt: skip
        super().__init__(config)
        self._on_listening = on_listening
        self._interrupts: list[int] = []

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until interrupted; the interrupt is raised again at the end.

        uvicorn hears them as soon as its loop runs; before that they would end in a traceback.
        """
        with held_signals() as self._interrupts:
            super().run(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn's, but what this process ignores, as in a script's background, it goes on ignoring."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
        with super().capture_signals():
            if threading.current_thread() is threading.main_thread():  # no other may set handlers
                for number in ignored:
                    signal.signal(number, signal.SIG_IGN)
            yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but at a second Ctrl-C, too, the application is told, which would print a fault."""
        cutting = asyncio.create_task(self._cut_if_forced())
        await super().shutdown(sockets)
        cutting.cancel()
        if self.force_exit:
            await self.lifespan.shutdown()

    async def _cut_if_forced(self) -> None:
        """At a second Ctrl-C, end the connections, for whose end asyncio waits from Python 3.12 on."""
        while not self.force_exit:
            await asyncio.sleep(_LOOK_SECONDS)
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        await super().startup(sockets)
        for listening in sockets or []:
            listening.listen(WAITING)  # asyncio has them wait no more at once than it takes in a round
        self.should_exit |= bool(self._interrupts)
        if not self.should_exit:
            self._on_listening()
