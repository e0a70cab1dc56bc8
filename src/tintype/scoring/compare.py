"""`tintype compare`: a contact sheet of own pictures by several models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype import images
from tintype.colorizer import Colorizer
from tintype.errors import InputError, OutputExistsError, SettingsError, TintypeError
from tintype.plan import Plan, find_pictures
from tintype.progress import Report
from tintype.report.sheets import contact_sheet, grey_rgb
from tintype.results import check_targets
from tintype.view import shown
from tintype.whole import whole_file
from tintype.words import count_of, plain_words

RGB8 = NDArray[np.uint8]
Painter = Callable[[NDArray[np.float32]], RGB8]
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_MOST_PIXELS = {"PNG": 1 << 30, "JPEG": 65_500, "WEBP": 16_383}  # a side of a sheet, by format


def run_compare(args: argparse.Namespace) -> int:
    """Draw the sheet; the exit status, 1 where a picture was of no use."""
    target = Path(args.output)
    _check(args, target)
    plan = Plan()
    found = find_pictures(args.images, plan, recursive=args.recursive)
    if not found:
        name, reason = plan.failures[0] if plan.failures else (args.images[0], "there is no picture")
        raise InputError(f"{name}: {reason}.")
    for source in found if target.exists() else ():
        check_targets(Path(source), [target], args.overwrite)
    count = min(args.limit, len(found))
    sources = [found[i * len(found) // count] for i in range(count)]
    failures = list(plan.failures)
    painters = _painters(args.models)
    with Report(len(sources), sys.stderr, single=True) as told:
        for note in plan.notes:
            told.say(note)
        if count < len(found):
            told.say(f"{count:,} of {len(found):,} pictures, evenly spread; --limit takes more.")
        told.begin(count)
        rows = []
        for source in sources:
            try:
                luma = _small_luma(source, args.size)
            except (TintypeError, OSError) as error:
                failures.append((source, plain_words(error) if isinstance(error, OSError) else str(error)))
            else:
                pictures, failed = _row(luma, painters, args.size)
                rows.append((_drawable(Path(source).name), pictures))
                failures += [(source, reason) for reason in failed]
            told.step()
        for name, reason in failures:
            text = reason if reason.startswith(name) else f"{name}: {reason}"
            told.say(f"tintype: {text.rstrip('.')}.")
        if not rows:
            raise InputError("None of the pictures could be read.")
        _save(contact_sheet(["grey", *painters], rows, args.size), target)
        told.say(f"{target}: {count_of(len(rows), 'picture')} by {count_of(len(painters), 'model')}")
    return int(bool(failures))


def _check(args: argparse.Namespace, target: Path) -> None:
    if target.suffix.lower() not in FORMATS:
        raise SettingsError(f"-o {target} must end in one of {' '.join(FORMATS)}.")
    if target.exists() and not args.overwrite:
        raise OutputExistsError(f"{target} exists already; --overwrite replaces it.")
    if not 32 <= args.size <= 2048:
        raise SettingsError(f"--size must be from 32 to 2048 pixels, not {args.size}.")
    if args.limit < 1:
        raise SettingsError(f"--limit must be 1 or more, not {args.limit}.")
    if "mean" in args.models:
        raise SettingsError("mean is the mean of true colours, which there are not here; leave it out.")


def _painters(names: Sequence[str]) -> dict[str, Painter]:
    """What turns luma (H, W) in 0…1 into RGB (H, W, 3) of 8 bits, by the models' names."""
    painters: dict[str, Painter] = {}
    for name in dict.fromkeys(names):
        if name == "gray":
            painters[name] = _grey
            continue
        colorizer = Colorizer(name)
        head = colorizer.card.name if colorizer.card.name not in painters else name
        painters[head] = _painter(colorizer)
    return painters


def _painter(colorizer: Colorizer) -> Painter:
    return lambda luma: np.rint(255 * colorizer(luma)).astype(np.uint8)


def _grey(luma: NDArray[np.float32]) -> RGB8:
    return grey_rgb(np.rint(255 * luma).astype(np.uint8))


def _row(
    luma: NDArray[np.float32], painters: Mapping[str, Painter], side: int
) -> tuple[list[RGB8], list[str]]:
    """The grey picture and every model's, and why models failed; their place on the sheet stays empty."""
    pictures, failures = [_grey(luma)], []
    for name, painter in painters.items():
        try:
            pictures.append(painter(luma))
        except Exception as error:  # onnxruntime raises its own classes, which share no base but this
            pictures.append(np.full((*luma.shape, 3), 255, np.uint8))
            failures.append(f"{name} failed: {' '.join(str(error).split())}")
    scale = min(1.0, side / max(luma.shape))
    height, width = (max(1, round(length * scale)) for length in luma.shape)
    small = [cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) for picture in pictures]
    return small, failures


def _drawable(name: str) -> str:
    """A file's name with what of it is no text written out."""
    return name.encode(errors="backslashreplace").decode()


def _small_luma(source: str, side: int) -> NDArray[np.float32]:
    """A picture's luma 0…1 in sRGB's curve, upright; small enough to be quick, large enough for networks."""
    with images.open_picture(Path(source)) as picture:
        page = picture.pages[0]
        return shown(page, max(side, 512) / min(page.height, page.width))


def _save(sheet: Any, target: Path) -> None:
    kind = FORMATS[target.suffix.lower()]
    if max(sheet.size) > _MOST_PIXELS[kind]:
        raise SettingsError(
            f"A sheet of {sheet.width} × {sheet.height} pixels does not fit a {kind}: choose PNG, or a "
            "smaller --limit."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as file:
        sheet.save(file, kind, **({} if kind == "PNG" else {"quality": 90}))
