"""Tintype gives colour to black-and-white photographs.

    from tintype import Colorizer
    Colorizer()("portrait.jpg")     # writes portrait.color.jpg beside it

Names are loaded when first used, so that `import tintype` costs nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tintype.colorizer import Colorizer
    from tintype.errors import (
        DataError,
        InputError,
        ModelError,
        OutputError,
        OutputExistsError,
        SettingsError,
        TintypeError,
        TooLargeError,
    )
    from tintype.hints import Hint
    from tintype.images import Limits
    from tintype.results import FileResult

# onnxruntime, from 1.31 on, notes each use under the home folder and reports it to its makers; read when it
# is first imported. A program that wants that sets the variable itself.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

__all__ = [
    "Colorizer",
    "DataError",
    "FileResult",
    "Hint",
    "InputError",
    "Limits",
    "ModelError",
    "OutputError",
    "OutputExistsError",
    "SettingsError",
    "TintypeError",
    "TooLargeError",
    "__version__",
]

_HOMES = {
    "Colorizer": "tintype.colorizer",
    "FileResult": "tintype.results",
    "Hint": "tintype.hints",
    "Limits": "tintype.images",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module and keep it here. AttributeError for any other name."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES.get(name, "tintype.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
