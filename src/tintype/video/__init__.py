"""Films, file to file: new chroma for every picture, all else as it came. Needs the extra `video` (PyAV).

    from tintype import Colorizer
    from tintype.video import colorize_film
    colorize_film(Colorizer(), Path("film.mp4"))     # writes film.color.mp4 beside it

Names are loaded when first used, so that the command line can read the arguments at no cost.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tintype.video.options import FilmOptions, FilmResult
    from tintype.video.run import colorize_film

__all__ = ["FilmOptions", "FilmResult", "colorize_film"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("tintype.video.run"), name)
