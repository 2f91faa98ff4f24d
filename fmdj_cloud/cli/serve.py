"""``fmdj serve``: the status page."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from fmdj_cloud.cli.common import console, settings_with_logs
from fmdj_cloud.errors import ConfigError, StoppedError


def serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on, instead of page.host; `0.0.0.0` is all.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port, instead of page.port; 0 takes any free one.", show_default=False),
    ] = None,
) -> None:
    """Show runs, progress and failures in a browser, until interrupted; nothing can be changed there.

    Its database user needs to read only: `fmdj grants serve`.
    """
    settings = settings_with_logs()
    if not settings.pipelines:
        raise ConfigError("The settings name no pipeline: add one under `pipelines:` in the file FMDJ_CONFIG names.")
    changes = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = settings.model_copy(update={"page": settings.page.model_copy(update=changes)})
    try:
        from fmdj_cloud.serve.page.program import open_socket, serve_page
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} isn't installed: install the page's packages with `pip install 'fmdj-cloud[serve]'`."
        ) from error
    # the server hands on what it was stopped by: the connection to the database is closed on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(StoppedError.exit_code))
    with open_socket(settings) as listening:
        where = settings.page.host or "localhost"
        number = listening.getsockname()[1]
        shown = f"[{where}]" if ":" in where else where
        serve_page(settings, listening, lambda: console.print(f"The status page is on http://{shown}:{number}/"))
