"""The pages and their JSON: routes over the desk; every answer carries the headers that keep browsers from harm."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from fmdj_cloud.errors import FmdjError, UsageError
from fmdj_cloud.serve.page.asked import read_query
from fmdj_cloud.serve.page.desk import Desk
from fmdj_cloud.serve.page.feed import Feed
from fmdj_cloud.serve.page.headers import SafeHeaders
from fmdj_cloud.serve.page.looking import Looker
from fmdj_cloud.serve.page.model import Overview
from fmdj_cloud.serve.page.news import news_of
from fmdj_cloud.serve.page.pictures import Pictures
from fmdj_cloud.serve.page.templates import render
from fmdj_cloud.settings import PageSettings

STATIC = Path(__file__).with_name("static")
_RETRY_S = "10"


class Page:
    """The status page.

    Parameters
    ----------
    looker : Looker
    pictures : Pictures
    settings : PageSettings
    """

    def __init__(self, looker: Looker, pictures: Pictures, settings: PageSettings) -> None:
        self._looker = looker
        self._pictures = pictures
        self._desk = Desk(settings.refresh_s)
        self.feed = Feed(self._news, settings.refresh_s, settings.clients_max)

    def app(self, hosts: tuple[str, ...]) -> SafeHeaders:
        """Return the application.

        Parameters
        ----------
        hosts : tuple of str
            Names that it may be asked for by; empty is any.
        """
        both = [
            ("/", "overview", self._overview),
            ("/runs", "runs", self._runs),
            ("/runs/{run_id}", "run", self._run),
            ("/failures", "failures", self._failures),
        ]
        routes: list[Route | Mount] = [Mount("/static", StaticFiles(directory=STATIC))]
        for path, template, answer in both:
            routes.append(Route(path, partial(_html, template, answer)))
            routes.append(Route("/api/overview" if path == "/" else f"/api{path}", partial(_json, answer)))
        routes += [
            Route("/runs/{run_id}/log", self._log),
            Route("/runs/{run_id}/pictures/{name}.png", self._picture),
            Route("/events", self._events),
            Route("/healthz", self._alive),
            Route("/readyz", self._ready),
        ]
        known = [Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)] if hosts else []
        handlers: Any = {FmdjError: _trouble, HTTPException: _no_page, Exception: _fault}
        # outside of all else: what an application says of its own faults is for browsers, too
        return SafeHeaders(Starlette(routes=routes, middleware=known, exception_handlers=handlers, lifespan=self._life))

    async def _overview(self, request: Request) -> tuple[Overview, dict[str, Any]]:
        return await self._desk.ask("overview", self._looker.overview), {}

    async def _runs(self, request: Request) -> tuple[BaseModel, dict[str, Any]]:
        try:
            asked = read_query(request.query_params.multi_items(), self._looker.attributes)
        except UsageError as error:
            raise HTTPException(400, error.sentence) from error
        found = await self._desk.ask(asked, partial(self._looker.runs, asked.filter, asked.page))
        return found, {"asked": asked}

    async def _run(self, request: Request) -> tuple[BaseModel, dict[str, Any]]:
        run_id = request.path_params["run_id"]
        found = await self._desk.ask(("run", run_id), partial(self._looker.run, run_id))
        return found, {"pictures": self._pictures.of(found)}

    async def _failures(self, request: Request) -> tuple[BaseModel, dict[str, Any]]:
        return await self._desk.ask("failures", self._looker.failures), {}

    async def _log(self, request: Request) -> Response:
        run_id, number = request.path_params["run_id"], request.query_params.get("attempt", "")
        if number and not (number.isdecimal() and len(number) < 5):
            raise HTTPException(400, f"attempt={number} is no number of an attempt: they count from 1.")
        attempt = int(number) if number else None
        text = await self._desk.ask(("log", run_id, attempt), partial(self._looker.log, run_id, attempt))
        return PlainTextResponse(text)

    async def _picture(self, request: Request) -> Response:
        run_id, name = request.path_params["run_id"], request.path_params["name"]
        found = await self._desk.ask(("run", run_id), partial(self._looker.run, run_id))
        made = await self._pictures.draw(found, name, request.query_params.get("theme", "light"))
        return Response(made, media_type="image/png")

    async def _events(self, request: Request) -> Response:
        return _Events(self.feed)

    async def _alive(self, request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def _ready(self, request: Request) -> Response:
        await self._desk.ask("ready", self._looker.ready)
        return JSONResponse({"ok": True, "listening": self.feed.clients})

    async def _news(self) -> dict[str, Any]:
        return news_of(await self._desk.ask("overview", self._looker.overview))

    @contextlib.asynccontextmanager
    async def _life(self, app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self.feed.close()
            self._desk.close()
            self._pictures.close()


class _Events(StreamingResponse):
    """Events for one listener; its place is free again though it went before the first of them was asked for."""

    def __init__(self, feed: Feed) -> None:
        self._feed, self._queue = feed, feed.join()
        headers = {"X-Accel-Buffering": "no"}  # nginx would keep them
        super().__init__(feed.events(self._queue), media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._feed.leave(self._queue)


Answer = Callable[[Request], Awaitable[tuple[BaseModel, dict[str, Any]]]]


async def _html(template: str, answer: Answer, request: Request) -> Response:
    model, more = await answer(request)
    return _page(template, 200, page=model, **more)


async def _json(answer: Answer, request: Request) -> Response:
    model, _ = await answer(request)
    return Response(model.model_dump_json(indent=1), media_type="application/json")


async def _trouble(request: Request, error: Exception) -> Response:
    assert isinstance(error, FmdjError)  # noqa: S101
    status = 404 if isinstance(error, UsageError) else 503
    return _problem(request, status, error.sentence, {"Retry-After": _RETRY_S} if status == 503 else {})


async def _fault(request: Request, error: Exception) -> Response:
    sentence = f"That is a fault of the page ({type(error).__name__}): its log says more."
    return _problem(request, 500, sentence, {})


async def _no_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return _problem(request, error.status_code, f"{error.detail.rstrip('.')}.", dict(error.headers or {}))


def _problem(request: Request, status: int, sentence: str, headers: dict[str, str]) -> Response:
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/"):
        found = _page("problem", status, sentence=sentence, status=status)
        found.headers.update(headers)
        return found
    return JSONResponse({"problem": sentence}, status_code=status, headers=headers)


def _page(template: str, code: int, **values: Any) -> Response:
    return Response(render(template, **values), status_code=code, media_type="text/html")
