"""Recipes, and variants of them, made small enough to be tested in seconds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tintype.cards import ModelCard
from tintype.session import Session
from tintype.train import recipes
from tintype.train.export import export_onnx


def soft_entropy(model, ab):
    """The least that a soft cross-entropy can be: its targets' own weighted entropy."""
    index, weight = model.head.soft_encoder(F.avg_pool2d(ab, model.stride))
    entropy = -(weight * weight.clamp(min=1e-12).log()).sum(1)
    return (model.bin_weights[index[:, 0]] * entropy).mean().item()


@dataclass(frozen=True)
class Small:
    """How a recipe is made small enough to be tested in seconds."""

    settings: dict[str, Any] = field(default_factory=dict)
    size: int = 64  # side of the crops
    lr: float = 2e-3
    steps: int = 300
    floor: Any = None  # (model, ab) to the least that the loss can be, where that is not 0
    recipe: str = ""  # of which it is a variant
    nears: str = "l1"  # what an adversarial recipe must bring down


SMALL_GAN = {"size": 32, "perceptual_weight": 0.0, "l1_weight": 100.0, "discriminator_lr": 1e-3,
             "dominant_colors": 2}  # fmt: skip
# Of such small pictures every cell is learnt from.
SMALL_TINT = {"width": 32, "head_width": 32, "learnt_every": 1}
LEARNT_TINT = {"size": 32, "lr": 1e-2, "steps": 150, "floor": soft_entropy}


def tint(settings, **changes):
    """A variant of tint."""
    return Small(SMALL_TINT | settings, **LEARNT_TINT | {"recipe": "tint"} | changes)


SMALL = {
    "autoencoder": Small(lr=1e-2, size=32, steps=150),
    "binned": Small({"width_factor": 0.125}),
    "colornet": Small(lr=1e-2, size=32),
    "fusion": Small({"width": 0.125, "global_width": 4, "classes": 3}, size=32, lr=1e-3),
    "mean-chroma": Small(lr=3e-4, size=32, steps=60),
    "sagan": Small(SMALL_GAN, size=32, lr=3e-3),
    "tint": Small(SMALL_TINT, **LEARNT_TINT),
    "tint, EdgeTPU": tint({"encoder": "edgetpu_075"}),
    "tint, not global": tint({"global_features": False}),
    "tint, residual": tint({"head": "residual"}),
    "tint, regression": tint({"head": "regression"}, floor=None),
    "tint, adversarial": tint({"adversarial_weight": 0.1}, nears="cross_entropy"),
}
ALL = sorted(recipes.names() | SMALL.keys())


def small(name: str) -> Small:
    return SMALL.get(name, Small())


def recently(losses: list[float]) -> float:
    """The mean of the last five: hints and sizes are drawn for each, and one may be low by chance."""
    return sum(losses[-5:]) / len(losses[-5:])


def make(name: str):
    torch.manual_seed(0)
    module = recipes.get(small(name).recipe or name)
    return module.Model(module.Settings(**small(name).settings))


ADVERSARIAL = [name for name in ALL if make(name).adversarial]


def wake(model, gamma=0.1):
    """Let the parts speak that start behind a zero gamma, which would hide their gradients and inputs."""
    for key, parameter in model.named_parameters():
        if key.endswith("gamma"):
            nn.init.constant_(parameter, gamma)
    return model


def of_bins(losses):
    """What tint's head with bins asks of the whole loss."""
    return losses["cross_entropy"] + 0.01 * losses["mean_cross_entropy"] + 0.1 * losses["mean_distance"]


def exported(model, path, precision):
    """A session over the model's exported file."""
    export_onnx(model, path, precision=precision)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    inputs = {n: {"default": i.default, "description": i.description} for n, i in model.inputs.items()}
    outputs = {n: {"description": o.description} for n, o in model.outputs.items()}
    card = ModelCard(
        name="it", version="1", description="", recipe="", license="MIT", sha256=digest, inputs=inputs,
        outputs=outputs, multiple=model.multiple, stride=model.stride, path=path,
    )  # fmt: skip
    return Session(card, threads=1)
