"""Runs that are over, kept as they are while what they have left is deleted."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from fmdj_cloud.contracts import Kind, RunState
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger import Ledger

_AT_A_TIME = 10_000


class OldRun(NamedTuple):
    """What matters of a run where all of them are gone through: a hundred thousand must fit into memory."""

    run_id: str
    kind: Kind
    task_kind: Kind
    pipeline: str
    task: str
    content_digest: str
    state: RunState
    attempt: int
    manifest_sha256: str | None
    updated: dt.datetime


def all_runs(ledger: Ledger) -> list[OldRun]:
    """Return all runs there are, by their ids.

    Raises
    ------
    DatabaseError
        If the database doesn't answer.
    """
    found: list[OldRun] = []
    sql = (
        f"SELECT {', '.join(OldRun._fields)} FROM {ledger.run_table} WHERE run_id > %s ORDER BY run_id "
        f"LIMIT {_AT_A_TIME}"
    )
    while rows := ledger.database.query(sql, (found[-1].run_id if found else "",)):
        found += map(_old_run, rows)
    return found


def _old_run(row: tuple[Any, ...]) -> OldRun:
    run = OldRun(*row)
    return run._replace(
        kind=Kind(run.kind),
        task_kind=Kind(run.task_kind),
        pipeline=sys.intern(run.pipeline),
        state=RunState(run.state),
        attempt=int(run.attempt),
    )


@contextlib.contextmanager
def kept_over(ledger: Ledger, run_id: str, state: RunState, attempt: int, updated: dt.datetime) -> Iterator[bool]:
    """Lock a run's row, so that nobody brings it back to life inside; yield whether it still is as it was seen.

    Whoever wants it back waits for the end of this transaction, which must be short: the server ends one in which
    nothing happens for a minute.

    Parameters
    ----------
    ledger : Ledger
    run_id : str
    state : RunState
    attempt : int
    updated : datetime
        When it last changed.

    Raises
    ------
    DatabaseError
        If the database is gone, or the row stays locked by somebody else.
    """
    sql = f"SELECT state, attempt, updated FROM {ledger.run_table} WHERE run_id = %s FOR UPDATE"
    with ledger.database.transaction():
        yield ledger.database.query(sql, (run_id,)) == [(state.value, attempt, updated)]


def give_up_outputs(ledger: Ledger, run_id: str, state: RunState, attempt: int, updated: dt.datetime) -> bool:
    """Pin no manifest of a run any more, so that its outputs are not loaded again; False if it changed meanwhile.

    When it last changed stays as it is: ages count from that.
    """
    with kept_over(ledger, run_id, state, attempt, updated) as over:
        if over:
            sql = f"UPDATE {ledger.run_table} SET manifest_sha256 = NULL, updated = updated WHERE run_id = %s"
            ledger.database.execute(sql, (run_id,))
    return over


def named_runs(database: Database, table: str, column: str) -> list[tuple[str, str]]:
    """Return (task_mode, output directory) of all tasks of a task table that say one.

    Parameters
    ----------
    database : Database
    table : str
        Quoted full name.
    column : str
        Of the output directory.
    """
    name = database.identifier(column)
    sql = f"SELECT task_mode, {name} FROM {table} WHERE {name} IS NOT NULL AND {name} <> ''"
    return [(str(mode), str(folder)) for mode, folder in database.query(sql)]


def loading_from(database: Database, table: str, column: str, names: Collection[str]) -> list[str]:
    """Return the output directories of tasks that load what is there already, as far as they hold one of `names`.

    Parameters
    ----------
    database : Database
    table : str
        Quoted full name of the task table.
    column : str
        Of the output directory.
    names : collection of str
        Of folders.
    """
    name = database.identifier(column)
    like = " OR ".join([f"{name} LIKE %s"] * len(names))
    sql = f"SELECT {name} FROM {table} WHERE task_mode = 'load' AND ({like})"
    return [str(folder) for (folder,) in database.query(sql, tuple(f"%{one}%" for one in names))]


def is_named(database: Database, table: str, column: str, run_id: str) -> bool:
    """Tell whether the output directory of a task names a run."""
    name = database.identifier(column)
    return bool(database.query(f"SELECT 1 FROM {table} WHERE {name} LIKE %s LIMIT 1", (f"%{run_id}%",)))
