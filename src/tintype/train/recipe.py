"""What a recipe is to the rest of training: a network with its loss, its optimiser and its defaults."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from tintype.train.ranges import Count, NotNegative, Range, Ranged, Whole

Losses = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Schedule(Ranged):
    """How a recipe is trained unless the user says otherwise."""

    epochs: Count = 20
    """Times `repeats` passes over the photographs."""
    repeats: Count = 1
    """How often an epoch takes each photograph, cropped anew each time: more where augmented copies count."""
    batch: Count = 32
    """Photographs a step."""
    size: Count = 128
    """Side of the square training crops, in pixels."""
    lr_schedule: Literal["constant", "cosine"] = "constant"
    """Learning rates as they are, or rising over the first 3% of the steps, then a cosine to a hundredth."""
    ema_decay: Annotated[float, Range(least=0, under=1)] = 0.0
    """Decay of the averaged weights, which are then the ones exported; 0 keeps none."""
    patience: Whole = 0
    """Epochs without a better validation loss before training stops; 0 never stops early."""
    converged: NotNegative = 0.0
    """Training stops when an epoch moves the mean training loss by less than this; 0 never stops so."""
    clip: NotNegative = 0.0
    """Norm to which gradients are clipped; 0 leaves them."""


@dataclass(frozen=True, kw_only=True)
class GraphInput:
    """An input that the exported graph takes beside L; `forward` takes it in the order of `inputs`."""

    default: float
    """The value of all its elements when nothing is said."""
    shape: tuple[int | str, ...]
    """Its sizes; "N", "H" and "W" are those of L."""
    description: str


@dataclass(frozen=True, kw_only=True)
class GraphOutput:
    """What the exported graph can tell beside ab; `everything` gives it in the order of `outputs`."""

    shape: tuple[int | str, ...]
    """Its sizes; "N" is that of L, "h" and "w" are those of ab."""
    description: str


class RecipeModel(nn.Module, ABC):
    """Base of every recipe's `Model`. `settings` is the recipe's frozen dataclass.

    Attributes: `stride` = H / h of the output, `multiple` of which H and W must be, `adversarial` for models
    with a discriminator, which is trained by an optimiser of its own (these may depend on the settings),
    `sums_over_batch` for a loss that is a sum, not a mean, over the photographs of a batch, whether the
    memory layout `channels_last` is the faster one, `stays_float`: beginnings of the names of the graph's
    nodes that keep float32 where the rest is quantised to 8 bits, `handed_on`: the settings that make the
    graph what it is, which a run takes from what it starts from unless it is told otherwise, and
    `prepared_by`: the settings that `prepare` alone reads, moot where weights come from another run.
    """

    stride: int = 1
    multiple: int = 8
    adversarial: bool = False
    sums_over_batch: ClassVar[bool] = False
    channels_last: ClassVar[bool] = True
    stays_float: ClassVar[tuple[str, ...]] = ()
    handed_on: ClassVar[tuple[str, ...]] = ()
    prepared_by: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.settings = settings

    @property
    def inputs(self) -> dict[str, GraphInput]:
        """What `forward` and the exported graph take beside L, by name; nothing by default."""
        return {}

    @property
    def outputs(self) -> dict[str, GraphOutput]:
        """What `everything` and the exported graph give beside ab, by name; nothing by default."""
        return {}

    @abstractmethod
    def forward(self, L: Tensor, *inputs: Tensor) -> Tensor:
        """L (N, 1, H, W), 0…100, to ab (N, 2, H / stride, W / stride) in Lab units: what is exported."""

    def everything(self, L: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        """As `forward`: ab, and the further outputs in their order."""
        return (self(L, *inputs),)

    @abstractmethod
    def loss(self, L: Tensor, ab: Tensor, labels: Tensor) -> Losses:
        """Scalars by name, "loss" being what is minimised (by the generator, where there are two).

        L (N, 1, H, W) and the true ab (N, 2, H, W) in Lab units; labels (N,) int64, −1 where there is none.
        """

    def discriminator_loss(self, L: Tensor, ab: Tensor) -> Losses:
        """The other side's scalars, "loss" among them; for `adversarial` models alone."""
        raise TypeError(f"{type(self).__module__} has no discriminator")

    def prepare(self, ab: Tensor) -> None:
        """Learn what must be known of the data beforehand from true colours (N, 2, H, W) of a sample."""

    def adopt(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights that a run shall start from, with what is known to be new here added; as given by default.

        For weights of an earlier form of this recipe alone. What it adds it tells in a line on the screen;
        whatever else does not fit is refused afterwards.
        """
        return weights

    def for_export(self) -> nn.Module:
        """The module to export, L to ab: itself, unless training needs parts that use does not.

        Called on a copy, which it may change.
        """
        return self

    def optimizer(self) -> torch.optim.Optimizer:
        """The optimiser of what `loss` trains; Adam at `settings.lr` over all parameters by default."""
        return torch.optim.Adam(self.parameters(), self.settings.lr)

    def discriminator_optimizer(self) -> torch.optim.Optimizer:
        """The optimiser of the discriminator; for `adversarial` models alone."""
        raise TypeError(f"{type(self).__module__} has no discriminator")
