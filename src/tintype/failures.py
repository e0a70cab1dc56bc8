"""What an exception means to the user, in words, whatever raised it."""

from __future__ import annotations

import traceback
from pathlib import Path

from tintype.errors import TintypeError
from tintype.words import plain_words


def words_for(error: Exception) -> str:
    """The reason in one line; a place to report for what should not have happened."""
    if isinstance(error, TintypeError):
        reason = str(error)
    elif isinstance(error, MemoryError):
        reason = "there is not enough memory for this picture"
    elif isinstance(error, OSError):
        reason = plain_words(error)
    else:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name} line {place.lineno}"
        reason = f"a fault in Tintype, please report it: {type(error).__name__} in {where}: {error}"
    return " ".join(reason.splitlines())
