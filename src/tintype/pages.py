"""Opened pictures in colour, page by page: what `Colorizer` does with files, and the service with uploads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tintype import chroma, images
from tintype.hints import Hint
from tintype.proposer import Proposer, check_count
from tintype.view import Lens

_MADE_GREY = "It was in colour and was made grey first."

Float = NDArray[np.float32]


class PagePainter:
    """Gives pages the colours that `proposer` proposes for what `lens` sees of them.

    What is written tells `provenance`, if any. `hints` are those of one picture; None stands for those that
    the proposer was told of all. A `candidate` is the number, from 1 on, of one of the versions that
    `Colorizer.candidates` gives, 0 the usual one.
    Errors as `Colorizer.__call__` and `Colorizer.candidates`.
    """

    def __init__(self, proposer: Proposer, lens: Lens, provenance: images.Provenance | None) -> None:
        self._proposer, self._lens, self._provenance = proposer, lens, provenance

    def field(self, page: images.Page, *, hints: Sequence[Hint] | None, candidate: int) -> chroma.ChromaField:
        """The colours of a page, for its full size."""
        if candidate:
            check_count(candidate)
        return self._proposer.fields(self._lens.page(page), candidate, hints)[-1]

    def shown(
        self, page: images.Page, luma8: NDArray[np.uint8], *, hints: Sequence[Hint] | None, candidate: int
    ) -> NDArray[np.uint8]:
        """The colours that `field` gives a page on its `luma8` (h, w), upright, in sRGB, at any size."""
        if candidate:
            check_count(candidate)
        ab = self._proposer.proposals(self._lens.page(page), candidate, hints)[-1]
        return self._proposer.field(self._lens.array(luma8), ab).rgb(0, luma8)

    def ab(self, page: images.Page, *, hints: Sequence[Hint] | None) -> Float:
        """The model's chroma for a page, upright: ab (h, w, 2) in Lab units, as `Colorizer.predict_ab`."""
        return self._proposer.ab(self._lens.page(page), hints)

    def write(
        self,
        picture: images.Picture,
        target: BinaryIO,
        format: str,
        *,
        hints: Sequence[Hint] | None,
        candidate: int = 0,
    ) -> None:
        """All pages in colour, in `format` ("PNG"), to `target`, which is open for reading and writing."""
        self._prepare(picture, hints)
        pages = picture.pages
        fields = _Fields(len(pages), lambda n: self.field(pages[n], hints=hints, candidate=candidate))
        images.save_picture(picture, fields, target, format)

    def write_versions(
        self,
        picture: images.Picture,
        files: Sequence[BinaryIO],
        format: str,
        count: int,
        hints: Sequence[Hint] | None,
    ) -> None:
        """`count` versions, or where that is 0 the usual one, each to one of `files`, as `write`."""
        self._prepare(picture, hints)
        # By page and version: all versions of a page are made at once, and wait here for their files.
        made: dict[tuple[int, int], chroma.ChromaField] = {}

        def field(page: int, version: int) -> chroma.ChromaField:
            if (page, version) not in made:
                fields = self._proposer.fields(self._lens.page(picture.pages[page]), count, hints)
                made.update({(page, n): field for n, field in enumerate(fields)})
            return made.pop((page, version))

        for version, file in enumerate(files):
            fields = _Fields(len(picture.pages), functools.partial(field, version=version))
            images.save_picture(picture, fields, file, format)

    def _prepare(self, picture: images.Picture, hints: Sequence[Hint] | None) -> None:
        """Note what the user should know of the result, and have it say whose colours it has."""
        if any(page.is_colored() for page in picture.pages):
            picture.note(_MADE_GREY)
        if len(picture.pages) > 1 and (self._proposer.hints if hints is None else hints):
            picture.note(f"The hints were followed on each of its {len(picture.pages)} pages.")
        picture.provenance = self._provenance


class _Fields(Sequence[chroma.ChromaField]):
    """The colours of each page, made when asked for and not kept, as those of hundreds would fill the memory.

    So a client that has gone, which a write notices, costs no page after the one in hand.
    """

    def __init__(self, count: int, make: Callable[[int], chroma.ChromaField]) -> None:
        self._pages, self._make = range(count), make

    def __len__(self) -> int:
        return len(self._pages)

    def __getitem__(self, page: Any) -> Any:
        return self._make(self._pages[page])

    def __iter__(self) -> Iterator[chroma.ChromaField]:
        return map(self._make, self._pages)
