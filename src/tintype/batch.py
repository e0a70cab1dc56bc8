"""Many pictures: worker threads that share one Colorizer, resuming, failures one by one, an orderly stop."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tintype.colorizer import Colorizer
from tintype.errors import OutputError, OutputExistsError
from tintype.failures import words_for
from tintype.hints import Hint
from tintype.images import Limits
from tintype.plan import Job, Plan, is_there
from tintype.predict import check_weighs_bins
from tintype.progress import EXISTS, Report, failed
from tintype.results import FileResult, versions_of
from tintype.running import orderly_stop, processors, run_jobs
from tintype.whole import remove_last_parts, remove_own_parts, whole_file
from tintype.words import count_of, is_full

_WITHOUT_ROOM = 8  # results in a row for which there is no room, after which no smaller ones are hoped for
_MOST_WORKERS = 4  # unless told: more gain little, as the network uses all processors, and cost memory


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to colour, and how to tell of it."""

    model: str = "tint"
    strength: float = 1.0
    vividness: float = 1.0
    colors: tuple[str, ...] = ()
    hints: tuple[Hint, ...] = ()
    """Colours by hand, for a single picture."""
    candidates: int = 0
    """Versions to write of each picture; 0 for the one result."""
    confidence: str | None = None
    """Where to draw how sure the model is of a single picture's colours."""
    size: int | Literal["auto"] | None = None
    threads: int | None = None
    """Processor threads of one picture; onnxruntime's choice by default."""
    provider: str | None = None
    """What onnxruntime computes with, which is told where it is named; the processor by default."""
    max_pixels: int | None = None
    """Pixels beyond which a picture is refused; the limits of `tintype.Limits` by default."""
    workers: int | None = None
    """Pictures in hand at once; as many as there are processors, up to 4, by default."""
    overwrite: bool = False
    skip_colored: bool = False
    provenance: bool = True
    """Say in each result's XMP that its colours are computed, and by which model."""
    quiet: bool = False
    """Tell of failures alone."""
    json: bool = False
    """Print one JSON object a picture."""

    def colorizer(self) -> Colorizer:
        """The Colorizer asked for. Raises ModelError or SettingsError."""
        limits = Limits(self.max_pixels, self.max_pixels) if self.max_pixels else None
        return Colorizer(
            self.model,
            strength=self.strength,
            vividness=self.vividness,
            colors=self.colors,
            hints=self.hints,
            size=self.size,
            threads=self.threads,
            provider=self.provider or "cpu",
            limits=limits,
            provenance=self.provenance,
        )


def run_plan(plan: Plan, options: Options) -> int:
    """Colour the pictures of a plan and tell of each; the exit status: 0, or 1 if any failed, or 130.

    On the first Ctrl-C the pictures in hand are finished and no more begun; a second one stops at once. Where
    there is a single picture the first one does, and KeyboardInterrupt is raised. No part of a file stays
    behind. Raises ModelError or SettingsError for a Colorizer that cannot be had, before any is begun.
    """
    total = len(plan.jobs) + len(plan.failures)
    with Report(
        total,
        sys.stdout,
        quiet=options.quiet,
        as_json=options.json,
        single=plan.single,
        goes_on=not options.overwrite,
    ) as report:
        for note in plan.notes:
            report.say(note)
        for name, reason in plan.failures:
            report.add(failed(name, reason))
        jobs = [
            job for job in plan.jobs if options.overwrite or not _exists(job, options, report, plan.single)
        ]
        if jobs:
            colorizer = options.colorizer()
            _check_tells(colorizer, options)
            _tell_provider(colorizer, options, report)
            work = Worker(colorizer, options, plan.single)
            report.begin(len(jobs))
            if len(jobs) == 1:
                report.add(work.at_once(jobs[0]))
            else:
                _run_many(jobs, work, options.workers or min(_MOST_WORKERS, processors()), report)
    return report.status


def run_stream(source: str, output: str, options: Options) -> int:
    """Colour one picture from `source` to `output`, each a file or "-" for standard input and output.

    The exit status: 0, or 1 if it failed. Where standard output carries the picture all that is told goes to
    standard error. Raises ModelError or SettingsError for a Colorizer that cannot be had.
    """
    told = sys.stderr if output == "-" else sys.stdout
    name = "standard input" if source == "-" else source
    with Report(1, told, quiet=options.quiet, as_json=options.json, single=True) as report:
        if output != "-" and is_there(output) and not options.overwrite:
            report.add(failed(name, f"{output} exists already; --overwrite replaces it", output))
        else:
            colorizer = options.colorizer()
            _tell_provider(colorizer, options, report)
            report.add(_attempt(lambda: _stream(colorizer, source, output, options), name))
    return report.status


def _check_tells(colorizer: Colorizer, options: Options) -> None:
    """SettingsError where the model cannot tell what is asked for beside its colours."""
    for asked, what in ((options.candidates, "several versions"), (options.confidence, "how sure it is")):
        if asked:
            check_weighs_bins(colorizer.card, what)


def _tell_provider(colorizer: Colorizer, options: Options, report: Report) -> None:
    if options.provider is not None:
        report.say(f"The model {colorizer.card.name} runs on {colorizer.provider}.")


class Worker:
    """Colours one job at a time for each thread that calls it."""

    def __init__(self, colorizer: Colorizer, options: Options, single: bool) -> None:
        """Of a `single` picture, one that was named, it is an error that its result is there."""
        self._colorizer, self._options, self._single = colorizer, options, single
        self.without_room: set[str] = set()
        """Sources for whose results a disk had no room."""

    def __call__(self, job: Job) -> FileResult:
        """Never raises for a picture that fails: that is a result with status `failed`."""
        return _attempt(lambda: self._tried(job), job.source)

    def at_once(self, job: Job) -> FileResult:
        """In this thread, so that Ctrl-C (KeyboardInterrupt) need not wait for the picture."""
        try:
            return self(job)
        except KeyboardInterrupt:
            remove_own_parts()
            raise

    def _tried(self, job: Job) -> FileResult:
        try:
            return self._colorize(job)
        except (OSError, OutputError) as error:
            if is_full(error) or is_full(error.__cause__):
                self.without_room.add(job.source)
            raise

    def _colorize(self, job: Job) -> FileResult:
        target = Path(job.target)
        target.parent.mkdir(parents=True, exist_ok=True)
        options = self._options
        try:
            result = self._colorizer.colorize_file(
                Path(job.source),
                target,
                overwrite=options.overwrite,
                skip_colored=options.skip_colored,
                candidates=options.candidates,
            )
        except OutputExistsError:  # another process was faster than this one
            if self._single:
                raise
            return FileResult(job.source, job.target, "skipped", EXISTS)
        if options.candidates and result.status == "done":
            last = versions_of(target, options.candidates)[-1].name
            result.notes.append(f"There are {count_of(options.candidates, 'version')}, up to {last}.")
        if options.confidence is not None:
            chart = Path(options.confidence)
            chart.parent.mkdir(parents=True, exist_ok=True)
            self._colorizer.confidence_file(Path(job.source), chart, overwrite=options.overwrite)
        return result


def _run_many(jobs: Sequence[Job], work: Worker, workers: int, report: Report) -> None:
    results = run_jobs(jobs, work, min(workers, len(jobs)), report.stop)
    # Closed also if telling fails (`| head`), which waits for the pictures in hand.
    with orderly_stop(report.stop, remove_last_parts), closing(results):
        in_a_row = 0
        for result in results:
            report.add(result)
            in_a_row = in_a_row + 1 if result.source in work.without_room else 0
            if in_a_row == _WITHOUT_ROOM:
                report.give_up(f"The disk is full: there was no room for {in_a_row} results in a row.")


def _stream(colorizer: Colorizer, source: str, output: str, options: Options) -> FileResult:
    data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    suffix = None if output == "-" else Path(output).suffix
    data, result = colorizer.colorize_bytes(data, skip_colored=options.skip_colored, format=suffix)
    result.source, result.target = source, output
    if output == "-":
        # Past Python's buffer, which would try once more at exit if this fails.
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(sys.stdout.fileno(), rest) :]
    elif result.status == "done":
        target = Path(output)
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target, replace=options.overwrite) as file:
            file.write(data)
    else:
        result.target = None
    return result


def _attempt(action: Callable[[], FileResult], source: str) -> FileResult:
    """The action's result; or, whatever it raised, a failed one with the reason in words."""
    try:
        return action()
    except BrokenPipeError:
        raise  # nobody reads standard output any more: no fault of the picture's
    except Exception as error:  # one picture must not end a night's run; the place is told instead
        return failed(source, words_for(error))


def _exists(job: Job, options: Options, report: Report, single: bool) -> bool:
    """Whether a result of the job is there, which is told: done before, or an error if one file was named."""
    places = [str(path) for path in versions_of(Path(job.target), options.candidates)]
    if single and options.confidence is not None:
        places.append(options.confidence)
    there = next(filter(is_there, places), None)  # of versions some may have been thrown away on purpose
    if there is None:
        return False
    if single:
        report.add(failed(job.source, f"{there} exists already; --overwrite replaces it", there))
    else:
        report.add(FileResult(job.source, there, "skipped", EXISTS))
    return True
