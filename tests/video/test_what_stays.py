"""A film's pictures get chroma and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest
from film_makers import (
    LOSSLESS,
    StopError,
    chroma_planes,
    color,
    luma_planes,
    make_film,
    packets,
    scene,
    stopper,
)
from PIL import Image

from tintype.color import Signal
from tintype.errors import InputError
from tintype.video import FilmOptions, colorize_film
from tintype.video.film import Film
from tintype.video.layout import Layout, choose_layout, deepened


@pytest.mark.parametrize(
    ("pix_fmt", "tags"),
    [
        ("yuv420p", (1, 1, 1, 1)),
        ("yuv420p", (2, 6, 6, 6)),
        ("yuv422p", (0, 2, 2, 2)),
        ("yuv444p", (1, 5, 5, 6)),
        ("yuv411p", (1, 6, 6, 6)),
        ("yuva420p", (1, 1, 1, 1)),
        ("yuv420p10le", (1, 9, 9, 14)),
        ("yuv422p12le", (1, 1, 1, 1)),
        ("gray", (0, 2, 2, 2)),
        ("gray", (1, 2, 2, 2)),
        ("gray10le", (2, 2, 2, 2)),
    ],
)
def test_luma_and_time_stamps_are_the_films_own_and_chroma_is_new(tmp_path, colorizer, pix_fmt, tags):
    source = make_film(tmp_path / "in.mkv", list(scene(12, colored=False)), pix_fmt=pix_fmt, tags=tags)
    target = tmp_path / "out.mkv"
    result = color(colorizer, source, target, **LOSSLESS)
    assert (result.frames, result.complete, result.notes) == (12, True, [])
    (before, times), (after, new_times) = luma_planes(source), luma_planes(target)
    assert after.dtype == before.dtype
    assert (after == before).all()
    assert new_times == times
    spread = np.ptp(chroma_planes(target).astype(int), axis=(0, 2, 3))
    assert (spread > (8 << (before.dtype.itemsize - 1))).all()
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        found = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
    full_grey = pix_fmt == "gray" and not tags[0]  # says nothing, yet is full range, unlike Y'CbCr
    assert found == ((2, *tags[1:]) if full_grey else tags)


@pytest.mark.parametrize(
    ("source", "bits", "size", "wanted"),
    [
        ("yuyv422", 8, (64, 96), ("yuv422p", (1, 2))),
        ("yuv411p", 8, (64, 96), ("yuv422p", (1, 2))),
        ("yuv410p", 8, (64, 96), ("yuv420p", (2, 2))),
        ("yuvj420p", 8, (64, 96), ("yuvj420p", (2, 2))),
        ("nv12", 8, (64, 96), ("yuv420p", (2, 2))),
        ("p010le", 10, (64, 96), ("yuv420p10le", (2, 2))),
        ("bgr0", 8, (64, 96), ("yuv444p", (1, 1))),
        ("gray", 8, (63, 96), ("yuv444p", (1, 1))),
    ],
)
def test_layouts(source, bits, size, wanted):
    formats = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le"]
    layout = choose_layout(source, bits, formats, size)
    assert (layout.pix_fmt, layout.step) == wanted


def test_an_encoder_of_deeper_pictures_alone_takes_any_film():
    formats = ["yuv422p10le", "yuv444p12le"]
    assert choose_layout("yuv420p", 8, formats, (64, 96)) == Layout("yuv422p10le", (1, 2), 10)
    assert choose_layout("gray9le", 9, formats, (64, 96)).bits == 10
    assert choose_layout("gray12le", 12, formats, (64, 96)).bits == 12
    with pytest.raises(InputError, match="cannot store pictures of 14 bits"):
        choose_layout("gray14le", 14, formats, (64, 96))


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_each_code_has_its_own_place_among_deeper_ones(bits):
    codes, layout = np.arange(256, dtype=np.uint8)[None], Layout("", (1, 2), bits)
    for full_range, narrowed in ((False, False), (True, False), (True, True)):
        signal = Signal(full_range=full_range)
        deep = deepened(codes, signal, replace(layout, narrowed=narrowed))
        found = Signal(bits=bits, full_range=full_range and not narrowed)
        shown = (deep.astype(float) - found.black) / found.luma_span
        assert (
            np.abs(shown - (codes.astype(float) - signal.black) / signal.luma_span).max()
            <= 0.51 / found.luma_span
        )
        assert len(np.unique(deep)) == 256
    assert deepened(codes, Signal(), Layout("", (1, 2), 8)) is codes


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
@pytest.mark.parametrize("kind", [{}, {"pix_fmt": "gray"}, {"pix_fmt": "yuv422p10le"}])
def test_prores_has_the_films_light_and_colours(tmp_path, colorizer, suffix, kind):
    source = make_film(tmp_path / "in.mkv", list(scene(12, colored=False)), sound="aac", **kind)
    target, plain = tmp_path / f"out{suffix}", tmp_path / "plain.mkv"
    color(colorizer, source, plain, **LOSSLESS)
    result = color(colorizer, source, target, codec="prores_ks", segment_frames=5)
    assert (result.frames, result.complete, result.notes) == (12, True, [])
    assert luma_planes(target)[1] == luma_planes(source)[1]
    with av.open(str(target)) as container, av.open(str(plain)) as other:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert container.streams.video[0].codec_context.color_range != 2
        pairs = zip(container.decode(video=0), other.decode(video=0), strict=True)
        for one, two in pairs:
            off = np.abs(one.to_ndarray(format="rgb24").astype(int) - two.to_ndarray(format="rgb24"))
            assert off.mean() < 3


def test_full_range_that_prores_cannot_tell_is_refused(tmp_path, colorizer):
    source = make_film(
        tmp_path / "in.mkv", list(scene(2, colored=False)), pix_fmt="gray10le", tags=(2, 2, 2, 2)
    )
    with pytest.raises(InputError, match=r"full range, which prores_ks does not know; --codec ffv1 does"):
        color(colorizer, source, tmp_path / "out.mov", codec="prores_ks")


def test_a_prores_film_goes_on(tmp_path, colorizer):
    source, target, whole = make_film(tmp_path / "in.mkv"), tmp_path / "out.mov", tmp_path / "whole.mov"
    options = {"codec": "prores_ks", "segment_frames": 8}
    with pytest.raises(StopError):
        colorize_film(colorizer, source, target, FilmOptions(**options), stopper(20))
    assert color(colorizer, source, target, resume=True, **options).resumed == 16
    color(colorizer, source, whole, **options)
    assert packets(target, "video") == packets(whole, "video")


def test_pictures_out_of_order_in_an_avi_are_shown_in_turn(tmp_path, colorizer):
    """It states no times of showing, by which H.264's would come with those of their places in the file."""
    ticks = {"pts": range(40), "time_base": Fraction(1, 25)}
    source = make_film(tmp_path / "in.avi", list(scene(40, colored=False)), codec="libx264", **ticks)
    _, times = luma_planes(source)
    assert times != sorted(times)
    color(colorizer, source, tmp_path / "out.mkv", **LOSSLESS)
    assert luma_planes(tmp_path / "out.mkv")[1] == sorted(times)
    with Film(source) as film:
        every = [frame.pts for frame in film.frames()]
    for start in (every[7], every[30]):
        with Film(source) as film:
            assert [frame.pts for frame in film.frames_from(start)] == [pts for pts in every if pts >= start]


def test_x264_gets_the_luma_code_for_code(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mp4", codec="libx264", options={"crf": "30"})
    color(colorizer, source, tmp_path / "out.mp4", crf=0, preset="ultrafast")
    assert (luma_planes(tmp_path / "out.mp4")[0] == luma_planes(source)[0]).all()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_variable_frame_rate_and_sound_are_kept(tmp_path, colorizer, suffix):
    pts = np.cumsum(np.random.default_rng(0).choice([300, 512, 1024, 4096], 30)).tolist()
    source = make_film(tmp_path / f"in{suffix}", codec="libx264", pts=[0, *pts[:-1]], sound="aac")
    target = tmp_path / f"out{suffix}"
    color(colorizer, source, target, segment_frames=7)
    assert luma_planes(target)[1] == luma_planes(source)[1]
    assert packets(target, "audio") == packets(source, "audio")
    stored = packets(source, "video")
    assert sorted(p[0] for p in packets(target, "video")) == sorted(p[0] for p in stored)
    with av.open(str(target)) as new, av.open(str(source)) as old:
        assert new.duration == pytest.approx(old.duration, abs=2e3)  # a picture beyond it would not be shown


def test_subtitles_chapters_titles_and_fonts_are_kept(tmp_path, colorizer):
    chapters = [
        {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
        {"id": 2, "start": 500, "end": 1200, "time_base": Fraction(1, 1000), "metadata": {"title": "Two"}},
    ]
    source = make_film(
        tmp_path / "in.mkv", sound="flac", subtitles=[(100, 600, "Good day"), (700, 1100, "Bye")],
        chapters=chapters, metadata={"title": "A day"}, attachment=b"not really a font",
        codec="libx264", aspect=Fraction(4, 3),
    )  # fmt: skip
    target = tmp_path / "out.mkv"
    color(colorizer, source, target)
    assert packets(target, "subtitle") == packets(source, "subtitle")
    assert packets(target, "audio") == packets(source, "audio")
    with av.open(str(target)) as new, av.open(str(source)) as old:
        assert [c["metadata"]["title"] for c in new.chapters()] == ["One", "Two"]
        assert new.metadata["title"] == "A day"
        assert [s.type for s in new.streams] == [s.type for s in old.streams]
        assert [s.disposition for s in new.streams] == [s.disposition for s in old.streams]
        assert new.streams.subtitles[0].metadata["language"] == "eng"
        assert new.streams.attachments[0].data == b"not really a font"
        assert new.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize("source", [".mkv", ".avi"])
def test_uncompressed_sound_goes_into_mp4(tmp_path, colorizer, source):
    film = make_film(tmp_path / f"in{source}", codec="libx264", sound="pcm_s16le", layout="stereo")
    with av.open(str(film)) as container:
        assert [channel.name for channel in container.streams.audio[0].layout.channels] == ["NONE"] * 2
    color(colorizer, film, tmp_path / "out.mp4", crf=0)
    old, new = (b"".join(data for _, _, data in packets(p, "audio")) for p in (film, tmp_path / "out.mp4"))
    assert new == old != b""
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].layout.name == "stereo"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_cover_is_kept(tmp_path, colorizer, suffix):
    plain = make_film(tmp_path / "plain.mp4", list(scene(3, colored=False)), codec="libx264")
    with av.open(str(plain)) as old, av.open(str(tmp_path / "in.mp4"), "w") as new:
        pictures = new.add_stream_from_template(old.streams.video[0], opaque=True)
        cover = new.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), "rgb24")
        new.start_encoding()
        still = [*cover.encode(frame.reformat(format="yuvj420p")), *cover.encode(None)]
        new.mux(still)
        for packet in old.demux(video=0):
            if packet.size:
                packet.stream = pictures
                new.mux(packet)
    color(colorizer, tmp_path / "in.mp4", tmp_path / f"out{suffix}", crf=0)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        covers = [s for s in container.streams.video if s.disposition & av.stream.Disposition.attached_pic]
        assert len(container.streams.video) == 2
        assert len(covers) == 1
        assert covers[0].codec_context.name == "mjpeg"
    assert len(luma_planes(tmp_path / f"out{suffix}")[0]) == 3


def test_a_film_that_lies_on_its_side_is_seen_upright_and_stays_turned(tmp_path, colorizer, monkeypatch):
    source = make_film(tmp_path / "in.mp4", list(scene(3, colored=False)), codec="libx264", rotation=-90)
    seen = []
    see = colorizer.see
    monkeypatch.setattr(colorizer, "see", lambda L: seen.append(L) or see(L))
    color(colorizer, source, tmp_path / "out.mp4", crf=0)
    assert seen[0].shape[0] > seen[0].shape[1]
    first = luma_planes(source)[0][0].astype(float)
    upright = np.rot90(first, -1)  # a quarter turn clockwise, as the tag says
    assert np.corrcoef(np.resize(_shrunk(upright), 96), np.resize(_shrunk(seen[0]), 96))[0, 1] > 0.95
    with av.open(str(tmp_path / "out.mp4")) as new, av.open(str(source)) as old:
        assert next(new.decode(video=0)).rotation == next(old.decode(video=0)).rotation == -90


def _shrunk(picture):
    rows, columns = (
        np.array_split(np.arange(side), n) for side, n in zip(picture.shape, (12, 8), strict=True)
    )
    return np.array([[picture[np.ix_(r, c)].mean() for c in columns] for r in rows])


def test_interlaced_films_stay_interlaced(tmp_path, colorizer):
    source = make_film(
        tmp_path / "in.mp4", codec="libx264", interlaced=True, options={"x264opts": "tff=1:crf=10"}
    )
    color(colorizer, source, tmp_path / "out.mp4", crf=0)
    with av.open(str(tmp_path / "out.mp4")) as new, av.open(str(source)) as old:
        assert (
            new.streams.video[0].codec_context.field_order == old.streams.video[0].codec_context.field_order
        )
        assert all(frame.interlaced_frame for frame in new.decode(video=0))
    assert (luma_planes(tmp_path / "out.mp4")[0] == luma_planes(source)[0]).all()


def test_chroma_is_by_the_films_own_matrix_and_range(tmp_path, colorizer):
    """The same grey codes by two conventions: what is shown must have the same colours."""
    pictures = [np.full((64, 96, 3), 120, np.uint8)] * 2
    shown = []
    for name, tags in (("a", (1, 1, 1, 1)), ("b", (1, 6, 6, 6))):
        source = make_film(tmp_path / f"{name}.mkv", pictures, pix_fmt="gray", tags=tags)
        color(colorizer, source, tmp_path / f"{name}.color.mkv", **LOSSLESS)
        y = luma_planes(tmp_path / f"{name}.color.mkv")[0][0, 32, 48]
        cb, cr = chroma_planes(tmp_path / f"{name}.color.mkv")[0, :, 16, 24]
        kr, kb = (0.2126, 0.0722) if name == "a" else (0.299, 0.114)
        luma, cb, cr = (y - 16) / 219, (cb - 128.0) / 224, (cr - 128.0) / 224
        shown.append((luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb))
    assert shown[0] == pytest.approx(shown[1], abs=0.012)
    assert abs(shown[0][0] - shown[0][1]) > 0.05


def test_side_by_side(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mkv", list(scene(5, colored=False)), tags=(1, 1, 1, 1))
    result = color(colorizer, source, tmp_path / "out.mkv", compare=True, **LOSSLESS)
    luma, _ = luma_planes(tmp_path / "out.mkv")
    chroma = chroma_planes(tmp_path / "out.mkv")
    assert (luma == np.tile(luma_planes(source)[0], (1, 1, 2))).all()
    assert (result.height, result.width) == luma.shape[1:]
    half = chroma.shape[-1] // 2
    assert (chroma[..., :half] == 128).all()
    assert (chroma[..., half:] != 128).any()


def test_a_part_begins_at_zero_with_its_sound(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mp4", codec="libx264", sound="aac")
    color(colorizer, source, tmp_path / "out.mp4", start=0.4, end=0.8, crf=0)
    luma, times = luma_planes(tmp_path / "out.mp4")
    whole, all_times = luma_planes(source)
    inside = [i for i, t in enumerate(all_times) if Fraction(2, 5) <= t < Fraction(4, 5)]
    assert (luma == whole[inside]).all()
    assert times == [all_times[i] - Fraction(2, 5) for i in inside]
    sound = packets(tmp_path / "out.mp4", "audio")
    assert 0 <= sound[0][0] < 0.03
    assert 0.35 < sound[-1][0] < 0.4
    assert {p[2] for p in sound} <= {p[2] for p in packets(source, "audio")}


def test_times_count_from_the_beginning_whatever_the_stamps_are(tmp_path, colorizer):
    """As in a broadcast, whose first picture may stand at an hour."""
    pts = [90000 * 60 + 3600 * i for i in range(24)]
    source = make_film(
        tmp_path / "in.ts", list(scene(24, colored=False)), codec="libx264", pts=pts,
        time_base=Fraction(1, 90000),
    )  # fmt: skip
    with av.open(str(source)) as film:
        assert film.start_time > 50 * av.time_base
    color(colorizer, source, tmp_path / "out.mkv", start=0.4, end=0.8, codec="ffv1")
    luma, times = luma_planes(tmp_path / "out.mkv")
    whole, all_times = luma_planes(source)
    inside = [i for i, t in enumerate(all_times) if Fraction(2, 5) <= t - all_times[0] < Fraction(4, 5)]
    assert abs(len(times) - 10) <= 1
    assert 0 <= times[0] < 0.05
    assert any((luma[0] == picture).all() for picture in whole[inside[0] - 1 : inside[0] + 2])
    color(colorizer, source, tmp_path / "begin.mkv", end=0.4, codec="ffv1")
    assert abs(len(luma_planes(tmp_path / "begin.mkv")[1]) - 10) <= 1


@pytest.mark.parametrize("size", [(33, 47), (2, 2), (17, 16)])
def test_odd_sizes(tmp_path, colorizer, size):
    pictures = [rgb[: size[0], : size[1]] for rgb in scene(3, colored=False)]
    source = make_film(tmp_path / "in.mkv", pictures, pix_fmt="gray", tags=(1, 2, 2, 2))
    color(colorizer, source, tmp_path / "out.mkv", **LOSSLESS)
    assert (luma_planes(tmp_path / "out.mkv")[0] == luma_planes(source)[0]).all()
    color(colorizer, source, tmp_path / "out.mp4", crf=0, preset="ultrafast")
    assert (luma_planes(tmp_path / "out.mp4")[0] == luma_planes(source)[0]).all()


def test_rgb_films_are_made_luma_and_said_to_be(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mkv", list(scene(3, colored=False)), pix_fmt="bgr0", codec="ffv1")
    color(colorizer, source, tmp_path / "out.mkv", **LOSSLESS)
    with av.open(str(tmp_path / "out.mkv")) as container:
        frame = next(container.decode(video=0))
        assert (frame.format.name, frame.colorspace, frame.color_range) == ("yuv444p", 1, 1)
        grey = frame.to_ndarray(format="gray")
    wanted = next(iter(scene(1, colored=False)))[..., 0]
    limited = 16 + wanted.astype(float) * 219 / 255
    assert np.abs(luma_planes(tmp_path / "out.mkv")[0][0] - limited).max() <= 1.5
    assert grey.shape == wanted.shape


def test_pictures_of_a_camera_with_their_exif_are_a_film(tmp_path, colorizer):
    """JPEGs as they come make time-lapses; FFmpeg hands on their EXIF, which PyAV does not name."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Ensign", 6
    with av.open(str(tmp_path / "in.mkv"), "w") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for i, rgb in enumerate(scene(10, colored=False)):
            file = BytesIO()
            Image.fromarray(rgb).convert("L").convert("RGB").save(file, "JPEG", exif=exif, quality=95)
            packet = av.Packet(file.getvalue())
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 25), i, i
            packet.is_keyframe = True
            output.mux(packet)
    result = color(colorizer, tmp_path / "in.mkv", tmp_path / "out.mkv", **LOSSLESS)
    assert (result.frames, result.notes) == (10, [])
    assert (luma_planes(tmp_path / "out.mkv")[0] == luma_planes(tmp_path / "in.mkv")[0]).all()
    with Film(tmp_path / "out.mkv") as film:
        assert film.orientation == 6


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v"])
def test_the_last_of_uneven_pictures_is_shown(tmp_path, colorizer, suffix):
    """Players show nothing behind the length that such files tell of their pictures."""
    pts = [40 * i for i in range(12)] + [480 + 1000 * i for i in range(4)]
    source = make_film(
        tmp_path / "in.mkv", list(scene(16, colored=False)), pts=pts, time_base=Fraction(1, 1000)
    )
    color(colorizer, source, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as result:
        stream = result.streams.video[0]
        assert stream.duration * stream.time_base > Fraction(3480, 1000)


@pytest.mark.parametrize("start", [0.1, 0.5])
def test_a_part_begins_with_the_picture_of_its_time(tmp_path, colorizer, start):
    """Where films begin FFmpeg tells in whole microseconds, which a third of a tenth of a second is not."""
    source = make_film(
        tmp_path / "in.ts", list(scene(30, colored=False)), codec="libx264",
        pts=[6000 + 3000 * i for i in range(30)], time_base=Fraction(1, 90000),
    )  # fmt: skip
    color(colorizer, source, tmp_path / "out.mkv", start=start, **LOSSLESS)
    first = round(start * 30)
    assert (luma_planes(tmp_path / "out.mkv")[0][0] == luma_planes(source)[0][first]).all()
