"""Sheets, charts and the page: whole, explained, and with nothing to be fetched."""

from __future__ import annotations

import base64
import copy
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from scoring_helpers import SIDE, linear_model, vivid_model, write_photographs
from tintype import evaluate
from tintype.evaluate import tables
from tintype.evaluate.cost import Cost
from tintype.evaluate.models import Prediction, merge
from tintype.report import charts, sheets
from tintype.report.page import SHEET_ROWS, page

OPTIONS = evaluate.Options(size=SIDE)


def solid(color, height=30, width=40):
    return np.full((height, width, 3), color, np.uint8)


# --- sheets


def test_a_sheet_holds_each_picture_in_its_place():
    rows = [
        ("one.jpg", [solid((255, 0, 0)), solid((0, 255, 0))]),
        ("two.jpg", [solid((0, 0, 255), 40, 20)] * 2),
    ]
    sheet = np.asarray(sheets.contact_sheet(["first", "second"], rows, 40))
    red, green, blue = (
        np.argwhere((sheet == color).all(-1)) for color in ([255, 0, 0], [0, 255, 0], [0, 0, 255])
    )
    assert len(red) == len(green) == 30 * 40
    assert len(blue) == 2 * 40 * 20
    assert red[:, 1].max() < green[:, 1].min()
    assert red[:, 0].max() < blue[:, 0].min()


def test_pictures_are_made_smaller_and_never_larger():
    sheet = sheets.contact_sheet(["a"], [("x", [solid((1, 2, 3), 400, 200)])], 100)
    assert sheet.height < 100 + 90
    assert sheets.contact_sheet(["a"], [("x", [solid((1, 2, 3), 10, 10)])], 100).height < 100


def test_long_names_stay_within_their_column():
    sheet = sheets.contact_sheet(
        ["a very long name of a model " * 3] * 2, [("n" * 300, [solid((9, 9, 9))] * 2)], 40
    )
    assert sheet.width < 250


def test_a_picture_in_an_address_is_that_picture():
    uri = sheets.data_uri(solid((200, 40, 60)), quality=95)
    kind, text = uri.split(",")
    assert kind == "data:image/webp;base64"
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))
    assert np.abs(decoded.astype(int) - (200, 40, 60)).max() < 12


# --- charts


@pytest.mark.parametrize(("low", "high"), [(0, 1), (21.3, 22.9), (-4, 900), (0.16, 0.24), (5, 5)])
def test_ticks_enclose_the_range_in_round_steps(low, high):
    ticks = charts.nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 9
    steps = np.diff(ticks)
    assert steps == pytest.approx(steps[0])
    assert f"{steps[0]:.0e}"[0] in "125"


def test_ticks_of_powers():
    assert charts.log_ticks(8, 120) == [10, 20, 50, 100]
    assert charts.log_ticks(1, 1e6) == [10.0**p for p in range(7)]


def test_better_models_stand_higher():
    points = [charts.Point("fast", 5, 20, 19, 21), charts.Point("slow & good", 50, 25, 24, 26)]
    points.append(charts.Point("gray", None, 22, None, None))
    svg = charts.scatter(points, "ms", "PSNR")
    (x1, y1), (x2, y2) = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert float(x1) < float(x2)
    assert float(y1) > float(y2)  # y runs downwards
    assert "slow &amp; good" in svg
    assert "stroke-dasharray" in svg


def test_a_cloud_shows_colours_where_they_lie():
    shares = np.zeros((27, 27))
    shares[13 + 6, 13] = 1  # a = 60: red, to the right
    uri = re.search(r'src="data:image/png;base64,([^"]+)"', charts.cloud(shares, "<x>"))
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.group(1)))))
    y, x = np.unravel_index(picture[..., 3].argmax(), picture.shape[:2])
    height, width = picture.shape[:2]
    assert x > 0.7 * width
    assert abs(y - height / 2) < 0.05 * height
    red, green, blue = picture[y, x, :3].astype(int)
    assert red > green + 60
    assert red > blue


# --- the page


class Reader(HTMLParser):
    """Collects what a browser would fetch, and checks that tags match."""

    def __init__(self):
        super().__init__()
        self.addresses, self.open, self.cells = [], [], 0

    def handle_starttag(self, tag, attrs):
        self.addresses += [
            value for key, value in attrs if key in ("src", "href", "srcset", "action", "data")
        ]
        if tag not in ("meta", "img", "br", "link", "line", "path", "circle"):
            self.open.append(tag)
        self.cells += tag == "td"

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    photographs = evaluate.find_photographs([write_photographs(folder / "photographs")])
    names = [str(linear_model(folder, "bold")), str(vivid_model(folder)), "gray", "mean"]
    models = evaluate.open_models(names, OPTIONS)
    models[0].name = "<b>&bold"
    return evaluate.evaluate(models, photographs, OPTIONS, folder)


@pytest.fixture(scope="module")
def html(results):
    costs = {"<b>&bold": Cost(4, 8192, 500, 1.5, 10**8), "vivid": Cost(milliseconds=3.0, note="Not counted.")}
    return page(results, costs)


def test_the_page_needs_nothing_else(html):
    reader = Reader()
    reader.feed(html)
    assert not reader.open
    assert reader.addresses
    assert all(address.startswith("data:image/") for address in reader.addresses)
    assert not re.search(r"(?:https?:)?//[a-z]", re.sub(r"data:image/[^\"]+", "", html))
    assert "@import" not in html
    assert "default-src 'none'" in html


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7])
def test_the_sheet_of_a_small_set_has_all_of_it(results, count):
    few = copy.copy(results)
    few.used = results.used[:count]
    found = len(few.used)
    sheet = page(few, {}).partition('<table class="sheet">')[2].partition("</table>")[0]
    assert sheet.count("<tr>") == 1 + min(found, SHEET_ROWS)


def test_names_are_text_not_markup(html):
    assert "<b>" not in html
    assert "&lt;b&gt;&amp;bold" in html


def test_the_page_holds_every_score_and_its_meaning(html, results):
    for key in results.table["vivid"]:
        assert evaluate.SCORES[key].title in html
    for name in ("vivid (mean)", "gray", "mean", "truth", "Not counted."):
        assert name in html
    assert html.count("<!--") == 0


def test_the_chart_of_two_models_has_each_photographs_scores(html, results):
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL).group(1)
    found = json.loads(text)
    assert list(found["models"]) == [model.name for model in results.models]
    losses = results.board.columns["vivid"].values["half_sum"][results.used]
    assert found["models"]["vivid"]["half_sum"] == pytest.approx(losses.tolist(), rel=1e-3)
    assert found["pictures"] == list(results.photographs.names)


def test_one_model_alone_makes_a_page(results, tmp_path):
    photographs = evaluate.Photographs(*(x[:1] for x in (results.photographs.records, ["0.png"], [""])))
    single = evaluate.evaluate(evaluate.open_models(["gray"], OPTIONS), photographs, OPTIONS, tmp_path)
    reader = Reader()
    reader.feed(page(single, {}))
    assert not reader.open


def test_notes_say_what_is_so(tmp_path):
    class Exact(evaluate.Model):
        """Right about one photograph, and half right about the others."""

        name = digest = "exact"

        def predict(self, truth):
            return Prediction(truth.ab, truth.rgb8) if truth.name == "0.png" else merge(truth.L, truth.ab / 2)

    class Features:
        name, digest, keys, frechet, width = "features", "1", (), "fid", 5

        def look(self, rgb8):
            return np.resize(rgb8.mean((0, 1)), 5).astype(np.float32)

        def compare(self, seen, truth, label):
            return {}

        def features(self, seen):
            return seen

    write_photographs(tmp_path / "photographs", 3)
    Image.fromarray(solid((90, 90, 90))).save(tmp_path / "photographs" / "small.png")
    photographs = evaluate.find_photographs([tmp_path / "photographs"])
    models = [Exact(), *evaluate.open_models(["gray"], OPTIONS)]
    results = evaluate.evaluate(models, photographs, OPTIONS, tmp_path / "scores", judges=[Features()])
    notes = tables.notes(results, {})
    assert not any("enlarged" in note for note in notes)  # what is small was left out
    assert notes[0] == "1 photograph was left out:"
    assert "exact gave 1 photograph exactly: the PSNR there, and so its mean, is infinite." in notes
    assert any("compare it within this table alone" in note for note in notes)
    assert tables.cell(results.table["exact"]["psnr"], evaluate.SCORES["psnr"]) == "∞"
    html = page(results, {"exact": Cost(milliseconds=2.0), "gray": Cost(milliseconds=1.0)})
    assert 'data-v="Infinity">∞</td>' in html
    assert "nan" not in html.split("<h2>Two models")[0].split("<tbody>")[1]
    one = evaluate.Photographs(photographs.records[:1], photographs.names[:1], [""])
    alone = evaluate.evaluate(models[1:], one, OPTIONS, tmp_path / "one", judges=[Features()])
    assert not any("Fréchet" in note for note in tables.notes(alone, {}))
