"""Any picture file to luma and metadata, and its colours back to a file."""

from tintype.images.files import (
    READABLE_SUFFIXES,
    UNREAD_SUFFIXES,
    WRITABLE_SUFFIXES,
    decode_rgb8,
    format_of,
    open_picture,
    origin_of,
    output_format,
    result_name,
    save_picture,
    suffix_for,
    write_rgb8,
)
from tintype.images.icc import SRGB_PROFILE, Profile, read_profile
from tintype.images.luma import (
    array_to_luma,
    luma_in_memory,
    luma_of_codes,
    merge_pil,
    pil_profile,
    pil_to_luma,
)
from tintype.images.picture import Band, Coloring, Limits, Page, Picture
from tintype.images.provenance import Provenance

__all__ = [
    "READABLE_SUFFIXES",
    "SRGB_PROFILE",
    "UNREAD_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "Band",
    "Coloring",
    "Limits",
    "Page",
    "Picture",
    "Profile",
    "Provenance",
    "array_to_luma",
    "decode_rgb8",
    "format_of",
    "luma_in_memory",
    "luma_of_codes",
    "merge_pil",
    "open_picture",
    "origin_of",
    "output_format",
    "pil_profile",
    "pil_to_luma",
    "read_profile",
    "result_name",
    "save_picture",
    "suffix_for",
    "write_rgb8",
]
