"""What is done with a damaged file: all that the commands would do with it, up to the network."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tintype.archive.manifest import read_last
from tintype.cards import read_card
from tintype.hints import read_hints
from tintype.images import Limits, Picture, Provenance, open_picture, output_format, save_picture
from tintype.images.icc import read_profile
from tintype.images.metadata import exif_orientation, iptc_of, repacked, without_thumbnail
from tintype.images.provenance import marked

OURS = Provenance("Tintype 1", "fuzzed 1", "00")
# A page of more pixels is a legitimate picture that merely takes time; the tests set limits of their own.
LIMITS = Limits(max_pixels_banded=1 << 22, max_pixels=1 << 22)
_folder = Path(tempfile.mkdtemp(prefix="tintype-fuzz-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
_file = _folder / "case"


class Flat:
    """A coloring without a network."""

    def rgb(self, y0: int, luma: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(luma[..., None], 3, axis=2)

    def planes_420(self, luma: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        size = ((luma.shape[0] + 1) // 2, (luma.shape[1] + 1) // 2)
        return np.full(size, 120, np.uint8), np.full(size, 140, np.uint8)


def a_picture(data: bytes, *, write: bool = True, limits: Limits = LIMITS) -> None:
    """Open it, read all of it, and write it as usual. Raises TintypeError or nothing."""
    with open_picture(data, limits) as picture:
        for page in picture.pages:
            page.thumbnail(8, 8)
            page.is_colored()
            page.alpha()
        if write:
            _write(picture)


def _write(picture: Picture) -> None:
    picture.provenance = OURS
    save_picture(picture, [Flat() for _ in picture.pages], BytesIO(), output_format(picture, None))


def a_card(data: bytes) -> None:
    """Read a model's card."""
    _file.write_bytes(data)
    read_card(_file)


def hints(data: bytes) -> None:
    """Read a file of hints."""
    _file.write_bytes(data)
    read_hints(_file)


def a_manifest(data: bytes) -> None:
    """Read a batch's manifest."""
    _file.write_bytes(data)
    for record in read_last(_file):
        _ = record.state, record.content, record.result()


def metadata(data: bytes) -> None:
    """EXIF, IPTC, XMP and ICC, each as if the bytes were such; a damaged one is to be told, not raised."""
    exif_orientation(data)
    without_thumbnail(data)
    repacked(data)
    iptc_of(data)
    read_profile(data, [].append, grey=len(data) % 2 == 0)
    try:
        once = marked(data, OURS)
    except ValueError:
        return
    assert marked(once, OURS) == once, "coloured twice it is marked twice"


READERS: dict[str, Callable[[bytes], None]] = {
    "picture": a_picture,
    "card": a_card,
    "hints": hints,
    "manifest": a_manifest,
    "metadata": metadata,
}
