"""The GAN's parts: shapes, attention, spectral normalisation, both sides' losses, what is exported."""

from __future__ import annotations

import copy
import hashlib

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage import data
from torch import nn

from tintype import cli
from tintype.cards import ModelCard
from tintype.errors import ModelError, SettingsError
from tintype.session import Session
from tintype.train.blocks import SelfAttention, area_resize
from tintype.train.export import export_onnx
from tintype.train.lab import lab_to_rgb, rgb_to_lab
from tintype.train.perceptual import VggFeatures
from tintype.train.recipes import sagan

NO_LABELS = torch.full((8,), -1)
VGG_SHAPES = {
    0: (3, 3, 1), 2: (64, 3, 3), 5: (64, 64, 3), 9: (128, 64, 3), 12: (128, 128, 3), 16: (256, 128, 3),
}  # fmt: skip


def make(**settings):
    torch.manual_seed(0)
    return sagan.Model(sagan.Settings(**{"perceptual_weight": 0, "size": 32, "width": 8} | settings))


@pytest.fixture(scope="module")
def batch():
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    crops = [p[y : y + 192 : 6, 60:252:6] for p in pictures for y in (20, 100)]
    lab = rgb_to_lab(torch.stack([torch.from_numpy(c.copy()).permute(2, 0, 1) for c in crops]).float() / 255)
    return lab[:, :1], lab[:, 1:]


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory):
    torch.manual_seed(0)
    tensors = {}
    for index, (c_out, c_in, k) in VGG_SHAPES.items():
        tensors[f"{index}.weight"] = torch.randn(c_out, c_in, k, k) * (2 / (c_in * k * k)) ** 0.5
        tensors[f"{index}.bias"] = torch.zeros(c_out)
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    save_file(tensors, path)
    return path


@pytest.mark.parametrize(("size", "widths"), [(64, [16, 32, 64, 128]), (128, [16, 32, 64, 128, 256])])
def test_the_generator_halves_down_to_eight_and_attends_at_32_on_both_sides(size, widths):
    generator = sagan.Model(sagan.Settings(size=size)).generator
    assert [level.second.out_channels for level in generator.down] == widths
    assert [level.second.out_channels for level in generator.up] == widths[-2::-1]
    side, attended = size, []
    for level in generator.down:
        attended += [side] * isinstance(level.attention, SelfAttention)
        side //= 2
    assert side == 4  # the last level, of 8, was not halved
    side = 16
    for level in generator.up:
        attended += [side] * isinstance(level.attention, SelfAttention)
        side *= 2
    assert attended == [32, 32]


def test_the_discriminator_attends_once_at_32_and_ends_in_one_logit():
    discriminator = sagan.Model(sagan.Settings(size=64)).discriminator
    seen = {}
    for layer in discriminator.layers:
        layer.register_forward_hook(lambda m, _, out: seen.update({m: out.shape}))
    assert discriminator(torch.rand(3, 3, 64, 64)).shape == (3,)
    assert [tuple(s) for m, s in seen.items() if isinstance(m, SelfAttention)] == [(3, 8, 32, 32)]
    assert [s[1] for m, s in seen.items() if isinstance(m, nn.Conv2d)] == [8, 8, 16, 16, 32, 32, 64, 64, 1]
    assert [s[2] for m, s in seen.items() if isinstance(m, nn.Conv2d)][-2:] == [4, 1]


def test_attention_starts_as_the_identity_and_then_is_its_formula():
    torch.manual_seed(0)
    attention = SelfAttention(16).eval()
    x = torch.randn(2, 16, 4, 6)
    assert torch.equal(attention(x), x)
    nn.init.constant_(attention.gamma, 0.5)
    q, k, v = (f(x).flatten(2) for f in (attention.query, attention.key, attention.value))
    assert q.shape == (2, 2, 24)
    weights = torch.einsum("ncq,nck->nqk", q, k).softmax(-1)
    wanted = 0.5 * torch.einsum("nqk,nck->ncq", weights, v).reshape(x.shape) + x
    assert torch.allclose(attention(x), wanted, atol=1e-5)


def test_convolutions_have_spectral_norm_one():
    model = make()
    for _ in range(30):  # the power iteration goes on in training
        model.generator(torch.rand(1, 1, 32, 32))
    weight = model.generator.down[0].second.weight.detach()
    assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_the_generator_paints_rgb_between_minus_one_and_one(batch):
    model = make()
    nn.init.constant_(model.generator.to_rgb.weight, 50.0)
    rgb = model.generate(batch[0])
    assert rgb.shape == (8, 3, 32, 32)
    assert rgb.min() >= -1
    assert 0.9 < rgb.max() <= 1


def test_ab_is_that_of_the_generators_rgb(batch):
    model = make().eval()
    wanted = rgb_to_lab((model.generate(batch[0]) + 1) / 2)[:, 1:]
    assert torch.allclose(model(batch[0]), wanted, atol=1e-3)


def test_area_resize_is_exact_where_nothing_changes_and_averages_else():
    x = torch.rand(2, 3, 64, 96)
    assert torch.equal(area_resize(x, 64, 8), x)
    half = area_resize(x, 32, 8)
    assert torch.allclose(half, nn.functional.avg_pool2d(x, 2), atol=1e-6)
    odd = area_resize(x[..., :90], 40, 8)
    assert odd.shape == (2, 3, 40, 56)
    assert torch.allclose(odd.mean((2, 3)), x[..., :90].mean((2, 3)), atol=1e-4)


def test_larger_pictures_are_seen_at_the_trained_size(batch):
    model = make().eval()
    large = batch[0][:2].repeat_interleave(3, 2).repeat_interleave(3, 3)
    ab = model(large)
    assert ab.shape == (2, 2, 96, 96)
    assert torch.allclose(ab[..., 1::3, 1::3], model(batch[0][:2]), atol=0.05)


def test_each_side_moves_its_own_weights_alone(batch):
    model = make()
    model.loss(*batch, NO_LABELS)["loss"].backward()
    assert all(p.grad is None for p in model.discriminator.parameters())
    assert all(torch.isfinite(p.grad).all() for p in model.generator.parameters())
    model.zero_grad()
    losses = model.discriminator_loss(*batch)
    losses["loss"].backward()
    assert all(p.grad is None for p in model.generator.parameters())
    for name, p in model.discriminator.named_parameters():
        assert torch.isfinite(p.grad).all(), name
        if "query" not in name and "key" not in name and "value" not in name:  # behind a gamma of zero
            assert p.grad.abs().max() > 0, name


def test_losses_are_binary_cross_entropies(batch):
    model = make(dropout=0.0).eval()
    truth = 2 * lab_to_rgb(torch.cat(batch, 1)) - 1
    fake = model.generate(batch[0])
    on_real, on_fake = model.discriminator(truth).sigmoid(), model.discriminator(fake).sigmoid()
    wanted = -(on_real.log().mean() + (1 - on_fake).log().mean())
    assert model.discriminator_loss(*batch)["loss"].item() == pytest.approx(wanted.item(), rel=1e-4)
    losses = model.loss(*batch, NO_LABELS)
    assert losses["loss"].item() == pytest.approx(-on_fake.log().mean().item(), rel=1e-4)
    assert losses["l1"].item() == pytest.approx((truth - fake).abs().mean().item() / 2, rel=1e-4)


def test_optimisers_follow_the_two_time_scale_rule():
    model = make()
    sides = (model.optimizer(), model.discriminator_optimizer())
    assert [o.param_groups[0]["lr"] for o in sides] == [1e-4, 4e-4]
    assert all(o.param_groups[0]["betas"] == (0.0, 0.9) for o in sides)
    counts = [sum(len(g["params"]) for g in o.param_groups) for o in sides]
    assert sum(counts) == len(list(model.parameters()))


def test_the_perceptual_loss_compares_the_grey_input_with_the_output(vgg_file, batch):
    L, ab = batch[0][:2], batch[1][:2]
    features = VggFeatures(vgg_file)
    grey = lab_to_rgb(torch.cat([L, torch.zeros_like(ab)], 1))
    losses, content = {}, {}
    for target in ("output", "grey-output"):
        model = make(vgg_features=str(vgg_file), perceptual_weight=2.0, perceptual_target=target).eval()
        rgb = (model.generate(L) + 1) / 2
        if target == "grey-output":
            weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
            rgb = (rgb * weights).sum(1, keepdim=True).repeat(1, 3, 1, 1)
        losses[target] = model.loss(L, ab, NO_LABELS[:2])
        content[target] = torch.stack(
            [((x - y) ** 2).mean() for x, y in zip(features(grey), features(rgb), strict=True)]
        ).mean()
    for target, loss in losses.items():
        assert loss["perceptual"].item() == pytest.approx(content[target].item(), rel=1e-4)
        total = loss["adversarial"] + 2 * loss["perceptual"]
        assert loss["loss"].item() == pytest.approx(total.item(), rel=1e-5)
    assert losses["output"]["perceptual"] != losses["grey-output"]["perceptual"]
    assert not any("vgg" in name for name in model.state_dict())


def test_it_trains_after_the_perceptual_loss_was_first_asked_for_in_validation(vgg_file, tmp_path):
    for i, rgb in enumerate([data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]):
        (tmp_path / "photos").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "photos" / f"{i}.png"), cv2.resize(rgb, (64, 64)))
    photos, run = str(tmp_path / "photos"), tmp_path / "run"
    words = ["train", "sagan", "--data", photos, "--val", photos, "--batch", "2", "--steps", "1"]
    words += ["--workers", "0", "--device", "cpu", "--out", str(run), "--set", f"vgg_features={vgg_file}"]
    assert cli.main([*words, "--set", "width=4", "--set", "discriminator_width=4"]) == 0
    assert (run / "checkpoints" / "last.ckpt").is_file()


def test_vgg_features_have_their_five_sizes(vgg_file):
    maps = VggFeatures(vgg_file)(torch.rand(1, 3, 32, 40))
    wanted = [(64, 32, 40), (64, 32, 40), (128, 16, 20), (128, 16, 20), (256, 8, 10)]
    assert [tuple(m.shape[1:]) for m in maps] == wanted


@pytest.mark.parametrize("damage", ["none named", "missing", "no safetensors", "shape"])
def test_unusable_vgg_weights_are_refused_before_training(damage, vgg_file, tmp_path):
    file = tmp_path / "vgg.safetensors"
    if damage == "no safetensors":
        file.write_bytes(b"x" * 100)
    if damage == "shape":
        save_file({"0.weight": torch.zeros(3, 3, 3, 3)}, file)
    model = make(perceptual_weight=1.0, vgg_features="" if damage == "none named" else str(file))
    with pytest.raises(ModelError, match=r"deep-transfer.*perceptual_weight=0"):
        model.optimizer()


def test_dominant_colours_are_the_fullest_cells_means():
    ab = torch.tensor([42.0, -13.0]).view(1, 2, 1, 1).repeat(1, 1, 4, 4)
    ab[..., 0] = torch.tensor([-25.0, 66.0]).view(1, 2, 1)
    ab[0, 0, 1, 1] = 46.0  # another shade in the same cell
    colors = sagan.dominant_colors(ab, 3)[0]
    assert torch.allclose(colors[0], torch.tensor([42 + 4 / 12, -13.0, 1.0]))
    assert torch.allclose(colors[1], torch.tensor([-25.0, 66.0, 1.0]))
    assert colors[2].tolist() == [0, 0, 0]


def test_dominant_colours_are_told_in_training_and_held_back_at_random(batch):
    model = make(dominant_colors=2, dominant_dropout=0.5)
    torch.manual_seed(1)
    told = model._told(batch[1])[:, :, 2].amax(1)
    assert 0 < told.sum() < 8
    assert make(dominant_colors=2, dominant_dropout=0.0)._told(batch[1])[:, 0, 2].min() == 1
    model.eval()
    assert model._told(batch[1]) is None
    untold = torch.zeros(8, 2, 3)
    assert torch.equal(model.generate(batch[0]), model.generate(batch[0], untold))
    colors = sagan.dominant_colors(batch[1], 2)
    assert not torch.allclose(model.generate(batch[0]), model.generate(batch[0], colors))


def test_the_exported_module_is_the_plain_generator(batch):
    model = make(dominant_colors=2).eval()
    plain = copy.deepcopy(model).for_export()
    assert not any("discriminator" in name or "parametrizations" in name for name in plain.state_dict())
    with torch.no_grad():
        assert torch.allclose(plain(batch[0]), model(batch[0]), atol=1e-3)
    assert model.discriminator is not None


def test_the_exported_graph_takes_any_size_and_leaves_its_source_whole(batch, tmp_path):
    model = make(dominant_colors=1).eval()
    nn.init.constant_(model.generator.up[-1].attention.gamma, 0.5)
    export_onnx(model, tmp_path / "it.onnx")
    digest = hashlib.sha256((tmp_path / "it.onnx").read_bytes()).hexdigest()
    card = ModelCard(
        name="it", version="1", description="", recipe="sagan", license="MIT", sha256=digest,
        multiple=8, stride=1, path=tmp_path / "it.onnx", inputs={"dominant_colors": {"default": 0.0}},
    )  # fmt: skip
    session = Session(card, threads=1)
    for height, width in ((32, 32), (104, 48), (160, 240)):
        L = nn.functional.interpolate(batch[0][:2], (height, width), mode="bilinear")
        with torch.no_grad():
            assert np.abs(session.run(L.numpy()) - model(L).numpy()).max() < 0.05
    assert model.train().discriminator_loss(*batch)["loss"].isfinite()


def test_the_generator_nears_the_truth_of_one_batch(batch):
    model = make(width=16, l1_weight=100.0, lr=3e-3, discriminator_lr=1e-3)
    generator, discriminator = model.optimizer(), model.discriminator_optimizer()
    first = model.loss(*batch, NO_LABELS)["l1"].item()
    for _ in range(300):
        discriminator.zero_grad()
        model.discriminator_loss(*batch)["loss"].backward()
        discriminator.step()
        generator.zero_grad()
        losses = model.loss(*batch, NO_LABELS)
        losses["loss"].backward()
        generator.step()
        if losses["l1"] < first / 2:
            return
    pytest.fail(f"L1 to the true RGB went from {first:.3f} to {losses['l1']:.3f} only")


@pytest.mark.parametrize("size", [16, 48, 100])
def test_sizes_that_do_not_halve_to_eight_are_refused(size):
    with pytest.raises(SettingsError, match="power of two"):
        sagan.Settings(size=size)
