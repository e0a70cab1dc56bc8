"""Requests that no person would make: after the document at random, and pictures damaged at random."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from PIL import Image
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from service_helpers import Caller, encoded, serving

from tintype.serve.app import make_app
from tintype.serve.settings import ServeSettings

EXAMPLES = int(os.environ.get("TINTYPE_SCHEMA_EXAMPLES", "100"))
MUTATED, MANY_MUTATED = 300, 10_000
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ROUTES = ("/v1/colorize", "/v1/ab", "/v1/preview")


@pytest.fixture(scope="module")
def document(telling_model: Path) -> schemathesis.BaseSchema:
    """What the service says of itself, and the service to try it on."""
    app = make_app(ServeSettings(model=str(telling_model), hosts=None))
    return schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(
    ("method", "route"),
    [*(("POST", route) for route in ROUTES), ("GET", "/v1/models"), ("GET", "/healthz"), ("GET", "/metrics")],
)
def test_requests_after_the_document(
    document: schemathesis.BaseSchema, method: str, route: str, mode: schemathesis.GenerationMode
) -> None:
    operation = document[route][method]
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
        phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def try_all(case: schemathesis.Case) -> None:
        response = case.call()
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    try:
        try_all()
    except Unsatisfiable:
        assert mode == schemathesis.GenerationMode.NEGATIVE  # nothing can be wrong with a GET without a query
        return
    assert statuses


def test_every_route_of_the_document_is_tried(document: schemathesis.BaseSchema) -> None:
    assert set(document) == {*ROUTES, "/v1/models", "/healthz", "/metrics"}


def whole_pictures() -> list[bytes]:
    """Small pictures of every format that is read."""
    noise = np.random.default_rng(0)
    grey = noise.integers(0, 256, (24, 37), np.uint8)
    deep = Image.fromarray(noise.integers(0, 65536, (24, 37), np.uint16))
    color = noise.integers(0, 256, (24, 37, 4), np.uint8)
    pictures = [
        encoded(grey, kind) for kind in ("JPEG", "PNG", "TIFF", "JPEG2000", "WEBP", "AVIF", "GIF", "BMP")
    ]
    pictures += [encoded(color[..., :3], kind) for kind in ("JPEG", "TIFF", "BMP")]
    pictures += [encoded(color, kind) for kind in ("PNG", "WEBP")]
    for kind, options in (("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})):
        file = io.BytesIO()
        deep.save(file, kind, **options)
        pictures.append(file.getvalue())
    pictures.append(encoded(grey, "JPEG", progressive=True, exif=_exif()))
    return pictures


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "Words"
    return exif


def mutated(picture: bytes, noise: np.random.Generator) -> bytes:
    """A picture with some bytes changed, taken out, doubled, or cut off; often near its head."""
    data = bytearray(picture)
    for _ in range(noise.integers(1, 9)):
        reach = len(data) if noise.random() < 0.5 else min(len(data), 80)
        at = int(noise.integers(0, max(1, reach)))
        match noise.integers(0, 6):
            case 0 | 1:
                data[at : at + 1] = bytes([noise.integers(0, 256)])
            case 2:
                data[at : at + 4] = noise.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF]).item().to_bytes(4, "big")
            case 3:
                del data[at : at + int(noise.integers(1, 12))]
            case 4:
                data[at:at] = data[at : at + 16]
            case _:
                if noise.random() < 0.3:
                    del data[at + 20 :]
    return bytes(data)


def try_mutated(caller: Caller, count: int) -> Counter[int]:
    """Send that many, each to a route in turn; how often each status came."""
    pictures, noise = whole_pictures(), np.random.default_rng(1)
    statuses: Counter[int] = Counter()
    for number in range(count):
        body = mutated(pictures[number % len(pictures)], noise)
        status, _, answer = caller.post(ROUTES[number % len(ROUTES)], body)
        statuses[status] += 1
        assert status == 200 or 400 <= status < 500, (status, answer, body)
        if status != 200:
            told = json.loads(answer)["error"]
            assert told.endswith((".", "!")), (told, body)
            assert "\n" not in told, (told, body)
    return statuses


@pytest.mark.parametrize("count", [MUTATED, pytest.param(MANY_MUTATED, marks=pytest.mark.slow)])
def test_mutated_pictures_get_a_sentence(tiny_model: Path, count: int) -> None:
    with serving("--model", str(tiny_model)) as address, Caller(address) as caller:
        statuses = try_mutated(caller, count)
        assert statuses[422] > count / 10
        assert statuses[200] > count / 10  # which shows that these pictures are whole to begin with
        assert caller.post("/v1/colorize", whole_pictures()[0])[0] == 200
