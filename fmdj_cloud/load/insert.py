"""All rows of a run in one short transaction, or none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from datajoint.errors import (
    DataJointError,
    DuplicateError,
    IntegrityError,
    MissingAttributeError,
    UnknownAttributeError,
)

from fmdj_cloud.contracts import Kind, RunRecord, RunState
from fmdj_cloud.errors import DatabaseError, DeadlockError, LoadError, LostRaceError
from fmdj_cloud.load.pose_tables import write_pose
from fmdj_cloud.load.prepare import Prepared
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.load.svd_tables import write_svd
from fmdj_cloud.load.writing import RowWriter
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.telemetry import LOADER_BYTES, LOADER_ROWS, TRANSACTION_SECONDS

_WRITE: dict[Kind, Callable[[Lab, Prepared, RowWriter], None]] = {Kind.SVD: write_svd, Kind.POSE: write_pose}
"""By the kind of the task table."""


@dataclass
class Insertion:
    """What an insertion did.

    Attributes
    ----------
    end : LoadEnd
        LOADED, LOST or SUPERSEDED.
    why : str
        Sentence, unless it loaded.
    rows : dict
        Table -> rows inserted.
    """

    end: LoadEnd
    why: str = ""
    rows: dict[str, int] = field(default_factory=dict)


class _WithdrawnError(Exception):
    """Rolls the transaction back."""


def insert_run(database: Database, ledger: Ledger, lab: Lab, prepared: Prepared, slice_bytes: int) -> Insertion:
    """Write all rows of a run, and mark it loaded, in one transaction.

    Parameters
    ----------
    database : Database
    ledger : Ledger
    lab : Lab
        The run's pipeline, on the same connection.
    prepared : Prepared
    slice_bytes : int
        Bytes of arrays in one statement, at most.

    Returns
    -------
    Insertion

    Raises
    ------
    LoadError
        If the rows don't fit the tables.
    LostRaceError
        If somebody wrote rows of the same key, or deleted the task, meanwhile: look again.
    DatabaseError
        If the database fails; whether the transaction was committed is then told by the run's state.
    """
    return database.repeated(lambda: _insert_once(database, ledger, lab, prepared, slice_bytes))


def _insert_once(database: Database, ledger: Ledger, lab: Lab, prepared: Prepared, slice_bytes: int) -> Insertion:
    run = prepared.run
    try:
        with TRANSACTION_SECONDS.labels(run.pipeline).time(), _translated(database, run), database.transaction():
            if not ledger.mark_loaded(run.run_id, run.attempt, str(run.manifest_sha256)):
                return Insertion(LoadEnd.LOST, "Its state changed meanwhile, or it shall not run.")
            _withdraw_if_changed(lab, prepared)
            writer = RowWriter(lab, slice_bytes)
            _WRITE[run.task_kind](lab, prepared, writer)
    except _WithdrawnError as withdrawn:
        why = str(withdrawn)
        won = ledger.supersede(run.run_id, RunState.PUBLISHED, run.attempt, why)
        return Insertion(LoadEnd.SUPERSEDED if won else LoadEnd.LOST, why)
    _count(prepared, writer.rows)
    return Insertion(LoadEnd.LOADED, rows=writer.rows)


def _count(prepared: Prepared, rows: Mapping[str, int]) -> None:
    pipeline = prepared.run.pipeline
    for table, number in rows.items():
        LOADER_ROWS.labels(table, pipeline).inc(number)
    LOADER_BYTES.labels(pipeline).inc(sum(file.size for file in prepared.manifest.files if file.role == "signals"))


def _withdraw_if_changed(lab: Lab, prepared: Prepared) -> None:
    key, tasks = dict(prepared.key), lab.tasks_of(prepared.run)
    # Nobody can edit the task between this look at it and the commit
    digest = tasks.param_digests([key], lock=True).get(canonical_key(key))
    if digest is None:
        raise _WithdrawnError("The task was deleted while it was computed.")
    if digest != prepared.run.param_digest:
        raise _WithdrawnError("The task's parameters were edited while it was computed.")
    if tasks.has_result([key]):
        raise _WithdrawnError("The task has a result that somebody else inserted; it stays as it is.")


@contextlib.contextmanager
def _translated(database: Database, run: RunRecord) -> Iterator[None]:
    """Tell what is wrong with the rows for good from a race that somebody else won and from trouble that passes."""
    try:
        yield
    except (DuplicateError, IntegrityError) as error:
        raise LostRaceError(f"Rows of the task of run {run.run_id} changed while it was loaded: {error}") from error
    except (MissingAttributeError, UnknownAttributeError) as error:
        raise LoadError(f"The outputs of run {run.run_id} don't fit the tables: {error}") from error
    except (DataJointError, database.dialect.driver_error) as error:
        if any(base.__name__ == "DataError" for base in type(error).__mro__):  # DB-API: too long, out of range ...
            raise LoadError(f"The outputs of run {run.run_id} don't fit the tables: {error}") from error
        if database.dialect.is_deadlock(error):
            raise DeadlockError(
                f"Rows of run {run.run_id} were undone, since others held what they needed ({error}): load it again."
            ) from error
        raise DatabaseError(f"The database refused rows of run {run.run_id}: {error}") from error
