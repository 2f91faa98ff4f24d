"""Trouble between clients and the API server, as much as a test asks for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.kube.errors import ApiError
from tests.support.kube.requests import Request, RequestMatch, matches


@dataclass
class Fault:
    """One kind of trouble for some requests.

    ``kind``: ``status`` (answered with a refusal), ``drop`` (the connection closes without an answer), ``hang`` (no
    answer ever), ``delay`` (``seconds`` of real time before the answer), ``garbage`` (an answer that isn't JSON, as
    proxies give), ``silent`` (a watch that says nothing), ``end`` (a watch that ends as soon as it can), ``cut`` (a
    watch whose connection breaks in the middle of an event). ``after``: what was asked is done before the trouble
    comes. ``times``: how often, None for ever; ``skip``: how many are spared first.
    """

    match: RequestMatch
    kind: str = "status"
    status: int = 500
    message: str = ""
    reason: str | None = None
    retry_after: int | None = None
    seconds: float = 0.0
    times: int | None = None
    after: bool = False
    skip: int = 0
    hits: int = 0

    def error(self) -> ApiError:
        """Return the refusal."""
        message = self.message or {
            429: "Too many requests, please try again later.",
            500: "Internal error occurred: etcdserver: request timed out",
            503: "the server is currently unable to handle the request",
            504: "Timeout: request did not complete within requested timeout - context deadline exceeded",
        }.get(self.status, "injected")
        return ApiError(self.status, message, self.reason, retry_after=self.retry_after)


_WATCH_KINDS = ("silent", "end", "cut")


class Faults:
    """The faults that are set now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.released = threading.Event()
        """Set when nothing may hang any longer."""

    def add(self, fault: Fault) -> Fault:
        """Set one; the latest is asked first."""
        with self._lock:
            self._faults.insert(0, fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take one back."""
        with self._lock:
            if fault in self._faults:
                self._faults.remove(fault)

    def clear(self) -> None:
        """Take all back."""
        with self._lock:
            self._faults.clear()

    def is_set(self, fault: Fault) -> bool:
        """Return whether one is still there."""
        with self._lock:
            return fault in self._faults

    @contextmanager
    def during(self, fault: Fault) -> Iterator[Fault]:
        """Set one for as long as the block takes."""
        self.add(fault)
        try:
            yield fault
        finally:
            self.remove(fault)

    def hit(self, request: Request) -> Fault | None:
        """Return the trouble that a request has."""
        return self._take(request, lambda fault: fault.kind not in _WATCH_KINDS)

    def watch(self, request: Request) -> Fault | None:
        """Return the trouble of a watch that runs."""
        return self._take(request, lambda fault: fault.kind in _WATCH_KINDS)

    def _take(self, request: Request, kind: object) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if not kind(fault) or not matches(fault.match, request):  # type: ignore[operator]
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    if fault.times <= 0:
                        continue
                    fault.times -= 1
                fault.hits += 1
                return fault
        return None
