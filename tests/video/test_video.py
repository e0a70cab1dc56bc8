"""A film's pictures get chroma and nothing else changes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av", reason="films need the extra `video`")

from film_makers import (  # noqa: E402
    StopError,
    chroma_planes,
    luma_planes,
    make_film,
    packets,
    scene,
    stopper,
)

from tintype import Colorizer  # noqa: E402
from tintype.errors import (  # noqa: E402
    InputError,
    OutputError,
    OutputExistsError,
    SettingsError,
    TintypeError,
)
from tintype.video import FilmOptions, colorize_film, work  # noqa: E402
from tintype.video.film import Film  # noqa: E402
from tintype.video.layout import choose_layout  # noqa: E402
from tintype.video.work import Work  # noqa: E402

LOSSLESS = {"codec": "ffv1"}


@pytest.fixture(scope="module")
def colorizer(tiny_model):
    return Colorizer(tiny_model, threads=1)


def color(colorizer, source, target, **options):
    return colorize_film(colorizer, source, target, FilmOptions(**options))


# --- what stays


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


# --- stopping and going on


def test_a_stopped_film_goes_on_and_is_the_same_in_every_plane(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mp4", codec="libx264", sound="aac", options={"g": "12"})
    options = FilmOptions(segment_frames=8, crf=0, preset="ultrafast")
    colorize_film(colorizer, source, tmp_path / "whole.mp4", options)
    target = tmp_path / "out.mp4"
    with pytest.raises(StopError):
        colorize_film(colorizer, source, target, options, stopper(21))
    assert not target.exists()
    playable = sorted((tmp_path / ".out.mp4.tintype-part").glob("*.nut"))
    assert [len(luma_planes(p)[0]) for p in playable[:2]] == [8, 8]
    with pytest.raises(OutputExistsError, match="--resume goes on"):
        colorize_film(colorizer, source, target, options)
    result = colorize_film(colorizer, source, target, FilmOptions(**vars(options) | {"resume": True}))
    assert (result.resumed, result.frames) == (16, 30)
    assert not (tmp_path / ".out.mp4.tintype-part").exists()
    (luma, times), (wanted, wanted_times) = luma_planes(target), luma_planes(tmp_path / "whole.mp4")
    assert times == wanted_times
    assert (luma == wanted).all()
    assert (chroma_planes(target) == chroma_planes(tmp_path / "whole.mp4")).all()
    assert packets(target, "audio") == packets(source, "audio")


def test_going_on_with_other_settings_is_refused(tmp_path, colorizer, tiny_model):
    source = make_film(tmp_path / "in.mkv")
    target = tmp_path / "out.mkv"
    with pytest.raises(StopError):
        colorize_film(colorizer, source, target, FilmOptions(segment_frames=8, **LOSSLESS), stopper(10))
    other = Colorizer(tiny_model, strength=0.5, threads=1)
    with pytest.raises(SettingsError, match="begun with another codec and strength"):
        color(other, source, target, segment_frames=8, resume=True)
    assert color(other, source, target, segment_frames=8, overwrite=True).resumed == 0


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("000000.nut", bytes),  # zeros, as file systems leave them
        ("000001.nut", None),
        ("000000.json", None),
        ("000001.json", lambda size: b"{}"),
        ("000001.npz", None),
        ("000001.npz", lambda size: b""),
    ],
)
def test_what_is_kept_is_damaged(tmp_path, colorizer, name, damage):
    source, target = make_film(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    with pytest.raises(StopError):
        colorize_film(colorizer, source, target, FilmOptions(segment_frames=8, **LOSSLESS), stopper(20))
    path = tmp_path / ".out.mkv.tintype-part" / name
    data = path.read_bytes()
    path.write_bytes(damage(len(data)) if damage else data[: len(data) // 2])
    with pytest.raises(InputError, match=rf"{name}, which is kept of .*out\.mkv, is damaged .* --overwrite"):
        color(colorizer, source, target, segment_frames=8, resume=True, **LOSSLESS)
    assert not target.exists()
    color(colorizer, source, target, segment_frames=8, overwrite=True, **LOSSLESS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mkv"]


def test_a_disk_that_is_full_from_the_start_keeps_nothing(tmp_path, colorizer, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    source = make_film(tmp_path / "in.mkv")
    monkeypatch.setattr(work, "name_whole", full)
    with pytest.raises(OutputError, match=r"out\.mkv: the disk is full\.$"):
        color(colorizer, source, tmp_path / "out.mkv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_nothing_stays_behind_where_nothing_was_finished(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mkv")
    with pytest.raises(StopError):
        colorize_film(colorizer, source, tmp_path / "out.mkv", FilmOptions(), stopper(10))
    assert [p.name for p in tmp_path.iterdir()] == ["in.mkv"]


def test_films_whose_long_names_begin_alike_do_not_meet(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mkv")
    one, other = (tmp_path / f"{'F' * 80} part {n}.mkv" for n in (1, 2))
    with pytest.raises(StopError):
        colorize_film(colorizer, source, one, FilmOptions(segment_frames=8, **LOSSLESS), stopper(10))
    assert color(colorizer, source, other, segment_frames=8, **LOSSLESS).resumed == 0
    assert color(colorizer, source, one, segment_frames=8, resume=True, **LOSSLESS).resumed == 8


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_a_film_is_one_processs_at_a_time(tmp_path, colorizer, options):
    source, target = make_film(tmp_path / "in.mkv"), tmp_path / "out.mkv"

    def meanwhile(done, total):
        if done == 10:
            with pytest.raises(SettingsError, match=r"Another process is at work on .*out\.mkv"):
                color(colorizer, source, target, segment_frames=8, **LOSSLESS, **options)

    colorize_film(colorizer, source, target, FilmOptions(segment_frames=8, **LOSSLESS), meanwhile)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mkv"]


def test_killed_in_the_middle(tmp_path, colorizer, tiny_model):
    source = make_film(tmp_path / "in.mkv", list(scene(40, colored=False)))
    options = "segment_frames=10, codec='ffv1', resume=True"
    code = f"""
import sys, time
from pathlib import Path
from tintype import Colorizer
from tintype.video import FilmOptions, colorize_film
def slowly(done, total):
    print(done, flush=True)
    time.sleep(0.05)
colorizer = Colorizer({str(tiny_model)!r}, threads=1)
target = Path({str(tmp_path / "out.mkv")!r})
colorize_film(colorizer, Path({str(source)!r}), target, FilmOptions({options}), slowly)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        while int(child.stdout.readline() or 10**9) < 25:
            pass
        child.send_signal(signal.SIGKILL)
    result = color(colorizer, source, tmp_path / "out.mkv", segment_frames=10, codec="ffv1", resume=True)
    assert (result.resumed, result.frames) == (20, 40)
    assert (luma_planes(tmp_path / "out.mkv")[0] == luma_planes(source)[0]).all()
    assert luma_planes(tmp_path / "out.mkv")[1] == luma_planes(source)[1]


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on the size of files here")
def test_a_disk_that_fills_is_said_and_what_is_finished_stays(tmp_path, colorizer, tiny_model):
    source = make_film(tmp_path / "in.mkv", list(scene(40, colored=False)))
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, 90_000))
from tintype.cli import main
raise SystemExit(main(["video", {str(source)!r}, "-o", {str(tmp_path / "out.mkv")!r}, "--codec", "ffv1",
                       "--model", {str(tiny_model)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "Cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.mkv").exists()


# --- what is refused


def test_films_in_colour_are_told_or_left_alone(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mkv", list(scene(30)))
    left = color(colorizer, source, tmp_path / "out.mkv", skip_colored=True)
    assert (left.status, left.reason, left.target) == ("skipped", "it is in colour already", None)
    assert not (tmp_path / "out.mkv").exists()
    assert color(colorizer, source, tmp_path / "out.mkv").notes == [
        "It was in colour and was made grey first."
    ]
    grey = make_film(tmp_path / "grey.mkv")
    assert color(colorizer, grey, tmp_path / "grey.color.mkv", skip_colored=True).status == "done"


def test_what_is_no_film(tmp_path, colorizer):
    (tmp_path / "text.mp4").write_text("no film")
    with av.open(str(tmp_path / "sound.mka"), "w") as output:
        stream = output.add_stream("flac", rate=48000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), format="s16", layout="mono")
        frame.sample_rate = 48000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    for name, message in (
        ("text.mp4", "text.mp4 is no film, or a damaged or truncated one"),
        ("sound.mka", "has no pictures: there is no video stream"),
        ("nothing.mp4", "there is no such file"),
        ("", "is a folder, not a film"),
    ):
        with pytest.raises(InputError, match=message):
            color(colorizer, tmp_path / name, tmp_path / "out.mp4")


@pytest.mark.parametrize(
    ("options", "name", "message"),
    [
        ({"codec": "libx999"}, "out.mkv", "has no encoder 'libx999'; some that it has: libx264"),
        ({"codec": "aac"}, "out.mkv", "aac does not store pictures"),
        ({"codec": "ffv1", "crf": 3}, "out.mkv", "ffv1 has no --crf"),
        ({}, "out.avi", r"written to \.mp4 .* not to \.avi"),
        ({"codec": "libx264"}, "out", "Films are written to"),
        ({"preset": "hasty"}, "out.mkv", "libx264 refuses this film"),
        ({"codec": "libx264"}, "out.webm", r"\.webm files cannot hold pictures of libx264"),
        ({"codec": "huffyuv"}, "out.mp4", r"\.mp4 files cannot hold pictures of huffyuv"),
        ({"codec": "dnxhd"}, "out.mov", "dnxhd (cannot be used|refuses)"),
    ],
)
def test_settings_that_cannot_be(tmp_path, colorizer, options, name, message):
    source = make_film(tmp_path / "in.mkv", list(scene(2, colored=False)))
    with pytest.raises((SettingsError, OutputError), match=message):
        color(colorizer, source, tmp_path / name, **options)
    assert [p.name for p in tmp_path.iterdir()] == ["in.mkv"]


def test_never_over_the_input_and_never_over_a_result(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mkv", list(scene(2, colored=False)))
    before = source.read_bytes()
    with pytest.raises(OutputError, match="would replace the film itself"):
        color(colorizer, source, source, overwrite=True)
    (tmp_path / "out.mkv").write_text("dear")
    with pytest.raises(OutputExistsError, match="--overwrite replaces it"):
        color(colorizer, source, tmp_path / "out.mkv")
    assert source.read_bytes() == before
    assert (tmp_path / "out.mkv").read_text() == "dear"


def test_what_appears_in_the_films_place_meanwhile_stays_and_so_does_the_film(tmp_path, colorizer):
    source, target = make_film(tmp_path / "in.mkv", list(scene(10, colored=False))), tmp_path / "out.mkv"

    def meanwhile(done, total):
        if done == 10:
            target.write_text("dear")

    with pytest.raises(OutputExistsError, match=r"appeared meanwhile.*; the film is ") as told:
        colorize_film(colorizer, source, target, FilmOptions(**LOSSLESS), meanwhile)
    assert target.read_text() == "dear"
    kept = Path(str(told.value).removesuffix(".").rpartition(" is ")[2])
    assert (luma_planes(kept)[0] == luma_planes(source)[0]).all()
    target.unlink()
    assert color(colorizer, source, target, resume=True, **LOSSLESS).resumed == 10


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="files tell no names here")
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_film_is_on_the_disk_before_what_it_was_made_of_goes(tmp_path, colorizer, monkeypatch, overwrite):
    source, target = make_film(tmp_path / "in.mkv", list(scene(2, colored=False))), tmp_path / "out.mkv"
    events, fsync, remove = [], os.fsync, Work.remove

    def synced(number):
        fsync(number)
        events.append(Path(f"/proc/self/fd/{number}").readlink())

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Work, "remove", lambda work: (events.append("removed"), remove(work)))
    color(colorizer, source, target, overwrite=overwrite, **LOSSLESS)
    assert [event if event == "removed" else event.name for event in events[-3:]] == [
        "joined.mkv",
        tmp_path.name,
        "removed",
    ]


def test_a_depth_that_the_encoder_has_not(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mkv", list(scene(2, colored=False)), pix_fmt="yuv420p12le")
    with pytest.raises(
        InputError, match=r"in\.mkv: this codec cannot store pictures of 12 bits.*--codec ffv1"
    ):
        color(colorizer, source, tmp_path / "out.mkv")


def test_subtitles_that_the_container_cannot_hold(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mkv", subtitles=[(100, 600, "Good day")])
    with pytest.raises(
        OutputError, match=r"\.mp4 files cannot hold the film's subtitles \(ssa\); write an \.mkv"
    ):
        color(colorizer, source, tmp_path / "out.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["in.mkv"]  # said before any picture was coloured


def test_hdr_is_refused(tmp_path, colorizer):
    source = make_film(
        tmp_path / "in.mkv", list(scene(2, colored=False)), pix_fmt="yuv420p10le", tags=(1, 9, 9, 16)
    )
    with pytest.raises(InputError, match=r"HDR \(PQ\)"):
        color(colorizer, source, tmp_path / "out.mkv")


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_a_film_that_breaks_off_is_coloured_as_far_as_it_goes_and_that_is_said(tmp_path, colorizer, suffix):
    whole = make_film(tmp_path / f"whole{suffix}", list(scene(100, colored=False)), codec="libx264")
    data = whole.read_bytes()
    (tmp_path / f"in{suffix}").write_bytes(data[: len(data) // 2])
    result = color(colorizer, tmp_path / f"in{suffix}", tmp_path / "out.mkv", crf=0, preset="ultrafast")
    assert 20 < result.frames < 90
    (before, _), (after, _) = luma_planes(whole), luma_planes(tmp_path / "out.mkv")
    assert (after[:20] == before[:20]).all()
    if suffix == ".mkv":  # which states its length at the front
        assert not result.complete
        assert any("breaks off" in note for note in result.notes)


def test_the_command_line(tmp_path, tiny_model):
    source = make_film(tmp_path / "in.mkv", list(scene(4, colored=False)))
    line = [
        sys.executable,
        "-m",
        "tintype",
        "video",
        str(source),
        "--model",
        str(tiny_model),
        "--provider",
        "cpu",
    ]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "The model tiny runs on cpu." in done.stderr
    assert "in.color.mkv (96 x 64, 4 frames" in done.stderr
    assert len(luma_planes(tmp_path / "in.color.mkv")[0]) == 4
    again = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (again.returncode, "exists already" in again.stderr) == (1, True)
    wrong = subprocess.run(
        [*line[:4], str(source), "--start", "1:2:3:4"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "h:mm:ss" in wrong.stderr


def test_an_old_pyav_is_said(tmp_path, colorizer, monkeypatch):
    monkeypatch.setattr(av, "__version__", "14.2.0")
    with pytest.raises(TintypeError, match=r"Films need PyAV 18\.1 or newer, and 14\.2\.0 is installed"):
        color(colorizer, make_film(tmp_path / "in.mkv"), tmp_path / "out.mkv")


def test_without_the_extra_one_sentence(tmp_path, tiny_model):
    code = f"""
import sys
sys.modules["av"] = None
from tintype.cli import main
raise SystemExit(main(["video", "x.mp4", "--model", {str(tiny_model)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "tintype: Films and cameras need more than is installed (av is missing): "
        "pip install 'tintype[video]'.\n"
    )


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
    result = colorize_film(colorizer, tmp_path / "in.mkv", tmp_path / "out.mkv", FilmOptions(codec="ffv1"))
    assert (result.frames, result.notes) == (10, [])
    assert (luma_planes(tmp_path / "out.mkv")[0] == luma_planes(tmp_path / "in.mkv")[0]).all()
    with Film(tmp_path / "out.mkv") as film:
        assert film.orientation == 6
