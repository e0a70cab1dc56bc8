"""What is scored: models as users run them, and the two that any model must beat, `gray` and `mean`."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype import __version__, cards
from tintype.cards import ModelCard
from tintype.color import lab_to_rgb, rgb_to_lab
from tintype.colorizer import Colorizer
from tintype.errors import ModelError, SettingsError
from tintype.evaluate.aged import Ager, ager
from tintype.evaluate.told import random_hints
from tintype.evaluate.truths import CROPS, RGB8, TRUTH, Float, Survey, Truth, to_float
from tintype.framing import network_size, resize_for_network, run_padded
from tintype.session import Session

BASELINES = ("gray", "mean")
_NETWORK_SIDES = (32, 2048)  # pixels, of the shorter side that a network may be shown


@dataclass(frozen=True, kw_only=True)
class Options:
    """How models are scored."""

    size: int = 256
    """Side of the evaluated picture in pixels; the shorter one where nothing is cropped."""
    crop: str = "center"
    input_size: int | None = None
    """Shorter side at which networks see the picture; their cards' by default."""
    random_hints: int = 0
    """Points at which the network is told the true colour."""
    steady_sizes: tuple[int, ...] = ()
    """Further shorter sides at which networks see the picture, to tell how far its colours move."""
    end_to_end: bool = False
    """Score the whole pipeline, from the BT.601 grey picture to the colours written."""
    damage: tuple[str, ...] = ()
    """What age has done to the grey that networks see, of `tintype.train.damage`; the truth stays whole."""
    seed: int = 0
    threads: int | None = None
    """Processor threads of a network; the runtime's choice by default."""

    def __post_init__(self) -> None:
        """Raises SettingsError for what cannot be."""
        if not 16 <= self.size <= 4096:
            raise SettingsError(f"--size must be from 16 to 4096 pixels, not {self.size}.")
        least, most = _NETWORK_SIDES
        own = () if self.input_size is None else (self.input_size,)
        for flag, sides in (("--input-size", own), ("--steady-sizes", self.steady_sizes)):
            for side in sides:
                if not least <= side <= most:
                    raise SettingsError(f"{flag} must be from {least} to {most} pixels, not {side}.")
        if self.crop not in CROPS:
            raise SettingsError(f"--crop must be one of {', '.join(CROPS)}, not {self.crop!r}.")
        if self.threads is not None and self.threads < 1:
            raise SettingsError(f"--threads must be 1 or more, not {self.threads}.")
        if self.random_hints < 0:
            raise SettingsError(f"--random-hints must be 0 or more, not {self.random_hints}.")
        if self.seed < 0:
            raise SettingsError(f"--seed must be 0 or more, not {self.seed}.")
        flags = {
            "--random-hints": self.random_hints,
            "--steady-sizes": self.steady_sizes,
            "--end-to-end": self.end_to_end,
        }
        given = [flag for flag, value in flags.items() if value]
        if len(given) > 1 or (self.end_to_end and self.damage):
            given += ["--damage"] if self.damage else []
            raise SettingsError(f"{' and '.join(given)} cannot be had together.")


class Prediction(NamedTuple):
    """A model's colours for one photograph."""

    ab: Float
    """(H, W, 2), Lab units, before anything is clipped; of the written picture if the pipeline is scored."""
    rgb8: RGB8
    """(H, W, 3), as it would be written."""


class Model(ABC):
    """Something that gives colour to a grey picture; `digest` tells it from all others."""

    name: str
    digest: str
    card: ModelCard | None = None

    def prepare(self, survey: Survey) -> None:  # noqa: B027 (most models need nothing)
        """Take what the photographs as a whole tell."""

    @abstractmethod
    def predict(self, truth: Truth) -> Prediction:
        """The colours for `truth`, whose lightness alone may be looked at, but for hints."""

    def view(self, truth: Truth) -> tuple[int, int]:
        """(H, W) at which it looks at a photograph and is told hints."""
        height, width = truth.L.shape
        return height, width

    def ab_at(self, truth: Truth, size: int) -> Float:
        """ab (h, w, 2), Lab units, with `size` pixels on the shorter side of what it looks at.

        Raises ModelError where it cannot be shown other sizes.
        """
        raise ModelError("it cannot be shown other sizes: leave out it or --steady-sizes.")


class Constant(Model):
    """The same ab everywhere: none for `gray`, the photographs' mean for `mean`.

    The photographs are those that are scored on, so `mean` is the best constant for squared ab errors.
    """

    def __init__(self, kind: str, end_to_end: bool = False, name: str = "") -> None:
        self.name = name or kind
        self.digest = kind
        self._end_to_end = end_to_end
        self._ab = np.zeros(2, np.float32)

    def prepare(self, survey: Survey) -> None:
        """Take the mean, where that is what is asked for."""
        if self.digest == "mean":
            self._ab = np.array(survey.mean_ab, np.float32)

    def predict(self, truth: Truth) -> Prediction:
        """The constant over the truth's L, or over that of the grey picture."""
        L = truth.L
        if self._end_to_end:
            L = rgb_to_lab(to_float(np.repeat(truth.luma8[..., None], 3, axis=-1)))[..., 0]
        return merge(L, np.broadcast_to(self._ab, (*L.shape, 2)))

    def ab_at(self, truth: Truth, size: int) -> Float:
        """The constant, whatever the size."""
        return self.predict(truth).ab


class Network(Model):
    """A model file by the field's convention: the truth's L goes in and is kept."""

    def __init__(
        self,
        session: Session,
        options: Options,
        *,
        name: str = "",
        inputs: dict[str, NDArray[np.float32]] | None = None,
    ) -> None:
        self.card = session.card
        self.name = name or session.card.name
        self._inputs = inputs or {}
        self.digest = _card_digest(session.card) + "".join(f",{k}={v}" for k, v in self._inputs.items())
        self._session, self._options = session, options
        self._size = options.input_size or session.card.size
        self._seen: Ager = ager(options.damage, options.seed) if options.damage else lambda truth: truth.L
        lacks = {"hint_ab", "hint_mask"} - session.inputs.keys()
        if options.random_hints and lacks:
            raise SettingsError(f"The model {self.name} takes no hints: leave out it or --random-hints.")
        if options.steady_sizes and not session.any_size:
            raise SettingsError(
                f"The model {self.name} takes pictures of one size alone: leave out it or --steady-sizes."
            )

    def predict(self, truth: Truth) -> Prediction:
        """The network's ab, merged with the truth's L."""
        return merge(truth.L, self.ab_at(truth, self._size))

    def view(self, truth: Truth) -> tuple[int, int]:
        """The size that its card or the options name, as the photograph's aspect and its stride shape it."""
        height, width = truth.L.shape
        return network_size(height, width, self._size, self._session.card.stride)

    def ab_at(self, truth: Truth, size: int) -> Float:
        """ab (h, w, 2) as the network gives it. ModelError where that is no number."""
        L = resize_for_network(self._seen(truth), size, self._session.card.stride)
        inputs = dict(self._inputs)
        if self._options.random_hints:
            told = random_hints(truth, self.view(truth), self._options.random_hints, self._options.seed)
            inputs |= {"hint_ab": told.hint_ab, "hint_mask": told.hint_mask}
        return run_padded(self._session, L, inputs)


class Pipeline(Model):
    """A model with all that the runtime does around it: a grey picture of 8 bits in, written colours out."""

    def __init__(self, card: ModelCard, options: Options, *, name: str = "", vividness: float = 1.0) -> None:
        self.card = card
        self.name = name or card.name
        # All that the runtime does is scored: another version may do it otherwise.
        self.digest = f"{_card_digest(card)},tintype={__version__}"
        self.digest += "" if vividness == 1 else f",vividness={vividness}"
        self._colorizer = Colorizer(
            card.path, size=options.input_size, threads=options.threads, vividness=vividness
        )

    def predict(self, truth: Truth) -> Prediction:
        """The colours written for the truth's grey version."""
        rgb8 = self._colorizer(truth.luma8)
        return Prediction(rgb_to_lab(to_float(rgb8))[..., 1:], rgb8)


def merge(L: Float, ab: Float) -> Prediction:
    """L (H, W) and ab (h, w, 2), brought up bilinearly, as Lab; clipped to RGB and rounded to 8 bits."""
    ab = full_size(ab, L)
    rgb = lab_to_rgb(np.concatenate([L[..., None], ab], axis=-1))
    return Prediction(ab, np.rint(rgb * 255).astype(np.uint8))


def full_size(ab: Float, L: Float) -> Float:
    """ab (h, w, 2), brought bilinearly to the size of L (H, W)."""
    if ab.shape[:2] == L.shape:
        return ab
    return cv2.resize(ab, L.shape[::-1], interpolation=cv2.INTER_LINEAR)


def open_models(names: Sequence[str], options: Options) -> list[Model]:
    """The models that a command names, each with its own name.

    A model with the input `vividness` comes twice: at its default, and as NAME (mean) at 0, where it gives
    the mean of the likely colours. Raises ModelError for a model that cannot be had, SettingsError for one
    that takes no hints, or no other size, though they are asked for.
    """
    models: list[Model] = []
    for text in dict.fromkeys(names):
        if text in BASELINES:
            models.append(Constant(text, options.end_to_end))
        else:
            models += _variants(cards.find_model(text), options)
    _give_own_names(models)
    return models


def _variants(card: ModelCard, options: Options) -> list[Model]:
    mean = f"{card.name} (mean)"
    twice = "vividness" in card.inputs
    if options.end_to_end:
        one: list[Model] = [Pipeline(card, options)]
        return [*one, Pipeline(card, options, name=mean, vividness=0.0)] if twice else one
    session = Session(card, options.threads)
    one = [Network(session, options)]
    still = {"vividness": np.zeros((), np.float32)}
    return [*one, Network(session, options, name=mean, inputs=still)] if twice else one


def _card_digest(card: ModelCard) -> str:
    """Tells a model by its file and by what else of its card shapes the colours that it gives."""
    defaults = {name: entry["default"] for name, entry in card.inputs.items()}
    shaping = json.dumps([card.size, card.multiple, card.stride, defaults], sort_keys=True)
    return f"{card.sha256[:16]}-{hashlib.sha256(shaping.encode()).hexdigest()[:8]}"


def _give_own_names(models: Sequence[Model]) -> None:
    """Where two models share a name, tell them apart by their files' folders, hashes, and at last numbers.

    `TRUTH` is taken by the photographs themselves.
    """
    for name_of in (_with_folder, _with_hash):
        names = [TRUTH, *(model.name for model in models)]
        for model in models:
            if names.count(model.name) > 1 and model.card is not None:
                model.name = name_of(model)
    names = [TRUTH]
    for model in models:
        name, number = model.name, 2
        while model.name in names:
            model.name, number = f"{name} ({number})", number + 1
        names.append(model.name)


def _with_folder(model: Model) -> str:
    folder = Path(model.card.path).resolve().parent.name if model.card else ""
    return f"{folder}/{model.name}"


def _with_hash(model: Model) -> str:
    """With the file's hash, and that of the card: of one file there may be several cards."""
    file, _, card = model.digest.partition("-")
    return f"{model.name} {file[:6]}-{card[:4]}".rstrip("-")
