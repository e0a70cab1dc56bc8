"""What age, prints and scans do to a grey picture: uneven light, fading, grain, blur, scratches, dots, JPEG.

Every function takes L (N, 1, H, W), 0…100, and damages each picture by an amount of its own, all in one batch
on the device where L lies.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 8  # side of JPEG's blocks
# The luminance table of JPEG's Annex K, which every encoder scales by its quality.
QUANTISATION = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_BLUR_REACH = 5  # pixels to which a Gaussian of the greatest sigma, 2, is cut off
_SCRATCHES = 4  # at most, in one picture
_DUST_SHARE = 0.001  # of the pixels are the middle of a speck


def blur(L: Tensor, most: float = 2.0) -> Tensor:
    """A Gaussian of 0.4 to `most` pixels, at most 2, as of a lens out of focus or a coarse scan."""
    n = len(L)
    sigma = uniform(n, 0.4, most, L).view(n, 1)
    steps = torch.arange(-_BLUR_REACH, _BLUR_REACH + 1, device=L.device)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)  # (N, 11)
    weights = weights / weights.sum(1, keepdim=True)
    padded = functional.pad(L, [_BLUR_REACH] * 4, "replicate").transpose(0, 1)  # (1, N, H, W): a group each
    with torch.autocast(L.device.type, enabled=False):  # bf16 would leave L in steps of half a unit
        across = functional.conv2d(padded, weights.view(n, 1, 1, -1), groups=n)
        return functional.conv2d(across, weights.view(n, 1, -1, 1), groups=n).transpose(0, 1)


def uneven(L: Tensor) -> Tensor:
    """Darker corners by up to half, and soft places up to 12 units brighter or darker."""
    n, _, height, width = L.shape
    y = torch.linspace(-1, 1, height, device=L.device).view(1, 1, -1, 1)
    x = torch.linspace(-1, 1, width, device=L.device).view(1, 1, 1, -1)
    corners = 1 - uniform(n, 0, 0.5, L) * (x * x + y * y) / 2
    coarse = torch.randn(n, 1, 4, 4, device=L.device).clamp(-2, 2)
    stains = functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)
    return L * corners + uniform(n, 0, 6, L) * stains


def fade(L: Tensor) -> Tensor:
    """Black becomes 0 to 35, white 60 to 100, and a gamma of 0.7 to 1.4 bends what is between."""
    n = len(L)
    gamma = torch.exp(uniform(n, -0.35, 0.35, L))
    black, white = uniform(n, 0, 35, L), uniform(n, 60, 100, L)
    return black + (white - black) * (L.clamp(0, 100) / 100) ** gamma


def grain(L: Tensor) -> Tensor:
    """Gaussian grain of up to 8 units, or, in half of the pictures, coarser than a pixel and of up to 5."""
    n = len(L)
    fine = torch.randn_like(L)
    coarse = blur(fine, 1.2)
    coarse = coarse / coarse.std((1, 2, 3), keepdim=True).clamp(min=1e-3)
    return L + torch.where(chosen(n, 0.5, L), uniform(n, 0, 5, L) * coarse, uniform(n, 0, 8, L) * fine)


def jpeg(L: Tensor) -> Tensor:
    """JPEG's rounding of 8×8 DCT coefficients at a quality of 5 to 60, its blocks anywhere in the crop.

    L takes the place of the encoded luma, to which it is nearly proportional.
    """
    n, _, height, width = L.shape
    top, left = (int(torch.randint(BLOCK, ())) for _ in range(2))
    bottom, right = (-(side + first) % BLOCK for side, first in ((height, top), (width, left)))
    padded = functional.pad(L, [left, right, top, bottom], "replicate") * 2.55 - 128
    rows, columns = padded.shape[2] // BLOCK, padded.shape[3] // BLOCK
    blocks = padded.reshape(n, 1, rows, BLOCK, columns, BLOCK)
    dct = _dct_matrix().to(L)
    quality = uniform(n, 5, 60, L)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50).view(n, 1, 1, 1, 1, 1)
    table = L.new_tensor(QUANTISATION).view(1, 1, 1, BLOCK, 1, BLOCK)
    table = (table * scale + 0.5).floor().clamp(1, 255)  # halves go up, as in encoders
    with torch.autocast(L.device.type, enabled=False):
        coefficients = torch.einsum("ui,ncaibj,vj->ncaubv", dct, blocks, dct)
        coefficients = (coefficients / table).round() * table
        decoded = torch.einsum("ui,ncaubv,vj->ncaibj", dct, coefficients, dct).flatten(4, 5).flatten(2, 3)
    return (decoded[..., top : top + height, left : left + width] + 128) / 2.55


def scratches(L: Tensor) -> Tensor:
    """Up to four thin, steep scratches and some dust, bright as on a print or dark as on a negative."""
    n, _, height, width = L.shape
    y = torch.linspace(-0.5, 0.5, height, device=L.device).view(1, 1, -1, 1)
    x = torch.linspace(-0.5, 0.5, width, device=L.device).view(1, 1, 1, -1)
    place, slope, bend = (
        spread * (torch.rand(n, _SCRATCHES, 1, 1, device=L.device) - 0.5) for spread in (1.0, 0.6, 0.4)
    )
    distance = (x - place - slope * y - bend * y * y).abs() * width  # pixels, (N, 4, H, W)
    reach = torch.rand(n, _SCRATCHES, 1, 1, device=L.device) - torch.rand(
        n, _SCRATCHES, 1, 1, device=L.device
    )
    seen = (y * reach.sign() > -reach.abs() / 2) & (reach > -0.5)  # some end on the way, some are not there
    lines = ((1.2 - distance).clamp(0, 1) * seen).amax(1, keepdim=True)
    specks = (torch.rand_like(L) < _DUST_SHARE).to(L)
    specks = functional.avg_pool2d(functional.max_pool2d(specks, 3, 1, 1), 3, 1, 1)
    strength = uniform(n, 0.4, 1.0, L) * torch.maximum(lines, specks)
    colour = torch.where(chosen(n, 0.7, L), 95.0, 5.0)
    return L + strength * (colour - L)


def halftone(L: Tensor) -> Tensor:
    """A newspaper's screen of dots, 2.5 to 4.5 pixels apart and turned, over a part of the tones."""
    n, _, height, width = L.shape
    y = torch.arange(height, device=L.device).view(1, 1, -1, 1)
    x = torch.arange(width, device=L.device).view(1, 1, 1, -1)
    angle, frequency = uniform(n, 0, math.pi / 2, L), 2 * math.pi / uniform(n, 2.5, 4.5, L)
    across = (x * torch.cos(angle) + y * torch.sin(angle)) * frequency
    down = (y * torch.cos(angle) - x * torch.sin(angle)) * frequency
    threshold = 50 + 25 * (torch.cos(across) + torch.cos(down))
    dots = 100 * torch.sigmoid((L - threshold) / 6)
    return torch.lerp(L, dots, uniform(n, 0.2, 0.7, L))


KINDS = {
    "blur": blur, "uneven": uneven, "fade": fade, "grain": grain,
    "scratches": scratches, "halftone": halftone, "jpeg": jpeg,
}  # fmt: skip
"""All by name, in the order in which a picture meets them: the lens, age, printing, a scanned file."""


def uniform(n: int, low: float, high: float, like: Tensor) -> Tensor:
    """A number (N, 1, 1, 1) for each picture, evenly drawn."""
    return low + (high - low) * torch.rand(n, 1, 1, 1, device=like.device)


def chosen(n: int, probability: float, like: Tensor) -> Tensor:
    """Which pictures are meant, bool (N, 1, 1, 1)."""
    return torch.rand(n, 1, 1, 1, device=like.device) < probability


def _dct_matrix() -> Tensor:
    """The orthonormal DCT-II (8, 8): row u holds the cosine of frequency u."""
    u, i = torch.arange(BLOCK).view(-1, 1), torch.arange(BLOCK)
    matrix = math.sqrt(2 / BLOCK) * torch.cos((2 * i + 1) * u * math.pi / (2 * BLOCK))
    matrix[0] /= math.sqrt(2)
    return matrix
