"""All rows of a run in one short transaction, or none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datajoint.errors import (
    DataJointError,
    DuplicateError,
    IntegrityError,
    MissingAttributeError,
    UnknownAttributeError,
)

from fmdj_cloud.contracts import Manifest, RunRecord, RunState
from fmdj_cloud.errors import DatabaseError, DeadlockError, LoadError, LostRaceError
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.load.rows import Shape, Table, processing_row, recording_info_row, signal_batches
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.inserting import insert_rows, largest_statement
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.telemetry import LOADER_BYTES, LOADER_ROWS, TRANSACTION_SECONDS


@dataclass(frozen=True)
class Prepared:
    """A run whose outputs are here, verified and checked.

    Attributes
    ----------
    run : RunRecord
    key : Mapping
        Primary key of its task, native values.
    manifest : Manifest
    signals : SignalsReader
    output_dir : str or None
        New value of ``facemap_output_dir``; None leaves it as it is.
    """

    run: RunRecord
    key: Mapping[str, Any]
    manifest: Manifest
    signals: SignalsReader
    output_dir: str | None


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
    rows: dict[str, int] = {}
    try:
        with TRANSACTION_SECONDS.labels(run.pipeline).time(), _translated(database, run), database.transaction():
            if not ledger.mark_loaded(run.run_id, run.attempt, str(run.manifest_sha256)):
                return Insertion(LoadEnd.LOST, "Its state changed meanwhile, or it shall not run.")
            _withdraw_if_changed(lab, prepared)
            _write_element(lab, prepared, rows)
            _write_signals(lab, prepared, slice_bytes, rows)
    except _WithdrawnError as withdrawn:
        why = str(withdrawn)
        won = ledger.supersede(run.run_id, RunState.PUBLISHED, run.attempt, why)
        return Insertion(LoadEnd.SUPERSEDED if won else LoadEnd.LOST, why)
    _count(prepared, rows)
    return Insertion(LoadEnd.LOADED, rows=rows)


def _count(prepared: Prepared, rows: Mapping[str, int]) -> None:
    pipeline = prepared.run.pipeline
    for table, number in rows.items():
        LOADER_ROWS.labels(table, pipeline).inc(number)
    LOADER_BYTES.labels(pipeline).inc(sum(file.size for file in prepared.manifest.files if file.role == "signals"))


def _withdraw_if_changed(lab: Lab, prepared: Prepared) -> None:
    key = dict(prepared.key)
    # Nobody can edit the task between this look at it and the commit
    digest = lab.tasks.param_digests([key], lock=True).get(canonical_key(key))
    if digest is None:
        raise _WithdrawnError("The task was deleted while it was computed.")
    if digest != prepared.run.param_digest:
        raise _WithdrawnError("The task's parameters were edited while it was computed.")
    if lab.tasks.has_result([key]):
        raise _WithdrawnError("The task has a result that somebody else inserted; it stays as it is.")


def _write_element(lab: Lab, prepared: Prepared, rows: dict[str, int]) -> None:
    element, key = lab.element, dict(prepared.key)
    processing = processing_row(key, prepared.manifest)
    if element.FacemapProcessing & key:  # without a result: it told of one that was deleted
        element.FacemapProcessing.update1(processing)
    else:
        _insert(lab, element.FacemapProcessing, [processing])
        rows["FacemapProcessing"] = 1
    if prepared.output_dir is not None:
        element.FacemapTask.update1({**key, "facemap_output_dir": prepared.output_dir})
    recording = {name: key[name] for name in element.RecordingInfo.primary_key}
    info = recording_info_row(recording, prepared.manifest)
    if info is not None and not element.RecordingInfo & recording:
        _insert(lab, element.RecordingInfo, [info])
        rows["RecordingInfo"] = 1


def _write_signals(lab: Lab, prepared: Prepared, slice_bytes: int, rows: dict[str, int]) -> None:
    key, element = dict(prepared.key), lab.element
    tables = {
        Table.FACIAL_SIGNAL: element.FacialSignal,
        Table.REGION: element.Region,
        Table.MOTION_SVD: element.MotionSVD,
        Table.MOVIE_SVD: element.MovieSVD,
        Table.SUMMARY: element.Summary,
        Table.PUPIL: lab.signals.Pupil,
        Table.BLINK: lab.signals.Blink,
        Table.RUNNING: lab.signals.Running,
    }
    # Without foreign keys into the lab's schema, ours outlive result rows that the lab deleted
    for table in (Table.PUPIL, Table.BLINK, Table.RUNNING):
        (tables[table] & key).delete_quick()
    heading = element.Region.heading
    optional = ("xrange", "yrange", "xrange_bin", "yrange_bin", "motion")
    shape = Shape(element.component, frozenset(name for name in optional if not heading[name].nullable))
    largest = largest_statement(element.database)
    for batch in signal_batches(key, prepared.signals, shape, min(slice_bytes, largest or slice_bytes)):
        _insert(lab, tables[batch.table], batch.rows, largest)
        rows[batch.table.value] = rows.get(batch.table.value, 0) + len(batch.rows)


def _insert(lab: Lab, table: Any, rows: Sequence[Mapping[str, Any]], largest: int | None = None) -> None:
    unknown = {name for row in rows for name in row} - set(table.heading.names)
    if unknown:
        raise LoadError(
            f"{table.__name__} has no attribute {', '.join(sorted(unknown))}: its schema is none of element-facemap 0.1"
            " to 0.3; correct behavior_schema in the settings."
        )
    insert_rows(lab.element.database, table, rows, largest=largest)


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
