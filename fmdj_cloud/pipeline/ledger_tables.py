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

SENTENCE_MAX = 2000
EVIDENCE_MAX = 4000
"""Characters; MySQL gives a row 65,535 bytes, and a character up to four."""

_VERSION = """
# Version of these tables: one row
version_id : int8
---
version    : int32
fmdj       : varchar(32)  # that made or migrated them
since      : datetime(6)
"""
_PIPELINE = """
# Pipelines that a controller has seen
name       : varchar(24)
---
first_seen : datetime(6)
brake      : bool         # whether the first-start brake holds its tasks
engine     : varchar(16)  # fixed at first sight
basis      : varchar(32)  # likewise
"""
_LEADER = """
# Who leads: one row
leader_id : int8
---
holder    : varchar(255)
epoch     : int64         # raised whenever leadership changes or was lost
expires   : datetime(6)
"""
_REQUEST = """
# What people ask a running controller for
request_id : char(32)
---
what       : varchar(64)
asked_by   : varchar(255)
state      : varchar(16)
sentence   : varchar(2000)
created    : datetime(6)
updated    : datetime(6)
index(state)
"""
_RUN = """
# What is computed for a task
run_id             : varchar(32)
---
kind               : varchar(8)
task_kind          : varchar(8)     # of the task table
pipeline           : varchar(24)
task               : varchar(4000)  # canonical key
task_digest        : varchar(64)
content_digest     : varchar(64)
param_digest       : varchar(64)
state              : varchar(16)
wanted             : varchar(8)
attempt            : int32
priority           : int32          # lower is more urgent
output_dir         : varchar(1500)
manifest_sha256=null : varchar(64)
failure_class=null : varchar(16)
sentence           : varchar(2000)
not_before=null    : datetime(6)
failures           : varchar(1000)  # JSON: failed attempts by class
estimate           : varchar(1000)  # JSON
profile            : varchar(32)    # asked for by name; empty is the kind's own
shards=null        : int32          # at most; null computes in one piece
plan               : bytes          # JSON
created            : datetime(6)
updated            : datetime(6)
index(state, priority)
index(task_digest)
index(content_digest)
"""
_ATTEMPT = """
# A numbered try of a run
-> master
attempt      : int32
---
folder       : varchar(1500)
spec_sha256  : varchar(64)
started      : datetime(6)
finished=null : datetime(6)
outcome=null : varchar(16)
sentence     : varchar(2000)
evidence     : varchar(4000)  # JSON
limits       : varchar(1000)  # JSON
stage        : varchar(16)    # that it has come to
"""
_JOB = """
# A Job of an attempt
-> master.Attempt
stage        : varchar(16)
---
launcher     : varchar(32)
job_name     : varchar(63)
job_uid=null : varchar(255)
shards       : int32          # pods that it takes in all
pods         : int32          # and at a time
node=null    : varchar(255)
outcome=null : varchar(16)
gpu_seconds=null : float64
"""
_ACCEPTANCE = """
# Checks that a person has overridden for a task
task_digest  : varchar(64)
check_name   : varchar(32)
---
param_digest : varchar(64)   # of the task as it was then: an edit ends it
accepted_by  : varchar(255)
accepted     : datetime(6)
"""
_RECOMPUTE = """
# Tasks that are to be computed anew when they are planned next, whatever outputs there are
task_digest : varchar(64)
---
asked_by    : varchar(255)
asked       : datetime(6)
"""
_CLAIM = """
# The FacemapRun that a task belongs to
task_digest        : varchar(64)
---
owner              : varchar(64)    # UID of the FacemapRun
owner_name         : varchar(253)
pipeline           : varchar(24)
kind               : varchar(8)
task               : varchar(4000)  # canonical key
priority=null      : int32          # what it asks for; null leaves it as it is
profile            : varchar(32)    # likewise; empty is the kind's own
time_budget_s=null : float64        # likewise; null is by the estimate
shards             : varchar(16)    # likewise
held               : bool           # whether the FacemapRun is suspended
stopped            : bool           # whether the run is held for that
leaving            : bool           # no longer wanted: the run is being cancelled
since              : datetime(6)
index(owner)
"""
_BINDING = """
---
task_digest        : varchar(64)
state              : varchar(16)
since              : datetime(6)
next_look=null     : datetime(6)
failure_class=null : varchar(16)
sentence           : varchar(2000)
priority           : int32        # lower is more urgent
wanted             : varchar(8)
param_digest       : varchar(64)
changed            : int32        # new plans after an input changed
run_id=null        : varchar(32)
unique index(task_digest)
index(run_id)
"""
VERSION_TABLE = "schema_version"
TABLES = ("pipeline", "leader", "request", "run", "run__attempt", "run__job", "acceptance", "recompute", "claim")
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
    declare(database, table_class("SchemaVersion", dj.Manual, _VERSION, "Version of these tables."))


def declare_tables(database: Database) -> None:
    """Declare the tables of our schema that it doesn't have yet.

    Raises
    ------
    ConfigError
        If they can't be created.
    """
    run_parts = {
        "Attempt": table_class("Attempt", dj.Part, _ATTEMPT, "Attempts of a run."),
        "Job": table_class("Job", dj.Part, _JOB, "Jobs of an attempt."),
    }
    declare(
        database,
        table_class("Pipeline", dj.Manual, _PIPELINE, "Pipelines."),
        table_class("Leader", dj.Manual, _LEADER, "The leader."),
        table_class("Request", dj.Manual, _REQUEST, "Requests."),
        table_class("Run", dj.Manual, _RUN, "Runs.", **run_parts),
        table_class("Acceptance", dj.Manual, _ACCEPTANCE, "Checks that a person has overridden."),
        table_class("Recompute", dj.Manual, _RECOMPUTE, "Tasks to compute anew."),
        table_class("Claim", dj.Manual, _CLAIM, "Tasks that belong to a FacemapRun."),
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
        made = table_class(name, dj.Manual, f"# {doc}\n{keys}{_BINDING}", doc)
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
