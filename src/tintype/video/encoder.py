"""What a film is written with, and the writing of one closed segment of its pictures."""

from __future__ import annotations

import io
import os
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tintype.errors import InputError, OutputError, SettingsError
from tintype.video.film import Film
from tintype.video.layout import FULL, LIMITED, Layout, choose_layout
from tintype.video.media import file_url, load_av, reason

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# What the films are written to, and the codec for each unless the user names one.
CONTAINERS = {
    ".mp4": "libx264",
    ".m4v": "libx264",
    ".mov": "libx264",
    ".mkv": "libx264",
    ".webm": "libvpx-vp9",
}
_CRF = {"libx264": 18, "libx265": 20, "libvpx-vp9": 24, "libsvtav1": 24, "libaom-av1": 24}
# Where FFmpeg states other bounds than the encoder's: x264's and x265's none, SVT-AV1's 0 for no crf at all.
_CRF_RANGE = {"libx264": (0, 51), "libx264rgb": (0, 51), "libx265": (0, 51), "libsvtav1": (1, 63)}
_FIXED: dict[str, dict[str, str]] = {
    "libvpx-vp9": {"b": "0", "row-mt": "1", "deadline": "good", "cpu-used": "3"},
    "libx265": {"x265-params": "log-level=error"},
    "ffv1": {"level": "3", "slicecrc": "1"},
}
_SEGMENTS = ("nut", "mov")
_LIMITED = ("prores", "cfhd")  # codecs that players take to be of limited range, whatever a file says
_INTERLACED_DCT, _INTERLACED_ME = 1 << 18, 1 << 29  # FFmpeg's flags of a codec


@dataclass(frozen=True)
class Encoding:
    """How pictures are stored: FFmpeg's name of the codec, its options, and the kind of file of segments."""

    codec: str
    options: tuple[tuple[str, str], ...]
    segments: str = "nut"


def make_encoding(codec: str | None, crf: float | None, preset: str | None, suffix: str) -> Encoding:
    """What the user asked for, completed. SettingsError for a codec or option that is not to be had."""
    av = load_av()
    name = codec or CONTAINERS.get(suffix.lower())
    if name is None:
        known = " ".join(CONTAINERS)
        raise SettingsError(f"Films are written to {known}, not to {suffix or 'a name without suffix'}.")
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1's errors alone, as x265's by its own option
    try:
        context = av.codec.CodecContext.create(name, "w")
    except ValueError:
        raise SettingsError(
            f"The installed PyAV has no encoder {name!r}; some that it has: {', '.join(_known(av))}."
        ) from None
    if context.type != "video":
        raise SettingsError(f"{name} does not store pictures.")
    known_options = {option.name: option for option in context.supported_options.private}
    options = dict(_FIXED.get(name, {}))
    if crf is not None or name in _CRF:
        options["crf"] = f"{_CRF[name] if crf is None else crf:g}"
    if preset is not None:
        options["preset"] = preset
    for key in ("crf", "preset"):
        if key in options and key not in known_options:
            raise SettingsError(f"The encoder {name} has no --{key}.")
    if crf is not None:
        _check_crf(crf, context.name, known_options["crf"])
    return Encoding(name, tuple(sorted(options.items())), _segments_of(name))


def _segments_of(codec: str) -> str:
    """The kind of file for segments: NUT, or MOV for the few codecs (ProRes) that NUT does not know."""
    for kind in _SEGMENTS:
        with load_av().open(io.BytesIO(), "w", format=kind) as container, suppress(ValueError):
            container.add_stream(codec)
            return kind
    raise SettingsError(f"The encoder {codec} cannot be used for films here.")


def _check_crf(crf: float, encoder: str, option: Any) -> None:
    """SettingsError for a crf in whose place another would be taken; `option` is what FFmpeg says of it."""
    least, most = _CRF_RANGE.get(encoder, (max(0, option.min), option.max))
    if not least <= crf <= most:
        raise SettingsError(f"--crf must be from {least:g} to {most:g} with {encoder}, not {crf:g}.")
    if crf % 1 and option.type.name == "INT":
        raise SettingsError(f"--crf must be a whole number with {encoder}, not {crf:g}.")


def layout_for(film: Film, encoding: Encoding) -> Layout:
    """The planes in which the encoder takes the film's pictures. InputError where it cannot."""
    av = load_av()
    formats = av.codec.Codec(encoding.codec, "w").video_formats or []
    layout = choose_layout(film.pix_fmt, film.bits, [f.name for f in formats], film.size)
    if not film.signal.full_range or not encoding.codec.startswith(_LIMITED):
        return layout
    if layout.bits == film.bits:
        raise InputError(
            f"its codes are of full range, which {encoding.codec} does not know; --codec ffv1 does, in an "
            ".mkv"
        )
    return replace(layout, narrowed=True)


class Segment(AbstractContextManager["Segment"]):
    """Writes pictures, from a key frame on, to a file of their own.

    On leaving without an error the file is whole and on the disk; `pts` are the time stamps of its pictures,
    as they came, and `stored` the same in the order in which the encoder stored them. Raises
    OutputError where the encoder refuses; OSError of a full disk passes through.
    """

    def __init__(self, path: Path, film: Film, encoding: Encoding, layout: Layout, width: int) -> None:
        self._av = load_av()
        self._path, self._encoding, self._time_base = path, encoding, film.time_base
        self.pts: list[int] = []
        self.stored: list[int] = []
        self._container = self._av.open(file_url(path), "w", format=encoding.segments)
        self._stream = self._container.add_stream(
            encoding.codec, rate=film.rate, time_base=film.time_base, options=dict(encoding.options)
        )
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = width, film.size[0], layout.pix_fmt
        tag(context, film, layout)
        if film.interlaced:
            context.flags |= _INTERLACED_DCT | _INTERLACED_ME
        try:
            self._container.start_encoding()
        except self._av.error.FFmpegError as error:
            self._container.close()
            raise OutputError(
                f"The encoder {encoding.codec} refuses this film or an option: {reason(error)}."
            ) from error

    def write(self, frame: VideoFrame) -> None:
        """Encode one picture of the segment's layout, by its own time stamp."""
        frame.pict_type = 0  # the encoder chooses its own key frames, not the source's
        self.pts.append(int(frame.pts or 0))
        self._encode(frame)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with suppress(self._av.error.FFmpegError):  # what went wrong first is told
                self._container.close()
            return
        self._encode(None)
        self._container.close()
        if sorted(self.stored) != self.pts:
            raise OutputError(f"The encoder {self._encoding.codec} lost pictures or their time stamps.")
        with self._path.open("rb") as file:
            os.fsync(file.fileno())

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            packets = self._stream.encode(frame)
        except self._av.error.FFmpegError as error:
            raise OutputError(
                f"The encoder {self._encoding.codec} refuses these pictures: {reason(error)}."
            ) from error
        self.stored += [round(packet.pts * packet.time_base / self._time_base) for packet in packets]
        self._container.mux(packets)


def tag(context: Any, film: Film, layout: Layout) -> None:
    """Give a codec's context the film's aspect, order of fields and own tags on colour.

    The range is stated where the pixel format no longer says it; films of RGB get the tags of what is made.
    """
    tags = film.tags
    if film.aspect:
        context.sample_aspect_ratio = film.aspect
    if film.interlaced:
        context.field_order = film.stream.codec_context.field_order
    context.color_range, context.colorspace = tags.range, tags.matrix
    context.color_primaries, context.color_trc = tags.primaries, tags.transfer
    if film.rgb:
        context.color_range, context.colorspace = LIMITED, 1
    elif film.signal.full_range:
        context.color_range = LIMITED if layout.narrowed else FULL


def _known(av: Any) -> list[str]:
    names = [*_CRF, "ffv1", "prores_ks", "mpeg4", "h264_nvenc", "h264_v4l2m2m", "h264_videotoolbox"]
    return [name for name in names if name in av.codecs_available]
