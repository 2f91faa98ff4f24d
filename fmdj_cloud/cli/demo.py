"""``fmdj demo``."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from fmdj_cloud.cli.common import console
from fmdj_cloud.errors import ConfigError


class DatabaseServer(enum.StrEnum):
    """Databases that the demo can start."""

    POSTGRESQL = "postgresql"
    MARIADB = "mariadb"


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the servers up and say how to connect.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the servers that an earlier --keep left up.")] = False,
    database: Annotated[
        DatabaseServer, typer.Option("--database", help="Database server to start.")
    ] = DatabaseServer.POSTGRESQL,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON.", show_default=False)
    ] = None,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", metavar="DIR", help="Folder for recordings, logs and figures.")
    ] = Path("demo-output"),
    frames: Annotated[
        int | None,
        typer.Option("--frames", min=200, help="Shorten every recording to so many frames.", show_default=False),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="NAME", help="Only this recording, by name; may be repeated.", show_default=False
        ),
    ] = None,
) -> None:
    """Run the whole path on this machine, on generated recordings with known truth.

    Starts its own database and S3 server, runs controller, Facemap workers and loader until all is settled,
    shows one figure per recording and stops everything. Exit code 0 only if what should load loaded and what
    should fail failed.
    """
    try:
        from fmdj_cloud.demo.run import run_demo
        from fmdj_cloud.demo.scenarios import SCENARIOS, chosen, shortened
        from fmdj_cloud.demo.world import stop_servers
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} isn't installed: install the demo's packages with `pip install 'fmdj-cloud[demo]'`."
        ) from error
    if stop:
        stop_servers(output_dir)
        return
    scenarios = chosen(SCENARIOS, only or ())
    scenarios = scenarios if frames is None else shortened(scenarios, frames)
    done = run_demo(console, output_dir, database=database.value, keep=keep, json_file=json_file, scenarios=scenarios)
    if not done:
        raise typer.Exit(1)
