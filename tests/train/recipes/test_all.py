"""What every recipe must do, whatever it is: new ones are picked up by their file."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise

import numpy as np
import pytest
import torch
from skimage import data
from small_recipes import ADVERSARIAL, ALL, exported, make, recently, small, wake
from torch import nn

from tintype.train import recipes
from tintype.train.export import PARITY_LIMIT, PARITY_SHARE
from tintype.train.lab import rgb_to_lab

PARITY = 0.05  # Lab units between the exported graph and its source, of 0.5 allowed


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
    (settings,) = ast.parse(inspect.getsource(module.Settings)).body
    fields = [n for n in settings.body if isinstance(n, ast.AnnAssign)]
    assert fields
    for node, after in pairwise([*settings.body, ast.Pass()]):
        if node in fields:
            assert node.value is not None, f"{ast.unparse(node)} has no default"
            documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            assert documented, f"{ast.unparse(node)} has no docstring"


@pytest.mark.parametrize("name", ALL)
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


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_finite_and_reach_every_parameter(name, lab):
    model = make(name)
    L, ab, labels = batch_for(name, lab)
    model.prepare(ab)
    wake(model)
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


@pytest.mark.parametrize("name", [n for n in ALL if n not in ADVERSARIAL])
def test_one_batch_is_learnt_by_heart(name, lab):
    model, case = make(name), small(name)
    L, ab, labels = batch_for(name, lab)
    model.prepare(ab)
    floor = case.floor(model, ab) if case.floor else 0.0
    first = model.loss(L, ab, labels)["loss"].item()
    optimizer = with_lr(model.optimizer(), case.lr)
    losses = []
    while len(losses) < case.steps:
        loss = model.loss(L, ab, labels)["loss"]
        losses.append(loss.item())
        if floor <= recently(losses) < floor + (first - floor) / 5:
            return
        step(optimizer, loss)
    pytest.fail(f"the loss went from {first:.3f} to {recently(losses):.3f} only; its floor is {floor:.3f}")


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_an_adversarial_recipe_nears_the_truth_of_one_batch(name, lab):
    model, case = make(name), small(name)
    L, ab, labels = batch_for(name, lab)
    model.prepare(ab)
    floor = case.floor(model, ab) if case.floor else 0.0
    first = model.loss(L, ab, labels)[case.nears].item()
    discriminator, optimizer = model.discriminator_optimizer(), with_lr(model.optimizer(), case.lr)
    for _ in range(case.steps):
        step(discriminator, model.discriminator_loss(L, ab)["loss"])
        losses = model.loss(L, ab, labels)
        if (distance := losses[case.nears].item()) < floor + (first - floor) / 2:
            return
        step(optimizer, losses["loss"])
    pytest.fail(f"{case.nears} went from {first:.3f} to {distance:.3f} only")


def some_value(input_name, shape):
    """Of an input, far from its default and from nothing told."""
    if not shape:
        return torch.tensor(2.0)
    return torch.rand(shape) * (60 if input_name.endswith("_ab") else 2)


def difference(session, model, L, *inputs):
    """|Δab| (N, 2, h, w) between the exported graph and its source; `inputs` are those beside L."""
    with torch.no_grad():
        wanted = model(L, *inputs).numpy()
    given = {name: value.numpy() for name, value in zip(model.inputs, inputs, strict=True)} if inputs else {}
    return np.abs(session.run(L.numpy(), **given) - wanted)


@pytest.mark.parametrize("name", ALL)
def test_the_exported_graph_is_its_source(name, tmp_path):
    model = make(name).eval()
    session = exported(model, tmp_path / "it.onnx", 32)
    for n, (height, width) in enumerate(sizes(model), start=1):
        close = difference(session, model, torch.rand(n, 1, height, width) * 100) <= PARITY
        assert close.mean() >= PARITY_SHARE  # where a network decides, rounding may decide otherwise


@pytest.mark.parametrize("name", ALL)
def test_further_inputs_reach_the_exported_graph(name, tmp_path):
    model = wake(make(name), 3.0).eval()
    session = exported(model, tmp_path / "it.onnx", 32)
    assert session.inputs == {n: i.shape for n, i in model.inputs.items()}
    L = torch.rand(2, 1, *sizes(model)[0]) * 100
    values = {}
    for input_name, one in model.inputs.items():
        shape = [{"N": 2, "H": L.shape[2], "W": L.shape[3]}.get(axis, axis) for axis in one.shape]
        values[input_name] = some_value(input_name, shape)
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


@pytest.mark.parametrize("name", [n for n in ALL if make(n).outputs])
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
