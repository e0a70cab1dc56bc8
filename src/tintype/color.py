"""Colour arithmetic in NumPy: sRGB, CIE Lab (D65, 2° observer) and the Y'CbCr of BT.601.

Arrays are channels-last and floating point unless a name says otherwise: `rgb` 0…1,
`L` 0…100, `ab` Lab units, `luma` and `cbcr` in the units of `rgb` (`cbcr` centred on 0).
Checked against scikit-image in the tests; `train.lab` is this module's twin in torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

# IEC 61966-2-1 primaries; the white point that scikit-image and kornia use too.
RGB_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
XYZ_TO_RGB = np.linalg.inv(RGB_TO_XYZ)
WHITE_D65 = np.array([0.95047, 1.0, 1.08883])
# BT.601: Y' = .299 R' + .587 G' + .114 B', Cb and Cr scaled to ±0.5.
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])
CR_TO_R, CB_TO_B = 2 * (1 - 0.299), 2 * (1 - 0.114)
CB_TO_G, CR_TO_G = -CB_TO_B * 0.114 / 0.587, -CR_TO_R * 0.299 / 0.587

# CIE Lab's linear toe below Y = 0.008856, with the rounded slope that scikit-image, kornia and OpenCV share.
LAB_KNEE, LAB_TOE, LAB_OFFSET = 0.008856, 7.787, 16 / 116
# Lab units: a photograph whose |a| and |b| all stay under this is grey: nothing to learn from or score on.
GREY_LIMIT = 1.0


def srgb_to_linear(rgb: Array) -> Array:
    """Undo sRGB's transfer curve: encoded 0…1 to linear light 0…1 (IEC 61966-2-1)."""
    low = rgb / 12.92
    high = ((np.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(rgb <= 0.04045, low, high)


def linear_to_srgb(linear: Array) -> Array:
    """Apply sRGB's transfer curve: linear light to encoded; negative light stays on the linear toe."""
    high = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, high)


def linear_to_L(luminance: Array) -> Array:
    """Relative luminance Y 0…1 to CIE lightness L 0…100."""
    return 116 * _lab_f(luminance) - 16


def rgb_to_lab(rgb: Array) -> Array:
    """sRGB (…, 3) in 0…1 to Lab (…, 3): L 0…100, a and b in Lab units."""
    xyz = srgb_to_linear(rgb) @ RGB_TO_XYZ.T.astype(rgb.dtype)
    f = _lab_f(xyz / WHITE_D65.astype(rgb.dtype))
    L = 116 * f[..., 1] - 16
    return np.stack([L, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def lab_to_linear(lab: Array) -> Array:
    """Lab (…, 3) to linear sRGB light (…, 3), unclipped: outside 0…1 where sRGB has no such colour."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    toe = (f - LAB_OFFSET) / LAB_TOE
    xyz = np.where(f > LAB_KNEE ** (1 / 3), f**3, toe) * WHITE_D65.astype(lab.dtype)
    return xyz @ XYZ_TO_RGB.T.astype(lab.dtype)


def lab_to_rgb(lab: Array, clip: bool = True) -> Array:
    """Lab (…, 3) to sRGB (…, 3); clipped to 0…1 unless `clip` is false."""
    rgb = linear_to_srgb(lab_to_linear(lab))
    return np.clip(rgb, 0, 1) if clip else rgb


def luma_of(rgb: Array) -> Array:
    """BT.601 luma Y' of encoded RGB (…, 3), in the units of the input."""
    return rgb @ LUMA_WEIGHTS.astype(rgb.dtype)


def rgb_to_cbcr(rgb: Array, weights: Array = LUMA_WEIGHTS) -> Array:
    """Chroma (…, 2), Cb then Cr, of encoded RGB (…, 3), centred on 0, within ±0.5.

    `weights` (3,) are those of another standard's luma, as `Signal` has them; BT.601's by default.
    """
    weights = weights.astype(rgb.dtype)
    red, blue = rgb[..., 0], rgb[..., 2]
    luma = rgb @ weights
    return np.stack([(blue - luma) / (2 - 2 * weights[2]), (red - luma) / (2 - 2 * weights[0])], axis=-1)


def ycbcr_to_rgb(luma: Array, cbcr: Array) -> Array:
    """Luma (…) and chroma (…, 2) centred on 0 to encoded RGB (…, 3), unclipped."""
    cb, cr = cbcr[..., 0], cbcr[..., 1]
    green = luma + CB_TO_G * cb + CR_TO_G * cr
    return np.stack([luma + CR_TO_R * cr, green, luma + CB_TO_B * cb], axis=-1)


def _lab_f(t: Array) -> Array:
    return np.where(t > LAB_KNEE, np.cbrt(np.maximum(t, 0)), LAB_TOE * t + LAB_OFFSET)


@dataclass(frozen=True, eq=False)
class ToneCurve:
    """How a picture's code values (0…1) stand for linear light (0…1), as its ICC profile says.

    `table` samples the curve at even steps of the code value and never falls; None means sRGB's own.
    """

    table: NDArray[np.float64] | None = None

    def decode(self, code: Array) -> Array:
        """Code values 0…1, any shape, to linear light 0…1."""
        if self.table is None:
            return srgb_to_linear(code)
        return np.interp(code, np.linspace(0, 1, len(self.table)), self.table).astype(code.dtype)

    def encode(self, linear: Array) -> Array:
        """Linear light, any shape, to code values; light outside 0…1 is clipped where a table is used."""
        if self.table is None:
            return linear_to_srgb(linear)
        return np.interp(linear, self.table, np.linspace(0, 1, len(self.table))).astype(linear.dtype)


SRGB_TONE = ToneCurve()


@dataclass(frozen=True)
class Signal:
    """How the code values of Y'CbCr planes stand for Y' 0…1 and for Cb, Cr within ±0.5 (ITU-T H.273).

    The default is JPEG's: BT.601, 8 bits, full range.
    """

    red_weight: float = 0.299
    blue_weight: float = 0.114
    bits: int = 8
    full_range: bool = True

    @property
    def weights(self) -> Array:
        """Shares (3,) of red, green and blue in the luma."""
        return np.array([self.red_weight, 1 - self.red_weight - self.blue_weight, self.blue_weight])

    @property
    def black(self) -> int:
        """The code of Y' = 0."""
        return 0 if self.full_range else 16 << (self.bits - 8)

    @property
    def luma_span(self) -> int:
        """Codes from Y' = 0 to Y' = 1."""
        return (1 << self.bits) - 1 if self.full_range else 219 << (self.bits - 8)

    @property
    def chroma_span(self) -> int:
        """Codes from Cb or Cr = -0.5 to 0.5."""
        return (1 << self.bits) - 1 if self.full_range else 224 << (self.bits - 8)

    @property
    def middle(self) -> int:
        """The code of Cb = Cr = 0."""
        return 1 << (self.bits - 1)


JPEG_SIGNAL = Signal()
