"""FFmpeg by PyAV, as all that reads or writes films uses it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tintype.errors import TintypeError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


def load_av() -> Any:
    """The module `av`; TintypeError when the extra that brings it is missing."""
    try:
        import av
    except ModuleNotFoundError:
        raise TintypeError(
            "Films and cameras need more than is installed (av is missing): pip install 'tintype[video]'."
        ) from None
    av.logging.set_level(None)  # what goes wrong is told in our own words
    return av


def file_url(path: Path) -> str:
    """A path as FFmpeg takes it: what stands before a colon in a name is no protocol."""
    return f"file:{path}"


def display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    """The nine integers by which a picture is to be turned, or None."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")  # PyAV 19 gives keys where 18 gave values in turn
    return None if data is None else struct.unpack("=9i", bytes(data)[:36])


def is_cover(stream: Any) -> bool:
    """Whether a video stream is a still that decorates the file."""
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def reason(error: Exception) -> str:
    """What FFmpeg refused, as a part of a sentence."""
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()
