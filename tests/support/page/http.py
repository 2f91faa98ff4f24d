"""Ask a page's server as programs do."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    text: str

    @property
    def json(self) -> Any:
        assert self.headers["content-type"].startswith("application/json"), self.text
        return json.loads(self.text)


def connect(address: str) -> http.client.HTTPConnection:
    """A connection, which gives up after half a minute."""
    return http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)


def ask(address: str, path: str, method: str = "GET", **headers: str) -> Answer:
    """Make one request."""
    connection = connect(address)
    try:
        connection.request(method, path, headers={"Accept": "text/html", **headers})
        answer = connection.getresponse()
        text = answer.read().decode()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)
    finally:
        connection.close()
