"""The arguments of `tintype colorize`, and what runs it. What is heavy is imported inside the functions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tintype.arguments import add_model_arguments, add_provenance_argument, count, main_colors
from tintype.errors import SettingsError

if TYPE_CHECKING:
    from tintype.batch import Options
    from tintype.plan import Job

COLORIZE_EXAMPLES = """\
where results go:
  Without -o each result lies beside its picture as NAME.color.EXT. With a folder as OUT a folder's tree is
  kept; OUT is made if it is missing. With one picture OUT may be a file, whose suffix sets the format.
  A result that exists is never replaced without --overwrite: with several pictures it is skipped, so the same
  command goes on with a run that was stopped; with one picture it is an error. With --candidates N each
  place gets N results, NAME.color-1.EXT and on, the first the usual one.

hints, in a JSON file:
  {"units": "pixels", "orientation": "upright",
   "points": [{"x": 120, "y": 80, "color": "#c04020", "radius": 6}]}
  x from the left and y from the top, in pixels or "fractions" of the picture as it is seen ("upright") or as
  its file holds it ("stored"). Units, orientation and radius may be left out.

examples:
  tintype colorize portrait.jpg                   writes portrait.color.jpg
  tintype colorize portrait.jpg -o portrait.png   writes a PNG
  tintype colorize album -o colored --recursive   a folder and all below it
  tintype colorize "scans/*.tif" --strength 0.7   paler colours
  tintype colorize street.jpg --candidates 4      four versions to choose from
  tintype colorize coat.jpg --hints coat.json     a coat in a colour that is known
  tintype colorize - < in.jpg > out.jpg           standard input to standard output

exit status: 0 all done or skipped, 1 some failed, 2 wrong usage, 130 stopped by Ctrl-C.
"""


def add_colorize_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tintype colorize` takes."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="a picture, a folder, a glob, or - for standard input")
    add("-o", "--output", metavar="OUT", help="a file or folder for the result, or - for standard output")
    add_model_arguments(parser, auto_size=True)
    add("--hints", metavar="FILE.json", help="colours of points of one picture, see below")
    versions = "write N plausible versions to choose from (at most 16)"
    add("--candidates", type=count, metavar="N", help=versions)
    sure = "draw how sure the model is of one picture's colours"
    add("--confidence", metavar="OUT.png", help=sure)
    more = "refuse pictures of more (default: 250 million, JPEG 2000 less; striped or tiled TIFF 1.2 billion)"
    add("--max-pixels", type=count, metavar="N", help=more)
    add("--recursive", action="store_true", help="take the folders inside a folder too")
    add("--overwrite", action="store_true", help="replace results that exist")
    add_provenance_argument(parser)
    add("--skip-colored", action="store_true", help="leave alone what is in colour already")
    add("--workers", type=count, metavar="N", help="pictures in hand at once (default: up to 4)")
    add("--quiet", action="store_true", help="tell of failures alone")
    add("--json", action="store_true", help="print one JSON object a picture, as each is finished")


def run_colorize(args: argparse.Namespace) -> int:
    """Colour what the arguments name; the exit status."""
    _check_streams(args)
    from tintype.batch import run_plan, run_stream
    from tintype.plan import check_file_name, make_plan

    options = _options(args)
    if "-" in (args.inputs[0], args.output):
        if args.output not in (None, "-"):
            check_file_name(args.output)
        return run_stream(args.inputs[0], args.output or "-", options)
    plan = make_plan(args.inputs, args.output, recursive=args.recursive, candidates=options.candidates)
    if not plan.single:
        for name in ("hints", "confidence"):
            if getattr(args, name) is not None:
                raise SettingsError(f"--{name} is for one picture; name that alone.")
    if options.confidence is not None:
        _check_chart(options.confidence, plan.jobs, options.candidates)
    return run_plan(plan, options)


def _check_chart(chart: str, jobs: Iterable[Job], candidates: int) -> None:
    """SettingsError where the chart would take the place of a picture or its result."""
    from tintype.results import versions_of

    for job in jobs:
        places = [Path(job.source), *versions_of(Path(job.target), candidates)]
        if Path(chart).resolve() in [place.resolve() for place in places]:
            raise SettingsError(f"--confidence {chart} is the picture itself or its result; name another.")


def _options(args: argparse.Namespace) -> Options:
    from tintype.batch import Options
    from tintype.hints import read_hints
    from tintype.plan import check_file_name
    from tintype.proposer import check_count

    if args.candidates is not None:
        check_count(args.candidates)
    if args.confidence is not None:
        check_file_name(args.confidence, "--confidence")
    return Options(
        model=args.model,
        strength=args.strength,
        vividness=args.vividness,
        colors=main_colors(args),
        hints=read_hints(Path(args.hints)) if args.hints is not None else (),
        candidates=args.candidates or 0,
        confidence=args.confidence,
        size=args.size,
        threads=args.threads,
        provider=args.provider,
        max_pixels=args.max_pixels,
        workers=args.workers,
        overwrite=args.overwrite,
        skip_colored=args.skip_colored,
        provenance=args.provenance,
        quiet=args.quiet,
        json=args.json,
    )


def _check_streams(args: argparse.Namespace) -> None:
    """SettingsError for standard input or output used in a way that cannot work."""
    if "-" not in (*args.inputs, args.output):
        return
    if len(args.inputs) > 1:
        raise SettingsError("With - for standard input or output there can be only one picture.")
    source, output = args.inputs[0], args.output
    if source != "-" and Path(source).is_dir():
        raise SettingsError(f"{source} is a folder: only one picture can go to standard output.")
    if source == "-" and output is not None and Path(output).is_dir():
        raise SettingsError(f"-o {output} is a folder, and standard input has no name; give a file name.")
    if source == "-" and sys.stdin is None:
        raise SettingsError("Standard input is closed; send a picture: tintype colorize - < in.jpg")
    if output in (None, "-") and sys.stdout is None:
        raise SettingsError("Standard output is closed; name a file for the result with -o.")
    if source == "-" and sys.stdin.isatty():
        raise SettingsError("Standard input is the keyboard; send a picture: tintype colorize - < in.jpg")
    if output in (None, "-") and sys.stdout.isatty():
        raise SettingsError("The picture would go to the terminal; add > out.jpg or -o out.jpg.")
    for name in ("candidates", "confidence"):
        if getattr(args, name) is not None:
            raise SettingsError(
                f"--{name} writes files of its own: name the picture and the result, without -."
            )
