"""The models that a service offers, each loaded once, when it is first asked for."""

from __future__ import annotations

import threading

from tintype.cards import ModelCard, find_model, list_models
from tintype.colorizer import Colorizer
from tintype.errors import SettingsError
from tintype.serve.settings import ServeSettings


class Shelf:
    """The models that ship, and the one that the settings name, which is loaded at once.

    Raises ModelError for a model that cannot be used.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        own = find_model(settings.model)
        self.default = own.name
        self.cards: dict[str, ModelCard] = {card.name: card for card in list_models()} | {own.name: own}
        self._loaded: dict[str, Colorizer] = {}
        self._lock = threading.Lock()
        self.colorizer(own.name)

    def name(self, asked: str | None) -> str:
        """The model that is meant. SettingsError for one that is not here: a request never names a file."""
        if asked is None:
            return self.default
        if asked not in self.cards:
            raise SettingsError(f"There is no model {asked[:40]!a}; choose from {', '.join(self.cards)}.")
        return asked

    def colorizer(self, name: str) -> Colorizer:
        """The model of a name that `name` gave."""
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = Colorizer(
                    self.cards[name].path,
                    threads=self._settings.threads,
                    provider=self._settings.provider,
                    limits=self._settings.limits,
                )
            return self._loaded[name]
