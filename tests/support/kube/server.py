"""The API server at the wire: HTTP/1.1 with connections that stay, watches in chunks."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.kube import errors
from tests.support.kube.api import Response
from tests.support.kube.faults import Fault
from tests.support.kube.requests import Request, parse
from tests.support.kube.streams import Dropped, OpenWatch
from tests.support.kube.watches import Watch

_LOGGER = logging.getLogger(__name__)


class Answered(Exception):
    """The fault was the answer."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    timeout = 600
    server: Server

    def setup(self) -> None:
        """Shake hands, if there are hands to shake."""
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the request log knows."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return what the header `Date` says: the cluster's time."""
        return super().date_time_string(self.server.cluster.clock.time() if timestamp is None else timestamp)

    def do_GET(self) -> None:
        """Answer, whatever the method."""
        try:
            self._serve()
        except Answered:
            pass
        except Dropped:
            self._abort()
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

    def _serve(self) -> None:
        cluster = self.server.cluster
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size) if size else b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path.startswith("/_fake/"):
            self._send(cluster.admin.answer(self.command, self.path, body))
            return
        request = parse(self.command, self.path, headers, body, cluster.registry)
        request.at = cluster.clock()
        cluster.requests.add(request)
        fault = cluster.faults.hit(request)
        if fault is not None and not fault.after:
            self._suffer(fault, request)
        answer = self._ask(request)
        if fault is not None and fault.after:
            self._suffer(fault, request)
        if isinstance(answer, Watch):
            request.code = 200
            self._stream(answer)
        else:
            request.code = answer.code
            self._send(answer)

    def _ask(self, request: Request) -> Response | Watch:
        cluster = self.server.cluster
        try:
            cluster.access.authenticate(request)
            return cluster.api.answer(request)
        except errors.ApiError as error:
            return _refusal(error)
        except Exception as error:
            _LOGGER.exception("the fake API server failed at %s", request)
            cluster.crashes.append(error)
            return _refusal(errors.ApiError(500, f"the fake server failed: {error!r}"))

    def _suffer(self, fault: Fault, request: Request) -> None:
        cluster = self.server.cluster
        if fault.kind == "status":
            answer = _refusal(fault.error())
            request.code = answer.code
            self._send(answer)
            raise Answered
        if fault.kind == "garbage":
            request.code = fault.status
            self._send(Response(fault.status, b"<html><body>Bad Gateway</body></html>", "text/html"))
            raise Answered
        if fault.kind == "delay":
            time.sleep(fault.seconds)
        elif fault.kind == "hang":
            ends = time.monotonic() + (fault.seconds or 120)
            while time.monotonic() < ends and cluster.faults.is_set(fault) and not self.server.stopping.is_set():
                if self._client_gone(0.05):
                    break
            raise Dropped
        else:
            raise Dropped

    def _send(self, answer: Response) -> None:
        self.send_response(answer.code)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def _stream(self, watch: Watch) -> None:
        server, cluster = self.server, self.server.cluster
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        stream = OpenWatch(watch)
        server.opened(stream)
        try:
            stream.run(self.wfile, cluster.store, cluster.faults, server.stopping, self._client_gone)
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
        finally:
            server.closed(stream)
            cluster.store.wake()

    def _client_gone(self, wait_s: float) -> bool:
        readable, _, _ = select.select([self.connection], [], [], wait_s)
        if not readable:
            return False
        if isinstance(self.connection, ssl.SSLSocket):
            return True  # a client that waits has nothing more to say than that it goes
        try:
            return self.connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def _abort(self) -> None:
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def finish(self) -> None:
        """End the connection, which may be gone already."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()


class Server(ThreadingHTTPServer):
    """Listens; knows the watches that are open."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, cluster: Any, address: tuple[str, int], context: ssl.SSLContext | None) -> None:
        self.cluster = cluster
        self._context = context
        self.stopping = threading.Event()
        self._watches: set[OpenWatch] = set()
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, Handler)

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; its thread shakes hands."""
        connection, address = super().get_request()
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        with self._guard:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        with self._guard:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that broke: that is often the point."""

    def opened(self, stream: OpenWatch) -> None:
        """Note an open watch."""
        with self._guard:
            self._watches.add(stream)

    def closed(self, stream: OpenWatch) -> None:
        """Note that a watch is over."""
        with self._guard:
            self._watches.discard(stream)

    def watches(self) -> list[OpenWatch]:
        """Return open watches."""
        with self._guard:
            return list(self._watches)

    def stop(self) -> None:
        """Stop listening, and break all connections."""
        self.stopping.set()
        self.cluster.store.wake()
        self.shutdown()
        self.server_close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Break all connections."""
        with self._guard:
            connections = list(self._connections)
        for one in connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _refusal(error: errors.ApiError) -> Response:
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return Response(error.code, error.body(), headers=headers)
