"""A small HTTP server: ``/healthz``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self

from prometheus_client.exposition import choose_encoder

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.serve.health import Health, Probe
from fmdj_cloud.settings import ServeSettings
from fmdj_cloud.telemetry import REGISTRY

_log = logging.getLogger(__name__)
_PROBES = {"/healthz": Probe.LIVE, "/readyz": Probe.READY}
_PATIENCE_S = 5.0
"""Who sends no whole request within this is not waited for."""
_POLL_S = 0.1
"""How long closing may take."""


class _Server(socketserver.ThreadingTCPServer):
    # Not http.server's: that asks the name service for this machine's name, which may take long or for ever
    daemon_threads = True

    def __init__(self, listening: socket.socket, health: Health) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.health = health

    def handle_error(self, request: object, client_address: object) -> None:
        _log.debug("A request from %s failed.", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "fmdj"
    sys_version = ""
    timeout = _PATIENCE_S

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, content_type, encode(REGISTRY))
        elif (probe := _PROBES.get(path)) is not None:
            report = self.server.health.report(probe)
            body = {"ok": report.ok, "problems": report.problems, **report.notes}
            self._answer_json(HTTPStatus.OK if report.ok else HTTPStatus.SERVICE_UNAVAILABLE, body)
        else:
            self._answer_json(HTTPStatus.NOT_FOUND, {"paths": [*_PROBES, "/metrics"]})

    do_HEAD = do_GET

    def _answer_json(self, status: HTTPStatus, body: object) -> None:
        self._answer(status, "application/json", json.dumps(body).encode() + b"\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        _log.debug(format, *args)  # several a minute, of no interest


class StatusServer:
    """Answers from the moment it is made until it is closed, in threads of its own.

    Parameters
    ----------
    health : Health
    host : str
        Address listened on; empty is all.
    port : int
        0 takes any free one.

    Raises
    ------
    ConfigError
        If nothing can listen there.
    """

    def __init__(self, health: Health, host: str = "", port: int = 0) -> None:
        self._server = _Server(listen(host, port, "Health and metrics", "serve"), health)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), name="status", daemon=True)
        self._thread.start()
        _log.info("Health and metrics are on port %d", self.port)

    def close(self) -> None:
        """Stop listening; idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve_status(settings: ServeSettings, health: Health) -> StatusServer | None:
    """Start a server as the settings say; None if they want none.

    Raises
    ------
    ConfigError
        If nothing can listen there.
    """
    return StatusServer(health, settings.host, settings.port) if settings.port else None


def listen(host: str, port: int, what: str, section: str) -> socket.socket:
    """Return a socket that listens.

    Parameters
    ----------
    host : str
        Address; empty is all, IPv4 and IPv6.
    port : int
        0 takes any free one.
    what : str
        That is served, for the error.
    section : str
        Of the settings that say so.

    Raises
    ------
    ConfigError
        If nothing can listen there.
    """
    try:
        if not host and socket.has_dualstack_ipv6():  # clusters are IPv4, IPv6, or both
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        raise ConfigError(
            f"{what} can't be served on {section}.host={host or 'all'}, {section}.port={port}"
            f" ({error.strerror or error}): choose a free port{', or 0 for none' if section == 'serve' else ''}."
        ) from error
