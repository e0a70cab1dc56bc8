"""What the model itself says: lightness L (H, W), 0…100, in; ab (h, w, 2) in Lab units out."""

import numpy as np

from tintype import Colorizer

L = np.tile(np.linspace(0, 100, 320, dtype=np.float32), (240, 1))
ab = Colorizer().predict_ab(L)
print(ab.shape, ab.dtype, "mean a and b:", ab.mean(axis=(0, 1)).round(1))
