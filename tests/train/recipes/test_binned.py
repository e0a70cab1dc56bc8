"""Colour as classes: exact parameter counts, the loss by hand, weights, decoding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from skimage import data
from torch import nn

from tintype.errors import SettingsError
from tintype.train import bins as colour_bins
from tintype.train.lab import rgb_to_lab
from tintype.train.recipes import binned

NO_LABELS = torch.full((8,), -1)


def make(**settings):
    torch.manual_seed(0)
    return binned.Model(binned.Settings(**{"width_factor": 1 / 16} | settings))


@pytest.fixture(scope="module")
def batch():
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    crops = [p[y : y + 192 : 6, 60:252:6] for p in pictures for y in (20, 100)]
    lab = rgb_to_lab(torch.stack([torch.from_numpy(c.copy()).permute(2, 0, 1) for c in crops]).float() / 255)
    return lab[:, :1], lab[:, 1:]


@pytest.mark.parametrize(
    ("form", "trained", "statistics"), [("keras", 24_788_345, 4_736), ("zhang", 32_235_385, 4_992)]
)
def test_parameters_are_those_of_the_published_networks(form, trained, statistics):
    with torch.device("meta"):  # counted, not held: 130 MB each
        network = binned._network(binned.Settings(form=form), 313)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert sum(p.numel() for p in network.parameters()) == trained
    assert sum(m.running_mean.numel() + m.running_var.numel() for m in norms) == statistics
    if form == "keras":
        assert trained + statistics == 24_793_081
    else:
        assert round((trained + 2 * 313) / 1e6, 2) == 32.24  # with the fixed decoding convolution


@pytest.mark.parametrize("form", ["keras", "zhang"])
def test_twenty_two_convolutions_reduce_by_eight_and_grow_by_two(form):
    model = make(form=form)
    layers = [m for m in model.groups[:-1].modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    assert len(layers) == 22
    assert [m.stride[0] for m in layers[:7]] == [1, 2, 1, 2, 1, 1, 2]
    assert [i for i, m in enumerate(layers) if m.dilation[0] == 2] == [10, 11, 12, 13, 14, 15]
    assert model.logits(torch.rand(1, 1, 32, 48) * 100).shape == (1, 324, 8, 12)


def test_the_square_is_cut_into_324_bins_that_hold_every_colour():
    bins = torch.from_numpy(colour_bins.grid_bins(18))
    assert bins.shape == (324, 2)
    assert bins.min() == pytest.approx(-110 + 110 / 18)
    assert bins.max() == pytest.approx(110 - 110 / 18)
    a = [-86.0, 98.0, 0.0, 0.4, -0.4, 0.4, -0.01, 110.0, -128.0]
    b = [83.0, -107.0, 1.0, 0.4, 0.4, -0.4, -0.01, -110.0, 127.0]  # near a = 0 and b = 0, borders, too
    ab = torch.tensor([a, b]).reshape(1, 2, 1, -1)
    index, weight = make().bin_encoder(ab)
    assert weight.unique().tolist() == [1]
    inside = ab[0, :, 0].t().clamp(-110, 110)
    assert (bins[index[0, 0, 0]] - inside).abs().max() <= 110 / 18 + 1e-4


def test_the_loss_is_the_sum_over_photographs_of_weighted_mean_cross_entropies(batch):
    L, ab = batch[0][:2], batch[1][:2]
    model = make().eval()
    model.prepare(batch[1])
    log_p = model.logits(L).log_softmax(1)
    index = model.bin_encoder(F.avg_pool2d(ab, 4))[0][:, 0]
    wanted = 0.0
    for n in range(2):
        terms = [
            -model.bin_weights[index[n, y, x]] * log_p[n, index[n, y, x], y, x]
            for y in range(8)
            for x in range(8)
        ]
        wanted += sum(terms) / len(terms)
    losses = model.loss(L, ab, NO_LABELS)
    assert losses["loss"].item() == pytest.approx(wanted.item(), rel=1e-5)
    assert losses["mean"].item() == pytest.approx(wanted.item() / 2, rel=1e-5)
    assert model.sums_over_batch


def test_log_weights_are_minus_log_p_down_to_a_floor():
    prior = torch.tensor([0.75, 0.25, 0.0])
    weights = colour_bins.log_weights(prior, 1e-3)
    assert weights.tolist() == pytest.approx([0.28768, 1.38629, 6.90776], abs=1e-4)


@pytest.mark.parametrize("bins", ["grid", "hull"])
def test_rebalancing_weighs_bins_by_their_share_or_not_at_all(bins, batch):
    weights = {}
    for how in ("log", "smooth", "none"):
        model = make(bins=bins, rebalance=how, rebalance_floor=1e-4)
        model.prepare(batch[1])
        weights[how] = model.bin_weights
    index, share = make(bins=bins).bin_encoder(F.avg_pool2d(batch[1], 4))
    prior = colour_bins.bin_prior(index, share, len(weights["log"]))
    assert prior.sum().item() == pytest.approx(1)
    assert weights["log"].max().item() == pytest.approx(9.21034, abs=1e-4)  # of bins never seen
    assert weights["log"].argmin() == weights["smooth"].argmin() == prior.argmax()
    assert (prior * weights["smooth"]).sum().item() == pytest.approx(1, abs=1e-4)
    assert (weights["none"] == 1).all()


def test_argmax_gives_a_bin_and_the_annealed_mean_lies_between_bins(batch):
    model = make(decoding="argmax").eval()
    ab = model(batch[0])
    colors = ab.permute(0, 2, 3, 1).reshape(-1, 2)
    assert torch.cdist(colors, model.bins).min(1).values.max() < 1e-3
    logits = model.logits(batch[0])
    annealed = make(decoding="annealed").eval()
    wanted = torch.einsum("nqhw,qc->nchw", (logits / 0.38).softmax(1), model.bins)
    assert torch.allclose(annealed(batch[0]), wanted, atol=1e-2)
    cold = make(decoding="annealed", T=1e-4).eval()
    assert (cold(batch[0]) - ab).abs().median() < 1e-2


@pytest.mark.parametrize(
    ("form", "bins", "rebalance"), [("keras", "grid", "log"), ("zhang", "hull", "smooth")]
)
def test_one_batch_is_learnt_by_heart(form, bins, rebalance, batch):
    model = make(form=form, bins=bins, rebalance=rebalance, lr=3e-3)
    model.prepare(batch[1])
    index, weight = model.bin_encoder(F.avg_pool2d(batch[1], 4))
    entropy = -(weight * weight.clamp(min=1e-12).log()).sum(1)
    floor = 8 * (model.bin_weights[index[:, 0]] * entropy).mean().item()
    optimizer = model.optimizer()
    first = model.loss(*batch, NO_LABELS)["loss"].item()
    for _ in range(300):
        optimizer.zero_grad()
        loss = model.loss(*batch, NO_LABELS)["loss"]
        loss.backward()
        optimizer.step()
        if loss.item() - floor < (first - floor) / 5:
            return
    pytest.fail(f"the loss above its floor went from {first - floor:.2f} to {loss.item() - floor:.2f} only")


@pytest.mark.parametrize("wrong", [{"rebalance_floor": 0.0}, {"grid_side": 1}, {"T": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(SettingsError):
        binned.Settings(**wrong)
