"""``fmdj uninstall``."""

from __future__ import annotations

from typing import Annotated

import typer

from fmdj_cloud.cli.common import console, settings_with_logs
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.uninstall import Uninstaller
from fmdj_cloud.errors import ConfigError, DatabaseError, UsageError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.ledger_schema import version_of
from fmdj_cloud.settings import DatabaseSettings


def uninstall(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, help="How long the end of Jobs is waited for, seconds.")
    ] = 180,
) -> None:
    """Cancel runs and let go of FacemapRuns before an installation is removed from a cluster.

    `helm uninstall` calls it. Results, outputs and the ledger stay; `fmdj retry` asks again for what was cancelled.
    """
    settings = settings_with_logs()
    if settings.controller.launcher != "kubernetes":
        raise ConfigError("controller.launcher is local: there is nothing on a cluster to be removed.")
    if not yes:
        raise UsageError(f"That cancels everything that {settings.instance} runs: add --yes to do so.")
    client = KubeClient(settings.kubernetes)
    ledger = _ledger(settings.database)
    try:
        done = Uninstaller(settings, client, ledger).run(timeout)
    finally:
        client.close()
        if ledger is not None:
            ledger.database.close()
    for trouble in done.troubles:
        console.print(f"Left: {trouble}", markup=False)
    console.print(
        f"{done.cancelled} runs were cancelled, {done.jobs} Jobs deleted, {done.facemapruns} FacemapRuns let go. "
        "Results, outputs and the ledger are as they were."
    )


def _ledger(settings: DatabaseSettings) -> Ledger | None:
    """Return the ledger; None, and say so, if the database can't be used: that must not keep anybody from leaving."""
    try:
        database = Database(settings)
        return None if version_of(database) is None else Ledger(database)
    except (ConfigError, DatabaseError) as error:
        console.print(f"Left: the ledger as it is, since {error.sentence}", markup=False)
        return None
