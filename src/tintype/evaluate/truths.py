"""Photographs whose colours are known: decoded, cut to one size, and looked through once before scoring."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype.color import GREY_LIMIT, luma_of, rgb_to_lab
from tintype.errors import InputError, TintypeError
from tintype.images import decode_rgb8

Float = NDArray[np.float32]
RGB8 = NDArray[np.uint8]

TRUTH = "truth"  # the name of the photographs' own scores
CROPS = ("center", "squash", "none")
CELL = 10  # Lab units: side of the cells of the ab plane, which are those of Zhang et al. 2016
CELLS = 27  # cells a side, from −135 to 135


class Record(Protocol):
    """Where a photograph's bytes lie: what the finder of training photographs gives."""

    @property
    def path(self) -> str:
        """The file that holds it."""

    @property
    def name(self) -> str:
        """Its own name, by which a person would know it."""

    def read(self) -> bytes:
        """The picture's bytes; OSError or DataError when they cannot be read."""


@dataclass(frozen=True)
class Photographs:
    """What to score on: records, and for each a name of its own and a label, "" where it has none."""

    records: Sequence[Record]
    names: Sequence[str]
    labels: Sequence[str]
    notes: Sequence[str] = ()
    """Sentences on what was left out as they were looked for."""

    def __len__(self) -> int:
        return len(self.records)

    def fingerprint(self) -> str:
        """A digest of the names and the sizes in bytes, the same on every machine."""
        return self._digest(("size",))

    def state(self) -> str:
        """A digest that also changes when a file is written anew, or its pictures lie elsewhere in it."""
        return self._digest(("size", "written", "offset", "column", "group"))

    def _digest(self, keys: Sequence[str]) -> str:
        digest = hashlib.sha256()
        files: dict[str, dict[str, int]] = {}
        for record, name in zip(self.records, self.names, strict=True):
            if record.path not in files:
                files[record.path] = _file_state(record.path)
            told = files[record.path] | {key: getattr(record, key) for key in keys if hasattr(record, key)}
            if told.get("size", -1) < 0:  # the picture is the whole file
                told["size"] = files[record.path].get("size", -1)
            text = "\0".join(str(told.get(key, "")) for key in keys)
            digest.update(f"{name}\0{text}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Truth:
    """One photograph as it is scored on; what several models need of it is computed once."""

    name: str
    rgb8: RGB8
    label: str = ""
    states: dict[str, Any] = field(default_factory=dict, compare=False)
    """What the networks that judge have seen in it, by judge."""

    @cached_property
    def rgb(self) -> Float:
        """(H, W, 3), 0…1."""
        return to_float(self.rgb8)

    @cached_property
    def lab(self) -> Float:
        """(H, W, 3)."""
        return rgb_to_lab(self.rgb)

    @property
    def L(self) -> Float:
        """(H, W), 0…100."""
        return np.ascontiguousarray(self.lab[..., 0])

    @property
    def ab(self) -> Float:
        """(H, W, 2), Lab units."""
        return self.lab[..., 1:]

    @property
    def is_grey(self) -> bool:
        """Whether no |a| or |b| reaches `GREY_LIMIT`, so that there is no colour to compare with."""
        return bool(np.abs(self.ab).max() < GREY_LIMIT)

    @cached_property
    def luma8(self) -> RGB8:
        """The grey picture (H, W), BT.601, that the whole pipeline is given."""
        return np.rint(luma_of(self.rgb8.astype(np.float64))).astype(np.uint8)


@dataclass
class Survey:
    """What one look at all photographs tells."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(CELLS * CELLS, np.int64))
    """Pixels in each cell of the ab plane."""
    ab_sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    """Sum over the photographs of their mean ab."""
    used: int = 0
    enlarged: int = 0
    """Photographs in use that were smaller than asked for."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Photographs of no use, and why."""
    unread: list[str] = field(default_factory=list)
    """Those of them that the operating system did not give, of which another look may tell more."""

    @property
    def mean_ab(self) -> tuple[float, float]:
        """The mean over the photographs of their mean ab."""
        a, b = self.ab_sum / max(self.used, 1)
        return float(a), float(b)

    def weights(self) -> Float:
        """For each cell one over its frequency: the class weights of Zhang et al. 2016, eq. 4, with λ = 0."""
        share = self.counts / max(int(self.counts.sum()), 1)
        return np.divide(1, share, out=np.zeros(len(share)), where=share > 0).astype(np.float32)

    def add(self, truth: Truth) -> None:
        """Count one photograph."""
        self.counts += cell_counts(truth.ab)
        self.ab_sum += truth.ab.mean((0, 1), dtype=np.float64)
        self.used += 1

    def to_json(self) -> str:
        """As text that `from_json` reads back."""
        values = {"counts": self.counts.tolist(), "ab_sum": self.ab_sum.tolist()}
        plain = {key: getattr(self, key) for key in ("used", "enlarged", "skipped")}
        return json.dumps(values | plain)

    @classmethod
    def from_json(cls, text: str) -> Survey:
        """From the text of `to_json`."""
        values = json.loads(text)
        values["counts"] = np.array(values["counts"], np.int64)
        values["ab_sum"] = np.array(values["ab_sum"])
        return cls(**values)


def find_photographs(
    paths: Sequence[Path], index: Path | None = None, limit: int | None = None, image_column: str = ""
) -> Photographs:
    """Photographs in folders and shards, with the labels that lie beside them or stand in an index.

    `index` is a CSV file with the columns `key`, a picture's name without folder and suffix, and `label`.
    `limit` takes so many of them, evenly spread; `image_column` is where Parquet files hold pictures. A
    photograph that lies in several of `paths` is taken once. DataError when there is none.
    """
    from tintype.train.sources import find_photographs as find

    found = find(paths, index=index, image_column=image_column)
    places: dict[tuple[object, ...], int] = {}
    for i, record in enumerate(found.records):
        places.setdefault(record.place, i)
    once = list(places.values())
    taken = min(limit or len(once), len(once))
    records = [found.records[once[i * len(once) // taken]] for i in range(taken)]
    labels = [found.label_names[r.label] if r.label >= 0 else "" for r in records]
    return Photographs(records, own_names(records), labels, found.notes)


def look_through(photographs: Photographs, size: int, crop: str, step: Callable[[], None]) -> Survey:
    """Survey all photographs, with a call of `step` after each. InputError where none can be scored on."""
    survey = Survey()
    for i, name in enumerate(photographs.names):
        try:
            rgb8 = decode_rgb8(photographs.records[i].read())
            truth = Truth(name, cut(rgb8, size, crop))
            if truth.is_grey:
                raise InputError("it is grey: there is no colour to compare with")
            survey.add(truth)
            survey.enlarged += min(rgb8.shape[:2]) < size
        except (TintypeError, OSError) as error:
            survey.skipped[name] = str(error)
            if isinstance(error, OSError) or isinstance(error.__cause__, OSError):
                survey.unread.append(name)
        step()
    if not survey.used:
        raise InputError(_why_none(survey))
    return survey


def cut(rgb8: RGB8, size: int, crop: str) -> RGB8:
    """The picture that is scored on, of `size` pixels a side.

    `center` takes the largest centred square, `squash` the whole at the cost of its aspect, and `none` the
    whole with its aspect, `size` being the shorter side.
    """
    height, width = rgb8.shape[:2]
    side = min(height, width)
    if crop == "center":
        top, left = (height - side) // 2, (width - side) // 2
        rgb8 = rgb8[top : top + side, left : left + side]
    rows, columns = size, size
    if crop == "none":
        rows, columns = (max(1, round(length * size / side)) for length in (height, width))
    if rgb8.shape[:2] == (rows, columns):
        return np.ascontiguousarray(rgb8)
    method = cv2.INTER_AREA if rows * columns < rgb8.shape[0] * rgb8.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(rgb8, (columns, rows), interpolation=method)


def cell(ab: Float) -> NDArray[np.intp]:
    """The cell of the ab plane in which each pixel's colour lies, as one number: ab (H, W, 2) to (H, W)."""
    index = (np.rint(ab * np.float32(1 / CELL)).astype(np.intp) + CELLS // 2).clip(0, CELLS - 1)
    return index[..., 0] * CELLS + index[..., 1]


def cell_counts(ab: Float) -> NDArray[np.intp]:
    """Pixels in each cell."""
    return np.bincount(cell(ab).ravel(), minlength=CELLS * CELLS)


def to_float(rgb8: RGB8) -> Float:
    """0…255 to 0…1."""
    return rgb8.astype(np.float32) * np.float32(1 / 255)


def _file_state(path: str) -> dict[str, int]:
    """A file's bytes and when it was last written, in nanoseconds; nothing where it cannot be found."""
    try:
        state = Path(path).stat()
    except OSError:  # reading it will tell
        return {}
    return {"size": state.st_size, "written": state.st_mtime_ns}


def own_names(records: Sequence[Record]) -> list[str]:
    """Each with its file's path where two share a name, and a number where a shard holds two of one name."""
    counts = Counter(record.name for record in records)
    names = [r.name if counts[r.name] == 1 else f"{r.path}:{r.name}" for r in records]
    seen: Counter[str] = Counter()
    for i, name in enumerate(names):
        seen[name] += 1
        names[i] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


def _why_none(survey: Survey) -> str:
    reasons = Counter(survey.skipped.values())
    reason, count = reasons.most_common(1)[0]
    if count == len(survey.skipped):
        return f"None of {count} photographs can be scored on: {reason}."
    return f"None of {len(survey.skipped)} photographs can be scored on; of {count}: {reason}."
