"""The recipe as a whole: shapes, gradients, pretrained weights, and learning one batch by heart."""

from __future__ import annotations

import pytest
import torch
from skimage import data

from tintype.errors import ModelError
from tintype.train import recipes
from tintype.train.blocks import MobileNetV2, SameConv
from tintype.train.lab import rgb_to_lab

NO_LABELS = torch.full((4,), -1)


@pytest.fixture
def batch():
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    crops = [torch.from_numpy(p[50:250:2, 50:250:2].copy()).permute(2, 0, 1)[:, :96, :96] for p in pictures]
    lab = rgb_to_lab(torch.stack(crops).float() / 255)
    return lab[:, :1], lab[:, 1:]


@pytest.fixture
def model():
    torch.manual_seed(0)
    tint = recipes.get("tint")
    return tint.Model(tint.Settings(width=32, head_width=32))


def test_recipes_are_found_by_file_name():
    assert "tint" in recipes.names()


def test_output_is_ab_at_a_quarter(model, batch):
    ab = model.eval()(batch[0])
    assert ab.shape == (4, 2, 24, 24)
    assert ab.abs().max() <= 110


def test_every_parameter_has_a_gradient(model, batch):
    model.loss(*batch, NO_LABELS)["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if not name.endswith("bias"):
            assert parameter.grad.abs().max() > 0, name


def test_one_batch_is_learnt_by_heart(model, batch):
    model.prepare(batch[1])
    index, weight = model.soft_encoder(torch.nn.functional.avg_pool2d(batch[1], 4))
    entropy = -(weight * weight.clamp(min=1e-12).log()).sum(1)
    floor = (model.bin_weights[index[:, 0]] * entropy).mean().item()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    first = model.loss(*batch, NO_LABELS)["loss"].item()
    for _ in range(150):
        optimizer.zero_grad()
        loss = model.loss(*batch, NO_LABELS)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert loss.item() - floor < (first - floor) / 5


def test_groups_hold_every_parameter_once(model):
    groups = model.optimizer().param_groups
    counted = [p for group in groups for p in group["params"]]
    assert len(counted) == len(set(map(id, counted))) == len(list(model.parameters()))


def folded_classifier():
    convs = [m for m in MobileNetV2().modules() if isinstance(m, SameConv)]
    tensors = {}
    for i, conv in enumerate(convs):
        shape = (conv.out_channels, 3, 3, 3) if i == 0 else conv.weight.shape
        tensors[f"{i:02d}.weight"], tensors[f"{i:02d}.bias"] = torch.randn(shape), torch.randn(len(conv.bias))
    return tensors


def test_pretrained_weights_are_taken_whole():
    tensors = folded_classifier()
    encoder = MobileNetV2()
    encoder.load_pretrained(tensors)
    assert torch.allclose(encoder.stem.weight, tensors["00.weight"].sum(1, keepdim=True))
    assert torch.equal(encoder.blocks[-1].project.weight, tensors["50.weight"])


@pytest.mark.parametrize("damage", ["missing", "shape"])
def test_wrong_pretrained_weights_are_refused(damage):
    tensors = folded_classifier()
    if damage == "missing":
        del tensors["17.weight"]
    else:
        tensors["17.weight"] = torch.zeros(3, 3)
    with pytest.raises(ModelError, match=r"17\.weight"):
        MobileNetV2().load_pretrained(tensors)


def test_stride_two_pads_right_and_bottom_only():
    conv = SameConv(1, 1, 3, 2)
    torch.nn.init.ones_(conv.weight)
    torch.nn.init.zeros_(conv.bias)
    assert conv(torch.ones(1, 1, 4, 4))[0, 0].tolist() == [[9, 6], [6, 4]]
