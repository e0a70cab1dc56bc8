"""Inks to sRGB."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image


def cmyk_to_rgb(image: Image.Image, profile: bytes | None) -> NDArray[Any]:
    """A CMYK picture as sRGB (H, W, 3) uint8, through its profile by LittleCMS, without one by arithmetic."""
    if profile and profile[16:20] == b"CMYK":
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildTransform(source, target, "CMYK", "RGB", intent)
        converted = ImageCms.applyTransform(image, transform)
        if converted is not None:
            return np.asarray(converted)
    return np.asarray(image.convert("RGB"))
