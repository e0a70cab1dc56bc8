"""`fusion`: local features, joined at every place by what the picture is as a whole.

After a student report of the course CSCI 5210 and the paper that it follows, Iizuka, Simo-Serra and Ishikawa,
"Let there be Color!" (SIGGRAPH 2016). Sizes for a 224×224 input: low-level 3×3 convolutions 64 (stride 2),
128, 128 (s2), 256, 256 (s2), 512 to 28×28; mid-level 512, 256; global features 1024, 512, 256, appended to
every mid-level position and joined by a 1×1 convolution to 256; colorization 128, upsample, 64, 64,
upsample, 32, 2 at 112×112, upsampled to the input. ReLU everywhere, a sigmoid on the output only (the report
had used it everywhere: its costly mistake), no BatchNorm. MSE on ab normalised to 0…1, Adam 1e-5, batch 64.

The global branch differs: in the report one 3×3 convolution to 28×28×32 (`light`), in the paper four with 512
channels to 7×7 (`full`), or there is none, and no fusion (`none`, the report's basic model). Its fully
connected layers fix its input to 28×28. At other sizes than 224×224 the low-level features are resized to
that: the paper resizes the picture instead, which means a second pass through the low-level layers. The
paper also trains a scene classifier on the global features, here where `classes` is set.

Photographs without colour are left out (`drop_grey`), as in the report. Its labels are pictures of half the
size brought to Lab; here they are the means of 2×2 pixels of the larger one's ab.

Weights start as He et al. 2015 propose for ReLU: so deep a network without BatchNorm barely moves from
smaller ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tintype.errors import DataError, SettingsError
from tintype.train.data import CropSettings
from tintype.train.lab import ab_to_unit, unit_to_ab
from tintype.train.ranges import Count, NotNegative, Positive, Ranged, Whole
from tintype.train.recipe import Losses, RecipeModel, Schedule

GLOBAL_SIDE = 28  # side of the map that the global branch sees
GLOBAL_VALUES = 256


@dataclass(frozen=True, kw_only=True)
class Settings(Ranged):
    """What may be set for `fusion`."""

    global_features: Literal["none", "light", "full"] = "light"
    """The global branch: none, the report's single convolution, or the paper's four."""
    global_width: Count = 32
    """Channels of the convolution of the `light` branch; the report suggests trying more."""
    width: Positive = 1.0
    """Factor on the channels of all other layers; 1 is the paper's network."""
    target_scaling: Literal["sigmoid", "linear"] = "sigmoid"
    """How ab becomes 0…1: through a sigmoid, as in the report, or evenly."""
    sigmoid_scale: Positive = 25.0
    """Lab units that are 1 before the targets' sigmoid. Plain Lab units (1) would send nearly all colours to
    0 or 1, whatever their strength."""
    classes: Whole = 0
    """Scene classes in the data's labels, to be recognised from the global features; 0 for no classifier."""
    class_weight: NotNegative = 1 / 300
    """Weight of the classifier's cross-entropy beside the colour loss."""
    lr: Positive = 1e-5
    """Adam's learning rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes and self.global_features == "none":
            raise SettingsError("classes needs global features: set global_features to light or full.")


SCHEDULE = Schedule(epochs=20, batch=64, size=224)
CROPS = CropSettings(drop_grey=True)


class Model(RecipeModel):
    """The network, its losses and the way back to Lab."""

    handed_on = (
        "global_features",
        "global_width",
        "width",
        "target_scaling",
        "sigmoid_scale",
        "classes",
    )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        c32, c64, c128, c256, c512 = (max(1, round(n * settings.width)) for n in (32, 64, 128, 256, 512))
        self.low = _convs(1, (c64, 2), (c128, 1), (c128, 2), (c256, 1), (c256, 2), (c512, 1))
        self.mid = _convs(c512, (c512, 1), (c256, 1))
        self.globals = _global_branch(settings, c512)
        values = 0 if self.globals is None else GLOBAL_VALUES
        self.fuse = _convs(c256 + values, (c256, 1), kernel=1) if values else nn.Identity()
        up = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.colour = nn.Sequential(
            _convs(c256, (c128, 1)), up, _convs(c128, (c64, 1), (c64, 1)), up, _convs(c64, (c32, 1)),
            nn.Conv2d(c32, 2, 3, padding=1),
        )  # fmt: skip
        self.classifier = nn.Linear(GLOBAL_VALUES, settings.classes) if settings.classes else None
        self.apply(_he_start)

    def logits(self, L: Tensor) -> tuple[Tensor, Tensor | None]:
        """L (N, 1, H, W), 0…100, to ab before the sigmoid (N, 2, H/2, W/2) and, if any, class logits."""
        low = self.low(L / 100)
        x, scene = self.mid(low), None
        if self.globals is not None:
            side = (GLOBAL_SIDE, GLOBAL_SIDE)
            whole = self.globals(F.interpolate(low, size=side, mode="bilinear", align_corners=False))
            everywhere = whole[:, :, None, None] + torch.zeros_like(x[:, :1])  # (N, 256, h, w)
            x = self.fuse(torch.cat([x, everywhere], dim=1))
            scene = None if self.classifier is None else self.classifier(whole).float()
        return self.colour(x).float(), scene

    def output(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, to ab as the target is scaled: (N, 2, H/2, W/2) in 0…1."""
        return self.logits(L)[0].sigmoid()

    def target(self, ab: Tensor) -> Tensor:
        """ab (N, 2, h, w) in Lab units to 0…1."""
        if self.settings.target_scaling == "linear":
            return ab_to_unit(ab)
        return (ab / self.settings.sigmoid_scale).sigmoid()

    def to_ab(self, logits: Tensor) -> Tensor:
        """What `target` scaled, before the sigmoid (N, 2, h, w), back to Lab units."""
        if self.settings.target_scaling == "linear":
            return unit_to_ab(logits.sigmoid())
        # The targets' sigmoid and the output's undo one another.
        return (logits * self.settings.sigmoid_scale).clamp(-128, 128)

    def forward(self, L: Tensor, *inputs: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, to ab (N, 2, H, W) in Lab units."""
        ab = self.to_ab(self.logits(L)[0])
        return F.interpolate(ab, scale_factor=2.0, mode="bilinear", align_corners=False)

    def loss(self, L: Tensor, ab: Tensor, labels: Tensor) -> Losses:
        """Mean squared error at half the size; with a classifier, also the labelled ones' cross-entropy.

        The latter is divided by all photographs, labelled or not, so that the average over processes is the
        figure of their joint batch.
        """
        logits, scene = self.logits(L)
        mse = F.mse_loss(logits.sigmoid(), self.target(F.avg_pool2d(ab, 2)))
        if scene is None:
            return {"loss": mse}
        if (labels >= self.settings.classes).any():
            raise DataError(
                f"A photograph has the label {int(labels.max())}; classes={self.settings.classes} wants "
                f"labels from 0 to {self.settings.classes - 1}."
            )
        entropy = F.cross_entropy(scene, labels, ignore_index=-1, reduction="sum") / len(labels)
        loss = mse + self.settings.class_weight * entropy
        return {"loss": loss, "mse": mse.detach(), "cross_entropy": entropy.detach()}


def _convs(c_in: int, *layers: tuple[int, int], kernel: int = 3) -> nn.Sequential:
    """Convolutions with ReLU; `layers` are (channels, stride)."""
    parts: list[nn.Module] = []
    for c_out, stride in layers:
        parts += [nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2), nn.ReLU()]
        c_in = c_out
    return nn.Sequential(*parts)


def _global_branch(settings: Settings, c_in: int) -> nn.Sequential | None:
    """From low-level features (N, c_in, 28, 28) to the picture's 256 values, or None."""
    if settings.global_features == "none":
        return None
    if settings.global_features == "light":
        convs, flat = _convs(c_in, (settings.global_width, 1)), settings.global_width * GLOBAL_SIDE**2
    else:
        convs = _convs(c_in, (c_in, 2), (c_in, 1), (c_in, 2), (c_in, 1))
        flat = c_in * (GLOBAL_SIDE // 4) ** 2
    sizes = [flat, *(max(1, round(n * settings.width)) for n in (1024, 512)), GLOBAL_VALUES]
    dense = [m for i, o in pairwise(sizes) for m in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(convs, nn.Flatten(), *dense)


def _he_start(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)
