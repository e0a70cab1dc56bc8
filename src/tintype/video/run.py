"""One film from file to file: segment by segment, then joined."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from numpy.typing import NDArray

from tintype import __version__
from tintype.colorizer import Colorizer
from tintype.errors import InputError, OutputError, OutputExistsError, SettingsError
from tintype.results import check_free, default_target
from tintype.running import opencv_threads, processors
from tintype.temporal import FrameByFrame, Steady
from tintype.video.ahead import ahead
from tintype.video.colored import shows_color
from tintype.video.encoder import CONTAINERS, Encoding, Segment, layout_for, make_encoding
from tintype.video.film import Film
from tintype.video.join import check_container, join
from tintype.video.media import UnreadableError, load_av
from tintype.video.options import FilmOptions, FilmResult
from tintype.video.painter import Painter
from tintype.video.work import Done, Work, is_begun
from tintype.whole import name_whole, sync_folder
from tintype.words import plain_words

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_LONG_READ = 1 << 30
"""Bytes of a film that take so long to read through that it is told."""

Progress = Callable[[int, int | None], None]
Say = Callable[[str], None]
State = dict[str, NDArray[Any]]


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
    say: Say | None = None,
) -> FilmResult:
    """Colour the film `source` into `target` (`film_target` if None), whose suffix sets the container.

    The luma plane of each picture goes to the encoder code for code; time stamps, sound, subtitles, chapters,
    rotation and colour tags are the source's. `progress` is told pictures done and, where it is known, of
    how many; `say`, what the user should know before the first of them. `target` is whole or absent; what is
    finished when this is stopped or fails stays in a folder beside it, for `options.resume`. What is not the
    model's work runs in `colorizer.threads` threads, or in `painting_threads()` if that is None, and so does
    OpenCV in this process meanwhile. Raises InputError, OutputError, OutputExistsError, SettingsError.
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
        if film.may_jump:
            _straighten(film, result, say)
        try:
            _Run(colorizer, film, target, options, encoding, result)(progress, say)
        except (OSError, UnreadableError) as error:
            kept = "; what is finished is kept, --resume goes on" if is_begun(target) else ""
            if isinstance(error, UnreadableError):
                raise InputError(f"{str(error).rstrip('.')}{kept}.") from error
            raise OutputError(f"Cannot write {target}: {plain_words(error)}{kept}.") from error
    result.target = str(target)
    result.seconds = time.perf_counter() - started
    return result


def _straighten(film: Film, result: FilmResult, say: Say | None) -> None:
    """Let the time stamps of a film that may be made of several rise throughout, and note it."""
    size = film.path.stat().st_size
    if size > _LONG_READ and say is not None:
        say(f"Reading all {size >> 20:,} MiB once for jumps of the time stamps …")
    film.straighten()
    if jumps := film.timeline.jumps:
        times = "once" if jumps == 1 else f"{jumps} times"
        result.notes.append(
            f"Its time stamps jump {times}, as where films were joined; they were put in line."
        )


def film_target(source: Path) -> Path:
    """Where a result goes when nothing else is said: NAME.color.EXT, or .mkv for what is not written."""
    target = default_target(source)
    return target if target.suffix.lower() in CONTAINERS else target.with_suffix(".mkv")


def _check_target(source: Path, target: Path, options: FilmOptions) -> None:
    if target.exists() and target.samefile(source):
        raise OutputError(f"{source}: the result would replace the film itself; name another output.")
    check_free(target, options.overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {plain_words(error)}.") from error


class _Painted(NamedTuple):
    """One picture in colour."""

    frame: VideoFrame
    state: State
    """What is remembered after it, by which a later run goes on."""
    damaged: int
    """How many damaged places this run has met before it."""


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
        result.width = self._painter.width
        job = _job(colorizer, film, options, encoding)
        self._span = (_moment(options.start, film), _moment(options.end, film))
        self._work = Work(
            target, job, resume=options.resume, overwrite=options.overwrite, segments=encoding.segments
        )

    def __call__(self, progress: Progress | None, say: Say | None) -> None:
        """Paint what is not painted yet, then join. What is finished stays where this fails."""
        work, film = self._work, self._film
        try:
            joined = work.folder / f"joined{self._target.suffix}"
            check_container(film, joined, self._encoding, self._layout.pix_fmt)
            with opencv_threads(self._threads):
                self._paint(progress, say)
            join(work, film, self._layout, joined, self._span, self._result.notes)
            self._name(joined)
        except BaseException:
            work.remove_if_empty()
            raise
        work.remove()

    def _name(self, joined: Path) -> None:
        """Give the film its name, on the disk too: what it was made of is removed next."""
        try:
            name_whole(joined, self._target, replace=self._options.overwrite)
        except OutputExistsError:
            raise OutputExistsError(
                f"{self._target} has appeared meanwhile, and was left as it is; the film is {joined}."
            ) from None
        sync_folder(self._target.parent)

    def _paint(self, progress: Progress | None, say: Say | None) -> None:
        """Paint what no earlier run has finished, and note what all of them passed over."""
        result, last, damaged = self._result, None, 0
        for last in self._work.segments():
            result.resumed += len(last.pts)
            damaged += last.damaged
        result.frames = result.resumed
        if last is not None and last.last:
            self._film.last_end = last.end
        else:
            if last is None and self._options.resume and say is not None:
                say(f"There is nothing of {self._target} to go on from, so it begins anew.")
            damaged += self._paint_from(last, progress)
        self._tell_damage(damaged)

    def _paint_from(self, last: Done | None, progress: Progress | None) -> int:
        """Paint and store all segments after the `last` finished one; the number of damaged places there."""
        film, result = self._film, self._result
        if last is not None:
            self._carry.restore(self._work.state(last.index))
        index = 0 if last is None else last.index + 1
        total, damaged = self._total(), 0
        with closing(ahead(self._painted(ahead(self._frames(last))))) as pictures:
            picture = next(pictures, None)
            if picture is None:
                raise InputError(f"{film.path} has no pictures there to colour.")
            while picture is not None:
                with Segment(
                    self._work.part(), film, self._encoding, self._layout, self._painter.width
                ) as part:
                    state: State = {}
                    while picture is not None and len(part.pts) < self._options.segment_frames:
                        state = picture.state
                        part.write(picture.frame)
                        result.frames += 1
                        if progress is not None:
                            progress(result.frames, total)
                        picture = next(pictures, None)
                if picture is None:
                    end, so_far = film.last_end or 0, film.damaged
                else:
                    end, so_far = picture.frame.pts or 0, picture.damaged
                pts, stored = tuple(part.pts), tuple(part.stored)
                self._work.finish(Done(index, pts, stored, end, picture is None, so_far - damaged), state)
                damaged = so_far
                index += 1
        result.looks = getattr(self._carry, "looks", result.frames - result.resumed)
        return damaged

    def _frames(self, last: Done | None) -> Iterator[tuple[VideoFrame, int]]:
        """The pictures that are to be painted, from the one after the `last` finished segment on.

        Each with the number of damaged places met before it.
        """
        film = self._film
        start, end = (None if time is None else ceil(time / film.time_base) for time in self._span)
        frames = film.frames(start) if last is None else film.frames_from(last.end)
        for frame in frames:
            if end is not None and (frame.pts or 0) >= end:
                film.last_end = frame.pts
                return
            film.check_size(frame)
            yield frame, film.damaged

    def _painted(self, frames: Generator[tuple[VideoFrame, int]]) -> Iterator[_Painted]:
        with closing(
            frames
        ):  # at once, also after an error, whose traceback would keep them and their thread
            for frame, damaged in frames:
                yield _Painted(self._painter(frame), self._carry.state(), damaged)

    def _total(self) -> int | None:
        """About how many pictures there are to paint, those of earlier runs included."""
        film, options = self._film, self._options
        if film.duration is None:
            return film.expected_frames
        begin = options.start or 0
        end = min(film.duration, film.duration if options.end is None else options.end)
        expected = film.expected_frames or 0
        return max(1, round(expected * max(0.0, end - begin) / film.duration)) if film.duration else None

    def _tell_damage(self, damaged: int) -> None:
        """Note what was passed over or is missing; `damaged` counts the places of all runs."""
        film, result, end = self._film, self._result, self._span[1]
        if damaged:
            many = "1 damaged place was" if damaged == 1 else f"{damaged} damaged places were"
            result.notes.append(f"{many} passed over.")
            result.complete = False
        if end is not None and film.last_moment >= end:
            return
        if film.cut_off:
            result.notes.append("The film breaks off before its stated end; what there is was coloured.")
            result.complete = False
        elif end is not None and film.ended_before(end):
            ended = float(film.last_moment - film.begin)
            result.notes.append(f"The film ends at {ended:.1f} s, before the end that was asked for.")


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
        "codec": encoding.codec,
        "crf": dict(encoding.options).get("crf"),
        "preset": dict(encoding.options).get("preset"),
        "every": [options.every, options.steady],
        "start": options.start,
        "end": options.end,
        "compare": options.compare,
        "length of segments": options.segment_frames,
        "version of Tintype": __version__,
        "version of PyAV": load_av().__version__,
    }
