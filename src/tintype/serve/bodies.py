"""Reading a request's body, bounded: the picture alone, or a form of it and its hints.

A picture stays in memory up to MEMORY_BYTES; a larger one goes to a temporary file that vanishes with it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from tintype.errors import TintypeError

MEMORY_BYTES = 32 << 20
HINT_BYTES = 256 << 10
_PARTS = ("picture", "hints")
_HEADER_BYTES = 8 << 10

Receive = Callable[[], Awaitable[Any]]


class BodyTooLargeError(TintypeError):
    """A request of more bytes than are taken."""


class BodyError(TintypeError):
    """A request's body that is no picture and no form with one."""


class Upload:
    """The bytes of a picture as they come; close it when it is no longer needed."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._file: Any = None
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self.size += len(data)
        self._parts.append(data)
        if self._file is None and self.size > MEMORY_BYTES:
            self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - see close
                prefix="tintype-upload-", delete=False
            )
        if self._file is not None:
            self._file.writelines(self._parts)
            self._parts.clear()

    def source(self) -> bytes | Path:
        """All of it: bytes, or the path of the temporary file."""
        if self._file is not None:
            self._file.close()  # Windows does not open it twice
            return Path(self._file.name)
        self._parts = [b"".join(self._parts)]
        return self._parts[0]

    def close(self) -> None:
        """Let go of it, and of its file."""
        self._parts.clear()
        if self._file is not None:
            with suppress(OSError):  # of a full disk, to which it would write the rest first
                self._file.close()
            Path(self._file.name).unlink(missing_ok=True)


async def read_body(
    receive: Receive, content_type: str, length: str | None, limit: int, upload: Upload
) -> str | None:
    """Read a body into `upload`; the hints that came beside it, as JSON text.

    `content_type` and `length` are the request's headers. Raises BodyTooLargeError over `limit` bytes,
    BodyError for a form that is damaged or has no picture, ConnectionError where the client goes away.
    """
    too_large = BodyTooLargeError(f"The request has more than {limit:,} bytes, which is the limit here.")
    if length is not None and length.isdecimal() and int(length) > limit:
        raise too_large
    kind, options = parse_options_header(content_type)
    form = _Form(options.get(b"boundary", b""), upload) if kind == b"multipart/form-data" else None
    take = upload.write if form is None else form.write
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("The client went away.")
        size += len(message.get("body", b""))
        if size > limit:
            raise too_large
        take(message.get("body", b""))
        more = message.get("more_body", False)
    hints = None if form is None else form.finish()
    if not upload.size:
        raise BodyError(
            "The request has no picture: send its bytes as the body, or a form with one as picture."
        )
    return hints


class _Form:
    """A multipart form, whose picture goes to `upload`."""

    def __init__(self, boundary: bytes, upload: Upload) -> None:
        if not 1 <= len(boundary) <= 200:
            raise BodyError("The form has no boundary, or a very long one.")
        self._upload = upload
        self._hints = bytearray()
        self._seen: list[str] = []
        self._header, self._value, self._disposition = bytearray(), bytearray(), b""
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, a, b: self._grow(self._header, data[a:b]),
            "on_header_value": lambda data, a, b: self._grow(self._value, data[a:b]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._name,
            "on_part_data": lambda data, a, b: self._data(data[a:b]),
            "on_end": self._end,
        }
        self._ended = False
        self._parser = MultipartParser(boundary, callbacks)

    def write(self, data: bytes) -> None:
        """Some of the body."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BodyError(f"The form is damaged: {str(error).rstrip('.')}.") from None

    def finish(self) -> str | None:
        """After the last of it, the hints. Raises BodyError for a form that was cut off."""
        if not self._ended:
            raise BodyError("The form is cut off before its end.")
        if "picture" not in self._seen:
            raise BodyError("The form has no part named picture.")
        try:
            return self._hints.decode() if "hints" in self._seen else None
        except UnicodeDecodeError:
            raise BodyError("The hints are not text in UTF-8.") from None

    def _begin(self) -> None:
        self._disposition = b""

    def _grow(self, text: bytearray, data: bytes) -> None:
        text += data
        if len(text) > _HEADER_BYTES:
            raise BodyError("The form has a header that is too long.")

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _name(self) -> None:
        name = parse_options_header(self._disposition)[1].get(b"name", b"").decode("latin-1")
        if name not in _PARTS:
            raise BodyError(f"A form has parts named {' and '.join(_PARTS)}, not {name[:40]!a}.")
        if name in self._seen:
            raise BodyError(f"The form has more than one part named {name}.")
        self._seen.append(name)

    def _data(self, data: bytes) -> None:
        if self._seen[-1] == "picture":
            self._upload.write(data)
        else:
            self._hints += data
            if len(self._hints) > HINT_BYTES:
                raise BodyTooLargeError(f"The hints have more than {HINT_BYTES:,} bytes, which is the limit.")

    def _end(self) -> None:
        self._ended = True
