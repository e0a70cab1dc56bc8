"""Files on web servers and object stores, read front to back over connections that may drop.

The drivers are fsspec's: HTTP comes with Lightning, others by their package (s3fs for `s3://`, gcsfs for
`gs://`). WebDataset's own reader leaves retries to `curl` and gives up the rest of a shard when one drops.
"""

from __future__ import annotations

import re
import time
from typing import Any

import aiohttp
import fsspec

from tintype.errors import DataError

TRIES = 5  # without a byte between them, after which a file is given up
WAIT_S = 1.0  # before the second try; twice as long before each further one
_BLOCK = 16 * 2**20  # bytes asked for at once, where the server can give a range
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def is_remote(place: str) -> bool:
    """Whether a place is a URL rather than a path."""
    return "://" in place


def expand(url: str) -> list[str]:
    """`shard-{000..099}.tar` to its hundred names, of even width where the first number has zeros."""
    found = _RANGE.search(url)
    if found is None:
        return [url]
    first, last = found.groups()
    if int(last) < int(first):
        raise DataError(f"The range {found[0]} of {url} is empty.")
    numbers = (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))
    return [name for n in numbers for name in expand(url[: found.start()] + n + url[found.end() :])]


class RemoteFile:
    """A remote file that is opened again where the connection dropped; for reading once, front to back."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._file: Any = None
        self._position = 0

    def read(self, count: int) -> bytes:
        """Up to `count` bytes, none at the end. DataError where the file is not there or cannot be read."""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(WAIT_S * 2 ** (attempt - 1))
            try:
                if self._file is None:
                    self._file = self._open()
                data: bytes = self._file.read(count)
                if not data and self._position < (self._file.size or 0):
                    raise OSError(f"it ended at {self._position} of {self._file.size} bytes")
            except FileNotFoundError:
                raise DataError(f"There is no {self.url}.") from None
            except ImportError as error:
                raise DataError(f"{self.url} cannot be read: {error}") from None
            except Exception as error:  # each driver has errors of its own for a dropped connection
                self.close()
                reason = str(error) or type(error).__name__
                continue
            self._position += len(data)
            return data
        raise DataError(f"{self.url} cannot be read, after {TRIES} tries: {reason}.")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> Any:
        """The file at the position that was reached."""
        options: dict[str, Any] = {}
        if self.url.startswith("http"):  # a shard takes as long as it takes; a silent server is given up
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
            options = {"client_kwargs": {"timeout": timeout}, "block_size": _BLOCK}
        system, path = fsspec.core.url_to_fs(self.url, **options)
        file = system.open(path, "rb")
        try:
            file.seek(self._position)
        except ValueError:  # the server knows no ranges: read over what we have
            left = self._position
            while left and (data := file.read(min(left, 2**20))):
                left -= len(data)
        return file
