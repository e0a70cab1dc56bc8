"""A film that is read: what is known of it, and its pictures in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from fractions import Fraction
from itertools import chain
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tintype.color import Signal
from tintype.errors import InputError
from tintype.video.layout import Tags, is_rgb, orientation_of, signal_of
from tintype.video.media import UnreadableError, display_matrix, load_av, packets_of, seconds_of
from tintype.video.pictures import in_turn, open_pictures
from tintype.video.timeline import Timeline, may_jump, timeline_of

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Pixels = NDArray[Any]
# By how much a whole film's last picture may end before the length that is stated: seconds, and a part of it.
_SLACK, _SLACK_SHARE = 1.0, 0.1


class Film(AbstractContextManager["Film"]):
    """A film opened for reading. Raises InputError for what is none or has no pictures.

    `size` is (H, W) as stored, `orientation` EXIF's number of what turns it upright, `time_base` seconds
    to a tick of all time stamps, `matrix` the nine integers of its rotation or None, `signal` what its codes
    stand for (of `rgb` films: those that are made of them).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._av = load_av()
        self.damaged = 0
        self.last_end: int | None = None
        self.timeline = Timeline()
        self.container, self.stream = open_pictures(path)
        try:
            self._describe(self._first_frame())
        except BaseException:
            self.container.close()
            raise
        self._reopen()
        self.damaged = 0

    def __exit__(self, *_: object) -> None:
        self.container.close()

    @property
    def codec(self) -> str:
        """The name of what the pictures are stored in."""
        return str(self.stream.codec_context.name)

    @property
    def duration(self) -> float | None:
        """Seconds, as the file states them."""
        start = (self.stream.start_time or 0) * self.time_base
        return None if self.stated_end is None else max(0.0, float(self.stated_end - start))

    @property
    def stated_end(self) -> Fraction | None:
        """The time stamp, in seconds, at which the pictures end by what the file says."""
        if self.timeline.end is not None:
            return Fraction(self.timeline.end)
        if self.stream.duration is not None:
            ticks = self.stream.duration
            if self.container.format.name == "avi":  # of which FFmpeg believes what fits the file's size
                ticks = max(ticks, self.stream.frames)
            return ((self.stream.start_time or 0) + ticks) * self.time_base
        if (own := seconds_of(self.stream.metadata.get("DURATION", ""))) is not None:
            return own  # Matroska's, by whose container the longest of all streams counts
        length = self.container.duration
        return None if length is None else self.begin + Fraction(length, self._av.time_base)

    @property
    def begin(self) -> Fraction:
        """The time stamp, in seconds, from which players count: not 0 in broadcasts, for one.

        FFmpeg has it from one of the streams, rounded to its own unit; that stream tells it as it is.
        """
        own, unit = self.container.start_time, Fraction(1, self._av.time_base)
        if own is None:
            return Fraction(0)
        streams = [self.stream, *self.container.streams]
        exact = (s.start_time * s.time_base for s in streams if s.start_time is not None and s.time_base)
        return next((begin for begin in exact if abs(begin - own * unit) < unit), own * unit)

    @property
    def expected_frames(self) -> int | None:
        """About how many pictures there are, where the file tells."""
        if self.timeline.pictures is not None:
            return self.timeline.pictures
        if self.stream.frames:
            return int(self.stream.frames)
        return round(self.duration * float(self.rate)) if self.duration else None

    @property
    def cut_off(self) -> bool:
        """Whether the pictures, all of which have been read, ended well before the stated length."""
        if self.stated_end is None or self.last_end is None:
            return False
        return self.ended_before(self.stated_end)

    @property
    def last_moment(self) -> Fraction:
        """The time stamp, in seconds, at which the last picture that was read ends."""
        return (self.last_end or 0) * self.time_base

    def ended_before(self, moment: Fraction) -> bool:
        """Whether the pictures, all of which have been read, ended well before that time stamp in seconds."""
        slack = min(_SLACK, _SLACK_SHARE * float(moment - self.begin))
        return float(moment - self.last_moment) > max(slack, 3 / float(self.rate))

    @property
    def may_jump(self) -> bool:
        """Whether its time stamps may jump, which `straighten` then finds and mends."""
        return may_jump(self.container)

    def straighten(self) -> None:
        """Read the file through for jumps of its time stamps; what is told from here on is without them."""
        self.timeline = timeline_of(self.path, self.stream.index, float(1 / self.rate))

    def frames(self, start: int | None = None) -> Iterator[VideoFrame]:
        """Pictures in the order of showing, their `pts` whole ticks that rise; from the tick `start` on.

        Damaged ones are passed over; `damaged` counts those before the picture that was given last, at the
        end all. Files that cannot be entered before `start` are read from their beginning.
        """
        decoded = self._decode() if start is None else self._decoded_before(start)
        if self.container.format.name == "avi" and self.codec == "h264":
            decoded = in_turn(decoded)
        previous: int | None = None
        step = max(1, round(1 / (self.rate * self.time_base)))
        for frame in decoded:
            pts = frame.pts
            if pts is None or (previous is not None and pts <= previous):
                pts = 0 if previous is None else previous + (step if frame.pts is None else 1)
                frame.pts = pts
            previous = pts
            self.last_end = self._end_of(pts, frame.duration or step)
            if start is None or pts >= start:
                yield frame

    def check_size(self, frame: VideoFrame) -> None:
        """InputError for a picture of another size than the film's first."""
        if (frame.height, frame.width) != self.size:
            time = float((frame.pts or 0) * self.time_base - self.begin)
            until = f"{floor(1000 * time) / 1000:g}"
            raise InputError(
                f"{self.path}: at {until} s its pictures have {frame.width} x {frame.height} pixels, and its "
                f"first {self.size[1]} x {self.size[0]}; --end {until} colours those before, and those after "
                "want a file of their own."
            )

    def _end_of(self, pts: int, duration: int) -> int:
        """When a picture ends, if it is the last: where the file says that the pictures end, if that can be.

        In files whose pictures are reordered, durations that differ are stored with the wrong ones.
        """
        stated = (self.stream.start_time or 0) + (self.stream.duration or 0)
        return stated if pts < stated < pts + duration else pts + duration

    def frames_from(self, pts: int) -> Iterator[VideoFrame]:
        """The same, from the picture of exactly that time stamp on, which must be one of the film's.

        What is damaged before it is not counted. Files that cannot be entered in their middle are read from
        their beginning.
        """
        frames = self.frames(pts)
        try:
            first = next(frames, None)
        except (self._av.error.FFmpegError, UnreadableError):
            first = None
        if first is None or first.pts != pts:
            self._reopen()
            frames = (frame for frame in self.frames() if (frame.pts or 0) >= pts)
            first = next(frames, None)
        if first is None or first.pts != pts:
            raise InputError(f"{self.path} has changed: the picture to go on with is gone; use --overwrite.")
        self.damaged = 0
        return chain([first], frames)

    def _decoded_before(self, start: int) -> Iterator[VideoFrame]:
        """Pictures from a key picture at or before the tick `start` on, or from the beginning."""
        if not self.timeline.is_straight:  # a time stamp of the file may occur in several places
            return self._decode()
        try:
            self.container.seek(start, stream=self.stream)
            decoded = self._decode()
            first = next(decoded, None)
        except (self._av.error.FFmpegError, UnreadableError):
            first = None
        if first is None or (first.pts is not None and first.pts > start):
            self._reopen()
            decoded = self._decode()
        else:
            decoded = chain([first], decoded)
        self.damaged = 0
        return decoded

    def _reopen(self) -> None:
        self.container.close()
        self.container, self.stream = open_pictures(self.path)

    def _first_frame(self) -> VideoFrame:
        frame = next(self._decode(), None)
        if frame is None:
            raise InputError(f"{self.path} has no picture that can be decoded ({self.codec}).")
        return frame

    def _describe(self, frame: VideoFrame) -> None:
        stream = self.stream
        if stream.time_base is None:
            raise InputError(f"{self.path} has no time stamps.")
        self.time_base = Fraction(stream.time_base)  # from PyAV 19 on it has a type of its own
        rate = Fraction(stream.average_rate or stream.guessed_rate or 0)
        self.rate = rate if 0 < rate < 1000 else Fraction(25)
        self.size = (frame.height, frame.width)
        self.pix_fmt = frame.format.name
        self.bits = max(8, int(frame.format.components[0].bits))
        self.tags = Tags(frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc)
        self.rgb = is_rgb(self.pix_fmt, frame.format.is_rgb)
        self.aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
        self.interlaced = bool(frame.interlaced_frame)
        self.matrix = display_matrix(frame)
        try:
            self.orientation = orientation_of(self.matrix)
            self.signal = (
                Signal(0.2126, 0.0722, self.bits, full_range=False)
                if self.rgb
                else signal_of(self.tags, self.pix_fmt, self.codec, self.bits, self.size)
            )
        except InputError as error:
            raise InputError(f"{self.path}: {error}.") from None

    def _decode(self) -> Iterator[VideoFrame]:
        packets = self.timeline.straighten(packets_of(self.container, self.stream))
        errors = (self._av.error.InvalidDataError, self._av.error.EOFError)
        while True:
            try:
                packet = next(packets, None)
            except errors:  # a file that breaks off: what is in the decoder still comes
                self.damaged += 1
                packet = None
            try:
                frames = self.stream.decode(packet)
            except self._av.error.EOFError:
                return
            except self._av.error.FFmpegError:
                self.damaged += 1
                frames = []
            for frame in frames:
                corrupt = bool(frame.is_corrupt)
                yield frame
                self.damaged += corrupt
            if packet is None or packet.size == 0:
                return


def plane(frame: VideoFrame, index: int, bits: int) -> Pixels:
    """A view (h, w) of one plane's codes, uint8 or uint16, writable where the frame is."""
    source = frame.planes[index]
    codes = np.frombuffer(source, np.uint8 if bits == 8 else np.dtype("<u2"))  # type: ignore[call-overload]
    rows = codes.reshape(source.height, -1)[:, : source.width]
    return rows[::-1] if source.line_size < 0 else rows
