"""Films, settings and places that are refused, and how that is told."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_makers import LOSSLESS, color, luma_planes, make_film, scene

from tintype.errors import InputError, OutputError, OutputExistsError, SettingsError, TintypeError
from tintype.video import FilmOptions, colorize_film, film, pictures
from tintype.video.media import UnreadableError, packets_of
from tintype.video.work import Work


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": float("nan")}, "The end must lie after the start"),
        ({"end": float("inf")}, "The end must lie after the start"),
        ({"segment_frames": 0}, "A segment must have 1 picture or more"),
    ],
)
def test_options_that_are_no_numbers(options, message):
    with pytest.raises(SettingsError, match=message):
        FilmOptions(**options)


def test_a_target_below_a_file(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mkv")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Cannot write"):
        color(colorizer, source, tmp_path / "file" / "out.mkv", **LOSSLESS)


class Disk:
    """A source on a disk that fails."""

    name = "file:/disk/in.avi"

    def demux(self, *streams):
        yield "a packet"
        raise av.error.OSError(errno.EIO, "Input/output error", "file:/disk/in.avi")


class Badly:
    """A film whose index leads astray: after a seek it cannot be read."""

    def __init__(self, path):
        self._container, self._sought = self.open(path), False

    def __getattr__(self, name):
        return getattr(self._container, name)

    def seek(self, *args, **options):
        self._sought = True
        self._container.seek(*args, **options)

    def demux(self, *streams):
        if self._sought:
            raise av.error.OSError(errno.EIO, "Input/output error")
        return self._container.demux(*streams)


def test_a_film_that_cannot_be_entered_is_read_from_its_beginning(tmp_path, monkeypatch):
    source = make_film(tmp_path / "in.mkv", list(scene(10, colored=False)))
    Badly.open = staticmethod(pictures.open_film)
    monkeypatch.setattr(pictures, "open_film", Badly)
    with film.Film(source) as opened:
        ticks = [frame.pts for frame in opened.frames()]
    for way in (film.Film.frames, film.Film.frames_from):
        with film.Film(source) as opened:
            assert [frame.pts for frame in way(opened, ticks[4])] == ticks[4:]


def test_pictures_that_change_their_size(tmp_path, colorizer):
    source, part = tmp_path / "in.ts", tmp_path / "part.ts"
    with source.open("wb") as file:
        for height in (64, 80):
            pictures, ticks = list(scene(25, height=height, colored=False)), range(25)
            make_film(part, pictures, codec="mpeg2video", pts=ticks, time_base=Fraction(1, 25))
            file.write(part.read_bytes())
    for options, place in (({}, "1"), ({"start": 1.5}, r"1\.52?")):
        found = (
            rf"at {place} s its pictures have 96 x 80 pixels, and its first 96 x 64; --end {place} colours"
        )
        with pytest.raises(InputError, match=found):
            color(colorizer, source, tmp_path / "out.mkv", **LOSSLESS, **options)
    with av.open(str(source)) as container:  # the decoder loses one where the size changes
        before = sum(frame.height == 64 for frame in container.decode(video=0))
    assert color(colorizer, source, tmp_path / "out.mkv", end=1, **LOSSLESS).frames == before >= 24


def test_a_film_that_cannot_be_read_any_further_is_named():
    packets = packets_of(Disk())
    assert next(packets) == "a packet"
    with pytest.raises(UnreadableError, match=r"^/disk/in\.avi cannot be read any further: input"):
        next(packets)
