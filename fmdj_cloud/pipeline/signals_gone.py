"""Rows of Pupil, Blink and Running whose FacialSignal is gone: no foreign key takes them along."""

from __future__ import annotations

from typing import Any

from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.keys import KeyColumns
from fmdj_cloud.pipeline.lab import Lab


def count_gone(database: Database, lab: Lab) -> dict[str, tuple[int, int]]:
    """Return table name -> (rows, bytes) of signals whose FacialSignal is gone; tables without any are left out."""
    found = {}
    for table in _tables(lab):
        blobs = [name for name in table.heading.names if table.heading[name].is_blob]
        size = " + ".join(f"OCTET_LENGTH({database.identifier(name)})" for name in blobs)
        among = f"FROM {table.full_table_name} WHERE {_gone(lab, table, database)}"
        sql = f"SELECT COUNT(*), COALESCE(SUM({size}), 0) {among}"
        ((rows, length),) = database.query(sql)
        if rows:
            found[str(table.table_name)] = int(rows), int(length)
    return found


def delete_gone(database: Database, lab: Lab, table_name: str) -> int:
    """Delete the rows of one signal table whose FacialSignal is gone, and return how many there were.

    One statement: rows that a loader is about to commit with their FacialSignal aren't seen by it.
    """
    (table,) = (one for one in _tables(lab) if one.table_name == table_name)
    with database.transaction():
        return database.execute(f"DELETE FROM {table.full_table_name} WHERE {_gone(lab, table, database)}")


def _tables(lab: Lab) -> tuple[Any, ...]:
    return lab.signals.Pupil(), lab.signals.Blink(), lab.signals.Running()


def _gone(lab: Lab, table: Any, database: Database) -> str:
    signal = lab.element.FacialSignal
    same = KeyColumns.of(database, signal).equal("s", str(table.full_table_name))
    return f"NOT EXISTS (SELECT 1 FROM {signal.full_table_name} s WHERE {same})"
