"""From a model in use to one that computes in 8 bits: calibrate, quantise, compare, write the card.

Activations become uint8 and weights int8, one scale a channel, after ranges that calibration photographs
show (onnxruntime's static quantisation, its nodes in pairs of QuantizeLinear and DequantizeLinear). What
decodes colours, reads hints or is too touchy stays float32.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from tintype import evaluate, metrics
from tintype.cards import ModelCard
from tintype.errors import InputError, ModelError, SettingsError, TintypeError
from tintype.evaluate.models import full_size
from tintype.evaluate.told import random_hints
from tintype.evaluate.truths import Photographs, Truth, cut
from tintype.images import decode_rgb8
from tintype.session import Session
from tintype.train.export import commit_id, predictor
from tintype.train.graph_weights import store_as_float16
from tintype.words import count_of

SCORED_SIDE = 224  # pixels of the centre crops on which the two are compared
_PASS_ON = ("Clip", "Relu", "Add", "Resize")  # they compute in 8 bits where all that they are given is
_HINTED = 4  # every so many of the calibration photographs comes with hints, if the model takes some …
_POINTS = 5  # … at so many points


def quantize(
    card: ModelCard, out: Path, calibration: Photographs, judged: Photographs, stays_float: Sequence[str]
) -> ModelCard:
    """Write a model's 8-bit form to `out`, NAME.onnx, and its card, and give that.

    `calibration` photographs set the ranges; the scores on the card are of `judged`, for both models.
    `stays_float` are beginnings of the names of nodes that keep float32. Raises ModelError for a model in
    which there is nothing to quantise. The files appear only when all went well.
    """
    session = Session(card, threads=1)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.stem}.", suffix=".part", dir=out.parent) as work:
        plain, file = Path(work) / "float.onnx", Path(work) / out.name
        quant_pre_process(str(card.path), str(plain), skip_symbolic_shape=True)
        names = nodes_in_8_bits(onnx.load(plain), stays_float)
        if not names:
            raise ModelError(f"{card.name} has no convolution that could compute in 8 bits.")
        quantize_static(
            str(plain), str(file), _Calibration(session, calibration), quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", *_PASS_ON], nodes_to_quantize=sorted(names), per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        graph = onnx.load(file)
        store_as_float16(graph)  # what stays float was stored so before
        onnx.save(graph, file)
        onnx.checker.check_model(str(file), full_check=True)
        new = _card(card, file, len(calibration), stays_float)
        new = dataclasses.replace(new, scores=compare(session, Session(new, threads=1), judged))
        file.with_suffix(".toml").write_text(new.to_toml(), encoding="utf-8")
        for one in (file, file.with_suffix(".toml")):
            one.replace(out.parent / one.name)
    return dataclasses.replace(new, path=out)


def nodes_in_8_bits(model: onnx.ModelProto, stays_float: Sequence[str]) -> set[str]:
    """Names of the convolutions with fixed weights, but for those that stay float, and of what joins them."""
    fixed = {tensor.name for tensor in model.graph.initializer}
    for start in stays_float:
        if not any(node.name.startswith(start) for node in model.graph.node):
            raise SettingsError(f"No node of the graph has a name that begins with {start!r}: mend --float.")
    made_by = {output: node.name for node in model.graph.node for output in node.output}
    names: set[str] = set()
    for node in model.graph.node:  # in the order in which they are computed
        if node.name.startswith(tuple(stays_float)):
            continue
        given = [made_by.get(name, "") for name in node.input if name and name not in fixed]
        convolves = node.op_type == "Conv" and node.input[1] in fixed
        if convolves or (node.op_type in _PASS_ON and set(given) <= names):
            names.add(node.name)
    return names


def compare(
    session: Session, other: Session, photographs: Photographs, size: int = SCORED_SIDE
) -> dict[str, Any]:
    """The scores of a model and of its 8-bit form, `other`, and the mean ab distance between their colours.

    The photographs are centre crops of `size` pixels; ab_distance is in Lab units, at that size.
    """
    models = {one.card.name: predictor(one) for one in (session, other)}

    distances = []
    for truth in _truths(photographs, size):
        L = truth.L
        distances.append(metrics.ab_distance(*(full_size(predict(L), L) for predict in models.values())))
    scores = evaluate.score(
        models | {"gray": evaluate.gray}, lambda: (truth.rgb8 for truth in _truths(photographs, size))
    )
    rounded = {name: {k: round(v, 4) for k, v in table.items()} for name, table in scores.items()}
    how = f"{len(photographs)} photographs, {size}×{size} centre crop, the truth's L kept"
    return {"how": how, "ab_distance": round(float(np.mean(distances)), 4)} | rounded


def usable(photographs: Photographs, size: int = 0) -> tuple[Photographs, list[str]]:
    """Those that can be read, and sentences on the others. InputError where there is none.

    If they are to be scored on, as centre crops of `size` pixels, they must have colour, too.
    """
    good, told = [], []
    for place, (record, name) in enumerate(zip(photographs.records, photographs.names, strict=True)):
        try:
            rgb8 = decode_rgb8(record.read())
            if size and Truth(name, cut(rgb8, size, "center")).is_grey:
                raise InputError("it is grey")
            good.append(place)
        except (TintypeError, OSError) as error:
            told.append(_why_not(name, error))
    if not good:
        raise InputError(f"Of {count_of(len(told), 'photograph')} none can be used. {told[0]}")
    chosen = {
        key: [getattr(photographs, key)[place] for place in good] for key in ("records", "names", "labels")
    }
    return dataclasses.replace(photographs, **chosen), told


def _why_not(name: str, error: Exception) -> str:
    return f"{name} cannot be used: {str(error).rstrip('.')}."


def _truths(photographs: Photographs, size: int) -> Iterator[Truth]:
    """Centre crops of `size` pixels. InputError, naming the photograph, for one that cannot be read."""
    for record, name in zip(photographs.records, photographs.names, strict=True):
        try:
            yield Truth(name, cut(decode_rgb8(record.read()), size, "center"))
        except (TintypeError, OSError) as error:
            raise InputError(_why_not(name, error)) from None


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Gives the model one photograph after the other, squares of the card's size."""

    def __init__(self, session: Session, photographs: Photographs) -> None:
        self._session = session
        multiple = session.card.multiple
        side = -(-session.card.size // multiple) * multiple
        self._truths = enumerate(_truths(photographs, side))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The inputs of the next one, None after the last."""
        number, truth = next(self._truths, (0, None))
        if truth is None:
            return None
        inputs: dict[str, NDArray[np.float32]] = {}
        if number % _HINTED == 0 and {"hint_ab", "hint_mask"} <= self._session.inputs.keys():
            height, width = truth.L.shape
            told = random_hints(truth, (height, width), _POINTS, seed=0)
            inputs = {"hint_ab": told.hint_ab, "hint_mask": told.hint_mask}
        return self._session.values(truth.L[None, None], **inputs)


def _card(card: ModelCard, file: Path, count: int, stays_float: Sequence[str]) -> ModelCard:
    data = file.read_bytes()
    told = f"least and greatest values over {count} photographs"
    kept = f"; float32 stay, beside what decodes colours, {', '.join(stays_float)}" if stays_float else ""
    return dataclasses.replace(
        card,
        name=file.stem,
        description=f"{card.name} {card.version} in 8 bits. {card.description}",
        sha256=hashlib.sha256(data).hexdigest(),
        file_bytes=len(data),
        commit=commit_id(),
        training=card.training | {"int8": f"uint8 activations and int8 weights, {told}{kept}"},
        scores={},
        path=file,
    )
