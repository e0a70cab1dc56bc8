"""COCO folders as data sets: pictures chosen and labelled by the objects that their annotation tells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tintype.errors import DataError
from tintype.train.photographs import PICTURE_SUFFIXES, Photographs, Record, labelled


def coco_photographs(paths: Sequence[Path], categories: Sequence[str]) -> Photographs:
    """The pictures of the one COCO folder in `paths` with an object of a category or supercategory, each
    labelled by that of its largest. DataError where there is none, or no annotation that can be read.
    """
    if len(paths) != 1 or not paths[0].is_dir():
        raise DataError("--categories needs one COCO folder with its annotation JSON.")
    found = sorted(paths[0].rglob("instances*.json")) or sorted(paths[0].rglob("*.json"))
    if not found:
        raise DataError(f"{paths[0]} has no COCO annotation JSON to take categories from.")
    files = {p.name: p for p in sorted(paths[0].rglob("*")) if p.suffix.lower() in PICTURE_SUFFIXES}
    chosen: dict[str, str] = {}
    for annotation in found:
        chosen |= _coco_labels(annotation, categories)
    found_here = [
        (Record(str(files[name]), files[name].relative_to(paths[0]).as_posix()), chosen[name])
        for name in sorted(chosen)
        if name in files
    ]
    if not found_here:
        raise DataError(f"No photograph of {paths[0]} shows any of {', '.join(categories)}.")
    return labelled(found_here)


def _coco_labels(annotation: Path, categories: Sequence[str]) -> dict[str, str]:
    """File names of the pictures with one of the categories, and the category of their largest object."""
    try:
        content: dict[str, Any] = json.loads(annotation.read_text(encoding="utf-8"))
        kinds = {c["id"]: c for c in content["categories"]}
        names = {i["id"]: PurePosixPath(i["file_name"]).name for i in content["images"]}
        objects = [
            (kinds[o["category_id"]], o["image_id"], float(o.get("area") or 0))
            for o in content["annotations"]
        ]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{annotation} is no COCO annotation of objects.") from None
    known = {c["name"] for c in kinds.values()} | {c.get("supercategory") for c in kinds.values()}
    if unknown := [c for c in categories if c not in known]:
        raise DataError(f"{annotation.name} has no category {', '.join(unknown)}.")
    largest: dict[str, tuple[float, str]] = {}
    for kind, image, area in objects:
        if {kind["name"], kind.get("supercategory")} & set(categories) and image in names:
            name = names[image]
            largest[name] = max(largest.get(name, (-1.0, "")), (area, kind["name"]))
    return {name: label for name, (_, label) in largest.items()}
