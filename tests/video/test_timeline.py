"""Films whose time stamps jump back or far ahead, as where files were joined end to end."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

pytest.importorskip("av", reason="films need the extra `video`")

from film_makers import StopError, luma_planes, make_film, packets, scene, stopper

from tintype.colorizer import Colorizer
from tintype.video import FilmOptions, colorize_film, run
from tintype.video.film import Film

LENGTHS = (30, 50, 20)
RATE = 25


@pytest.fixture(scope="module")
def colorizer(tiny_model):
    return Colorizer(tiny_model, size=64)


def film_of(path, count, first=0, **more):
    return make_film(
        path, list(scene(count, width=48, colored=False)), time_base=Fraction(1, RATE),
        pts=[first + i for i in range(count)], **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """A function from suffix and codecs to files that were joined by `cat`, and the luma of them all."""
    folder = tmp_path_factory.mktemp("joined")

    def join(suffix, codec, sound=None, firsts=(0, 0, 0)):
        parts = [
            film_of(folder / f"{n}{suffix}", count, first, codec=codec, sound=sound)
            for n, (count, first) in enumerate(zip(lengths_of(suffix), firsts, strict=False))
        ]
        whole = folder / f"whole{suffix}"
        whole.write_bytes(b"".join(part.read_bytes() for part in parts))
        return whole

    return join


def lengths_of(suffix):
    """Of Matroska files behind each other FFmpeg reads two."""
    return LENGTHS[:2] if suffix == ".mkv" else LENGTHS


def lossless(**more):
    return FilmOptions(codec="ffv1", **more)


KINDS = [
    (".ts", "libx264", "aac"),
    (".ts", "mpeg2video", None),
    (".vob", "mpeg2video", "mp2"),
    (".mkv", "libx264", "aac"),
    (".mkv", "ffv1", None),
]


@pytest.mark.parametrize(("suffix", "codec", "sound"), KINDS)
def test_joined_files_run_on(tmp_path, colorizer, joined, suffix, codec, sound):
    source, target = joined(suffix, codec, sound), tmp_path / "out.mkv"
    told = []
    result = colorize_film(colorizer, source, target, lossless(), progress=lambda *n: told.append(n))
    assert result.complete
    lengths = lengths_of(suffix)
    jumps = {2: "once", 3: "2 times"}[len(lengths)]
    assert result.notes == [
        f"Its time stamps jump {jumps}, as where films were joined; they were put in line."
    ]
    assert told[-1] == (sum(lengths), sum(lengths))
    luma, times = luma_planes(target)
    assert (luma == luma_planes(source)[0]).all()
    steps = [float(b - a) for a, b in pairwise(times)]
    # Where sound outlasts the pictures the next part waits for its end.
    assert all(0.9 / RATE < step < (2.7 if sound else 1.1) / RATE for step in steps)
    if sound:
        heard = packets(target, "audio")
        assert len(heard) == len(packets(source, "audio"))
        late = float(heard[-1][0] + heard[-1][1] - times[-1]) - 1 / RATE
        assert abs(late) < 2.7 / RATE
        assert all(b[0] > a[0] for a, b in pairwise(heard))


def test_sound_stays_with_its_pictures_after_a_jump(tmp_path, colorizer, joined):
    source, target = joined(".ts", "libx264", "aac"), tmp_path / "out.mkv"
    colorize_film(colorizer, source, target, lossless())
    seen, heard = luma_planes(target)[1], [packet[0] for packet in packets(target, "audio")]
    last = sum(LENGTHS[:-1])
    apart = [seen[0] - heard[0], seen[last] - min(heard, key=lambda time: abs(time - seen[last]))]
    assert max(map(abs, apart)) < Fraction(3, 100)  # a packet of sound lasts 0.021 s


def test_hours_ahead_are_a_jump_in_broadcasts_alone(tmp_path, colorizer, joined):
    firsts = (0, 3600 * RATE, 0)
    broadcast, target = joined(".ts", "mpeg2video", firsts=firsts), tmp_path / "out.mkv"
    colorize_film(colorizer, broadcast, target, lossless())
    assert luma_planes(target)[1][-1] < sum(LENGTHS) / RATE + 1
    slides = make_film(
        tmp_path / "slides.mkv", list(scene(4, colored=False)), time_base=Fraction(1, 1000),
        pts=[0, 40000, 80000, 80040],
    )  # fmt: skip
    result = colorize_film(colorizer, slides, tmp_path / "slides.out.mkv", lossless())
    assert result.notes == []
    assert luma_planes(tmp_path / "slides.out.mkv")[1] == [0, 40, 80, Fraction("80.04")]


def test_a_part_is_taken_by_the_time_that_runs_on(tmp_path, colorizer, joined):
    source, target = joined(".ts", "mpeg2video"), tmp_path / "out.mkv"
    options = lossless(start=1.0, end=3.6)
    assert colorize_film(colorizer, source, target, options).complete
    assert (luma_planes(target)[0] == luma_planes(source)[0][25:90]).all()


@pytest.mark.parametrize("after", [41, 101])
def test_a_stopped_run_goes_on_behind_a_jump(tmp_path, colorizer, joined, monkeypatch, after):
    """Time stamps of the file would lead it to the wrong part. At 101 there is but the joining left."""
    source, target = joined(".ts", "libx264", "aac"), tmp_path / "out.mkv"
    with monkeypatch.context() as patched:
        patched.setattr(run, "join", lambda *_: stopper(0)(0, 0))
        with pytest.raises(StopError):
            colorize_film(colorizer, source, target, lossless(segment_frames=20), stopper(after))
    result = colorize_film(colorizer, source, target, lossless(segment_frames=20, resume=True))
    assert result.resumed == after // 20 * 20
    whole = tmp_path / "whole.mkv"
    colorize_film(colorizer, source, whole, lossless(segment_frames=20))
    for kind in ("video", "audio"):
        assert packets(target, kind) == packets(whole, kind)


def test_a_long_reading_is_told(tmp_path, colorizer, joined, monkeypatch):
    monkeypatch.setattr(run, "_LONG_READ", 1000)
    said = []
    colorize_film(colorizer, joined(".ts", "mpeg2video"), tmp_path / "out.mkv", say=said.append)
    assert said == ["Reading all 0 MiB once for jumps of the time stamps …"]


def test_an_avi_that_breaks_off_is_told(tmp_path, colorizer):
    """FFmpeg believes of its stated length what fits the file's size."""
    source = film_of(tmp_path / "in.avi", 100, codec="mpeg4", sound="pcm_s16le")
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    with Film(source) as film:
        assert film.duration == pytest.approx(100 / RATE)
    result = colorize_film(colorizer, source, tmp_path / "out.mkv")
    assert not result.complete
    assert result.notes == ["The film breaks off before its stated end; what there is was coloured."]
