"""A faulty wire between the store and its server: real HTTP, real sockets, chosen damage."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from fmdj_cloud.settings import S3Settings, StorageSettings
from fmdj_cloud.storage import open_store


@dataclass
class Exchange:
    """A request with the answer that will go back; a fault changes the answer."""

    method: str
    path: str
    request_headers: dict[str, str]
    number: int
    """Requests of this method before it."""
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    cut_after: int | None = None
    """Close the connection after so many bytes of the body."""
    delay_s: float = 0.0

    @property
    def asks_for_range(self) -> bool:
        return self.method == "GET" and "range" in self.request_headers

    def answer(self, status: int, code: str) -> None:
        self.status = status
        self.body = f"<Error><Code>{code}</Code><Message>{code} it is</Message></Error>".encode()
        self.headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(self.body)))]


class Wire:
    """A proxy in front of the S3 server. `fault` sees every exchange before it goes back."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.fault: Callable[[Exchange], None] = lambda exchange: None
        self.before: Callable[[Exchange], bool] = lambda exchange: False
        """Sees the request before it goes on, and may change path and headers; True if it has answered it itself."""
        self.exchanges: list[Exchange] = []
        self._lock = threading.Lock()

    def note(self, method: str, path: str, headers: dict[str, str]) -> Exchange:
        with self._lock:
            number = sum(exchange.method == method for exchange in self.exchanges)
            exchange = Exchange(method, path, headers, number)
            self.exchanges.append(exchange)
            return exchange


def _handler(wire: Wire) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            self.close_connection = True
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            exchange = wire.note(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
            if not wire.before(exchange):
                upstream = http.client.HTTPConnection(wire.upstream)
                headers = {k: v for k, v in exchange.request_headers.items() if k != "expect"}
                upstream.request(self.command, exchange.path, data or None, headers)
                response = upstream.getresponse()
                exchange.status, exchange.body = response.status, response.read()
                exchange.headers = [(k, v) for k, v in response.getheaders() if k.lower() != "connection"]
                upstream.close()
                wire.fault(exchange)
            time.sleep(exchange.delay_s)
            self.send_response_only(exchange.status)
            for name, value in [*exchange.headers, ("Connection", "close")]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(exchange.body[: exchange.cut_after])

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of these tests."""


@contextlib.contextmanager
def serve(wire: Wire, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Run the wire; yield its endpoint."""
    server = _Server(("127.0.0.1", 0), _handler(wire))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve_wire() -> Callable[..., contextlib.AbstractContextManager[str]]:
    return serve


@pytest.fixture
def wire(s3_settings: S3Settings) -> Wire:
    assert s3_settings.endpoint_url is not None
    return Wire(s3_settings.endpoint_url)


@pytest.fixture
def wired_settings(wire: Wire, s3_settings: S3Settings) -> Iterator[S3Settings]:
    """Settings of a store behind `wire`, with small parts and few tries."""
    with serve(wire) as endpoint:
        yield s3_settings.model_copy(
            update={"endpoint_url": endpoint, "part_size_mib": 5, "concurrency": 2, "max_attempts": 3}
        )


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of three parts of 5 MiB at most, whose bytes tell their place."""
    path = tmp_path_factory.mktemp("local") / "video.avi"
    path.write_bytes(np.arange(3 << 20, dtype="<u4").tobytes())
    return path


@pytest.fixture(scope="session")
def shared_video(s3_settings: S3Settings, video: Path) -> str:
    """The URI of `video`, uploaded once: for tests that only read it."""
    return open_store(StorageSettings(s3=s3_settings)).upload(video, "s3://session/video.avi").uri


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where downloads go: whatever is left over shows here."""
    (tmp_path / "downloads").mkdir()
    return tmp_path / "downloads"
