"""What tint's settings choose among: encoders, heads and a discriminator, beside what all recipes must do."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data
from small_recipes import exported, of_bins

from tintype.cards import ModelCard
from tintype.errors import SettingsError
from tintype.predict import predict_confidence, predict_versions
from tintype.train import export, fit, loading, recipes
from tintype.train.fitter import Fitter
from tintype.train.hints import hinted_cells
from tintype.train.lab import rgb_to_lab
from tintype.train.options import FitOptions
from tintype.train.recipe import Schedule
from tintype.train.recipes import tint
from tintype.train.sources import find_photographs
from tintype.train.sweep import read_curve

NARROW = tint.Settings(width=16, head_width=16)
VARIANTS = {
    "EdgeTPU": replace(NARROW, encoder="edgetpu_075"),
    "not global": replace(NARROW, global_features=False),
    "residual": replace(NARROW, head="residual"),
    "regression": replace(NARROW, head="regression"),
    "adversarial": replace(NARROW, adversarial_weight=0.1, lpips_among=2),
    "mean alone": replace(NARROW, learn="mean"),
}
NO_LABELS = torch.full((4,), -1)


def make(**changes):
    torch.manual_seed(0)
    return tint.Model(replace(NARROW, **changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for i, rgb in enumerate([data.astronaut(), data.coffee(), data.chelsea(), data.rocket()] * 2):
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(rgb[..., ::-1], (96, 80)))
    return folder


@pytest.fixture(scope="module")
def batch():
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    crops = [torch.from_numpy(p[50:242:3, 50:242:3].copy()).permute(2, 0, 1) for p in pictures]
    lab = rgb_to_lab(torch.stack(crops).float() / 255)
    return lab[:, :1], lab[:, 1:]


class DiedError(Exception):
    """A run that ends where it should not."""


def dying_at(step):
    """A training step that does what it does, but does not come back from that one."""
    training_step = Fitter.training_step

    def dying(self, batch, number):
        if self.batches_done == step:
            raise DiedError
        return training_step(self, batch, number)

    return dying


def train(folder, out, settings, *, steps, resume=False, **options):
    """A run at constant rates, which hang on no number of steps, and the losses of its steps."""
    found = find_photographs([folder])
    choices = {"steps": steps, "batch": 4, "size": 64, "device": "cpu", "workers": 0, "checkpoint_every": 2}
    given = FitOptions(**choices, **options)
    schedule = Schedule(ema_decay=0.9, clip=1.0)
    fit.fit("tint", settings, given, found, found, out, schedule=schedule, resume=resume)
    return dict(read_curve(out, "train/loss"))


def test_the_defaults_network_is_the_one_of_earlier_checkpoints():
    tensors = tint.Model(tint.Settings()).state_dict()
    assert tensors.pop("whole.weight").shape == (128, 320, 1, 1)  # these came later, see `adopt`
    assert tensors.pop("head.mean.weight").shape == (313, 96, 1, 1)
    assert tensors.pop("head.mean.bias").shape == (313,)
    shapes = [f"{name} {tuple(t.shape)}\n" for name, t in tensors.items()]
    assert len(shapes) == 170
    digest = hashlib.sha256("".join(sorted(shapes)).encode()).hexdigest()
    assert digest == "1dbc5d224f3eb6bdaad10c46a0e77a58c16900e6379b5b5948a7c692ae8ae025", (
        "checkpoints of before no longer fit"
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_goes_on_exactly_and_is_exported(name, folder, tmp_path, monkeypatch):
    settings = VARIANTS[name]
    whole = train(folder, tmp_path / "whole", settings, steps=5)
    with monkeypatch.context() as patch:
        patch.setattr(Fitter, "training_step", dying_at(3))
        with pytest.raises(DiedError):
            train(folder, tmp_path / "parts", settings, steps=5)
    parts = train(folder, tmp_path / "parts", settings, steps=5, resume=True)
    assert sorted(whole) == list(range(5))
    assert {3, 4} <= parts.keys()
    assert parts == {step: whole[step] for step in parts}
    _, model, _ = loading.load_run(tmp_path / "parts")
    for key, value in loading.load_run(tmp_path / "whole")[1].state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    card = ModelCard(name="it", version="1", description="", recipe="tint", license="MIT", sha256="")
    card = export.export(model, tmp_path, card, [folder], score_size=64)
    assert card.scores["parity"] >= 0.999


def test_two_losses_are_trained_in_turn(folder, tmp_path):
    losses = train(folder, tmp_path / "run", VARIANTS["adversarial"], steps=4)
    assert len(losses) == 4
    for tag in ("train/adversarial", "discriminator/loss", "val/loss"):
        assert read_curve(tmp_path / "run", tag), tag
    assert sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir()) == ["last.ckpt"]


def test_a_cosine_schedule_asks_nothing_of_two_optimisers(folder, tmp_path):
    found = find_photographs([folder])
    options = FitOptions(steps=2, batch=4, size=64, device="cpu", workers=0)
    fit.fit("tint", VARIANTS["adversarial"], options, found, None, tmp_path, schedule=tint.SCHEDULE)
    assert read_curve(tmp_path, "discriminator/loss")


@pytest.mark.parametrize(
    ("name", "told"), [("residual", "has no residual"), ("adversarial", "has no discriminator")]
)
def test_a_plain_run_is_a_start_whose_colours_stay(name, told, folder, tmp_path, batch, capsys):
    train(folder, tmp_path / "plain", NARROW, steps=2)
    options = {"start_from": (str(tmp_path / "plain"),), "lr_scale": 0.0}
    train(folder, tmp_path / "next", VARIANTS[name], steps=1, **options)
    assert told in capsys.readouterr().out
    plain, later = (loading.load_run(tmp_path / run)[1] for run in ("plain", "next"))
    kept = dict(later.named_parameters())
    for key, value in plain.named_parameters():
        if "hints" not in key and "head.mean" not in key:
            torch.testing.assert_close(value, kept[key], msg=key)


def test_weights_of_before_vividness_had_two_ends_give_the_colours_that_they_gave(batch, capsys):
    before, model = make().eval(), make().eval()
    for part in (before.head, before.hints.evidence):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    torch.nn.init.uniform_(before.bin_weights, 0.5, 2)
    one_end = {key: value for key, value in before.state_dict().items() if not key.startswith("head.mean.")}
    model.load_state_dict(model.adopt(one_end))
    assert "no weights for vividness 0" in capsys.readouterr().out
    L, s = batch[0], model.settings
    with torch.no_grad():
        seen = before.seen(L)
        logits = F.conv2d(seen.x, before.head.weight, before.head.bias).movedim(1, -1)
        for vividness in (0.0, 0.5, 1.0, 2.0):
            power = s.rebalance_mean + vividness * (s.rebalance_decode - s.rebalance_mean)
            T = max(1 + vividness * (s.T - 1), 0.05)
            expected = ((logits + power * before.bin_weights.log()) / T).softmax(-1)
            shares = model.everything(L, torch.tensor(vividness))[1]
            torch.testing.assert_close(shares, expected, atol=1e-5, rtol=1e-4)


def test_the_ends_of_vividness_have_their_own_weights_and_are_mixed_between():
    model = make().eval()
    torch.nn.init.normal_(model.head.mean.weight)
    torch.nn.init.normal_(model.head.mean.bias)
    L = torch.linspace(0, 100, 64 * 64).reshape(1, 1, 64, 64)

    def answers():
        with torch.no_grad():
            return [model(L, torch.tensor(vividness)) for vividness in (0.0, 0.5, 1.0, 1.5)]

    before = answers()
    torch.nn.init.normal_(model.head.mean.weight)
    mean_changed = [bool((a - b).abs().max() > 0.1) for a, b in zip(before, answers(), strict=True)]
    assert mean_changed == [True, True, False, False]
    before = answers()
    torch.nn.init.normal_(model.head.weight)
    vivid_changed = [bool((a - b).abs().max() > 0.1) for a, b in zip(before, answers(), strict=True)]
    assert vivid_changed == [False, True, True, True]


def test_nothing_but_the_mean_learns_from_the_mean(batch):
    model = make(hint_none=0.0, hint_points=20)
    losses = model.loss(*batch, NO_LABELS)
    mean = losses["mean_distance"] + losses["mean_cross_entropy"]
    mean.backward()
    learnt = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert learnt == {"head.mean.weight", "head.mean.bias"}
    model.zero_grad()
    model.loss(*batch, NO_LABELS)["cross_entropy"].backward()
    assert model.head.weight.grad.abs().max() > 0
    assert model.head.mean.weight.grad is None or not model.head.mean.weight.grad.any()


def test_the_mean_alone_is_trained_and_nears_the_truth(folder, tmp_path, batch):
    L, ab = batch
    torch.manual_seed(0)
    train(folder, tmp_path / "plain", NARROW, steps=2)
    options = {"start_from": (str(tmp_path / "plain"),)}
    settings = replace(NARROW, learn="mean", lr=0.1, hint_none=1.0)
    train(folder, tmp_path / "next", settings, steps=40, **options)
    plain, later = (loading.load_run(tmp_path / run)[1].eval() for run in ("plain", "next"))
    own = later.state_dict()
    for key, value in plain.state_dict().items():
        if not key.startswith("head.mean."):
            assert torch.equal(value, own[key]), key
    vivid, mean = torch.ones(()), torch.zeros(())
    small = F.avg_pool2d(ab, 4)
    with torch.no_grad():
        assert torch.equal(plain(L, vivid), later(L, vivid))
        far, near = ((one(L, mean) - small).norm(dim=1).mean() for one in (plain, later))
    assert near < far - 0.5  # Lab units; features that learnt nothing allow little more


def test_a_run_with_a_discriminator_is_a_start_for_one_without(batch):
    before = make(adversarial_weight=0.1)
    after = make()
    after.load_state_dict(after.adopt(before.state_dict()))
    assert torch.equal(after.head.weight, before.head.weight)


def test_the_discriminator_stays_at_home(batch, tmp_path):
    model = make(adversarial_weight=0.1).eval()
    bare = make()
    bare.load_state_dict({k: v for k, v in model.state_dict().items() if "discriminator" not in k})
    for name, one in (("with", model), ("without", bare)):
        export.export_onnx(one, tmp_path / name, precision=32)
    assert (tmp_path / "with").read_bytes() == (tmp_path / "without").read_bytes()
    assert model.discriminator is not None


def test_a_discriminator_learns_to_tell_colours_apart_and_is_then_deceived(batch):
    model = make(adversarial_weight=1.0, hint_none=1.0)
    L, ab = batch
    model.prepare(ab)
    optimizer = torch.optim.Adam(model.discriminator.parameters(), 2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        losses = model.discriminator_loss(L, ab)
        losses["loss"].backward()
        optimizer.step()
    assert losses["loss"] < 1
    model.zero_grad()
    first = model.loss(L, ab, NO_LABELS)
    first["loss"].backward()
    assert all(p.grad is None for p in model.discriminator.parameters())
    assert first["loss"].item() == pytest.approx((of_bins(first) + first["adversarial"]).item())
    generator = model.optimizer()
    for _ in range(20):
        generator.zero_grad()
        adversarial = model.loss(L, ab, NO_LABELS)["adversarial"]
        adversarial.backward()
        generator.step()
    assert adversarial < first["adversarial"] - 0.2


def test_only_some_photographs_are_shown_to_the_discriminator(batch):
    model = make(adversarial_weight=1.0, lpips_among=1).eval()
    L, ab = batch
    once = model.discriminator_loss(L, ab)["loss"]
    assert torch.equal(once, model.discriminator_loss(L[:1], ab[:1])["loss"])
    assert not torch.equal(once, model.discriminator_loss(L[1:], ab[1:])["loss"])


def test_the_residual_starts_at_nothing_and_leaves_the_shares_to_the_cross_entropy(batch):
    L, ab = batch
    alike = {"hint_none": 1.0, "learnt_every": 1}  # nothing is drawn
    model, plain = make(head="residual", **alike), make(**alike)
    with torch.no_grad():
        assert torch.equal(model.eval()(L), plain.eval()(L))
    model.train(), plain.train()
    losses = model.loss(L, ab, NO_LABELS)
    expected = of_bins(losses) + model.settings.residual_weight * losses["huber"]
    assert losses["loss"].item() == pytest.approx(expected.item())
    losses["loss"].backward()
    plain.loss(L, ab, NO_LABELS)["loss"].backward()
    assert torch.equal(model.head.weight.grad, plain.head.weight.grad)
    assert model.head.residual.weight.grad.abs().max() > 0


def test_the_residual_brings_colours_nearer_the_truth_than_the_bins_can(batch):
    L, ab = batch
    model = make(head="residual", hint_none=1.0, width=32, head_width=32)
    optimizer = torch.optim.Adam(model.head.residual.parameters(), 3e-2)
    distances = []
    for _ in range(80):
        optimizer.zero_grad()
        distance = model.loss(L, ab, NO_LABELS)["huber"]
        distance.backward()
        optimizer.step()
        distances.append(distance.item())
    assert distances[-1] < 0.95 * distances[0]


def test_a_residual_is_small_and_leaves_hinted_cells_as_told(batch):
    L, _ = batch
    model = make(head="residual").eval()
    torch.nn.init.constant_(model.head.residual.bias, 9.0)
    mask = torch.zeros_like(L)
    mask[:, :, 21:27, 30:39] = 1
    hint_ab = torch.tensor([40.0, -60.0]).reshape(1, 2, 1, 1) * mask
    with torch.no_grad():
        told, shares, bins = model.everything(L, torch.ones(()), hint_ab, mask)
        mean = torch.einsum("nhwq,qc->nchw", shares, bins)
        careful, likely, _ = model.everything(L, torch.zeros(()))
    torch.testing.assert_close(careful, torch.einsum("nhwq,qc->nchw", likely, bins), atol=1e-3, rtol=0)
    hinted = hinted_cells(hint_ab, mask, 4)[:, 2:] > 0
    residual = (told - mean).abs()
    assert residual[hinted.expand_as(residual)].max() < 1e-3
    assert residual[~hinted.expand_as(residual)] == pytest.approx(20, abs=0.01)


def test_regression_nears_the_truth_and_obeys_hints_that_it_reads(batch):
    L, ab = batch
    model = make(head="regression", width=32, head_width=32, hint_none=0.0, hint_points=20)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        loss = model.loss(L, ab, NO_LABELS)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    small = F.avg_pool2d(ab, 4)
    with torch.no_grad():
        free = model.eval()(L)
        told = model(L, *(torch.cat([ab, torch.ones_like(L)], 1)[:, part] for part in ([0, 1], [2])))
    assert (free - small).abs().mean() < 0.7 * small.abs().mean()
    assert not torch.allclose(free, told)


def test_a_model_without_bins_says_that_it_has_no_versions_and_no_confidence(tmp_path):
    model = make(head="regression").eval()
    assert "vividness" not in model.inputs
    assert not model.outputs
    session = exported(model, tmp_path / "plain.onnx", 32)
    L = np.full((64, 64), 50, np.float32)
    with pytest.raises(SettingsError, match="cannot give several versions: it weighs no bins of colour"):
        predict_versions(session, L, {}, 2)
    with pytest.raises(SettingsError, match="cannot give how sure it is: it weighs no bins of colour"):
        predict_confidence(session, L, {})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "residual", "residual_weight": 0}, "learns nothing at residual_weight=0"),
        ({"learnt_every": 9}, "learnt_every must be from 1 to 8, not 9"),
        ({"learn": "mean", "head": "regression"}, "learn=mean wants bins; head=regression has none"),
        ({"learn": "mean", "adversarial_weight": 1}, "looks at no pictures; set adversarial_weight to 0"),
        ({"learn": "mean", "lpips_weight": 1, "classifier_weight": 1}, "set lpips_weight and classifier_w"),
        ({"adversarial_weight": -1}, "adversarial_weight must be 0 or above, not -1"),
    ],
)
def test_settings_of_variants_out_of_range(settings, message):
    with pytest.raises(SettingsError, match=message):
        recipes.get("tint").Settings(**settings)


class Averages(torch.nn.Module):
    """In place of an encoder: means of the grey picture, which need no learning to say something."""

    def forward(self, x):
        places = zip((4, 8, 16, 32), (24, 32, 96, 320), strict=True)
        return [F.avg_pool2d(x, stride).expand(-1, channels, -1, -1) for stride, channels in places]


def test_global_features_begin_without_a_word_and_then_tell_of_the_whole_picture():
    plain, model = make(global_features=False), make()
    model.load_state_dict(model.adopt(plain.state_dict()))
    for one in (plain, model):
        one.encoder = Averages()
    L = 100 * torch.rand(1, 1, 64, 1536, generator=torch.Generator().manual_seed(0))
    other = L.clone()
    other[..., 1024:] = 20
    with torch.inference_mode():
        assert torch.equal(model.eval()(L), plain.eval()(L))
        model.whole.weight.fill_(10.0)
        left = [m(x)[..., :64] for m in (plain, model) for x in (L, other)]
    torch.testing.assert_close(left[0], left[1])  # too far away to be seen …
    assert (left[2] - left[3]).abs().max() > 0.1  # … but for the mean of all
