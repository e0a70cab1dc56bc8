"""Cameras, films, photographs and pipelines as sources, and what is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from live_helpers import film, numbered
from PIL import Image

from tintype import cli
from tintype.errors import InputError
from tintype.live import sources
from tintype.live.gstreamer import Pipeline
from tintype.live.sources import Newest, open_source

needs_gstreamer = pytest.mark.skipif(
    shutil.which("gst-launch-1.0") is None,
    reason="needs GStreamer: apt install gstreamer1.0-tools gstreamer1.0-plugins-base",
)


def test_a_film_is_a_source_and_ends(tmp_path):
    source = open_source(film(tmp_path / "a.mkv"), paced=False)
    greys = []
    while (rgb := source.read()) is not None:
        greys.append(int(rgb[24, 32, 0]))
    source.close()
    assert greys == pytest.approx([5 * i for i in range(8)], abs=3)


def test_a_photograph_with_exif_is_a_source(tmp_path):
    """FFmpeg hands EXIF on in a kind of side data that PyAV does not name; 6 is to be turned to the right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = 200
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=exif)
    source = open_source(str(tmp_path / "a.jpg"), paced=False)
    rgb = source.read()
    source.close()
    assert rgb.shape == (64, 48, 3)
    assert (rgb[:24].mean(), rgb[40:].mean()) == pytest.approx((0, 200), abs=5)


def test_a_source_that_ends_before_a_picture_is_an_error(tmp_path, capsys):
    (tmp_path / "words.jpg").write_text("Dear Sir,\nyours.\n" * 20)
    line = [
        "live",
        "--source",
        str(tmp_path / "words.jpg"),
        "--view",
        "none",
        "--record",
        str(tmp_path / "t.mkv"),
    ]
    assert cli.main(line) == 1
    assert "tintype: " in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["words.jpg"]


def test_a_film_that_lies_on_its_side_is_turned_upright(tmp_path):
    path = tmp_path / "phone.mp4"
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = 200  # bright on the right as it is stored, below when it is turned clockwise
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        stream.set_display_rotation(-90)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    source = open_source(str(path), paced=False)
    rgb = source.read()
    source.close()
    assert rgb.shape == (64, 48, 3)
    assert rgb[16, 24, 0] < 20
    assert rgb[48, 24, 0] > 180


def test_a_recording_never_replaces_the_film_that_is_shown(tmp_path, capsys):
    path = film(tmp_path / "a.mkv")
    before = (tmp_path / "a.mkv").read_bytes()
    line = [
        "live",
        "--source",
        path,
        "--view",
        "none",
        "--record",
        str(tmp_path / "." / "a.mkv"),
        "--overwrite",
    ]
    assert cli.main(line) == 1
    assert "would replace the film itself" in capsys.readouterr().err
    assert (tmp_path / "a.mkv").read_bytes() == before


def test_a_film_keeps_its_own_pace(tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(sources.time, "monotonic", lambda: 100.0)
    source = open_source(film(tmp_path / "a.mkv"))
    monkeypatch.setattr(source._stopped, "wait", waited.append)
    while source.read() is not None:
        pass
    source.close()
    assert waited == pytest.approx([i / 50 for i in range(8)], abs=2e-3)


def test_a_film_whose_next_picture_is_far_away_is_let_go_at_once(tmp_path):
    newest = Newest(open_source(film(tmp_path / "a.mkv", rate=Fraction(1, 60))))
    assert newest.take(30) is not None
    newest.close()
    assert not newest._thread.is_alive()


def test_a_pipeline_that_gives_nothing_is_let_go_at_once(tmp_path, monkeypatch):
    launch = tmp_path / "gst-launch-1.0"
    launch.write_text("#!/bin/sh\nexec sleep 60\n")
    launch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    source = open_source("videotestsrc ! videoconvert")
    newest, close, alive = Newest(source), source.close, []
    monkeypatch.setattr(source, "close", lambda: (alive.append(newest._thread.is_alive()), close()))
    newest.close()
    assert alive == [False]


def test_a_damaged_picture_of_a_film_is_passed_over(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=50)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for rgb in numbered(8):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        output.mux(stream.encode(None))
    whole = path.read_bytes()
    third, fourth = [i for i in range(len(whole)) if whole.startswith(b"\xff\xd8\xff", i)][3:5]
    path.write_bytes(whole[:third] + bytes(fourth - third - 8) + whole[fourth - 8 :])
    source = open_source(str(path), paced=False)
    count = 0
    while source.read() is not None:
        count += 1
    source.close()
    assert 5 <= count <= 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "no camera .* no file, no address .* no GStreamer pipeline"),
        ("97", "There is no camera 97 that can be opened"),
        ("/dev/video97", "There is no /dev/video97 that can be opened"),
        ("rtsp://127.0.0.1:9/none", "cannot be opened"),
    ],
)
def test_sources_that_are_none(text, message):
    with pytest.raises(InputError, match=message):
        open_source(text)


def test_a_camera_that_disappears(monkeypatch):
    class Capture:
        def __init__(self, index):
            self.left = 2

        def isOpened(self):
            return True

        def set(self, *_):
            return True

        def read(self):
            self.left -= 1
            return self.left >= 0, np.zeros((4, 4, 3), np.uint8)

        def release(self):
            pass

    monkeypatch.setattr(cv2, "VideoCapture", Capture)
    camera = open_source("0")
    assert camera.read().shape == (4, 4, 3)
    camera.read()
    with pytest.raises(InputError, match="camera 0 has stopped giving pictures; was it unplugged"):
        camera.read()


def test_without_gstreamer_the_remedy_is_told(monkeypatch):
    monkeypatch.setenv("PATH", "")
    for text in ("csi", "videotestsrc ! videoconvert"):
        with pytest.raises(InputError, match=r"sudo apt install gstreamer1\.0-tools"):
            open_source(text)


@needs_gstreamer
@pytest.mark.parametrize("width", [64, 67])
def test_a_pipeline_gives_its_pictures(width):
    """Bars whose colours are known; a width whose rows GStreamer pads, and one whose it does not."""
    caps = f"video/x-raw,width={width},height=48,framerate=30/1"
    source = open_source(f"videotestsrc num-buffers=3 pattern=smpte100 ! {caps} ! appsink drop=true")
    pictures = []
    while (rgb := source.read()) is not None:
        pictures.append(rgb)
    source.close()
    assert len(pictures) == 3
    assert pictures[0].shape == (48, width, 3)
    third = pictures[0][24, width // 14 :: width // 7].astype(int)
    bright = [tuple(int(c > 100) for c in color) for color in third[:7]]
    assert bright == [(1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1)]


@needs_gstreamer
def test_a_pipeline_needs_no_pyav(tiny_model):
    """Old boards have no wheel of it."""
    code = f"""
import sys
sys.modules["av"] = None
from tintype.cli import main
pipeline = "videotestsrc is-live=true num-buffers=5 ! video/x-raw,width=64,height=48,framerate=30/1"
raise SystemExit(main(["live", "--source", pipeline, "--view", "none", "--model", {str(tiny_model)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pictures shown" in done.stderr


@needs_gstreamer
def test_a_pipeline_that_fails_says_why():
    for text, message in (
        ("videotestsrc ! nonsense", 'pipeline failed: no element "nonsense"'),
        ("filesrc location=/nowhere/at.all ! decodebin", "pipeline failed: .*filesrc.*Resource not found"),
        ("csi", "nvarguscamerasrc"),
    ):
        source = open_source(text)
        with pytest.raises(InputError, match=message):
            source.read()
        source.close()


@needs_gstreamer
def test_a_pipeline_is_ended_with_its_reader():
    source = open_source("videotestsrc is-live=true ! video/x-raw,width=64,height=48")
    assert source.read() is not None
    source.close()
    assert source._process.poll() is not None


def test_the_reason_of_a_failure_is_found_behind_however_much_was_told(monkeypatch, tmp_path):
    launch = tmp_path / "launch"
    launch.write_text(
        f"#!{sys.executable}\nfor _ in range(40_000):\n    print('/GstPipeline:pipeline0/identity: chain')\n"
        "print('ERROR: from element v4l2src0: The device is gone.')\nraise SystemExit(1)\n"
    )
    launch.chmod(0o755)
    monkeypatch.setattr("tintype.live.gstreamer.shutil.which", lambda name: str(launch))
    pipeline = Pipeline("v4l2src ! identity silent=false")
    with pytest.raises(InputError, match="failed: from element v4l2src0: The device is gone"):
        pipeline.read()
    pipeline.close()
