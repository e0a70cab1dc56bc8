"""A model in 8 bits paints as its source does, keeps float what must stay so, and says what it lost."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import pytest
from onnx import helper

from scoring_helpers import obedient_model, write_model, write_photographs
from tintype import cli, evaluate
from tintype.cards import find_model, load_card
from tintype.errors import InputError, ModelError
from tintype.session import Session
from tintype.train.multiply_adds import count_multiply_adds
from tintype.train.quantize import nodes_in_8_bits, quantize
from tintype.train.recipes import tint

RNG = np.random.default_rng(3)
WEIGHTS = {
    "w1": RNG.normal(0, 0.05, (8, 1, 3, 3)).astype(np.float32),
    "w2": RNG.normal(0, 0.3, (8, 8, 1, 1)).astype(np.float32),
    "w3": RNG.normal(0, 1.5, (2, 8, 1, 1)).astype(np.float32),
}


def conv_model(folder, name="conv"):
    """Three convolutions with a step beside the second; hints are added to what comes out."""
    nodes = [
        helper.make_node("Conv", ["L", "w1"], ["a"], name="/stem/Conv", pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], name="/stem/Relu"),
        helper.make_node("Conv", ["b", "w2"], ["c"], name="/body/Conv"),
        helper.make_node("Add", ["b", "c"], ["d"], name="/body/Add"),
        helper.make_node("Conv", ["d", "w3"], ["e"], name="/head/Conv"),
        helper.make_node("Mul", ["hint_ab", "hint_mask"], ["told"], name="/hints/Mul"),
        helper.make_node("Add", ["e", "told"], ["ab"], name="/hints/Add"),
    ]
    maps = {"hint_ab": (["N", 2, "H", "W"], 0.0), "hint_mask": (["N", 1, "H", "W"], 0.0)}
    return write_model(folder, name, nodes, WEIGHTS, maps)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return evaluate.find_photographs([write_photographs(tmp_path_factory.mktemp("photographs"))])


def made(folder, photographs, stays_float=()):
    card = find_model(conv_model(folder))
    return card, quantize(card, folder / "conv-int8.onnx", photographs, photographs, stays_float)


def in_8_bits(path):
    """Names of the convolutions whose input comes from 8 bits."""
    graph = onnx.load(path).graph
    makers = {output: node.op_type for node in graph.node for output in node.output}
    return {
        node.name
        for node in graph.node
        if node.op_type == "Conv" and makers.get(node.input[0]) == "DequantizeLinear"
    }


def test_the_colours_are_nearly_those_of_the_source(photographs, tmp_path):
    card, new = made(tmp_path, photographs)
    assert in_8_bits(new.path) == {"/stem/Conv", "/body/Conv", "/head/Conv"}
    L = evaluate.Truth("", np.tile(np.arange(0, 256, 4, np.uint8)[:, None, None], (1, 64, 3))).L[None, None]
    source, other = (Session(one, threads=1).run(L) for one in (card, new))
    assert np.ptp(source) > 30
    assert 0 < np.abs(other - source).mean() < 0.02 * np.ptp(source)


def test_the_card_says_what_it_is_and_what_it_lost(photographs, tmp_path):
    card, new = made(tmp_path, photographs, ("/stem/",))
    assert load_card(tmp_path / "conv-int8.onnx") == new
    assert new.sha256 == hashlib.sha256(new.path.read_bytes()).hexdigest()
    assert (new.name, new.license, new.inputs) == ("conv-int8", card.license, card.inputs)
    assert "6 photographs" in new.training["int8"]
    assert "/stem/" in new.training["int8"]
    assert new.scores["conv"]["psnr"] == pytest.approx(new.scores["conv-int8"]["psnr"], abs=0.5)
    assert 0 < new.scores["ab_distance"] < 2
    assert count_multiply_adds(new.path) == count_multiply_adds(card.path) > 0
    files = [f"{name}.{suffix}" for name in ("conv", "conv-int8") for suffix in ("onnx", "toml")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_what_stays_float_does(photographs, tmp_path):
    _, new = made(tmp_path, photographs, ("/stem/", "/head/"))
    assert in_8_bits(new.path) == {"/body/Conv"}
    with pytest.raises(ModelError, match="no convolution that could compute in 8 bits"):
        made(tmp_path, photographs, ("/",))


def test_hints_are_told_exactly(photographs, tmp_path):
    _, new = made(tmp_path, photographs)
    session = Session(new, threads=1)
    L = np.full((1, 1, 64, 64), 40, np.float32)
    told = session.run(L, hint_ab=np.float32(33.3), hint_mask=1.0)
    assert told - session.run(L) == pytest.approx(33.3, abs=1e-4)


def test_nodes_join_where_all_that_they_are_given_is_in_8_bits(tmp_path):
    graph = onnx.load(conv_model(tmp_path))
    whole = {"/stem/Conv", "/stem/Relu", "/body/Conv", "/body/Add", "/head/Conv"}
    assert nodes_in_8_bits(graph, ()) == whole
    assert nodes_in_8_bits(graph, ("/stem/",)) == {"/body/Conv", "/head/Conv"}
    del graph.graph.initializer[1]  # weights that are computed, or given
    assert nodes_in_8_bits(graph, ()) == {"/stem/Conv", "/stem/Relu", "/head/Conv"}


def test_what_tint_keeps_float_is_in_its_graph():
    names = [node.name for node in onnx.load(find_model("tint").path).graph.node]
    for part in tint.Model.stays_float:
        assert any(name.startswith(part) for name in names), part


def test_a_photograph_that_cannot_be_read_is_named_and_nothing_is_left(photographs, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    broken = evaluate.find_photographs([tmp_path / "photos"])
    card = find_model(conv_model(tmp_path))
    for pair in ((broken, photographs), (photographs, broken)):
        with pytest.raises(InputError, match=r"broken\.jpg cannot be used"):
            quantize(card, tmp_path / "new.onnx", *pair, ())
    assert not list(tmp_path.glob("*new*"))


# --- the command


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_photographs(tmp_path / "photos")
    conv_model(tmp_path)
    obedient_model(tmp_path)
    return tmp_path


def test_the_command_tells_what_is_lost(place, capsys):
    line = "quantize conv.onnx --data photos --val photos --limit 2 --count 3 -o new.onnx"
    assert cli.main(line.split()) == 0
    told = capsys.readouterr().out
    assert "new.onnx is ready" in told
    assert "Lab units from conv's" in told
    assert load_card(place / "new.onnx").scores["how"].startswith("2 photographs")
    assert "3 photographs" in load_card(place / "new.onnx").training["int8"]
    assert in_8_bits(place / "new.onnx") == {"/stem/Conv", "/body/Conv", "/head/Conv"}
    assert cli.main([*line.split(), "--overwrite", "--float", "/stem/"]) == 0
    assert in_8_bits(place / "new.onnx") == {"/body/Conv", "/head/Conv"}


def test_the_command_passes_over_what_cannot_be_read(place, capsys):
    (place / "photos" / "junk.jpg").write_bytes(b"\xff\xd8\xff nothing")
    line = "quantize conv.onnx --data photos --val photos --limit 99 --count 99 -o new.onnx"
    assert cli.main(line.split()) == 0
    told = capsys.readouterr()
    assert told.err.count("junk.jpg cannot be used: it is no picture that can be decoded.\n") == 1
    count = len(list((place / "photos").iterdir())) - 1
    assert load_card(place / "new.onnx").scores["how"].startswith(f"{count} photographs")
    (place / "bad").mkdir()
    (place / "bad" / "junk.jpg").write_bytes(b"")
    assert cli.main(["quantize", "conv.onnx", "--data", "bad", "--val", "photos", "-o", "other.onnx"]) == 1
    assert "Of 1 photograph none can be used." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        ("conv.onnx -o new.model", 2, "must end in .onnx"),
        ("conv.onnx -o conv.onnx", 2, "is the model itself"),
        ("conv.onnx -o photos/conv.onnx", 2, "the model's own name, conv"),
        ("conv.onnx -o obedient.onnx", 1, "--overwrite replaces it"),
        ("obedient.onnx -o new.onnx", 1, "no convolution"),
        ("nothing -o new.onnx", 1, "no model named 'nothing'"),
        ("conv.onnx -o new.onnx --float /stem/ /stme/", 2, "begins with '/stme/'"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(more, status, message, place, capsys):
    assert cli.main(["quantize", *more.split(), "--data", "photos", "--val", "photos"]) == status
    found = capsys.readouterr()
    assert message in found.err
    assert not found.out
    assert "Traceback" not in found.err
    assert not (place / "new.onnx").exists()


@pytest.mark.parametrize("flag", ["--count", "--limit"])
def test_numbers_that_cannot_be_are_wrong_usage(flag, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["quantize", "m", "-o", "new.onnx", "--data", "photos", "--val", "photos", flag, "0"])
    assert stop.value.code == 2
    assert f"argument {flag}: must be 1 or more" in capsys.readouterr().err
