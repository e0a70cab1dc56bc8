"""What a service is started with."""

from __future__ import annotations

from dataclasses import dataclass

from tintype.images import Limits


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """How a service colours, and what it puts up with."""

    model: str = "tint"
    """The model unless a request says otherwise: a shipped one's name or an ONNX file."""
    threads: int | None = None
    """Processor threads for one picture."""
    provider: str = "cpu"
    workers: int = 2
    """Pictures in hand at once."""
    queue: int = 32
    """Requests that may wait beside those."""
    timeout: float = 120
    """Seconds for reading a request, again for its work, and again for sending the answer."""
    max_pixels: int = 120_000_000
    """Of all pages of a picture together, judged from its header."""
    max_bytes: int = 256 << 20
    """Of a request's body."""
    token: str | None = None
    """What every request must bring; None on a service for this computer alone."""
    hosts: frozenset[str] | None = frozenset({"127.0.0.1", "localhost", "[::1]"})
    """The names by which the service may be called; None for any."""

    @property
    def limits(self) -> Limits:
        """The bound of pixels as the reader of pictures takes it."""
        return Limits(self.max_pixels, self.max_pixels)
