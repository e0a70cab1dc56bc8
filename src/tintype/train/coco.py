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
    files: dict[str, list[Path]] = {}
    for path in sorted(paths[0].rglob("*")):
        if path.suffix.lower() in PICTURE_SUFFIXES:
            files.setdefault(path.name, []).append(path)
    chosen: dict[Path, str] = {}
    for annotation in found:
        for name, label in _coco_labels(annotation, categories).items():
            if file := _file_of(name, files, annotation):
                chosen[file] = label
    found_here = [
        (Record(str(path), path.relative_to(paths[0]).as_posix()), chosen[path]) for path in sorted(chosen)
    ]
    if not found_here:
        raise DataError(f"No photograph of {paths[0]} shows any of {', '.join(categories)}.")
    return labelled(found_here)


def _file_of(name: PurePosixPath, files: dict[str, list[Path]], annotation: Path) -> Path | None:
    """The file that an annotation calls so, from whatever folder on; None where there is none."""
    found = files.get(name.name, [])
    exact = [path for path in found if path.parts[-len(name.parts) :] == name.parts] or found
    if len(exact) > 1:
        raise DataError(f"{annotation.name} names {name}, which may be {' or '.join(map(str, exact[:2]))}.")
    return exact[0] if exact else None


def _coco_labels(annotation: Path, categories: Sequence[str]) -> dict[PurePosixPath, str]:
    """File names of the pictures with one of the categories, and the category of their largest object."""
    try:
        content: dict[str, Any] = json.loads(annotation.read_text(encoding="utf-8"))
        kinds = {c["id"]: c for c in content["categories"]}
        names = {i["id"]: PurePosixPath(i["file_name"]) for i in content["images"]}
        objects = [
            (kinds[o["category_id"]], o["image_id"], float(o.get("area") or 0))
            for o in content["annotations"]
        ]
        known = {c["name"] for c in kinds.values()} | {c.get("supercategory") for c in kinds.values()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{annotation} is no COCO annotation of objects.") from None
    if unknown := [c for c in categories if c not in known]:
        raise DataError(f"{annotation.name} has no category {', '.join(unknown)}.")
    largest: dict[PurePosixPath, tuple[float, str]] = {}
    for kind, image, area in objects:
        if {kind["name"], kind.get("supercategory")} & set(categories) and image in names:
            name = names[image]
            largest[name] = max(largest.get(name, (-1.0, "")), (area, kind["name"]))
    return {name: label for name, (_, label) in largest.items()}
