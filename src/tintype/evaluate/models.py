"""What is scored: models as users run them, and the two that any model must beat, `gray` and `mean`."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype import cards
from tintype.cards import ModelCard
from tintype.color import lab_to_rgb, rgb_to_lab
from tintype.colorizer import Colorizer
from tintype.errors import ModelError, SettingsError
from tintype.evaluate.truths import RGB8, Float, Survey, Truth, to_float
from tintype.framing import resize_for_network, run_padded
from tintype.session import Session

HINT_SIDE = 7  # pixels, at the network's resolution, of the patch that one hint reveals
BASELINES = ("gray", "mean")


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
    end_to_end: bool = False
    """Score the whole pipeline, from the BT.601 grey picture to the colours written."""
    seed: int = 0
    threads: int | None = None
    """Processor threads of a network; the runtime's choice by default."""

    def __post_init__(self) -> None:
        """Raises SettingsError for what cannot be."""
        if not 16 <= self.size <= 4096:
            raise SettingsError(f"--size must be from 16 to 4096 pixels, not {self.size}.")
        if self.input_size is not None and not 32 <= self.input_size <= 2048:
            raise SettingsError(f"--input-size must be from 32 to 2048 pixels, not {self.input_size}.")
        if self.random_hints and self.end_to_end:
            raise SettingsError("--random-hints and --end-to-end cannot be had together.")


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


class Constant(Model):
    """The same ab everywhere: none for `gray`, the photographs' mean for `mean`.

    The photographs are those that are scored on, so `mean` is the best constant that there could be.
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
        self.digest = session.card.sha256[:16] + "".join(f",{k}={v}" for k, v in self._inputs.items())
        self._session, self._options = session, options
        self._size = options.input_size or session.card.size
        lacks = {"hint_ab", "hint_mask"} - session.inputs.keys()
        if options.random_hints and lacks:
            raise SettingsError(f"The model {self.name} takes no hints: leave out it or --random-hints.")

    def predict(self, truth: Truth) -> Prediction:
        """The network's ab, merged with the truth's L."""
        return merge(truth.L, self.small_ab(truth))

    def small_ab(self, truth: Truth) -> Float:
        """ab (h, w, 2) as the network gives it. ModelError where that is no number."""
        L = resize_for_network(truth.L, self._size, self._session.card.stride)
        hints = random_hints(truth, L.shape, self._options) if self._options.random_hints else {}
        ab = run_padded(self._session, L, self._inputs | hints)
        if not np.isfinite(ab).all():
            raise ModelError("it gave ab that is no number.")
        return ab


class Pipeline(Model):
    """A model with all that the runtime does around it: a grey picture of 8 bits in, written colours out."""

    def __init__(self, card: ModelCard, options: Options, *, name: str = "", vividness: float = 1.0) -> None:
        self.card = card
        self.name = name or card.name
        self.digest = card.sha256[:16] + ("" if vividness == 1 else f",vividness={vividness}")
        self._colorizer = Colorizer(
            card.path, size=options.input_size, threads=options.threads, vividness=vividness
        )

    def predict(self, truth: Truth) -> Prediction:
        """The colours written for the truth's grey version."""
        rgb8 = self._colorizer(truth.luma8)
        return Prediction(rgb_to_lab(to_float(rgb8))[..., 1:], rgb8)


def merge(L: Float, ab: Float) -> Prediction:
    """L (H, W) and ab (h, w, 2), brought up bilinearly, as Lab; clipped to RGB and rounded to 8 bits."""
    if ab.shape[:2] != L.shape:
        ab = cv2.resize(ab, L.shape[::-1], interpolation=cv2.INTER_LINEAR)
    rgb = lab_to_rgb(np.concatenate([L[..., None], ab], axis=-1))
    return Prediction(ab, np.rint(rgb * 255).astype(np.uint8))


def random_hints(truth: Truth, size: tuple[int, ...], options: Options) -> dict[str, NDArray[np.float32]]:
    """`hint_ab` (1, 2, H, W) and `hint_mask` (1, 1, H, W) for a network that sees (H, W).

    Each of the points reveals the mean true ab of a patch of `HINT_SIDE`, as in Zhang et al. 2017; where they
    lie hangs on the seed and the photograph's name.
    """
    height, width = size
    ab = cv2.resize(truth.ab, (width, height), interpolation=cv2.INTER_AREA)
    hint_ab = np.zeros((1, 2, height, width), np.float32)
    mask = np.zeros((1, 1, height, width), np.float32)
    rng = np.random.default_rng((options.seed, zlib.crc32(truth.name.encode())))
    half = HINT_SIDE // 2
    for _ in range(options.random_hints):
        y, x = rng.integers(height), rng.integers(width)
        patch = np.s_[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
        hint_ab[0][:, *patch] = ab[patch].mean((0, 1))[:, None, None]
        mask[0, 0][patch] = 1
    return {"hint_ab": hint_ab, "hint_mask": mask}


def open_models(names: Sequence[str], options: Options) -> list[Model]:
    """The models that a command names, each with its own name.

    A model with the input `vividness` comes twice: at its default, and as NAME (mean) at 0, where it gives
    the mean of the likely colours. Raises ModelError for a model that cannot be had, SettingsError for one
    that takes no hints though they are asked for.
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


def _give_own_names(models: Sequence[Model]) -> None:
    """Where two models share a name, tell them apart by their files' folders, then by their hashes."""
    for name_of in (_with_folder, _with_hash):
        names = [model.name for model in models]
        for model in models:
            if names.count(model.name) > 1 and model.card is not None:
                model.name = name_of(model)


def _with_folder(model: Model) -> str:
    folder = Path(model.card.path).resolve().parent.name if model.card else ""
    return f"{folder}/{model.name}"


def _with_hash(model: Model) -> str:
    return f"{model.name} {model.digest[:6]}"
