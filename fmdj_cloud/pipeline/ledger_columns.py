"""Columns that older ledgers don't have: added where they are missing, so that a migration may be repeated."""

from __future__ import annotations

from fmdj_cloud.contracts import Kind, Stage
from fmdj_cloud.pipeline.database import Database


def add_column(database: Database, table: str, column: str, definition: str) -> None:
    """Add a column to one of our tables unless it is there.

    Parameters
    ----------
    database : Database
    table, column : str
        Bare names.
    definition : str
        SQL type, with the default that rows have which are there.
    """
    schema = database.ledger_schema
    sql = (
        "SELECT COUNT(*) FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = %s AND column_name = %s"
    )
    ((found,),) = database.query(sql, (schema, table, column))
    if not found:
        database.execute(f"ALTER TABLE {database.quote(schema, table)} ADD COLUMN {column} {definition}")


def add_index(database: Database, table: str, column: str) -> None:
    """Add an index on a column of one of our tables unless there is one that begins with it.

    Parameters
    ----------
    database : Database
    table, column : str
        Bare names.
    """
    schema = database.ledger_schema
    if database.backend == "postgresql":
        sql = "SELECT COUNT(*) FROM pg_indexes WHERE schemaname = %s AND tablename = %s AND indexdef LIKE %s"
        args: tuple[str, ...] = (schema, table, f"%({column}%")
    else:
        sql = (
            "SELECT COUNT(*) FROM information_schema.statistics WHERE table_schema = %s AND table_name = %s "
            "AND column_name = %s AND seq_in_index = 1"
        )
        args = (schema, table, column)
    ((found,),) = database.query(sql, args)
    if not found:
        database.execute(f"CREATE INDEX {table}_{column} ON {database.quote(schema, table)} ({column})")


def add_task_kinds(database: Database) -> None:
    """Version 2: a run says which task table its task is in; until then there was one."""
    add_column(database, "run", "task_kind", f"varchar(8) DEFAULT '{Kind.SVD.value}' NOT NULL")


def add_stages(database: Database) -> None:
    """Version 3: an attempt has a Job for every stage; until then it had one. Equal content is looked for."""
    add_column(database, "run", "shards", "int")
    add_column(database, "run__attempt", "stage", f"varchar(16) DEFAULT '{Stage.ALL.value}' NOT NULL")
    add_column(database, "run__job", "shards", "int DEFAULT 1 NOT NULL")
    add_column(database, "run__job", "pods", "int DEFAULT 1 NOT NULL")
    add_index(database, "run", "content_digest")
