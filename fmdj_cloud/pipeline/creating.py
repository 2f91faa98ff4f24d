"""Our tables on MySQL and MariaDB: created by statements of ours, in the lab's format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import datajoint as dj
from datajoint.utils import from_camel_case

from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ddl import Collation, Definition, create_table, modify_columns, read_definition
from fmdj_cloud.pipeline.formats import Format


def create_tables(database: Database, tables: Iterable[Any], like: Any, clients: Format) -> None:
    """Create tables of our schema, which exists, with their parts, where they don't exist.

    Parameters
    ----------
    database : Database
        On MySQL or MariaDB.
    tables : iterable of type
        Classes of DataJoint's with a definition; masters before what refers to them.
    like : datajoint table or None
        The lab's table whose key they copy.
    clients : Format

    Raises
    ------
    ConfigError
        If an attribute is of a type that these tables don't have.
    """
    schema = database.ledger_schema
    collations = {} if like is None else _collations(database, like)
    for definition in _definitions(tables):
        database.execute(create_table(schema, definition, clients, collations))
    database.connection.dependencies.clear()


def reformat_tables(database: Database, tables: Iterable[Any], like: Any, clients: Format) -> None:
    """Make tables of our schema that exist, without parts, readable to other clients.

    Parameters
    ----------
    database : Database
        On MySQL or MariaDB.
    tables : iterable of type
        Classes of DataJoint's with a definition.
    like : datajoint table
        The lab's table whose key they copy.
    clients : Format
    """
    collations = _collations(database, like)
    for definition in _definitions(tables):
        database.execute(modify_columns(database.ledger_schema, definition, clients, collations))


def _definitions(tables: Iterable[Any]) -> Iterable[Definition]:
    for table in tables:
        name = str(from_camel_case(table.__name__))
        known = {"master": read_definition(name, table.definition, {})}
        yield known["master"]
        parts: list[Any] = [part for part in vars(table).values() if isinstance(part, type)]
        for part in parts:
            if issubclass(part, dj.Part):
                part_name = f"{name}__{from_camel_case(part.__name__)}"
                made = known[f"master.{part.__name__}"] = read_definition(part_name, part.definition, known)
                yield made


def _collations(database: Database, table: Any) -> dict[str, Collation]:
    """Return character set and collation of the strings in a table's key."""
    schema, name = database.connection.adapter.split_full_table_name(table.full_table_name)
    rows = database.query(
        "SELECT column_name, character_set_name, collation_name FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = %s AND collation_name IS NOT NULL",
        (schema, name),
    )
    return {
        str(column): (str(charset), str(collation))
        for column, charset, collation in rows
        if column in table.primary_key
    }
