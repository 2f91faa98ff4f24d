"""The Element's tables: declared on a lab's own Session and Device, or opened as they are."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import datajoint as dj

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element_tables import element_classes
from fmdj_cloud.pipeline.formats import Format, format_of, require_values
from fmdj_cloud.pipeline.populate import Runner

_MASTERS = ("VideoRecording", "RecordingInfo", "FacemapTask", "FacemapProcessing", "FacialSignal")
_PARTS = ("Region", "MotionSVD", "MovieSVD", "Summary")


@dataclass(frozen=True)
class Element:
    """The tables of one facial_behavior_estimation schema.

    Attributes
    ----------
    database : Database
        Connection that the tables use.
    schema : str
        Name of the database schema.
    VideoRecording, VideoFile, RecordingInfo, FacemapTask, FacemapProcessing, FacialSignal : type
        Table classes; `VideoFile` is ``VideoRecording.File``.
    Region, MotionSVD, MovieSVD, Summary : type
        Parts of FacialSignal.
    component : str
        Attribute that numbers components: ``component_id``, or ``pc_no`` in element-facemap 0.1.
    """

    database: Database
    schema: str
    VideoRecording: Any
    VideoFile: Any
    RecordingInfo: Any
    FacemapTask: Any
    FacemapProcessing: Any
    FacialSignal: Any
    Region: Any
    MotionSVD: Any
    MovieSVD: Any
    Summary: Any
    component: str

    @property
    def format(self) -> Format:
        """Which clients can read the results: DataJoint 0.14's or 2.x's."""
        return format_of(self.Region)  # FacialSignal has no column of its own


def declare_element(
    database: Database,
    schema_name: str,
    *,
    linking_module: Any,
    runner: Runner | None = None,
    projections: str | None = None,
) -> Element:
    """Declare the Element's tables where they aren't yet, and open them.

    Parameters
    ----------
    database : Database
    schema_name : str
    linking_module : module, object or str
        Supplies the table classes ``Session`` and ``Device`` (as Elements do), declared on the same
        connection; a str is imported.
    runner : Runner, optional
        Does the work of ``populate()`` on these tables; made for `database`.
    projections : str, optional
        DataJoint store in which tables that aren't there yet are to keep projections.

    Raises
    ------
    ConfigError
        If the linking module lacks a table, or DataJoint 0.14 declared the schema's tables.
    """
    linked = importlib.import_module(linking_module) if isinstance(linking_module, str) else linking_module
    missing = [name for name in ("Session", "Device") if not hasattr(linked, name)]
    if missing:
        raise ConfigError(f"The linking module {_name(linked)} has no table {' and no '.join(missing)}: add it.")
    _refuse_old_tables(database, schema_name)
    classes = element_classes(runner, projections)
    with database.exclusive(f"fmdj-declare-{schema_name}"):
        schema = database.instance.Schema(schema_name)
        context = {"Session": linked.Session, "Device": linked.Device, **classes}
        for table in classes.values():
            schema(table, context=context)
    return _element(database, schema_name, classes)


def open_element(database: Database, schema_name: str) -> Element:
    """Open a schema that exists; nothing is created.

    Raises
    ------
    ConfigError
        If there is no such schema, or it lacks one of the Element's tables.
    """
    try:
        module = dj.VirtualModule(
            schema_name, schema_name, create_schema=False, create_tables=False, connection=database.connection
        )
    except dj.errors.DataJointError as error:
        raise ConfigError(
            f"The schema {schema_name!r} can't be opened ({error}): check behavior_schema and the user's rights."
        ) from error
    classes = {name: getattr(module, name, None) for name in _MASTERS}
    missing = [name for name, table in classes.items() if table is None]
    if not missing:
        missing += [f"FacialSignal.{part}" for part in _PARTS if not hasattr(classes["FacialSignal"], part)]
        missing += [] if hasattr(classes["VideoRecording"], "File") else ["VideoRecording.File"]
    if missing:
        raise ConfigError(
            f"The schema {schema_name!r} is no facial_behavior_estimation of element-facemap: it has no "
            f"{', no '.join(missing)}."
        )
    return _element(database, schema_name, classes)


def _refuse_old_tables(database: Database, schema_name: str) -> None:
    """Refuse to declare anything beside tables of DataJoint 0.14: it would leave a ``~lineage`` that spoils joins."""
    if database.backend != "mysql":
        return
    rows = database.query(
        "SELECT column_comment FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
        "AND column_name = %s",
        (schema_name, "video_recording", "recording_id"),
    )
    if rows and not str(rows[0][0]).startswith(":"):
        raise ConfigError(
            f"The tables of {schema_name!r} were declared by DataJoint 0.14, and can't be declared by 2.x too: let a "
            "controller and a loader serve them as they are, or migrate them first (datajoint.migrate)."
        )


def _element(database: Database, schema_name: str, classes: dict[str, Any]) -> Element:
    tables = {name: classes[name] for name in _MASTERS}
    tables["VideoFile"] = classes["VideoRecording"].File
    tables |= {part: getattr(classes["FacialSignal"], part) for part in _PARTS}
    try:
        # Every heading is read before anything is joined, or DataJoint misses lineages
        headings = {name: tuple(table.heading.names) for name, table in tables.items()}
    except dj.errors.DataJointError as error:
        raise ConfigError(f"The tables of {schema_name!r} can't be read ({error}): mend that table.") from error
    for table in tables.values():
        require_values(table)
    component = next((name for name in ("component_id", "pc_no") if name in headings["MotionSVD"]), None)
    if component is None:
        raise ConfigError(f"FacialSignal.MotionSVD of {schema_name!r} has neither component_id nor pc_no in its key.")
    return Element(database=database, schema=schema_name, component=component, **tables)


def _name(linked: Any) -> str:
    return str(getattr(linked, "__name__", linked))
