"""Small films for the tests: moving textures from scikit-image's pictures, with whatever a film may carry."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
from skimage import data

from tintype.video import FilmOptions, colorize_film

Disposition = av.stream.Disposition
HEIGHT, WIDTH = 64, 96
LOSSLESS = {"codec": "ffv1"}


def scene(count=30, height=HEIGHT, width=WIDTH, colored=True, picture=None):
    """RGB pictures (H, W, 3) uint8: a window that wanders over a photograph."""
    photograph = data.astronaut() if picture is None else picture
    photograph = cv2.resize(photograph, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for i in range(count):
        y, x = 10 + i // 3, 20 + i
        rgb = photograph[y : y + height, x : x + width]
        yield rgb if colored else np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, -1)


def make_film(
    path,
    pictures=None,
    *,
    pix_fmt="yuv420p",
    codec="ffv1",
    pts=None,
    time_base=Fraction(1, 12800),
    sound=None,
    sound_from=0.0,
    layout="mono",
    subtitles=(),
    chapters=(),
    rotation=None,
    tags=(0, 2, 2, 2),
    interlaced=False,
    aspect=None,
    metadata=None,
    options=None,
    attachment=None,
):
    """Write a film. `pts` are ticks of `time_base`; `tags` range, matrix, primaries, transfer."""
    pictures = list(scene(colored=False) if pictures is None else pictures)
    pts = [512 * i for i in range(len(pictures))] if pts is None else pts
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25, time_base=time_base, options=options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = tags
        if interlaced:
            context.flags |= (1 << 18) | (1 << 29)
        if aspect:
            context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        output.metadata.update(metadata or {})
        audio = _add_sound(output, sound, layout)
        texts = output.add_stream("ass") if subtitles else None
        if texts:
            texts.time_base = Fraction(1, 1000)
            texts.codec_context.subtitle_header = ASS_HEADER
            texts.metadata["language"] = "eng"
            texts.disposition = av.stream.Disposition.forced
        if attachment:
            output.add_attachment("font.ttf", "application/x-truetype-font", attachment)
        if chapters:
            output.set_chapters(list(chapters))
        output.start_encoding()
        for tick, rgb in zip(pts, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = tick, time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if audio:
            _play(output, audio, sound_from, pts[-1] * time_base)
        for start, end, text in subtitles:
            packet = av.Packet(f"0,0,Default,,0,0,0,,{text}".encode())
            packet.stream, packet.time_base = texts, Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration = end - start
            output.mux(packet)
    return path


def damage(path, pictures):
    """Blank the middle of the packets of these pictures, numbered as they are stored."""
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for position, size in (places[i] for i in pictures):
        data[position + size // 3 : position + 2 * size // 3] = bytes(2 * size // 3 - size // 3)
    path.write_bytes(data)
    return path


class StopError(Exception):
    """Pulls the plug in a test."""


def stopper(after):
    """What stops a run as it is told of so many pictures."""

    def progress(done, total):
        if done == after:
            raise StopError

    return progress


def luma_planes(path):
    """The luma codes (N, H, W) of a film, and its time stamps as fractions of seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return np.stack([_plane(f, 0) for f in frames]), [f.pts * f.time_base for f in frames]


def chroma_planes(path):
    """The codes (N, 2, h, w) of Cb and Cr."""
    with av.open(str(path)) as container:
        return np.stack([[_plane(f, 1), _plane(f, 2)] for f in container.decode(video=0)])


def packets(path, kind):
    """Time stamps, durations and bytes of one kind of stream."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [
            (p.pts * p.time_base, p.duration * p.time_base, bytes(p))
            for p in container.demux(stream)
            if p.size
        ]


def with_short_packets(source, target):
    """The film with sound whose packets are 0.4 ms long."""
    with av.open(str(source)) as film, av.open(str(target), "w") as output:
        pictures = output.add_stream_from_template(film.streams.video[0])
        sound = output.add_stream("pcm_s16le", rate=48000)
        sound.layout = "mono"
        output.start_encoding()
        for packet in film.demux(video=0):
            if packet.size:
                packet.stream = pictures
                output.mux(packet)
        for start in range(0, 4800, 20):
            packet = av.Packet(np.arange(start, start + 20, dtype=np.int16).tobytes())
            packet.stream, packet.time_base = sound, Fraction(1, 48000)
            packet.pts = packet.dts = start
            packet.duration = 20
            output.mux(packet)
    return target


def with_stamp_astray(path, picture, seconds):
    """Move the stamp of one picture of an FLV, which stands in its tag's head: milliseconds in four bytes."""
    with av.open(str(path)) as film:
        place = [packet.pos for packet in film.demux(video=0) if packet.size][picture]
    data = bytearray(path.read_bytes())
    stamp = int.from_bytes(data[place + 4 : place + 7], "big") + 1000 * seconds
    data[place + 4 : place + 7] = stamp.to_bytes(3, "big")
    path.write_bytes(data)


def chapters_of(path):
    """The titles of a film's chapters."""
    with av.open(str(path)) as container:
        return [chapter["metadata"]["title"] for chapter in container.chapters()]


def _plane(frame, index):
    source = frame.planes[index]
    codes = np.frombuffer(source, np.uint8 if frame.format.components[0].bits == 8 else np.uint16)
    return codes.reshape(source.height, -1)[:, : source.width].copy()


def _add_sound(output, codec, layout):
    if codec is None:
        return None
    audio = output.add_stream(codec, rate=48000)
    audio.layout = layout
    return audio


def _play(output, audio, begin, end):
    step = audio.codec_context.frame_size or 1024
    format_ = audio.codec_context.format.name
    for start in range(int(begin * 48000), int(end * 48000), step):
        tone = np.sin(np.arange(start, start + step) / 20)[None]
        values = tone.astype(np.float32) if "flt" in format_ else np.int16(9000 * tone)
        values = np.repeat(values, audio.layout.nb_channels, axis=1)  # as packed formats have them
        frame = av.AudioFrame.from_ndarray(values, format=format_, layout=audio.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        output.mux(audio.encode(frame))
    output.mux(audio.encode(None))


ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour
Style: Default,Arial,16,&Hffffff

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def color(colorizer, source, target, **options):
    """The film at `source`, coloured with options as the command has them."""
    return colorize_film(colorizer, source, target, FilmOptions(**options))
