"""Which rights each program needs in the database, and no others: grants by table."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fmdj_cloud.contracts import Frozen, Kind
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.dialect import Backend
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.inference import Inference
from fmdj_cloud.pipeline.job_tables import OLD_JOBS, new_jobs, results_of
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger_tables import TABLES, VERSION_TABLE, binding_table

_READ = ("SELECT",)
_EVERYTHING = (*_READ, "INSERT", "UPDATE", "DELETE")
_KEYS_SHOWN = "REFERENCES"
"""PostgreSQL shows a table's primary key, which DataJoint asks for, only to those who may do more than read it."""
_LINEAGE = "~lineage"
"""Where DataJoint 2 keeps which attribute comes from where; read before tables are joined."""


class Program(enum.StrEnum):
    """Who needs rights."""

    CONTROLLER = "controller"
    LOADER = "loader"
    WORKER = "worker"
    POPULATE = "populate"
    """People whose own process computes and loads, by ``populate()`` of the Element's tables."""
    CLI = "cli"
    """People who look at tasks and say what they want of them."""
    GC = "gc"
    """Housekeeping: it deletes what nobody needs, and never a lab's rows."""
    SERVE = "serve"
    """The status page: it only reads."""
    REPAIR = "repair"
    """People who have faulty rows replaced by what their files hold (``fmdj audit --repair``)."""


_LOADING = (Program.LOADER, Program.POPULATE)
"""They insert results."""
_REPLACING = ("INSERT", "DELETE")
"""What a repair does with rows."""
_RESERVING = (Program.CONTROLLER, Program.POPULATE, Program.GC)
"""They reserve tasks in the lab's own job tables, where there are any."""


class Grant(Frozen):
    """Rights on one table."""

    schema_name: str
    table: str
    rights: tuple[str, ...]
    """Such as ``SELECT`` or ``UPDATE (facemap_output_dir)``."""


_LEDGER_RIGHTS: dict[Program, dict[str, tuple[str, ...]]] = {
    Program.CONTROLLER: {
        "pipeline": ("INSERT",),
        "leader": ("INSERT", "UPDATE"),
        "request": ("UPDATE",),
        "run": ("INSERT", "UPDATE"),
        "run__attempt": ("INSERT", "UPDATE"),
        "run__job": ("INSERT", "UPDATE"),
        "recompute": ("DELETE",),
        "claim": ("INSERT", "UPDATE", "DELETE"),
        "binding": ("INSERT", "UPDATE", "DELETE"),
    },
    Program.LOADER: {
        "run": ("UPDATE",),
        "run__attempt": ("UPDATE",),
        "run__job": ("UPDATE",),
        "quality": ("INSERT", "DELETE"),
    },
    Program.POPULATE: {
        "pipeline": ("INSERT",),
        "run": ("INSERT", "UPDATE"),
        "run__attempt": ("INSERT", "UPDATE"),
        "run__job": ("INSERT", "UPDATE"),
        "quality": ("INSERT", "DELETE"),
        "recompute": ("DELETE",),
        "binding": ("INSERT", "UPDATE"),
    },
    Program.CLI: {
        "pipeline": ("UPDATE",),
        "run": ("UPDATE",),
        "acceptance": ("INSERT", "UPDATE"),
        "recompute": ("INSERT",),
        "binding": ("INSERT", "UPDATE"),
    },
    # it locks the rows of runs that are over while it deletes, and no longer pins what it has deleted
    Program.GC: {"run": ("UPDATE (manifest_sha256)", "UPDATE (updated)")},
    Program.SERVE: {},
    Program.REPAIR: {},
}
"""Beside SELECT; ``binding`` stands for the binding tables of all pipelines."""


def database_grants(program: Program, database: Database, labs: Sequence[Lab]) -> tuple[Grant, ...]:
    """Return the rights that a program needs on the tables of the lab and of ours.

    Parameters
    ----------
    program : Program
        A worker needs none: it doesn't know the database.
    database : Database
    labs : sequence of Lab

    Returns
    -------
    tuple of Grant
        By schema and table; the tables exist (``fmdj migrate`` declares ours).
    """
    if program is Program.WORKER:
        return ()
    ours = tuple(_ledger_grants(program, database, labs))
    theirs = (grant for lab in labs for grant in _lab_grants(program, database, lab))
    # Pipelines may share schemas, and so may the two schemas of one
    grants = ours + tuple({(grant.schema_name, grant.table, grant.rights): grant for grant in theirs}.values())
    if database.backend == "mysql":
        return grants
    return tuple(grant.model_copy(update={"rights": (*grant.rights, _KEYS_SHOWN)}) for grant in grants)


def _ledger_grants(program: Program, database: Database, labs: Sequence[Lab]) -> Iterator[Grant]:
    schema = database.ledger_schema
    more = _LEDGER_RIGHTS[program]
    if database.backend == "mysql":  # there, inserting a row unless it exists is an update that changes nothing
        more = {
            table: tuple(dict.fromkeys((*rights, "UPDATE"))) if "INSERT" in rights else rights
            for table, rights in more.items()
        }
    found = database.tables(schema)
    for table in (VERSION_TABLE, *TABLES, *([_LINEAGE] if _LINEAGE in found else [])):
        yield Grant(schema_name=schema, table=table, rights=_READ + more.get(table, ()))
    for lab in labs:
        for table in sorted(binding_table(lab.name, kind) for kind in Kind):
            if table in found:
                yield Grant(schema_name=schema, table=table, rights=_READ + more.get("binding", ()))
        for signal in (lab.signals.Pupil, lab.signals.Blink, lab.signals.Running):
            rights = _READ + (_REPLACING if program in (*_LOADING, Program.REPAIR) else ())
            rights += ("DELETE",) if program is Program.GC else ()
            yield Grant(schema_name=schema, table=str(signal.table_name), rights=rights)


def _lab_grants(program: Program, database: Database, lab: Lab) -> Iterator[Grant]:
    yield from _element_grants(program, database, lab.element)
    if lab.inference is not None:
        yield from _inference_grants(program, database, lab.inference)
    yield from job_table_grants(program, database, lab)


def _element_grants(program: Program, database: Database, element: Element) -> Iterator[Grant]:
    read = (element.VideoRecording, element.VideoFile, element.RecordingInfo, element.FacemapTask)
    parts = (element.Region, element.MotionSVD, element.MovieSVD, element.Summary)
    results = (element.FacemapProcessing, element.FacialSignal, *parts)
    inserted = {*results, element.RecordingInfo} if program in _LOADING else set()
    for table in (*read, *results):
        rights = _READ + (("INSERT",) if table in inserted else ())
        if table in parts and program is Program.REPAIR:
            rights += _REPLACING
        if table is element.RecordingInfo and program is Program.REPAIR:
            rights += ("UPDATE (recording_duration)",)
        if table is element.FacemapTask and program in (*_LOADING, Program.REPAIR):
            # it is also what locks the row against edits while its results are inserted
            rights += ("UPDATE (facemap_output_dir)",)
        if table is element.FacemapProcessing and program in _LOADING:
            # a row without a FacialSignal, such as populate()'s own, is made to tell of the outputs that are loaded
            rights += ("UPDATE (processing_time)", "UPDATE (package_version)")
        if table is element.FacemapTask and program is Program.CLI:
            rights += ("INSERT",)
        yield Grant(schema_name=element.schema, table=str(table.table_name), rights=rights)
    yield from _lineage(database, element.schema)
    if program is Program.POPULATE:
        for schema, name in _linked(database, element.VideoRecording):
            yield Grant(schema_name=schema, table=name, rights=_READ)


def _inference_grants(program: Program, database: Database, inference: Inference) -> Iterator[Grant]:
    models = (inference.BodyPart, inference.FacemapModel, inference.ModelBodyPart, inference.ModelFile)
    results = (inference.FacemapInference, inference.BodyPartPosition)
    for table in (*models, inference.FacemapInferenceTask, *results):
        rights = _READ + (("INSERT",) if table in results and program in _LOADING else ())
        if table is inference.BodyPartPosition and program is Program.REPAIR:
            rights += _REPLACING
        if table is inference.FacemapInference and program is Program.REPAIR:
            rights += ("UPDATE (total_frame_count)", "UPDATE (inference_run_duration)")
        if table is inference.FacemapInferenceTask and program in (*_LOADING, Program.REPAIR):
            rights += (f"UPDATE ({inference.output_dir})",)
        if table is inference.FacemapInferenceTask and program is Program.CLI:
            rights += ("INSERT",)
        yield Grant(schema_name=inference.schema, table=str(table.table_name), rights=rights)
    yield from _lineage(database, inference.schema)


def _lineage(database: Database, schema: str) -> Iterator[Grant]:
    if _LINEAGE in database.tables(schema):
        yield Grant(schema_name=schema, table=_LINEAGE, rights=_READ)


def job_table_grants(program: Program, database: Database, lab: Lab) -> Iterator[Grant]:
    """Return the rights on what ``populate(reserve_jobs=True)`` keeps in a lab's schemas, where somebody has used it.

    Parameters
    ----------
    program : Program
        People's own ``populate()`` is that of DataJoint 2 here.
    database : Database
    lab : Lab
    """
    if program not in _RESERVING:
        return
    for kind in lab.kinds:
        for _, table in results_of(lab, kind):
            found = database.tables(str(table.database))
            for name in (OLD_JOBS, new_jobs(table)):
                if name in found and (name != OLD_JOBS or program is not Program.POPULATE):
                    yield Grant(schema_name=str(table.database), table=name, rights=_EVERYTHING)


def _linked(database: Database, table: Any) -> Iterator[tuple[str, str]]:
    """Return (schema, table) of what a table refers to: the linking module's Session and Device."""
    graph = database.connection.dependencies
    for parent in table.parents():
        # where a foreign key renames attributes, DataJoint puts a node called by a number between the two
        for name in graph.parents(parent) if parent.isdigit() else (parent,):
            schema, table_name = database.connection.adapter.split_full_table_name(name)
            yield str(schema), str(table_name)


def grant_statements(grants: Iterable[Grant], backend: Backend, user: str) -> tuple[str, ...]:
    """Return the SQL statements that give `user` these rights: pure.

    Parameters
    ----------
    grants : iterable of Grant
    backend : str
    user : str
        Name of a user that exists; on MySQL, ``name`` means ``name@%``.

    Raises
    ------
    ConfigError
        If the name can't be a user's.
    """
    if not user or any(character in user for character in "\"'`\\\n\0"):
        raise ConfigError(f"{user!r} can't be the name of a database user: use letters, digits and underscores.")
    grants = tuple(grants)
    if backend == "postgresql":
        schemas = dict.fromkeys(grant.schema_name for grant in grants)
        usage = tuple(f'GRANT USAGE ON SCHEMA "{schema}" TO "{user}";' for schema in schemas)
        return usage + tuple(f'GRANT {_rights(g)} ON "{g.schema_name}"."{g.table}" TO "{user}";' for g in grants)
    name, _, host = user.partition("@")
    return tuple(f"GRANT {_rights(g)} ON `{g.schema_name}`.`{g.table}` TO '{name}'@'{host or '%'}';" for g in grants)


def _rights(grant: Grant) -> str:
    return ", ".join(grant.rights)
