"""What of a film is no picture to be coloured: sound, subtitles, covers and fonts, which are copied over."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tintype.errors import OutputError
from tintype.video.encoder import CONTAINERS
from tintype.video.film import Film
from tintype.video.media import is_cover, is_described, load_av, open_film, packets_of

if TYPE_CHECKING:
    from av.packet import Packet

Span = tuple[Fraction | None, Fraction | None]
"""Time stamps of the source, in seconds, from which and up to which pictures are taken; None for its ends."""


def add_others(output: Any, source: Any, film: Film, suffix: str, notes: list[str]) -> dict[int, Any]:
    """The result's streams, by the index of those of the source, to which packets are to be copied.

    What is left out, or stays grey, is told in `notes`. OutputError for what the container cannot hold.
    """
    streams = {}
    for stream in source.streams:
        if stream.index == film.stream.index or _tells_chapters(stream, source):
            continue
        cover = stream.type == "video" and is_cover(stream)
        if stream.type in ("data", "unknown") or (cover and suffix == ".webm"):
            notes.append(f"A stream that is no picture, sound or subtitle is left out ({stream.index}).")
        elif stream.type == "attachment" and suffix != ".mkv":
            notes.append(f"A font or other file that the film carries is left out: {suffix} holds none.")
        elif cover and suffix == ".mkv":
            _attach_cover(output, film.path, stream)
        elif stream.index in film.timeline.empty and stream.type == "audio":
            notes.append(f"A stream of sound in which there is nothing is left out ({stream.index}).")
        elif not is_described(stream):
            raise OutputError(
                f"{film.path}: its sound (stream {stream.index}) begins later than it is looked for, "
                "after five minutes or 256 MiB; cut the film there, or copy it without that stream, by "
                "ffmpeg -c copy."
            )
        else:
            streams[stream.index] = _copy_of(output, stream, film, suffix)
            if stream.type == "video" and not cover:
                notes.append(f"Its further pictures (stream {stream.index}) stay without colour.")
    return streams


def told_of(stream: Any) -> dict[str, str]:
    """A stream's metadata, its title as all containers take it: FFmpeg reads that of MP4 as a name."""
    told = dict(stream.metadata)
    if "name" in told and "title" not in told:
        told["title"] = told.pop("name")
    return told


def elsewhere(film: Film, suffix: str) -> str:
    """What to do about a container that cannot hold a part of a film, as a part of a sentence."""
    own = film.path.suffix.lower()
    if suffix != ".mkv":
        return "write an .mkv"
    return f"write it as {own}" if own in CONTAINERS else "copy the film without it, by ffmpeg -c copy"


def copied(
    film: Film, source: Any, streams: dict[int, Any], span: Span, offset: Fraction, notes: list[str]
) -> Iterator[tuple[float, int, Packet[Any]]]:
    """Packets of all other streams, within the span, moved by the offset.

    No container takes packets of a stream that go back in time. They are left out, and noted.
    """
    last, backward = 0.0, 0
    times: dict[int, int] = {}
    packets = _whole(packets_of(source, *(source.streams[i] for i in streams)), notes)
    for packet in film.timeline.straighten(packets):
        own = packet.stream
        if not packet.size or own.index not in streams:
            continue
        packet.stream = streams[own.index]
        if is_cover(own):
            packet.pts = packet.dts = 0
            yield 0.0, 1, packet
            continue
        if own.type == "subtitle":
            _cut(packet, span)
        time = packet.dts if packet.dts is not None else packet.pts
        if time is None:
            continue
        at = time * Fraction(packet.time_base)
        if (span[0] is not None and at < span[0]) or (span[1] is not None and at >= span[1]):
            continue
        # Of pictures out of order Matroska does not tell when the first are decoded.
        is_ordered = own.type != "video" or packet.dts is not None
        if is_ordered and time < times.get(own.index, time):
            backward += 1
            continue
        if is_ordered:
            times[own.index] = time
        shift = round(offset / packet.time_base)
        if shift:
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        last = max(last, float(at - offset))
        yield last, 1, packet
    if backward:
        places = "place" if backward == 1 else "places"
        notes.append(f"Sound or subtitles whose time stamps go back are left out in {backward} {places}.")


def _cut(packet: Packet[Any], span: Span) -> None:
    """Have a subtitle that is to be seen as the span begins, or as it ends, begin or end with it."""
    if packet.pts is None or not packet.duration:
        return
    start, end, unit = packet.pts, packet.pts + packet.duration, Fraction(packet.time_base)
    if span[0] is not None:
        first = -(-span[0] // unit)
        start = max(start, first) if end > first else start
    if span[1] is not None:
        end = min(end, max(start + 1, -(-span[1] // unit)))
    if start != packet.pts:
        packet.pts = packet.dts = start
    packet.duration = end - start


def _whole(packets: Iterator[Packet[Any]], notes: list[str]) -> Iterator[Packet[Any]]:
    """The packets of a film up to where it breaks off."""
    error_classes = load_av().error
    try:
        yield from packets
    except (error_classes.InvalidDataError, error_classes.EOFError):
        notes.append("Sound and subtitles end where the film breaks off.")


def _tells_chapters(stream: Any, source: Any) -> bool:
    """Whether a stream is where MP4 keeps the titles of chapters, which FFmpeg has read from it already."""
    unread = load_av().stream.Discard.all
    return stream.type == "data" and stream.discard == unread and bool(source.chapters())


def _copy_of(output: Any, stream: Any, film: Film, suffix: str) -> Any:
    try:
        copy = output.add_stream_from_template(stream, opaque=True)
    except ValueError:
        what = f"{_kind(stream)} ({stream.name})"
        raise OutputError(
            f"{suffix} files cannot hold the film's {what}; {elsewhere(film, suffix)}."
        ) from None
    if (
        stream.type == "audio"
        and stream.layout.nb_channels
        and all(channel.name == "NONE" for channel in stream.layout.channels)
    ):
        # AVI and Matroska need not say where the loudspeakers stand. Uncompressed sound in MP4 must, or is
        # refused once all else has been written: the usual places for so many.
        copy.codec_context.layout = f"{stream.layout.nb_channels}c"
    copy.metadata.update(told_of(stream))
    copy.disposition = stream.disposition
    return copy


def _attach_cover(output: Any, path: Path, stream: Any) -> None:
    """Matroska keeps a cover as an attached file, not as a stream."""
    kind = "png" if stream.codec_context.name == "png" else "jpeg"
    with open_film(path) as container:
        packets = container.demux(container.streams[stream.index])
        data = next((bytes(packet) for packet in packets if packet.size), b"")
    output.add_attachment(f"cover.{kind.replace('jpeg', 'jpg')}", f"image/{kind}", data)


def _kind(stream: Any) -> str:
    return {"audio": "sound", "subtitle": "subtitles", "video": "further pictures"}.get(
        stream.type, stream.type
    )
