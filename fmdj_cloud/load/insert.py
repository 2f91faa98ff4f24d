"""All rows of a run in one short transaction, or none."""

from __future__ import annotations

import contextlib
import logging
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
from fmdj_cloud.load.pose_tables import keep_pose, write_pose
from fmdj_cloud.load.prepare import Prepared
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.load.svd_tables import keep_svd, write_svd
from fmdj_cloud.load.verdict import count_findings
from fmdj_cloud.load.writing import RowWriter
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.telemetry import LOADER_BYTES, LOADER_ROWS, TRANSACTION_SECONDS

logger = logging.getLogger(__name__)
_WRITE: dict[Kind, Callable[[Lab, Prepared, RowWriter], None]] = {Kind.SVD: write_svd, Kind.POSE: write_pose}
_KEEP: dict[Kind, Callable[[Lab, Prepared, int], None]] = {Kind.SVD: keep_svd, Kind.POSE: keep_pose}
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

    It takes, beside what the program itself takes, at most twelve times `slice_bytes` (a slice of the file, its rows
    packed, and what the driver makes of them for a statement) and 600 bytes for every frame (eight components of the
    file, one row's longest trace and what the driver makes of that): 0.16 GB for 500 components of 100,000 frames, and
    0.5 GB for a file of 1.4 GB.

    Parameters
    ----------
    database : Database
    ledger : Ledger
    lab : Lab
        The run's pipeline, on the same connection.
    prepared : Prepared
    slice_bytes : int
        Bytes of arrays in one statement, at most, but for a single larger value.

    Returns
    -------
    Insertion

    Raises
    ------
    LoadError
        If the rows don't fit the tables.
    LostRaceError
        If somebody wrote rows of the same key, or deleted the task, meanwhile: look again.
    StorageError
        If an object store doesn't take what columns keep there.
    DatabaseError
        If the database fails before the transaction is committed. Where its answer to the commit is lost, the run's
        state tells what came of it; if that can't be asked either, the next look at published runs tells.
    """
    lab.kept.begin()
    _KEEP[prepared.run.task_kind](lab, prepared, slice_bytes)
    return database.repeated(lambda: _insert_once(database, ledger, lab, prepared, slice_bytes))


def _insert_once(database: Database, ledger: Ledger, lab: Lab, prepared: Prepared, slice_bytes: int) -> Insertion:
    run = prepared.run
    written: dict[str, int] | None = None
    try:
        with TRANSACTION_SECONDS.labels(run.pipeline).time(), _translated(database, run), database.transaction():
            if not ledger.mark_loaded(run.run_id, run.attempt, str(run.manifest_sha256)):
                return Insertion(LoadEnd.LOST, "Its state changed meanwhile, or it shall not run.")
            _withdraw_if_changed(lab, prepared)
            writer = RowWriter(lab, slice_bytes)
            _WRITE[run.task_kind](lab, prepared, writer)
            ledger.keep_quality(run.run_id, run.attempt, prepared.quality)
            written = writer.rows
    except _WithdrawnError as withdrawn:
        why = str(withdrawn)
        won = ledger.supersede(run.run_id, RunState.PUBLISHED, run.attempt, why)
        return Insertion(LoadEnd.SUPERSEDED if won else LoadEnd.LOST, why)
    except DatabaseError as error:
        if written is None or isinstance(error, DeadlockError) or not _was_committed(database, ledger, run):
            raise
        logger.warning("The answer to the commit of run %s was lost; it is loaded. %s", run.run_id, error.sentence)
    _count(prepared, writer.rows)
    return Insertion(LoadEnd.LOADED, rows=writer.rows)


def _was_committed(database: Database, ledger: Ledger, run: RunRecord) -> bool:
    """Look whether a transaction whose commit was sent, and not answered, has become real."""
    if database.in_transaction:  # the caller's own, which is gone as a whole
        return False
    try:
        database.ensure_connected()
        found = ledger.run(run.run_id)
    except DatabaseError:
        return False  # nobody knows yet
    return found is not None and found.state is RunState.LOADED and found.attempt == run.attempt


def _count(prepared: Prepared, rows: Mapping[str, int]) -> None:
    pipeline = prepared.run.pipeline
    for table, number in rows.items():
        LOADER_ROWS.labels(table, pipeline).inc(number)
    count_findings(prepared.quality, pipeline)
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
        raise LostRaceError(
            f"Rows of the task of run {run.run_id} changed while it was loaded: {_told(error)}"
        ) from error
    except (MissingAttributeError, UnknownAttributeError) as error:
        raise LoadError(f"The outputs of run {run.run_id} don't fit the tables: {_told(error)}") from error
    except (DataJointError, database.dialect.driver_error) as error:
        if any(base.__name__ == "DataError" for base in type(error).__mro__):  # DB-API: too long, out of range ...
            raise LoadError(f"The outputs of run {run.run_id} don't fit the tables: {_told(error)}") from error
        if database.dialect.is_too_large(error):
            raise LoadError(
                f"The outputs of run {run.run_id} are larger than the database allows ({_told(error)}): raise that "
                "limit on the server (max_allowed_packet, or the size of the redo log), or load fewer components "
                "(load.max_components); retry the run then."
            ) from error
        if database.dialect.is_deadlock(error):
            raise DeadlockError(
                f"Rows of run {run.run_id} were undone, since others held what they needed ({_told(error)}): load "
                "it again."
            ) from error
        raise DatabaseError(f"The database refused rows of run {run.run_id}: {_told(error)}") from error
    except (
        OverflowError,
        UnicodeError,
        ValueError,
    ) as error:  # of the driver: a NUL in a text, a date beyond its years
        raise LoadError(f"The outputs of run {run.run_id} hold a value that no column takes: {_told(error)}") from error


def _told(error: Exception) -> str:
    """Return what a driver says in one line: some tell in several."""
    return " ".join(str(error).split())
