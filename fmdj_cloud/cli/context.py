"""What looking commands open: settings, database, ledger, pipelines, store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from fmdj_cloud.cli.common import settings_with_logs
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store, open_store


@dataclass(frozen=True)
class Context:
    """All that a command needs."""

    settings: Settings
    ledger: Ledger
    labs: tuple[Lab, ...]
    store: Store


@contextlib.contextmanager
def open_context(pipeline: str | None) -> Iterator[Context]:
    """Open everything, for all pipelines or for one.

    Raises
    ------
    ConfigError
        If the settings name no pipeline, or none of that name.
    """
    settings = settings_with_logs()
    chosen = settings.pipelines if pipeline is None else (settings.pipeline(pipeline),)
    if not chosen:
        raise ConfigError("The settings name no pipeline: add one under `pipelines:` in the file FMDJ_CONFIG names.")
    database = Database(settings.database)
    try:
        ledger = Ledger(database)
        claimed_only = settings.controller.claimed_only
        store = open_store(settings.storage)
        labs = tuple(open_lab(database, ledger, one, objects=store, claimed_only=claimed_only) for one in chosen)
        yield Context(settings, ledger, labs, store)
    finally:
        database.close()
