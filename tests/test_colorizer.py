"""One picture or many, of any kind, given back as the same kind with its luma unchanged."""

from __future__ import annotations

import io
import os
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage import data

from tintype import Colorizer, Hint
from tintype.chroma import ChromaField
from tintype.color import luma_of
from tintype.errors import InputError, ModelError, OutputError, OutputExistsError, SettingsError
from tintype.images.icc import gamma_profile
from tintype.whole import is_part, part_folder_name, part_name, remove_parts, whole_file


@pytest.fixture(scope="module")
def colorizer(tiny_model):
    return Colorizer(tiny_model, threads=1)


def png(array, **options):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_arrays_come_back_as_they_went_in(colorizer, grey_photo, dtype, channels):
    full = {np.uint8: 255, np.uint16: 65535}.get(dtype, 1)
    luma = (grey_photo / 255 * full).astype(dtype)
    picture = luma if channels is None else np.repeat(luma[..., None], channels, -1)
    result = colorizer(picture)
    assert result.dtype == dtype
    assert result.shape == (*grey_photo.shape, 4 if channels == 4 else 3)
    error = np.abs(luma_of(result[..., :3].astype(np.float64)) - luma)
    assert error.max() <= (1e-5 if full == 1 else 1)
    if channels == 4:
        assert (result[..., 3] == picture[..., 3]).all()
    assert np.ptp(result[..., :3].astype(float), axis=-1).mean() > 0.02 * full


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 5), (31, 33), (257, 64)])
def test_any_size(colorizer, shape):
    result = colorizer(np.full(shape, 100, np.uint8))
    assert result.shape == (*shape, 3)
    assert (np.rint(luma_of(result.astype(float))) == 100).all()


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 5), np.int32), np.zeros((4, 5, 2), np.uint8), np.zeros((0, 5), np.uint8),
        np.full((4, 5), 2.0), np.full((4, 5), np.nan), np.zeros((2, 4, 5, 3), np.uint8), 7, None,
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused(colorizer, bad):
    with pytest.raises(InputError):
        colorizer(bad)


def test_pil_pictures(colorizer, grey_photo):
    grey = Image.fromarray(grey_photo)
    result = colorizer(grey)
    assert isinstance(result, Image.Image)
    assert (result.mode, result.size) == ("RGB", grey.size)
    assert np.abs(np.asarray(result.convert("L")).astype(int) - grey_photo).max() <= 1
    assert colorizer(grey.convert("LA")).mode == "RGBA"


def test_bytes_give_bytes_of_the_same_format(colorizer, grey_photo):
    result = Image.open(io.BytesIO(colorizer(png(grey_photo))))
    assert result.format == "PNG"
    assert np.abs(np.asarray(result.convert("L")).astype(int) - grey_photo).max() <= 1


def test_a_path_gives_the_new_files_path(colorizer, grey_photo, tmp_path):
    source = tmp_path / "old.png"
    source.write_bytes(png(grey_photo))
    before = (source.read_bytes(), source.stat().st_mtime_ns)
    assert colorizer(str(source)) == tmp_path / "old.color.png"
    assert (source.read_bytes(), source.stat().st_mtime_ns) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["old.color.png", "old.png"]
    with pytest.raises(OutputExistsError, match="exists already"):
        colorizer(source)


def test_a_list_gives_a_list(colorizer, grey_photo):
    array, data = colorizer([grey_photo, png(grey_photo)])
    assert (np.asarray(Image.open(io.BytesIO(data))) == array).all()


def test_the_input_is_never_the_output(colorizer, grey_photo, tmp_path):
    source = tmp_path / "old.png"
    source.write_bytes(png(grey_photo))
    (tmp_path / "link.png").symlink_to(source)
    for target in (source, tmp_path / "link.png"):
        with pytest.raises(OutputError, match="would replace the picture itself"):
            colorizer.colorize_file(source, target, overwrite=True)


def test_colour_is_made_grey_first_or_skipped(colorizer, tmp_path):
    source = tmp_path / "cat.png"
    source.write_bytes(png(data.chelsea()))
    result = colorizer.colorize_file(source)
    assert result.status == "done"
    assert any("made grey first" in note for note in result.notes)
    other = colorizer.colorize_file(source, tmp_path / "other.png", skip_colored=True)
    assert (other.status, other.reason) == ("skipped", "it is in colour already")
    assert not (tmp_path / "other.png").exists()


def test_the_suffix_chooses_the_format(colorizer, grey_photo, tmp_path):
    source = tmp_path / "old.png"
    source.write_bytes(png(grey_photo))
    colorizer.colorize_file(source, tmp_path / "new.jpg")
    with Image.open(tmp_path / "new.jpg") as picture:
        assert picture.format == "JPEG"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_network_sees_pictures_upright(tiny_model, grey_photo, orientation):
    colorizer = Colorizer(tiny_model, threads=1)
    seen = []
    predict = colorizer._proposer.predict
    colorizer._proposer.predict = lambda L, maps: seen.append(L) or predict(L, maps)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = png(grey_photo[:, :300], exif=exif.tobytes())
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(stored)))
    colorizer(stored)
    colorizer(png(np.asarray(upright)))
    assert seen[0].shape == seen[1].shape
    assert np.abs(seen[0] - seen[1]).mean() < 0.5
    result = Image.open(io.BytesIO(colorizer(stored)))
    wanted = Image.open(io.BytesIO(colorizer(png(np.asarray(upright)))))
    difference = np.abs(np.asarray(ImageOps.exif_transpose(result)).astype(int) - np.asarray(wanted))
    assert difference.mean() < 1


def test_predict_ab(colorizer):
    L = np.tile(np.linspace(0, 100, 90, dtype=np.float32), (60, 1))
    ab = colorizer.predict_ab(L)
    assert ab.shape == (16, 24, 2)
    assert ab.dtype == np.float32
    assert ab[8, -1, 0] > ab[8, 0, 0]
    with pytest.raises(InputError):
        colorizer.predict_ab(np.zeros((3, 4, 5)))


def test_strength_zero_is_grey_and_two_is_stronger(tiny_model, grey_photo):
    def spread(strength):
        return np.ptp(Colorizer(tiny_model, strength=strength)(grey_photo).astype(int), axis=-1).mean()

    assert spread(0) <= 1
    assert spread(2) > 1.3 * spread(1)


def test_threads_may_share_one(colorizer, grey_photo):
    wanted = colorizer(grey_photo)
    with ThreadPoolExecutor(4) as pool:
        assert all((result == wanted).all() for result in pool.map(colorizer, [grey_photo] * 12))


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_tiff_opened_by_pillow_is_seen_upright(tiny_model, tmp_path, orientation):
    grey = np.tile(np.linspace(30, 220, 60, dtype=np.uint8), (40, 1))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(grey).save(tmp_path / "x.tif", exif=exif, compression="tiff_lzw")
    colorizer = Colorizer(tiny_model)
    with Image.open(tmp_path / "x.tif") as opened:
        by_pillow = np.asarray(colorizer(opened))
    with Image.open(tmp_path / "x.tif") as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened))
    assert (by_pillow == colorizer(np.ascontiguousarray(upright))[..., :3]).all()


def test_a_picture_that_pillow_cannot_decode_is_refused(colorizer):
    file = io.BytesIO()
    Image.fromarray(np.arange(40000, dtype=np.uint8).reshape(200, 200)).save(file, "PNG")
    with pytest.raises(InputError, match="damaged, truncated or closed"):
        colorizer(Image.open(io.BytesIO(file.getvalue()[:300])))


def test_arrays_of_the_other_order_of_bytes_are_taken(colorizer):
    grey = np.arange(0, 65536, 32, dtype=np.uint16).reshape(32, 64)
    assert (colorizer(grey.astype(">u2")) == colorizer(grey)).all()


def test_settings_of_other_types_are_told(tiny_model, telling_model):
    for settings in (
        {"strength": "0.5"},
        {"vividness": None},
        {"threads": "2"},
        {"size": 64.0},
        {"strength": True},
        {"threads": True},
    ):
        with pytest.raises(SettingsError):
            Colorizer(tiny_model, **settings)
    with pytest.raises(SettingsError, match=r"tintype\.Hint, not dict"):
        Colorizer(telling_model, hints=[{"x": 1, "y": 1, "color": "#c04020"}])
    numbers = Colorizer(tiny_model, size=np.int64(64), threads=np.int32(1), strength=np.float32(0.5))
    assert (numbers.size, numbers.threads) == (64, 1)


def test_versions_of_a_file_are_counted(telling_model, grey_photo, tmp_path):
    (tmp_path / "a.png").write_bytes(png(grey_photo))
    for count in (-1, 17, "3", 2.5):
        with pytest.raises(SettingsError, match=f"from 1 to 16 candidates, not {count!r}"):
            Colorizer(telling_model).colorize_file(tmp_path / "a.png", candidates=count)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("links", [True, False])
def test_what_appears_meanwhile_is_not_replaced(colorizer, grey_photo, tmp_path, monkeypatch, links):
    (tmp_path / "a.png").write_bytes(png(grey_photo))
    target = tmp_path / "b.png"
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(1, "no links here")))
    write = colorizer.painter.write_versions

    def slow(*arguments):
        write(*arguments)
        target.write_bytes(b"somebody else's")

    monkeypatch.setattr(colorizer.painter, "write_versions", slow)
    with pytest.raises(OutputExistsError, match="appeared meanwhile"):
        colorizer.colorize_file(tmp_path / "a.png", target)
    assert target.read_bytes() == b"somebody else's"
    colorizer.colorize_file(tmp_path / "a.png", target, overwrite=True)
    assert target.read_bytes().startswith(b"\x89PNG")
    monkeypatch.undo()
    colorizer.colorize_file(tmp_path / "a.png", tmp_path / "c.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png", "c.png"]


def test_a_folder_is_no_place_for_a_result(colorizer, grey_photo, tmp_path):
    (tmp_path / "a.png").write_bytes(png(grey_photo))
    (tmp_path / "b.png").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        colorizer.colorize_file(tmp_path / "a.png", tmp_path / "b.png", overwrite=True)


def test_a_pil_picture_has_the_colours_of_its_file(colorizer, grey_photo):
    file = png(grey_photo, icc_profile=gamma_profile(1.0).icc)
    as_bytes = np.asarray(Image.open(io.BytesIO(colorizer(file))))
    as_picture = colorizer(Image.open(io.BytesIO(file)))
    np.testing.assert_array_equal(np.asarray(as_picture), as_bytes)
    plain = np.asarray(colorizer(Image.fromarray(grey_photo)))
    assert np.abs(plain.astype(int) - as_bytes).mean() > 2
    assert Image.open(io.BytesIO(file)).info["icc_profile"]
    np.testing.assert_allclose(
        colorizer(np.asarray(Image.fromarray(grey_photo))), plain, err_msg="an array has no profile"
    )


@pytest.mark.parametrize("path", [".", "/"])
def test_a_path_without_a_name_is_refused(colorizer, path):
    with pytest.raises(InputError, match="is a folder; name a file"):
        colorizer(path)


def test_a_pil_picture_without_pixels_is_refused(colorizer):
    for mode in ("L", "RGBA", "I;16"):
        with pytest.raises(InputError, match="no pixels"):
            colorizer(Image.new(mode, (0, 5)))


@pytest.mark.parametrize(
    "settings", [{"strength": 3}, {"strength": -1}, {"size": 4}, {"threads": 0}, {"threads": 3_000_000_000}]
)
def test_settings_out_of_range(tiny_model, settings):
    with pytest.raises(SettingsError, match="must be"):
        Colorizer(tiny_model, **settings)


def test_unknown_model():
    with pytest.raises(ModelError, match="no model named"):
        Colorizer("nonesuch")


def test_no_folder_to_write_to(colorizer, grey_photo, tmp_path):
    source = tmp_path / "old.png"
    source.write_bytes(png(grey_photo))
    with pytest.raises(OutputError, match="Cannot write"):
        colorizer.colorize_file(source, tmp_path / "gone" / "new.png")


def test_a_wrong_suffix_gives_what_the_name_says(colorizer, grey_photo, tmp_path):
    source = tmp_path / "really_jpeg.png"
    Image.fromarray(grey_photo).save(source, "JPEG")
    result = colorizer(source)
    with Image.open(result) as picture:
        assert (result.name, picture.format) == ("really_jpeg.color.png", "PNG")


def test_pil_pictures_are_seen_upright_too(tiny_model, grey_photo):
    colorizer = Colorizer(tiny_model, threads=1)
    seen = []
    predict = colorizer._proposer.predict
    colorizer._proposer.predict = lambda L, maps: seen.append(L) or predict(L, maps)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = png(grey_photo[:, :300], exif=exif.tobytes())
    colorizer(stored)
    colorizer(Image.open(io.BytesIO(stored)))
    assert seen[0].shape == seen[1].shape
    assert np.abs(seen[0] - seen[1]).mean() < 0.5


@pytest.mark.parametrize("L", [np.full((4, 5), 128.0), np.full((4, 5), np.nan), np.full((4, 5), -3.0)])
def test_predict_ab_takes_lightness_alone(colorizer, L):
    with pytest.raises(InputError, match="0…100"):
        colorizer.predict_ab(L)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_64_megapixels(colorizer, kind):
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80), np.uint8))
    luma = np.asarray(coarse.resize((8000, 8000), Image.Resampling.BICUBIC))
    file = io.BytesIO()
    Image.fromarray(luma).save(file, kind, **({"compress_level": 1} if kind == "PNG" else {"quality": 92}))
    before = np.asarray(Image.open(io.BytesIO(file.getvalue())))
    after = Image.open(io.BytesIO(colorizer(file.getvalue())))
    assert (after.mode, after.size) == ("RGB", (8000, 8000))
    error = np.abs(np.asarray(after.convert("L")).astype(np.int16) - before)
    assert (error <= (3 if kind == "JPEG" else 1)).mean() >= 0.997


def test_other_settings_share_the_loaded_model(telling_model, grey_photo):
    first = Colorizer(telling_model)
    other = first.at(strength=0.5, vividness=2)
    np.testing.assert_array_equal(
        other(grey_photo), Colorizer(telling_model, strength=0.5, vividness=2)(grey_photo)
    )
    np.testing.assert_array_equal(first(grey_photo), Colorizer(telling_model)(grey_photo))
    assert other._proposer.session is first._proposer.session
    with pytest.raises(SettingsError, match="strength"):
        first.at(strength=3, vividness=1)
    with pytest.raises(SettingsError, match="vividness"):
        first.at(strength=1, vividness=3)


def scan(count):
    """A TIFF of so many pages of noise."""
    pages = [np.random.default_rng(n).integers(0, 256, (40, 48 + n), np.uint8) for n in range(count)]
    return tiff_of([Image.fromarray(page) for page in pages])


def tiff_of(pictures):
    file = io.BytesIO()
    pictures[0].save(file, "TIFF", save_all=True, append_images=pictures[1:])
    return file.getvalue()


@pytest.mark.parametrize("count", [0, 3])
def test_the_colours_of_a_page_are_made_when_it_is_written_and_not_kept(telling_model, monkeypatch, count):
    written, alive = [], []
    rgb = ChromaField.rgb

    def watched(self, y0, luma):
        used = [field for field in (one() for one in alive) if field is not None and field._wide]
        written.append((luma.shape[1], len(used)))
        return rgb(self, y0, luma)

    make = ChromaField.__init__

    def made(self, *args):
        make(self, *args)
        alive.append(weakref.ref(self))
        assert len(alive) <= (count or 1) * (len(written) + 1)  # none before its page's turn

    monkeypatch.setattr(ChromaField, "rgb", watched)
    monkeypatch.setattr(ChromaField, "__init__", made)
    colorizer = Colorizer(telling_model, threads=1)
    results = colorizer.candidates(scan(5), count) if count else [colorizer(scan(5))]
    assert [width for width, _ in written] == [48, 49, 50, 51, 52] * (count or 1)
    assert max(used for _, used in written) <= 1  # the page before it, at most
    assert len(alive) == 5 * (count or 1)
    monkeypatch.undo()
    alone = [Image.open(io.BytesIO(scan(5))) for _ in range(5)]
    for n, page in enumerate(alone):
        page.seek(n)
        single = (
            colorizer.candidates(tiff_of([page.copy()]), count)
            if count
            else [colorizer(tiff_of([page.copy()]))]
        )
        for one, whole in zip(single, results, strict=True):
            of_all = Image.open(io.BytesIO(whole))
            of_all.seek(n)
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(one))), np.asarray(of_all))


LONG = "L" * 80


@pytest.mark.parametrize(
    ("one", "other"),
    [("a.jpg", "a.jpg.jpg"), (f"{LONG} 1.tif", f"{LONG} 2.tif"), ("写" * 75 + "1.jpg", "写" * 75 + "2.jpg")],
)
def test_a_part_belongs_to_one_result_alone(one, other, tmp_path):
    for name, stranger in ((one, other), (other, one)):
        assert is_part(part_name(name), name)
        assert not is_part(part_name(stranger), name)
        assert part_folder_name(name) != part_folder_name(stranger)
        with whole_file(tmp_path / name) as file:
            file.write(b"x")
            remove_parts(tmp_path / stranger)
        assert (tmp_path / name).read_bytes() == b"x"


@pytest.mark.parametrize("name", ["写" * 83 + ".jpg", "x" * 251 + ".jpg", "caf\udce9" * 40 + ".jpg"])
def test_any_name_that_a_file_can_have_can_be_written(name, tmp_path):
    with whole_file(tmp_path / name) as file:
        file.write(b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    (tmp_path / part_folder_name(name)).mkdir()


@pytest.mark.parametrize("replace", [True, False])
def test_a_result_is_on_the_disk_before_it_has_its_name(replace, tmp_path, monkeypatch):
    target, seen = tmp_path / "a.jpg", []

    def synced(number):
        seen.append((os.fstat(number).st_size, target.exists()))

    monkeypatch.setattr(os, "fsync", synced)
    with whole_file(target, replace=replace) as file:
        file.write(b"whole")
    assert seen == [(5, False)]
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


def test_names_may_be_text(tiny_model, tmp_path):
    """As README writes them."""
    Image.fromarray(np.full((40, 50), 90, np.uint8)).save(tmp_path / "a.png")
    colorizer = Colorizer(tiny_model)
    result = colorizer.colorize_file(str(tmp_path / "a.png"), str(tmp_path / "b.png"))
    assert (tmp_path / "b.png").exists()
    assert result.target == str(tmp_path / "b.png")
    out = io.BytesIO()
    assert colorizer.colorize_into(str(tmp_path / "a.png"), out).source == str(tmp_path / "a.png")
    assert out.getvalue() == (tmp_path / "b.png").read_bytes()


def test_one_hint_is_no_list_of_hints(tiny_model):
    hint = Hint(x=1, y=1, color="#c04020")
    with pytest.raises(SettingsError, match=r"Hints are a list of tintype\.Hint, not a Hint"):
        Colorizer(tiny_model, hints=hint)
