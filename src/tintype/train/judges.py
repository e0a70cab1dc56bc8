"""Networks as the evaluator takes them: pictures of 8 bits in, numbers out."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tintype.errors import ModelError
from tintype.train.classifier import Classifier
from tintype.train.perceptual import LpipsAlex, LpipsSqueeze

RGB8 = NDArray[np.uint8]
LPIPS = {"alex": LpipsAlex, "squeeze": LpipsSqueeze}
CLASSIFIER_SIDE = 224
INCEPTION_WIDTH = 2048
INCEPTION_SOURCE = (
    "it must be the TorchScript file inception-2015-12-05.pt of NVIDIA's stylegan2-ada-pytorch, the network "
    "of the original Fréchet inception distance"
)


class LpipsJudge:
    """LPIPS with one of the networks `LPIPS`; its score is `lpips_NETWORK`."""

    frechet = ""
    width = 0

    def __init__(self, network: str, features: Path, heads: Path) -> None:
        self._lpips = LPIPS[network](features, heads).eval()
        self.name = f"lpips_{network}"
        self.keys: tuple[str, ...] = (self.name,)
        self.digest = _digest(features, heads)

    @torch.no_grad()
    def look(self, rgb8: RGB8) -> list[Tensor]:
        """The network's activations."""
        return self._lpips.look(_to_tensor(rgb8))

    @torch.no_grad()
    def compare(self, seen: Sequence[Tensor], truth: Sequence[Tensor], label: str) -> dict[str, float]:
        """The distance."""
        return {self.name: float(self._lpips.distance(seen, truth))}

    def features(self, seen: Sequence[Tensor]) -> NDArray[np.float32]:
        """None."""
        raise NotImplementedError


class Answer(NamedTuple):
    """What a classifier said: the number of a class, and its features (width,)."""

    number: int
    features: NDArray[np.float32]


class ClassifierJudge:
    """Whether a classifier still names a picture rightly (Zhang et al. 2016, section 3.1).

    `class_kept` is 1 where it gives the class that it gives the truth; `class_right`, where the photograph's
    label is one of `classes`, is 1 where it gives that class. The picture is shown at 224 × 224.
    """

    name = "classifier"
    keys: tuple[str, ...] = ("class_kept", "class_right")
    frechet = "frechet_classifier"

    def __init__(self, file: Path, classes: Mapping[str, int] | None = None) -> None:
        self._classifier = Classifier(file).eval()
        self._classes = dict(classes or {})
        self.width = self._classifier.width
        if beyond := [k for k, v in self._classes.items() if not 0 <= v < self._classifier.classes]:
            count = self._classifier.classes
            raise ModelError(f"The class of {beyond[0]} is none of the {count} that {file.name} knows.")
        self.digest = _digest(file, file.with_suffix(".ops.json"), extra=repr(sorted(self._classes.items())))

    @torch.no_grad()
    def look(self, rgb8: RGB8) -> Answer:
        """The classifier's answer."""
        side = CLASSIFIER_SIDE
        method = cv2.INTER_AREA if min(rgb8.shape[:2]) > side else cv2.INTER_LINEAR
        small = cv2.resize(rgb8, (side, side), interpolation=method)
        logits, features = self._classifier(_to_tensor(small))
        return Answer(int(logits.argmax()), features[0].numpy())

    def compare(self, seen: Answer, truth: Answer, label: str) -> dict[str, float]:
        """1 for the class that was wanted, 0 for another, NaN where none is known."""
        wanted = self._classes.get(label)
        right = float("nan") if wanted is None else float(seen.number == wanted)
        return {"class_kept": float(seen.number == truth.number), "class_right": right}

    def features(self, seen: Answer) -> NDArray[np.float32]:
        """What the last layer is given."""
        return seen.features


class InceptionJudge:
    """The features of which the Fréchet inception distance is made (Heusel et al. 2017)."""

    name = "inception"
    keys: tuple[str, ...] = ()
    frechet = "fid"
    width = INCEPTION_WIDTH

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise ModelError(f"There is no Inception network {file}; {INCEPTION_SOURCE}.")
        try:
            self._network = _load_script(file)
            width = self.look(np.zeros((32, 32, 3), np.uint8)).shape
        except (RuntimeError, TypeError, ValueError) as error:
            raise ModelError(f"{file} is not the Inception network; {INCEPTION_SOURCE}.") from error
        if width != (self.width,):
            raise ModelError(f"{file} gives features of {width}; {INCEPTION_SOURCE}.")
        self.digest = _digest(file)

    @torch.no_grad()
    def look(self, rgb8: RGB8) -> NDArray[np.float32]:
        """The features (2048,); the network itself resizes to 299 × 299."""
        picture = torch.from_numpy(np.ascontiguousarray(rgb8)).permute(2, 0, 1)[None]
        features: NDArray[np.float32] = self._network(picture, return_features=True)[0].float().numpy()
        return features

    def compare(self, seen: NDArray[np.float32], truth: NDArray[np.float32], label: str) -> dict[str, float]:
        """Nothing: a single picture has no distance."""
        return {}

    def features(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """The features."""
        return seen


def _load_script(file: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript, in which this file is published
        return torch.jit.load(str(file), map_location="cpu").eval()  # type: ignore[no-untyped-call]


def _to_tensor(rgb8: RGB8) -> Tensor:
    """(H, W, 3) of 8 bits to (1, 3, H, W) in 0…1."""
    return torch.from_numpy(np.ascontiguousarray(rgb8)).permute(2, 0, 1)[None].float() / 255


def _digest(*files: Path, extra: str = "") -> str:
    digest = hashlib.sha256(extra.encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
