"""A GStreamer pipeline as its own process, raw pictures on a pipe: no build of OpenCV knows of it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from typing import IO

import numpy as np
from numpy.typing import NDArray

from tintype.errors import InputError

_LAUNCH = "gst-launch-1.0"
_TOLD = 1 << 20  # bytes of what it tells that are read: of the beginning, or of the end
_TELLING_S = 2.0  # within which GStreamer tells of what it gives
_CAPS = re.compile(rb"tintype\S*: caps = video/x-raw.*?width=\(int\)(\d+).*?height=\(int\)(\d+)")


def csi_pipeline(sensor: int = 0, width: int = 640, height: int = 480) -> str:
    """What reads a CSI camera on a Jetson and gives pictures of that size."""
    return (
        f"nvarguscamerasrc sensor-id={sensor} "
        "! video/x-raw(memory:NVMM),width=1280,height=720,framerate=30/1 "
        f"! nvvidconv ! video/x-raw,width={width},height={height},format=BGRx"
    )


class Pipeline:
    """The pictures of a pipeline, given as for `gst-launch-1.0`, without a sink.

    An `appsink` at its end, as OpenCV wants it, is taken away. Raises InputError where GStreamer is missing
    or the pipeline fails, with GStreamer's own reason.
    """

    def __init__(self, description: str) -> None:
        launch = shutil.which(_LAUNCH)
        if os.name == "nt":
            raise InputError("GStreamer's pipelines cannot be read on Windows; name a camera or a file.")
        if launch is None:
            raise InputError(
                f"This source needs GStreamer's {_LAUNCH}: "
                "sudo apt install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
            )
        description = re.sub(r"!\s*appsink\b[^!]*$", "", description.strip()).rstrip("! ")
        try:
            words = shlex.split(description)
        except ValueError as error:
            raise InputError(f"The GStreamer pipeline cannot be read: {str(error).lower()}.") from None
        read, write = os.pipe()
        tail = f"! videoconvert ! video/x-raw,format=RGB ! fdsink name=tintype fd={write} sync=false"
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [launch, "-v", *words, *shlex.split(tail)],
            stdin=subprocess.DEVNULL, stdout=self._told, stderr=subprocess.STDOUT, pass_fds=[write],
        )  # fmt: skip
        os.close(write)
        self._pipe: IO[bytes] = os.fdopen(read, "rb", buffering=1 << 20)
        self._size: tuple[int, int] | None = None

    def read(self) -> NDArray[np.uint8] | None:
        """The next picture, RGB (H, W, 3); None at the end. Raises InputError when the pipeline fails."""
        if self._size is None:
            if not self._pipe.peek(1):  # type: ignore[attr-defined]
                self._check_end()
                return None
            self._size = self._negotiated()
        height, width = self._size
        stride = -(-3 * width // 4) * 4  # GStreamer's rows are multiples of 4 bytes
        data = self._pipe.read(height * stride)
        if len(data) < height * stride:
            self._check_end()
            return None
        rows = np.frombuffer(data, np.uint8).reshape(height, stride)
        return rows[:, : 3 * width].reshape(height, width, 3)

    def stop(self) -> None:
        """Ask the process to end, which ends its pictures."""
        self._process.terminate()

    def close(self) -> None:
        """End the process."""
        self.stop()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe.close()
        self._told.close()

    def _negotiated(self) -> tuple[int, int]:
        """The size (H, W) that GStreamer tells of, maybe a moment after the first picture has come."""
        end = time.monotonic() + _TELLING_S
        while not (found := _CAPS.findall(os.pread(self._told.fileno(), _TOLD, 0))):
            if time.monotonic() > end:
                raise InputError("The pipeline gives something, but no pictures.")
            time.sleep(0.01)
        width, height = found[-1]
        return int(height), int(width)

    def _check_end(self) -> None:
        """At the end of the pictures: InputError with what GStreamer told, if it failed."""
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            status = 1
        size = os.fstat(self._told.fileno()).st_size
        text = os.pread(self._told.fileno(), _TOLD, max(0, size - _TOLD)).decode(errors="replace")
        found = re.search(r"(?:ERROR|erroneous pipeline):\s*(.+)", text)
        if status or found:
            reason = found[1].strip().rstrip(".") if found else f"exit status {status}"
            raise InputError(f"The GStreamer pipeline failed: {reason}.")
