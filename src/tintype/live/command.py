"""Runs `tintype live`: takes the newest picture, colours it, shows it, hears keys."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tintype.cards import list_models
from tintype.colorizer import Colorizer
from tintype.errors import InputError, OutputError, SettingsError
from tintype.live.arguments import PORT
from tintype.live.picture import LivePainter, Screen
from tintype.live.record import Recorder
from tintype.live.sources import Newest, open_source
from tintype.live.views import View, open_view
from tintype.live.web import WebView
from tintype.plan import is_there
from tintype.video.command import Say, model_of
from tintype.whole import whole_file

_WAIT = 0.05  # seconds between looking for keys while no picture comes


@dataclass
class Summary:
    """What happened from the first picture to the last."""

    shown: int = 0
    dropped: int = 0
    """Pictures that came and were not shown, because newer ones had come."""
    seconds: float = 0.0
    worst_latency: float = 0.0

    def sentence(self) -> str:
        """All of it, for the user."""
        rate = (self.shown - 1) / self.seconds if self.seconds else 0.0
        return (
            f"{self.shown:,} pictures shown ({rate:.1f} frames/s), {self.dropped:,} passed over for newer "
            f"ones; latency at most {1000 * self.worst_latency:.0f} ms."
        )


def run_live(args: argparse.Namespace) -> int:
    """Show the source that the arguments name; the exit status. Raises TintypeError."""
    _check_use(args)
    colorizer = model_of(args)
    say = Say(args.quiet)
    say(f"The model {colorizer.card.name} runs on {colorizer.provider}.")
    if args.record and _is_same_file(args.record, args.source):
        raise OutputError(f"--record {args.record} would replace the film itself; name another output.")
    recorder = Recorder(Path(args.record), overwrite=args.overwrite) if args.record else None
    with ExitStack() as stack:
        view = open_view(args.view, PORT if args.port is None else args.port)
        stack.callback(view.close)
        if isinstance(view, WebView):
            say(f"Open {view.address} in a browser; Ctrl-C ends.")
        newest = Newest(open_source(args.source))
        stack.callback(newest.close)
        if recorder is not None:
            stack.callback(recorder.close)
        painter, screen = LivePainter(colorizer, args.every), Screen(args.show, loss=args.loss)
        live = Live(newest, view, painter, screen, recorder, say)
        try:
            live.run(args.frames)
        finally:
            if live.summary.shown:
                say(live.summary.sentence())
        if not live.summary.shown and newest.ended:
            raise InputError(f"{args.source} ended before a picture came.")
    return 0


def _check_use(args: argparse.Namespace) -> None:
    """SettingsError for an argument that would do nothing beside the others."""
    if args.overwrite and not args.record:
        raise SettingsError("--overwrite is for a recording; name its file with --record, or leave it out.")
    if args.port is not None and args.view != "web":
        raise SettingsError(f"--port is for --view web, not for --view {args.view}; leave one of them out.")


def _is_same_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:  # a camera or address, or nothing is there yet
        return False


class Live:
    """The loop from source to view. `say` is told what the user should know meanwhile."""

    def __init__(
        self,
        newest: Newest,
        view: View,
        painter: LivePainter,
        screen: Screen,
        recorder: Recorder | None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._newest, self._view, self._painter, self._screen = newest, view, painter, screen
        self._recorder, self._say = recorder, say
        self._wished = painter.colorizer
        self._frozen = self._over = False
        self._colored: NDArray[np.uint8] | None = None
        self._began = self._first_came = 0.0
        self.summary = Summary()
        self.stills: list[Path] = []

    def run(self, frames: int | None = None) -> None:
        """Until the source ends, a key ends it, or so many pictures were shown."""
        last = -1
        while not self._newest.ended and self.summary.shown != frames:
            for key in self._view.pressed():
                self._press(key)
            if self._over:
                return
            if self._frozen:
                time.sleep(_WAIT)
                continue
            shot = self._newest.take(_WAIT)
            if shot is None:
                continue
            luma, self._colored, ab = self._painter(shot.rgb)
            model = self._painter.colorizer.card.name
            whole = self._screen.compose(shot, luma, self._colored, ab, model)
            self._view.show(whole)
            now = time.monotonic()
            summary = self.summary
            self._began = self._began or now
            summary.seconds = now - self._began
            summary.shown += 1
            summary.dropped += shot.number - last - 1
            if summary.shown > 1:  # the first picture waits for the model to warm up
                summary.worst_latency = max(summary.worst_latency, now - shot.came)
            last = shot.number
            if self._recorder is not None:
                self._first_came = shot.came if summary.shown == 1 else self._first_came
                self._recorder.write(whole, shot.came - self._first_came)

    def _press(self, key: str) -> None:
        if key in ("escape", "q"):
            self._over = True
        elif key == "space":
            self._frozen = not self._frozen
        elif key == "s" and self._colored is not None:
            self._save_still(self._colored)
        elif key == "m":
            colorizer, left_out = _next_model(self._painter.colorizer, self._wished)
            self._painter.take(colorizer)
            if left_out and self._say is not None:
                without = " and no ".join(left_out)
                self._say(f"The model {colorizer.card.name} takes no {without}, which is left out meanwhile.")

    def _save_still(self, picture: NDArray[np.uint8]) -> None:
        """In the current folder; where that cannot be, it is told, and the view and the recording go on."""
        try:
            self.stills.append(save_still(picture, Path()))
        except OutputError as error:
            print(f"tintype: {error}", file=sys.stderr)


def save_still(picture: NDArray[np.uint8], folder: Path) -> Path:
    """Write RGB (H, W, 3) as a PNG with the time as its name; never over another. Returns its path.

    Raises OutputError.
    """
    from PIL import Image

    stem = time.strftime("tintype-%Y%m%d-%H%M%S")
    paths = (folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png") for number in count(1))
    path = next(path for path in paths if not is_there(str(path)))
    with whole_file(path, replace=False) as file:
        Image.fromarray(picture).save(file, "png")
    return path


def _next_model(current: Colorizer, wished: Colorizer) -> tuple[Colorizer, list[str]]:
    """The model after this one among those that are installed and the first one, with settings of `wished`.

    With it, in words, what it cannot be told of them. A size that is the card's own is not taken for a wish.
    """
    installed = list_models()
    own = [] if wished.card.path in [card.path for card in installed] else [wished.card]
    cards = own + installed
    here = [card.path for card in cards].index(current.card.path)
    card = cards[(here + 1) % len(cards)]
    left_out = []
    vividness, colors = wished.vividness, wished.colors
    if vividness != 1 and "vividness" not in card.inputs:
        left_out.append("vividness")
        vividness = 1.0
    if colors and "dominant_colors" not in card.inputs:
        left_out.append("main colours")
        colors = ()
    size = None if wished.size == wished.card.size else wished.size
    colorizer = Colorizer(
        card.path, strength=wished.strength, vividness=vividness, colors=colors, size=size,
        threads=wished.threads, provider=wished.provider,
    )  # fmt: skip
    return colorizer, left_out
