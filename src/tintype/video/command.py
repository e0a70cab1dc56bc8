"""Runs `tintype video` and tells of it."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from tintype.arguments import main_colors
from tintype.colorizer import Colorizer
from tintype.video.options import FilmOptions, FilmResult
from tintype.video.run import colorize_film, film_target, painting_threads
from tintype.video.work import is_begun
from tintype.words import count_of


def run_video(args: argparse.Namespace) -> int:
    """Colour the film that the arguments name; the exit status. Raises TintypeError."""
    options = FilmOptions(
        every=args.every,
        codec=args.codec,
        crf=args.crf,
        preset=args.preset,
        start=args.start,
        end=args.end,
        compare=args.compare,
        resume=args.resume,
        overwrite=args.overwrite,
        skip_colored=args.skip_colored,
    )
    args.threads = args.threads or painting_threads()
    colorizer = model_of(args)
    say = Say(args.quiet)
    if args.provider:
        say(f"The model {colorizer.card.name} runs on {colorizer.provider}.")
    target = None if args.output is None else Path(args.output)
    bar = _Bar(args.quiet)
    try:
        result = colorize_film(colorizer, Path(args.input), target, options, bar, say)
    except KeyboardInterrupt:
        bar.close()
        begun = is_begun(target or film_target(Path(args.input)))
        what = "the same command with --resume goes on" if begun else "too few to go on from were kept"
        say(f"Stopped after {count_of(bar.done, 'picture')}; {what}.")
        raise
    finally:
        bar.close()
    for note in result.notes:
        print(
            f"tintype: {result.source}: {note}" if not result.complete else f"{result.source}: {note}",
            file=sys.stderr,
        )
    say(_line(result))
    return 0 if result.complete else 1


def model_of(args: argparse.Namespace) -> Colorizer:
    """The Colorizer that the arguments of `add_model_arguments` ask for. Raises ModelError, SettingsError."""
    return Colorizer(
        args.model,
        strength=args.strength,
        vividness=args.vividness,
        colors=main_colors(args),
        size=args.size,
        threads=args.threads,
        provider=args.provider or "cpu",
    )


class Say:
    """Lines for the user on standard error, unless `quiet`."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet

    def __call__(self, text: str) -> None:
        if not self._quiet and sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)


class _Bar:
    """A bar with pictures a second and the time left, where there is someone to see it."""

    def __init__(self, quiet: bool) -> None:
        self._shown = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._bar: Any = None
        self.done = 0

    def __call__(self, done: int, total: int | None) -> None:
        if self._bar is None and self._shown:
            from tqdm import tqdm

            columns, lines = shutil.get_terminal_size()
            self._bar = tqdm(
                total=total,
                initial=done - 1,
                unit=" frames",
                file=sys.stderr,
                ncols=min(100, columns),
                nrows=lines,
            )
        if self._bar is not None:
            self._bar.update(done - (self.done or done - 1))
        self.done = done

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _line(result: FilmResult) -> str:
    if result.status == "skipped":
        return f"{result.source}: skipped, {result.reason}."
    fresh = result.frames - result.resumed
    rate = f"{fresh / result.seconds:.1f} frames/s" if result.seconds else ""
    size = f"{result.width} x {result.height}"
    told = f"{size}, {result.frames:,} frames, {result.seconds:.1f} s, {rate}"
    return f"{result.source} -> {result.target} ({told})"
