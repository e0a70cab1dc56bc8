"""Films whose time stamps jump back or far ahead, as where files were joined end to end."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import av
import numpy as np
import pytest
from film_makers import (
    Disposition,
    StopError,
    luma_planes,
    make_film,
    packets,
    scene,
    stopper,
    with_short_packets,
    with_stamp_astray,
)

from tintype.colorizer import Colorizer
from tintype.errors import OutputError
from tintype.video import FilmOptions, colorize_film, media, run, timeline
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


# --- what is a jump, by streams of packets: (stream, milliseconds), pictures being 0 and 40 ms apart

KIND_OF = ("video", "audio", "audio", "subtitle")
STREAMS = [SimpleNamespace(index=i, type=t, disposition=Disposition(0)) for i, t in enumerate(KIND_OF)]


def eras_of(packets, forward_s=10.0):
    eras = timeline._Eras(0, 0.04, forward_s)
    for index, ms in packets:
        eras.add(
            SimpleNamespace(stream=STREAMS[index], pts=ms, dts=ms, duration=40, time_base=Fraction(1, 1000))
        )
    return eras.timeline()


def together(start, end, *streams):
    """The packets of several streams, in turn."""
    return [(index, ms) for ms in range(start, end, 40) for index in (0, *streams)]


def test_sound_that_pauses_and_comes_back_is_no_jump():
    pictures = together(0, 60_000)
    sound = [(2, ms) for ms in (*range(0, 5_000, 40), *range(45_000, 60_000, 40))]
    assert eras_of(sorted([*pictures, *sound], key=lambda packet: packet[1])).jumps == 0


def test_sound_alone_that_goes_back_is_no_jump():
    assert eras_of([*together(0, 5_000, 1), (1, 4_700), *together(5_000, 20_000, 1)]).jumps == 0
    late = [packet for ms in range(5_000, 20_000, 40) for packet in ((0, ms), (1, ms - 300))]
    assert eras_of([*together(0, 5_000, 1), *late]).jumps == 0


def test_pictures_alone_that_go_back_are_no_jump_while_sound_goes_on():
    late = [packet for ms in range(5_000, 20_000, 40) for packet in ((0, ms - 300), (1, ms))]
    assert eras_of([*together(0, 5_000, 1), *late]).jumps == 0


def test_without_sound_pictures_that_go_back_are_a_jump():
    found = eras_of([*together(0, 5_000), *together(0, 5_000)])
    assert (found.jumps, found.pictures) == (1, 250)
    assert found.shifts == {0: [(0, 0.0), (125, pytest.approx(5.0))]}
    assert found.end == pytest.approx(10)


def test_sound_that_comes_late_belongs_to_what_was_before():
    late = [(1, ms) for ms in range(4_600, 5_000, 40)]
    found = eras_of([*together(0, 4_600, 1), *[(0, ms) for ms in range(4_600, 5_000, 40)],
                     (0, 100), (0, 140), *late, (1, 100), (1, 140), *together(180, 6_000, 1)])  # fmt: skip
    assert found.jumps == 1
    assert found.shifts[0][1] == found.shifts[1][1] == (125, pytest.approx(4.9))


def test_sound_that_jumps_first_takes_the_pictures_along():
    found = eras_of([*together(0, 5_000, 1), (1, 50), (1, 90), *together(100, 5_000, 1)])
    assert found.jumps == 1
    assert {round(shifts[1][1], 6) for shifts in found.shifts.values()} == {4.95}


def test_sound_that_had_ended_comes_with_the_others():
    """In the second part, by whose clock it is nearer to where it ended than it was to the first's end."""
    first = [*together(0, 10_000, 1, 2), *together(10_000, 100_000, 1)]
    found = eras_of([*first, *together(50_000, 60_000, 1, 2)])
    assert found.jumps == 1
    assert {round(shifts[1][1], 6) for shifts in found.shifts.values()} == {50.0}


def test_subtitles_go_with_the_pictures():
    found = eras_of([*together(0, 9_000, 1), (3, 8_000), *together(0, 9_000, 1), (3, 8_000)])
    assert found.shifts[3] == [(0, 0.0), (1, pytest.approx(9.0))]


def test_a_stamp_that_is_wrong_alone_moves_nothing_for_good():
    found = eras_of([*together(0, 5_000, 1), (0, 9_000_000), *together(5_000, 9_000, 1)])
    moved = [offset for shifts in found.shifts.values() for _, offset in shifts[-1:]]
    assert max(map(abs, moved), default=0) < 0.2


def test_without_clocks_that_begin_anew_far_ahead_is_no_jump():
    assert eras_of([*together(0, 5_000, 1), *together(90_000, 95_000, 1)], math.inf).jumps == 0
    assert eras_of([*together(0, 5_000, 1), *together(90_000, 95_000, 1)]).jumps == 1


@pytest.mark.parametrize(("late", "jumps"), [(400, 1), (4_000, 0)])
def test_sound_that_ends_with_the_first_part_comes_late_but_not_for_long(late, jumps):
    sound = [(1, ms) for ms in range(4_600, 4_600 + late, 40)]
    found = eras_of([*together(0, 4_600, 1), *together(0, 200), *sound, *together(200, 5_000)])
    assert found.jumps == jumps


def test_what_ends_in_the_first_part_does_not_hold_up_the_second():
    longer = [(2, ms) for ms in range(10_000, 12_000, 40)]
    found = eras_of([*together(0, 10_000, 1, 2), *longer, *together(0, 5_000, 1)])
    assert {round(found.shifts[index][1][1], 6) for index in (0, 1)} == {10.0}


def test_packets_without_time_go_with_their_stream():
    found = eras_of([(0, None), *together(0, 5_000), *together(0, 5_000)[:50], (0, None)])
    assert found.jumps == 1
    assert found.shifts[0] == [(0, 0.0), (126, pytest.approx(5.0))]


@pytest.mark.parametrize(("pause", "jumps"), [(9_900, 0), (10_100, 1)])
def test_a_reception_that_is_lost_for_short_stays_a_gap(pause, jumps):
    found = eras_of([*together(0, 5_000, 1), *together(5_000 + pause, 9_000 + pause, 1)], timeline._FORWARD_S)
    assert found.jumps == jumps


@pytest.mark.parametrize("forward_s", [10.0, math.inf])
@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("astray", [-6_000, -300, 6_000, 50_000])
def test_one_stamp_that_goes_astray_is_no_jump(index, astray, forward_s):
    packets = together(0, 60_000, 1)
    packets[1500 + index] = (index, packets[1500 + index][1] + astray)
    found = eras_of(packets, forward_s)
    assert (found.jumps, found.astray, found.shifts) == (0, {index: {750}}, {})


def test_a_hole_in_the_sound_that_the_file_has_filled_early_is_no_jump():
    """A muxer places what comes after it as soon as it has it."""
    early = [(1, ms) for ms in range(22_000, 40_000, 40)]
    assert eras_of([*together(0, 10_000, 1), (0, 10_000), *early, *together(10_040, 40_000)]).jumps == 0


@pytest.mark.parametrize("suffix", [".nut", ".mkv"])
def test_a_film_that_breaks_off_is_told(tmp_path, colorizer, suffix):
    source = film_of(tmp_path / f"in{suffix}", 100, codec="libx264", sound="pcm_s16le")
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 3])
    result = colorize_film(colorizer, source, tmp_path / "out.mkv")
    assert 0 < result.frames < 100
    assert (tmp_path / "out.mkv").exists()


def test_sound_of_equal_stamps_is_kept(tmp_path, colorizer):
    """Packets shorter than the millisecond in which Matroska counts, as TrueHD's are."""
    source = film_of(tmp_path / "in.mkv", 25, codec="libx264")
    with_short_packets(source, tmp_path / "short.mkv")
    stamps = [packet[0] for packet in packets(tmp_path / "short.mkv", "audio")]
    assert len(set(stamps)) < len(stamps)
    result = colorize_film(colorizer, tmp_path / "short.mkv", tmp_path / "out.mkv")
    assert result.notes == []
    assert packets(tmp_path / "out.mkv", "audio") == packets(tmp_path / "short.mkv", "audio")


@pytest.mark.parametrize("astray", [-1, 3])
def test_a_picture_whose_stamp_went_astray_is_where_it_belongs(tmp_path, colorizer, astray):
    """In FLV a stamp's lowest byte lies eight before the pictures' own data."""
    source = film_of(tmp_path / "in.flv", 60, codec="flv", sound="aac")
    with_stamp_astray(source, 30, astray)
    stamps = [packet[0] for packet in packets(source, "video")]
    assert abs(stamps[30] - stamps[29]) > 0.9
    result = colorize_film(colorizer, source, tmp_path / "out.mkv", lossless())
    assert (result.frames, result.notes) == (60, [])
    times = luma_planes(tmp_path / "out.mkv")[1]
    assert all(b - a == Fraction(1, RATE) for a, b in pairwise(times))
    assert len(packets(tmp_path / "out.mkv", "audio")) == len(packets(source, "audio"))


def long_film(path, **more):
    """Of 20 s."""
    pictures = list(scene(20, width=48, colored=False)) * 25
    return make_film(path, pictures, time_base=Fraction(1, RATE), pts=list(range(500)), **more)


def disc_with_late_text(path):
    """As on a DVD: 12 s, a picture of a subtitle at 10 s, and too much behind it to be seen from the end."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 128, 160, 1), np.uint8).repeat(3, -1)
    text = (200).to_bytes(2, "big") + bytes(range(198))
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg2video", rate=RATE, options={"b": "6M"})
        stream.height, stream.width, stream.pix_fmt = 128, 160, "yuv420p"
        texts = output.add_stream("dvdsub")
        texts.time_base = Fraction(1, 90000)
        output.start_encoding()
        for i in range(12 * RATE):
            frame = av.VideoFrame.from_ndarray(noise[i % 20], "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            output.mux(stream.encode(frame))
            if i == 10 * RATE:
                packet = av.Packet(text)
                packet.stream, packet.time_base = texts, texts.time_base
                packet.pts = packet.dts = 10 * 90000
                packet.duration = 90000
                output.mux(packet)
        output.mux(stream.encode(None))
    return text


def test_sound_that_begins_late_is_kept(tmp_path, colorizer):
    """FFmpeg by itself looks for 5 s."""
    source = long_film(tmp_path / "in.ts", codec="libx264", sound="aac", sound_from=15)
    result = colorize_film(colorizer, source, tmp_path / "out.mkv", FilmOptions(every=50))
    assert (result.frames, result.notes) == (500, [])
    heard = packets(tmp_path / "out.mkv", "audio")
    assert len(heard) > 100
    seen = luma_planes(tmp_path / "out.mkv")[1]
    assert heard[0][0] - seen[0] == pytest.approx(15, abs=0.1)


@pytest.mark.parametrize("thoroughly", [True, False])
def test_text_that_begins_late_on_a_disc(tmp_path, colorizer, monkeypatch, thoroughly):
    """It is kept where it is looked for so far, and stops nothing where it is not."""
    if not thoroughly:
        monkeypatch.setattr(media, "_THOROUGHLY", {})
    text = disc_with_late_text(tmp_path / "in.vob")
    result = colorize_film(colorizer, tmp_path / "in.vob", tmp_path / "out.mkv", FilmOptions(every=50))
    assert (result.frames, result.notes) == (300, [])
    with av.open(str(tmp_path / "out.mkv")) as container:
        found = [bytes(p) for p in container.demux() if p.stream.type == "subtitle" and p.size]
    assert found == ([text] if thoroughly else [])


def test_sound_of_which_there_is_nothing_is_told(tmp_path, colorizer):
    """As where a broadcast lists languages that are not spoken."""
    source = film_of(tmp_path / "in.ts", 20, codec="libx264", sound="aac", sound_from=9)
    result = colorize_film(colorizer, source, tmp_path / "out.mkv")
    assert result.notes == ["A stream of sound in which there is nothing is left out (1)."]


def test_sound_that_begins_too_late_is_refused_before_the_work(tmp_path, colorizer, monkeypatch):
    monkeypatch.setattr(media, "_THOROUGHLY", {})
    source = long_film(tmp_path / "in.ts", codec="libx264", sound="aac", sound_from=15)
    told = []
    with pytest.raises(OutputError, match=r"its sound \(stream 1\) begins later"):
        colorize_film(colorizer, source, tmp_path / "out.mkv", progress=lambda *done: told.append(done))
    assert told == []
    assert [p.name for p in tmp_path.iterdir()] == ["in.ts"]
