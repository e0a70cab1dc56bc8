"""`Colorizer`: one picture or many, from any kind of source, coloured and given back as the same kind."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Sequence
from io import BytesIO
from numbers import Integral
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from tintype import __version__, cards, images
from tintype.confidence import confidence_picture
from tintype.errors import InputError, SettingsError
from tintype.hints import Hint, hint_maps
from tintype.pages import PagePainter
from tintype.proposer import Proposer, check_count
from tintype.results import FileResult, check_targets, default_target, versions_of
from tintype.session import Session
from tintype.view import Lens, shown8
from tintype.whole import whole_file, whole_files

_MOST_THREADS = 1024
_SHOWN = 1024  # pixels of the longer side of a picture that is shown beside figures

Float = NDArray[np.float32]


class Colorizer:
    """Gives colour to grey pictures. Safe to share between threads.

    `model` is a shipped model's name or an ONNX file with its card; `strength` multiplies the chroma
    (0 grey, 1 as proposed, up to 2); `size` is the shorter side, from 32 to 2048 pixels, at which the network
    sees the picture (the card's unless given), or "auto", which chooses by the picture's size and detail;
    `threads`, from 1 to 1024, bounds the processor threads for one picture, those that unpack a compressed
    TIFF aside; `provider` is what onnxruntime computes with (`cpu`, `cuda`, …), an error where it is not to
    be had.

    Some models take more: `vividness` runs from 0, the mean of the likely colours, over 1, the usual, to 2,
    bold choices; `colors` are the picture's main colours, as "#rrggbb", where they are known; `hints` are
    colours of points (`Hint`), of all pictures unless a call has its own.

    With `provenance` the XMP of a file or of bytes says, beside what it said, that the colours are computed,
    and by which model; GIF, BMP, PIL pictures and arrays have no place for it.

    Raises ModelError for a model that cannot be used, SettingsError for a setting out of range.
    """

    def __init__(
        self,
        model: str | Path = "tint",
        *,
        strength: float = 1.0,
        vividness: float = 1.0,
        colors: Sequence[str] = (),
        hints: Sequence[Hint] = (),
        size: int | Literal["auto"] | None = None,
        threads: int | None = None,
        provider: str = "cpu",
        limits: images.Limits | None = None,
        provenance: bool = True,
    ) -> None:
        if size is not None and size != "auto" and not (isinstance(size, Integral) and 32 <= size <= 2048):
            raise SettingsError(f"The size must be from 32 to 2048 pixels, or auto, not {size}.")
        counted = isinstance(threads, Integral) and not isinstance(threads, bool)
        if threads is not None and not (counted and 1 <= threads <= _MOST_THREADS):
            raise SettingsError(f"The number of threads must be from 1 to {_MOST_THREADS}, not {threads!r}.")
        self.card = cards.find_model(model)
        self.size = self.card.size if size is None else size if size == "auto" else int(size)
        self.limits = limits or images.Limits()
        self._provenance = provenance
        self._lens = Lens(self.card, self.size)
        self.provider = provider
        self.threads = None if threads is None else int(threads)
        self._take(Proposer(
            Session(self.card, self.threads, provider),
            strength=strength, vividness=vividness, colors=colors, hints=hints, threads=self.threads,
        ))  # fmt: skip

    def __call__(self, picture: Any, *, hints: Sequence[Hint] | None = None) -> Any:
        """Colour a picture and give back the same kind.

        - a path: written beside it as `NAME.color.EXT`, whose Path is returned (`colorize_file` names another
          place and may overwrite);
        - bytes of a picture file: bytes of the same format, of JPEG for HEIC;
        - a PIL picture: a PIL picture, RGB, or RGBA where there is transparency; integers of mode I are codes
          of 16 bits;
        - an array (H, W), (H, W, 3) RGB or (H, W, 4) RGBA of uint8, uint16 or float 0…1: an array (H, W, 3)
          or (H, W, 4) of the same type;
        - a list of any of these: a list; what was written before one of them fails stays.

        Raises InputError for what is no usable picture, OutputError for a result that cannot be written,
        SettingsError for hints that the model does not take or that lie outside of the picture.
        """
        if isinstance(picture, list):
            return [self(one, hints=hints) for one in picture]
        if isinstance(picture, (str, os.PathLike)):
            return Path(self.colorize_file(Path(picture), hints=hints).target or "")
        return self._versions(picture, 0, hints)[0]

    def candidates(self, picture: Any, count: int, *, hints: Sequence[Hint] | None = None) -> list[Any]:
        """`count` plausible, clearly different versions of a picture, the usual one first, of the same kind.

        For a path they are written beside it as `NAME.color-1.EXT` and on. The kinds and errors are those of
        a call, but for lists; also SettingsError for a model that proposes one version alone and for a
        `count` that is not from 1 to 16.
        """
        check_count(count)
        if isinstance(picture, (str, os.PathLike)):
            source = Path(picture)
            self.colorize_file(source, candidates=count, hints=hints)
            return list(versions_of(default_target(source), count))
        return self._versions(picture, count, hints)

    def confidence(self, picture: Any, *, hints: Sequence[Hint] | None = None) -> Float:
        """How sure the model is of the colours of a picture, a path's first page: (h, w), 0…1, upright.

        It is the probability, by the model's own reckoning, that a colour is within about 15 Lab units of the
        true one; (h, w) are those of `predict_ab`. Kinds of picture and errors are those of a call, but for
        lists; also SettingsError for a model that cannot tell.
        """
        if isinstance(picture, (str, os.PathLike, bytes, bytearray, memoryview)):
            source = Path(picture) if isinstance(picture, (str, os.PathLike)) else bytes(picture)
            with images.open_picture(source, self.limits) as opened:
                return self._proposer.confidence(self._lens.page(opened.pages[0]), hints)
        luma, _, orientation, tone = images.luma_in_memory(picture)
        return self._proposer.confidence(self._lens.array(luma, orientation, tone), hints)

    def confidence_file(self, source: str | Path, target: str | Path, *, overwrite: bool = False) -> None:
        """Write `confidence_picture` of a picture's first page to `target`, whose suffix sets the format.

        Errors as `confidence` and `colorize_file`.
        """
        source, target = Path(source), Path(target)
        check_targets(source, [target], overwrite)
        kind = images.format_of(target.suffix)
        with images.open_picture(source, self.limits) as picture:
            view = self._lens.page(picture.pages[0])
            confidence = self._proposer.confidence(view, None)
            shown = shown8(picture.pages[0], _SHOWN)
        with whole_file(target, replace=overwrite) as file:
            images.write_rgb8(confidence_picture(shown, confidence), file, kind)

    def colorize_file(
        self,
        source: str | Path,
        target: str | Path | None = None,
        *,
        overwrite: bool = False,
        skip_colored: bool = False,
        candidates: int = 0,
        hints: Sequence[Hint] | None = None,
    ) -> FileResult:
        """Colour the file `source` into `target` (`default_target` if None), whose suffix sets the format.

        With `candidates` that many versions are written instead, to `versions_of` the target. Results are
        written to temporary files and renamed: they are whole or absent. Raises InputError,
        OutputExistsError when a target is there and `overwrite` is not set, OutputError, also when one is the
        source itself or its suffix is of no known format, SettingsError for hints and numbers of candidates
        that cannot be or that the model has no use for, and ModelError where it fails.
        """
        started = time.perf_counter()
        if candidates:
            check_count(candidates)
        source = Path(source)
        targets = versions_of(default_target(source) if target is None else Path(target), candidates)
        check_targets(source, targets, overwrite)
        with images.open_picture(source, self.limits) as picture:
            result = self._result(str(source), picture)
            if skip_colored and any(page.is_colored() for page in picture.pages):
                result.status, result.reason = "skipped", "it is in colour already"
            else:
                output = images.output_format(picture, targets[0].suffix or None)
                with whole_files(targets, replace=overwrite) as files:
                    self.painter.write_versions(picture, files, output, candidates, hints)
                result.target = str(targets[0])
            result.notes += picture.notes
        result.seconds = time.perf_counter() - started
        return result

    def colorize_bytes(
        self,
        data: bytes,
        *,
        skip_colored: bool = False,
        format: str | None = None,
        hints: Sequence[Hint] | None = None,
    ) -> tuple[bytes, FileResult]:
        """Colour the bytes of a picture file; `format` is a suffix such as "png", by default the
        input's, or "jpg" for HEIC.

        A picture skipped because it is in colour comes back as it was. Errors as `colorize_file`.
        """
        out = BytesIO()
        result = self.colorize_into(data, out, skip_colored=skip_colored, format=format, hints=hints)
        return data if result.status == "skipped" else out.getvalue(), result

    def colorize_into(
        self,
        source: str | Path | bytes,
        target: BinaryIO,
        *,
        skip_colored: bool = False,
        format: str | None = None,
        hints: Sequence[Hint] | None = None,
    ) -> FileResult:
        """Colour a file, or the bytes of one, into an open file; `format` as for `colorize_bytes`.

        Nothing is written of a picture skipped because it is in colour. Errors as `colorize_file`.
        """
        started = time.perf_counter()
        source = source if isinstance(source, bytes) else Path(source)
        with images.open_picture(source, self.limits) as picture:
            result = self._result("-" if isinstance(source, bytes) else str(source), picture)
            if skip_colored and any(page.is_colored() for page in picture.pages):
                result.status, result.reason = "skipped", "it is in colour already"
            else:
                suffix = f".{format.lower().lstrip('.')}" if format else None
                self.painter.write(picture, target, images.output_format(picture, suffix), hints=hints)
            result.notes += picture.notes
        result.seconds = time.perf_counter() - started
        return result

    def predict_ab(self, L: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """The model's chroma for lightness L (H, W) in 0…100: ab (h, w, 2) in Lab units.

        (h, w) keeps the aspect of (H, W): the size at which the network saw the picture over its stride.
        Raises InputError for an L of another shape or range.
        """
        L = np.asarray(L, np.float32)
        if L.ndim != 2 or 0 in L.shape:
            raise InputError(f"predict_ab takes lightness of shape (H, W), not {L.shape}.")
        if not (L.min() >= -0.5 and L.max() <= 100.5):  # NaN fails both
            raise InputError("predict_ab takes lightness L in 0…100, not code values; see tintype.color.")
        small = self._lens.lightness(L)
        hints = self._proposer.hints
        return self._proposer.predict(small, hint_maps(hints, small.shape, L.shape) if hints else {})

    @property
    def provenance(self) -> bool:
        """Whether results say that their colours are computed."""
        return self._provenance

    @property
    def strength(self) -> float:
        """What multiplies the chroma."""
        return self._proposer.strength

    @property
    def vividness(self) -> float:
        """From 0, the mean of the likely colours, to 2, bold choices."""
        return self._proposer.vividness

    @property
    def colors(self) -> tuple[str, ...]:
        """The main colours that were told, as "#rrggbb"."""
        return self._proposer.colors

    @property
    def hints(self) -> tuple[Hint, ...]:
        """The colours of points of all pictures that were told."""
        return self._proposer.hints

    @property
    def fixed_size(self) -> int:
        """The size, for moving pictures, which are all seen at one; SettingsError where it is "auto"."""
        if self.size == "auto":
            raise SettingsError("Moving pictures are all seen at one size: give it in pixels, not as auto.")
        return self.size

    def see(self, L: NDArray[np.float32]) -> NDArray[np.float32]:
        """The model's chroma for lightness L (h, w) in 0…100 that is at the network's size already.

        The size is `framing.network_size` of the picture's. ab (h / stride, w / stride, 2) in Lab units.
        """
        return self._proposer.predict(L, {})

    def at(self, *, strength: float, vividness: float) -> Colorizer:
        """The same model, loaded once, at another strength and vividness. SettingsError as at the making."""
        other = copy.copy(self)
        other._take(self._proposer.at(strength=strength, vividness=vividness))
        return other

    def _take(self, proposer: Proposer) -> None:
        model = f"{self.card.name} {self.card.version}"
        told = images.Provenance(f"Tintype {__version__}", model, self.card.sha256)
        self._proposer = proposer
        self.painter = PagePainter(proposer, self._lens, told if self._provenance else None)
        """Of pictures that are opened already, for the service."""

    def _versions(self, picture: Any, count: int, hints: Sequence[Hint] | None) -> list[Any]:
        """A picture that is no path in colour, or in `count` versions of colours, as the same kind."""
        if isinstance(picture, (bytes, bytearray, memoryview)):
            files = [BytesIO() for _ in range(count or 1)]
            with images.open_picture(bytes(picture), self.limits) as opened:
                kind = images.output_format(opened, None)
                self.painter.write_versions(opened, files, kind, count, hints)
            return [file.getvalue() for file in files]
        luma, alpha, orientation, tone = images.luma_in_memory(picture)
        fields = self._proposer.fields(self._lens.array(luma, orientation, tone), count, hints)
        results = [field.rgb(0, luma) for field in fields]
        if isinstance(picture, np.ndarray):
            return [rgb if alpha is None else np.dstack([rgb, alpha]) for rgb in results]
        return [images.merge_pil(picture, rgb, alpha) for rgb in results]

    def _result(self, source: str, picture: images.Picture) -> FileResult:
        first = picture.pages[0]
        return FileResult(
            source, width=first.width, height=first.height, pages=len(picture.pages), model=self.card.name
        )
