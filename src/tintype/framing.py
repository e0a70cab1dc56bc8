"""How a network sees a picture: at its own size, with borders where it needs multiples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tintype.images.resample import resized
from tintype.session import Session

Float = NDArray[np.float32]

SMALLEST_AUTO = 128  # pixels of the shorter side, below which no network has been trained
LARGEST_AUTO = 2  # times the model's own size
_LOST = 0.03  # luma 0…1, root mean square: detail that a network should not have to do without
LONGEST = 2.0  # a picture's longer side is shown at no more than this many times `size`


def network_size(height: int, width: int, size: int, stride: int) -> tuple[int, int]:
    """(H, W) at which a network sees a picture: `size` on the shorter side, aspect kept to half a stride."""
    scale = min(size / min(height, width), LONGEST * size / max(height, width))
    rows, columns = (max(1, round(side * scale / stride)) * stride for side in (height, width))
    return rows, columns


def resize_for_network(picture: NDArray[Any], size: int, stride: int) -> NDArray[Any]:
    """A picture (H, W) at its `network_size`."""
    height, width = picture.shape
    height, width = network_size(height, width, size, stride)
    return resized(picture, height, width)


def auto_view(height: int, width: int, own: int) -> int:
    """The size at which `auto_size` wants to look at a picture (H, W): never one that enlarges it."""
    return min(_size_of(height, width), LARGEST_AUTO * own)


def auto_size(luma: Float, own: int, stride: int) -> int:
    """The size at which a model whose own is `own` should see a picture.

    `luma` (h, w) in 0…1 is the picture at the size of `auto_view`. A picture smaller than `own` is not
    enlarged, as blurred it would tell the network less. A larger one is shown at `own`, but at half as much
    again or twice as much where it is so rich in detail that much would be lost.
    """
    largest = _size_of(*luma.shape)
    if largest <= own:
        return max(min(SMALLEST_AUTO, own), largest)
    for size in range(own, largest, max(1, own // 2)):
        small = resize_for_network(luma, size, stride)
        again = cv2.resize(small, luma.shape[::-1], interpolation=cv2.INTER_CUBIC)
        if np.sqrt(np.mean((luma - again) ** 2)) <= _LOST:
            return size
    return largest


def _size_of(height: int, width: int) -> int:
    """The size at which a picture's `network_size` is its own."""
    return max(min(height, width), round(max(height, width) / LONGEST))


def run_padded(session: Session, L: Float, inputs: Mapping[str, Float]) -> Float:
    """L (h, w), multiples of the model's stride, to ab (h / stride, w / stride, 2)."""
    return outputs_padded(session, L, inputs, ("ab",))["ab"]


def outputs_padded(
    session: Session, L: Float, inputs: Mapping[str, Float], names: Sequence[str]
) -> dict[str, Float]:
    """As `run_padded`, but all the outputs of these names, maps as (h / stride, w / stride, channels).

    Sides are made multiples of the card's `multiple` by mirroring L at its borders; further inputs that are
    maps (1, c, h, w), such as hints, get zeros there.
    """
    multiple, stride = session.card.multiple, session.card.stride
    height, width = L.shape
    below, beside = -height % multiple, -width % multiple
    padded = cv2.copyMakeBorder(L, 0, below, 0, beside, cv2.BORDER_REFLECT)
    border = ((0, 0), (0, 0), (0, below), (0, beside))
    further = {name: np.pad(x, border) if x.ndim == 4 else x for name, x in inputs.items()}
    found = session.run_for(names, padded[None, None], **further)
    if "ab" in found:
        found["ab"] = np.moveaxis(found["ab"], 1, -1)
    cut = np.s_[0, : height // stride, : width // stride]
    return {name: np.ascontiguousarray(x[cut]) if x.ndim == 4 else x for name, x in found.items()}
