"""What is shown is recorded, with its times, and replaces nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from tintype.errors import OutputError, OutputExistsError, SettingsError
from tintype.live.record import Recorder
from tintype.video.film import Film


def test_what_is_shown_is_recorded_with_its_times(tmp_path):
    recorder = Recorder(tmp_path / "out.mkv")
    times = [0.0, 0.04, 0.5, 0.52, 1.2]
    for i, seconds in enumerate(times):
        recorder.write(np.full((48, 64, 3), 40 * i, np.uint8), seconds)
    assert not (tmp_path / "out.mkv").exists()
    recorder.close()
    assert [p.name for p in tmp_path.iterdir()] == ["out.mkv"]
    with av.open(str(tmp_path / "out.mkv")) as container:
        frames = list(container.decode(video=0))
    assert [float(f.pts * f.time_base) for f in frames] == pytest.approx(times, abs=2e-3)
    greys = [f.to_ndarray(format="rgb24").mean() for f in frames]
    assert greys == pytest.approx([0, 40, 80, 120, 160], abs=3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_recording_that_is_cut_short_plays_but_for_its_last_seconds(tmp_path, suffix):
    recorder = Recorder(tmp_path / f"out{suffix}")
    for i in range(150):
        recorder.write(np.full((48, 64, 3), i, np.uint8), i / 15)
    (part,) = tmp_path.iterdir()
    shutil.copy(part, tmp_path / f"cut{suffix}")  # as after a power cut
    recorder.close()
    with Film(tmp_path / f"cut{suffix}") as cut:
        assert sum(1 for _ in cut.frames()) > 150 - 15 * 3


def test_a_recording_is_refused_before_anything_begins(tmp_path):
    (tmp_path / "dear.mkv").write_text("dear")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        Recorder(tmp_path / "dear.mkv")
    with pytest.raises(SettingsError, match=r"write one of \.mkv \.mp4"):
        Recorder(tmp_path / "out.gif")
    recorder = Recorder(tmp_path / "out.mkv")
    recorder.write(np.zeros((48, 64, 3), np.uint8), 0)
    with pytest.raises(OutputError, match="changed their size"):
        recorder.write(np.zeros((50, 64, 3), np.uint8), 1)
    recorder.close()
    Recorder(tmp_path / "none.mkv").close()
    assert not (tmp_path / "none.mkv").exists()


def test_a_recording_leaves_what_got_its_name_meanwhile_and_is_kept(tmp_path):
    target = tmp_path / "out.mkv"
    for overwrite in (False, True):
        recorder = Recorder(target, overwrite=overwrite)
        recorder.write(np.zeros((48, 64, 3), np.uint8), 0)
        target.write_text("dear")
        if overwrite:
            recorder.close()
            continue
        with pytest.raises(OutputExistsError, match=r"appeared meanwhile.*; the film is ") as told:
            recorder.close()
        assert target.read_text() == "dear"
        kept = Path(str(told.value).removesuffix(".").rpartition(" is ")[2])
        with Film(kept) as film:
            assert sum(1 for _ in film.frames()) == 1
        kept.unlink()
    with Film(target) as film:
        assert sum(1 for _ in film.frames()) == 1
