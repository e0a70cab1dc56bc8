"""`tintype evaluate` and `tintype compare`: from words on a command line to tables and sheets."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tintype import evaluate
from tintype.errors import SettingsError
from tintype.evaluate import cost, tables
from tintype.evaluate.networks import open_judges
from tintype.progress import Report
from tintype.scoring.pictures import check_folder, write_pictures
from tintype.whole import whole_file


def run_evaluate(args: argparse.Namespace) -> int:
    """Score models, print the table or JSON, and write the rest where it is asked for; the exit status."""
    options = evaluate.Options(
        size=args.size, crop=args.crop, input_size=args.input_size, random_hints=args.random_hints,
        steady_sizes=tuple(args.steady_sizes), damage=tuple(dict.fromkeys(args.damage)),
        end_to_end=args.end_to_end, seed=args.seed, threads=args.threads,
    )  # fmt: skip
    for flag in ("limit", "threads"):
        if (value := getattr(args, flag)) is not None and value < 1:
            raise SettingsError(f"--{flag} must be 1 or more, not {value}.")
    models = evaluate.open_models(args.models, options)
    judges = open_judges(args.lpips, args.classifier, args.classes, args.inception, args.threads)
    index = Path(args.index) if args.index else None
    places = [Path(p) for p in args.data]
    photographs = evaluate.find_photographs(places, index, args.limit, args.image_column)
    if args.pictures:
        check_folder(Path(args.pictures), {record.path for record in photographs.records})
    with _folder(args.out) as folder, Report(len(photographs), sys.stderr, single=True) as told:
        for note in photographs.notes:
            told.say(note)
        try:
            results = evaluate.evaluate(models, photographs, options, folder, judges=judges, told=told)
        except KeyboardInterrupt:
            told.say("The same command goes on from here." if args.out else "Nothing is kept without --out.")
            raise
        if args.pictures:
            told.say(f"Writing the pictures to {args.pictures}.")
            write_pictures(results, Path(args.pictures), told)
        told.say("Measuring what the models cost.")
        costs = _costs(results, args.threads or 1)
        if args.out:
            told.say("Drawing the report.")
            _tell_missing(folder, results, told)
            _write(folder, results, costs)
        text = tables.as_json(results, costs) if args.json else tables.terminal_table(results, costs)
        print(_encoded(text).decode())
    return 0


def _costs(results: evaluate.Results, threads: int) -> Mapping[str, cost.Cost]:
    """The cost of each model that has a file; of the same file at the same size it is measured once."""
    by_file: dict[tuple[str, int, int], cost.Cost] = {}
    costs = {}
    for model in results.models:
        if model.card is not None:
            key = (model.card.sha256, model.card.size, model.card.multiple)
            if key not in by_file:
                by_file[key] = cost.measure(model.card, results.options.input_size, threads)
            costs[model.name] = by_file[key]
    return costs


def _tell_missing(folder: Path, results: evaluate.Results, told: Report) -> None:
    """Tell which models the last table held that this one does not."""
    try:
        before = json.loads((folder / "scores.json").read_text(encoding="utf-8"))["models"]
        gone = [name for name in map(str, before) if name not in results.table]
    except (OSError, ValueError, KeyError, TypeError):  # there was none, or it is somebody else's
        return
    if gone:
        told.say(f"The table no longer holds {', '.join(gone)}: name all models to see them side by side.")


def _write(folder: Path, results: evaluate.Results, costs: Mapping[str, cost.Cost]) -> None:
    from tintype.report.page import page

    texts = {
        "scores.json": tables.as_json(results, costs),
        "scores.csv": tables.as_csv(results, costs),
        "report.html": page(results, costs),
    }
    for name, text in texts.items():
        with whole_file(folder / name) as file:
            file.write(_encoded(text))


def _encoded(text: str) -> bytes:
    """UTF-8, in which bytes of file names that are none stand as escapes, which JSON reads back."""
    return text.encode(errors="backslashreplace")


@contextmanager
def _folder(out: str | None) -> Iterator[Path]:
    """The folder of results, which scoring makes if it is missing, or a temporary one."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="tintype-") as folder:
            yield Path(folder)
        return
    yield Path(out)


def run_compare(args: argparse.Namespace) -> int:
    """Draw a contact sheet; the exit status."""
    from tintype.scoring import compare

    return compare.run_compare(args)
