"""What may be set for `tint`, and how it is trained unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from tintype.errors import SettingsError
from tintype.train.encoders import EncoderName
from tintype.train.heads import HeadName
from tintype.train.ranges import Count, NotNegative, Positive, Range, Ranged, Share, Whole
from tintype.train.recipe import Schedule

SCHEDULE = Schedule(epochs=10, batch=48, size=128, lr_schedule="cosine", ema_decay=0.999, clip=1.0)


@dataclass(frozen=True, kw_only=True)
class Settings(Ranged):
    """What may be set for `tint`."""

    encoder: EncoderName = "mobilenet_v2"
    """What looks at the grey picture; `--init-encoder` wants weights of the same."""
    head: HeadName = "bins"
    """What gives colours: the bins' mean; that and a small regressed residual; or regression alone, which
    knows no bins, so that vividness, versions and confidence fall away."""
    residual_weight: NotNegative = 1.0
    """Weight of the residual's Huber distance to the true ab, in tens of Lab units, for head=residual."""
    width: Count = 128
    """Channels of the decoder at strides 32 to 8."""
    head_width: Count = 96
    """Channels of the decoder at stride 4, before the head."""
    global_features: bool = True
    """Tell every place what the whole picture's mean features are (after Iizuka et al. 2016), which large
    pictures want: of them a place sees but its surroundings."""
    lr: Positive = 1.5e-3
    """Peak learning rate of the decoder (AdamW, warm-up then cosine)."""
    encoder_lr: Positive = 4e-4
    """Peak learning rate of the pretrained encoder."""
    weight_decay: NotNegative = 0.01
    """AdamW's weight decay."""
    rebalance_mix: Annotated[float, Range(above=0, most=1)] = 0.5
    """Share of the uniform distribution in the class weights; 1 switches rebalancing off."""
    T: Positive = 0.7
    """Temperature of the annealed mean at vividness 1."""
    rebalance_decode: float = -0.35
    """Power of the class weights that multiply the posterior when decoding at vividness 1; 0 leaves it as
    trained, −1 takes the rebalancing of the loss back."""
    rebalance_mean: float = -1.0
    """The same at vividness 0, where the head's own weights learn what else is to be mended. How far it lies
    from that at 1 is also how fast colours grow bolder beyond 1."""
    hint_none: Share = 0.5
    """Share of the training pictures that are shown without a hint, for which the model is mostly used."""
    hint_points: Annotated[float, Range(least=1)] = 8.0
    """Mean number of points revealed on the others; the numbers are geometric (Zhang et al. 2017: 1/8)."""
    hint_largest: Count = 9
    """Side in pixels of the largest patch that a point reveals; sides are even from 1 to this."""
    hint_positions: Literal["uniform", "gaussian"] = "uniform"
    """Where points fall: anywhere, or about the centre with a deviation of a quarter of the side."""

    learn: Literal["all", "mean"] = "all"
    """What is trained: all, or the weights of vividness 0 alone, which learn fast; all else is held fast."""
    learnt_every: Annotated[int, Range(least=1, most=8)] = 2
    """Along each side one cell in so many is learnt from, from a place drawn for each batch: neighbours tell
    nearly the same, and 313 bins for each cost a good part of a step; 1 for all cells."""
    smallest: Whole = 0
    """Least side, in pixels, to which the pictures of a batch are shrunk at random before they are learned
    from, so that colours hang little on the size; 0 leaves the size as it is."""
    lpips_weight: NotNegative = 0.0
    """Weight of the LPIPS distance (SqueezeNet) between the colours at vividness 1 and the true ones."""
    lpips_among: Whole = 0
    """Of how many photographs of a batch LPIPS, classifier, colourfulness and discriminator are asked, which
    cost time; 0 for all."""
    lpips_features: str = ""
    """Safetensors file of SqueezeNet 1.1's features, for `lpips_weight`."""
    lpips_heads: str = ""
    """Safetensors file of LPIPS's heads for them."""
    classifier_weight: NotNegative = 0.0
    """Weight of the Kullback-Leibler divergence of what an ImageNet classifier says of the picture at
    vividness 1 from what it says of the true one."""
    classifier: str = ""
    """Safetensors file of that classifier, NAME.ops.json beside it, for `classifier_weight`. Not the one that
    classes kept are scored with, or the score tells nothing."""
    colorfulness_weight: NotNegative = 0.0
    """Weight of the difference in colourfulness (Hasler and Süsstrunk 2003) between the picture at
    vividness 1 and the true one: absolute, of each photograph."""
    adversarial_weight: NotNegative = 0.0
    """Weight of deceiving a discriminator of patches with the colours at vividness 1; 0 does without one."""
    discriminator_lr: Positive = 2e-4
    """The discriminator's learning rate (Adam)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.smallest % 32:
            raise SettingsError(f"smallest must be a multiple of 32, or 0, not {self.smallest}.")
        if self.head == "residual" and not self.residual_weight:
            raise SettingsError("head=residual learns nothing at residual_weight=0.")
        if self.learn == "mean" and self.head == "regression":
            raise SettingsError("learn=mean wants bins; head=regression has none.")
        pictured = "lpips_weight", "classifier_weight", "colorfulness_weight", "adversarial_weight"
        if self.learn == "mean" and (asked := [name for name in pictured if getattr(self, name)]):
            raise SettingsError(f"learn=mean looks at no pictures; set {' and '.join(asked)} to 0.")
