"""FFmpeg by PyAV, as all that reads or writes films uses it."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tintype.errors import InputError, TintypeError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame

_FILE = "file:"
# How much of a film is read to find its streams where FFmpeg's 5 MB or 5 s do not tell them all.
_THOROUGHLY = {"probesize": str(256 << 20), "analyzeduration": str(300 * 1_000_000)}


class UnreadableError(InputError):
    """A film whose reading failed after it was opened: a network share that is gone, a disk that is worn."""


def load_av() -> Any:
    """The module `av`; TintypeError when the extra that brings it is missing."""
    try:
        import av
        from av.sidedata.sidedata import Type
    except ModuleNotFoundError:
        raise TintypeError(
            "Films and cameras need more than is installed (av is missing): pip install 'tintype[video]'."
        ) from None
    av.logging.set_level(None)  # what goes wrong is told in our own words
    setattr(Type, "_missing_", classmethod(_nameless))  # noqa: B010 - a method, to a type checker
    return av


def _nameless(kind: Any, value: int) -> Any:
    """A kind of side data that PyAV's list lacks, such as a JPEG's EXIF; over such it would fail."""
    member = object.__new__(kind)
    member._name_, member._value_ = f"KIND_{value}", value
    return member


def file_url(path: Path) -> str:
    """A path as FFmpeg takes it: what stands before a colon in a name is no protocol."""
    return f"{_FILE}{path}"


def open_film(path: Path) -> InputContainer:
    """The file, for reading. Its streams have the same numbers each time; FFmpegError where it is no film.

    Sound that begins late in a broadcast, and all that does on a DVD, which has no list of its streams, is
    looked for in the first five minutes, or 256 MiB. What begins later on a DVD is as if it were not there.
    """
    container: InputContainer = load_av().open(file_url(path))
    if container.format.name == "mpeg" or not all(is_described(s) for s in container.streams):
        container.close()
        container = load_av().open(file_url(path), options=_THOROUGHLY)
    return container


def packets_of(container: InputContainer, *streams: Any) -> Iterator[Packet[Any]]:
    """All packets of a film, or of some of its streams, and an empty one of each at the end.

    FFmpeg's InvalidDataError or EOFError where the film breaks off, UnreadableError where it cannot be had.
    """
    errors = load_av().error
    try:
        with suppress(IndexError):  # of PyAV, at the end, where streams came that were unknown at the opening
            yield from container.demux(*streams)
    except (errors.InvalidDataError, errors.EOFError):
        raise
    except errors.FFmpegError as error:
        path = container.name.removeprefix(_FILE)
        raise UnreadableError(f"{path} cannot be read any further: {reason(error)}.") from error


def is_described(stream: Any) -> bool:
    """Whether it is known of a stream of sound what it holds, without which it cannot be copied."""
    return stream.type != "audio" or bool(stream.codec_context is None or stream.codec_context.sample_rate)


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


def seconds_of(text: str) -> Fraction | None:
    """The seconds that Matroska's `00:01:30.500000000` stands for; None for anything else, and for 0."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
    if match is None:
        return None
    hours, minutes, seconds = map(Fraction, match.groups())
    return 3600 * hours + 60 * minutes + seconds or None
