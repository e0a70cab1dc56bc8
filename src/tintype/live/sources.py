"""Where live pictures come from, and the newest of them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype.errors import InputError, TintypeError
from tintype.images.orientation import upright
from tintype.live.gstreamer import Pipeline, csi_pipeline
from tintype.running import opencv_silence
from tintype.video.layout import orientation_of
from tintype.video.media import display_matrix, file_url, is_cover, load_av, packets_of, reason

Rgb8 = NDArray[np.uint8]


class Source(Protocol):
    """Pictures one after the other."""

    def read(self) -> Rgb8 | None:
        """The next picture, RGB (H, W, 3); None at the end. Raises InputError when it fails."""
        ...

    def stop(self) -> None:
        """Let a `read` of another thread that waits come back soon, with or without a picture."""
        ...

    def close(self) -> None:
        """Let the camera, file or process go."""
        ...


def open_source(text: str, *, paced: bool = True) -> Source:
    """The source that a user names; films at their own speed if `paced`. Raises InputError."""
    if found := re.fullmatch(r"(?:/dev/video)?(\d+)", text):
        return Camera(int(found[1]), text)
    if found := re.fullmatch(r"csi(?::(\d+))?", text):
        return Pipeline(csi_pipeline(int(found[1] or 0)))
    if " ! " in text:
        return Pipeline(text)
    if re.match(r"[a-z]{3,5}://", text):
        return Stream(text, paced=False)
    if Path(text).is_file():
        return Stream(text, paced=paced)
    raise InputError(
        f"{text} is no camera (0, 1, …, csi), no file, no address (rtsp://…), no GStreamer pipeline (a ! b)."
    )


class Camera:
    """A camera of this computer."""

    def __init__(self, index: int, name: str) -> None:
        self._name = f"/dev/video{index}" if name.startswith("/dev") else f"camera {index}"
        with opencv_silence():
            self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            raise InputError(
                f"There is no {self._name} that can be opened; is it plugged in, free, and are you in the "
                f"group video? A CSI camera is --source csi."
            )
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def read(self) -> Rgb8:
        """The next picture. InputError when the camera gives none any more."""
        given, bgr = self._capture.read()
        if not given:
            raise InputError(f"The {self._name} has stopped giving pictures; was it unplugged?")
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))

    def stop(self) -> None:
        """A camera gives its next picture soon, or its driver gives up."""

    def close(self) -> None:
        """Let the camera go."""
        self._capture.release()


class Stream:
    """A film or a stream from the network, by FFmpeg; `paced` waits until each picture's time has come."""

    def __init__(self, address: str, *, paced: bool) -> None:
        self._av = load_av()
        self._name, self._paced = address, paced
        options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
        try:
            given = file_url(Path(address)) if Path(address).is_file() else address
            self._container = self._av.open(given, options=options, timeout=(10, 10))
        except self._av.error.FFmpegError as error:
            raise InputError(f"{address} cannot be opened ({reason(error)}).") from None
        streams = [s for s in self._container.streams.video if not is_cover(s)]
        if not streams:
            self._container.close()
            raise InputError(f"{address} has no pictures: there is no video stream in it.")
        streams[0].thread_type = "AUTO"
        self._frames = self._decoded(streams[0])
        self._begun: tuple[float, float] | None = None
        self._stopped = threading.Event()

    def read(self) -> Rgb8 | None:
        """The next picture, upright; None at the end. InputError for a stream that breaks off."""
        try:
            frame = next(self._frames, None)
        except self._av.error.FFmpegError as error:
            raise InputError(f"{self._name} broke off ({reason(error)}).") from None
        if frame is None:
            return None
        if self._paced and frame.time is not None:
            now = time.monotonic()
            self._begun = self._begun or (now, frame.time)
            self._stopped.wait(max(0.0, self._begun[0] + frame.time - self._begun[1] - now))
        try:
            orientation = orientation_of(display_matrix(frame))
        except InputError as error:
            raise InputError(f"{self._name}: {error}.") from None
        return upright(frame.to_ndarray(format="rgb24"), orientation)

    def _decoded(self, stream: Any) -> Iterator[Any]:
        """All pictures; what is damaged on the way is passed over, as a view is to go on."""
        for packet in packets_of(self._container, stream):
            try:
                yield from packet.decode()
            except self._av.error.EOFError:
                return
            except self._av.error.InvalidDataError:
                continue

    def stop(self) -> None:
        """Wait no longer until a picture's time has come; FFmpeg waits for the network up to 10 s."""
        self._stopped.set()

    def close(self) -> None:
        """Close the file or connection."""
        self._container.close()


@dataclass(frozen=True)
class Shot:
    """One picture, RGB (H, W, 3), with its number and the moment (time.monotonic) at which it came."""

    rgb: Rgb8
    number: int
    came: float


class Newest:
    """Reads a source in a thread of its own and keeps the newest picture alone, so that nothing piles up."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._changed = threading.Condition()
        self._shot: Shot | None = None
        self._failure: Exception | None = None
        self._ended = self._closing = False
        self._thread = threading.Thread(target=self._run, name="tintype-source", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the source has ended well and its last picture was taken; if it failed, `take` says so."""
        with self._changed:
            return self._ended and self._shot is None and self._failure is None

    def take(self, timeout: float) -> Shot | None:
        """The newest picture that was not taken yet, or None. Raises what the source raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._shot is not None or self._ended, timeout)
            shot, self._shot = self._shot, None
            if shot is None and self._failure is not None:
                raise self._failure
            return shot

    def close(self) -> None:
        """Stop reading and close the source."""
        self._closing = True
        self._source.stop()
        self._thread.join(15)
        self._source.close()

    def _run(self) -> None:
        number = 0
        try:
            while not self._closing and (rgb := self._source.read()) is not None:
                with self._changed:
                    self._shot = Shot(rgb, number, time.monotonic())
                    self._changed.notify_all()
                number += 1
        except TintypeError as error:
            self._failure = error
        except Exception as error:  # told in the main thread, which would wait for ever
            self._failure = InputError(f"The source failed: {type(error).__name__}: {error}.")
        with self._changed:
            self._ended = True
            self._changed.notify_all()
