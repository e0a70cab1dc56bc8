"""`tint`: Tintype's own model.

A MobileNetV2 pretrained on ImageNet looks at the grey picture; a light top-down decoder of separable
convolutions brings its features to a quarter of the input's size; a 1×1 head gives the posterior over
the 313 colour bins of Zhang et al. 2016, trained with soft encoding and class rebalancing and decoded
inside the graph by their annealed mean.

Hints by hand (after Zhang et al. 2017) are read where the decoder works: at strides 16, 8 and 4 as features;
at stride 8 attention carries their colours to all that looks alike; and at the end they are evidence on the
bins, so that the very place is coloured as told. Where there is no hint all of this is exactly 0: weights of
a network without it are taken as a start (`adopt`), and give the same colours.

Its choices can be varied, so that they are made by measurement: `encoder`, `head` (see `heads`), the widths,
the rebalancing, and what the loss asks beside the cross-entropy: LPIPS, colourfulness and, as the term of a
last phase, a light discriminator. With that one the network is trained as adversarial recipes are, by two
optimisers in turn: their learning rates stay as they are, without warm-up or cosine (`--lr-scale` lowers
them), weights are averaged as ever, and the last ones are kept, not those of the least validation loss.
"""

from tintype.train.recipes.tint.model import Model
from tintype.train.recipes.tint.settings import SCHEDULE, Settings

__all__ = ["SCHEDULE", "Model", "Settings"]
