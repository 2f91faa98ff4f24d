"""What the page says when something is wrong, without a server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from fmdj_cloud.errors import ConfigError, DatabaseError
from fmdj_cloud.serve.page.app import Page
from fmdj_cloud.serve.page.headers import HEADERS
from fmdj_cloud.serve.page.pictures import Pictures
from fmdj_cloud.serve.page.program import open_socket
from fmdj_cloud.settings import PageSettings, Settings


@dataclass
class Broken:
    """A looker whose every look fails."""

    error: Exception
    attributes: tuple[str, ...] = ()

    def overview(self) -> None:
        raise self.error

    ready = overview


def ask(error: Exception, path: str, accept: str = "text/html") -> tuple[int, dict[str, str], str]:
    """Return status, headers and body of one answer."""
    page = Page(Broken(error), Pictures(None, PageSettings()), PageSettings())  # type: ignore[arg-type]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "root_path": "", "scheme": "http"}
    scope |= {"headers": [(b"accept", accept.encode()), (b"host", b"localhost")], "server": ("localhost", 80)}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def call() -> None:
        try:
            await page.app(())(scope, receive, send)
        except RuntimeError:
            assert isinstance(error, RuntimeError), "a fault is raised again, for the log"

    asyncio.run(call())
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(one.get("body", b"") for one in sent[1:]).decode()


GONE = DatabaseError("The database fmdj@db can't be reached.")


def test_a_database_that_is_gone_is_said_and_asked_for_again() -> None:
    status, headers, body = ask(GONE, "/")
    assert (status, headers["retry-after"]) == (503, "10")
    assert "The database fmdj@db can&#39;t be reached." in body


@pytest.mark.parametrize("path", ["/api/overview", "/readyz"])
def test_programs_are_told_in_json(path: str) -> None:
    status, _, body = ask(GONE, path, "application/json")
    assert status == 503
    assert json.loads(body) == {"problem": "The database fmdj@db can't be reached."}


def test_a_pod_lives_while_its_database_is_gone() -> None:
    assert ask(GONE, "/healthz")[0] == 200


def test_who_is_gone_before_the_first_event_takes_no_place() -> None:
    page = Page(Broken(GONE), Pictures(None, PageSettings()), PageSettings())  # type: ignore[arg-type]
    scope = {"type": "http", "method": "GET", "path": "/events", "query_string": b"", "root_path": "", "headers": []}

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await asyncio.Event().wait()  # it reads nothing any more

    async def call() -> int:
        await page.app(())(scope, receive, send)
        return page.feed.clients

    assert asyncio.run(call()) == 0


def test_a_fault_of_the_page_tells_nothing_of_its_inside() -> None:
    status, headers, body = ask(RuntimeError("password=secret"), "/")
    assert status == 500
    assert "secret" not in body
    assert "fault of the page (RuntimeError)" in body
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= headers.items()


def test_an_address_that_is_taken_is_said() -> None:
    with open_socket(Settings(page={"port": 0})) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"The status page can't be served on .*page\.port={port}"):
            open_socket(Settings(page={"port": port}))
