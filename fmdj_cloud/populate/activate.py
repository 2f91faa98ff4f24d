"""The Element's tables with a runner: what a lab's own script or notebook imports."""

from __future__ import annotations

import importlib
from typing import Any

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.populate.runner import PopulateRunner
from fmdj_cloud.settings import PipelineSettings, Settings, load_settings


def activate(
    schema_name: str, *, linking_module: Any, settings: Settings | None = None, database: Database | None = None
) -> Element:
    """Declare the Element's tables where they aren't yet, and give them a ``populate()`` that works.

    Parameters
    ----------
    schema_name : str
        Database schema of facial_behavior_estimation, as a pipeline in the settings has it.
    linking_module : module, object or str
        Supplies the table classes ``Session`` and ``Device``, as Elements do; a str is imported.
    settings : Settings, optional
        Those of the environment by default (``FMDJ_CONFIG`` ...).
    database : Database, optional
        Connection of the linking module's tables; made from their own connection by default.

    Returns
    -------
    Element
        Its ``FacemapProcessing`` and ``FacialSignal`` are the classes to populate.

    Raises
    ------
    ConfigError
        If no pipeline in the settings has this schema, or the linking module lacks a table.
    """
    settings = load_settings() if settings is None else settings
    pipeline = _pipeline_of(settings, schema_name)
    linked = importlib.import_module(linking_module) if isinstance(linking_module, str) else linking_module
    if database is None and hasattr(linked, "Session"):
        database = Database(settings.database, connection=linked.Session.connection)
    if database is None:
        raise ConfigError(f"The linking module {getattr(linked, '__name__', linked)} has no table Session: add it.")
    runner = PopulateRunner(settings, pipeline, database)
    return declare_element(database, schema_name, linking_module=linked, runner=runner)


def _pipeline_of(settings: Settings, schema_name: str) -> PipelineSettings:
    for pipeline in settings.pipelines:
        if pipeline.behavior_schema == schema_name:
            return pipeline
    known = ", ".join(pipeline.behavior_schema for pipeline in settings.pipelines) or "none"
    raise ConfigError(
        f"No pipeline in the settings has behavior_schema {schema_name!r} (they have {known}): add it under "
        "`pipelines:` in the file FMDJ_CONFIG names."
    )
