"""One film from file to file: segment by segment, then joined."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from tintype.colorizer import Colorizer
from tintype.errors import InputError, OutputError, OutputExistsError, SettingsError
from tintype.plan import plain_words
from tintype.results import default_target
from tintype.running import opencv_threads, processors
from tintype.temporal import EVERY, FrameByFrame, Steady
from tintype.video.ahead import ahead
from tintype.video.colored import shows_color
from tintype.video.encoder import CONTAINERS, Encoding, Segment, layout_for, make_encoding
from tintype.video.film import Film
from tintype.video.join import check_container, join
from tintype.video.painter import Painter
from tintype.video.work import Done, Work

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

SEGMENT_FRAMES = 300  # pictures that are lost, at most, when a film is stopped; x264 keeps 250 together
Progress = Callable[[int, int | None], None]
State = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class FilmOptions:
    """How a film is coloured and stored."""

    every: int = EVERY
    """The model looks at one picture of so many, and at more where much moves."""
    steady: bool = True
    """Carry colours from picture to picture; else each is coloured alone, and flickers."""
    codec: str | None = None
    """FFmpeg's name of an encoder; by the container if None."""
    crf: float | None = None
    preset: str | None = None
    start: float | None = None
    """Seconds at which to begin …"""
    end: float | None = None
    """… and to end."""
    compare: bool = False
    """Grey on the left, colour on the right."""
    resume: bool = False
    overwrite: bool = False
    skip_colored: bool = False
    segment_frames: int = SEGMENT_FRAMES

    def __post_init__(self) -> None:
        if self.every < 1 or self.segment_frames < 1:
            raise SettingsError("The model must look at one picture of 1 or more.")
        if (self.start or 0) < 0 or (self.end is not None and self.end <= (self.start or 0)):
            raise SettingsError("The end must lie after the start, and both after 0.")


@dataclass
class FilmResult:
    """What became of a film."""

    source: str
    target: str | None = None
    status: str = "done"
    """`done` or `skipped`."""
    reason: str | None = None
    notes: list[str] = field(default_factory=list)
    complete: bool = True
    """False where the source breaks off or is damaged; what there is of it was coloured."""
    width: int = 0
    height: int = 0
    frames: int = 0
    resumed: int = 0
    """How many of the frames were finished in an earlier run."""
    looks: int = 0
    """How often the model looked, in this run."""
    seconds: float = 0.0


def painting_threads() -> int:
    """Processor threads for painting one picture of a film: half of them, reading and encoding use the rest.

    Measured: on two processors a second thread for painting costs half as much again of processor time.
    """
    return max(1, processors() // 2)


def colorize_film(
    colorizer: Colorizer,
    source: Path,
    target: Path | None = None,
    options: FilmOptions | None = None,
    progress: Progress | None = None,
) -> FilmResult:
    """Colour the film `source` into `target` (`film_target` if None), whose suffix sets the container.

    The luma plane of each picture goes to the encoder code for code; time stamps, sound, subtitles, chapters,
    rotation and colour tags are the source's. `progress` is told pictures done and, where it is known, of
    how many. `target` is whole or absent; what is finished when this is stopped or fails stays in a folder
    beside it, for `options.resume`. What is not the model's work runs in `colorizer.threads` threads, or in
    `painting_threads()` if that is None, and so does OpenCV in this process meanwhile. Raises InputError,
    OutputError, OutputExistsError, SettingsError.
    """
    started = time.perf_counter()
    options = options or FilmOptions()
    source, target = Path(source), film_target(Path(source)) if target is None else Path(target)
    encoding = make_encoding(options.codec, options.crf, options.preset, target.suffix)
    if target.suffix.lower() not in CONTAINERS:
        raise SettingsError(f"Films are written to {' '.join(CONTAINERS)}, not to {target.suffix}.")
    with Film(source) as film:
        result = FilmResult(str(source), width=film.size[1], height=film.size[0])
        _check_target(source, target, options)
        colored = shows_color(film)
        if colored and options.skip_colored:
            result.status, result.reason = "skipped", "it is in colour already"
            return result
        if colored:
            result.notes.append("It was in colour and was made grey first.")
        try:
            _Run(colorizer, film, target, options, encoding, result)(progress)
        except OSError as error:
            raise OutputError(
                f"Cannot write {target}: {plain_words(error)}; what is finished is kept, --resume goes on."
            ) from error
    result.target = str(target)
    result.seconds = time.perf_counter() - started
    return result


def film_target(source: Path) -> Path:
    """Where a result goes when nothing else is said: NAME.color.EXT, or .mkv for what is not written."""
    target = default_target(source)
    return target if target.suffix.lower() in CONTAINERS else target.with_suffix(".mkv")


def _check_target(source: Path, target: Path, options: FilmOptions) -> None:
    if target.exists() and target.samefile(source):
        raise OutputError(f"{source}: the result would replace the film itself; name another output.")
    if target.exists() and not options.overwrite:
        raise OutputExistsError(f"{target} exists already; --overwrite replaces it.")
    target.parent.mkdir(parents=True, exist_ok=True)


class _Run:
    """One film in the making."""

    def __init__(
        self,
        colorizer: Colorizer,
        film: Film,
        target: Path,
        options: FilmOptions,
        encoding: Encoding,
        result: FilmResult,
    ) -> None:
        self._film, self._target, self._options, self._encoding = film, target, options, encoding
        self._result = result
        try:
            self._layout = layout_for(film, encoding)
        except InputError as error:
            raise InputError(f"{film.path}: {error}.") from None
        see = colorizer.see
        self._carry = Steady(see, options.every) if options.steady else FrameByFrame(see)
        self._threads = colorizer.threads or painting_threads()
        self._painter = Painter(colorizer, film, self._layout, self._carry, options.compare, self._threads)
        job = _job(colorizer, film, options, encoding)
        self._span = (_moment(options.start, film), _moment(options.end, film))
        self._work = Work(target, job, resume=options.resume, overwrite=options.overwrite)

    def __call__(self, progress: Progress | None) -> None:
        """Paint what is not painted yet, then join. What is finished stays where this fails."""
        work, film = self._work, self._film
        try:
            joined = work.folder / f"joined{self._target.suffix}"
            check_container(film, joined, self._encoding.codec)
            with opencv_threads(self._threads):
                self._paint(progress)
            join(work, film, joined, self._span, self._result.notes)
            joined.replace(self._target)
        except BaseException:
            work.remove_if_empty()
            raise
        work.remove()

    def _paint(self, progress: Progress | None) -> None:
        result, last = self._result, None
        for last in self._work.segments():
            result.resumed += len(last.pts)
        result.frames = result.resumed
        if last is not None:
            if last.last:
                return
            self._carry.restore(self._work.state(last.index))
        index = 0 if last is None else last.index + 1
        total = self._total()
        with closing(ahead(self._painted(ahead(self._frames(last))))) as pictures:
            picture = next(pictures, None)
            if picture is None:
                raise InputError(f"{self._film.path} has no pictures there to colour.")
            while picture is not None:
                with Segment(
                    self._work.part(), self._film, self._encoding, self._layout, self._painter.width
                ) as part:
                    state: State = {}
                    while picture is not None and len(part.pts) < self._options.segment_frames:
                        frame, state = picture
                        part.write(frame)
                        result.frames += 1
                        if progress is not None:
                            progress(result.frames, total)
                        picture = next(pictures, None)
                end = self._film.last_end if picture is None else picture[0].pts
                done = Done(index, tuple(part.pts), tuple(part.stored), end or 0, picture is None)
                self._work.finish(done, state)
                index += 1
        result.looks = getattr(self._carry, "looks", result.frames - result.resumed)
        self._tell_damage()

    def _frames(self, last: Done | None) -> Iterator[VideoFrame]:
        """The pictures that are to be painted, from the one after the `last` finished segment on."""
        film = self._film
        start, end = (None if time is None else ceil(time / film.time_base) for time in self._span)
        frames = film.frames(start) if last is None else film.frames_from(last.end)
        for frame in frames:
            if end is not None and (frame.pts or 0) >= end:
                film.last_end = frame.pts
                return
            yield frame

    def _painted(self, frames: Iterator[VideoFrame]) -> Iterator[tuple[VideoFrame, State]]:
        """The pictures painted, each with what is remembered after it, by which a later run goes on."""
        for frame in frames:
            yield self._painter(frame), self._carry.state()

    def _total(self) -> int | None:
        """About how many pictures there are to paint, those of earlier runs included."""
        film, options = self._film, self._options
        if film.duration is None:
            return film.expected_frames
        begin = options.start or 0
        end = min(film.duration, film.duration if options.end is None else options.end)
        expected = film.expected_frames or 0
        return max(1, round(expected * max(0.0, end - begin) / film.duration)) if film.duration else None

    def _tell_damage(self) -> None:
        film, result = self._film, self._result
        if film.damaged:
            many = "1 damaged place was" if film.damaged == 1 else f"{film.damaged} damaged places were"
            result.notes.append(f"{many} passed over.")
            result.complete = False
        if self._options.end is None and film.cut_off:
            result.notes.append("The film breaks off before its stated end; what there is was coloured.")
            result.complete = False


def _moment(seconds: float | None, film: Film) -> Fraction | None:
    """The time stamp, in seconds, of a time from the film's beginning on; None for the film's own ends.

    The decimals that were written count, not their nearest float.
    """
    return film.begin + Fraction(str(seconds)) if seconds else None


def _job(colorizer: Colorizer, film: Film, options: FilmOptions, encoding: Encoding) -> dict[str, object]:
    """All that the pictures of a result hang on, by the names under which a user knows them."""
    stat = film.path.stat()
    return {
        "source film": [film.path.name, stat.st_size, stat.st_mtime_ns],
        "model": colorizer.card.sha256,
        "strength": colorizer.strength,
        "vividness": colorizer.vividness,
        "colors": list(colorizer.colors),
        "size": colorizer.size,
        "codec": [encoding.codec, encoding.options],
        "every": [options.every, options.steady],
        "start": options.start,
        "end": options.end,
        "compare": options.compare,
        "length of segments": options.segment_frames,
    }
