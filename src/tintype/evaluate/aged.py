"""What a network sees of a photograph that age and scanning have damaged. Needs the extra `train`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np

from tintype.errors import SettingsError, TintypeError
from tintype.evaluate.truths import Float, Truth

Ager = Callable[[Truth], Float]


def ager(kinds: Sequence[str], seed: int) -> Ager:
    """What gives the damaged L (H, W), 0…100, of a photograph.

    Each of `kinds` (of `tintype.train.damage`) is done once, in the order in which pictures meet them; by
    how much hangs on the seed and the photograph's name. Raises SettingsError for a kind that there is not,
    TintypeError where the extra is missing.
    """
    try:
        import torch

        from tintype.train import damage
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tintype"):
            raise
        raise TintypeError(
            f"--damage needs more than is installed ({error.name} is missing): pip install 'tintype[train]'."
        ) from None
    if unknown := [kind for kind in kinds if kind not in damage.KINDS]:
        raise SettingsError(f"--damage takes {', '.join(damage.KINDS)}, not {unknown[0]}.")

    def aged(truth: Truth) -> Float:
        L = torch.from_numpy(truth.L)[None, None]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(f"{seed} {truth.name}".encode(errors="surrogateescape")))
            for kind, change in damage.KINDS.items():
                L = change(L).clamp(0, 100) if kind in kinds else L
        return np.asarray(L[0, 0].numpy(), np.float32)

    return aged
