"""The photographs that `tintype train` is told to learn from and to validate on."""

from __future__ import annotations

import argparse
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

from tintype.errors import DataError, SettingsError
from tintype.train.photographs import Photographs, Record, some, split
from tintype.train.remote import expand, is_remote
from tintype.train.sources import find_photographs
from tintype.train.stream import Stream
from tintype.train.where import parse_where
from tintype.words import count_of

VAL_SHARE = 0.02  # of the photographs, held out by a stable hash where no --val is given
_NARROWED = ("index", "where", "limit", "categories")  # flags that take some of the photographs


def named_photographs(
    args: argparse.Namespace, before: dict[str, Any]
) -> tuple[Photographs | Stream, Photographs | Stream | None, dict[str, Any]]:
    """Those to learn from, those to validate on, and how `run.json` notes where they lie.

    A run that goes on finds those that it had, where none are named.
    """
    places, val_places, column = args.data, args.val, args.image_column
    narrowed = {name: getattr(args, name) for name in _NARROWED}
    if narrowed["index"]:
        narrowed["index"] = str(Path(narrowed["index"]).resolve())
    if before and not places:
        if any(narrowed.values()):
            raise SettingsError(
                "A run that goes on finds its photographs itself: leave out --index, --where, --limit and "
                "--categories, or name --data, too."
            )
        places, narrowed = before.get("places"), before.get("narrowed", narrowed)
        column = column or before.get("image_column", "")
    if not places:
        raise SettingsError("Say with --data which photographs to train on.")
    val_places = val_places or before.get("val_places") or []
    notes = {"image_column": column, "narrowed": narrowed}
    for name, some_places in (("places", places), ("val_places", val_places)):
        notes[name] = [place if is_remote(place) else str(Path(place).resolve()) for place in some_places]
    from lightning.pytorch.utilities import rank_zero_only

    found, to_validate = _found(places, column, **narrowed), _found_to_validate(val_places, column, narrowed)
    found = _as_before(found, before)
    train, val = _split(found, to_validate, _held_out(before))
    learnt = {record.name for record in train.records}
    notes["held_out"] = [r.name for r in found.records if r.name not in learnt] if found else []
    told = (found.notes for found in (train, val) if isinstance(found, Photographs))
    for note in dict.fromkeys(itertools.chain(*told)):
        rank_zero_only(print)(note)
    if shared := count_shared(train, val):
        rank_zero_only(print)(
            f"{shared} of the photographs to validate on are learnt from, too: the loss there tells "
            "little of others."
        )
    if isinstance(val, Photographs):
        val = val.numbered() if isinstance(train, Stream) else val.labelled_as(train.label_names)
    return train, val, notes


def photographs_to_learn_from(args: argparse.Namespace) -> Photographs | Stream:
    """Those that `tintype train` learns from by its arguments."""
    found = _found(args.data, args.image_column, **{name: getattr(args, name) for name in _NARROWED})
    assert found is not None
    return found if args.val or isinstance(found, Stream) else split(found, VAL_SHARE)[0]


def _as_before(found: Photographs | Stream | None, before: dict[str, Any]) -> Photographs | Stream | None:
    """Without what a run that goes on did not begin with, which is told."""
    held = _held_out(before)
    if held is None or not isinstance(found, Photographs):
        return found
    known = held | set(before["split"]["train"])
    kept = tuple(record for record in found.records if record.name in known)
    if not kept or len(kept) == len(found):
        return found
    new = count_of(len(found) - len(kept), "photograph")
    return replace(
        found, records=kept, notes=(*found.notes, f"{new} with which the run did not begin: left out.")
    )


def _held_out(before: dict[str, Any]) -> frozenset[str] | None:
    """The names that a run which goes on has held out of its photographs; None for one that begins."""
    if "held_out" in before:
        return frozenset(before["held_out"])
    parted = before and not before.get("val_places") and before["split"]["train"]  # as of old
    return frozenset(before["split"]["val"]) if parted else None


def _split(
    found: Photographs | Stream | None, val: Photographs | Stream | None, held: frozenset[str] | None
) -> tuple[Photographs | Stream, Photographs | Stream | None]:
    """Those to learn from and to validate on; what a run has `held` out it does not learn from later."""
    from lightning.pytorch.utilities import rank_zero_only

    assert found is not None
    if isinstance(found, Stream):
        return found, val
    if held is not None:
        train = replace(found, records=tuple(r for r in found.records if r.name not in held))
        own = replace(found, records=tuple(r for r in found.records if r.name in held))
        return train, val or own or None
    if val:
        return found, val
    train, held_out = split(found, VAL_SHARE)
    if len(held_out):
        return train, held_out
    rank_zero_only(print)(
        f"Of {len(found)} photographs chance holds none out to validate on; name some with --val."
    )
    return found, None


def count_shared(train: Photographs | Stream, val: Photographs | Stream | None) -> int:
    """How many of the photographs to validate on are learnt from, too, as far as is known beforehand."""
    if val is None:
        return 0

    def last_name(record: Record) -> str:
        return record.name.rpartition("/")[2]

    names = {last_name(record) for record in val.records}  # looking at paths takes far longer
    learnt = {record.place for record in train.records if last_name(record) in names}
    return sum(record.place in learnt for record in val.records)


def _found_to_validate(
    places: list[str], column: str, narrowed: dict[str, Any]
) -> Photographs | Stream | None:
    """The photographs at `places`, narrowed and labelled by the index alone; None where there is no place."""
    if any(map(is_remote, places)):
        return _found(places, column)
    try:
        return _found(places, column, **{name: narrowed.get(name) for name in ("index", "where")})
    except DataError as error:
        raise DataError(f"--val: {error}") from None


def _found(places: list[str], image_column: str, **narrowed: Any) -> Photographs | Stream | None:
    """The photographs at `places`; None where there is no place."""
    if not places:
        return None
    where = parse_where(narrowed.get("where") or "")
    remote = [place for place in places if is_remote(place)]
    if not remote:
        found = find_photographs(
            [Path(place) for place in places],
            index=Path(narrowed["index"]) if narrowed.get("index") else None,
            where=where,
            categories=[c for c in (narrowed.get("categories") or "").split(",") if c],
            image_column=image_column,
        )
        return some(found, narrowed["limit"]) if narrowed.get("limit") else found
    if len(remote) < len(places):
        raise SettingsError(f"{remote[0]} is streamed, and cannot be mixed with photographs on disk.")
    if image_column or any(narrowed.values()):
        raise SettingsError("A stream takes no --index, --where, --limit, --categories or --image-column.")
    return Stream(tuple(url for place in places for url in expand(place)))
