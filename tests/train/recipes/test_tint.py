"""The recipe as a whole: shapes, gradients, pretrained weights, and learning one batch by heart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from small_recipes import of_bins

from tintype.errors import ModelError, SettingsError
from tintype.train import recipes
from tintype.train.bins import annealed_mean
from tintype.train.classifier import Classifier
from tintype.train.lab import lab_to_rgb, rgb_to_lab
from tintype.train.pictured import PictureTerms
from tintype.train.recipes import tint as tint_module
from tintype.train.recipes.tint.model import _shrunk

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
    for reader in model.hints.readers:
        torch.nn.init.constant_(reader.gamma, 0.1)  # at 0 it would hide the gradients behind it
    model.loss(*batch, NO_LABELS)["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if not name.endswith("bias"):
            assert parameter.grad.abs().max() > 0, name


def hinted(L, color=(40.0, -60.0), patch=np.s_[40:47, 52:59]):
    """`hint_ab` and `hint_mask` for L (N, 1, H, W) that tell of one patch."""
    mask = torch.zeros_like(L)
    mask[:, 0, *patch] = 1
    return torch.tensor(color).reshape(1, 2, 1, 1) * mask, mask


def test_a_hint_is_obeyed_before_any_training(model, batch):
    L, _ = batch
    with torch.no_grad():
        free, told = model.eval()(L), model(L, torch.ones(()), *hinted(L))
    wanted = torch.tensor([40.0, -60.0])
    assert (free[..., 10:12, 13:15].mean((2, 3)) - wanted).norm(dim=1).min() > 30
    assert (told[..., 10:12, 13:15] - wanted.reshape(2, 1, 1)).norm(dim=1).max() < 5


def test_no_hint_leaves_everything_as_it_is(model, batch):
    L, _ = batch
    torch.nn.init.normal_(model.hints.readers[1].gamma)
    none = torch.zeros(len(L), 2, *L.shape[2:]), torch.zeros_like(L)
    with torch.no_grad():
        assert torch.equal(model.eval()(L), model(L, torch.ones(()), *none))


def test_hints_are_for_training_alone_and_can_be_switched_off(model, batch):
    tint = recipes.get("tint")
    model.prepare(batch[1])
    losses = {}
    for mode in (True, False):
        model.train(mode)
        for part in model.modules():  # alike in both modes, so that hints alone can make a difference
            if isinstance(part, torch.nn.BatchNorm2d):
                part.train(False)
        for none in (0.0, 1.0):
            model.settings = tint.Settings(
                width=32, head_width=32, hint_none=none, hint_points=30, learnt_every=1
            )
            torch.manual_seed(0)
            losses[mode, none] = model.loss(*batch, NO_LABELS)["loss"].item()
    assert losses[True, 0.0] < 0.9 * losses[True, 1.0]
    assert losses[True, 1.0] == pytest.approx(losses[False, 1.0])
    assert losses[False, 0.0] == losses[False, 1.0]


def test_weights_from_before_hints_are_adopted(model, batch, capsys):
    old = {name: value for name, value in model.state_dict().items() if not name.startswith("hints.")}
    torch.manual_seed(1)
    newer = type(model)(model.settings)
    newer.load_state_dict(newer.adopt(old))
    assert "knows no hints" in capsys.readouterr().out
    with torch.no_grad():
        assert torch.equal(newer.eval()(batch[0]), model.eval()(batch[0]))


def test_nothing_else_is_adopted(model, capsys):
    whole = model.state_dict()
    assert model.adopt(whole) is whole
    part = {name: value for name, value in whole.items() if name != "hints.spread.rest"}
    assert model.adopt(part) is part
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hint_none": 1.5}, "from 0 to 1, not 1.5"),
        ({"hint_points": 0.5}, "must be 1 or above"),
        ({"hint_largest": 0}, "must be 1 or above"),
    ],
)
def test_settings_of_hints_out_of_range(settings, message):
    with pytest.raises(SettingsError, match=message):
        recipes.get("tint").Settings(**settings)


def test_the_bins_shares_give_ab(model, batch):
    ab, probs, bins = model.eval().everything(batch[0])
    assert probs.shape == (4, 24, 24, 313)
    torch.testing.assert_close(probs.sum(-1), torch.ones(4, 24, 24))
    torch.testing.assert_close(torch.einsum("nhwq,qc->nchw", probs, bins), ab, atol=1e-3, rtol=1e-4)


def test_groups_hold_every_parameter_once(model):
    groups = model.optimizer().param_groups
    counted = [p for group in groups for p in group["params"]]
    assert len(counted) == len(set(map(id, counted))) == len(list(model.parameters()))


def test_pictures_are_shrunk_to_sizes_that_the_network_takes(model, batch):
    seen = set()
    for seed in range(30):
        torch.manual_seed(seed)
        L, ab = _shrunk(*batch, 32)
        assert L.shape[2:] == ab.shape[2:]
        seen.add(L.shape[2:])
        torch.testing.assert_close(L.mean((2, 3)), batch[0].mean((2, 3)), atol=1.5, rtol=0)
    assert seen == {(32, 32), (64, 64), (96, 96)}


def test_a_part_of_the_cells_stands_for_all(batch):
    def model(every):
        torch.manual_seed(0)
        return tint_module.Model(
            tint_module.Settings(width=32, head_width=32, learnt_every=every, hint_none=1)
        )

    def loss_of(model, seed):
        torch.manual_seed(seed)
        return model.loss(*batch, NO_LABELS)["loss"].item()

    of_all, part = loss_of(model(1), 0), model(2)
    of_parts = {round(loss_of(part, seed), 4) for seed in range(60)}
    assert len(of_parts) == 4  # one for each place to begin at
    assert np.mean(list(of_parts)) == pytest.approx(of_all, abs=2e-4)
    assert loss_of(model(2).eval(), 0) == loss_of(model(1).eval(), 0)


def test_lpips_counts_as_much_as_its_weight(batch, lpips_files):
    features, heads = map(str, lpips_files["squeeze"])
    tint = recipes.get("tint")
    settings = tint.Settings(
        width=32, head_width=32, lpips_weight=2.0, lpips_features=features, lpips_heads=heads
    )
    torch.manual_seed(0)
    model = tint.Model(settings)
    losses = model.loss(*batch, NO_LABELS)
    assert losses["lpips"] > 0.1
    assert losses["loss"].item() == pytest.approx((of_bins(losses) + 2 * losses["lpips"]).item())
    few = tint.Model(replace(settings, lpips_among=1, hint_none=1.0))
    few.load_state_dict(model.state_dict())
    one = few.loss(batch[0][:1], batch[1][:1], NO_LABELS[:1])["lpips"]
    assert few.loss(*batch, NO_LABELS)["lpips"].item() == pytest.approx(one.item(), rel=1e-3)
    losses["lpips"].backward()
    assert model.head.weight.grad.abs().max() > 0
    assert not any("lpips" in name or "squeeze" in name for name in model.state_dict())


def test_colorfulness_in_the_loss_makes_pictures_livelier(batch):
    tint = recipes.get("tint")
    torch.manual_seed(0)
    model = tint.Model(tint.Settings(width=32, head_width=32, colorfulness_weight=0.1, hint_none=1.0))
    optimizer = torch.optim.Adam(model.head.parameters(), lr=0.01)
    apart = []
    for _ in range(12):
        losses = model.loss(*batch, NO_LABELS)
        assert losses["loss"].item() == pytest.approx(
            (of_bins(losses) + 0.1 * losses["colorfulness"]).item(), rel=1e-5
        )
        apart.append(losses["colorfulness"].item())
        optimizer.zero_grad()
        losses["colorfulness"].backward()
        optimizer.step()
    assert apart[-1] < 0.8 * apart[0]


def test_lpips_can_be_asked_for_first_in_validation(batch, lpips_files):
    features, heads = map(str, lpips_files["squeeze"])
    tint = recipes.get("tint")
    settings = tint.Settings(
        width=32, head_width=32, lpips_weight=2.0, lpips_features=features, lpips_heads=heads
    )
    model = tint.Model(settings)
    with torch.inference_mode():
        model.eval().loss(*batch, NO_LABELS)
    model.train().loss(*batch, NO_LABELS)["loss"].backward()


def test_lpips_without_its_files_is_told(batch):
    tint = recipes.get("tint")
    with pytest.raises(ModelError, match="features of SqueezeNet"):
        tint.Model(tint.Settings(lpips_weight=1.0)).loss(*batch, NO_LABELS)


def test_a_classifier_draws_colours_to_what_it_says_of_the_true_ones(batch, classifier):
    tint = recipes.get("tint")
    L, ab = (part[:1] for part in batch)
    settings = tint.Settings(width=32, head_width=32, classifier_weight=3.0, classifier=str(classifier))
    torch.manual_seed(0)
    model = tint.Model(replace(settings, hint_none=1.0))
    optimizer = torch.optim.Adam(model.head.parameters(), lr=0.01)
    apart = []
    for _ in range(12):
        losses = model.loss(L, ab, NO_LABELS[:1])
        whole = of_bins(losses) + 3 * losses["classifier"]
        assert losses["loss"].item() == pytest.approx(whole.item(), rel=1e-5)
        apart.append(losses["classifier"].item())
        optimizer.zero_grad()
        losses["classifier"].backward()
        optimizer.step()
    assert 0 < apart[-1] < 0.5 * apart[0]
    assert (
        model.state_dict().keys() == tint.Model(replace(settings, classifier_weight=0.0)).state_dict().keys()
    )


def test_what_a_classifier_says_is_compared_by_its_divergence(batch, classifier):
    L, ab = batch
    terms = PictureTerms(0.0, 1.0, 0.0, Path(), Path(), classifier)
    [(name, weight, of_grey)] = terms(L, ab, torch.zeros_like(ab))
    assert (name, weight) == ("classifier", 1.0)
    [(_, _, of_itself)] = terms(L, ab, ab)
    assert of_itself.item() == pytest.approx(0, abs=1e-6)
    says = Classifier(classifier)
    with torch.no_grad():
        true, grey = (
            says(lab_to_rgb(torch.cat([L, c], 1)))[0].softmax(1) for c in (ab, torch.zeros_like(ab))
        )
    by_hand = (true * (true / grey).log()).sum(1).mean()
    assert of_grey.item() == pytest.approx(by_hand.item(), rel=1e-3)


def test_a_classifier_without_its_file_is_told(batch):
    tint = recipes.get("tint")
    with pytest.raises(ModelError, match="A classifier is needed, but none is named"):
        tint.Model(tint.Settings(classifier_weight=1.0)).loss(*batch, NO_LABELS)


def test_a_least_size_must_be_a_multiple_of_32():
    with pytest.raises(SettingsError, match="multiple of 32"):
        recipes.get("tint").Settings(smallest=100)


@pytest.mark.parametrize("hinted", [False, True])
def test_decoding_is_the_annealed_mean_of_the_rebalanced_logits(model, batch, hinted):
    torch.nn.init.normal_(model.bin_weights, 2, 0.3)
    hints = []
    if hinted:
        mask = torch.zeros_like(batch[0])
        mask[:, :, 10:14, 20:25] = 1
        hints = [torch.full_like(batch[1], 30.0), mask]
    for vividness in (0.0, 0.5, 1.0, 2.0):
        power = vividness * (model.settings.rebalance_decode + 1) - 1
        T = max(1 + vividness * (model.settings.T - 1), 0.05)
        logits = model.head.logits(model.seen(batch[0], *hints), model.palette)
        logits = logits + power * model.bin_weights.log()[:, None, None]
        ab = model.everything(batch[0], torch.tensor(vividness), *hints)[0]
        torch.testing.assert_close(ab, annealed_mean(logits, model.bins, T), atol=1e-3, rtol=1e-4)


def test_vividness_0_takes_back_as_much_of_the_rebalancing_as_is_set(batch):
    tint = recipes.get("tint")
    narrow = {"width": 32, "head_width": 32}
    torch.manual_seed(0)
    meek = tint.Model(tint.Settings(rebalance_mean=-1.2, **narrow)).eval()
    plain = tint.Model(tint.Settings(rebalance_decode=-1.2, T=1.0, **narrow)).eval()
    for model in (meek, plain):
        torch.nn.init.constant_(model.head.weight, 0.01)
        model.head.mean.load_state_dict({"weight": model.head.weight, "bias": model.head.bias})
        model.bin_weights.copy_(torch.linspace(0.5, 2, len(model.bins)))
    plain.load_state_dict(meek.state_dict())
    torch.testing.assert_close(meek(batch[0], torch.tensor(0.0)), plain(batch[0], torch.tensor(1.0)))
