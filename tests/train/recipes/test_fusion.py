"""The global branch's variants, the targets' scaling, the classifier, and what may not be in the network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tintype.errors import DataError, SettingsError
from tintype.train.recipes.fusion import SCHEDULE, Model, Settings

SMALL = {"width": 0.125, "global_width": 4}


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return torch.rand(4, 1, 32, 32) * 100, torch.randn(4, 2, 32, 32) * 20


def make(**values):
    torch.manual_seed(0)
    return Model(Settings(**SMALL | values))


def convolutions(part):
    return [(c.out_channels, c.stride[0]) for c in part.modules() if isinstance(c, nn.Conv2d)]


def count(part):
    return sum(p.numel() for p in part.parameters())


def test_default_is_the_reports():
    model = Model(Settings())
    assert convolutions(model.low) == [(64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1)]
    assert convolutions(model.mid) == [(512, 1), (256, 1)]
    assert convolutions(model.globals) == [(32, 1)]
    dense = [(m.in_features, m.out_features) for m in model.globals if isinstance(m, nn.Linear)]
    assert dense == [(28 * 28 * 32, 1024), (1024, 512), (512, 256)]
    assert (model.fuse[0].in_channels, model.fuse[0].out_channels, model.fuse[0].kernel_size[0]) == (
        512,
        256,
        1,
    )
    assert convolutions(model.colour) == [(128, 1), (64, 1), (64, 1), (32, 1), (2, 1)]
    assert (Settings().lr, SCHEDULE.batch, SCHEDULE.size) == (1e-5, 64, 224)
    assert count(model) == 32_878_082


def test_full_is_the_papers_global_branch():
    model = Model(Settings(global_features="full"))
    assert convolutions(model.globals) == [(512, 2), (512, 1), (512, 2), (512, 1)]
    assert model.globals[2].in_features == 7 * 7 * 512


def test_without_global_features_nothing_is_fused():
    model = make(global_features="none")
    assert model.globals is None
    assert isinstance(model.fuse, nn.Identity)
    assert count(model) < count(make())


def test_relu_everywhere_and_no_batch_norm():
    """Each convolution and linear layer but the last is followed by ReLU; no sigmoid but at the end."""
    layers = [m for m in make(global_features="full").modules() if not list(m.children())]
    kinds = {nn.Conv2d, nn.Linear, nn.ReLU, nn.Upsample, nn.Flatten}
    assert {type(m) for m in layers} == kinds
    weighted = [i for i, m in enumerate(layers) if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert weighted[-1] == len(layers) - 1
    assert all(isinstance(layers[i + 1], nn.ReLU) for i in weighted[:-1])


@pytest.mark.parametrize("branch", ["none", "light", "full"])
def test_output_is_upsampled_from_half_the_size(pair, branch):
    model = make(global_features=branch).eval()
    with torch.no_grad():
        output, ab = model.output(pair[0]), model(pair[0])
    assert output.shape == (4, 2, 16, 16)
    assert ab.shape == (4, 2, 32, 32)
    assert (output.min() > 0) & (output.max() < 1)


@pytest.mark.parametrize("scaling", ["sigmoid", "linear"])
def test_target_scaling_is_undone(scaling):
    model = make(target_scaling=scaling)
    ab = torch.linspace(-110, 110, 24).reshape(1, 2, 3, 4)
    target = model.target(ab)
    assert (target.min() > 0) & (target.max() < 1)
    assert torch.allclose(model.to_ab(target.logit()), ab, atol=1e-2)


def test_global_features_reach_every_place(pair):
    """Changing one corner of the picture changes the opposite one's colour, but not without the branch."""
    other = pair[0].repeat(1, 1, 6, 6)[:1]
    changed = other.clone()
    changed[..., :16, :16] = 100 - changed[..., :16, :16]
    for branch, moves in (("light", True), ("full", True), ("none", False)):
        model = make(global_features=branch).eval()
        with torch.no_grad():
            difference = (model(other) - model(changed)).abs()[..., -8:, -8:].max()
        assert (difference > 0) == moves, branch


def test_the_classifier_learns_from_labelled_photographs_alone(pair):
    model = make(classes=5)
    labels = torch.tensor([3, -1, 0, -1])
    losses = model.loss(*pair, labels)
    scene = model.logits(pair[0])[1].log_softmax(1)
    entropy = -(scene[0, 3] + scene[2, 0]) / 4
    assert losses["cross_entropy"].item() == pytest.approx(entropy.item(), rel=1e-5)
    assert losses["loss"].item() == pytest.approx(losses["mse"].item() + entropy.item() / 300, rel=1e-5)


def test_no_labels_give_no_gradient_to_the_classifier(pair):
    model = make(classes=5)
    model.loss(*pair, torch.full((4,), -1))["loss"].backward()
    assert model.classifier.weight.grad.abs().max() == 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_loss_of_halves_averages_to_that_of_the_whole(pair):
    model, labels = make(classes=5), torch.tensor([3, -1, 0, 1])
    L, ab = pair
    halves = [model.loss(L[i : i + 2], ab[i : i + 2], labels[i : i + 2])["loss"].item() for i in (0, 2)]
    assert sum(halves) / 2 == pytest.approx(model.loss(L, ab, labels)["loss"].item(), rel=1e-5)


def test_labels_beyond_the_classes_are_refused():
    L, ab = torch.full((2, 1, 64, 64), 50.0), torch.zeros(2, 2, 64, 64)
    with pytest.raises(DataError, match="label 7; classes=5 wants labels from 0 to 4"):
        make(classes=5).loss(L, ab, torch.tensor([0, 7]))


@pytest.mark.parametrize(
    "values", [{"classes": 3, "global_features": "none"}, {"width": 0}, {"sigmoid_scale": -1.0}]
)
def test_impossible_settings_are_refused(values):
    with pytest.raises(SettingsError):
        Settings(**values)
