"""A minimal lab: the tables that an Element's linking module supplies (Subject, Session, Device)."""

from __future__ import annotations

import types
from typing import Any

import datajoint as dj

from fmdj_cloud.pipeline.database import Database


def declare_lab(database: Database, schema_name: str) -> types.ModuleType:
    """Declare Subject, Session and Device, and return them as a linking module.

    Parameters
    ----------
    database : Database
    schema_name : str
        Database schema of the lab's own tables.

    Returns
    -------
    module
        With ``Subject``, ``Session`` and ``Device``, as
        :func:`fmdj_cloud.pipeline.element.declare_element` takes it.
    """
    schema = database.instance.Schema(schema_name)
    context: dict[str, Any] = {}

    class Subject(dj.Manual):  # type: ignore[misc]
        definition = """
        # A mouse
        subject: varchar(16)
        ---
        sex='U': varchar(1)
        """

    context["Subject"] = schema(Subject, context=context)

    class Session(dj.Manual):  # type: ignore[misc]
        definition = """
        # An experimental session
        -> Subject
        session_id: int32
        ---
        session_datetime: datetime
        """

    context["Session"] = schema(Session, context=context)

    class Device(dj.Lookup):  # type: ignore[misc]
        definition = """
        # A camera
        device: varchar(32)
        ---
        device_description='': varchar(128)
        """

    context["Device"] = schema(Device, context=context)

    module = types.ModuleType("demo_lab")
    for name, table in context.items():
        setattr(module, name, table)
    return module
