"""``fmdj selftest``."""

from __future__ import annotations

from typing import Annotated

import typer

from fmdj_cloud.cli.common import console, settings_with_logs
from fmdj_cloud.demo.selftest import PIPELINE, prepare_selftest, run_selftest
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.storage import open_store


def selftest(
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="How long it may take, seconds.")] = 900,
    prepare: Annotated[bool, typer.Option("--prepare", help="Only make its schemas where they aren't yet.")] = False,
) -> None:
    """Send one generated recording through a running installation, in the pipeline `selftest` of the settings.

    `helm test` calls it where the chart's `tests.endToEnd` is true. Its schemas are made where they aren't yet.
    """
    settings = settings_with_logs()
    database = Database(settings.database)
    try:
        if prepare:
            prepare_selftest(settings, database)
            console.print(f"The schemas of the pipeline {PIPELINE} are there.")
            return
        said = run_selftest(settings, database, open_store(settings.storage), timeout)
    finally:
        database.close()
    console.print(said, markup=False)
