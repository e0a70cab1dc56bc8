"""From a finished run to a model in use: fold, write ONNX, compare with the source, score, write the card."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import subprocess
import tempfile
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
from torch import Tensor, nn

from tintype import evaluate
from tintype.cards import ModelCard, read_card
from tintype.color import rgb_to_lab
from tintype.errors import DataError, ModelError
from tintype.evaluate.truths import Truth, cut
from tintype.framing import resize_for_network, run_padded
from tintype.session import Session
from tintype.train.data import center_crop, decode_rgb8
from tintype.train.folding import fold_batch_norm
from tintype.train.graph_weights import store_as_float16
from tintype.train.photographs import Record
from tintype.train.sources import find_records
from tintype.whole import writing
from tintype.words import count_of

OPSET = 18
PARITY_LIMIT = 0.5  # Lab units by which the exported graph may differ from its source …
PARITY_SHARE = 0.999  # … on at least this share of the pixels


def export_onnx(model: Any, path: Path, *, precision: int = 16) -> None:
    """Write `model` (L to ab) as an ONNX file with free N, H, W, BatchNorm folded into the convolutions.

    With `precision` 16 the weights are stored as float16, in half the space; the arithmetic stays float32.
    """
    side = 8 * model.multiple
    further, outputs = model.inputs, model.outputs
    model = fold_batch_norm(copy.deepcopy(model).eval().float().for_export())
    if outputs:
        model = _Everything(model)
    sizes = {"N": 1, "H": side, "W": side}
    arguments = [torch.full((1, 1, side, side), 50.0)]
    arguments += [torch.full([sizes.get(n, n) for n in i.shape], i.default) for i in further.values()]
    axes = {"L": {0: "N", 2: "H", 3: "W"}, "ab": {0: "N", 2: "h", 3: "w"}}
    for name, one in (further | outputs).items():
        axes[name] = {i: axis for i, axis in enumerate(one.shape) if isinstance(axis, str)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecation and of traced constants
        torch.onnx.export(
            model, tuple(arguments), str(path), input_names=["L", *further], output_names=["ab", *outputs],
            dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    if precision == 16:
        graph = onnx.load(path)
        store_as_float16(graph)
        onnx.save(graph, path)
    onnx.checker.check_model(str(path), full_check=True)


class _Everything(nn.Module):
    """A recipe's model as the graph that also has its further outputs."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, L: Tensor, *inputs: Tensor) -> Any:
        return self.model.everything(L, *inputs)


def check_parity(model: nn.Module, session: Session, records: Sequence[Record], size: int) -> float:
    """Compare the exported graph with its source on photographs; the share of pixels within the limit.

    They are squares of `size` pixels, or as many more as the network needs.

    Raises ModelError where the share is under `PARITY_SHARE`.
    """
    close = total = 0
    multiple = session.card.multiple
    size = -(-size // multiple) * multiple
    for record in records:
        rgb = cv2.resize(center_crop(decode_rgb8(record.read())), (size, size), interpolation=cv2.INTER_AREA)
        L = rgb_to_lab(rgb.astype(np.float32) / 255)[None, None, ..., 0]
        with torch.no_grad():
            wanted = model(torch.from_numpy(L)).numpy()
        difference = np.abs(session.run(L) - wanted).max(axis=1)
        close, total = close + int((difference <= PARITY_LIMIT).sum()), total + difference.size
    if close < PARITY_SHARE * total:
        raise ModelError(
            f"The exported graph is not its source: {1 - close / total:.2%} of the pixels differ by more "
            f"than {PARITY_LIMIT} Lab units."
        )
    return close / total


def export(
    model: Any,
    out: Path,
    card: ModelCard,
    photographs: Sequence[Path],
    score_size: int = 224,
    distance: evaluate.Distance | None = None,
    limit: int | None = None,
    precision: int = 16,
    image_column: str = "",
    names: Collection[str] = (),
    learnt_from: Collection[tuple[object, ...]] | None = (),
) -> ModelCard:
    """Write `NAME.onnx` and `NAME.toml` of a recipe's model into `out`, checked and scored on `photographs`.

    `card` gives what cannot be computed (name, licence, sources …). The files appear only when all went well.
    `image_column` is where Parquet files hold pictures. Of the photographs those of `names` are taken, if
    any are named, and at most `limit`, evenly spread; those that cannot be read or have no colour are passed
    over, and counted on the screen. The card says how many of them lie at the places that were `learnt_from`,
    or, if that is None, that nobody knows. DataError where none is left.
    """
    out.mkdir(parents=True, exist_ok=True)
    temporary = tempfile.TemporaryDirectory(prefix=f".{card.name}.", suffix=".part", dir=out)
    with writing(out / f"{card.name}.onnx"), temporary as work:
        onnx_file = Path(work) / f"{card.name}.onnx"
        export_onnx(model, onnx_file, precision=precision)
        card = _replace(card, path=onnx_file, **_facts(model, onnx_file.read_bytes()))
        session = Session(card, threads=1)
        records = _usable(photographs, image_column, names, limit, score_size)
        try:
            parity = check_parity(model, session, records[:50], score_size)
        except ModelError as error:
            hint = " Weights of 16 bits may be too coarse for it: try --precision 32."
            raise ModelError(f"{error}{hint if precision == 16 else ''}") from None
        scores = _score(session, records, score_size, distance)
        side = f"{score_size}×{score_size} centre crop"
        how = f"{count_of(len(records), 'photograph')}, {side}, "
        how += f"the truth's L kept, shown to the network at {card.size}"
        how += _told_of_learnt(records, learnt_from)
        card = _replace(card, scores={"how": how, "parity": parity, **scores})
        card_file = onnx_file.with_suffix(".toml")
        card_file.write_text(card.to_toml(), encoding="utf-8")
        read_card(card_file)  # or ModelError, before a good one is replaced
        for file in (onnx_file, card_file):
            file.replace(out / file.name)
    return _replace(card, path=out / onnx_file.name)


def _usable(
    photographs: Sequence[Path], image_column: str, names: Collection[str], limit: int | None, size: int
) -> list[Record]:
    found = [r for r in find_records(photographs, image_column) if not names or r.name in names]
    every = max(1, len(found) // limit) if limit else 1
    taken = found[::every][:limit]
    usable = [record for record in taken if _has_colour(record, size)]
    if not usable:
        raise DataError(
            "None of the photographs to check on could be read and has colour; name others with --data."
        )
    if left_out := len(taken) - len(usable):
        print(f"{count_of(left_out, 'photograph')} to score on could not be read or had no colour.")
    return usable


def _has_colour(record: Record, size: int) -> bool:
    try:
        return not Truth(record.name, cut(decode_rgb8(record.read()), size, "center")).is_grey
    except (DataError, OSError):
        return False


def _told_of_learnt(records: Sequence[Record], places: Collection[tuple[object, ...]] | None) -> str:
    """How many of the photographs that score a model it learnt from, as the end of a sentence."""
    if places is None:
        return "; how many of these it learnt from is not known"
    learnt = sum(record.place in places for record in records)
    some = "these photographs" if learnt == len(records) else f"{learnt} of these photographs"
    return f"; it learnt from {some}" if learnt else ""


def _facts(model: Any, data: bytes) -> dict[str, Any]:
    """What a card states of the model and of its file's bytes."""
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "file_bytes": len(data),
        "parameters": sum(p.numel() for p in copy.deepcopy(model).for_export().parameters()),
        "stride": model.stride,
        "multiple": model.multiple,
        "inputs": {n: {"default": i.default, "description": i.description} for n, i in model.inputs.items()},
        "outputs": {n: {"description": o.description} for n, o in model.outputs.items()},
    }


def commit_id() -> str:
    """The commit of the source tree this package is imported from, or "" outside one."""
    git = ["git", "-C", str(Path(__file__).parent)]

    def answer(*words: str) -> str:
        return subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        answer("ls-files", "--error-unmatch", Path(__file__).name)  # not of a project that it is installed in
        return answer("rev-parse", "--short=12", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return ""


def predictor(session: Session) -> evaluate.Predictor:
    """A session as the evaluator takes it, L (H, W) to ab (h, w, 2), fed at the size that its card names."""
    size, stride = session.card.size, session.card.stride
    return lambda L: run_padded(session, resize_for_network(L, size, stride), {})


def _score(
    session: Session, records: Sequence[Record], size: int, distance: evaluate.Distance | None
) -> dict[str, dict[str, float]]:
    def pictures() -> Any:
        for record in records:
            yield cut(decode_rgb8(record.read()), size, "center")

    means = [rgb_to_lab(p.astype(np.float32) / 255)[..., 1:].mean((0, 1)) for p in pictures()]
    a, b = map(float, np.mean(means, axis=0))
    models = {
        session.card.name: predictor(session),
        "constant": evaluate.constant((a, b)),
        "gray": evaluate.gray,
    }
    scores = evaluate.score(models, pictures, distance)
    return {name: {k: round(v, 4) for k, v in table.items()} for name, table in scores.items()}


def _replace(card: ModelCard, **values: Any) -> ModelCard:
    return dataclasses.replace(card, **values)
