"""Our own schema: its tables, and their names for every pipeline.

Nothing here points at a lab's tables, and nothing is ever created in a lab's schema. Binding and signal
tables copy the lab's key attributes by name and type, without foreign keys.
"""

from __future__ import annotations

import hashlib
from typing import Any

import datajoint as dj
from datajoint.utils import from_camel_case, to_camel_case

from fmdj_cloud.contracts import Kind
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.creating import create_tables
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element_tables import table_class
from fmdj_cloud.pipeline.formats import Format, format_of
from fmdj_cloud.pipeline.keys import key_definition
from fmdj_cloud.pipeline.ledger_definitions import (
    ACCEPTANCE,
    ATTEMPT,
    BINDING,
    CLAIM,
    JOB,
    LEADER,
    PIPELINE,
    QUALITY,
    RECOMPUTE,
    REQUEST,
    RUN,
    VERSION,
)

SENTENCE_MAX = 2000
EVIDENCE_MAX = 4000
"""Characters; MySQL gives a row 65,535 bytes, and a character up to four."""
VERSION_TABLE = "schema_version"
TABLES = (
    "pipeline",
    "leader",
    "request",
    "run",
    "run__attempt",
    "run__job",
    "acceptance",
    "quality",
    "recompute",
    "claim",
)
"""Beside the version, whose row comes before any of these."""
BINDING_COLUMNS = (
    "task_digest",
    "state",
    "since",
    "next_look",
    "failure_class",
    "sentence",
    "priority",
    "wanted",
    "param_digest",
    "changed",
    "run_id",
)


def declare_version(database: Database) -> None:
    """Declare the table that holds the version of all others, empty.

    Raises
    ------
    ConfigError
        If it can't be created.
    """
    declare(database, table_class("SchemaVersion", dj.Manual, VERSION, "Version of these tables."))


def declare_tables(database: Database) -> None:
    """Declare the tables of our schema that it doesn't have yet.

    Raises
    ------
    ConfigError
        If they can't be created.
    """
    run_parts = {
        "Attempt": table_class("Attempt", dj.Part, ATTEMPT, "Attempts of a run."),
        "Job": table_class("Job", dj.Part, JOB, "Jobs of an attempt."),
    }
    declare(
        database,
        table_class("Pipeline", dj.Manual, PIPELINE, "Pipelines."),
        table_class("Leader", dj.Manual, LEADER, "The leader."),
        table_class("Request", dj.Manual, REQUEST, "Requests."),
        table_class("Run", dj.Manual, RUN, "Runs.", **run_parts),
        table_class("Acceptance", dj.Manual, ACCEPTANCE, "Checks that a person has overridden."),
        table_class("Quality", dj.Manual, QUALITY, "What quality control found in outputs."),
        table_class("Recompute", dj.Manual, RECOMPUTE, "Tasks to compute anew."),
        table_class("Claim", dj.Manual, CLAIM, "Tasks that belong to a FacemapRun."),
    )


def binding_table(pipeline: str, kind: Kind) -> str:
    """Return the table name of a pipeline's bindings of one kind of task."""
    return str(from_camel_case(class_name(pipeline, f"Binding{kind.value.capitalize()}")))


def declare_bindings(database: Database, pipeline: str, kind: Kind, task_table: Any) -> str:
    """Declare the binding table of a task table where it isn't yet, and return its table name.

    Raises
    ------
    ConfigError
        If the key can't be copied, or the table can't be created.
    """
    table = binding_table(pipeline, kind)
    if table not in database.tables(database.ledger_schema):
        keys = key_definition(task_table, database.backend, reserved=BINDING_COLUMNS)
        name = class_name(pipeline, f"Binding{kind.value.capitalize()}")
        doc = f"Tasks of pipeline {pipeline}: what is known of each."
        made = table_class(name, dj.Manual, f"# {doc}\n{keys}{BINDING}", doc)
        declare(database, made, like=task_table, clients=format_of(task_table))
    return table


def declare(database: Database, *tables: Any, like: Any = None, clients: Format = Format.NATIVE) -> None:
    """Declare table classes in our schema, one process at a time.

    Parameters
    ----------
    database : Database
    *tables : type
    like : datajoint table, optional
        The lab's table whose key the tables copy.
    clients : Format
        Who shall read them; on PostgreSQL there is only DataJoint 2. Both read tables for 0.14 that have neither
        blobs nor UUIDs: those of all pipelines.

    Raises
    ------
    ConfigError
        If the database refuses.
    """
    name = database.ledger_schema
    context = {table.__name__: table for table in tables}
    try:
        with database.exclusive(f"fmdj-declare-{name}"):
            schema = database.instance.Schema(name)
            if database.backend == "mysql":
                create_tables(database, tables, like, clients)
                return
            for table in tables:
                schema(table, context=context)
    except (dj.errors.DataJointError, database.dialect.driver_error) as error:
        raise ConfigError(
            f"The tables {', '.join(context)} can't be declared in our schema {name!r} ({error}): give the user the "
            "right to create it, or run `fmdj migrate` as somebody who may."
        ) from error


def class_name(pipeline: str, suffix: str) -> str:
    """Return a table class's name, CamelCase, that no other pipeline's table has.

    Parameters
    ----------
    pipeline : str
        Name of the pipeline: lower-case letters, digits and underscores.
    suffix : str
        CamelCase.
    """
    camel = str(to_camel_case(pipeline))
    if "_" in camel or from_camel_case(camel) != pipeline:  # lab_1 and lab1 would share their tables
        camel = f"{camel.replace('_', '')}X{hashlib.sha256(pipeline.encode()).hexdigest()[:8]}"
    return camel + suffix
