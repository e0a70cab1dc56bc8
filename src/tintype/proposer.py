"""One loaded model and what it was told, ready to propose colours for what is seen."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from tintype import chroma, guidance, predict
from tintype.errors import SettingsError
from tintype.hints import Hint, hint_maps
from tintype.session import Session
from tintype.view import View

MOST_CANDIDATES = 16
Float = NDArray[np.float32]


class Proposer:
    """A model's session with a strength, a vividness, main colours and hints, which are `Colorizer`'s.

    Raises SettingsError for what is out of range or the model does not take.
    """

    def __init__(
        self,
        session: Session,
        *,
        strength: float,
        vividness: float,
        colors: Sequence[str],
        hints: Sequence[Hint],
        threads: int | None,
    ) -> None:
        self.session = session
        self.strength, self.vividness = _checked_strength(strength), vividness
        self._check(hints)
        self.colors, self.hints, self.threads = tuple(colors), tuple(hints), threads
        self._inputs = guidance.graph_inputs(session, vividness, colors)

    def at(self, *, strength: float, vividness: float) -> Proposer:
        """The same loaded model at another strength and vividness."""
        other = copy.copy(self)
        other.strength, other.vividness = _checked_strength(strength), vividness
        other._inputs = guidance.graph_inputs(self.session, vividness, self.colors)
        return other

    def fields(self, view: View, count: int, hints: Sequence[Hint] | None) -> list[chroma.ChromaField]:
        """The colours of what is seen, or `count` versions of them where that is not 0."""
        return [self.field(view, ab) for ab in self.proposals(view, count, hints)]

    def field(self, view: View, ab: Float) -> chroma.ChromaField:
        """Upright ab (h, w, 2) as the colours of what is seen."""
        return view.field(ab, self.strength, self.threads)

    def proposals(self, view: View, count: int, hints: Sequence[Hint] | None) -> list[Float]:
        """The chroma of what is seen, upright, or of `count` versions of it where that is not 0."""
        maps = self._maps(view, hints)
        if count:
            return list(predict.predict_versions(self.session, view.L(), self._inputs | maps, count))
        return [self.predict(view.L(), maps)]

    def ab(self, view: View, hints: Sequence[Hint] | None) -> Float:
        """The chroma alone of what is seen, upright: ab (h, w, 2) in Lab units."""
        return self.predict(view.L(), self._maps(view, hints))

    def confidence(self, view: View, hints: Sequence[Hint] | None) -> Float:
        """How sure the model is of its colours: (h, w), 0…1, upright."""
        return predict.predict_confidence(self.session, view.L(), self._inputs | self._maps(view, hints))

    def predict(self, L: Float, maps: dict[str, Float]) -> Float:
        """L (h, w), multiples of the stride, and maps of hints to ab (h / stride, w / stride, 2)."""
        return predict.predict(self.session, L, self._inputs | maps)

    def _maps(self, view: View, hints: Sequence[Hint] | None) -> dict[str, Float]:
        """`hints`, or the model's own where they are None, as the graph takes them."""
        chosen = self.hints if hints is None else hints
        self._check(chosen)
        return hint_maps(chosen, view.L().shape, view.size, view.orientation) if chosen else {}

    def _check(self, hints: Sequence[Hint]) -> None:
        if not isinstance(hints, Sequence):
            raise SettingsError(f"Hints are a list of tintype.Hint, not a {type(hints).__name__}.")
        for hint in hints:
            if not isinstance(hint, Hint):
                raise SettingsError(f"Hints are objects of tintype.Hint, not {type(hint).__name__}.")
        if hints:
            guidance.check_takes(self.session, "hint_ab", "colours by hand")


def check_count(count: int) -> None:
    """SettingsError for a number of candidates that cannot be."""
    if not isinstance(count, Integral) or not 1 <= count <= MOST_CANDIDATES:
        raise SettingsError(f"There can be from 1 to {MOST_CANDIDATES} candidates, not {count!r}.")


def _checked_strength(strength: float) -> float:
    guidance.check_number("strength", strength, 0, 2)
    return strength
