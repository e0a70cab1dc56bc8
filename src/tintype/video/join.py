"""From finished segments and the source to the result: nothing is encoded again, all else is copied over."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tintype.errors import OutputError
from tintype.video.encoder import Encoding, tag
from tintype.video.film import Film
from tintype.video.layout import Layout
from tintype.video.media import file_url, load_av, open_film, reason
from tintype.video.others import Span, add_others, copied, elsewhere, told_of
from tintype.video.work import Work

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

_CHAPTER_KEYS = ("start", "end")
_ISO = (".mp4", ".m4v", ".mov")  # whose boxes are those of ISO 14496-12


def join(work: Work, film: Film, layout: Layout, path: Path, span: Span, notes: list[str]) -> None:
    """Write the film whose segments are finished to `path`, with sound, subtitles and all else of the source.

    `span` is the part of the source that was coloured; its start becomes 0. Streams that are left out are
    told in `notes`. Raises OutputError where the container cannot hold a stream.
    """
    av = load_av()
    suffix = path.suffix.lower()
    try:
        with open_film(film.path) as source, _segment(work, 0) as first:
            output = av.open(file_url(path), "w", options=_muxer_options(suffix))
            try:
                pictures = _add_pictures(output, first.streams.video[0], film, layout, suffix)
                others = add_others(output, source, film, suffix, notes)
                _describe(output, source, span)
                offset = span[0] or Fraction(0)
                streams = [_pictures(work, film, pictures, offset, suffix in _ISO)]
                if others:
                    streams.append(copied(film, source, others, span, offset, notes))
                for _, _, packet in heapq.merge(*streams, key=lambda item: item[:2]):
                    output.mux_one(packet)
            finally:
                output.close()
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise OutputError(
            f"The {suffix} file cannot hold this film ({reason(error)}); try an .mkv."
        ) from error


def check_container(film: Film, path: Path, encoding: Encoding, pix_fmt: str) -> None:
    """OutputError where the container that `path` names cannot hold such pictures or another stream.

    Asked before hours of work; `path` is written and removed again.
    """
    av = load_av()
    try:
        with open_film(film.path) as source, av.open(file_url(path), "w") as output:
            try:
                options = dict(encoding.options)
                pictures = output.add_stream(encoding.codec, rate=film.rate, options=options)
            except ValueError:
                other = "choose" if path.suffix.lower() == ".mkv" else "try an .mkv or"
                raise OutputError(
                    f"{path.suffix} files cannot hold pictures of {encoding.codec}; {other} another --codec."
                ) from None
            add_others(output, source, film, path.suffix.lower(), [])
            context = pictures.codec_context
            context.height, context.width = film.size
            context.pix_fmt = pix_fmt
            with suppress(av.error.FFmpegError):  # which is told where the first pictures are stored
                context.open()
            if context.is_open:
                _check_header(output, film, path.suffix.lower())
    finally:
        path.unlink(missing_ok=True)


def _check_header(output: Any, film: Film, suffix: str) -> None:
    """OutputError where the container refuses its streams only as its header is written."""
    error_class = load_av().error.FFmpegError
    try:
        output.start_encoding()
    except error_class as error:
        if isinstance(error, OSError):
            raise
        raise OutputError(
            f"{suffix} files cannot hold the film's sound or subtitles, or such pictures ({reason(error)}); "
            f"{elsewhere(film, suffix)}."
        ) from error


def _add_pictures(output: Any, segment: Any, film: Film, layout: Layout, suffix: str) -> Any:
    stream = output.add_stream_from_template(segment, opaque=True)
    source = film.stream
    stream.time_base = film.time_base
    stream.codec_context.framerate = film.rate
    tag(stream.codec_context, film, layout)  # NUT does not keep what a codec does not itself
    if segment.codec_context.name == "hevc" and suffix in _ISO:
        stream.codec_context.codec_tag = "hvc1"  # the only one that Apple's players take
    if film.matrix is not None:
        stream.set_display_matrix(film.matrix)
    stream.disposition = source.disposition
    stream.metadata.update({k: v for k, v in told_of(source).items() if k.lower() in ("language", "title")})
    return stream


def _describe(output: Any, source: Any, span: Span) -> None:
    output.metadata.update(source.metadata)
    chapters = source.chapters()
    if not chapters:
        return
    kept = []
    for chapter in chapters:
        base = chapter["time_base"]
        start, end = (Fraction(chapter[key]) * base for key in _CHAPTER_KEYS)
        first, last = span[0] or Fraction(0), end if span[1] is None else span[1]
        start, end = max(start, first) - first, min(end, last) - first
        if start < end:
            kept.append(chapter | {"start": round(start / base), "end": round(end / base)})
    output.set_chapters(kept)


def _pictures(
    work: Work, film: Film, stream: Any, offset: Fraction, is_iso: bool
) -> Iterator[tuple[float, int, Packet[Any]]]:
    """Packets of all segments, with time stamps that are counted through."""
    shift = round(offset / film.time_base)
    stamps = _stamps(work, film, is_iso)
    extradata = None
    for done in work.segments():
        path, count = work.pictures(done.index), 0
        try:
            for packet, own in _packets(work, done.index):
                extradata = own if done.index == count == 0 else extradata
                if own != extradata:
                    raise OutputError("The encoder's segments cannot be joined; use another --codec.")
                pts, dts, duration = next(stamps)
                packet.stream, packet.time_base = stream, film.time_base
                packet.pts, packet.dts, packet.duration = pts - shift, dts - shift, duration
                yield float(packet.dts * film.time_base), 0, packet
                count += 1
        except load_av().error.InvalidDataError:
            raise work.spoilt(path) from None
        if count != len(done.stored):
            raise work.spoilt(path)


def _packets(work: Work, index: int) -> Iterator[tuple[Packet[Any], bytes | None]]:
    """The stored pictures of a segment, each with what its encoder says of them all."""
    with _segment(work, index) as container:
        source = container.streams.video[0]
        for packet in container.demux(source):
            if packet.size:
                yield packet, source.codec_context.extradata


def _segment(work: Work, index: int) -> InputContainer:
    """A finished segment, opened."""
    path = work.pictures(index)
    try:
        return load_av().open(file_url(path))
    except load_av().error.InvalidDataError:
        raise work.spoilt(path) from None


def _stamps(work: Work, film: Film, is_iso: bool) -> Iterator[tuple[int, int, int]]:
    """Times of showing and of decoding, and the duration, of each picture in the order of storing.

    Each segment's own times of decoding begin anew, and could overlap. With the times of showing of the
    picture `delay` places before, where no encoder moved one by more, they rise throughout and none is later
    than its picture's showing. MP4 and its kin take the time from the first decoding to the end of the last
    for the length of the pictures, and no player shows what comes after it, so it must not be less.
    """
    decoded = _decoding_times(work, film)
    first = first_decoded = None
    for done in work.segments():
        ends = dict(zip(done.pts, [*done.pts[1:], done.end], strict=True))
        for place, pts in enumerate(done.stored):
            dts, duration = next(decoded), ends[pts] - pts
            if first is None or first_decoded is None:
                first, first_decoded = done.pts[0], dts
            if done.last and place + 1 == len(done.stored) and is_iso:
                duration = max(duration, done.end - first - (dts - first_decoded))
            yield pts, dts, duration


def _decoding_times(work: Work, film: Film) -> Iterator[int]:
    delay = max(done.delay for done in work.segments())
    step = max(1, round(1 / (film.rate * film.time_base)))
    first = next(work.segments()).pts[0]
    yield from (first - (delay - i) * step for i in range(delay))
    for done in work.segments():
        yield from done.pts


def _muxer_options(suffix: str) -> dict[str, str]:
    return {"movflags": "+faststart"} if suffix in _ISO else {}
