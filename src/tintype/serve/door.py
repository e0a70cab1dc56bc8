"""The service's connections: not more than it can serve, and none that keeps its place without a request."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
"""That a client has for a request's head; what follows has the service's own time limits."""

LINGER_SECONDS = 10.0
"""That a client who has its answer may go on sending what is not read."""

UNREAD_SECONDS = 60.0
"""That a client has to read what is left of its answer once the connection is closed."""

_MOST = 1000
_FULL = b'{"error": "Too many connections at once; try again later."}'
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"retry-after: 5\r\ncontent-length: %d\r\n\r\n%b" % (len(_FULL), _FULL)
)


class _Transport:
    """A connection's, that is not closed while its client still sends, who would never read the answer.

    The system tells a client whose bytes nobody takes that the connection is broken, and what lies there for
    it is lost.
    """

    def __init__(self, transport: asyncio.Transport, door: Door) -> None:
        self._transport, self._door = transport, door
        self.lingers = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more is to be said."""
        return self.lingers or self._transport.is_closing()

    def close(self) -> None:
        """Say no more; once the client has sent all, or LINGER_SECONDS have passed, hear no more."""
        if self.is_closing():
            return
        if self._door.conn.their_state is h11.SEND_BODY:
            self.linger()
            return
        self._transport.close()
        self._door.loop.call_later(UNREAD_SECONDS, self._transport.abort)

    def linger(self) -> None:
        """Say no more, and throw away what still comes for a while."""
        self.lingers = True
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()
        self._door.loop.call_later(LINGER_SECONDS, self._transport.close)
        self._door.loop.call_later(UNREAD_SECONDS, self._transport.abort)


class Door(H11Protocol):
    """A connection, which ends where no request's head comes in time.

    When there are too many, a new one takes the place of the one that has been without a request for longest,
    or else of one that has its answer and does not read it; where all have one it is answered by 503. Without
    that, clients that ask nothing could hold all files that the process may open, and nobody, with a token or
    without, would be let in.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._ousted = False

    @property
    def waits(self) -> bool:
        """Whether it has no request in hand."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(cast("asyncio.Transport", _Transport(transport, self)))
        if self._has_room():
            self._wait()
        else:
            transport.write(_ANSWER)
            self._own_transport.linger()

    def data_received(self, data: bytes) -> None:
        """It sends something."""
        if self._own_transport.lingers:
            return
        super().data_received(data)
        if not self.waits:
            self._wait_no_more()
        elif self._timer is None:
            self._wait()

    def shutdown(self) -> None:
        """The service ends."""
        if self._own_transport.lingers:
            self._own_transport.abort()
        else:
            super().shutdown()

    def on_response_complete(self) -> None:
        """It has its answer."""
        self._since = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self._wait_no_more()
        super().connection_lost(exc)

    @property
    def _own_transport(self) -> _Transport:
        return cast("_Transport", self.transport)

    def _wait(self) -> None:
        self._since = self.loop.time()
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _has_room(self) -> bool:
        """Whether it may stay, another having gone for it where need be."""
        if len(self.connections) <= (most := most_connections()):
            return True
        here = [c for c in self.connections if isinstance(c, Door) and not c._ousted]
        idle = [c for c in here if c is not self and (c.waits or c.transport.is_closing())]
        if len(here) > most and idle:
            oldest = min(idle, key=lambda c: (c.transport.is_closing(), c._since))
            oldest._ousted = True
            oldest.transport.abort()
            here.remove(oldest)
        return len(here) <= most


def most_connections() -> int:
    """Half of the files that the process may open, the rest being for its work, but at most _MOST."""
    with suppress(ImportError):  # Windows, which has no such limit
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit != resource.RLIM_INFINITY:
            return min(_MOST, max(1, limit // 2))
    return _MOST


def most_at_once() -> int:
    """How many connections the loop may take in one round; what is too many it ends four rounds later."""
    return max(1, min(128, most_connections() // 8))
