"""Attempts that ``populate()`` runs have no Job: their process shows itself, or is silent. Pure."""

from __future__ import annotations

import datetime as dt

from fmdj_cloud.contracts import POPULATE, AttemptRecord, FailureClass, Outcome, RunRecord, RunState


def populates(run: RunRecord, attempt: AttemptRecord | None) -> bool:
    """Tell whether a run is launched, and by ``populate()``."""
    return run.state is RunState.LAUNCHED and attempt is not None and attempt.launcher == POPULATE


def shows_itself(run: RunRecord, silent_s: float, now: dt.datetime) -> bool:
    """Tell whether the process of a run has shown itself within `silent_s`, by the database's clock.

    It does so by changing the run: ``updated`` is when.
    """
    return now - run.updated < dt.timedelta(seconds=silent_s)


def silenced(attempt: AttemptRecord) -> Outcome:
    """Return how an attempt ended whose process isn't heard of any more."""
    return Outcome(
        failure_class=FailureClass.DISRUPTED,
        sentence=f"populate() in {process_of(attempt)} was killed, or isn't heard of any more.",
    )


def process_of(attempt: AttemptRecord) -> str:
    """Return the process that runs an attempt, as people call it: ``process 4711 on rig-3``."""
    host, _, rest = (attempt.job_uid or "").partition("/")
    return f"process {rest.partition('/')[0]} on {host}" if rest else "an unknown process"
