"""The version of our schema: opened, refused or brought to what this program knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fmdj_cloud import __version__
from fmdj_cloud.contracts import Frozen
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger_columns import add_stages, add_task_kinds
from fmdj_cloud.pipeline.ledger_tables import TABLES, VERSION_TABLE, declare_tables, declare_version

SCHEMA_VERSION = 4
"""Raised whenever a table or column of ours changes; :data:`MIGRATIONS` says how to get there."""

MIGRATIONS: Mapping[int, Callable[[Database], None]] = {
    0: declare_tables,
    1: add_task_kinds,
    2: add_stages,
    3: declare_tables,  # brings Quality
}
"""From each older version to the next. A step may be repeated: MySQL commits every change of a table by itself."""


class Migration(Frozen):
    """What a migration did."""

    schema_name: str
    before: int | None
    """None where there was no ledger."""
    after: int = SCHEMA_VERSION


def open_schema(database: Database) -> None:
    """Make sure that our schema is there, in the version that this program knows.

    Raises
    ------
    ConfigError
        If it can't be created, or is older (``fmdj migrate``) or newer than this program.
    """
    found = database.tables(database.ledger_schema)
    version = version_of(database, found)
    if version is None:
        _create(database)
        return
    if version < SCHEMA_VERSION:
        raise ConfigError(
            f"The ledger {database.ledger_schema!r} has version {version} and this fmdj works with {SCHEMA_VERSION}: "
            "stop all controllers and loaders, and run `fmdj migrate`."
        )
    _refuse_newer(database, version)
    if not set(TABLES) <= found:  # somebody died while they were declared
        declare_tables(database)


def migrate(database: Database) -> Migration:
    """Create our schema, or bring an older one to this program's version.

    Raises
    ------
    ConfigError
        If it is newer, a controller leads, or the user may not change tables.
    """
    name = database.ledger_schema
    with database.exclusive(f"fmdj-migrate-{name}"):
        found = database.tables(name)
        before = version_of(database, found)
        if before is None or before == SCHEMA_VERSION:
            open_schema(database)
            return Migration(schema_name=name, before=before)
        _refuse_newer(database, before)
        _refuse_led(database)
        declare_version(database)
        for version in range(before, SCHEMA_VERSION):
            MIGRATIONS[version](database)
            _set_version(database, version + 1)
        return Migration(schema_name=name, before=before)


def version_of(database: Database, found: set[str] | None = None) -> int | None:
    """Return the version of our schema; None if there is none, 0 if it is from before versions were kept."""
    tables = database.tables(database.ledger_schema) if found is None else found
    if VERSION_TABLE in tables:
        rows = database.query(f"SELECT version FROM {_version_table(database)} WHERE version_id = 1")
        if rows:
            return int(rows[0][0])
    return 0 if tables & set(TABLES) else None


def _create(database: Database) -> None:
    declare_version(database)
    _set_version(database, SCHEMA_VERSION)
    declare_tables(database)


def _set_version(database: Database, version: int) -> None:
    table, clock = _version_table(database), database.dialect.now
    with database.transaction():
        row = {"version_id": 1, "version": version, "fmdj": __version__}
        if not database.insert_new(table, row, ["version_id"], clock=("since",)):
            sql = f"UPDATE {table} SET version = %s, fmdj = %s, since = {clock} WHERE version_id = 1"
            database.execute(sql, (version, __version__))


def _refuse_newer(database: Database, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"The ledger {database.ledger_schema!r} has version {version}, made by a newer fmdj; this one knows "
            f"{SCHEMA_VERSION}: install the newer fmdj here too."
        )


def _refuse_led(database: Database) -> None:
    leader = database.quote(database.ledger_schema, "leader")
    sql = f"SELECT holder FROM {leader} WHERE holder <> '' AND expires > {database.dialect.now}"
    for (holder,) in database.query(sql):
        raise ConfigError(f"The controller {holder} leads: stop all controllers and loaders, and migrate then.")


def _version_table(database: Database) -> str:
    return database.quote(database.ledger_schema, VERSION_TABLE)
