"""A film that was stopped goes on where it was, and what is kept is looked at before."""

from __future__ import annotations

import errno
import itertools
import signal
import subprocess
import sys

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

from tintype import Colorizer
from tintype.errors import InputError, OutputError, OutputExistsError, SettingsError
from tintype.video import FilmOptions, colorize_film, film, run, work
from tintype.video.media import UnreadableError, packets_of


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
    with pytest.raises(SettingsError, match="begun with another codec and crf and strength"):
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


def test_a_source_that_fails_is_blamed_and_what_is_finished_stays(tmp_path, colorizer, monkeypatch):
    source, target = make_film(tmp_path / "in.mkv"), tmp_path / "out.mkv"

    def failing(container, *streams):
        yield from itertools.islice(packets_of(container, *streams), 20)
        raise UnreadableError("in.mkv cannot be read any further: input/output error.")

    with monkeypatch.context() as patch:
        patch.setattr(film, "packets_of", failing)
        with pytest.raises(InputError, match="error; what is finished is kept, --resume goes on"):
            color(colorizer, source, target, segment_frames=4, **LOSSLESS)
    assert color(colorizer, source, target, segment_frames=4, resume=True, **LOSSLESS).resumed == 16


def test_going_on_with_another_version_is_refused(tmp_path, colorizer, monkeypatch):
    source, target = make_film(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    with pytest.raises(StopError):
        colorize_film(colorizer, source, target, FilmOptions(segment_frames=8, **LOSSLESS), stopper(10))
    monkeypatch.setattr(run, "__version__", "99.0")
    with pytest.raises(SettingsError, match="begun with another version of Tintype"):
        color(colorizer, source, target, segment_frames=8, resume=True, **LOSSLESS)
