"""What `tintype train`, `export`, `quantize`, `data` and `experiment` call: from words to models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tintype.errors import DataError, OutputExistsError, SettingsError
from tintype.train import recipes
from tintype.train.remote import is_remote


def describe(recipe: str) -> str:
    """The settings of a recipe, as `tintype train RECIPE --help` shows them."""
    from tintype.train import train_command

    return train_command.describe(recipe)


def train(args: argparse.Namespace) -> int:
    """Run one training, or a sweep of them; the exit status."""
    from tintype.train import train_command

    return train_command.train(args)


def export(args: argparse.Namespace) -> int:
    """Export a run's best weights, or their mean with other runs' and models'; the exit status."""
    from tintype.cards import ModelCard
    from tintype.train import export as exporting
    from tintype.train import loading, runs

    # What is no run has no settings and photographs to begin with.
    first, *others = sorted((Path(folder) for folder in args.folders), key=lambda folder: not folder.is_dir())
    if others and not args.output:
        raise SettingsError("Say with -o where the mean of several runs goes.")
    name, out = args.name or first.resolve().name, Path(args.output or first)
    if args.output and not args.overwrite and (out / f"{name}.onnx").exists():
        raise OutputExistsError(
            f"{out / name}.onnx exists already; --overwrite replaces it, --name adds another."
        )
    if name != Path(name).name or name.startswith("."):
        raise SettingsError(f"--name must be a file's name without folder, not {name!r}.")
    if args.size is not None and not 32 <= args.size <= 2048:
        raise SettingsError(f"--size must be from 32 to 2048 pixels, not {args.size}.")
    recipe, model, info = loading.load_run(first, *others)
    places = args.data or info.get("val_places") or info.get("places")
    if not places:
        raise SettingsError(f"{first} does not tell where its photographs lie; name some with --data.")
    if any(map(is_remote, places)):
        raise SettingsError("This run's photographs were streamed; name some on disk with --data.")
    column = args.image_column or ("" if args.data else info.get("image_column", ""))
    origin = runs.origin([first, *others], own=args.source)
    options = runs.length_of(first, info) | _told_of_training(info)
    card = ModelCard(
        name=name,
        version=args.version,
        description=args.description or _description(recipe, info, len(args.folders)),
        recipe=recipe,
        license=args.license,
        sha256="",
        size=args.size or runs.origin_of(info)["size"] or max(256, info["options"]["size"]),
        commit=exporting.commit_id(),
        limits=args.limits,
        training=info["settings"] | options | ({"runs_averaged": len(args.folders)} if others else {}),
        pretrained=tuple(origin["pretrained"]),
        data=tuple(origin["data"]),
    )
    card = exporting.export(
        model, out, card, [Path(p) for p in places],
        limit=args.limit, precision=args.precision, image_column=column,
        names=() if args.data else info["split"]["val"],
        learnt_from=_places_learnt((first, *others)),
    )  # fmt: skip
    print(f"{card.path} is ready: tintype colorize PHOTO --model {card.path}")
    return 0


def _description(recipe: str, info: dict[str, Any], sources: int) -> str:
    count = len(info["split"]["train"]) or "streamed"
    if sources > 1:
        return f"The mean of {sources} runs or models of {recipe}, the first trained on {count} photographs."
    return f"{recipe} trained on {count} photographs."


def _told_of_training(info: dict[str, Any]) -> dict[str, Any]:
    """What decides of a run beside its settings, as `run.json` has it."""
    options, schedule = info["options"], info.get("schedule", {})
    named = {key: schedule[key] for key in ("lr_schedule", "ema_decay") if key in schedule}
    return {key: options[key] for key in ("size", "seed", "lr_scale") if key in options} | named


def _places_learnt(sources: Sequence[Path]) -> frozenset[tuple[object, ...]] | None:
    """Where the photographs lie that runs learnt from; None where that is not known of all of them."""
    found: frozenset[tuple[object, ...]] = frozenset()
    for source in sources:
        if (places := _places_of(source)) is None:
            return None
        found |= places
    return found


def _places_of(source: Path) -> frozenset[tuple[object, ...]] | None:
    from tintype.train import runs
    from tintype.train.sources import find_records

    if not source.is_dir():  # a model, whose photographs nobody knows
        return None
    info = runs.read_run(source)
    names, places = frozenset(info["split"]["train"]), info.get("places") or ()
    if not names or any(map(is_remote, places)):
        return None
    try:
        found = find_records([Path(place) for place in places], info.get("image_column", ""))
    except DataError:
        return None
    return frozenset(record.place for record in found if record.name in names)


def quantize(args: argparse.Namespace) -> int:
    """Make a model that computes in 8 bits; the exit status."""
    from tintype import evaluate
    from tintype.cards import find_model
    from tintype.train import quantize as quantizing

    out = Path(args.output)
    if out.suffix != ".onnx":
        raise SettingsError(f"-o {out} must end in .onnx.")
    card = find_model(args.model)
    if out.exists() and out.samefile(card.path):
        raise SettingsError(f"{out} is the model itself: choose another name.")
    if out.stem == card.name:
        raise SettingsError(f"-o {out} must not have the model's own name, {card.name}: choose another.")
    if out.exists() and not args.overwrite:
        raise OutputExistsError(f"{out} exists already; --overwrite replaces it.")
    stays_float = args.float if args.float is not None else _stays_float(card.recipe)
    found, told = [], dict[str, None]()
    for places, limit, scored in ((args.data, args.count, 0), (args.val, args.limit, quantizing.SCORED_SIDE)):
        named = evaluate.find_photographs(
            [Path(p) for p in places], limit=limit, image_column=args.image_column
        )
        good, reasons = quantizing.usable(named, scored)
        found.append(good)
        told |= dict.fromkeys(reasons)
    for sentence in told:
        print(sentence, file=sys.stderr)
    calibration, judged = found
    new = quantizing.quantize(card, out, calibration, judged, stays_float)
    before, after = (new.scores[name]["psnr"] for name in (card.name, new.name))
    print(
        f"{new.path} is ready, {new.file_bytes / 1e6:.1f} MB instead of {card.file_bytes / 1e6:.1f}: its "
        f"colours lie {new.scores['ab_distance']:.2f} Lab units from {card.name}'s, PSNR is {after:.2f} dB "
        f"instead of {before:.2f}."
    )
    return 0


def _stays_float(recipe: str) -> tuple[str, ...]:
    """What a recipe says of its nodes; nothing for a model of no known recipe."""
    if recipe not in recipes.names():
        return ()
    stays_float: tuple[str, ...] = recipes.get(recipe).Model.stays_float
    return stays_float


def experiment(args: argparse.Namespace) -> int:
    """Run experiments; the exit status."""
    from tintype.train import experiment_command

    return experiment_command.experiment(args)


def data(args: argparse.Namespace) -> int:
    """Inspect or pack photographs; the exit status."""
    from tintype.train import inspection

    actions = {"inspect": inspection.inspect, "pack": inspection.pack}
    return actions[args.action](args)
