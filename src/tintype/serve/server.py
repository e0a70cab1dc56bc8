"""uvicorn's server, which tells when it listens and can be ended from the first moment on."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from tintype.running import held_signals


class Server(uvicorn.Server):
    """Calls `on_listening` once it answers, unless it was interrupted before that."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening
        self._interrupts: list[int] = []

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until interrupted; the interrupt is raised again at the end.

        uvicorn hears them as soon as its loop runs; before that they would end in a traceback.
        """
        with held_signals() as self._interrupts:
            super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        await super().startup(sockets)
        self.should_exit |= bool(self._interrupts)
        if not self.should_exit:
            self._on_listening()
