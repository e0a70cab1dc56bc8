"""What is shown, written to a film as it comes, with the times at which it came."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tintype.errors import OutputError, OutputExistsError, SettingsError
from tintype.results import check_free
from tintype.video.media import file_url, load_av, reason
from tintype.whole import name_whole, part_name
from tintype.words import plain_words

_FORMATS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov"}
_TICK = Fraction(1, 90000)


class Recorder:
    """Writes pictures of one size to `target`, which has its name once it is closed.

    Fragments keep what is written playable whatever happens. Raises OutputExistsError, SettingsError for a
    name of no known container, OutputError when it cannot be written.
    """

    def __init__(self, target: Path, *, overwrite: bool = False) -> None:
        if target.suffix.lower() not in _FORMATS:
            raise SettingsError(f"--record {target}: write one of {' '.join(_FORMATS)}.")
        check_free(target, overwrite)
        self._av = load_av()
        self._target, self._overwrite = target, overwrite
        self._part = target.with_name(part_name(target.name))
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)
        self._last = -1

    def write(self, picture: NDArray[np.uint8], seconds: float) -> None:
        """RGB (H, W, 3) with even sides, shown so many seconds after the first."""
        try:
            if self._container is None:
                self._begin(picture)
            if picture.shape[:2] != self._size:
                raise OutputError(
                    f"{self._target}: the pictures have changed their size; the film ends there."
                )
            frame = self._av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
            self._last = frame.pts = max(self._last + 1, round(seconds / _TICK))
            frame.time_base = _TICK
            self._container.mux(self._stream.encode(frame))
        except OSError as error:
            raise OutputError(f"Cannot write {self._target}: {plain_words(error)}.") from error
        except self._av.error.FFmpegError as error:
            raise OutputError(f"Cannot write {self._target}: {reason(error)}.") from error

    def close(self) -> None:
        """Finish the film and give it its name; nothing is left where no picture was written.

        Raises OutputError, OutputExistsError where something got that name meanwhile.
        """
        if self._container is None:
            return
        try:
            try:
                self._container.mux(self._stream.encode(None))
                self._container.close()
            finally:
                self._container = None
                if self._part.exists() and not self._part.stat().st_size:
                    self._part.unlink()
                elif self._part.exists():
                    name_whole(self._part, self._target, replace=self._overwrite)
        except OutputExistsError:
            raise OutputExistsError(
                f"{self._target} has appeared meanwhile, and was left as it is; the film is {self._part}."
            ) from None
        except (OSError, self._av.error.FFmpegError) as error:
            words = plain_words(error) if isinstance(error, OSError) else reason(error)
            plays = "; what there is of it plays" if self._target.exists() else ""
            raise OutputError(f"Cannot finish {self._target}: {words}{plays}.") from error

    def _begin(self, picture: NDArray[np.uint8]) -> None:
        suffix = self._target.suffix.lower()
        # Closed and written out about every second, so that what there is plays after a power cut.
        options = {"flush_packets": "1"}
        if suffix == ".mkv":
            options["cluster_time_limit"] = "1000"
        else:
            options["movflags"] = "+frag_keyframe+empty_moov+default_base_moof"
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._container = self._av.open(file_url(self._part), "w", format=_FORMATS[suffix], options=options)
        self._stream = self._container.add_stream(
            "libx264",
            rate=30,
            time_base=_TICK,
            options={"preset": "veryfast", "crf": "20", "g": "30", "rc-lookahead": "10"},
        )
        self._size = picture.shape[:2]
        self._stream.height, self._stream.width = self._size
        context = self._stream.codec_context
        context.color_range = context.colorspace = context.color_primaries = context.color_trc = 1
