"""`tintype train`: from words on a command line to one run, or to a sweep of them."""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tintype.errors import DataError, SettingsError, TintypeError
from tintype.train import recipes, settings
from tintype.train.augment import GreySettings
from tintype.train.data import CropSettings, SkipLog
from tintype.train.named_photographs import named_photographs
from tintype.train.options import FitOptions
from tintype.train.photographs import Photographs
from tintype.train.recipe import Schedule
from tintype.train.stream import Stream
from tintype.words import count_of

# The dataclasses that --set and --config may write to, in the order in which a key is looked up.
_SHARED = {"crops": CropSettings, "grey": GreySettings, "schedule": Schedule}
# What an optimiser knows from its start on, and a run that goes on cannot be told anew.
_OPTIMISED = ("lr", "encoder_lr", "discriminator_lr", "weight_decay", "beta1", "beta2", "lr_schedule")


@dataclass(frozen=True)
class Plan:
    """One run before it begins, or goes on."""

    out: Path
    before: dict[str, Any]
    """What `run.json` tells of a run that goes on; nothing of one that begins."""
    settings: Any
    crops: CropSettings
    grey: GreySettings
    schedule: Schedule
    longer: bool
    """Whether a number of epochs was asked for by name."""


def describe(recipe: str) -> str:
    """The settings of a recipe and those that all share, as `tintype train RECIPE --help` shows them."""
    module = recipes.get(recipe)
    parts = [f"settings of {recipe} (--set key=value):", settings.help_text(module.Settings)]
    parts += ["\nsettings of the schedule:", settings.help_text(Schedule, module.SCHEDULE)]
    parts += ["\nsettings of crops:", settings.help_text(CropSettings, recipes.crops_of(module))]
    parts += ["\nsettings of the grey input:", settings.help_text(GreySettings)]
    return "\n".join(parts)


def train(args: argparse.Namespace) -> int:
    """Run one training, or a sweep of them; the exit status."""
    from lightning.pytorch.utilities import rank_zero_only

    if args.start_from and args.init_encoder and not args.resume:
        raise SettingsError("--from brings its own encoder: leave out --init-encoder, or --from.")
    values = settings.read_yaml(Path(args.config)) if args.config else {}
    assigned = settings.parse_assignments(args.set or [])
    own = {field.name for field in settings.fields_of(recipes.get(args.recipe).Settings)}
    for name in {"batch", "size", "epochs"} - own:
        if name in assigned and getattr(args, name) is not None:
            raise SettingsError(f"--{name} and --set {name}=… both say it: leave out one.")
    chosen = settings.sweep(assigned)
    # Everything is checked before anything is trained.
    plans = [_plan(args, values | one, _folder(args, one, len(chosen))) for one in chosen]
    photographs, val, notes = named_photographs(
        args, next((plan.before for plan in plans if plan.before), {})
    )
    options = [_options(args, plan, photographs) for plan in plans]
    if len(plans) == 1:
        _run(args, plans[0], options[0], photographs, val, notes, alone=True)
        rank_zero_only(print)(f"Run in {args.out}")
        return 0
    from tintype.train.sweep import summarise

    failed = {}
    for plan, chosen_options in zip(plans, options, strict=True):
        try:
            _run(args, plan, chosen_options, photographs, val, notes, alone=False)
        except TintypeError as error:
            if args.devices * args.nodes > 1:  # its other processes wait for this one
                raise
            failed[plan.out.name] = str(error)
            print(f"{plan.out}: {error}", file=sys.stderr)
    print(summarise(Path(args.out), chosen, failed))
    return 1 if failed else 0


def check(args: argparse.Namespace) -> None:
    """SettingsError for settings that the recipe does not take, before anything is trained."""
    values = settings.read_yaml(Path(args.config)) if args.config else {}
    bare = argparse.Namespace(**vars(args) | {"start_from": None, "resume": False})
    for one in settings.sweep(settings.parse_assignments(args.set or [])):
        _plan(bare, values | one, Path(args.out))


def _folder(args: argparse.Namespace, one: dict[str, str], runs: int) -> Path:
    """Where a run is kept: a sweep's each in a folder of its own, by what it sets."""
    name = ",".join(f"{key}={value}" for key, value in one.items()) if runs > 1 else ""
    return Path(args.out) / name


def _plan(args: argparse.Namespace, values: dict[str, Any], out: Path) -> Plan:
    """What a run is to be: as it was if it goes on, else as its start hands on, but for `values`.

    A key goes to the dataclass that has it: the recipe's settings first, then the shared ones.
    """
    from tintype.train import runs

    module = recipes.get(args.recipe)
    before = runs.read_run(out) if args.resume and (out / "run.json").is_file() else {}
    if before and before["recipe"] != args.recipe:
        raise SettingsError(f"{out} holds a run of {before['recipe']}, not of {args.recipe}.")
    if before:
        _keeps_its_start(args, before)
        _keeps_its_rates(args, values, before)
    _keeps_its_weights(args, module, values, before)
    classes = {"settings": module.Settings} | _SHARED
    taken: dict[str, dict[str, Any]] = {part: dict(before.get(part, {})) for part in classes}
    if before:
        taken["schedule"] |= {"batch": _whole_batch(before), "size": before["options"]["size"]}
    else:
        taken["settings"] = runs.handed_on(Path(args.start_from[0]), args.recipe) if args.start_from else {}
        taken["schedule"] = dataclasses.asdict(module.SCHEDULE)
        taken["crops"] = dataclasses.asdict(recipes.crops_of(module))
    names = {part: [field.name for field in settings.fields_of(cls)] for part, cls in classes.items()}
    for key, value in values.items():
        home = next((part for part in classes if key in names[part]), "settings")
        taken[home][key] = value
    taken["schedule"] |= {name: getattr(args, name) for name in ("batch", "size") if getattr(args, name)}
    every = dict.fromkeys(name for part in classes for name in names[part])
    built = {part: settings.build(cls, taken[part], every) for part, cls in classes.items()}
    longer = args.epochs is not None or "epochs" in values.keys() - set(names["settings"])
    return Plan(out, before, **built, longer=longer)


def _keeps_its_start(args: argparse.Namespace, before: dict[str, Any]) -> None:
    """Refuse another start for a run that goes on: it has begun."""
    for flag, name in (("--from", "start_from"), ("--init-encoder", "init_encoder")):
        wanted, begun = getattr(args, name), before["options"][name]
        if wanted and wanted != begun:
            raise SettingsError(f"A run that goes on has its start: leave out {flag}, or begin another run.")


def _keeps_its_weights(
    args: argparse.Namespace, module: Any, values: dict[str, Any], before: dict[str, Any]
) -> None:
    """Refuse settings that tell how class weights are made where these come from elsewhere."""
    if not (before or args.start_from):
        return
    for key in values.keys() & set(module.Model.prepared_by):
        if before and _is_same(values[key], before["settings"][key]):
            continue
        raise SettingsError(
            f"{key} tells how weights of colours are made from the photographs, but here they come "
            f"with {'the run' if before else '--from'}: leave it out."
        )


def _keeps_its_rates(args: argparse.Namespace, values: dict[str, Any], before: dict[str, Any]) -> None:
    """Refuse other learning rates for a run that goes on: its optimiser would not take them."""
    begun = before["settings"] | before["schedule"] | {"lr_scale": before["options"]["lr_scale"]}
    wanted = {key: value for key, value in values.items() if key in _OPTIMISED and key in begun}
    wanted |= {"lr_scale": args.lr_scale} if args.lr_scale is not None else {}
    for key, value in wanted.items():
        if not _is_same(value, begun[key]):
            raise SettingsError(
                f"A run that goes on keeps its {key} of {begun[key]}; start a new one --from it."
            )


def _is_same(value: Any, begun: Any) -> bool:
    """Whether a setting's text or value says what a run began with, however a number is written."""
    try:
        return float(value) == float(begun)
    except (TypeError, ValueError):
        return str(value) == str(begun)


def _whole_batch(before: dict[str, Any]) -> int:
    """Photographs a step over all the processes of a run."""
    options = before["options"]
    return int(options["batch"] * options["devices"] * options["nodes"])


def _run(
    args: argparse.Namespace,
    plan: Plan,
    options: FitOptions,
    train: Photographs | Stream,
    val: Photographs | Stream | None,
    notes: dict[str, Any],
    *,
    alone: bool,
) -> None:
    """Train one run of a plan. Of a sweep that goes on, one that never began does now."""
    from lightning.pytorch.utilities import rank_zero_only

    from tintype.train import runs
    from tintype.train.feed import plain_errors
    from tintype.train.fit import fit

    resume = args.resume and (alone or (plan.out / "checkpoints" / "last.ckpt").is_file())
    if plan.before and plan.before["split"]["train"] != [record.name for record in train.records]:
        raise SettingsError(
            f"{plan.out} learnt from other photographs: name the same ones, or start a new run --from it."
        )
    if resume and isinstance(train, Stream):
        rank_zero_only(print)("A stream cannot be entered in its middle: a new pass over the shards begins.")
    with runs.alone(plan.out), plain_errors():
        fit(
            args.recipe, plan.settings, options, train, val, plan.out,
            crops=plan.crops, grey=plan.grey, schedule=plan.schedule, resume=resume, notes=notes,
        )  # fmt: skip
    if skipped := SkipLog(plan.out / "skipped.tsv").names():
        rank_zero_only(print)(
            f"{count_of(len(skipped), 'photograph')} could not be used; {plan.out}/skipped.tsv names them."
        )


def _options(args: argparse.Namespace, plan: Plan, train: Photographs | Stream) -> FitOptions:
    before = plan.before.get("options", {})

    def chosen(name: str, default: Any) -> Any:
        value = getattr(args, name)
        return before.get(name, default) if value is None else value

    batch, size = plan.schedule.batch, plan.schedule.size
    multiple = recipes.get(args.recipe).Model(plan.settings).multiple
    if size % multiple:
        raise SettingsError(f"--size must be a multiple of {multiple} for {args.recipe}.")
    if size < (wanted := getattr(plan.settings, "size", size)):
        raise SettingsError(f"Crops of {size} pixels are too small for size={wanted}: add --size {wanted}.")
    world = args.devices * args.nodes
    per_process, rest = divmod(batch, world)
    if rest:
        raise SettingsError(f"--batch {batch} cannot be shared evenly by {world} processes.")
    # What a run began with stays so; the weights that it goes on with are its own.
    begun = before or {"init_encoder": args.init_encoder or "", "start_from": args.start_from or ()}
    return FitOptions(
        steps=_steps(args, plan, train, batch), batch=per_process, size=size,
        lr_scale=chosen("lr_scale", 1.0), precision=chosen("precision", "32"), seed=chosen("seed", 0),
        device=args.device, devices=args.devices, nodes=args.nodes, workers=args.workers,
        init_encoder=begun["init_encoder"], start_from=tuple(begun["start_from"]),
        checkpoint_every=chosen("checkpoint_every", 200), keep_every=chosen("keep_every", 0),
        minutes=args.minutes or 0.0,
        cache=args.cache,
    )  # fmt: skip


def _steps(args: argparse.Namespace, plan: Plan, train: Photographs | Stream, batch: int) -> int:
    """The steps of the whole run, of which a learning-rate schedule must know."""
    if plan.before and not args.steps and not plan.longer:
        return int(plan.before["options"]["steps"])
    if isinstance(train, Stream):
        if not args.steps:
            raise SettingsError("A stream has no known end; say how long to train with --steps.")
        return int(args.steps)
    if len(train) < batch:
        raise DataError(f"{len(train)} photographs do not fill one batch of {batch}; use a smaller --batch.")
    steps_an_epoch = len(train) // batch * plan.schedule.repeats
    return args.steps or math.ceil(steps_an_epoch * (args.epochs or plan.schedule.epochs))
