"""What a format cannot hold of a picture, told before it is written in it."""

from __future__ import annotations

import numpy as np

from tintype.images.icc import SRGB_PROFILE
from tintype.images.metadata import exif_directory
from tintype.images.picture import Page, Picture

_KEEPS_16_BIT = ("PNG", "TIFF", "JPEG2000")
_KEEPS_ALPHA = ("PNG", "TIFF", "JPEG2000", "WEBP", "AVIF")
_KEEPS_EXIF_AND_XMP = ("JPEG", "PNG", "TIFF", "JPEG2000", "WEBP", "AVIF")  # and ICC profiles
_KEEPS_IPTC = ("JPEG", "TIFF", "JPEG2000")
_KEEPS_RESOLUTION = ("JPEG", "PNG", "TIFF", "JPEG2000", "BMP")
_X_RESOLUTION = 282


def note_losses(picture: Picture, format: str) -> None:
    """Tell in `picture.notes` what `format` loses of the first page's pixels and of what is told beside."""
    page = picture.pages[0]
    if format != "TIFF":
        _note_pixels(picture, page, format)
    missing = _missing(picture, page, format)
    if missing:
        things = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
        verb = "they were" if len(missing) > 1 else "it was"
        picture.note(f"{format} has no place for {things}: {verb} left out.")
    if picture.metadata.has_texts and format != picture.format:
        what = "comments" if picture.format == "JPEG" else "texts"
        picture.note(f"The {what} of the {picture.format} have no like in {format}: they were left out.")


def _note_pixels(picture: Picture, page: Page, format: str) -> None:
    if page.has_alpha and not page.is_transparent:
        kind = picture.format
        picture.note(f"The {kind} does not say that its extra channel is transparency: it was left out.")
    elif page.has_alpha and format == "GIF":
        picture.note("GIF has no partial transparency: pixels are shown, or not.")
    elif page.has_alpha and format not in _KEEPS_ALPHA:
        picture.note(f"{format} has no transparency: it was left out.")
    if page.dtype == np.uint16 and format not in _KEEPS_16_BIT:
        picture.note(f"{format} has no 16 bits a channel: the result has 8.")
    if format == "GIF":
        picture.note("GIF has 256 colours a picture: the result's are dithered from these.")


def _missing(picture: Picture, page: Page, format: str) -> list[str]:
    """What the format has no place for, of all that is told beside the pixels."""
    metadata, missing = picture.metadata, []
    if format not in _KEEPS_EXIF_AND_XMP:
        missing += ["EXIF"] if metadata.exif else []
        missing += ["XMP"] if metadata.xmp else []
        missing += ["the colour profile"] if page.profile is not SRGB_PROFILE else []
    if metadata.photoshop and format not in _KEEPS_IPTC:
        missing.append("IPTC")
    if metadata.dpi and format not in _KEEPS_RESOLUTION and not _is_in_exif(metadata.exif, format):
        missing.append("the resolution")
    return missing


def _is_in_exif(exif: bytes | None, format: str) -> bool:
    directory = exif_directory(exif) if exif and format in _KEEPS_EXIF_AND_XMP else None
    return directory is not None and _X_RESOLUTION in directory
