"""Runs a model by the contract: L in, ab out. The only module that imports onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tintype.cards import ModelCard, read_model
from tintype.errors import ModelError


class Session:
    """One loaded model. `run` may be called from several threads at once.

    `threads` is how many processor threads one picture may use; None leaves the choice to onnxruntime.
    Raises ModelError when the file does not match its card or breaks the contract.
    """

    def __init__(self, card: ModelCard, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                read_model(card), options, providers=["CPUExecutionProvider"]
            )
        except ModelError:
            raise
        except Exception as error:  # onnxruntime raises its own classes, which share no base but this
            raise ModelError(f"{card.path.name} is not a model that onnxruntime can load: {error}") from error
        self.card = card
        self._check_contract()

    def run(self, L: NDArray[np.float32]) -> NDArray[np.float32]:
        """L (N, 1, H, W) in 0…100, H and W multiples of the card's `multiple`, to ab (N, 2, h, w)."""
        (ab,) = self._session.run(["ab"], {"L": L})
        expected = (L.shape[0], 2, L.shape[2] // self.card.stride, L.shape[3] // self.card.stride)
        if ab.shape != expected:
            raise ModelError(f"{self.card.path.name} gave ab of shape {ab.shape} instead of {expected}.")
        return ab

    def _check_contract(self) -> None:
        inputs = {i.name: i for i in self._session.get_inputs()}
        outputs = {o.name: o for o in self._session.get_outputs()}
        for name, nodes in (("L", inputs), ("ab", outputs)):
            if name not in nodes or not _is_float_nchw(nodes[name]):
                kind = "input" if nodes is inputs else "output"
                file = self.card.path.name
                raise ModelError(f"{file} is no colorizer: no float32 {kind} {name!r} of 4 dimensions.")
        if extra := sorted(inputs.keys() - {"L"}):
            raise ModelError(f"{self.card.path.name} needs inputs unknown here: {', '.join(extra)}.")


def _is_float_nchw(node: Any) -> bool:
    return node.type == "tensor(float)" and len(node.shape) == 4
