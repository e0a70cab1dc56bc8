"""The window, and `tintype live` as a user meets it."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from fractions import Fraction

import av
import pytest
from live_helpers import film, numbered

from tintype import cli
from tintype.live import command, views
from tintype.live.arguments import add_live_arguments

needs_display = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs a screen: apt install xvfb xdotool"
)


def test_a_window_shows_and_hears(monkeypatch):
    import pygame

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
