"""Films unlike most: colons in names, sound that outlasts the pictures, places that are taken."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from film_makers import chapters_of, luma_planes, make_film, scene

from tintype import cli
from tintype.colorizer import Colorizer
from tintype.errors import OutputError, OutputExistsError
from tintype.live.record import Recorder
from tintype.video import FilmOptions, colorize_film, command
from tintype.video.film import Film


@pytest.fixture(scope="module")
def colorizer(tiny_model):
    return Colorizer(tiny_model, size=64)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_colon_in_a_name_is_no_protocol(tmp_path, colorizer, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    source = make_film(tmp_path / f"in{suffix}", list(scene(4, colored=False)), codec="mpeg4")
    named = source.rename(tmp_path / f"12:30{suffix}").relative_to(tmp_path)
    colorize_film(colorizer, named, named.with_name(f"reel:1{suffix}"))
    assert len(luma_planes(f"file:reel:1{suffix}")[0]) == 4


@pytest.mark.parametrize("first", [0, 75])
@pytest.mark.parametrize("more", [{"sound": "libopus"}, {"subtitles": [(0, 6000, "Late.")]}])
def test_sound_and_subtitles_may_outlast_the_pictures(tmp_path, colorizer, more, first):
    ticks = [512 * (first + i) for i in range(25)]
    source = make_film(tmp_path / "in.mkv", list(scene(25, colored=False)), pts=ticks, **more)
    with Film(source) as film:
        for _ in film.frames():
            pass
        assert film.stated_end == film.last_moment == (first + 25) / 25
        assert film.duration == pytest.approx(1)
    result = colorize_film(colorizer, source, tmp_path / "out.mkv")
    assert (result.complete, result.notes) == (True, [])


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_the_results_place_is_told_at_once(tmp_path, colorizer, overwrite):
    source = make_film(tmp_path / "in.mkv", list(scene(4, colored=False)))
    target = tmp_path / "out.mkv"
    target.mkdir()
    with pytest.raises(OutputError, match="is a folder; name a file"):
        colorize_film(colorizer, source, target, FilmOptions(overwrite=overwrite), pytest.fail)
    with pytest.raises(OutputError, match="is a folder; name a file"):
        Recorder(target, overwrite=overwrite)


def test_a_link_that_leads_nowhere_is_something_that_stays(tmp_path, colorizer):
    source = make_film(tmp_path / "in.mkv", list(scene(4, colored=False)))
    target = tmp_path / "out.mkv"
    target.symlink_to("nothing")
    with pytest.raises(OutputExistsError, match="exists already"):
        colorize_film(colorizer, source, target, None, pytest.fail)
    with pytest.raises(OutputExistsError, match="exists already"):
        Recorder(target)
    colorize_film(colorizer, source, target, FilmOptions(overwrite=True))
    assert not target.is_symlink()
    assert len(luma_planes(target)[0]) == 4


@pytest.mark.parametrize("length", [10, 1000])
def test_going_on_is_promised_where_there_is_something_to_go_on_from(
    tmp_path, tiny_model, monkeypatch, capsys, length
):
    source = make_film(tmp_path / "in.mkv", list(scene(60, colored=False)))

    def interrupted(colorizer, source, target, options, told, say):
        def tell(done, total):
            told(done, total)
            if done == 35:
                raise KeyboardInterrupt

        return colorize_film(colorizer, source, target, replace(options, segment_frames=length), tell, say)

    monkeypatch.setattr(command, "colorize_film", interrupted)
    assert cli.main(["video", str(source), "--model", str(tiny_model)]) == 130
    said = capsys.readouterr().err
    assert "Stopped after 35 pictures; " in said
    assert ("the same command with --resume goes on." in said) is (length == 10)
    assert ("too few to go on from were kept." in said) is (length == 1000)


@pytest.mark.parametrize(("sound", "codec"), [("flac", None), ("libopus", None), (None, "libvpx-vp9")])
def test_what_a_container_refuses_in_its_header_is_told_before_the_work(tmp_path, colorizer, sound, codec):
    source = make_film(tmp_path / "in.mkv", list(scene(30, colored=False)), sound=sound)
    with pytest.raises(OutputError, match=r"\.mov files cannot hold .*; write an \.mkv"):
        colorize_film(colorizer, source, tmp_path / "out.mov", FilmOptions(codec=codec), pytest.fail)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_where_mp4_keeps_chapters_is_no_stream_that_is_lost(tmp_path, colorizer):
    chapter = {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}}
    source = make_film(tmp_path / "in.mp4", codec="mpeg4", chapters=[chapter])
    result = colorize_film(colorizer, source, tmp_path / "out.mp4")
    assert result.notes == []
    assert chapters_of(tmp_path / "out.mp4") == ["One"]
