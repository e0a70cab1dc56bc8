"""Encoders: their features, their pretrained weights, and TensorFlow's padding."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from tintype.errors import ModelError
from tintype.train.blocks import SameConv
from tintype.train.encoders import ENCODERS
from tintype.train.pretrained import read_encoder

# By their encoder's graph: how many convolutions, and the last one's shape.
CONVOLUTIONS = {
    "mobilenet_v2": (51, (320, 960, 1, 1)),
    "edgetpu_075": (57, (144, 960, 1, 1)),
    "efficientnet_lite0": (48, (320, 1152, 1, 1)),
    "efficientnet_lite1": (63, (320, 1152, 1, 1)),
    "efficientnet_lite2": (63, (352, 1248, 1, 1)),
}


@pytest.fixture(params=ENCODERS)
def setting(request):
    return request.param


def folded_classifier(setting):
    """Weights of a classifier in colour, by the numbers of its convolutions."""
    torch.manual_seed(0)
    convs = [m for m in ENCODERS[setting]().modules() if isinstance(m, SameConv)]
    tensors = {}
    for i, conv in enumerate(convs):
        shape = (conv.out_channels, 3, 3, 3) if i == 0 else conv.weight.shape
        scale = (2 / np.prod(shape[1:])) ** 0.5
        tensors[f"{i:02d}.weight"], tensors[f"{i:02d}.bias"] = (
            scale * torch.randn(shape),
            torch.randn(shape[0]),
        )
    return tensors


def test_features_at_four_strides(setting):
    encoder = ENCODERS[setting]()
    features = encoder(torch.rand(2, 1, 64, 96) * 2 - 1)
    found = [tuple(feature.shape) for feature in features]
    assert found == [(2, c, 64 // s, 96 // s) for c, s in zip(encoder.channels, (4, 8, 16, 32), strict=True)]


def test_pretrained_weights_are_taken_whole(setting):
    tensors = folded_classifier(setting)
    encoder = ENCODERS[setting]()
    encoder.load_pretrained(tensors)
    assert torch.allclose(encoder.stem.weight, tensors["00.weight"].sum(1, keepdim=True))
    count, shape = CONVOLUTIONS[setting]
    assert len(tensors) == 2 * count
    assert tensors[f"{count - 1}.weight"].shape == shape
    assert torch.equal(encoder.blocks[-1].project.weight, tensors[f"{count - 1}.weight"])


@pytest.mark.parametrize("damage", ["missing", "shape"])
def test_wrong_pretrained_weights_are_refused(setting, damage):
    tensors = folded_classifier(setting)
    if damage == "missing":
        del tensors["17.weight"]
    else:
        tensors["17.weight"] = torch.zeros(3, 3)
    with pytest.raises(ModelError, match=r"17\.weight"):
        ENCODERS[setting]().load_pretrained(tensors)


def test_the_other_encoders_weights_are_refused(setting):
    other = next(name for name in ENCODERS if name != setting)
    with pytest.raises(ModelError, match=f"encoder={setting} needs a folded {ENCODERS[setting].title}"):
        ENCODERS[setting]().load_pretrained(folded_classifier(other))


def published(setting):
    """A state dict as EfficientNet-Lite is published: each convolution, then its BatchNorm; a classifier."""
    torch.manual_seed(1)
    state = {}
    for i, conv in enumerate(m for m in ENCODERS[setting]().modules() if isinstance(m, SameConv)):
        shape = (conv.out_channels, 3, 3, 3) if i == 0 else conv.weight.shape
        state[f"{i}.conv.weight"] = torch.randn(shape) * 0.1
        state |= {f"{i}.norm.{k}": torch.rand(shape[0]) + 0.5 for k in ("weight", "bias", "running_mean")}
        state |= {f"{i}.norm.running_var": torch.rand(shape[0]) * 0.01}
        state |= {f"{i}.norm.num_batches_tracked": torch.tensor(5)}
    return state | {"fc.weight": torch.randn(1000, 1280)}


def test_published_weights_are_folded_as_they_are_read(tmp_path):
    state = published("efficientnet_lite0")
    torch.save(state, tmp_path / "lite0.pth")
    tensors = read_encoder(tmp_path / "lite0.pth")
    assert len(tensors) == 2 * CONVOLUTIONS["efficientnet_lite0"][0]
    for number in (0, 7, 47):
        norm = [state[f"{number}.norm.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        weight = state[f"{number}.conv.weight"]
        x = torch.randn(1, weight.shape[1], 5, 5)
        wanted = F.batch_norm(F.conv2d(x, weight), *norm, eps=1e-3)
        found = F.conv2d(x, tensors[f"{number:02d}.weight"], tensors[f"{number:02d}.bias"])
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)
    ENCODERS["efficientnet_lite0"]().load_pretrained(tensors)
    with pytest.raises(ModelError, match="needs a folded EfficientNet-Lite2"):
        ENCODERS["efficientnet_lite2"]().load_pretrained(tensors)


def test_files_that_hold_no_encoder_are_named(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    for name in ("other.pth", "broken.safetensors", "broken.pth"):
        with pytest.raises(ModelError, match=f"{name} holds no encoder"):
            read_encoder(tmp_path / name)
    with pytest.raises(ModelError, match=r"no file \S+absent\.pth"):
        read_encoder(tmp_path / "absent.pth")


def edgetpu_by_hand(tensors, rgb):
    """MobileNet-EdgeTPU 0.75 as its graph reads, one convolution after the other; the last map."""

    def convolve(x, number, stride=1, relu=False):
        weight, bias = tensors[f"{number:02d}.weight"], tensors[f"{number:02d}.bias"]
        all_padding = max(weight.shape[-1] - stride, 0)
        before = all_padding // 2
        x = F.pad(x, (before, all_padding - before) * 2)
        x = F.conv2d(x, weight, bias, stride, groups=x.shape[1] if weight.shape[1] == 1 else 1)
        return F.relu(x) if relu else x

    x = convolve(convolve(rgb, 0, 2, True), 1)
    number, strides = 2, {2: 2, 10: 2, 19: 2, 43: 2}
    plain = {2, 10, 18, 30, 42, 54}  # where a block without residual begins
    while number < 57:
        start, y = number, x
        for _ in range(1 if number < 18 else 2):
            y = convolve(y, number, strides.get(number, 1), True)
            number += 1
        y = convolve(y, number)
        number += 1
        x = y if start in plain else x + y
    return x


def test_edgetpu_is_its_graph():
    tensors = folded_classifier("edgetpu_075")
    encoder = ENCODERS["edgetpu_075"]()
    encoder.load_pretrained(tensors)
    grey = torch.rand(1, 1, 96, 64) * 2 - 1
    with torch.no_grad():
        wanted = edgetpu_by_hand(tensors, grey.expand(-1, 3, -1, -1))
        torch.testing.assert_close(encoder(grey)[3], wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())


@pytest.mark.parametrize(("kernel", "sums"), [(3, [[9, 6], [6, 4]]), (5, [[16, 12], [12, 9]])])
def test_stride_two_pads_more_at_the_right_and_bottom(kernel, sums):
    conv = SameConv(1, 1, kernel, 2)
    torch.nn.init.ones_(conv.weight)
    torch.nn.init.zeros_(conv.bias)
    assert conv(torch.ones(1, 1, 4, 4))[0, 0].tolist() == sums


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [12, 13])
@pytest.mark.parametrize("kernel", [3, 5])
def test_a_depthwise_convolution_learns_as_torchs_own(kernel, side, stride, precision):
    torch.manual_seed(0)
    conv, x = SameConv(6, 6, kernel, stride, groups=6), torch.randn(2, 6, side, side, requires_grad=True)
    before = (kernel - stride) // 2
    pads = before, kernel - stride - before
    parts = x, conv.weight, conv.bias
    own = F.conv2d(F.pad(x, pads * 2), conv.weight, conv.bias, stride, groups=6)
    weight_of_each = torch.randn_like(own)
    wanted = torch.autograd.grad((own * weight_of_each).sum(), parts)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        found = conv.train()(x)
        torch.testing.assert_close(found, conv.eval()(x))
    assert found.dtype == precision
    near = {"rtol": 0.02, "atol": 0.02} if precision == torch.bfloat16 else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(found.float(), own, **near)
    for grad, true in zip(torch.autograd.grad((found * weight_of_each).sum(), parts), wanted, strict=True):
        torch.testing.assert_close(grad / true.abs().max(), true / true.abs().max(), **near)


def test_a_depthwise_convolution_of_what_gathers_no_gradient():
    torch.manual_seed(0)
    conv, x = SameConv(4, 4, 5, groups=4).train(), torch.randn(2, 4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        conv(x).sum().backward()
        found = conv.weight.grad
        conv.weight.grad = None
        conv.eval()(x).sum().backward()
    torch.testing.assert_close(found, conv.weight.grad, rtol=0.02, atol=0.02 * found.abs().max().item())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kernel", [3, 5])
def test_uneven_padding_is_exported_within_the_convolution(tmp_path, kernel):
    conv = SameConv(3, 4, kernel, stride=2)
    file = tmp_path / "conv.onnx"
    x = torch.randn(1, 3, 8, 10)
    torch.onnx.export(conv, (x,), str(file), dynamo=False, opset_version=18)
    assert [node.op_type for node in onnx.load(file).graph.node] == ["Conv"]
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    np.testing.assert_allclose(found, conv(x).detach().numpy(), atol=1e-5)
