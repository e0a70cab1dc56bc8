"""Experiments: runs that differ in one thing, trained with one budget and scored by one evaluator.

An experiment is a YAML file that anybody can run again, on own photographs and with any budget; see
`Experiment` for what it holds. Everything that was made before (runs, models, scores) is kept in the work
folder and not made again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shlex
import typing
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tintype.errors import SettingsError
from tintype.evaluate.scores import SCORES
from tintype.train import settings
from tintype.train.arguments import add_train_arguments

PLOTS = "curves", "train-curves", "intervals", "per-photograph"
_FLAGS = "init_encoder", "vgg", "grey"  # of what a run's words may name, these have flags of their own
_DONE, _BEGUN = "done.json", "begun.json"
_TAKEN = {"models", "scores"}  # by what lies beside the runs
_PLAIN = re.compile(r"[^./\\:\s][^/\\:]*")  # a run's name, which is its folder's, too
_NAMED = re.compile(r"\{(\w+)\}")  # a file in a run's words: {init_encoder} and so on


@dataclass(frozen=True, kw_only=True)
class Run:
    """One of an experiment's models: `tintype train` with `words`, or the weights of another run."""

    name: str
    words: str = ""
    """What `tintype train` is given beside the experiment's own words."""
    weights_of: str = ""
    """Do not train: take the weights of this run, with the settings in `words` changed."""
    start: str = ""
    """The run whose weights training starts from."""
    budget: int = 0
    """Photographs seen; the experiment's by default."""
    precision: int = 16
    """Bits of a stored weight; a network that decides (argmax) may need 32 to be its source."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is compared, on what, and what it showed."""

    name: str
    title: str
    source: str
    """The report."""
    claim: str
    """What the report found."""
    conclusion: str
    """Whether it held, in two honest sentences that name what the budget leaves open."""
    train: str
    """Words of `tintype train`, the recipe first, that all runs share."""
    runs: tuple[Run, ...]
    budget: int
    """Photographs that each run sees."""
    where: str = ""
    """Which photographs are scored on, by their rows in the index: column=value."""
    scores: tuple[str, ...] = ("psnr", "target_mse", "ab_rmse", "auc", "auc_balanced", "colorfulness")
    """Columns of the table, by the evaluator's keys."""
    plot: str = "curves"
    """`curves` of the validation loss, `train-curves`, `intervals` of the first score, or that score
    `per-photograph`, in the order of the first run's."""
    size: int = 0
    """Side at which the networks see pictures in scoring; that of the training crops by default."""
    frames: tuple[int, ...] = ()
    """Numbers of processor threads for which frames a second at 256×256 are measured."""
    mean_ab: int = 0
    """Photographs of which the mean a and b, true and predicted, are listed."""


def read_experiment(file: Path) -> Experiment:
    """The experiment in a YAML file. SettingsError for what is missing, unknown or contradictory."""
    try:
        values = settings.load_yaml(file.read_text(encoding="utf-8"))
        runs = values.pop("runs")
        listed = [{"words": run} if isinstance(run, str) else dict(run) for run in runs.values()]
        lists = {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
        _check_fields(Experiment, values.keys() | {"name", "runs"}, str(file))
        for run, one in zip(runs, listed, strict=True):
            _check_fields(Run, one.keys() | {"name"}, f"{file}: run {run}")
        made = tuple(Run(name=str(name), **one) for name, one in zip(runs, listed, strict=True))
        experiment = Experiment(name=file.stem, runs=made, **(values | lists))
    except FileNotFoundError:
        raise SettingsError(f"There is no experiment {file}.") from None
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise SettingsError(f"{file} is no experiment: {error}.") from None
    _check(experiment, file)
    return experiment


def train_words(experiment: Experiment, run: Run, data: list[str], work: Path, budget: int = 0) -> list[str]:
    """The command line, after `tintype train`, of one run; `budget` replaces the photographs to be seen."""
    name = f"{experiment.name}: run {run.name}"
    words = [*_words(experiment.train, name), *_words(run.words, name)]
    args = parsed([*words[:1], "--out", "", *words[1:]], name)
    if args.batch is None:
        raise SettingsError(f"{name} must say --batch.")
    if args.steps or args.epochs or args.minutes:
        raise SettingsError(
            f"{name} takes its length from the budget: leave out --steps, --epochs, --minutes."
        )
    if args.out or args.resume or args.start_from:
        raise SettingsError(f"{name} has a folder and a start of its own: leave out --out, --resume, --from.")
    if len(settings.sweep(settings.parse_assignments(args.set or []))) > 1:
        raise SettingsError(f"{name} sets one key to several values: make each a run of its own.")
    if args.data:  # its own
        data = _without_photographs(data)
    steps = max(1, round((budget or run.budget or experiment.budget) / args.batch))
    words = [words[0], *data, *words[1:]]
    words += ["--steps", str(steps), "--out", str(work / experiment.name / run.name)]
    if run.start:
        words += ["--from", str(work / experiment.name / run.start)]
    parsed(words, name)
    return words


def train_run(words: list[str], start: str = "") -> Path:
    """Train what is not trained yet, going on where it was stopped; the run's folder.

    `start` tells which weights it starts from, where they are another run's. SettingsError where there is a
    run of other words or of another start.
    """
    from tintype.train import command

    out, noted = check_words(words)
    steps = int(words[words.index("--steps") + 1])
    if noted and noted.get("start", start) != start:
        raise SettingsError(
            f"{out} started from a run that is another now; remove it, or name another --work."
        )
    if (out / _DONE).is_file():
        return out
    out.mkdir(parents=True, exist_ok=True)
    note = json.dumps({"words": words, "start": start})
    (out / _BEGUN).write_text(note, encoding="utf-8")
    resume = ["--resume"] if (out / "checkpoints" / "last.ckpt").is_file() else []
    print(f"tintype train {shlex.join(words)} ({steps} steps)", flush=True)
    command.train(parsed([*words, *resume], str(out)))
    (out / _DONE).write_text(note, encoding="utf-8")
    return out


def check_words(words: list[str]) -> tuple[Path, dict[str, Any]]:
    """The folder of the run that these words make, and what is noted there of it.

    SettingsError where it holds one of other words.
    """
    out = Path(words[words.index("--out") + 1])
    noted: dict[str, Any] = {}
    for file in (out / _DONE, out / _BEGUN):
        if file.is_file():
            try:
                found = json.loads(file.read_text(encoding="utf-8"))
            except ValueError:
                raise SettingsError(f"{file} is damaged; remove {out}, or name another --work.") from None
            noted = found if isinstance(found, dict) else {"words": found}  # as earlier versions wrote it
            if noted.get("words") != words:
                raise SettingsError(f"{out} holds a run of other words; remove it, or name another --work.")
    return out, noted


def changed_settings(run: Run) -> dict[str, str]:
    """The settings that a run with another's weights changes."""
    name = f"run {run.name}"
    needed = ["x", "--data", "x", "--out", "x"]
    args = parsed([*needed, *_words(run.words, name)], name)
    assigned, args.set = args.set or [], None
    if run.start or run.budget or args != parsed(needed, name):
        raise SettingsError(f"{name} takes the weights of {run.weights_of}, so it can say --set alone.")
    return {key: ",".join(values) for key, values in settings.parse_assignments(assigned).items()}


def with_files(experiment: Experiment, files: dict[str, str]) -> Experiment:
    """The experiment with {NAME} in its words replaced by the file of that name.

    SettingsError, saying how they are given, for those that are not.
    """
    all_words = [experiment.train, *(run.words for run in experiment.runs)]
    wanted = dict.fromkeys(name for words in all_words for name in _NAMED.findall(words))
    if missing := [name for name in wanted if not files.get(name)]:
        flags = ", ".join(map(_flag, missing))
        raise SettingsError(f"{experiment.name} needs more: give it with {flags}.")

    def filled(words: str) -> str:
        return _NAMED.sub(lambda found: shlex.quote(files[found[1]]), words)

    runs = tuple(dataclasses.replace(run, words=filled(run.words)) for run in experiment.runs)
    return dataclasses.replace(experiment, train=filled(experiment.train), runs=runs)


def named_files(assignments: Iterable[str]) -> dict[str, str]:
    """`NAME=PATH` words as files by name. SettingsError for one of another form."""
    files = {}
    for text in assignments:
        name, equals, path = text.partition("=")
        if not (equals and path and _NAMED.fullmatch(f"{{{name}}}")):
            raise SettingsError(f"--file takes NAME=PATH, not {text!r}.")
        files[name] = path
    return files


def _flag(name: str) -> str:
    """How a file of that name is given."""
    return f"--{name.replace('_', '-')} PATH" if name in _FLAGS else f"--file {name}=PATH"


class _Parser(argparse.ArgumentParser):
    """One that ends no process: `prog` names the run whose words are wrong."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{self.prog}: {message}.")


def parsed(words: list[str], name: str) -> argparse.Namespace:
    """The words of the run `name` after `tintype train`. SettingsError for what cannot be."""
    parser = _Parser(prog=name, add_help=False, allow_abbrev=False)
    add_train_arguments(parser)
    return parser.parse_args(words)


def _without_photographs(words: list[str]) -> list[str]:
    """Words of `tintype train` but for --data and the places that follow it."""
    first = words.index("--data") if "--data" in words else len(words)
    after = (i for i in range(first + 1, len(words)) if words[i].startswith("--"))
    return words[:first] + words[next(after, len(words)) :]


def _words(text: str, name: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SettingsError(f"{name}: {text!r} cannot be read: {str(error).lower()}.") from None


def _check(experiment: Experiment, file: Path) -> None:
    _check_types(experiment, str(file))
    for run in experiment.runs:
        _check_types(run, f"{file}: run {run.name}")
        if not _PLAIN.fullmatch(run.name) or run.name in _TAKEN:
            raise SettingsError(f"{file}: {run.name!r} cannot be a run's name, as it names a folder.")
    names = [run.name for run in experiment.runs]
    for run in experiment.runs:
        for other in (run.weights_of, run.start):
            if other and other not in names[: names.index(run.name)]:
                raise SettingsError(f"{file}: run {run.name} needs {other}, which must stand before it.")
    scores = experiment.scores
    if not (scores and isinstance(scores, tuple) and SCORES.keys() >= set(scores)):
        raise SettingsError(f"{file}: scores must be a list of some of {', '.join(SCORES)}.")
    if experiment.plot not in PLOTS:
        raise SettingsError(f"{file}: plot must be one of {', '.join(PLOTS)}, not {experiment.plot!r}.")


def _check_fields(cls: Any, keys: Collection[Any], name: str) -> None:
    """SettingsError for fields of a dataclass that are missing or unknown."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if unknown := [key for key in keys if key not in fields]:
        raise SettingsError(f"{name} cannot have a field {unknown[0]!r}; there are {', '.join(fields)}.")
    needed = [key for key, field in fields.items() if field.default is dataclasses.MISSING]
    if missing := [key for key in needed if key not in keys]:
        raise SettingsError(f"{name} lacks the field {missing[0]!r}.")


def _check_types(one: Any, name: str) -> None:
    """SettingsError where a field of a dataclass that is text or a number is something else."""
    hints = typing.get_type_hints(type(one))
    for field in dataclasses.fields(one):
        kind, value = hints[field.name], getattr(one, field.name)
        if kind in (str, int) and (not isinstance(value, kind) or isinstance(value, bool)):
            raise SettingsError(
                f"{name}: {field.name} must be {'text' if kind is str else 'a whole number'}."
            )
