"""What of a film is no picture to be coloured: what of it is copied over, and what is told."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pillow_heif
import pytest
from film_makers import ASS_HEADER, color, make_film, packets, scene
from PIL import Image

from tintype.errors import InputError, OutputError


def made_of(path, *, titles=(), pictures=(), subtitles=()):
    """A film of streams of H.264 with pictures out of order, and of subtitles (start ms, end ms, text)."""
    with av.open(str(path), "w") as output:
        streams = [output.add_stream("libx264", rate=25, options={"bf": "2"}) for _ in pictures]
        for stream in streams:
            stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        texts = output.add_stream("mov_text") if subtitles else None
        if texts:
            texts.time_base = Fraction(1, 1000)
            texts.codec_context.subtitle_header = ASS_HEADER
        for stream, title in zip((*streams, texts), titles, strict=False):
            stream.metadata["title"] = title
        for stream, count in zip(streams, pictures, strict=True):
            for number, rgb in enumerate(scene(count, colored=False)):
                frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        for start, end, text in subtitles:
            packet = av.Packet(len(text).to_bytes(2, "big") + text)
            packet.stream, packet.time_base = texts, Fraction(1, 1000)
            packet.pts, packet.dts, packet.duration = start, start, end - start
            output.mux(packet)
    return path


def shown(path):
    """The subtitles that are no gaps: start, duration and bytes."""
    return [(start, duration, text) for start, duration, text in packets(path, "subtitle") if len(text) > 2]


def test_further_pictures_stay_whole_and_grey_which_is_told(tmp_path, colorizer):
    source = made_of(tmp_path / "in.mkv", pictures=(12, 20))
    result = color(colorizer, source, tmp_path / "out.mkv")
    assert result.notes[0] == "Its further pictures (stream 1) stay without colour."
    assert not any("go back" in note for note in result.notes)
    stored = []
    for path in (source, tmp_path / "out.mkv"):
        with av.open(str(path)) as container:
            stored.append([(p.pts, bytes(p)) for p in container.demux(container.streams.video[1]) if p.size])
    assert stored[0] == stored[1]
    assert len(stored[0]) == 20


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_the_titles_of_streams_stay(tmp_path, colorizer, suffix):
    source = made_of(tmp_path / "in.mp4", pictures=(3, 3), titles=("Front", "Back"))
    color(colorizer, source, tmp_path / f"out.{suffix}")
    for path in (source, tmp_path / f"out.{suffix}"):
        with av.open(str(path)) as container:
            told = [stream.metadata for stream in container.streams.video]
            assert [one.get("title", one.get("name")) for one in told] == ["Front", "Back"]


@pytest.mark.parametrize("suffix", ["webm", "mp4", "mov"])
def test_a_font_that_the_container_has_no_place_for_is_told(tmp_path, colorizer, suffix):
    source = make_film(tmp_path / "in.mkv", attachment=b"a font")
    result = color(colorizer, source, tmp_path / f"out.{suffix}")
    assert f"A font or other file that the film carries is left out: .{suffix} holds none." in result.notes


@pytest.mark.parametrize(("end", "last"), [(1.0, 400), (0.7, 100)])
def test_a_subtitle_that_is_to_be_seen_at_the_start_is_cut(tmp_path, colorizer, end, last):
    lines = [(100, 500, b"gone"), (500, 800, b"two lines"), (880, 1400, b"long")]
    source = made_of(tmp_path / "in.mp4", pictures=(40,), subtitles=lines)
    color(colorizer, source, tmp_path / "out.mp4", start=0.6, end=end)
    found = [(float(start), float(length), text[2:]) for start, length, text in shown(tmp_path / "out.mp4")]
    wanted = [(0.0, min(0.2, end - 0.6), b"two lines"), (0.28, last / 1000 - 0.28, b"long")]
    for one, other in zip(found, wanted if end == 1.0 else wanted[:1], strict=True):
        assert one[2] == other[2]
        np.testing.assert_allclose(one[:2], other[:2], atol=0.0015)


def test_a_packet_at_the_very_start_is_in(tmp_path, colorizer):
    """As a float 0.6 is less than three fifths."""
    source = made_of(tmp_path / "in.mp4", pictures=(40,), subtitles=[(600, 900, b"here")])
    color(colorizer, source, tmp_path / "out.mp4", start=0.6)
    assert [text[2:] for _, _, text in shown(tmp_path / "out.mp4")] == [b"here"]


def test_where_a_stream_of_mp4_can_go_is_told(tmp_path, colorizer):
    source = made_of(tmp_path / "in.mp4", pictures=(3,), subtitles=[(0, 100, b"text")])
    with pytest.raises(OutputError, match=r"\.mkv files cannot hold .* \(mov_text\); write it as \.mp4\.$"):
        color(colorizer, source, tmp_path / "out.mkv")


def test_a_photograph_of_a_telephone_is_no_film(tmp_path, colorizer):
    """FFmpeg takes the first of its tiles for all of it."""
    source = tmp_path / "a.heic"
    pillow_heif.from_pillow(Image.fromarray(next(scene(1)))).save(source)
    with pytest.raises(InputError, match=r"a\.heic is a photograph, which tintype colorize takes"):
        color(colorizer, source, tmp_path / "out.mkv")
