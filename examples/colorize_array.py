"""Colour a NumPy array: (H, W) uint8, uint16 or float in, (H, W, 3) of the same type out."""

import numpy as np

from tintype import Colorizer

colorizer = Colorizer()
ramp = np.tile(np.linspace(0, 65535, 320).astype(np.uint16), (240, 1))  # any grey picture, here of 16 bits
rgb = colorizer(ramp)
print(rgb.shape, rgb.dtype)
