"""`tintype batch`: from the arguments to a run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tintype.archive.apart import absolute, check_apart, plain_path
from tintype.archive.cluster import ClusterEngine
from tintype.archive.local import LocalEngine
from tintype.archive.manifest import Manifest, read_last, unread_words
from tintype.archive.places import Found, check_there, check_writable
from tintype.archive.record import FULL_KIND
from tintype.archive.report import report_text, summarize
from tintype.archive.settings import Settings, settings_for
from tintype.archive.tasks import listed, wanted
from tintype.arguments import main_colors
from tintype.cards import find_model
from tintype.errors import InputError, SettingsError
from tintype.progress import Report
from tintype.running import orderly_stop

MANIFEST_NAME = "tintype-manifest.jsonl"


def run_batch(args: argparse.Namespace) -> int:
    """Colour an archive, or report on a manifest; the exit status."""
    for name in ("source", "output", "manifest", "report"):
        if (text := getattr(args, name)) is not None:
            setattr(args, name, plain_path(text))
    if args.report is not None:
        return _report(args)
    if args.source is None or args.output is None:
        raise SettingsError("Name the pictures and a place for the results: tintype batch SOURCE -o TARGET.")
    if args.address is not None and args.engine != "ray":
        raise SettingsError("--address is a Ray cluster's; add --engine ray.")
    check_there(args.source)
    check_apart(args.source, args.output)
    check_writable(args.output)
    settings, path = _settings(args), _manifest_path(args)
    with Report(None, sys.stdout, quiet=args.quiet, as_json=args.json, goes_on=not args.overwrite) as report:
        pictures = listed(settings, report)
        if pictures is not None:
            with Manifest(path) as manifest:
                run(pictures, settings, manifest, report, args)
    return report.status


def run(
    pictures: Iterator[Found],
    settings: Settings,
    manifest: Manifest,
    report: Report,
    args: argparse.Namespace,
) -> None:
    """Colour what the manifest does not know as done, and tell of it. ModelError before any is begun."""
    if manifest.unread:
        report.say(unread_words(manifest.path, manifest.unread))
    engine = (
        LocalEngine(settings, args.workers)
        if args.engine == "local"
        else ClusterEngine(settings, args.workers, args.address)
    )
    with closing(engine):
        engine.check()
        if args.provider is not None:
            report.say(f"The model {settings.model} runs on {args.provider}.")
        report.begin(None)
        tasks = wanted(pictures, settings, manifest, report)
        records = engine.records(tasks, report.stop)
        with orderly_stop(report.stop, engine.abandon, engine.stopping), closing(records):
            for record in records:
                manifest.add(record)
                report.add(record.result())
                if record.kind == FULL_KIND:
                    report.give_up(f"There is no room left in {settings.target}.")
    manifest.close_run()


def _report(args: argparse.Namespace) -> int:
    """Sum up a manifest. InputError, once that is done, where lines of it could not be read."""
    named = [args.source] if args.source is not None else []
    named += [f"-o {args.output}"] if args.output is not None else []
    if named:
        raise SettingsError(
            f"--report sums up a manifest and colours nothing: leave out {' and '.join(named)}, or --report."
        )
    unread: list[int] = []
    summary = summarize(read_last(Path(args.report), unread.append))
    print(json.dumps(summary.as_json()) if args.json else report_text(summary))
    if unread:
        raise InputError(unread_words(Path(args.report), unread))
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    card = find_model(args.model)
    coloring = {
        "strength": args.strength,
        "vividness": args.vividness,
        "colors": list(main_colors(args)),
        "size": args.size or card.size,
        "max_pixels": args.max_pixels,
        "skip_colored": args.skip_colored,
        "provenance": args.provenance,
    }
    return settings_for(
        card,
        source=absolute(args.source),
        target=absolute(args.output),
        model=str(card.path.resolve()) if str(args.model).endswith(".onnx") else args.model,
        coloring=coloring,
        provider=args.provider,
        overwrite=args.overwrite,
        time_limit_s=args.time_limit,
    )


def _manifest_path(args: argparse.Namespace) -> Path:
    if args.manifest is not None:
        if "://" in args.manifest:
            raise SettingsError(
                "--manifest is a file of this machine; copy it to a store when the run has ended."
            )
        return Path(args.manifest)
    if "://" in args.output:
        raise SettingsError(
            "With results at a URL, name a file for --manifest: it is what a run goes on from."
        )
    return Path(args.output) / MANIFEST_NAME
