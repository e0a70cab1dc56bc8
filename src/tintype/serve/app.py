"""The application: its routes together, and what becomes of errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tintype import __version__
from tintype.errors import TintypeError, TooLargeError
from tintype.serve.api import Service, SlowError, api_router
from tintype.serve.bodies import BodyError, BodyTooLargeError
from tintype.serve.counters import Counters
from tintype.serve.desk import BusyError, Desk, GoneError, LateError
from tintype.serve.guard import Guard
from tintype.serve.pages import page_router
from tintype.serve.settings import ServeSettings
from tintype.serve.shelf import Shelf

_CLIENT_GONE = 499  # nobody reads it; it keeps the counts honest


def make_app(settings: ServeSettings) -> FastAPI:
    """The service as an ASGI application. Raises ModelError for a model that cannot be used."""
    shelf, desk = Shelf(settings), Desk(settings.workers, settings.queue)
    counters = Counters(desk)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with desk.opened():
            yield

    app = FastAPI(
        title="Tintype",
        version=__version__,
        description="Gives colour to black-and-white photographs, keeping every grain of their detail.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.include_router(api_router(Service(settings, shelf, desk), counters))
    app.include_router(page_router())
    app.add_middleware(Guard, settings=settings, counters=counters)
    _add_handlers(app)
    app.state.desk = desk
    return app


def _add_handlers(app: FastAPI) -> None:
    """Every error is one sentence in JSON."""

    @app.exception_handler(TintypeError)
    async def refuse(request: Request, error: TintypeError) -> Response:
        if isinstance(error, (TooLargeError, BodyTooLargeError)):
            return _problem(413, str(error))
        return _problem(400 if isinstance(error, BodyError) else 422, str(error))

    @app.exception_handler(RequestValidationError)
    async def refuse_settings(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            return _problem(422, f"There is no setting {first['loc'][-1]} here; /api tells what there is.")
        return _problem(422, f"The setting {first['loc'][-1]} cannot be used: {first['msg']}.")

    @app.exception_handler(HTTPException)
    async def refuse_route(request: Request, error: HTTPException) -> Response:
        return _problem(error.status_code, f"{error.detail}.", dict(error.headers or {}))

    @app.exception_handler(BusyError)
    async def refuse_more(request: Request, error: BusyError) -> Response:
        return _problem(429, str(error), {"Retry-After": str(error.seconds)})

    @app.exception_handler(LateError)
    async def give_up(request: Request, error: LateError) -> Response:
        return _problem(503, "The picture took longer than this service allows (--timeout).")

    @app.exception_handler(SlowError)
    async def wait_no_more(request: Request, error: SlowError) -> Response:
        return _problem(408, "The request's body came too slowly.", {"Connection": "close"})

    @app.exception_handler(GoneError)
    async def nobody(request: Request, error: GoneError) -> Response:
        return Response(status_code=_CLIENT_GONE)

    @app.exception_handler(MemoryError)
    async def too_much(request: Request, error: MemoryError) -> Response:
        return _problem(413, "The picture needs more memory than there is.")


def _problem(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": sentence}, status, headers)
