"""What a film lacks is told, in however many runs it was coloured and whatever part of it."""

from __future__ import annotations

import json

import pytest
from film_makers import StopError, damage, make_film, scene, stopper

from tintype.errors import OutputError
from tintype.video import FilmOptions, colorize_film, run
from tintype.video.film import Film

OPTIONS = {"codec": "ffv1", "segment_frames": 8}
BROKEN_OFF = "The film breaks off before its stated end; what there is was coloured."


def color(colorizer, source, target, progress=None, **options):
    return colorize_film(colorizer, source, target, FilmOptions(**OPTIONS | options), progress)


def stopped(colorizer, source, target, after=21):
    """A film whose first segments are finished."""
    with pytest.raises(StopError):
        color(colorizer, source, target, stopper(after))
    return target


def seconds_4(path, codec="libx264", **settings):
    return make_film(path, list(scene(100, colored=False)), codec=codec, **settings)


def broken_off(folder):
    """A film that states 4 s, of which the second half is missing."""
    data = seconds_4(folder / "whole.mkv").read_bytes()
    (folder / "in.mkv").write_bytes(data[: len(data) // 2])
    return folder / "in.mkv"


def test_a_short_film_that_breaks_off_is_told(tmp_path, colorizer):
    data = make_film(tmp_path / "whole.mkv", list(scene(30, colored=False))).read_bytes()
    (tmp_path / "in.mkv").write_bytes(data[: 2 * len(data) // 3])
    result = color(colorizer, tmp_path / "in.mkv", tmp_path / "out.mkv")
    assert 10 < result.frames < 27
    assert (result.complete, result.notes) == (False, [BROKEN_OFF])


# --- damaged places, over several runs

JPEG = {"codec": "mjpeg", "pix_fmt": "yuvj420p"}
H264 = {"codec": "libx264", "options": {"g": "8"}}


def damaged_at_5(folder):
    return damage(make_film(folder / "in.avi", **JPEG), [5])


@pytest.mark.parametrize(
    ("suffix", "kind", "places"),
    [
        (".avi", JPEG, [5]),
        (".avi", JPEG, [7]),
        (".avi", JPEG, [8]),
        (".avi", JPEG, [15, 16]),
        (".avi", JPEG, [3, 12, 25]),
        (".avi", JPEG, [27]),
        (".mkv", H264, [5, 13]),
        (".mkv", H264, [14, 15, 16, 17]),
        (".mkv", H264, [18, 19, 29]),
    ],
)
def test_damage_counts_once_in_however_many_runs(tmp_path, colorizer, suffix, kind, places):
    source = damage(make_film(tmp_path / f"in{suffix}", **kind), places)
    whole = color(colorizer, source, tmp_path / "whole.mkv")
    assert not whole.complete
    assert "passed over." in whole.notes[0]
    target = stopped(colorizer, source, tmp_path / "out.mkv")
    result = color(colorizer, source, target, resume=True)
    assert (result.resumed, result.frames) == (16, whole.frames)
    assert (result.complete, result.notes) == (whole.complete, whole.notes)


@pytest.mark.parametrize(
    ("make", "note"),
    [
        (damaged_at_5, "1 damaged place was passed over."),
        (broken_off, BROKEN_OFF),
    ],
)
def test_a_film_of_which_the_joining_alone_was_left_tells_what_it_lacks(
    tmp_path, colorizer, monkeypatch, make, note
):
    source, target = make(tmp_path), tmp_path / "out.mkv"

    def full(*_):
        raise OutputError("There is no room.")

    with monkeypatch.context() as patch:
        patch.setattr(run, "join", full)
        with pytest.raises(OutputError, match="no room"):
            color(colorizer, source, target)
    result = color(colorizer, source, target, resume=True)
    assert result.resumed == result.frames
    assert not result.complete
    assert note in result.notes


def test_segments_of_earlier_versions_count_no_damage(tmp_path, colorizer):
    source = damage(make_film(tmp_path / "in.avi", **JPEG), [5, 25])
    target = stopped(colorizer, source, tmp_path / "out.mkv")
    for path in (tmp_path / ".out.mkv.tintype-part").glob("0*.json"):
        values = json.loads(path.read_text())
        del values["damaged"]
        path.write_text(json.dumps(values))
    result = color(colorizer, source, target, resume=True)
    assert result.notes == ["1 damaged place was passed over."]


# --- the end that was asked for


def test_a_film_that_breaks_off_before_the_wanted_end_is_told(tmp_path, colorizer):
    source = broken_off(tmp_path)
    result = color(colorizer, source, tmp_path / "beyond.mkv", end=3.8)
    assert not result.complete
    assert BROKEN_OFF in result.notes
    reached = color(colorizer, source, tmp_path / "reached.mkv", end=0.8)
    assert (reached.frames, reached.complete, reached.notes) == (20, True, [])


def test_an_end_after_the_films_own_is_told_and_the_film_is_complete(tmp_path, colorizer):
    source = seconds_4(tmp_path / "in.mkv")
    result = color(colorizer, source, tmp_path / "out.mkv", end=60)
    assert (result.frames, result.complete) == (100, True)
    assert result.notes == ["The film ends at 4.0 s, before the end that was asked for."]
    assert color(colorizer, source, tmp_path / "exact.mkv", end=4).notes == []


def test_a_film_of_one_picture_without_a_frame_rate_is_opened(tmp_path):
    """Whose frame rate FFmpeg guesses, from the container, which has to be open."""
    source = make_film(tmp_path / "in.ts", list(scene(1, colored=False)), codec="libx264")
    with Film(source) as film:
        assert film.rate > 0
