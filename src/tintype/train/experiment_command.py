"""`tintype experiment`: trains, exports, scores and writes the pages of experiments."""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from tintype.cards import ModelCard, load_card
from tintype.errors import SettingsError
from tintype.evaluate.models import Options, open_models
from tintype.evaluate.networks import open_judges
from tintype.evaluate.results import Results
from tintype.evaluate.run import evaluate
from tintype.evaluate.truths import Photographs, own_names
from tintype.report.page import page as report_page
from tintype.train import export, loading, recipes, runs, settings, train_command
from tintype.train.experiment import (
    Experiment,
    Run,
    changed_settings,
    check_words,
    named_files,
    parsed,
    read_experiment,
    train_run,
    train_words,
    with_files,
)
from tintype.train.experiment_page import write_page
from tintype.train.named_photographs import count_shared, photographs_to_learn_from
from tintype.train.photographs import Photographs as Found
from tintype.train.sources import find_photographs
from tintype.train.where import parse_where
from tintype.whole import whole_file
from tintype.words import count_of

_OF_CLASSIFIER = ("class_kept", "frechet_classifier")  # scores
_CHECKED = 32  # photographs on which an exported model is compared with its source


def experiment(args: argparse.Namespace) -> int:
    """Run the experiments that the arguments name; the exit status."""
    files = {"init_encoder": args.init_encoder or "", "vgg": args.vgg or "", "grey": args.grey or ""}
    files |= named_files(args.file or [])
    written = [read_experiment(Path(file)) for file in args.files]
    asked = [with_files(one, files) for one in written]  # all are checked before any is run
    data = ["--data", *args.data, "--device", args.device]
    data += ["--index", args.index] if args.index else []
    data += ["--image-column", args.image_column] if args.image_column else []
    for one in asked:
        _check(one, data, args)
    for one, as_written in zip(asked, written, strict=True):
        if learnt := _count_learnt(one, data, args):
            what = f"{one.name}: its runs learn from {learnt} of the photographs that score them"
            print(f"{what}, whose scores tell little of others; name others with --val.", file=sys.stderr)
        made = {run.name: _make(one, run, data, args) for run in one.runs}
        cards = {name: card for name, (_, card) in made.items()}
        results = _score(one, list(cards.values()), args)
        with contextlib.closing(results.board):
            _note_scores(one, cards, results)
            trained = {run.name: made[run.name][0] for run in one.runs if not run.weights_of}
            budget = args.photographs or one.budget
            page = write_page(as_written, Path(args.output), trained, cards, results, budget, learnt)
            report = Path(args.work) / one.name / "scores" / "report.html"
            with whole_file(report) as file:
                file.write(report_page(results, {}).encode(errors="backslashreplace"))
        print(f"{page} is ready; {report} shows the photographs")
    return 0


def _check(one: Experiment, data: list[str], args: argparse.Namespace) -> None:
    """SettingsError for words that `tintype train` does not take, and for a plot of what is not scored."""
    for run in one.runs:
        if run.weights_of:
            changed_settings(run)
            continue
        words = train_words(one, run, data, Path(args.work), args.photographs or 0)
        check_words(words)
        train_command.check(parsed(words, f"{one.name}: run {run.name}"))
    given = {f"lpips_{text.partition('=')[0]}" for text in args.lpips or []}
    plotted = one.scores[0]
    if one.plot in ("intervals", "per-photograph") and (
        (plotted.startswith("lpips_") and plotted not in given)
        or (plotted in _OF_CLASSIFIER and not args.classifier)
    ):
        raise SettingsError(f"{one.name} plots {plotted}, which needs --lpips or --classifier.")


def _count_learnt(one: Experiment, data: list[str], args: argparse.Namespace) -> int:
    """How many of the photographs that score the models one of these learns from."""
    scored, counts = _photographs(one, args), [0]
    for run in one.runs:
        if not run.weights_of:
            words = train_words(one, run, data, Path(args.work), args.photographs or 0)
            learnt = photographs_to_learn_from(parsed(words, f"{one.name}: run {run.name}"))
            counts.append(count_shared(learnt, scored))
    return max(counts)


def _make(one: Experiment, run: Run, data: list[str], args: argparse.Namespace) -> tuple[Path, ModelCard]:
    """Train and export one run; its folder and its model's card."""
    work = Path(args.work)
    source = work / one.name / (run.weights_of or run.name)
    if not run.weights_of:
        start = loading.weights_digest(work / one.name / run.start) if run.start else ""
        train_run(train_words(one, run, data, work, args.photographs or 0), start)
    models = work / one.name / "models"
    note = models / f"{run.name}.json"
    asked = [run.words, run.weights_of, run.precision, one.size, loading.weights_digest(source)]
    if _is_made(models / f"{run.name}.onnx", note, asked):
        return source, dataclasses.replace(load_card(models / f"{run.name}.onnx"), **_told(args))
    models.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    recipe, model, info = loading.load_run(source)
    if changes := changed_settings(run) if run.weights_of else {}:
        module = recipes.get(recipe)
        other = module.Model(settings.build(module.Settings, info["settings"] | changes))
        loading.set_weights(other, model.state_dict(), source)
        model = other.eval()
    options, length = info["options"], runs.length_of(source, info)
    card = ModelCard(
        name=run.name,
        version="1",
        description=f"{recipe} of the experiment “{one.title}”.",
        recipe=recipe,
        license="unstated",
        sha256="",
        size=one.size or options["size"],
        commit=export.commit_id(),
        limits="",
        training=_without_folders(dataclasses.asdict(model.settings))
        | {key: options[key] for key in ("size", "seed", "precision")}
        | length
        | {"photographs_seen": length["steps"] * length["batch"]},
        pretrained=tuple(runs.origin_of(info)["pretrained"]),
        data=tuple(runs.origin([source], own="own photographs")["data"]),
    )
    card = dataclasses.replace(card, **_told(args))
    places = [Path(p) for p in args.val]
    made = export.export(
        model, models, card, places,
        limit=_CHECKED, precision=run.precision, image_column=args.image_column,
    )  # fmt: skip
    note.write_text(json.dumps(asked), encoding="utf-8")
    return source, made


def _is_made(model: Path, note: Path, asked: list[Any]) -> bool:
    """Whether a model is what is `asked` for, by what was noted as it was made."""
    if not (model.is_file() and note.is_file()):
        return False
    try:
        made: list[Any] = json.loads(note.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return made == asked


def _score(one: Experiment, cards: list[ModelCard], args: argparse.Namespace) -> Results:
    found = _photographs(one, args)
    records = found.records
    labels = [found.label_names[r.label] if r.label >= 0 else "" for r in records]
    photographs = Photographs(records, own_names(records), labels)
    options = Options(size=args.size)
    models = open_models(["gray", "mean", *(str(card.path) for card in cards), *args.beside], options)
    judges = open_judges(args.lpips or [], args.classifier, None)
    folder = Path(args.work) / one.name / "scores"
    folder.mkdir(parents=True, exist_ok=True)
    return evaluate(models, photographs, options, folder, judges=judges)


def _photographs(one: Experiment, args: argparse.Namespace) -> Found:
    """Those that score the models."""
    index = Path(args.index) if args.index else None
    places = [Path(p) for p in args.val]
    found = find_photographs(
        places, index=index, where=parse_where(one.where), image_column=args.image_column
    )
    return dataclasses.replace(found, records=found.records[: args.limit])


def _note_scores(one: Experiment, cards: dict[str, ModelCard], results: Results) -> None:
    """Put the experiment's scores on the cards of the models, beside those of gray and mean."""
    names = ["gray", "mean"]
    how = f"{count_of(len(results.used), 'photograph')}, {results.options.size}×{results.options.size} "
    how += f"{results.options.crop} crop, the truth's L kept"
    for card in cards.values():
        own = [model.name for model in results.models if model.card and model.card.path == card.path]
        table: dict[str, Any] = {"how": how}
        for name in ("truth", *names, *own):
            found = results.table.get(name, {})
            table[name] = {key: round(found[key].value, 4) for key in one.scores if key in found}
        text = dataclasses.replace(card, scores=table).to_toml()
        with whole_file(card.path.with_suffix(".toml"), replace=True) as file:
            file.write(text.encode())


def _without_folders(values: dict[str, Any]) -> dict[str, Any]:
    """The settings with files by their names alone: a card is read on other machines."""
    return {
        k: Path(v).name if isinstance(v, str) and ("/" in v or os.sep in v) else v for k, v in values.items()
    }


def _told(args: argparse.Namespace) -> dict[str, Any]:
    """What the cards are told of by hand, those that are there already, too."""
    told = {"license": args.license, "limits": args.limits, "data": _sources(args.sources)}
    return {key: value for key, value in told.items() if value}


def _sources(file: str | None) -> tuple[dict[str, Any], ...]:
    """Rows of a CSV file with the columns source, photographs, terms, for the cards."""
    if not file:
        return ()
    try:
        with Path(file).open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        return tuple(row | {"photographs": int(row["photographs"])} for row in rows)
    except (OSError, KeyError, ValueError) as error:
        raise SettingsError(f"{file} is no table of source, photographs, terms: {error}.") from None
