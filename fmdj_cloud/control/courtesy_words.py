"""What becomes of a reservation of ours, and what people are told of others': pure."""

from __future__ import annotations

import datetime as dt
import enum

from fmdj_cloud.contracts import BindingRecord, BindingState, Outcome, RunRecord, RunState
from fmdj_cloud.pipeline.courtesy import JobStatus, Reservation

ELSEWHERE = "Left to somebody else: "
"""With this begins why a task waits that somebody else has in hand."""
ADVICE = (
    "Nothing, as long as that populate() runs. If it was killed, delete its row in that job table, such as "
    "`(schema.jobs & key).delete()`: fmdj never takes what others have reserved. `fmdj retry KEY` looks at once."
)
_DEAD_S = 3600.0
"""After so long without a renewal, a reservation whose run the ledger doesn't know is nobody's."""
_ALIVE = frozenset({RunState.READY, RunState.LAUNCHED, RunState.PUBLISHED})
_OVER = frozenset({RunState.LOADED, RunState.SUPERSEDED})


class Fate(enum.StrEnum):
    """What to do with a row of ours."""

    KEEP = "keep"
    RELEASE = "release"
    """The key is anybody's again."""
    REMOVE = "remove"
    """The key has a result, or its task is another now."""
    FAIL = "fail"
    """It becomes an error."""


def fate_of(row: Reservation, run: RunRecord | None, renew_s: float) -> Fate:
    """Return what to do with a row of ours: total over whatever became of its run.

    Parameters
    ----------
    row : Reservation
        Reserved, or an error.
    run : RunRecord or None
        Its run; None if the ledger doesn't know it. Another installation's reservations are renewed as ours are.
    renew_s : float
        How often they are.
    """
    if run is None:
        return Fate.RELEASE if row.age_s > max(_DEAD_S, 4 * renew_s) else Fate.KEEP
    if run.state in _OVER:
        return Fate.REMOVE
    if row.status is JobStatus.ERROR:  # one that people have deleted isn't written again
        return Fate.KEEP if run.state is RunState.FAILED else Fate.RELEASE
    if run.state is RunState.FAILED:
        return Fate.FAIL
    return Fate.KEEP if run.state in _ALIVE else Fate.RELEASE


def fate_of_refusal(row: Reservation, binding: BindingRecord | None) -> Fate:
    """Return what to do with a row of ours for a task that couldn't be planned.

    Parameters
    ----------
    row : Reservation
    binding : BindingRecord or None
        Of its task; None if the ledger doesn't know it, such as another installation's.
    """
    if binding is None:
        return Fate.RELEASE if row.age_s > _DEAD_S else Fate.KEEP
    if binding.state is not BindingState.REFUSED:
        return Fate.RELEASE
    return Fate.KEEP if row.status is JobStatus.ERROR else Fate.FAIL


def error_of_refusal(outcome: Outcome) -> tuple[str, str]:
    """Return the message for a task that can't be planned as a job table has it, and what stands for a traceback."""
    stack = "fmdj can't plan this task. `fmdj explain` says what to do; once it is edited, this goes by itself."
    return f"fmdj {outcome.failure_class}: {outcome.sentence}", stack


def error_of(run: RunRecord) -> tuple[str, str]:
    """Return the message of a failed run as a job table has it, and what stands in the place of a traceback."""
    stack = f"{run.run_id}, attempt {run.attempt}, of fmdj. `fmdj explain` says what to do, `fmdj logs` what happened."
    return f"fmdj {run.failure_class}: {run.sentence}", stack


def told_of(row: Reservation, now: dt.datetime) -> str:
    """Return why a task waits whose key somebody else has reserved."""
    since = f"{now - dt.timedelta(seconds=row.age_s):%Y-%m-%d %H:%M} UTC"
    if row.status is JobStatus.IGNORE:
        return f"{ELSEWHERE}{row.owner} marked it as to be ignored by {row.table}.populate(), in {row.jobs}."
    return (
        f"{ELSEWHERE}{row.owner} has reserved it for {row.table}.populate() since {since} (process {row.pid} on "
        f"{row.host}), in {row.jobs}."
    )


def told_of_half(table: str, result: str, wait_s: float) -> str:
    """Return why a task waits of whose two results somebody has just made the first."""
    return f"{ELSEWHERE}somebody else has made its {table}; their {result} is awaited for {wait_s / 60:.0f} min."


def told_of_result(result: str) -> str:
    """Return why a task waits whose result somebody has just inserted."""
    return f"{ELSEWHERE}somebody else has just inserted its {result}; it stays as it is."
