"""`tintype data`: what a set holds is told, and packed shards hold the same photographs."""

from __future__ import annotations

import io
import tarfile

import cv2
import numpy as np
import pytest
from skimage import data

from tintype import cli
from tintype.train import inspection
from tintype.train.data import decode_rgb8, is_grey
from tintype.train.photographs import Photographs, Record, split
from tintype.train.shards import key_of, keys_for
from tintype.train.sources import find_photographs


@pytest.fixture
def folder(tmp_path):
    for i, rgb in enumerate([data.chelsea(), data.coffee(), np.dstack([data.camera()] * 3)]):
        path = tmp_path / "photos" / ("grey" if i == 2 else "colour") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rgb[..., ::-1])
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"broken")
    return tmp_path / "photos"


def test_inspecting_counts_and_draws(folder, tmp_path, capsys):
    picture = tmp_path / "colours.png"
    assert cli.main(["data", "inspect", str(folder), "--workers", "1", "--picture", str(picture)]) == 0
    text = capsys.readouterr().out
    assert "3 of 4 found" in text
    assert "300 to 512 pixels" in text
    assert "1 (33.3%)" in text
    assert "broken.jpg" in text
    assert "2  colour" in text
    drawn = cv2.imread(str(picture))
    assert drawn[330, 330].max() > 200  # neutral colours are the commonest
    assert drawn[5, 5].max() == 0


def test_packing_shrinks_and_keeps_names_and_labels(folder, tmp_path, capsys):
    shards = tmp_path / "shards"
    line = ["data", "pack", str(folder), "-o", str(shards), "--size", "128", "--shard", "2", "--workers", "1"]
    assert cli.main(line) == 0
    assert "3 photographs" in capsys.readouterr().out
    assert [p.name for p in sorted(shards.iterdir())] == ["00000.tar", "00001.tar"]
    packed = find_photographs(sorted(shards.glob("*.tar")))
    assert sorted(r.name for r in packed.records) == ["colour/0.webp", "colour/1.webp", "grey/2.webp"]
    assert packed.label_names == ("colour", "grey")
    assert all(min(decode_rgb8(r.read()).shape[:2]) == 128 for r in packed.records)
    assert cli.main(line) == 1
    assert "holds shards already" in capsys.readouterr().err


def test_names_that_come_again_are_counted_each(tmp_path, capsys):
    folders = [tmp_path / "a", tmp_path / "b"]
    for place in folders:
        place.mkdir()
        (place / "bad.jpg").write_bytes(b"broken")
        cv2.imwrite(str(place / "good.png"), data.coffee())
    line = ["data", "pack", *map(str, folders), "--size", "64", "--workers", "1", "-o", str(tmp_path / "out")]
    assert cli.main(line) == 0
    told = capsys.readouterr()
    assert "2 photographs in" in told.out
    assert "2 could not be used" in told.out
    assert told.err.splitlines()[-2:] == ["bad.jpg could not be used."] * 2


def test_packing_that_was_stopped_goes_on_and_is_told_meanwhile(folder, tmp_path, capsys, monkeypatch):
    shards, whole = tmp_path / "shards", tmp_path / "whole"
    line = ["data", "pack", str(folder), "--size", "64", "--shard", "1", "--workers", "1", "-o"]
    assert cli.main([*line, str(whole)]) == 0
    told = capsys.readouterr()
    assert "3 photographs" in told.out
    assert "1 could not be used" in told.out
    assert told.err.splitlines()[-1] == "broken.jpg could not be used."
    write = inspection._write_shard

    def stopped(path, *more):
        if path.stem == "00002":
            raise KeyboardInterrupt
        write(path, *more)

    monkeypatch.setattr(inspection, "_write_shard", stopped)
    assert cli.main([*line, str(shards)]) == 130
    assert "The same command goes on from here." in capsys.readouterr().err
    assert any("not all was packed" in note for note in find_photographs([shards]).notes)
    monkeypatch.undo()
    before = {path.name: path.stat().st_mtime_ns for path in shards.glob("*.tar")}
    assert cli.main([*line[:3], "--size", "65", *line[5:], str(shards)]) == 1
    assert "holds shards already" in capsys.readouterr().err
    assert cli.main([*line, str(shards)]) == 0
    assert "1 could not be used" in capsys.readouterr().out
    assert {name: (shards / name).stat().st_mtime_ns for name in before} == before
    assert not find_photographs([shards]).notes
    for path in whole.iterdir():
        with tarfile.open(path) as one, tarfile.open(shards / path.name) as other:
            assert one.getnames() == other.getnames()
    assert sorted(p.name for p in whole.iterdir()) == sorted(p.name for p in shards.iterdir())


def test_a_packed_set_is_parted_as_its_folder(folder, tmp_path):
    for i in range(200):
        (folder / f"copy.{i}.png").write_bytes((folder / "colour" / "0.png").read_bytes()[:40])
    (folder / "broken.jpg").unlink()
    names = [record.name for record in find_photographs([folder]).records]
    packed = [Record("x.tar", f"{key}.webp") for key in keys_for(names)]
    parted = [split(Photographs(tuple(r)), 0.1) for r in (find_photographs([folder]).records, packed)]
    folders, shards = ([key_of(record.name) for record in part[1].records] for part in parted)
    assert folders == shards
    assert 5 < len(folders) < 40


def test_packing_can_make_some_photographs_grey(folder, tmp_path, capsys):
    shards = tmp_path / "shards"
    line = ["data", "pack", str(folder / "colour"), "-o", str(shards), "--workers", "1"]
    assert cli.main([*line, "--grey-share", "0.5"]) == 0
    packed = find_photographs(list(shards.glob("*.tar")))
    grey = [is_grey(decode_rgb8(record.read())) for record in packed.records]
    assert sorted(grey) == [False, True]
    assert cli.main([*line[:4], str(tmp_path / "one"), "--workers", "1", "--limit", "1"]) == 0
    assert len(find_photographs([tmp_path / "one" / "00000.tar"])) == 1
    with pytest.raises(SystemExit):
        cli.main([*line, "--grey-share", "2"])
    assert "from 0 to 1" in capsys.readouterr().err


def test_nothing_to_inspect(tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert cli.main(["data", "inspect", str(tmp_path), "--workers", "1"]) == 1
    assert "None of 1 files could be decoded" in capsys.readouterr().err


def test_packing_keeps_labels_that_no_folder_tells(folder, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    plain = tmp_path / "plain"
    plain.mkdir()
    for i, source in enumerate(sorted(folder.rglob("*.png"))[:2]):
        (plain / f"{i}{source.suffix}").write_bytes(source.read_bytes())
    with tarfile.open(tmp_path / "given.tar", "w") as tar:
        for i, path in enumerate(sorted(plain.iterdir())):
            tar.add(path, path.name)
            label = ("cat", "dog")[i].encode()
            member = tarfile.TarInfo(f"{path.stem}.cls")
            member.size = len(label)
            tar.addfile(member, io.BytesIO(label))
    for source, out in ((tmp_path / "given.tar", first), (first / "00000.tar", second)):
        assert cli.main(["data", "pack", str(source), "-o", str(out), "--workers", "1"]) == 0
        packed = find_photographs([out / "00000.tar"])
        assert packed.label_names == ("cat", "dog")
        assert [record.label for record in packed.records] == [0, 1]


def test_a_compressed_shard_is_refused(folder, tmp_path, capsys):
    with tarfile.open(tmp_path / "packed.tar", "w:gz") as tar:
        tar.add(next(folder.rglob("*.png")), "0.png")
    assert cli.main(["data", "inspect", str(tmp_path / "packed.tar"), "--workers", "1"]) == 1
    assert "no readable tar shard" in capsys.readouterr().err


def test_packing_keeps_apart_what_has_one_name_up_to_a_dot(folder, tmp_path):
    rgb = cv2.imread(str(next(folder.rglob("0.png"))))
    for name in ("sea/img.0.png", "town/img.1.png", "more/town/img.1.png"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rgb)
    everything = ["data", "pack", str(tmp_path / "set"), "-o", str(tmp_path / "all"), "--workers", "1"]
    assert cli.main(everything) == 0
    packed = find_photographs([tmp_path / "all"])
    labels = {record.name: packed.label_names[record.label] for record in packed.records}
    assert labels == {
        "sea/img_0.webp": "sea", "town/img_1.webp": "town", "more/town/img_1.webp": "more/town",
    }  # fmt: skip
