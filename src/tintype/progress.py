"""What the user is told of many pictures: lines, JSON, a progress bar and a summary."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any, TextIO

from tintype.results import FileResult
from tintype.words import count_of

EXISTS = "its result exists already; --overwrite does it again"


class Report(AbstractContextManager["Report"]):
    """Tells of results: failures always, the rest unless `quiet`, and of each as a JSON object if `as_json`.

    What people read goes to standard error and JSON to `stream`, so that standard output holds nothing else;
    where both are one stream it holds JSON alone. `single` means one named picture: no bar and no summary;
    a `total` of None that it is not known; `goes_on` that the same command does not begin anew.
    Set `stop` when the user interrupts. Not for use by several threads.
    """

    def __init__(
        self,
        total: int | None,
        stream: TextIO,
        *,
        quiet: bool = False,
        as_json: bool = False,
        single: bool = False,
        goes_on: bool = True,
    ) -> None:
        self.stop = threading.Event()
        self._total, self._stream, self._quiet, self._single = total, stream, quiet, single
        self._as_json, self._goes_on = as_json, goes_on
        self._given_up: str | None = None
        self._gave_up = False
        self._mute = as_json and stream is sys.stderr
        self._counts: Counter[str] = Counter()
        self._started = time.monotonic()
        self._bar: Any = None

    @property
    def status(self) -> int:
        """The exit status: 130 if the user stopped it, else 1 if any failed, else 0."""
        interrupted = self.stop.is_set() and not self._gave_up
        return 130 if interrupted else int(self._counts["failed"] > 0)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close_bar()
        if kind is None and not self._single:
            self.say(self._summary())

    def begin(self, count: int | None) -> None:
        """From here on `count` pictures, or an unknown number, are really worked on.

        Show a bar where there is someone to see it.
        """
        self._close_bar()
        if (
            (count is None or count > 1)
            and not self._quiet
            and sys.stderr is not None
            and sys.stderr.isatty()
        ):
            from tqdm import tqdm

            # tqdm's own measuring shows no bar on a terminal that does not know its size.
            columns, lines = shutil.get_terminal_size()
            self._bar = tqdm(
                total=count, unit=" pictures", file=sys.stderr, ncols=min(100, columns), nrows=lines
            )

    def give_up(self, reason: str) -> None:
        """Set `stop`, as after a failure that all further pictures would share, and tell why, once."""
        if self._given_up is None:
            self._given_up = reason
            self._gave_up = not self.stop.is_set()  # else the user stopped it first
            self.stop.set()
            self._print(f"tintype: {reason}", sys.stderr)

    def step(self) -> None:
        """One picture is behind us, of which there is nothing to tell or count."""
        if self._bar is not None:
            self._bar.update()

    def say(self, text: str) -> None:
        """A line for the user, unless `quiet`."""
        if not self._quiet:
            self._print(text, sys.stderr)

    def add(self, result: FileResult) -> None:
        """Count one result and tell of it."""
        self._counts[_kind(result)] += 1
        if result.status == "failed":
            self._print(f"tintype: {sentence(result)}", sys.stderr)
        elif not self._as_json:
            self._tell(result)
        if self._as_json:
            self._print(json_line(result), self._stream, is_json=True)
        if self._bar is not None:
            self._bar.update()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _tell(self, result: FileResult) -> None:
        source = "standard input" if result.source == "-" else result.source
        if self._single and result.status == "done":
            target = "standard output" if result.target == "-" else result.target
            self.say(f"{source} -> {target} ({result.width} x {result.height}, {result.seconds:.2f} s)")
        elif self._single:
            self.say(f"{source}: skipped, {result.reason}.")
        for note in result.notes:
            self.say(f"{source}: {note}")

    def _print(self, text: str, stream: TextIO | None, is_json: bool = False) -> None:
        if stream is None or (self._mute and not is_json):  # None where the user closed it
            return
        if self._bar is None:
            print(text, file=stream, flush=True)
        else:
            self._bar.write(text, file=stream)  # above the bar, not through it
            stream.flush()

    def _summary(self) -> str:
        count = self._counts
        parts = [f"{count['done']:,} done"]
        if count["exists"]:
            parts.append(f"{count['exists']:,} skipped (result exists; --overwrite does it again)")
        if count["colored"]:
            parts.append(f"{count['colored']:,} skipped (in colour already)")
        parts.append(f"{count['failed']:,} failed")
        text = f"{', '.join(parts)}; {_duration(time.monotonic() - self._started)}."
        if not self.stop.is_set():
            return text
        parts = (
            [f"{count_of(self._total - count.total(), 'picture')} not begun"]
            if self._total is not None
            else []
        )
        parts += [
            "the same command goes on from here" if self._goes_on else "with --overwrite it begins anew"
        ]
        left = "; ".join(parts)
        return f"Stopped: {text} {left[0].upper()}{left[1:]}."


def failed(source: str, reason: str, target: str | None = None) -> FileResult:
    """The result of a picture that failed."""
    return FileResult(source, target, "failed", reason)


def sentence(result: FileResult) -> str:
    """Why a result failed, as one sentence that names its source."""
    reason = result.reason or ""
    named = reason.startswith((f"{result.source}:", f"{result.source} "))
    text = reason if named else f"{result.source}: {reason}"
    return text if text.endswith(".") else f"{text}."


def json_line(result: FileResult) -> str:
    """A result as one JSON object; what is unknown because the picture was never opened is null."""
    values = asdict(result)
    if not result.width:
        values.update(width=None, height=None, pages=None, model=None)
    return json.dumps(values)


def _kind(result: FileResult) -> str:
    if result.status == "skipped":
        return "exists" if result.reason == EXISTS else "colored"
    return result.status


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{seconds:.1f} s" if seconds < 60 else f"{hours}:{minutes:02}:{rest:02}"
