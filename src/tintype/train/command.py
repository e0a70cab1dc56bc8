"""`tintype train`, `export` and `quantize`: from words on a command line to runs and models."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from tintype.errors import DataError, OutputExistsError, SettingsError
from tintype.train import recipes, settings
from tintype.train.augment import GreySettings
from tintype.train.data import CropSettings, SkipLog
from tintype.train.recipe import Schedule
from tintype.train.remote import expand, is_remote
from tintype.train.sources import Photographs, find_photographs, some, split
from tintype.train.stream import Stream

VAL_SHARE = 0.02  # of the photographs, held out by a stable hash where no --val is given
# The dataclasses that --set and --config may write to, in the order in which a key is looked up.
_SHARED = {"crops": CropSettings, "grey": GreySettings, "schedule": Schedule}


def describe(recipe: str) -> str:
    """The settings of a recipe and those that all share, as `tintype train RECIPE --help` shows them."""
    module = recipes.get(recipe)
    parts = [f"settings of {recipe} (--set key=value):", settings.help_text(module.Settings)]
    parts += ["\nsettings of the schedule:", settings.help_text(Schedule, module.SCHEDULE)]
    for title, cls in (("crops", CropSettings), ("the grey input", GreySettings)):
        parts += [f"\nsettings of {title}:", settings.help_text(cls)]
    return "\n".join(parts)


def train(args: argparse.Namespace) -> int:
    """Run one training, or a sweep of them; the exit status."""
    from lightning.pytorch.utilities import rank_zero_only

    module = recipes.get(args.recipe)
    values = _known_before(args)
    values |= settings.read_yaml(Path(args.config)) if args.config else {}
    chosen = settings.sweep(settings.parse_assignments(args.set or []))
    # Everything is checked before anything is trained.
    plans = [_sort_settings(module, values | one) for one in chosen]
    photographs, val = _photographs(args)
    if len(plans) == 1:
        run = _one(args, module, plans[0], photographs, val, Path(args.out))
        rank_zero_only(print)(f"Run in {run}")
        return 0
    from tintype.train.sweep import summarise

    for one, plan in zip(chosen, plans, strict=True):
        name = ",".join(f"{key}={value}" for key, value in one.items())
        _one(args, module, plan, photographs, val, Path(args.out) / name)
    print(summarise(Path(args.out), chosen))
    return 0


def export(args: argparse.Namespace) -> int:
    """Export a run's best weights, or the mean of several runs', to a model in use; the exit status."""
    from tintype.cards import ModelCard
    from tintype.train import export as exporting
    from tintype.train import runs

    first, *others = (Path(folder) for folder in args.folders)
    if others and not args.output:
        raise SettingsError("Say with -o where the mean of several runs goes.")
    recipe, model, info = runs.load_run(first, *others)
    places = args.data or info["val_places"] or info["places"]
    if any(map(is_remote, places)):
        raise SettingsError("This run's photographs were streamed; name some on disk with --data.")
    column = args.image_column or ("" if args.data else info.get("image_column", ""))
    count, origin = len(info["split"]["train"]), runs.origin_of(info)
    name = args.name or first.resolve().name
    options = {key: info["options"][key] for key in ("steps", "batch", "size", "seed")}
    card = ModelCard(
        name=name,
        version=args.version,
        description=args.description or f"{recipe} trained on {count or 'streamed'} photographs.",
        recipe=recipe,
        license=args.license,
        sha256="",
        size=args.size or max(256, info["options"]["size"]),
        commit=exporting.commit_id(),
        limits=args.limits,
        training=info["settings"] | options | ({"runs_averaged": len(args.folders)} if others else {}),
        pretrained=tuple(origin["pretrained"]),
        data=({"source": args.source} | ({"photographs": count} if count else {}), *origin["data"]),
    )
    out = Path(args.output or first)
    card = exporting.export(
        model, out, card, [Path(p) for p in places],
        limit=args.limit, precision=args.precision, image_column=column,
    )  # fmt: skip
    print(f"{card.path} is ready: tintype colorize PHOTO --model {card.path}")
    return 0


def quantize(args: argparse.Namespace) -> int:
    """Make a model that computes in 8 bits; the exit status."""
    from tintype import evaluate
    from tintype.cards import find_model
    from tintype.train import quantize as quantizing

    out = Path(args.output)
    if out.suffix != ".onnx":
        raise SettingsError(f"-o {out} must end in .onnx.")
    for flag in ("count", "limit"):
        if getattr(args, flag) < 1:
            raise SettingsError(f"--{flag} must be 1 or more, not {getattr(args, flag)}.")
    card = find_model(args.model)
    if out.exists() and out.samefile(card.path):
        raise SettingsError(f"{out} is the model itself: choose another name.")
    if out.exists() and not args.overwrite:
        raise OutputExistsError(f"{out} exists already; --overwrite replaces it.")
    stays_float = args.float if args.float is not None else _stays_float(card.recipe)
    calibration, judged = (
        evaluate.find_photographs([Path(p) for p in places], limit=limit, image_column=args.image_column)
        for places, limit in ((args.data, args.count), (args.val, args.limit))
    )
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


def _known_before(args: argparse.Namespace) -> dict[str, Any]:
    """The settings before any is chosen: a run's own if it goes on, else those that its start hands on."""
    from tintype.train import runs

    if before := _run_before(args, Path(args.out)):
        if before["recipe"] != args.recipe:
            raise SettingsError(f"{args.out} holds a run of {before['recipe']}, not of {args.recipe}.")
        # The schedule's batch and size are defaults of what the options tell.
        schedule = {k: v for k, v in before["schedule"].items() if k not in ("batch", "size")}
        return schedule | before["grey"] | before["crops"] | before["settings"]
    return runs.handed_on(Path(args.start_from[0]), args.recipe) if args.start_from else {}


def _run_before(args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """What `run.json` tells of the run that is to go on; nothing where none is."""
    from tintype.train import runs

    return runs.read_run(out) if args.resume and (out / "run.json").is_file() else {}


def _sort_settings(module: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Give each key to the dataclass that has it: the recipe's settings first, then the shared ones."""
    classes = {"settings": module.Settings} | _SHARED
    names = {part: {field.name for field in settings.fields_of(cls)} for part, cls in classes.items()}
    taken: dict[str, dict[str, Any]] = {part: {} for part in classes}
    for key, value in values.items():
        home = next((part for part in classes if key in names[part]), "settings")
        taken[home][key] = value
    built = {part: settings.build(cls, taken[part]) for part, cls in classes.items() if part != "schedule"}
    defaults = dataclasses.asdict(module.SCHEDULE)
    return built | {"schedule": settings.build(Schedule, defaults | taken["schedule"])}


def _photographs(args: argparse.Namespace) -> tuple[Photographs | Stream, Photographs | Stream | None]:
    where = dict(part.split("=", 1) for part in (args.where or "").split(",") if "=" in part)
    if args.where and not where:
        raise SettingsError(f"--where takes column=value,column=value, not {args.where!r}.")
    categories = [c for c in (args.categories or "").split(",") if c]
    index = Path(args.index) if args.index else None
    val = _stream_or_photographs(args.val, image_column=args.image_column) if args.val else None
    found = _stream_or_photographs(
        args.data, index=index, where=where, categories=categories, image_column=args.image_column
    )
    if isinstance(found, Stream):
        return found, val
    if args.limit:
        found = some(found, args.limit)
    if val:
        return found, val
    train, held_out = split(found, VAL_SHARE)
    return (train, held_out) if len(held_out) else (found, None)


def _stream_or_photographs(places: list[str], **narrowed: Any) -> Photographs | Stream:
    remote = [place for place in places if is_remote(place)]
    if not remote:
        return find_photographs([Path(place) for place in places], **narrowed)
    if len(remote) < len(places):
        raise SettingsError(f"{remote[0]} is streamed, and cannot be mixed with photographs on disk.")
    if any(narrowed.values()):
        raise SettingsError("A stream takes no --index, --where, --categories or --image-column.")
    return Stream(tuple(url for place in places for url in expand(place)))


def _one(
    args: argparse.Namespace,
    module: Any,
    plan: dict[str, Any],
    train: Photographs | Stream,
    val: Photographs | Stream | None,
    out: Path,
) -> Path:
    from lightning.pytorch.utilities import rank_zero_only

    from tintype.train.feed import plain_errors
    from tintype.train.fit import fit
    from tintype.train.options import FitOptions

    schedule, before = plan["schedule"], _run_before(args, out).get("options", {})
    shared_out = before.get("devices", 1) * before.get("nodes", 1)
    batch = args.batch or before.get("batch", 0) * shared_out or schedule.batch
    size = args.size or before.get("size") or schedule.size

    def chosen(name: str, default: Any) -> Any:
        value = getattr(args, name)
        return before.get(name, default) if value is None else value

    multiple = module.Model(plan["settings"]).multiple
    if size % multiple:
        raise SettingsError(f"--size must be a multiple of {multiple} for {args.recipe}.")
    world = args.devices * args.nodes
    per_process, rest = divmod(batch, world)
    if rest:
        raise SettingsError(f"--batch {batch} cannot be shared evenly by {world} processes.")
    options = FitOptions(
        steps=_steps(args, train, batch, schedule, before), batch=per_process, size=size,
        lr_scale=chosen("lr_scale", 1.0), precision=chosen("precision", "32"), seed=chosen("seed", 0),
        device=args.device, devices=args.devices, nodes=args.nodes, workers=args.workers,
        init_encoder=chosen("init_encoder", ""), start_from=tuple(chosen("start_from", ())),
        checkpoint_every=args.checkpoint_every, minutes=args.minutes or 0.0,
        cache=args.cache,
    )  # fmt: skip
    if args.resume and isinstance(train, Stream):
        rank_zero_only(print)("A stream cannot be entered in its middle: a new pass over the shards begins.")
    with plain_errors():
        result = fit(
            args.recipe, plan["settings"], options, train, val, out,
            crops=plan["crops"], grey=plan["grey"], schedule=schedule, resume=args.resume,
        )  # fmt: skip
    rank_zero_only(_remember_places)(result, args)
    if skipped := SkipLog(result / "skipped.tsv").names():
        rank_zero_only(print)(
            f"{len(skipped)} photographs could not be used; {result}/skipped.tsv names them."
        )
    return result


def _steps(
    args: argparse.Namespace,
    train: Photographs | Stream,
    batch: int,
    schedule: Schedule,
    before: dict[str, Any],
) -> int:
    """The steps of the whole run, of which a learning-rate schedule must know; `before` as it was begun."""
    if before and not args.steps and not args.epochs:
        return int(before["steps"])
    if isinstance(train, Stream):
        if not args.steps:
            raise SettingsError("A stream has no known end; say how long to train with --steps.")
        return int(args.steps)
    if len(train) < batch:
        raise DataError(f"{len(train)} photographs do not fill one batch of {batch}; use a smaller --batch.")
    return args.steps or math.ceil(len(train) // batch * (args.epochs or schedule.epochs))


def _remember_places(run: Path, args: argparse.Namespace) -> None:
    """Note in `run.json` where the photographs lay, so that `export` finds some to check on."""
    file = run / "run.json"
    info = json.loads(file.read_text(encoding="utf-8"))
    for name, places in (("places", args.data), ("val_places", args.val or [])):
        info[name] = [place if is_remote(place) else str(Path(place).resolve()) for place in places]
    info["image_column"] = args.image_column
    file.write_text(json.dumps(info, indent=1), encoding="utf-8")
