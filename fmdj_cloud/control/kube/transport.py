"""HTTP to the API server: rate, credentials that expire, repeats where they are safe, and one count per request."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from fmdj_cloud import __version__
from fmdj_cloud.control.kube.connection import Connection, connect
from fmdj_cloud.control.kube.error import BROKEN, TIMEOUT, UNREACHED, KubeError, refused, unanswered
from fmdj_cloud.control.kube.resources import parse_path
from fmdj_cloud.control.kube.servertime import ServerTime
from fmdj_cloud.control.kube.throttle import TokenBucket
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import KubernetesSettings
from fmdj_cloud.telemetry import API_REQUESTS, API_SECONDS

_log = logging.getLogger(__name__)
_TRIES = 4
_BACKOFF_S = 0.25
"""Before the second try; four times as long before each further one."""
_CONNECT_S = 5.0
_PASSING = frozenset({0, 500, 502, 503, 504})
"""What is over in a moment, more often than not; it may have been done nevertheless."""
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
"""Methods as Kubernetes' rights call them."""
_PIECE = 1 << 16


@dataclass(frozen=True)
class Request:
    """A request.

    Attributes
    ----------
    method : str
    path : str
    query : mapping of str to str
    body : optional
        Sent as JSON.
    content_type : str
    timeout_s : float
        Seconds without a word after which it is given up.
    repeatable : bool
        Whether it does no harm to do it twice.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"
    timeout_s: float = 15.0
    repeatable: bool = True

    def __str__(self) -> str:
        resource, name = parse_path(self.path)
        return f"{self.verb} {resource}{f' {name}' if name else ''}"

    @property
    def verb(self) -> str:
        """What is done, as Kubernetes' rights call it."""
        if self.method in _VERBS:
            return _VERBS[self.method]
        return "watch" if "watch" in self.query else "get" if parse_path(self.path)[1] else "list"


class Transport:
    """Sends requests, from any thread.

    Parameters
    ----------
    settings : KubernetesSettings
    clock : callable
        Monotonic seconds.
    sleep : callable
    jitter : callable
        Random number in [0, 1), so that many controllers don't come back in step.

    Attributes
    ----------
    namespace : str
    now : ServerTime
    """

    def __init__(
        self,
        settings: KubernetesSettings,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        jitter: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._bucket = TokenBucket(settings.request_rate, settings.request_burst, clock=clock, sleep=sleep)
        self._connection = connect(settings)
        self._reconnecting = threading.Lock()
        self._streams: set[urllib3.BaseHTTPResponse] = set()
        self.now = ServerTime()
        self.namespace = settings.namespace or self._connection.namespace

    @property
    def host(self) -> str:
        """URL of the API server."""
        return self._connection.host

    def send(self, request: Request) -> bytes:
        """Return the body of the answer.

        Raises
        ------
        KubeError
            If it was refused or not answered, however often it was tried.
        """
        last = self._clock() + request.timeout_s
        number = 0
        while True:
            number += 1
            try:
                answer = self._ask(request)
                with self._trouble(request):
                    return answer.data
            except KubeError as error:
                wait_s = error.retry_after_s
                if wait_s is None:
                    wait_s = _BACKOFF_S * 4 ** (number - 1) * (1 + self._jitter())
                if number == _TRIES or not _may_repeat(request, error) or self._clock() + wait_s > last:
                    raise
                _log.info("%s It is tried again in %.1f s.", error.sentence, wait_s)
            self._sleep(wait_s)

    @contextlib.contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        """Open an answer that goes on, and yield its pieces as they come.

        Raises
        ------
        KubeError
            If it was refused, or ended otherwise than the API server ends it.
        """
        answer = self._ask(request)
        self._streams.add(answer)
        try:
            with self._trouble(request):
                yield _pieces(answer)
        finally:
            self._streams.discard(answer)
            answer.close()  # what is left of it isn't read, so the connection can't be used again

    def interrupt(self) -> None:
        """End all streams, whoever reads them."""
        for answer in tuple(self._streams):
            # it may be over just now
            with contextlib.suppress(RuntimeError, ValueError, OSError):
                answer.shutdown()

    def close(self) -> None:
        """End all streams and connections."""
        self.interrupt()
        self._connection.pool.clear()

    def _ask(self, request: Request) -> urllib3.BaseHTTPResponse:
        """Send a request, and once more if the credentials have expired."""
        connection = self._connection
        try:
            return self._ask_once(request)
        except KubeError as error:
            if error.status != 401:
                raise
            try:
                self._reconnect(connection)
            except ConfigError as trouble:
                _log.warning("%s", trouble.sentence)
                raise error from trouble
        return self._ask_once(request)

    def _ask_once(self, request: Request) -> urllib3.BaseHTTPResponse:
        self._bucket.take()
        began = self._clock()
        status = 0
        try:
            with self._trouble(request):
                answer = self._open(request, self._connection)
                self.now.hear(answer.headers.get("Date"), self._clock() - began)
                status = answer.status
                if 200 <= status < 300:
                    return answer
                body = answer.data
        finally:
            API_REQUESTS.labels(request.verb, parse_path(request.path)[0], str(status)).inc()
            API_SECONDS.labels(request.verb).observe(self._clock() - began)
        raise refused(str(request), status, answer.reason or "", body, answer.headers.get("Retry-After"))

    def _open(self, request: Request, connection: Connection) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json, */*", "User-Agent": f"fmdj-cloud/{__version__}"}
        authorization = connection.authorization()
        if authorization is not None:
            headers["Authorization"] = authorization
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        query = f"?{urlencode(request.query)}" if request.query else ""
        return connection.pool.request(
            request.method,
            f"{connection.host}{request.path}{query}",
            body=None if request.body is None else json.dumps(request.body).encode(),
            headers=headers,
            timeout=urllib3.Timeout(connect=min(_CONNECT_S, request.timeout_s), read=request.timeout_s),
            retries=False,
            redirect=False,
            preload_content=False,
        )

    @contextlib.contextmanager
    def _trouble(self, request: Request) -> Iterator[None]:
        """Turn what may happen to a connection into our error."""
        try:
            yield
        except (ConnectTimeoutError, NewConnectionError, ConfigError) as error:  # or credentials that can't be read
            raise self._unanswered(request, UNREACHED, error) from error
        except ReadTimeoutError as error:
            raise self._unanswered(request, TIMEOUT, error) from error
        except (HTTPError, OSError) as error:
            raise self._unanswered(request, BROKEN, error) from error

    def _unanswered(self, request: Request, reason: str, error: Exception) -> KubeError:
        words = f"nothing came for {request.timeout_s:.0f} s" if reason == TIMEOUT else str(error)
        return unanswered(str(request), self.host, reason, words)

    def _reconnect(self, used: Connection) -> None:
        with self._reconnecting:
            if self._connection is used:  # else another thread has just done it
                _log.info("The credentials for %s have expired and are read anew.", used.host)
                self._connection = connect(self._settings)
                used.pool.clear()


def _may_repeat(request: Request, error: KubeError) -> bool:
    # what is throttled or never arrived hasn't been begun
    if error.status == 429 or error.reason == UNREACHED:
        return True
    return request.repeatable and error.status in _PASSING


def _pieces(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    if isinstance(answer, urllib3.HTTPResponse) and answer.chunked:
        yield from answer.stream(_PIECE)
        return
    while piece := answer.read1(_PIECE):
        yield piece
