"""Tables for what Facemap computes and the Element has no table for: pupil, blink, running.

They lie in our own schema, with the key attributes of FacialSignal by name and type, and no foreign key
(it would make a lab's ``delete`` fail): ``FacialSignal.join(Pupil, semantic_check=False)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import datajoint as dj
from datajoint.utils import from_camel_case

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.creating import reformat_tables
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.element_tables import table_class
from fmdj_cloud.pipeline.formats import format_of
from fmdj_cloud.pipeline.keys import key_definition
from fmdj_cloud.pipeline.ledger_tables import class_name, declare

_ROI = "roi_no : int32  # as in FacialSignal.Region"
_PUPIL = """
---
area        : <blob>  # (nframes) float64, pixels
area_smooth : <blob>  # (nframes) float64, pixels
com         : <blob>  # (nframes, 2) float64: y, x from the corner of the ROI
com_smooth  : <blob>  # (nframes, 2) float64
axdir       : <blob>  # (nframes, 2, 2) float64: axes of the ellipse
axlen       : <blob>  # (nframes, 2) float64: their lengths
"""
_BLINK = """
---
trace       : <blob>  # (nframes) float64: sum of saturation minus gray over dark pixels
"""
_RUNNING = """
---
displacement : <blob>  # (nframes, 2) float64: dy, dx of the surface since the frame before, pixels
"""
_TABLES = {"Pupil": _PUPIL, "Blink": _BLINK, "Running": _RUNNING}
_OWN_NAMES = ("roi_no", "area", "area_smooth", "com", "com_smooth", "axdir", "axlen", "trace", "displacement")


@dataclass(frozen=True)
class SignalTables:
    """The signal tables of one pipeline.

    Attributes
    ----------
    Pupil, Blink, Running : type
        Table classes; their columns are named as the datasets of signals.h5.
    """

    Pupil: Any
    Blink: Any
    Running: Any


def declare_signals(database: Database, element: Element, pipeline_name: str) -> SignalTables:
    """Declare the signal tables of a pipeline where they aren't yet, and open them.

    Raises
    ------
    ConfigError
        If the key of FacialSignal can't be copied, or the tables can't be created.
    """
    names = {name: class_name(pipeline_name, name) for name in _TABLES}
    found = database.tables(database.ledger_schema)
    if not {from_camel_case(name) for name in names.values()} <= found:
        made = _classes(database, element, pipeline_name)
        declare(database, *made, like=element.FacialSignal, clients=element.format)
    return open_signals(database, pipeline_name)


def reformat_signals(database: Database, element: Element, pipeline_name: str) -> bool:
    """Bring the signal tables of a pipeline into its lab's format, if that has changed since they were declared.

    Returns
    -------
    bool
        Whether they were of another format.

    Raises
    ------
    ConfigError
        If they don't exist.
    """
    tables = open_signals(database, pipeline_name)
    found = {format_of(table) for table in (tables.Pupil, tables.Blink, tables.Running)}
    if database.backend != "mysql" or found == {element.format}:
        return False
    reformat_tables(database, _classes(database, element, pipeline_name), element.FacialSignal, element.format)
    return True


def _classes(database: Database, element: Element, pipeline_name: str) -> list[Any]:
    keys = key_definition(element.FacialSignal, database.backend, reserved=_OWN_NAMES)
    return [
        table_class(
            class_name(pipeline_name, name),
            dj.Manual,
            f"# {name} of pipeline {pipeline_name}\n{keys}\n{_ROI}{columns}",
            f"{name} traces of pipeline {pipeline_name}.",
        )
        for name, columns in _TABLES.items()
    ]


def open_signals(database: Database, pipeline_name: str) -> SignalTables:
    """Open the signal tables of a pipeline; nothing is created.

    Raises
    ------
    ConfigError
        If they don't exist.
    """
    name = database.ledger_schema
    tables: dict[str, Any] = {}
    try:
        schema = database.instance.Schema(name, create_schema=False, create_tables=False)
        for table in _TABLES:
            made = table_class(class_name(pipeline_name, table), dj.Manual, "", f"{table} of {pipeline_name}.")
            tables[table] = schema(made, context={})
            if not tables[table]().heading.names:
                raise ConfigError(f"The table {table} of pipeline {pipeline_name!r} in {name!r} has no columns.")
    except dj.errors.DataJointError as error:
        raise ConfigError(
            f"The signal tables of pipeline {pipeline_name!r} are not in our schema {name!r} ({error}): start the "
            "controller once, which declares them."
        ) from error
    return SignalTables(**tables)
