"""The Element's tables with a runner: what a lab's own script or notebook imports."""

from __future__ import annotations

import importlib
from typing import Any

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.pipeline.inference import Inference, declare_inference
from fmdj_cloud.populate.runner import PopulateRunner, PoseRunner
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
    pipeline = _pipeline_of(settings, "behavior_schema", schema_name)
    linked, database = _linked(linking_module, settings, database)
    return _declare(settings, pipeline, linked, database)


def activate_inference(
    schema_name: str, *, linking_module: Any, settings: Settings | None = None, database: Database | None = None
) -> Inference:
    """Declare the Element's tables of pose inference where they aren't yet, and give them a ``populate()`` that works.

    Those of the recordings, in the schema that the same pipeline has as ``behavior_schema``, are declared, too.

    Parameters
    ----------
    schema_name : str
        Database schema of facemap_inference, as a pipeline in the settings has it.
    linking_module, settings, database
        As :func:`activate`.

    Returns
    -------
    Inference
        Its ``FacemapInference`` is the class to populate.

    Raises
    ------
    ConfigError
        If no pipeline in the settings has this schema, or the linking module lacks a table.
    """
    settings = load_settings() if settings is None else settings
    pipeline = _pipeline_of(settings, "inference_schema", schema_name)
    linked, database = _linked(linking_module, settings, database)
    element = _declare(settings, pipeline, linked, database)
    runner = PoseRunner(settings, pipeline, database)
    return declare_inference(database, schema_name, element=element, runner=runner)


def _declare(settings: Settings, pipeline: PipelineSettings, linked: Any, database: Database) -> Element:
    runner = PopulateRunner(settings, pipeline, database)
    return declare_element(
        database,
        pipeline.behavior_schema,
        linking_module=linked,
        runner=runner,
        projections=pipeline.projections,
    )


def _linked(linking_module: Any, settings: Settings, database: Database | None) -> tuple[Any, Database]:
    linked = importlib.import_module(linking_module) if isinstance(linking_module, str) else linking_module
    if database is None and hasattr(linked, "Session"):
        database = Database(settings.database, connection=linked.Session.connection)
    if database is None:
        raise ConfigError(f"The linking module {getattr(linked, '__name__', linked)} has no table Session: add it.")
    return linked, database


def _pipeline_of(settings: Settings, setting: str, schema_name: str) -> PipelineSettings:
    schemas = {pipeline.name: getattr(pipeline, setting) for pipeline in settings.pipelines}
    for pipeline in settings.pipelines:
        if schemas[pipeline.name] == schema_name:
            return pipeline
    known = ", ".join(schema for schema in schemas.values() if schema) or "none"
    raise ConfigError(
        f"No pipeline in the settings has {setting} {schema_name!r} (they have {known}): add it under "
        "`pipelines:` in the file FMDJ_CONFIG names."
    )
