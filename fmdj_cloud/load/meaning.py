"""What it means when a database refuses a run's rows: for good, for now, or since others were first."""

from __future__ import annotations

from datajoint.errors import (
    DataJointError,
    DuplicateError,
    IntegrityError,
    MissingAttributeError,
    UnknownAttributeError,
)

from fmdj_cloud.errors import AnsweredError, DatabaseError, DeadlockError, FmdjError, LoadError, LostRaceError
from fmdj_cloud.pipeline.dialect import Dialect


def meaning_of(error: BaseException, run_id: str, dialect: Dialect) -> FmdjError | None:
    """Return what an error of DataJoint, of the driver, or of building a statement means for a load.

    Parameters
    ----------
    error : BaseException
    run_id : str
    dialect : Dialect
        Of the server that refused.

    Returns
    -------
    FmdjError or None
        LoadError if the rows can never be taken as they are, LostRaceError if others wrote first, DeadlockError if it
        may be repeated at once, AnsweredError if the server answered something else, DatabaseError if it didn't; None
        for an error of none of these sources.
    """
    if isinstance(error, DuplicateError | IntegrityError):
        return LostRaceError(f"Rows of the task of run {run_id} changed while it was loaded: {_told(error)}")
    if isinstance(error, MissingAttributeError | UnknownAttributeError) or _is_of_data(error):
        return LoadError(f"The outputs of run {run_id} don't fit the tables: {_told(error)}")
    if isinstance(error, (DataJointError, dialect.driver_error)):
        return _refusal(error, run_id, dialect)
    if isinstance(error, OverflowError | ValueError):  # of the driver: a NUL in a text, a date beyond its years
        return LoadError(f"The outputs of run {run_id} hold a value that no column takes: {_told(error)}")
    return None


def _refusal(error: BaseException, run_id: str, dialect: Dialect) -> FmdjError:
    if dialect.is_too_large(error):
        return LoadError(
            f"The outputs of run {run_id} are larger than the database allows ({_told(error)}): raise that limit on "
            "the server (max_allowed_packet, max_binlog_cache_size, or the size of the redo log), or load fewer "
            "components (load.max_components); retry the run then."
        )
    if dialect.is_against_rules(error):
        return LoadError(
            f"A constraint or trigger of the database refuses rows of run {run_id} ({_told(error)}): change it, or the "
            "task, and retry the run."
        )
    if dialect.is_deadlock(error):
        return DeadlockError(
            f"Rows of run {run_id} were undone, since others held what they needed ({_told(error)}): load it again."
        )
    kind = AnsweredError if dialect.was_answered(error) else DatabaseError
    return kind(f"The database refused rows of run {run_id}: {_told(error)}")


def _is_of_data(error: BaseException) -> bool:
    """Tell whether it is a DataError of the DB-API: too long, out of range ..."""
    return any(base.__name__ == "DataError" for base in type(error).__mro__)


def _told(error: BaseException) -> str:
    """Return what a driver says in one line: some tell in several."""
    return " ".join(str(error).split())
