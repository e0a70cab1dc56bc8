"""Inks to sRGB."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image


def cmyk_to_rgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> NDArray[Any]:
    """A CMYK picture as sRGB (H, W, 3) uint8, through its profile by LittleCMS.

    Without one that can be used by arithmetic, which `notes` tell.
    """
    from PIL import ImageCms

    try:
        if not profile:
            raise ImageCms.PyCMSError("there is none")
        if profile[16:20] != b"CMYK":
            raise ImageCms.PyCMSError("the one that there is, is not for inks")
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildTransform(source, target, "CMYK", "RGB", intent)
        return np.asarray(ImageCms.applyTransform(image, transform))
    except (ImageCms.PyCMSError, OSError) as error:
        note = f"Its inks have no profile that can be used ({error}): their look was computed plainly."
        notes += [] if note in notes else [note]
        return np.asarray(image.convert("RGB"))
