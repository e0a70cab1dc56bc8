"""`sagan`: a self-attention GAN that paints an RGB picture from a grey one.

From the report of Venkrbec, Fořtová and Dvořák, after DeOldify. The generator is a U-Net (Ronneberger et al.
2015) with spectral normalisation (Miyato et al. 2018): two 3×3 convolutions at each resolution, 16 filters at
full size, doubled at each average-pooled halving down to 8×8; up again by upsampling, a 2×2 convolution and
the encoder's output of the same size; self-attention (Zhang et al. 2019, SAGAN) at 32×32 on both sides; a
1×1 convolution and tanh give RGB in −1…1. The discriminator is VGG-like, with spectral normalisation,
LeakyReLU, dropout and one self-attention, and ends in one logit. Binary cross-entropy on both sides; the
generator also keeps the picture's content by a perceptual loss on VGG-19's features, grey input against
output. What counts as real is the true ab on the L that the generator was given, so that where training
damages it as age does (`tintype.train.augment`) the discriminator judges by colours alone, which are all that
is used. Adam with β = (0, 0.9), 1e-4 for the generator and 4e-4 for the discriminator (two time-scale rule,
Heusel et al. 2017), a step of each in turn.

**The network sees pictures at the size it is trained for** (`size`, the shorter side): attention grows with
the fourth power of the side (at 32×32 it compares 1,024 places, for a picture of 512×512 it would be 65,536),
and a GAN trained on 64 pixels has never seen an eye 64 pixels wide. The graph therefore averages its input
down to that size, keeping its shape, and brings the chroma of its RGB up again bilinearly; a larger input
costs almost nothing more and adds nothing but a finer resampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from tintype.errors import SettingsError
from tintype.train.blocks import SelfAttention, area_resize, held_fast
from tintype.train.lab import lab_to_rgb, luma_of, rgb_to_lab
from tintype.train.perceptual import VggFeatures
from tintype.train.ranges import Count, NotNegative, Positive, Range, Ranged, Share
from tintype.train.recipe import GraphInput, Losses, RecipeModel, Schedule

_SMALLEST, _ATTENDED, _JUDGED = 8, 32, 4  # sides of the generator's deepest, the attended and the last map
_CELLS, _CELL = 22, 10.0  # a side of the ab plane for dominant colours: cells, and Lab units a cell
_AB_SCALE = 110.0  # Lab units, brings dominant colours to −1…1


@dataclass(frozen=True, kw_only=True)
class Settings(Ranged):
    """What may be set for `sagan`."""

    size: int = 64
    """Shorter side, in pixels, at which the networks see pictures: a power of two from 32 (the report: 64 and
    128). Photographs of another size are averaged to it."""
    width: Count = 16
    """The generator's filters at full size."""
    discriminator_width: Count = 8
    """The discriminator's filters at half size."""
    dropout: Share = 0.2
    """Share of the discriminator's activations that are dropped."""
    lr: Positive = 1e-4
    """The generator's learning rate."""
    discriminator_lr: Positive = 4e-4
    """The discriminator's learning rate."""
    beta1: Annotated[float, Range(least=0, under=1)] = 0.0
    """Adam's first decay, on both sides."""
    beta2: Annotated[float, Range(least=0, under=1)] = 0.9
    """Adam's second decay, on both sides."""
    perceptual_weight: NotNegative = 1.0
    """Weight of the perceptual loss beside the adversarial one; 0 does without VGG-19."""
    perceptual_target: Literal["output", "grey-output"] = "output"
    """What is compared with the grey input: the output itself, as in the report, which also draws colours
    towards grey; or the output's own grey version, which leaves them to the discriminator."""
    vgg_features: str = ""
    """Safetensors file of normalised VGG-19 up to conv3_1, for the perceptual loss."""
    l1_weight: NotNegative = 0.0
    """Weight of the mean distance to the true RGB in 0…1, which steadies the start as in pix2pix (Isola et
    al. 2017); the report has none."""
    dominant_colors: Annotated[int, Range(least=0, most=_CELLS**2)] = 0
    """How many dominant colours the generator can be told: the truth's in training, the user's in use."""
    dominant_dropout: Share = 0.5
    """Share of the training pictures whose dominant colours are held back, so that it can do without."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < _ATTENDED or self.size & (self.size - 1):
            raise SettingsError(f"size must be a power of two from {_ATTENDED}, not {self.size}.")


SCHEDULE = Schedule(epochs=100, batch=8, size=64)


class Generator(nn.Module):
    """U-Net from planes (N, C, H, W) to RGB (N, 3, H, W) in −1…1; H and W multiples of size / 8."""

    def __init__(self, c_in: int, width: int, size: int) -> None:
        super().__init__()
        sides = _sides(size, _SMALLEST)
        widths = [width << i for i in range(len(sides))]
        ins = [c_in, *widths[:-1]]
        self.down = nn.ModuleList(
            _Level(i, o, side == _ATTENDED) for i, o, side in zip(ins, widths, sides, strict=True)
        )
        # From the deepest upwards: 2×2 convolution to half the filters, then on it and the encoder's output.
        ups = list(zip(widths, sides, strict=True))[-2::-1]
        self.narrow = nn.ModuleList(spectral_norm(nn.Conv2d(2 * w, w, 2)) for w, _ in ups)
        self.up = nn.ModuleList(_Level(2 * w, w, side == _ATTENDED) for w, side in ups)
        self.to_rgb = nn.Conv2d(width, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for i, level in enumerate(self.down):
            x = level(F.avg_pool2d(x, 2) if i else x)
            skips.append(x)
        for narrow, level, skip in zip(self.narrow, self.up, skips[-2::-1], strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = F.relu(narrow(F.pad(x, (0, 1, 0, 1))))  # an even kernel keeps the size by one more pixel
            x = level(torch.cat([skip, x], 1))
        return torch.tanh(self.to_rgb(x))


class Discriminator(nn.Module):
    """RGB (N, 3, size, size) in −1…1 to a logit (N,) that is high for true photographs."""

    def __init__(self, width: int, size: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c_in = 3
        for i, side in enumerate(_sides(size, _JUDGED)[1:]):
            c_out = width << i
            for c, stride in ((c_in, 2), (c_out, 1)):
                convolution = spectral_norm(nn.Conv2d(c, c_out, 3, stride, 1))
                layers += [convolution, nn.LeakyReLU(0.2), nn.Dropout(dropout)]
            if side == _ATTENDED or (i == 0 and side < _ATTENDED):
                layers.append(SelfAttention(c_out))
            c_in = c_out
        self.layers = nn.Sequential(*layers, nn.Conv2d(c_in, 1, _JUDGED), nn.Flatten(0))

    def forward(self, rgb: Tensor) -> Tensor:
        return self.layers(rgb)


class Model(RecipeModel):
    """Both networks, their losses, and the generator's RGB as ab."""

    stride = 1
    multiple = 8
    adversarial = True
    handed_on = ("size", "width", "discriminator_width", "dominant_colors")

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.generator = Generator(1 + 3 * settings.dominant_colors, settings.width, settings.size)
        self.discriminator = Discriminator(settings.discriminator_width, settings.size, settings.dropout)
        # Kept in a tuple, where the module does not find it: checkpoints and exports do without VGG-19.
        self._vgg: tuple[VggFeatures, ...] = ()

    @property
    def inputs(self) -> dict[str, GraphInput]:
        """`dominant_colors`, where the setting of that name is not 0."""
        if not (count := self.settings.dominant_colors):
            return {}
        description = "the picture's commonest colours: rows of a, b in Lab units and 1; 0, 0, 0 for none"
        return {"dominant_colors": GraphInput(default=0.0, shape=("N", count, 3), description=description)}

    def forward(self, L: Tensor, *inputs: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, and the dominant colours (N, K, 3), if any, to ab (N, 2, H, W)."""
        small = area_resize(L, self.settings.size, max(_SMALLEST, self.settings.size // _SMALLEST))
        ab = rgb_to_lab((self.generate(small, *inputs) + 1) / 2)[:, 1:]
        return F.interpolate(ab, size=L.shape[-2:], mode="bilinear", align_corners=False)

    def generate(self, L: Tensor, colors: Tensor | None = None) -> Tensor:
        """L (N, 1, h, w), 0…100, to RGB (N, 3, h, w) in −1…1, at the networks' own size.

        `colors` (N, K, 3) are the dominant a, b in Lab units with 1 behind them, or 0, 0, 0 where untold.
        """
        planes = [L / 50 - 1]
        if self.settings.dominant_colors:
            if colors is None:
                colors = L.new_zeros(1, self.settings.dominant_colors, 3)
            told = (colors / colors.new_tensor([_AB_SCALE, _AB_SCALE, 1])).flatten(1)  # (N, 3K)
            planes.append(told[:, :, None, None] + torch.zeros_like(L))
        return self.generator(torch.cat(planes, 1))

    def loss(self, L: Tensor, ab: Tensor, labels: Tensor) -> Losses:
        """The generator's side: to be taken for true, and to keep the content.

        `l1`, the mean distance to the true RGB in 0…1, is reported also where it has no weight.
        """
        s = self.settings
        L, ab, truth = self._at_size(L, ab)
        rgb = self.generate(L, self._told(ab))
        logits = held_fast(self.discriminator, rgb)
        adversarial = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        l1 = (rgb - truth).abs().mean() / 2
        losses = {"loss": adversarial + s.l1_weight * l1, "adversarial": adversarial, "l1": l1}
        if s.perceptual_weight:
            losses["perceptual"] = self._perceptual(L, (rgb + 1) / 2)
            losses["loss"] = losses["loss"] + s.perceptual_weight * losses["perceptual"]
        return losses

    def discriminator_loss(self, L: Tensor, ab: Tensor) -> Losses:
        """The discriminator's side: binary cross-entropy on true and on generated pictures."""
        L, ab, truth = self._at_size(L, ab)
        with torch.no_grad():
            rgb = self.generate(L, self._told(ab))
        real, fake = self.discriminator(torch.cat([truth, rgb])).chunk(2)
        on_real = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
        on_fake = F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
        return {"loss": on_real + on_fake, "real": on_real, "fake": on_fake}

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam over the generator. Raises ModelError at once where the perceptual loss lacks its weights."""
        if self.settings.perceptual_weight:
            self._features(torch.device("cpu"))
        s = self.settings
        return torch.optim.Adam(self.generator.parameters(), s.lr, (s.beta1, s.beta2))

    def discriminator_optimizer(self) -> torch.optim.Optimizer:
        """Adam over the discriminator, at a higher rate."""
        s = self.settings
        return torch.optim.Adam(self.discriminator.parameters(), s.discriminator_lr, (s.beta1, s.beta2))

    def for_export(self) -> nn.Module:
        """The generator alone, spectral normalisation worked into its weights."""
        del self.discriminator
        self._vgg = ()
        for module in list(self.eval().modules()):
            if isinstance(module, nn.Conv2d) and parametrize.is_parametrized(module, "weight"):
                # torch's remove_parametrizations edits the class, which this copy shares with its original.
                weight = nn.Parameter(module.weight.detach().clone())
                del module.parametrizations
                module.__class__ = nn.Conv2d
                module.weight = weight
        return self

    def _at_size(self, L: Tensor, ab: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """L, ab and the true RGB in −1…1, all (N, ·, size, size)."""
        size = self.settings.size
        with torch.autocast(L.device.type, enabled=False):  # colours want more than bfloat16's 8 bits
            lab = torch.cat([L, ab], 1)
            if lab.shape[-2:] != (size, size):
                lab = area_resize(lab, size, size)
            return lab[:, :1], lab[:, 1:], 2 * lab_to_rgb(lab) - 1

    def _told(self, ab: Tensor) -> Tensor | None:
        """The dominant colours to be told in training, some pictures' held back; None otherwise."""
        if not (self.training and self.settings.dominant_colors):
            return None
        colors = dominant_colors(ab, self.settings.dominant_colors)
        return colors * (torch.rand(len(ab), 1, 1, device=ab.device) >= self.settings.dominant_dropout)

    def _perceptual(self, L: Tensor, rgb: Tensor) -> Tensor:
        with torch.autocast(L.device.type, enabled=False):
            grey = lab_to_rgb(torch.cat([L, torch.zeros_like(L), torch.zeros_like(L)], 1))
            if self.settings.perceptual_target == "grey-output":
                rgb = luma_of(rgb.float()).expand(-1, 3, -1, -1)
        return self._features(L.device).distance(grey, rgb)

    def _features(self, device: torch.device) -> VggFeatures:
        if not self._vgg:
            with torch.inference_mode(False):  # they may be called for first in validation
                self._vgg = (VggFeatures(Path(self.settings.vgg_features)),)
        return self._vgg[0].to(device)


def dominant_colors(ab: Tensor, count: int) -> Tensor:
    """Each picture's commonest colours (N, count, 3): a, b in Lab units and 1, or zeros for none left.

    The ab plane is cut into cells of 10 × 10 Lab units; a colour is the mean of a cell's pixels, the fullest
    cell's first.
    """
    ab = ab.float().flatten(2)  # (N, 2, P)
    cell = ((ab / _CELL).floor() + _CELLS // 2).clamp(0, _CELLS - 1).long()
    index = cell[:, 0] * _CELLS + cell[:, 1]  # (N, P)
    pixels, sums = ab.new_zeros(len(ab), _CELLS**2), ab.new_zeros(len(ab), 2, _CELLS**2)
    pixels.scatter_add_(1, index, torch.ones_like(ab[:, 0]))
    sums.scatter_add_(2, index[:, None].expand(-1, 2, -1), ab)
    pixels, fullest = pixels.topk(count)
    mean = sums.gather(2, fullest[:, None].expand(-1, 2, -1)) / pixels.clamp(min=1)[:, None]
    return torch.cat([mean, (pixels > 0).float()[:, None]], 1).transpose(1, 2)


class _Level(nn.Module):
    """Two 3×3 convolutions with spectral normalisation and ReLU, and self-attention if wanted."""

    def __init__(self, c_in: int, c_out: int, attended: bool) -> None:
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(c_in, c_out, 3, padding=1))
        self.second = spectral_norm(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.attention = SelfAttention(c_out) if attended else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(F.relu(self.second(F.relu(self.first(x)))))


def _sides(size: int, smallest: int) -> list[int]:
    """`size`, halved down to `smallest`."""
    return [size >> i for i in range((size // smallest).bit_length())]
