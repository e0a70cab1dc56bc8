"""What a worker's thread does for one request: from an upload to what is sent back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO, Literal, cast
from urllib.parse import quote

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from tintype import images
from tintype.colorizer import Colorizer
from tintype.confidence import confidence_picture
from tintype.errors import TooLargeError
from tintype.hints import Hint, as_seen
from tintype.images.orientation import upright_size
from tintype.serve.bodies import MEMORY_BYTES, Upload
from tintype.serve.desk import Job
from tintype.view import shown8

MEDIA_TYPES = {
    "JPEG": "image/jpeg", "PNG": "image/png", "TIFF": "image/tiff", "WEBP": "image/webp",
    "JPEG2000": "image/jp2", "AVIF": "image/avif", "GIF": "image/gif", "BMP": "image/bmp",
}  # fmt: skip
_QUALITY = 90  # of a preview

Showing = Literal["color", "grey", "confidence"]


@dataclass(frozen=True)
class Look:
    """What a request says of the colours."""

    hints: Sequence[Hint] = ()
    candidate: int = 0
    """The number of a version, from 1 on; 0 is the usual one."""


@dataclass
class Answer:
    """What is sent back."""

    body: IO[bytes]
    """A file at its start, which lies in memory unless it is large. Whoever sends it closes it."""
    media_type: str
    headers: dict[str, str]
    """Its length among them."""


def colorize(colorizer: Colorizer, upload: Upload, look: Look, format: str | None, job: Job) -> Answer:
    """The whole picture in colour, with all that came with it. Raises TintypeError."""
    result = cast(BinaryIO, _Result(job))
    try:
        with _opened(colorizer, upload, job) as picture:
            kind = images.output_format(picture, f".{format}" if format else None)
            colorizer.painter.write(picture, result, kind, hints=look.hints, candidate=look.candidate)
            headers = _headers(picture, colorizer)
        headers["Tintype-Notes"] = json.dumps(picture.notes)
        return _answer(result, MEDIA_TYPES[kind], headers)
    except BaseException:
        result.close()
        raise


def chroma(colorizer: Colorizer, upload: Upload, look: Look, job: Job) -> Answer:
    """The model's ab (h, w, 2) of the first page, upright, float32 in Lab units, as a .npy file."""
    with _opened(colorizer, upload, job) as picture:
        ab = colorizer.painter.ab(picture.pages[0], hints=look.hints)
        headers = _headers(picture, colorizer)
    file = io.BytesIO()
    np.save(file, ab, allow_pickle=False)
    return _answer(file, "application/octet-stream", headers)


def preview(
    colorizer: Colorizer, upload: Upload, look: Look, showing: Showing, side: int, job: Job
) -> Answer:
    """The first page, upright, at most `side` pixels long, as an sRGB JPEG that has nothing but pixels."""
    with _opened(colorizer, upload, job) as picture:
        page = picture.pages[0]
        luma8 = shown8(page, side)
        headers = _headers(picture, colorizer) | {"Tintype-Notes": json.dumps(picture.notes)}
        job.check()
        pixels = _PICTURES[showing](colorizer, page, luma8, look)
    space = ("GRAY", "Gray") if pixels.shape[2] == 1 else ("RGB", "420")
    file = io.BytesIO(simplejpeg.encode_jpeg(pixels, _QUALITY, *space))
    return _answer(file, "image/jpeg", headers)


def _answer(body: IO[bytes], media_type: str, headers: dict[str, str]) -> Answer:
    """All that was written to `body`."""
    size = body.seek(0, io.SEEK_END)
    body.seek(0)
    return Answer(body, media_type, headers | {"Content-Length": str(size)})


def _grey(colorizer: Colorizer, page: images.Page, luma8: NDArray[np.uint8], look: Look) -> NDArray[np.uint8]:
    return luma8[..., None]


def _colored(
    colorizer: Colorizer, page: images.Page, luma8: NDArray[np.uint8], look: Look
) -> NDArray[np.uint8]:
    """With the colours of the page as it is, so that a version is the same at every size."""
    return colorizer.painter.shown(page, luma8, hints=look.hints, candidate=look.candidate)


def _sureness(
    colorizer: Colorizer, page: images.Page, luma8: NDArray[np.uint8], look: Look
) -> NDArray[np.uint8]:
    """Without the scale below, which the page has itself."""
    hints = tuple(as_seen(hint, (page.height, page.width), page.orientation) for hint in look.hints)
    height, width = luma8.shape
    chart = confidence_picture(luma8, colorizer.confidence(luma8, hints=hints))
    return np.ascontiguousarray(chart[:height, :width])


_PICTURES: dict[Showing, Callable[[Colorizer, images.Page, NDArray[np.uint8], Look], NDArray[np.uint8]]] = {
    "grey": _grey,
    "color": _colored,
    "confidence": _sureness,
}


def _opened(colorizer: Colorizer, upload: Upload, job: Job) -> images.Picture:
    """The picture, whose pages together are within the limits. Raises InputError."""
    job.check()
    picture = images.open_picture(upload.source(), colorizer.limits, "The file")
    claimed = sum(page.height * page.width for page in picture.pages)
    if claimed > colorizer.limits.max_pixels:
        picture.close()
        limit = colorizer.limits.max_pixels
        raise TooLargeError(f"The file's pages claim {claimed:,} pixels together; the limit is {limit:,}.")
    return picture


def _headers(picture: images.Picture, colorizer: Colorizer) -> dict[str, str]:
    """What is told of a picture beside the answer; sizes are those of its first page, upright."""
    page = picture.pages[0]
    height, width = upright_size((page.height, page.width), page.orientation)
    return {
        "Tintype-Model": quote(colorizer.card.name, safe=" "),
        "Tintype-Size": f"{width}x{height}",
        "Tintype-Orientation": str(page.orientation),
        "Tintype-Format": picture.format,
        "Tintype-Pages": str(len(picture.pages)),
    }


class _Result(SpooledTemporaryFile[bytes]):
    """Where a picture is written to: memory, and a nameless file beyond; ends work that nobody wants."""

    def __init__(self, job: Job) -> None:
        super().__init__(max_size=MEMORY_BYTES)
        self._job = job

    def write(self, data: Any) -> int:
        """Write, unless the client has gone."""
        self._job.check()
        return super().write(data)
