"""The newest picture is coloured and shown; what cannot be is said in one sentence."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from fractions import Fraction
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image
from skimage import data

av = pytest.importorskip("av", reason="cameras need the extra `live`")

from tintype import Colorizer, Hint, cards, cli  # noqa: E402
from tintype.errors import InputError, OutputError, OutputExistsError, SettingsError, TintypeError  # noqa: E402
from tintype.live import command, sources, views  # noqa: E402
from tintype.live.arguments import add_live_arguments  # noqa: E402
from tintype.live.picture import LivePainter, Screen, loss_of  # noqa: E402
from tintype.live.record import Recorder  # noqa: E402
from tintype.live.sources import Newest, Shot, open_source  # noqa: E402
from tintype.live.web import WebView  # noqa: E402
from tintype.video.film import Film  # noqa: E402

needs_gstreamer = pytest.mark.skipif(
    shutil.which("gst-launch-1.0") is None,
    reason="needs GStreamer: apt install gstreamer1.0-tools gstreamer1.0-plugins-base",
)
needs_display = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs a screen: apt install xvfb xdotool"
)


def numbered(count, height=48, width=64):
    """Pictures whose grey says their number."""
    return [np.full((height, width, 3), 5 * i % 256, np.uint8) for i in range(count)]


class Pictures:
    """A source of given pictures, as fast as they are taken, then of what `ending` raises."""

    def __init__(self, pictures, ending=None, pause=0.0):
        self.pictures, self.ending, self.pause = iter(pictures), ending, pause
        self.closed = False

    def read(self):
        time.sleep(self.pause)
        picture = next(self.pictures, None)
        if picture is None and self.ending:
            raise self.ending
        return picture

    def stop(self):
        pass

    def close(self):
        self.closed = True


class Keyboard(views.Nowhere):
    """Shows to a list, and presses given keys after so many pictures."""

    def __init__(self, keys=None):
        self.shown, self.presses = [], dict(keys or {})

    def show(self, picture):
        self.shown.append(picture)

    def pressed(self):
        return self.presses.pop(len(self.shown), [])


@pytest.fixture
def painter(tiny_model):
    return LivePainter(Colorizer(tiny_model, threads=1), every=4)


def live(
    painter,
    pictures,
    view=None,
    recorder=None,
    panels=("original", "grey", "color"),
    loss=False,
    say=None,
    **source,
):
    newest = Newest(Pictures(pictures, **source))
    view = view or Keyboard()
    loop = command.Live(newest, view, painter, Screen(panels, loss=loss), recorder, say)
    try:
        loop.run()
    finally:
        newest.close()
    return loop, view


# --- the newest picture


def test_the_newest_picture_wins():
    newest = Newest(Pictures(numbered(40)))
    while not newest._ended:
        time.sleep(0.01)
    shot = newest.take(1)
    assert (shot.number, shot.rgb[0, 0, 0]) == (39, 195)
    assert newest.take(0) is None
    assert newest.ended
    newest.close()
    assert newest._source.closed


def test_what_the_source_raises_comes_after_its_last_picture():
    newest = Newest(Pictures(numbered(3), ending=InputError("The camera 0 has stopped.")))
    while not newest._ended:
        time.sleep(0.01)
    assert newest.take(1).number == 2
    with pytest.raises(InputError, match="has stopped"):
        newest.take(1)
    newest.close()


def test_what_the_source_raises_while_a_picture_is_painted_is_raised(painter):
    class Slow(Keyboard):
        def show(self, picture):
            super().show(picture)
            time.sleep(0.2)

    view = Slow()
    with pytest.raises(InputError, match="has stopped"):
        live(painter, numbered(3), view=view, ending=InputError("The camera 0 has stopped."))
    assert view.shown


def test_pictures_that_nobody_waits_for_are_counted_as_passed_over(painter):
    loop, view = live(painter, numbered(50), pause=0.001)
    summary = loop.summary
    assert summary.shown == len(view.shown) >= 1
    assert summary.shown + summary.dropped == 50
    assert f"{summary.shown} pictures shown" in summary.sentence()


# --- what is shown


def test_panels_are_original_grey_and_colour_with_the_same_luma(painter):
    rgb = data.astronaut()[:240, 100:420]
    luma, colored, ab = painter(rgb)
    shot = Shot(rgb, 0, time.monotonic())
    whole = Screen(("original", "grey", "color"), loss=False).compose(shot, luma, colored, ab, "tiny")
    assert whole.shape == (240, 960, 3)
    below = np.s_[40:]  # the numbers are written above
    assert (whole[below, :320] == rgb[below]).all()
    assert (whole[below, 320:640] == luma[below, :, None]).all()
    assert (whole[below, 640:] == colored[below]).all()
    assert (whole[:20, :160] != rgb[:20, :160]).any()
    new_luma = cv2.cvtColor(colored, cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(new_luma - luma).max() <= 1
    assert np.ptp(colored.astype(int) - luma[..., None], axis=-1).max() > 10


def test_the_loss_is_plotted(painter):
    rgb = data.astronaut()[:240, 100:420]
    luma, colored, ab = painter(rgb)
    screen = Screen(("color",), loss=True)
    for _ in range(5):
        whole = screen.compose(Shot(rgb, 0, time.monotonic()), luma, colored, ab, "tiny")
    assert whole.shape == (240, 640, 3)
    orange = (whole[:, 320:, 0] > 200) & (whole[:, 320:, 2] < 100)
    assert orange.any()
    assert not orange[:50].any()
    assert loss_of(ab, colored) < 0.6 * loss_of(ab, rgb)  # nearer to its own, clipped


def test_odd_sizes_are_made_even(painter):
    rgb = np.zeros((51, 67, 3), np.uint8)
    whole = Screen(("color",), loss=False).compose(Shot(rgb, 0, 0.0), *painter(rgb), "tiny")
    assert whole.shape == (50, 66, 3)


# --- keys


def test_keys(painter, tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keyboard = Keyboard({1: ["s"], 2: ["m"], 3: ["q"]})
    loop, view = live(painter, cycle(numbered(9)), view=keyboard)
    assert len(view.shown) == 3
    assert [path.resolve().parent for path in loop.stills] == [tmp_path]
    assert loop.stills[0].read_bytes().startswith(b"\x89PNG")
    assert painter.colorizer.card.name != "tiny"  # a model that is installed


def test_the_next_model_has_the_same_settings_or_that_is_said(
    telling_model, tiny_model, tmp_path, monkeypatch
):
    for model in (telling_model, tiny_model):  # the second takes no vividness
        for suffix in (".onnx", ".toml"):
            shutil.copy(model.with_suffix(suffix), tmp_path)
    monkeypatch.setattr(cards, "MODELS_DIR", tmp_path)
    wished = Colorizer(telling_model, threads=1, strength=0.5, vividness=1.5, size=96)
    painter, told, seen = LivePainter(wished, every=4), [], []
    take = painter.take

    def watched(colorizer):
        seen.append((colorizer.card.name, colorizer.strength, colorizer.vividness, colorizer.size))
        take(colorizer)

    monkeypatch.setattr(painter, "take", watched)
    keyboard = Keyboard({1: ["m"], 2: ["m"], 3: ["q"]})
    live(painter, cycle(numbered(9)), view=keyboard, say=told.append)
    settings = {"telling": ("telling", 0.5, 1.5, 96), "tiny": ("tiny", 0.5, 1.0, 96)}
    assert sorted(seen) == sorted(settings.values())
    assert told == ["The model tiny takes no vividness, which is left out meanwhile."]


def test_main_colours_that_the_next_model_takes_are_passed_on(monkeypatch):
    made = {}
    first = Colorizer("tint", threads=1)
    taking = dataclasses.replace(first.card, inputs={"dominant_colors": {}, "vividness": {}})
    first._proposer.colors = ("#c04020",)
    monkeypatch.setattr(command, "Colorizer", lambda model, **settings: made.update(settings) or first)
    monkeypatch.setattr(command, "list_models", lambda: [taking])
    assert command._next_model(first, first) == (first, [])
    assert made["colors"] == ("#c04020",)
    assert made["size"] is None  # the card's own is no wish


def test_the_models_come_round_to_ones_own(tiny_model):
    own = current = Colorizer(tiny_model, threads=1)
    seen = []
    for _ in range(len(cards.list_models()) + 1):
        current, _ = command._next_model(current, own)
        seen.append(current.card.name)
    assert seen == [*(card.name for card in cards.list_models()), "tiny"]


def test_space_freezes(painter):
    class Impatient(Keyboard):
        calls = 0

        def pressed(self):
            self.calls += 1
            return {3: ["space"], 8: ["space"], 12: ["escape"]}.get(self.calls, [])

    _, view = live(painter, cycle(numbered(9)), view=Impatient())
    assert len(view.shown) < 8


def test_stills_never_replace_one_another(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda _: "tintype-now")
    paths = [command.save_still(np.zeros((4, 4, 3), np.uint8), tmp_path) for _ in range(3)]
    assert [p.name for p in paths] == ["tintype-now.png", "tintype-now-2.png", "tintype-now-3.png"]


def test_a_still_that_cannot_be_written_is_told_and_the_view_goes_on(painter, tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()  # in which root, too, can write nothing
    loop, view = live(painter, cycle(numbered(9)), view=Keyboard({1: ["s"], 3: ["q"]}))
    assert len(view.shown) == 3
    assert loop.stills == []
    assert "tintype: Cannot write tintype-2" in capsys.readouterr().err


def test_a_still_is_whole_or_absent(tmp_path, monkeypatch):
    def half(self, file, kind):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(OutputError, match=r"Cannot write .*\.png: No space left on device"):
        command.save_still(np.zeros((4, 4, 3), np.uint8), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_hints_are_refused(telling_model, painter):
    hinted = Colorizer(telling_model, hints=[Hint(x=5, y=5, color="#c04020")], threads=1)
    with pytest.raises(SettingsError, match="moving pictures take none: make the Colorizer without hints"):
        LivePainter(hinted, every=4)
    with pytest.raises(SettingsError, match="Hints belong to one picture"):
        painter.take(hinted)


# --- recording


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


# --- sources


def film(path, count=8, rate=50):
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=rate)
        stream.width, stream.height = 64, 48
        for rgb in numbered(count):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        output.mux(stream.encode(None))
    return str(path)


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


# --- the browser


@pytest.fixture
def web():
    view = WebView(0)
    yield view
    view.close()


def request(view, path, method="GET", **headers):
    asked = urllib.request.Request(view.address + path, method=method, headers=headers)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return answer.status, answer.read()


def test_the_browser_gets_the_newest_picture(web):
    assert web.address.startswith("http://127.0.0.1:")
    assert b"/stream" in request(web, "")[1]
    for rgb in numbered(5):
        web.show(rgb)
    with urllib.request.urlopen(web.address + "stream", timeout=10) as answer:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += answer.read(1)
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        picture = simplejpeg.decode_jpeg(answer.read(length))
        assert abs(int(picture[24, 32, 0]) - 20) <= 2


def test_keys_come_from_the_page_alone(web):
    assert request(web, "key/s", "POST", **{"X-Tintype": "1"})[0] == 204
    assert web.pressed() == ["s"]
    assert web.pressed() == []
    for path, headers in (
        ("key/q", {}),  # another site's form
        ("key/q", {"X-Tintype": "1", "Host": "evil.example"}),
        ("key/rm", {"X-Tintype": "1"}),
    ):
        with pytest.raises(urllib.error.HTTPError):
            request(web, path, "POST", **headers)
    assert web.pressed() == []


def test_a_browser_that_waits_is_let_go_at_the_end():
    view = WebView(0)
    view.show(numbered(1)[0])
    done = threading.Event()

    def look():
        with urllib.request.urlopen(view.address + "stream", timeout=10) as answer:
            answer.read()
        done.set()

    thread = threading.Thread(target=look)
    thread.start()
    time.sleep(0.2)
    view.close()
    assert done.wait(10)
    thread.join()


def test_a_browser_that_hangs_up_is_no_fault(web, capsys):
    port = int(web.address.rsplit(":", 1)[1].strip("/"))
    web.show(numbered(1)[0])
    for text in (b"", b"GET / HTTP/1.1\r\n", b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port)) as browser:
            browser.sendall(text)
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # by a reset
    assert b"/stream" in request(web, "")[1]
    web.close()
    time.sleep(0.2)
    assert capsys.readouterr() == ("", "")


def test_a_port_that_is_taken(web):
    with pytest.raises(TintypeError, match=r"Port .* cannot be used .* --port names another"):
        WebView(int(web.address.rsplit(":", 1)[1].strip("/")))


# --- the window and the command


def test_a_window_shows_and_hears(monkeypatch):
    pygame = pytest.importorskip("pygame", reason="the window needs the extra `live`")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = views.open_view("window", 0)
    try:
        assert window.pressed() == []
        rgb = numbered(8)[7]
        window.show(rgb)
        assert pygame.surfarray.array3d(window._screen).mean() == pytest.approx(35, abs=1)
        for key in (pygame.K_s, pygame.K_m, pygame.K_SPACE, pygame.K_x, pygame.K_ESCAPE):
            pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))
        pygame.event.post(pygame.event.Event(pygame.QUIT))
        assert window.pressed() == ["s", "m", "space", "escape", "escape"]
    finally:
        window.close()


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tintype", "live", *map(str, arguments)], capture_output=True, text=True,
        check=False, timeout=120, env=os.environ | environment,
    )  # fmt: skip


def without_screen():
    return {"DISPLAY": "", "WAYLAND_DISPLAY": "", "XDG_RUNTIME_DIR": "/nowhere"}


def test_without_a_screen_the_remedy_is_told(tmp_path, tiny_model):
    pytest.importorskip("pygame", reason="the window needs the extra `live`")
    done = run("--source", film(tmp_path / "a.mkv"), "--model", tiny_model, **without_screen())
    assert done.returncode == 1
    assert "There is no screen for a window; --view web" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_colours_a_film_and_records_it(tmp_path, tiny_model):
    target = tmp_path / "out.mkv"
    done = run(
        "--source", film(tmp_path / "a.mkv", 30), "--view", "none", "--record", target,
        "--show", "grey,color", "--loss", "--model", tiny_model,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "The model tiny runs on cpu." in done.stderr
    assert "pictures shown" in done.stderr
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
        assert (frame.width, frame.height) == (192, 48)
        assert container.streams.video[0].time_base <= Fraction(1, 1000)
    assert run("--view", "none", "--source", "x", "--record", target, "--model", tiny_model).returncode == 1
    wrong = run("--show", "sepia")
    assert wrong.returncode == 2
    assert "original, grey, color" in wrong.stderr


@needs_display
def test_a_window_on_a_screen(tmp_path, tiny_model):
    pytest.importorskip("pygame", reason="the window needs the extra `live`")
    number = 90 + os.getpid() % 100
    screen = {"DISPLAY": f":{number}"}
    with subprocess.Popen(
        ["Xvfb", f":{number}", "-screen", "0", "800x600x24"], stderr=subprocess.DEVNULL
    ) as server:
        try:
            for _ in range(100):
                if os.path.exists(f"/tmp/.X11-unix/X{number}"):  # noqa: PTH110
                    break
                time.sleep(0.1)
            source = film(tmp_path / "a.mkv", 3000)
            line = [sys.executable, "-m", "tintype", "live", "--source", source, "--model", str(tiny_model)]
            with subprocess.Popen(line, env=os.environ | screen, stderr=subprocess.PIPE, text=True) as shown:
                for _ in range(200):
                    subprocess.run(
                        ["xdotool", "key", "q"], env=os.environ | screen, check=False, capture_output=True
                    )
                    if shown.poll() is not None:
                        break
                    time.sleep(0.2)
                told = shown.stderr.read()
            assert shown.returncode == 0, told
            assert "pictures shown" in told
        finally:
            server.terminate()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--view", "none", "--overwrite"], "--overwrite is for a recording; name its file with --record"),
        (["--view", "none", "--port", "9"], "--port is for --view web, not for --view none"),
        (["--port", "8765"], "--port is for --view web, not for --view window"),
    ],
)
def test_arguments_that_would_do_nothing_are_refused(tmp_path, tiny_model, capsys, arguments, message):
    line = ["live", "--source", film(tmp_path / "a.mkv"), "--model", str(tiny_model), *arguments]
    assert cli.main(line) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("given", "wanted"), [([], 8765), (["--port", "0"], 0)])
def test_the_web_view_has_a_port_of_its_own_unless_one_is_given(
    tmp_path, tiny_model, monkeypatch, given, wanted
):
    opened = []
    monkeypatch.setattr(command, "open_view", lambda *view: opened.append(view) or views.Nowhere())
    line = ["live", "--source", film(tmp_path / "a.mkv"), "--model", str(tiny_model), "--view", "web"]
    assert cli.main([*line, *given]) == 0
    assert opened == [("web", wanted)]


def test_the_arguments_have_defaults_that_a_newcomer_wants():
    parser = argparse.ArgumentParser()
    add_live_arguments(parser)
    args = parser.parse_args([])
    assert (args.source, args.view, args.show) == ("0", "window", ("original", "grey", "color"))
