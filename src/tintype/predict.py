"""A model's answers for a picture at the network's size: its colours, other versions, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype.candidates import propose
from tintype.cards import ModelCard
from tintype.confidence import confidence_of
from tintype.errors import SettingsError
from tintype.framing import network_size, outputs_padded, resize_for_network, run_padded
from tintype.session import Session

Float = NDArray[np.float32]

# Cells of the model's own size over which colours are taken from there when it is shown a larger picture.
# Measured on photographs shown at twice the size: 4 leave 2.7 of 8.2 Lab units of difference, and 1.2 of 1.3
# dB of what the larger size had lost; less would give up the finer colours that it is asked for.
_ANCHOR_SIGMA = 2.0
_LIKE_NEEDS = ("bin_probs", "bins")


def predict(session: Session, L: Float, inputs: Mapping[str, Float]) -> Float:
    """L (h, w), multiples of the model's stride, to ab (h / stride, w / stride, 2) in Lab units.

    Where L is larger than the model's own size, the model is run there too, and the larger one's colours are
    shifted so that they agree with it over larger areas: colours then hang little on the size, and what the
    model was trained for decides on them. It costs that one more, smaller run.
    """
    return _anchored(session, L, inputs, run_padded(session, L, inputs))


def predict_versions(session: Session, L: Float, inputs: Mapping[str, Float], count: int) -> list[Float]:
    """`count` plausible versions as `predict` gives one, the first being its own.

    SettingsError for a model whose graph does not give `bin_probs` and `bins`.
    """
    check_weighs_bins(session.card, "several versions")
    found = outputs_padded(session, L, inputs, ("ab", *_LIKE_NEEDS))
    others = propose(found["bin_probs"], found["bins"], count)[1:]
    own = _anchored(session, L, inputs, found["ab"])
    return [own] + [ab + (own - found["ab"]) for ab in others]


def predict_confidence(session: Session, L: Float, inputs: Mapping[str, Float]) -> Float:
    """How sure the model is of what `predict` gives: (h / stride, w / stride), 0…1, see `confidence`.

    SettingsError where it cannot tell. Costs one run more: the sureness is that of the distribution at
    vividness 0, which is as the model believes, where the model has that input.
    """
    check_weighs_bins(session.card, "how sure it is")
    plain = {"vividness": np.zeros((), np.float32)} if "vividness" in session.inputs else {}
    found = outputs_padded(session, L, {**inputs, **plain}, _LIKE_NEEDS)
    return confidence_of(found["bin_probs"], found["bins"], predict(session, L, inputs))


def check_weighs_bins(card: ModelCard, what: str) -> None:
    """SettingsError for a model that does not tell how it weighs bins of colour, which `what` is made of."""
    if not card.outputs.keys() >= set(_LIKE_NEEDS):
        raise SettingsError(f"The model {card.name} cannot give {what}: it weighs no bins of colour.")


def _anchored(session: Session, L: Float, inputs: Mapping[str, Float], ab: Float) -> Float:
    """`ab`, the model's answer for L, shifted towards its answer at its own size where that is smaller."""
    card = session.card
    size = network_size(L.shape[0], L.shape[1], card.size, card.stride)
    if size[0] * size[1] >= L.size:
        return ab
    L = resize_for_network(L, card.size, card.stride)
    own = run_padded(session, L, {name: _shrunk(name, inputs, size) for name in inputs})
    shift = own - cv2.resize(ab, own.shape[1::-1], interpolation=cv2.INTER_AREA)
    shift = cv2.GaussianBlur(shift, (0, 0), _ANCHOR_SIGMA, borderType=cv2.BORDER_REFLECT)
    return np.asarray(ab + cv2.resize(shift, ab.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _shrunk(name: str, inputs: Mapping[str, Float], size: tuple[int, int]) -> Float:
    """An input for a smaller picture (h, w): maps of hints keep their colours and lose no hint."""
    value = inputs[name]
    if value.ndim != 4:
        return value

    def area(maps: Float) -> Float:
        channels = [cv2.resize(channel, size[::-1], interpolation=cv2.INTER_AREA) for channel in maps[0]]
        return np.stack(channels)[None]

    if name == "hint_mask":
        return np.asarray(area(value) > 0, np.float32)
    mask = inputs["hint_mask"]
    return np.asarray(area(value * mask) / np.maximum(area(mask), 1e-6), np.float32)
