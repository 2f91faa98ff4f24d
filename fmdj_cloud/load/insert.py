"""All rows of a run in one short transaction, or none."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fmdj_cloud.contracts import Kind, RunRecord, RunState
from fmdj_cloud.errors import DatabaseError, DeadlockError, FmdjError
from fmdj_cloud.load.meaning import meaning_of
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
        If the rows don't fit the tables, or the database's rules or limits are against them.
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
        if written is None or isinstance(error, DeadlockError):
            raise
        if not _was_committed(database, ledger, run):
            # deferred constraints, and limits of replication, are answers to the commit
            raise _of_commit(error, run, database) from error
        logger.warning("The answer to the commit of run %s was lost; it is loaded. %s", run.run_id, error.sentence)
    _count(prepared, writer.rows)
    return Insertion(LoadEnd.LOADED, rows=writer.rows)


def _of_commit(error: DatabaseError, run: RunRecord, database: Database) -> FmdjError:
    meaning = meaning_of(error.__cause__, run.run_id, database.dialect) if error.__cause__ is not None else None
    return error if meaning is None else meaning


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
    except Exception as error:
        meaning = meaning_of(error, run.run_id, database.dialect)
        if meaning is None:
            raise
        raise meaning from error
