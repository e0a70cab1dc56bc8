"""`Colorizer`: one picture or many, from any kind of source, coloured and given back as the same kind."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype import cards, chroma, guidance, images
from tintype.color import SRGB_TONE, ToneCurve, luma_of
from tintype.errors import InputError, OutputError, OutputExistsError, SettingsError
from tintype.framing import as_stored, network_size, resize_for_network, run_padded, upright
from tintype.session import Session

PART_SUFFIX = ".tintype-part"
_ORIENTATION = 0x0112  # the EXIF tag


@dataclass
class FileResult:
    """What became of one picture."""

    source: str
    target: str | None = None
    status: str = "done"
    """`done` or `skipped`."""
    reason: str | None = None
    """Why it was skipped."""
    notes: list[str] = field(default_factory=list)
    """What the user should know: that a coloured picture was made grey first, for one."""
    width: int = 0
    height: int = 0
    pages: int = 1
    seconds: float = 0.0
    model: str = ""


def default_target(source: Path) -> Path:
    """Where a result goes when nothing else is said: beside its source, as `NAME.color.EXT`."""
    return source.with_name(f"{source.stem}.color{source.suffix}")


class Colorizer:
    """Gives colour to grey pictures. Safe to share between threads.

    `model` is a shipped model's name or an ONNX file with its card; `strength` multiplies the chroma
    (0 grey, 1 as proposed, up to 2); `size` is the shorter side, in pixels, at which the network sees the
    picture (the card's unless given); `threads` bounds the processor threads for one picture; `provider` is
    what onnxruntime computes with (`cpu`, `cuda`, …), an error where it is not to be had.

    Some models take more: `vividness` runs from 0, the mean of the likely colours, over 1, the usual, to 2,
    bold choices; `colors` are the picture's main colours, as "#rrggbb", where they are known.

    Raises ModelError for a model that cannot be used, SettingsError for a setting out of range.
    """

    def __init__(
        self,
        model: str | Path = "tint",
        *,
        strength: float = 1.0,
        vividness: float = 1.0,
        colors: Sequence[str] = (),
        size: int | None = None,
        threads: int | None = None,
        provider: str = "cpu",
        limits: images.Limits | None = None,
    ) -> None:
        if not 0 <= strength <= 2:
            raise SettingsError(f"The strength must be from 0 to 2, not {strength:g}.")
        if size is not None and not 32 <= size <= 2048:
            raise SettingsError(f"The size must be from 32 to 2048 pixels, not {size}.")
        if threads is not None and threads < 1:
            raise SettingsError(f"The number of threads must be at least 1, not {threads}.")
        self.card = cards.find_model(model)
        self.strength, self.vividness, self.colors = strength, vividness, tuple(colors)
        self.size = size or self.card.size
        self.limits = limits or images.Limits()
        self.provider = provider
        self.threads = threads
        self._session = Session(self.card, threads, provider)
        self._inputs = guidance.graph_inputs(self._session, vividness, colors)

    def __call__(self, picture: Any) -> Any:
        """Colour a picture and give back the same kind.

        - a path: written beside it as `NAME.color.EXT`, whose Path is returned (`colorize_file` names another
          place and may overwrite);
        - bytes of a picture file: bytes of the same format;
        - a PIL picture: a PIL picture, RGB, or RGBA where there is transparency;
        - an array (H, W), (H, W, 3) RGB or (H, W, 4) RGBA of uint8, uint16 or float 0…1: an array (H, W, 3)
          or (H, W, 4) of the same type;
        - a list of any of these: a list; what was written before one of them fails stays.

        Raises InputError for what is no usable picture, OutputError for a result that cannot be written.
        """
        if isinstance(picture, list):
            return [self(one) for one in picture]
        if isinstance(picture, (str, os.PathLike)):
            result = self.colorize_file(Path(picture))
            return Path(result.target or "")
        if isinstance(picture, (bytes, bytearray, memoryview)):
            return self.colorize_bytes(bytes(picture))[0]
        if isinstance(picture, np.ndarray):
            return self._colorize_array(picture)
        if hasattr(picture, "getexif"):
            luma, alpha = images.pil_to_luma(picture)
            field = self._field_of_array(luma, picture.getexif().get(_ORIENTATION, 1))
            return images.merge_pil(picture, field.rgb(0, luma), alpha)
        kind = type(picture).__name__
        raise InputError(f"Cannot colour a {kind}: give a path, bytes, a PIL picture, an array or a list.")

    def colorize_file(
        self, source: Path, target: Path | None = None, *, overwrite: bool = False, skip_colored: bool = False
    ) -> FileResult:
        """Colour the file `source` into `target` (`default_target` if None), whose suffix sets the format.

        The result is written to a temporary file and renamed: `target` is whole or absent. Raises
        InputError, OutputExistsError when `target` is there and `overwrite` is not set, and OutputError,
        also when `target` is the source itself.
        """
        started = time.perf_counter()
        source = Path(source)
        target = default_target(source) if target is None else Path(target)
        if _same_file(source, target):
            raise OutputError(f"{source}: the result would replace the picture itself; name another output.")
        if target.exists() and not overwrite:
            raise OutputExistsError(
                f"{target} exists already; colorize_file(..., overwrite=True) replaces it."
            )
        with images.open_picture(source, self.limits) as picture:
            result = self._result(str(source), picture)
            if skip_colored and any(page.is_colored() for page in picture.pages):
                result.status, result.reason = "skipped", "it is in colour already"
            else:
                output = images.output_format(picture, target.suffix or None)
                with whole_file(target) as file:
                    self._write(picture, file, output)
                result.target = str(target)
            result.notes += picture.notes
        result.seconds = time.perf_counter() - started
        return result

    def colorize_bytes(
        self, data: bytes, *, skip_colored: bool = False, format: str | None = None
    ) -> tuple[bytes, FileResult]:
        """Colour the bytes of a picture file; `format` is a suffix such as "png", the input's by default.

        A picture skipped because it is in colour comes back as it was.
        """
        started = time.perf_counter()
        with images.open_picture(data, self.limits) as picture:
            result = self._result("-", picture)
            out = BytesIO()
            if skip_colored and any(page.is_colored() for page in picture.pages):
                result.status, result.reason = "skipped", "it is in colour already"
                out.write(data)
            else:
                suffix = f".{format.lower().lstrip('.')}" if format else None
                self._write(picture, out, images.output_format(picture, suffix))
            result.notes += picture.notes
        result.seconds = time.perf_counter() - started
        return out.getvalue(), result

    def predict_ab(self, L: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """The model's chroma for lightness L (H, W) in 0…100: ab (h, w, 2) in Lab units.

        (h, w) keeps the aspect of (H, W): the size at which the network saw the picture over its stride.
        """
        L = np.asarray(L, np.float32)
        if L.ndim != 2 or 0 in L.shape:
            raise InputError(f"predict_ab takes lightness of shape (H, W), not {L.shape}.")
        if not (L.min() >= -0.5 and L.max() <= 100.5):  # NaN fails both
            raise InputError("predict_ab takes lightness L in 0…100, not code values; see tintype.color.")
        return self._predict(resize_for_network(L, self.size, self.card.stride))

    def see(self, L: NDArray[np.float32]) -> NDArray[np.float32]:
        """The model's chroma for lightness L (h, w) in 0…100 that is at the network's size already.

        The size is `framing.network_size` of the picture's. ab (h / stride, w / stride, 2) in Lab units.
        """
        return self._predict(L)

    def field_of(self, page: images.Page) -> chroma.ChromaField:
        """The colours of one page, to be read off at full size."""
        size = network_size(page.height, page.width, self.size, self.card.stride)
        return self._field(page.thumbnail(*size), page.tone, (page.height, page.width), page.orientation)

    def _field_of_array(self, luma: NDArray[Any], orientation: int = 1) -> chroma.ChromaField:
        scale = np.iinfo(luma.dtype).max if luma.dtype.kind == "u" else 1.0
        source = luma if luma.dtype.kind == "u" else luma.astype(np.float32)
        small = resize_for_network(source, self.size, self.card.stride) / np.float32(scale)
        return self._field(small.clip(0, 1), SRGB_TONE, luma.shape, orientation)

    def _field(
        self, luma: NDArray[np.float32], tone: ToneCurve, size: tuple[int, int], orientation: int
    ) -> chroma.ChromaField:
        """`luma` (h, w) is the picture at the network's size, as stored; the network sees it upright."""
        ab = self._predict(chroma.lightness(upright(luma, orientation), tone))
        ab = as_stored(ab, orientation)
        small_luma = cv2.resize(luma, ab.shape[1::-1], interpolation=cv2.INTER_AREA)
        cbcr = chroma.small_cbcr(chroma.lightness(small_luma, tone), ab, tone, self.strength)
        return chroma.ChromaField(cbcr, small_luma, size, self.threads)

    def _predict(self, L: NDArray[np.float32]) -> NDArray[np.float32]:
        """L (h, w), both multiples of the stride, to ab (h / stride, w / stride, 2)."""
        return run_padded(self._session, L, self._inputs)

    def _colorize_array(self, array: NDArray[Any]) -> NDArray[Any]:
        luma, alpha = _array_to_luma(array)
        rgb = self._field_of_array(luma).rgb(0, luma)
        return rgb if alpha is None else np.dstack([rgb, alpha])

    def _write(self, picture: images.Picture, file: BinaryIO, format: str) -> None:
        if any(page.is_colored() for page in picture.pages):
            picture.notes.append("It was in colour and was made grey first.")
        images.save_picture(picture, [self.field_of(page) for page in picture.pages], file, format)

    def _result(self, source: str, picture: images.Picture) -> FileResult:
        first = picture.pages[0]
        return FileResult(
            source, width=first.width, height=first.height, pages=len(picture.pages), model=self.card.name
        )


def _array_to_luma(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) to luma (H, W) of the same type, and alpha where given."""
    if array.dtype not in (np.uint8, np.uint16) and array.dtype.kind != "f":
        raise InputError(f"An array must be uint8, uint16 or float, not {array.dtype}.")
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InputError(f"An array must be (H, W), (H, W, 3) or (H, W, 4), not {array.shape}.")
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise InputError("A float array must lie in 0…1; divide by its full scale (255, say) first.")
    if array.ndim == 2 or array.shape[2] == 1:
        return array.reshape(array.shape[:2]), None
    luma = luma_of(array[..., :3].astype(np.float64))
    luma = np.rint(luma) if array.dtype.kind == "u" else luma.clip(0, 1)
    return luma.astype(array.dtype), array[..., 3] if array.shape[2] == 4 else None


def _same_file(source: Path, target: Path) -> bool:
    try:
        return source.samefile(target)
    except OSError:
        return False


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """A temporary file beside `target` that takes its name on success and vanishes on failure."""
    part = target.with_name(f".{target.name[:80]}.{secrets.token_hex(6)}{PART_SUFFIX}")
    try:
        try:
            with part.open("x+b") as file:
                yield file
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write {target}: {error.strerror or error}.") from error
