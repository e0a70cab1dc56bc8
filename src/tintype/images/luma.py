"""Luma of arrays and of Pillow's pictures, and colour back into the latter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tintype.color import LUMA_WEIGHTS, SRGB_TONE, ToneCurve, luma_of
from tintype.errors import InputError
from tintype.images.metadata import ORIENTATION

if TYPE_CHECKING:
    from PIL import Image

    from tintype.images.icc import Profile

Pixels = NDArray[Any]


def luma_of_codes(rgb: Pixels) -> Pixels:
    """BT.601 luma (H, W) of RGB (H, W, 3) uint8 (equal to Pillow's `convert('L')`) or uint16 (rounded)."""
    if rgb.dtype == np.uint8:
        from PIL import Image

        return np.asarray(Image.fromarray(rgb).convert("L"))
    import cv2

    return np.asarray(cv2.transform(rgb, LUMA_WEIGHTS[None])).reshape(rgb.shape[:2])


def luma_in_memory(picture: Any) -> tuple[Pixels, Pixels | None, int, ToneCurve]:
    """Luma (H, W), alpha (H, W) where there is one, EXIF orientation and tone of an array or Pillow picture.

    Raises InputError for what is neither, and for what cannot be used.
    """
    if isinstance(picture, np.ndarray):
        return *array_to_luma(picture), 1, SRGB_TONE
    if hasattr(picture, "getexif"):
        try:
            luma, alpha = pil_to_luma(picture)
        except (OSError, SyntaxError, ValueError) as error:  # Pillow decodes it there
            raise InputError(f"The picture is damaged, truncated or closed ({error}).") from error
        orientation = picture.getexif().get(ORIENTATION, 1)  # of what was decoded: Pillow turns TIFFs
        orientation = orientation if orientation in range(1, 9) else 1
        return luma, alpha, orientation, pil_profile(picture).tone
    kind = type(picture).__name__
    raise InputError(f"Cannot colour a {kind}: give a path, bytes, a PIL picture, an array or a list.")


def array_to_luma(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """(H, W), (H, W, 1), (H, W, 3) or (H, W, 4) to luma (H, W) of the same type, and alpha where given.

    They are brought to the machine's order of bytes.
    """
    array = np.asarray(array)  # no matrix, whose shape stays (H, W)
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16) and array.dtype.kind != "f":
        raise InputError(f"An array must be uint8, uint16 or float, not {array.dtype}.")
    if 0 in array.shape:
        raise InputError(f"An array must have pixels; this one is empty: {array.shape}.")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InputError(f"An array must be (H, W), (H, W, 3) or (H, W, 4), not {array.shape}.")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # OpenCV takes the other for its own
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise InputError("A float array must lie in 0…1; divide by its full scale (255, say) first.")
    if array.ndim == 2 or array.shape[2] == 1:
        return array.reshape(array.shape[:2]), None
    luma = luma_of(array[..., :3].astype(np.float64))
    luma = np.rint(luma) if array.dtype.kind == "u" else luma.clip(0, 1)
    return luma.astype(array.dtype), array[..., 3] if array.shape[2] == 4 else None


def pil_to_luma(image: Image.Image) -> tuple[Pixels, Pixels | None]:
    """A Pillow picture's luma (H, W), uint8 or uint16, and its alpha of the same size, or None.

    Raises InputError for floating point and for integers beyond 16 bits.
    """
    bits = _few_bits(image)
    image.load()
    if bits:
        # Pillow brings the samples to 8 bits, and leaves the transparent one's value as it is stored.
        top = (1 << bits) - 1
        image = image.copy()
        image.info["transparency"] = (image.info["transparency"] & top) * (255 // top)
    if 0 in image.size:
        raise InputError("The picture has no pixels.")
    if image.mode.startswith("I"):
        codes = np.asarray(image)
        if codes.size and (codes.min() < 0 or codes.max() > 65535):
            raise InputError("The picture has integers outside 0…65535: bring them to 16 bits first.")
        hidden = image.info.get("transparency")
        alpha = np.where(codes == hidden, 0, 65535).astype(np.uint16) if isinstance(hidden, int) else None
        return codes.astype(np.uint16), alpha
    if image.mode == "F":
        raise InputError("The picture is floating point: bring it to 8 or 16 bits first.")
    if "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        image = image.convert("RGBA")
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("LA", "RGBa", "PA"):
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        return np.asarray(image.convert("RGB").convert("L")), np.asarray(image.getchannel("A"))
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    return np.asarray(image.convert("L")), None


def _few_bits(image: Image.Image) -> int:
    """2 or 4 where a grey PNG of so many bits, not yet loaded, has a transparent grey value; else 0."""
    if image.mode != "L" or not isinstance(image.info.get("transparency"), int):
        return 0
    tiles = getattr(image, "tile", [])
    return {"L;2": 2, "L;4": 4}.get(tiles[0].args, 0) if tiles and isinstance(tiles[0].args, str) else 0


def merge_pil(image: Image.Image, rgb: Pixels, alpha: Pixels | None) -> Image.Image:
    """`rgb` (H, W, 3) and `alpha` (H, W) or None as a Pillow picture that keeps the info of `image`.

    The ICC profile becomes the RGB profile of the same tone curve. Pillow has no RGB of 16 bits: such
    arrays are rounded to 8.
    """
    from PIL import Image

    from tintype.images.picture import to_8_bit

    merged = Image.fromarray(to_8_bit(np.ascontiguousarray(rgb)))
    if alpha is not None:
        merged.putalpha(Image.fromarray(to_8_bit(np.ascontiguousarray(alpha))))
    kept = ("exif", "xmp", "dpi", "comment", "photoshop", "XML:com.adobe.xmp")
    merged.info.update({key: image.info[key] for key in kept if key in image.info})
    if image.info.get("icc_profile") and image.mode != "CMYK":
        merged.info["icc_profile"] = pil_profile(image).icc
    return merged


def pil_profile(image: Image.Image) -> Profile:
    """What the codes of a Pillow picture's luma stand for; sRGB where it has no profile, or one of CMYK."""
    from tintype.images.icc import read_profile

    embedded = None if image.mode == "CMYK" else image.info.get("icc_profile")
    return read_profile(embedded, lambda sentence: None, grey=len(image.getbands()) < 3)
