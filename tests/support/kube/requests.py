"""What clients ask, and the record of it."""

from __future__ import annotations

import fnmatch
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.kube.resources import Registry, ResourceType
from tests.support.kube.store import Key

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass
class Request:
    """A request as Kubernetes' authorization sees it; ``verb`` is one of its words."""

    verb: str
    path: str
    resource: str = ""
    group: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    type: ResourceType | None = None
    at: float = 0.0
    code: int = 0

    @property
    def key(self) -> Key:
        """Where its object is."""
        return Key(self.namespace, self.name)

    @property
    def target(self) -> str:
        """``jobs`` or ``jobs/status``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def __str__(self) -> str:
        return " ".join(part for part in (self.verb, self.target or self.path, self.name) if part)


def wants_table(request: Request) -> bool:
    """Return whether a client asks for rows to show, as kubectl does."""
    return "as=Table" in request.headers.get("accept", "")


RequestMatch = str | Callable[[Request], bool] | None
"""``"create jobs"``, ``"watch *"``, ``"get pods/log fmdj-*"``; a function; None for all."""


def matches(match: RequestMatch, request: Request) -> bool:
    """Return whether a request is meant: verb, resource and name by shell patterns, what is left out is any."""
    if match is None:
        return True
    if callable(match):
        return match(request)
    words = match.split()
    actual = (request.verb, request.target or request.path, request.name)
    return all(fnmatch.fnmatchcase(value, word) for word, value in zip(words, actual, strict=False))


def parse(method: str, target: str, headers: dict[str, str], body: bytes, registry: Registry) -> Request:
    """Return what a request asks for; ``type`` is None where nothing is served."""
    path, _, text = target.partition("?")
    query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
    request = Request(_VERBS.get(method, method.lower()), path, query=query, headers=headers, body=body)
    parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        version, rest = parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        request.group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return request
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        request.namespace, rest = rest[1], rest[2:]
    request.resource = rest[0]
    request.name = rest[1] if len(rest) > 1 else ""
    request.subresource = "/".join(rest[2:])
    if rest[0] == "namespaces":
        request.namespace = ""
    request.type = registry.find(request.group, version, rest[0])
    if not request.name:
        if request.verb == "get":
            request.verb = "watch" if query.get("watch") in ("1", "true", "True") else "list"
        elif request.verb == "delete":
            request.verb = "deletecollection"
    return request


class RequestLog:
    """Every request that came, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[Request] = []

    def add(self, request: Request) -> None:
        """Record one when it arrives; its ``code`` is set when it is answered."""
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._requests.clear()

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        with self._lock:
            return iter(list(self._requests))

    def find(self, match: RequestMatch = None) -> list[Request]:
        """Return those that are meant."""
        return [one for one in self if matches(match, one)]

    def count(self, match: RequestMatch = None) -> int:
        """Return how many are meant."""
        return len(self.find(match))

    def counts(self) -> Counter[tuple[str, str]]:
        """Return how many there were by verb and resource, like ``("create", "jobs")``."""
        return Counter((one.verb, one.target or one.path) for one in self)

    def codes(self, match: RequestMatch = None) -> Counter[int]:
        """Return how many were answered with which status; 0 is none yet, or none at all."""
        return Counter(one.code for one in self.find(match))
