"""The routes that programs call, and what their document says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, model_validator

from tintype.colorizer import Colorizer
from tintype.errors import SettingsError
from tintype.guidance import VIVIDNESS_LIMIT
from tintype.hints import Hint, parse_hints
from tintype.proposer import MOST_CANDIDATES
from tintype.serve import work
from tintype.serve.bodies import Upload, read_body
from tintype.serve.counters import MEDIA_TYPE, Counters
from tintype.serve.desk import Desk, GoneError, Job
from tintype.serve.sending import Result
from tintype.serve.settings import ServeSettings
from tintype.serve.shelf import Shelf

MOST_HINTS = 1000

Format = Literal["jpg", "png", "tif", "jp2", "webp", "avif", "gif", "bmp"]
_HINTS_HELP = (
    "Colours of points, as JSON: the text of a file that `tintype colorize --hints` takes. "
    "May come as the form's part `hints` instead."
)


class Problem(BaseModel):
    """One sentence that says what was wrong and, where there is one, the remedy."""

    error: str


class Model(BaseModel):
    """A model that can be asked for."""

    name: str
    version: str
    description: str
    license: str
    default: bool
    vividness: bool
    """Whether it can be told how vivid to be."""
    hints: bool
    candidates: bool
    """Whether it can give several versions, and tell how sure it is."""


class Health(BaseModel):
    """The service answers."""

    status: Literal["ok"] = "ok"


class Asked(BaseModel, extra="forbid"):
    """What the query says of the colours; words that it does not know are refused."""

    model: str | None = Field(None, description="A name from /v1/models; the service's own by default.")
    strength: float = Field(
        1.0, ge=0, le=2, allow_inf_nan=False, description="Of the colours: 0 grey, 1 as proposed."
    )
    vividness: float = Field(
        1.0,
        ge=0,
        le=VIVIDNESS_LIMIT,
        allow_inf_nan=False,
        description="0 the mean of the likely colours, 2 bold ones.",
    )
    candidate: int = Field(
        0, ge=0, le=MOST_CANDIDATES, description="A version's number, from 1 on; 0 is the usual one."
    )
    hints: str | None = Field(None, description=_HINTS_HELP)


class AskedChroma(Asked):
    """What the query says of the chroma alone: nothing of what comes after it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.candidate:
            raise SettingsError("The chroma alone is that of the usual version; leave candidate out.")
        if self.strength != 1:
            raise SettingsError("The chroma alone is what strength would multiply; leave strength out.")
        return self


class AskedPicture(Asked):
    """What the query says of a picture at its full size."""

    format: Format | None = Field(None, description="The picture's own by default.")


class AskedPreview(Asked):
    """What the query says of a small picture."""

    show: work.Showing = Field("color", description="What of the picture.")
    side: int = Field(1024, ge=16, le=8192, description="Pixels of the longer side, at most.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.candidate and self.show == "confidence":
            raise SettingsError("The confidence is that of the usual version; leave candidate out.")
        return self


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": _BINARY,
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["picture"],
                    "properties": {
                        "picture": {"type": "string", "format": "binary", "description": "A picture's file."},
                        "hints": {"type": "string", "description": _HINTS_HELP},
                    },
                    "additionalProperties": False,
                }
            },
        },
    }
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "The request is damaged.",
        401: "The token is missing or wrong.",
        403: "The request comes from elsewhere.",
        408: "The body came too slowly.",
        413: "Too many bytes or pixels.",
        422: "The picture or a setting cannot be used.",
        429: "Too many requests at once; Retry-After says when to come again.",
        500: "The service itself failed.",
        503: "The work took too long, or the service is being stopped.",
    }.items()
}


def _sends(*kinds: str, text: str) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that sends files of these kinds."""
    return {**_PROBLEMS, 200: {"description": text, "content": dict.fromkeys(kinds, _BINARY)}}


class Service:
    """What all routes share."""

    def __init__(self, settings: ServeSettings, shelf: Shelf, desk: Desk) -> None:
        self.settings, self.shelf, self.desk = settings, shelf, desk

    async def answer(
        self, request: Request, asked: Asked, act: Callable[[Colorizer, Upload, work.Look, Job], work.Answer]
    ) -> Response:
        """Read the body and have a worker do `act`. Raises TintypeError and the desk's errors."""
        names = [name for name, _ in request.query_params.multi_items()]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise SettingsError(f"The query has {twice} twice; leave one out.")
        name = self.shelf.name(asked.model)
        with ExitStack() as held:
            place = held.enter_context(self.desk.place())
            upload = place.stack.enter_context(closing(Upload()))
            hints = self._hints(asked.hints, await self._read(request, upload))
            look = work.Look(hints, asked.candidate)

            def run(job: Job) -> work.Answer:
                own = self.shelf.colorizer(name).at(strength=asked.strength, vividness=asked.vividness)
                with closing(upload):  # it is not held until the answer is sent
                    answer = act(own, upload, look, job)
                place.stack.enter_context(closing(answer.body))
                return answer

            answer = await place.run(run, partial(_gone, request), self.settings.timeout)
            return Result(answer, held.pop_all(), self.settings.timeout)

    async def _read(self, request: Request, upload: Upload) -> str | None:
        """The body into `upload`; the hints beside it."""
        kind, length = (request.headers.get(name) for name in ("content-type", "content-length"))
        try:
            async with asyncio.timeout(self.settings.timeout):
                return await read_body(request.receive, kind or "", length, self.settings.max_bytes, upload)
        except TimeoutError:
            raise SlowError from None
        except ConnectionError:
            raise GoneError from None

    def _hints(self, query: str | None, form: str | None) -> tuple[Hint, ...]:
        if query is not None and form is not None:
            raise SettingsError("The hints came twice, in the query and in the form; leave one out.")
        text = query if form is None else form
        hints = () if text is None else parse_hints(text)
        if len(hints) > MOST_HINTS:
            raise SettingsError(f"There are {len(hints):,} hints; at most {MOST_HINTS:,} are taken.")
        return hints


class SlowError(Exception):
    """The body did not come in time."""


def api_router(service: Service, counters: Counters) -> APIRouter:
    """The routes of the API."""
    router = APIRouter()
    _add_coloring(router, service)
    _add_telling(router, service, counters)
    return router


def _add_coloring(router: APIRouter, service: Service) -> None:
    """The routes that take a picture."""
    post = partial(router.post, response_class=Response, openapi_extra=_BODY)

    @post("/v1/colorize", responses=_sends(*work.MEDIA_TYPES.values(), text="The picture in colour."))
    async def colorize(request: Request, asked: Annotated[AskedPicture, Query()]) -> Response:
        """Colour a picture at its full size, with all pages and metadata."""
        return await service.answer(
            request,
            asked,
            lambda colorizer, upload, look, job: work.colorize(colorizer, upload, look, asked.format, job),
        )

    @post("/v1/ab", responses=_sends("application/octet-stream", text="ab (h, w, 2), float32, as .npy."))
    async def ab(request: Request, asked: Annotated[AskedChroma, Query()]) -> Response:
        """The model's chroma alone, in Lab units, of the first page, upright and small."""
        return await service.answer(request, asked, work.chroma)

    @post("/v1/preview", responses=_sends("image/jpeg", text="A JPEG in sRGB."))
    async def preview(request: Request, asked: Annotated[AskedPreview, Query()]) -> Response:
        """A small picture for the screen: the first page, upright, without metadata."""
        return await service.answer(
            request,
            asked,
            lambda colorizer, upload, look, job: work.preview(
                colorizer, upload, look, asked.show, asked.side, job
            ),
        )


def _add_telling(router: APIRouter, service: Service, counters: Counters) -> None:
    """The routes that tell of the service."""

    @router.get("/v1/models", responses={k: _PROBLEMS[k] for k in (401, 403)})
    async def models() -> list[Model]:
        """The models that a request can name."""
        return [
            Model(
                name=card.name, version=card.version, description=card.description, license=card.license,
                default=name == service.shelf.default, vividness="vividness" in card.inputs,
                hints="hint_ab" in card.inputs, candidates="bin_probs" in card.outputs,
            )
            for name, card in service.shelf.cards.items()
        ]  # fmt: skip

    @router.get("/healthz", responses={403: _PROBLEMS[403]})
    async def healthz() -> Health:
        """Whether the service answers; needs no token."""
        return Health()

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **{k: _PROBLEMS[k] for k in (401, 403)}},
    )
    async def metrics() -> Response:
        """Counts, for Prometheus."""
        return Response(counters.text(), media_type=MEDIA_TYPE)


async def _gone(request: Request) -> None:
    """Until the client goes away; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
