"""The stream of a film's pictures: opened, or why there is none, and its pictures in the order of showing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tintype.errors import InputError, TintypeError
from tintype.video.media import is_cover, load_av, open_film, reason

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_LEAST_AV = (18, 1)  # which can write rotation and the order of fields
_PHOTOGRAPHS = ("heic", "heix", "heim", "heis", "mif1", "mif2", "avif")  # brands of files like those of MP4
_REORDERED = 16  # pictures, at most, that H.264 stores between a picture's place and that of its showing


def open_pictures(path: Path) -> tuple[InputContainer, VideoStream]:
    """A film, to be closed by the caller, and its first stream of pictures; all others are not read.

    InputError for what is no film or has no pictures, TintypeError where PyAV is missing or too old.
    """
    av = load_av()
    if tuple(map(int, av.__version__.split(".")[:2])) < _LEAST_AV:
        raise TintypeError(
            f"Films need PyAV {_LEAST_AV[0]}.{_LEAST_AV[1]} or newer, and {av.__version__} is "
            "installed: pip install -U av."
        )
    container = _opened(path)
    try:
        return container, _stream_of(container, path)
    except BaseException:
        container.close()
        raise


def _opened(path: Path) -> InputContainer:
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a film.")
    try:
        return open_film(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except PermissionError:
        raise InputError(f"{path}: permission denied.") from None
    except load_av().error.FFmpegError as error:
        raise InputError(f"{path} is no film, or a damaged or truncated one ({reason(error)}).") from error


def _stream_of(container: InputContainer, path: Path) -> VideoStream:
    kind, brand = container.format.name, container.metadata.get("major_brand", "").strip()
    if kind == "image2" or kind.endswith("_pipe") or brand in _PHOTOGRAPHS:
        # FFmpeg would give the first of a telephone's tiles.
        raise InputError(f"{path} is a photograph, which tintype colorize takes.")
    stream = next((s for s in container.streams.video if not is_cover(s)), None)
    if stream is None:
        raise InputError(f"{path} has no pictures: there is no video stream in it.")
    if stream.codec_context is None:
        raise InputError(
            f"{path}: the installed PyAV cannot decode its pictures; convert it to H.264 first, say."
        )
    stream.thread_type = "AUTO"
    for other in container.streams:
        if other.index != stream.index:
            other.discard = load_av().stream.Discard.all
    return stream


def in_turn(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Pictures with the earliest time stamp among theirs and those of the pictures that follow.

    AVI states no times of showing: a picture comes with that of its place in the file.
    """
    held: deque[VideoFrame] = deque()
    stamps: list[int] = []
    for frame in chain(frames, [None] * _REORDERED):
        if frame is not None:
            held.append(frame)
            if frame.pts is not None:
                heappush(stamps, frame.pts)
        if held and (frame is None or len(held) > _REORDERED):
            first = held.popleft()
            first.pts = heappop(stamps) if stamps else None
            yield first
