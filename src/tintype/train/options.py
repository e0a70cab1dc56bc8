"""How a run is fed and driven, whatever its recipe."""

from __future__ import annotations

from dataclasses import dataclass

from tintype.train.cache import Cache
from tintype.train.ranges import Count, NotNegative, Ranged, Whole


@dataclass(frozen=True, kw_only=True)
class FitOptions(Ranged):
    """How a run is fed and driven; the network's own settings are the recipe's."""

    steps: Count
    """Steps, that is batches, of the whole run; a learning-rate schedule spans them."""
    batch: Count = 48
    """Photographs a step and process."""
    size: Count = 128
    """Side of the square training crops, in pixels."""
    lr_scale: NotNegative = 1.0
    """Factor on the recipe's learning rates (a second, finer phase wants less)."""
    precision: str = "32"
    """`32`, or `bf16` for autocast."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    devices: Count = 1
    """Processes on this machine, one a device."""
    nodes: Count = 1
    """Machines."""
    workers: Whole = 1
    """Processes that read and crop."""
    cache: Cache = "auto"
    """Where decoded photographs are kept: `gpu`, `ram`, `none`, or `auto` for a GPU if they fit well."""
    seed: int = 0
    """Seed of everything random."""
    init_encoder: str = ""
    """A pretrained encoder to start from, see `tintype.train.pretrained`."""
    start_from: tuple[str, ...] = ()
    """Models, runs, checkpoints or safetensors files: the mean of their weights is the start."""
    minutes: NotNegative = 0.0
    """Time after which the run stops, whatever its steps; 0 for no such limit."""
    checkpoint_every: Count = 200
    """Steps between checkpoints."""
    keep_every: Whole = 0
    """Epochs between checkpoints that stay (`epoch-0005.ckpt`); 0 keeps the best and the last alone."""
    validate_every: Count = 500
    """Steps between validations, at most one an epoch."""
