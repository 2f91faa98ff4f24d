"""Is the database fit for what we write: is it writable, how much at a time, in what condition are the schemas?"""

from __future__ import annotations

from collections.abc import Iterator

from fmdj_cloud.control.finding import Finding, Verdict, judged
from fmdj_cloud.pipeline.condition import SchemaCondition, condition_of, without_lineage
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.formats import Format, format_of
from fmdj_cloud.pipeline.lab import Lab

_MIB = 1 << 20
_LOAD_MIB = 1536
"""The loader writes a recording in one transaction; the largest ones that we load have 1.4 GB."""
_BYTES_PER_FRAME = 2000
"""Of 500 components of float32."""
_VARIABLES = (
    "binlog_format",
    "group_replication_transaction_size_limit",
    "log_bin",
    "max_binlog_cache_size",
    "read_only",
    "wsrep_max_ws_size",
    "wsrep_on",
)


def diagnose_writing(database: Database) -> Iterator[Finding]:
    """Check that the server takes what we write: not read-only, its binary log, the size of a transaction."""
    if database.backend == "postgresql":
        ((replica,),) = database.query("SELECT pg_is_in_recovery()")
        yield _primary(bool(replica))
        return
    marks = ", ".join(["%s"] * len(_VARIABLES))
    rows = database.query(f"SHOW GLOBAL VARIABLES WHERE variable_name IN ({marks})", _VARIABLES)
    values = {str(name).lower(): str(value) for name, value in rows}
    yield _primary(values.get("read_only", "OFF") not in ("OFF", "0"))
    if values.get("log_bin", "OFF") in ("OFF", "0"):
        yield Finding(check="binary log", verdict=Verdict.NOT_APPLICABLE, found="This server keeps none.")
    else:
        used = values.get("binlog_format", "ROW")
        yield judged(
            "binary log",
            used != "STATEMENT",
            f"binlog_format is {used}.",
            "SET GLOBAL binlog_format = 'ROW', and the same in the server's configuration: MySQL refuses the "
            "transactions of ours (READ COMMITTED) with STATEMENT.",
            Verdict.FAIL,
        )
    yield _transaction(values)


def diagnose_schemas(database: Database, lab: Lab) -> Iterator[Finding]:
    """Check a lab's schemas: format, shape, columns that we don't fill, lineage."""
    ours = format_of(lab.signals.Pupil)
    for found in condition_of(lab):
        yield _tables(found, ours if found.schema_name == lab.element.schema else None)
        if found.unfilled:
            yield Finding(
                check=f"columns of {found.schema_name}",
                verdict=Verdict.FAIL,
                found=f"{', '.join(found.unfilled)} can't be NULL and have no default.",
                remedy="Give them a default: they aren't the Element's, and no result can be inserted without them.",
            )
    schemas = (lab.settings.behavior_schema, lab.settings.inference_schema, database.ledger_schema)
    for schema in schemas:
        missing = without_lineage(database, schema) if schema else None
        if missing is not None:
            yield judged(
                f"lineage of {schema}",
                not missing,
                f"~lineage of {schema} "
                + (f"lacks {len(missing)} tables, such as {missing[0]}." if missing else "knows all tables."),
                f"DataJoint 2's joins of them fail: run dj.Schema({schema!r}).rebuild_lineage() in 2.x (first in the "
                f"schemas that it refers to), or DROP TABLE `{schema}`.`~lineage` where all clients are 0.14's.",
            )


def _tables(found: SchemaCondition, ours: Format | None) -> Finding:
    check, formats = f"tables of {found.schema_name}", set(found.formats.values())
    if len(formats) > 1:
        old = ", ".join(sorted(name for name, one in found.formats.items() if one is Format.NATIVE))
        return Finding(
            check=check,
            verdict=Verdict.WARN,
            found=f"They are those of {found.element}; {old} are as DataJoint 0.14 declares them, others as 2.x does.",
            remedy="Finish the migration with datajoint.migrate.migrate_columns: as they are, 0.14 can't read those "
            "others, and 2.x gives bytes for the arrays in these.",
        )
    what = f"They are those of {found.element}, declared by DataJoint {next(iter(formats))}"
    if ours is None or formats == {ours}:
        return Finding(check=check, verdict=Verdict.OK, found=f"{what}.")
    remedy = "Run `fmdj migrate`, which brings Pupil, Blink and Running into the same format."
    return Finding(check=check, verdict=Verdict.WARN, found=f"{what}, and our tables as for {ours}.", remedy=remedy)


def _primary(read_only: bool) -> Finding:
    return judged(
        "writing",
        not read_only,
        "The server is read-only, as replicas are." if read_only else "The server takes writes.",
        "Point `database.host` at the primary server: ledger and results are written.",
        Verdict.FAIL,
    )


def _transaction(values: dict[str, str]) -> Finding:
    limits = {}
    if values.get("log_bin", "OFF") not in ("OFF", "0"):
        limits["max_binlog_cache_size"] = int(values.get("max_binlog_cache_size", 0))
    if values.get("wsrep_on", "OFF") not in ("OFF", "0"):
        limits["wsrep_max_ws_size"] = int(values.get("wsrep_max_ws_size", 0))
    group = int(values.get("group_replication_transaction_size_limit", 0))
    if group:  # 0 is none
        limits["group_replication_transaction_size_limit"] = group
    if not limits:
        return Finding(check="transaction size", verdict=Verdict.OK, found="The server sets no limit.")
    name, least = min(limits.items(), key=lambda one: one[1])
    return judged(
        "transaction size",
        least >= _LOAD_MIB * _MIB,
        f"{name} is {least / _MIB:.0f} MiB, and a load is one transaction: 500 components of up to "
        f"{least // _BYTES_PER_FRAME} frames.",
        f"SET GLOBAL {name} = {_LOAD_MIB * _MIB}; and the same in the server's configuration.",
    )
