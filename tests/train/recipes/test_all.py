"""What every recipe must do, whatever it is: new ones are picked up by their file."""

from __future__ import annotations

import ast
import hashlib
import inspect
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data
from torch import nn

from tintype.cards import ModelCard
from tintype.session import Session
from tintype.train import recipes
from tintype.train.export import PARITY_LIMIT, PARITY_SHARE, export_onnx
from tintype.train.lab import rgb_to_lab

PARITY = 0.05  # Lab units between the exported graph and its source, of 0.5 allowed


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


SMALL_GAN = {"size": 32, "perceptual_weight": 0.0, "l1_weight": 100.0, "discriminator_lr": 1e-3,
             "dominant_colors": 2}  # fmt: skip
SMALL = {
    "autoencoder": Small(lr=1e-2, size=32, steps=150),
    "binned": Small({"width_factor": 0.125}),
    "colornet": Small(lr=1e-2, size=32),
    "fusion": Small({"width": 0.125, "global_width": 4, "classes": 3}, size=32, lr=1e-3),
    "mean-chroma": Small(lr=3e-4, size=32, steps=60),
    "sagan": Small(SMALL_GAN, size=32, lr=3e-3),
    "tint": Small({"width": 32, "head_width": 32}, steps=150, floor=soft_entropy),
}


def small(name: str) -> Small:
    return SMALL.get(name, Small())


def make(name: str):
    torch.manual_seed(0)
    module = recipes.get(name)
    return module.Model(module.Settings(**small(name).settings))


@pytest.fixture(scope="module")
def lab():
    """Eight crops of photographs, (8, 3, 64, 64)."""
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    crops = [p[y : y + 192 : 3, 60:252:3] for p in pictures for y in (20, 100)]
    return rgb_to_lab(torch.stack([torch.from_numpy(c.copy()).permute(2, 0, 1) for c in crops]).float() / 255)


def batch_for(name, lab):
    """L, ab and labels at the recipe's test size; the last photograph has no label."""
    lab = lab[..., : small(name).size, : small(name).size]
    labels = torch.arange(8) % 3
    labels[-1] = -1
    return lab[:, :1], lab[:, 1:], labels


def sizes(model):
    """Two inputs (H, W), the second not square."""
    side = -(-64 // model.multiple) * model.multiple
    return [(side, side), (side, side + model.multiple)]


@pytest.mark.parametrize("name", recipes.names())
def test_defaults_construct(name):
    module = recipes.get(name)
    model = module.Model(module.Settings())
    assert model.settings == module.Settings()
    assert model.multiple % model.stride == 0


@pytest.mark.parametrize("name", recipes.names())
def test_every_setting_is_documented(name):
    module = recipes.get(name)
    assert module.__doc__.startswith(f"`{name}`")
    tree = ast.parse(inspect.getsource(module))
    (settings,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings")
    fields = [n for n in settings.body if isinstance(n, ast.AnnAssign)]
    assert fields
    for node, after in pairwise([*settings.body, ast.Pass()]):
        if node in fields:
            assert node.value is not None, f"{ast.unparse(node)} has no default"
            documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            assert documented, f"{ast.unparse(node)} has no docstring"


@pytest.mark.parametrize("name", recipes.names())
def test_output_is_ab_at_the_stated_stride(name):
    model = make(name).eval()
    for height, width in sizes(model):
        with torch.no_grad():
            ab = model(torch.rand(2, 1, height, width) * 100)
        assert ab.shape == (2, 2, height // model.stride, width // model.stride)
        assert ab.dtype == torch.float32
        assert torch.isfinite(ab).all()
        assert ab.abs().max() <= 130


def idle_biases(model):
    """Biases that change nothing: BatchNorm centres them away, or a softmax over keys is blind to them."""
    for part in model.modules():
        if isinstance(part, nn.Sequential):
            for first, second in pairwise(part):
                if isinstance(second, nn.BatchNorm2d) and getattr(first, "bias", None) is not None:
                    yield first.bias
        if isinstance(getattr(part, "key", None), nn.Conv2d):
            yield part.key.bias


def check_gradients(model, owned, idle):
    names = {id(p): n for n, p in model.named_parameters()}
    for parameter in owned:
        name = names[id(parameter)]
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if id(parameter) not in idle:
            assert parameter.grad.abs().max() > 0, name


def parameters_of(optimizer):
    return [p for group in optimizer.param_groups for p in group["params"]]


@pytest.mark.parametrize("name", recipes.names())
def test_gradients_are_finite_and_reach_every_parameter(name, lab):
    model = make(name)
    L, ab, labels = batch_for(name, lab)
    model.prepare(ab)
    for key, parameter in model.named_parameters():
        if key.endswith("gamma"):  # attention starts behind a zero gamma, which would hide its gradients
            nn.init.constant_(parameter, 0.1)
    idle = {id(p) for p in idle_biases(model)}
    model.loss(L, ab, labels)["loss"].backward()
    owned = parameters_of(model.optimizer())
    check_gradients(model, owned, idle)
    if model.adversarial:
        model.zero_grad()
        model.discriminator_loss(L, ab)["loss"].backward()
        others = parameters_of(model.discriminator_optimizer())
        check_gradients(model, others, idle)
        owned += others
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert sorted(map(id, owned)) == sorted(trained), "every parameter belongs to one optimiser, once"


def step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters_of(optimizer), 1.0)
    optimizer.step()


def with_lr(optimizer, lr):
    for group in optimizer.param_groups:
        group["lr"] = lr
    return optimizer


@pytest.mark.parametrize("name", [n for n in recipes.names() if not recipes.get(n).Model.adversarial])
def test_one_batch_is_learnt_by_heart(name, lab):
    model, case = make(name), small(name)
    L, ab, labels = batch_for(name, lab)
    model.prepare(ab)
    floor = case.floor(model, ab) if case.floor else 0.0
    first = model.loss(L, ab, labels)["loss"].item()
    optimizer = with_lr(model.optimizer(), case.lr)
    for _ in range(case.steps):
        loss = model.loss(L, ab, labels)["loss"]
        step(optimizer, loss)
    assert floor <= loss.item() < floor + (first - floor) / 5


@pytest.mark.parametrize("name", [n for n in recipes.names() if recipes.get(n).Model.adversarial])
def test_an_adversarial_recipe_nears_the_truth_of_one_batch(name, lab):
    model, case = make(name), small(name)
    L, ab, labels = batch_for(name, lab)
    first = model.loss(L, ab, labels)["l1"].item()
    discriminator, optimizer = model.discriminator_optimizer(), with_lr(model.optimizer(), case.lr)
    for _ in range(case.steps):
        step(discriminator, model.discriminator_loss(L, ab)["loss"])
        losses = model.loss(L, ab, labels)
        if (distance := losses["l1"].item()) < first / 2:
            return
        step(optimizer, losses["loss"])
    pytest.fail(f"L1 to the truth went from {first:.3f} to {distance:.3f} only")


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


def difference(session, model, L, *inputs):
    """|Δab| (N, 2, h, w) between the exported graph and its source; `inputs` are those beside L."""
    with torch.no_grad():
        wanted = model(L, *inputs).numpy()
    given = {name: value.numpy() for name, value in zip(model.inputs, inputs, strict=True)} if inputs else {}
    return np.abs(session.run(L.numpy(), **given) - wanted)


@pytest.mark.parametrize("name", recipes.names())
def test_the_exported_graph_is_its_source(name, tmp_path):
    model = make(name).eval()
    session = exported(model, tmp_path / "it.onnx", 32)
    for n, (height, width) in enumerate(sizes(model), start=1):
        close = difference(session, model, torch.rand(n, 1, height, width) * 100) <= PARITY
        assert close.mean() >= PARITY_SHARE  # where a network decides, rounding may decide otherwise


@pytest.mark.parametrize("name", recipes.names())
def test_further_inputs_reach_the_exported_graph(name, tmp_path):
    model = make(name).eval()
    session = exported(model, tmp_path / "it.onnx", 32)
    assert session.inputs == {n: i.shape for n, i in model.inputs.items()}
    L = torch.rand(2, 1, *sizes(model)[0]) * 100
    values = {}
    for input_name, one in model.inputs.items():
        shape = [{"N": 2, "H": L.shape[2], "W": L.shape[3]}.get(axis, axis) for axis in one.shape]
        values[input_name] = torch.rand(shape) * 2
    if values:
        assert (difference(session, model, L, *values.values()) <= PARITY).all()
    for input_name, value in values.items():
        moved = 0.0
        for told in ({}, {n: v.numpy() for n, v in values.items() if n != input_name}):
            # With the others too: some say nothing alone, as a hint's colour does without its place.
            change = session.run(L.numpy(), **told, **{input_name: value.numpy()}) - session.run(
                L.numpy(), **told
            )
            moved = max(moved, np.abs(change).max())
        assert moved > PARITY, f"{input_name} changes nothing"


@pytest.mark.parametrize("name", [n for n in recipes.names() if make(n).outputs])
def test_further_outputs_of_the_exported_graph_are_its_sources(name, tmp_path):
    model = make(name).eval()
    session = exported(model, tmp_path / "it.onnx", 32)
    assert session.outputs == model.outputs.keys()
    L = torch.rand(2, 1, *sizes(model)[1]) * 100
    with torch.no_grad():
        wanted = model.everything(L)
    assert torch.equal(wanted[0], model(L))
    found = session.run_for(("ab", *model.outputs), L.numpy())
    small = {"N": 2, "h": L.shape[2] // model.stride, "w": L.shape[3] // model.stride}
    for (output_name, one), value in zip(model.outputs.items(), wanted[1:], strict=True):
        assert found[output_name].shape == tuple(small.get(axis, axis) for axis in one.shape)
        np.testing.assert_allclose(found[output_name], value.numpy(), atol=1e-3)


@pytest.mark.parametrize("name", ["autoencoder", "tint", "fusion"])
def test_float16_weights_take_half_the_space(name, tmp_path):
    model = make(name).eval()
    whole, half = tmp_path / "whole.onnx", tmp_path / "half.onnx"
    exported(model, whole, 32)
    session = exported(model, half, 16)
    assert half.stat().st_size < 0.65 * whole.stat().st_size
    L = torch.rand(1, 1, *sizes(model)[0]) * 100
    assert (difference(session, model, L) <= PARITY_LIMIT).mean() >= PARITY_SHARE
