"""Runs a model by the contract: L in, ab out. The only module that imports onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tintype.cards import ModelCard, read_model
from tintype.errors import ModelError, SettingsError
from tintype.running import held_signals, processor_quota
from tintype.words import plain_words

with held_signals():  # an interrupt would end in a traceback of its extension module's
    import onnxruntime

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "directml": "DmlExecutionProvider",
}
"""onnxruntime's execution providers, by the name that the user gives."""
# The package that brings one; all of them are imported as `onnxruntime`, so only one may be installed.
_PACKAGES = {
    "cuda": "onnxruntime-gpu",
    "tensorrt": "onnxruntime-gpu",
    "coreml": "onnxruntime on a Mac",
    "openvino": "onnxruntime-openvino",
    "directml": "onnxruntime-directml",
}


class Session:
    """One loaded model. `run` may be called from several threads at once.

    `threads` is how many processor threads one picture may use; None leaves the choice to onnxruntime, unless
    a container gives less than the machine has, of which onnxruntime knows nothing.
    `provider` is one of PROVIDERS and really used: where onnxruntime would go on without it, ModelError is
    raised. What it cannot compute of a model it leaves to the processor. Raises ModelError, too, when the
    file does not match its card or breaks the contract, SettingsError for a provider of another name.
    """

    def __init__(self, card: ModelCard, threads: int | None = None, provider: str = "cpu") -> None:
        self.provider = provider
        name = _provider(provider)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if wanted := threads or processor_quota():
            options.intra_op_num_threads = wanted
        try:
            self._session = onnxruntime.InferenceSession(read_model(card), options, providers=[name])
        except ModelError:
            raise
        except OSError as error:
            raise ModelError(f"The model {card.path} cannot be read: {plain_words(error)}.") from error
        except Exception as error:  # onnxruntime raises its own classes, which share no base but this
            raise ModelError(f"{card.path.name} is not a model that onnxruntime can load: {error}") from error
        if self._session.get_providers()[0] != name:
            raise ModelError(
                f"onnxruntime has {name} but could not start it: its driver or libraries are missing or of "
                f"another version; --provider cpu does without."
            )
        self.card = card
        self._check_contract()

    @property
    def inputs(self) -> dict[str, tuple[int | str, ...]]:
        """The inputs beside `L` by name, with their shapes; "N", "H" and "W" are those of `L`."""
        return dict(self._inputs)

    @property
    def any_size(self) -> bool:
        """Whether `L` may be of any size, in multiples of the card's `multiple`."""
        return self._any_size

    @property
    def outputs(self) -> frozenset[str]:
        """What the graph can tell beside `ab`, as the card lists it."""
        return frozenset(self.card.outputs)

    def run(self, L: NDArray[np.float32], **inputs: ArrayLike) -> NDArray[np.float32]:
        """L (N, 1, H, W) in 0…100, H and W multiples of the card's `multiple`, to ab (N, 2, h, w).

        `inputs` are values for the graph's further inputs, of their shape or one that broadcasts to it; what
        is left out has the default that the card states. Raises ModelError for an input that the model does
        not have or that does not fit, where the network fails (one of a fixed size, on another), and where
        the answer holds what is no finite number.
        """
        return self.run_for(("ab",), L, **inputs)["ab"]

    def run_for(
        self, names: Sequence[str], L: NDArray[np.float32], **inputs: ArrayLike
    ) -> dict[str, NDArray[np.float32]]:
        """The outputs of these names, of "ab" and `outputs`: `bin_probs` is (N, h, w, Q), `bins` (Q, 2).

        Otherwise as `run`; ModelError also for an output that the model does not have.
        """
        if unknown := sorted(set(names) - self.outputs - {"ab"}):
            raise ModelError(f"{self.card.name} gives no {', '.join(unknown)}.")
        found = dict(zip(names, self._computed(names, self.values(L, **inputs)), strict=True))
        n, (h, w) = L.shape[0], (side // self.card.stride for side in L.shape[2:])
        for name, value in found.items():
            count = value.shape[-1] if value.ndim == 4 else len(value)  # of bins, which is the model's affair
            expected = {"ab": (n, 2, h, w), "bin_probs": (n, h, w, count), "bins": (count, 2)}[name]
            if value.shape != expected:
                raise ModelError(
                    f"{self.card.path.name} gave {name} of shape {value.shape} instead of {expected}."
                )
            if not np.isfinite(value).all():
                raise ModelError(f"{self.card.path.name} gave {name} that is no number (NaN or infinite).")
        return found

    def _computed(self, names: Sequence[str], values: dict[str, NDArray[np.float32]]) -> Any:
        file, (height, width) = self.card.path.name, values["L"].shape[2:]
        try:
            return self._session.run(list(names), values)
        except MemoryError:
            raise
        except Exception as error:  # onnxruntime raises its own classes, which share no base but this
            alone = "" if self.any_size else "; its graph does not take any size, as one for use must"
            reason = " ".join(str(error).split()).rstrip(".")
            raise ModelError(f"{file} failed on L of {height} × {width}{alone}: {reason}.") from error

    def values(self, L: NDArray[np.float32], **inputs: ArrayLike) -> dict[str, NDArray[np.float32]]:
        """What the graph is given by `run`: `L`, and a value for each further input."""
        if unknown := sorted(inputs.keys() - self._inputs.keys()):
            raise ModelError(f"{self.card.name} takes no {', '.join(unknown)}.")
        sizes: dict[str | int, int] = {"N": L.shape[0], "H": L.shape[2], "W": L.shape[3]}
        values = {"L": L}
        for name, axes in self._inputs.items():
            value = np.asarray(inputs.get(name, self.card.inputs[name]["default"]), np.float32)
            wanted = tuple(sizes[axis] if isinstance(axis, str) else axis for axis in axes)
            try:
                values[name] = np.ascontiguousarray(np.broadcast_to(value, wanted))
            except ValueError:
                raise ModelError(
                    f"{self.card.name} takes {name} of shape {wanted}, not {value.shape}."
                ) from None
        return values

    def _check_contract(self) -> None:
        inputs = {i.name: i for i in self._session.get_inputs()}
        outputs = {o.name: o for o in self._session.get_outputs()}
        for name, nodes in (("L", inputs), ("ab", outputs)):
            if name not in nodes or not _is_float_nchw(nodes[name]):
                kind = "input" if nodes is inputs else "output"
                file = self.card.path.name
                raise ModelError(f"{file} is no colorizer: no float32 {kind} {name!r} of 4 dimensions.")
        self._any_size = not any(isinstance(side, int) for side in inputs["L"].shape[2:])
        self._inputs = {name: tuple(node.shape) for name, node in inputs.items() if name != "L"}
        if extra := sorted(self._inputs.keys() - self.card.inputs.keys()):
            raise ModelError(
                f"{self.card.path.name} needs inputs for which its card has no default: {', '.join(extra)}."
            )
        if missing := sorted(self.card.inputs.keys() - self._inputs.keys()):
            raise ModelError(f"{self.card.path.name} has no input {', '.join(missing)}, as its card says.")
        if missing := sorted(self.card.outputs.keys() - outputs.keys()):
            raise ModelError(f"{self.card.path.name} has no output {', '.join(missing)}, as its card says.")
        for name, axes in self._inputs.items():
            if inputs[name].type != "tensor(float)" or {a for a in axes if isinstance(a, str)} - set("NHW"):
                raise ModelError(f"{self.card.path.name}: the input {name} must be float32, sized as L is.")


def _provider(provider: str) -> str:
    """onnxruntime's own name. SettingsError for an unknown provider, ModelError for one not installed."""
    if provider not in PROVIDERS:
        raise SettingsError(f"There is no provider {provider!r}; choose from {', '.join(PROVIDERS)}.")
    name = PROVIDERS[provider]
    available = onnxruntime.get_available_providers()
    if name not in available:
        here = [short for short, full in PROVIDERS.items() if full in available]
        raise ModelError(
            f"The installed onnxruntime has no provider {provider} (it has {', '.join(here)}); it comes with "
            f"{_PACKAGES[provider]}, which takes the place of the onnxruntime that is installed."
        )
    return name


def _is_float_nchw(node: Any) -> bool:
    return node.type == "tensor(float)" and len(node.shape) == 4
