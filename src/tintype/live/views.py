"""Where pictures are shown: a window, a browser, nowhere."""

from __future__ import annotations

import os
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tintype.errors import TintypeError

Rgb8 = NDArray[np.uint8]
KEYS = ("escape", "q", "s", "m", "space")


class View(Protocol):
    """What shows pictures and hears keys."""

    def show(self, picture: Rgb8) -> None:
        """Show RGB (H, W, 3) now."""
        ...

    def pressed(self) -> list[str]:
        """What was pressed since the last call, names of KEYS; closing the window is `escape`."""
        ...

    def close(self) -> None:
        """Take it away."""
        ...


def open_view(kind: str, port: int) -> View:
    """A view by name: window, web or none. TintypeError with the remedy where it cannot be."""
    if kind == "window":
        return Window()
    if kind == "web":
        from tintype.live.web import WebView

        return WebView(port)
    return Nowhere()


class Nowhere:
    """Shows nothing and hears nothing."""

    def show(self, picture: Rgb8) -> None:
        """Do nothing."""

    def pressed(self) -> list[str]:
        """None."""
        return []

    def close(self) -> None:
        """Nothing to take away."""


class Window:
    """A window of pygame, as large as the pictures or, where these are larger, as the screen allows."""

    def __init__(self) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            import pygame
        except ModuleNotFoundError:
            raise TintypeError(
                "A window needs more than is installed (pygame is missing): pip install 'tintype[live]'; "
                "--view web does without."
            ) from None
        self._pygame: Any = pygame
        try:
            pygame.display.init()
            seen = (
                pygame.display.get_driver() not in ("offscreen", "dummy") or "SDL_VIDEODRIVER" in os.environ
            )
            if not seen:
                raise pygame.error("no screen")
            self._room = pygame.display.get_desktop_sizes()[0]
        except (pygame.error, IndexError):
            pygame.display.quit()
            raise TintypeError(
                "There is no screen for a window; --view web shows it in a browser, --view none nowhere."
            ) from None
        self._screen: Any = None
        self._size = (0, 0)

    def show(self, picture: Rgb8) -> None:
        """Show RGB (H, W, 3), scaled to the window."""
        pygame = self._pygame
        height, width = picture.shape[:2]
        if self._size != (height, width):
            scale = min(1.0, 0.95 * self._room[0] / width, 0.9 * self._room[1] / height)
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            self._screen = pygame.display.set_mode(size, pygame.RESIZABLE)
            pygame.display.set_caption("Tintype")
            self._size = (height, width)
        surface = pygame.image.frombuffer(np.ascontiguousarray(picture), (width, height), "RGB")
        if self._screen.get_size() != (width, height):
            surface = pygame.transform.smoothscale(surface, self._screen.get_size())
        self._screen.blit(surface, (0, 0))
        pygame.display.flip()

    def pressed(self) -> list[str]:
        """What was pressed; closing the window is `escape`."""
        if self._screen is None:
            return []
        pygame = self._pygame
        pressed = []
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                pressed.append("escape")
            elif event.type == pygame.KEYDOWN and pygame.key.name(event.key) in KEYS:
                pressed.append(pygame.key.name(event.key))
        return pressed

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()
