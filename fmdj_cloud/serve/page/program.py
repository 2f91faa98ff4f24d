"""Serves the pages until it is asked to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.serve.page.app import Page
from fmdj_cloud.serve.page.looking import Looker
from fmdj_cloud.serve.page.pictures import Pictures
from fmdj_cloud.serve.server import listen
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import open_store

_LOCAL = ("127.0.0.1", "::1", "localhost")
_GRACE_S = 2
"""Pages that are kept up to date never end by themselves."""
_REQUESTS_MAX = 1000


def open_socket(settings: Settings) -> socket.socket:
    """Listen as the settings say.

    Raises
    ------
    ConfigError
        If nothing can listen there.
    """
    return listen(settings.page.host, settings.page.port, "The status page", "page")


def serve_page(settings: Settings, listening: socket.socket, started: Callable[[], None] = lambda: None) -> None:
    """Serve the pages until SIGTERM or SIGINT.

    Parameters
    ----------
    settings : Settings
    listening : socket
        Of :func:`open_socket`.
    started : callable
        Called before the first answer.

    Raises
    ------
    ConfigError, DatabaseError
        If the pipelines can't be opened.
    """
    database = Database(settings.database)
    try:
        store = open_store(settings.storage)
        looker = Looker(settings, database, store)
        page = Page(looker, Pictures(store, settings.page), settings.page)
        started()
        config = uvicorn.Config(
            page.app(host_names(settings.page.host, settings.page.hosts)),
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_REQUESTS_MAX + settings.page.clients_max,
            timeout_graceful_shutdown=_GRACE_S,
        )
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        database.close()


def host_names(host: str, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that the page may be asked for by, empty for any: pure.

    A page of this machine alone must not answer to other names: a browser could be led to it by a name that somebody
    else points here, and read it for them.

    Parameters
    ----------
    host : str
        Address listened on.
    hosts : tuple of str
        As the settings say.
    """
    if hosts:
        return hosts
    return (*_LOCAL, "[::1]") if host in _LOCAL else ()
