"""The networks that score: LPIPS by its definition and stored numbers, classifiers, Inception, bad files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from skimage import data
from torch import nn

from tintype.errors import DataError, ModelError, SettingsError, TintypeError
from tintype.evaluate import networks
from tintype.train.judges import ClassifierJudge, InceptionJudge, LpipsJudge
from tintype.train.perceptual import LpipsAlex, LpipsSqueeze

# Of the photograph and itself in eight steps of each channel, by weights drawn from a seed.
STORED = {"alex": 0.049488, "squeeze": 0.325572}


JIT = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # of writing such files


def photograph(side=96):
    return np.ascontiguousarray(data.astronaut()[:side, 60 : 60 + side])


@pytest.mark.parametrize("network", ["alex", "squeeze"])
def test_lpips_gives_its_stored_number_and_grows_with_the_difference(network, lpips_files):
    judge = LpipsJudge(network, *lpips_files[network])
    rgb8 = photograph()
    seen = [judge.look(rgb8 // step * step) for step in (1, 32, 128)]
    truth = judge.look(rgb8)
    found = [judge.compare(one, truth, "")[f"lpips_{network}"] for one in seen]
    assert found[0] == 0
    assert found[1] < found[2]
    assert found[1] == pytest.approx(STORED[network], rel=1e-3)


def test_lpips_by_its_definition(lpips_files):
    """Unit-length features, squared differences, weighed by the head, averaged over places, summed."""
    tensors = {
        k: v
        for f in lpips_files["alex"]
        for k, v in __import__("safetensors.torch").torch.load_file(f).items()
    }
    x, y = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    pair = [(2 * p - 1 - shift) / scale for p in (x, y)]
    total = 0.0
    layers = [(0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False), (10, 1, 1, False)]
    for i, (index, stride, padding, pooled) in enumerate(layers):
        if pooled:
            pair = [F.max_pool2d(p, 3, 2) for p in pair]
        weight, bias = (tensors[f"features.{index}.{kind}"] for kind in ("weight", "bias"))
        pair = [F.relu(F.conv2d(p, weight, bias, stride, padding)) for p in pair]
        fx, fy = (F.normalize(p, dim=1) for p in pair)
        head = tensors[f"lin{i}.model.1.weight"][0, :, 0, 0]
        total += float(((fx - fy) ** 2 * head.view(1, -1, 1, 1)).sum(1).mean())
    assert float(LpipsAlex(*lpips_files["alex"])(x, y)) == pytest.approx(total, rel=1e-4)


def test_squeezenet_is_cut_into_seven(lpips_files):
    seen = LpipsSqueeze(*lpips_files["squeeze"]).look(torch.rand(1, 3, 64, 64))
    assert [(x.shape[1], x.shape[2]) for x in seen] == [
        (64, 31), (128, 15), (256, 7), (384, 3), (384, 3), (512, 3), (512, 3)
    ]  # fmt: skip


def test_lpips_files_that_are_missing_or_swapped(lpips_files, tmp_path):
    features, heads = lpips_files["alex"]
    for one, two in ((tmp_path / "none", heads), (features, tmp_path / "none"), (heads, features)):
        with pytest.raises(ModelError, match=r"richzhang/PerceptualSimilarity"):
            LpipsAlex(one, two)
    with pytest.raises(ModelError, match="no LPIPS weight file for SqueezeNet"):
        LpipsSqueeze(*lpips_files["alex"])


# --- the classifier


def plain(color, side=50):
    return np.full((side, side, 3), color, np.uint8)


def test_a_class_is_kept_or_lost(classifier):
    judge = ClassifierJudge(classifier, {"a rose": 0})
    red, green = judge.look(plain((200, 90, 90))), judge.look(plain((90, 200, 90)))
    assert (red.number, green.number) == (0, 1)
    assert judge.compare(red, red, "a rose") == {"class_kept": 1, "class_right": 1}
    assert judge.compare(green, red, "a rose") == {"class_kept": 0, "class_right": 0}
    assert np.isnan(judge.compare(red, red, "an unknown label")["class_right"])
    assert judge.features(red).shape == (judge.width,) == (3,)


def test_padding_is_tensorflows(classifier):
    """At stride 2 an even side gets its one pixel at the end."""
    from tintype.train.classifier import _pad_same

    x = torch.arange(16.0).view(1, 1, 4, 4)
    padded = _pad_same(x, {"shape": [1, 1, 3, 3], "stride": 2})
    assert padded.shape[2:] == (5, 5)
    assert padded[0, 0, 0, 0] == 0
    assert padded[0, 0, 1, 1] == 5
    assert not padded[0, 0, -1].any()
    assert _pad_same(x[..., :3, :3], {"shape": [1, 1, 3, 3], "stride": 2}).shape[2:] == (5, 5)


def test_classifier_files_that_do_not_fit(classifier, tmp_path):
    with pytest.raises(ModelError, match=r"needs none.ops.json"):
        ClassifierJudge(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="none of the 3"):
        ClassifierJudge(classifier, {"far": 3})
    other = tmp_path / "other.safetensors"
    save_file({"00.weight": torch.zeros(1)}, other)
    operations = json.loads(classifier.with_suffix(".ops.json").read_text())
    other.with_suffix(".ops.json").write_text(json.dumps(operations))
    with pytest.raises(ModelError, match=r"00\.weight"):
        ClassifierJudge(other)
    for text, message in (
        ("{", "no list"), ("[1]", "no list"), ("[]", "no convolution"), ('[{"op": "LSTM"}]', "unknown"),
    ):  # fmt: skip
        other.with_suffix(".ops.json").write_text(text)
        with pytest.raises(ModelError, match=message):
            ClassifierJudge(other)


# --- Inception


class FakeInception(nn.Module):
    """Mean colours and zeros, in the shape of Inception's features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        return F.pad(x.float().mean((2, 3)), [0, self.width - 3])


@pytest.fixture
def scripted(tmp_path):
    def write(width):
        file = tmp_path / "inception.pt"
        torch.jit.save(torch.jit.script(FakeInception(width)), str(file))
        return file

    return write


@JIT
def test_inception_gives_features_for_fid(scripted, tmp_path):
    judge = InceptionJudge(scripted(2048))
    assert judge.frechet == "fid"
    assert judge.features(judge.look(plain((10, 20, 30))))[:4] == pytest.approx([10, 20, 30, 0])
    with pytest.raises(ModelError, match=r"inception-2015-12-05\.pt"):
        InceptionJudge(scripted(64))
    (tmp_path / "text.pt").write_text("no network")
    for name in ("text.pt", "none.pt"):
        with pytest.raises(ModelError, match=r"inception-2015-12-05\.pt"):
            InceptionJudge(tmp_path / name)


# --- what the command line names


@JIT
def test_judges_of_a_command_line(lpips_files, classifier, scripted, tmp_path):
    classes = tmp_path / "classes.csv"
    classes.write_text("label,class\na rose,0\n")
    lpips = [f"alex={','.join(map(str, lpips_files['alex']))}"]
    found = networks.open_judges(lpips, str(classifier), str(classes), str(scripted(2048)))
    assert [judge.name for judge in found] == ["lpips_alex", "classifier", "inception"]
    assert networks.open_judges() == []


def test_words_that_name_no_judge(classifier, tmp_path):
    for text in ("alex", "alex=one", "vgg=a,b", "alex=a,b,c"):
        with pytest.raises(SettingsError, match="--lpips takes"):
            networks.open_judges([text])
    with pytest.raises(SettingsError, match="add --classifier"):
        networks.open_judges(classes="a.csv")
    with pytest.raises(DataError, match="no table of classes"):
        networks.open_judges(classifier=str(classifier), classes=str(tmp_path / "none.csv"))
    (tmp_path / "bad.csv").write_text("label,class\na,b\n")
    with pytest.raises(DataError, match="columns label and class"):
        networks.open_judges(classifier=str(classifier), classes=str(tmp_path / "bad.csv"))


def test_without_the_extra_one_sentence_says_so(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "tintype.train.judges", raising=False)
    with pytest.raises(TintypeError, match=r"pip install 'tintype\[train\]'"):
        networks.open_judges(["alex=a,b"])
