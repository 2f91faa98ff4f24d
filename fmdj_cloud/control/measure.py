"""What the controller shows of its work in ``/metrics``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

from fmdj_cloud import telemetry
from fmdj_cloud.contracts import AttemptRecord, RunRecord
from fmdj_cloud.control.report import PassReport
from fmdj_cloud.errors import DatabaseError
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger

_COUNTED_EVERY_S = 30.0
"""Counting reads whole tables, and Prometheus asks no more often."""


class Measures:
    """Shows what passes did.

    Parameters
    ----------
    ledger : Ledger
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._counted: float | None = None

    def show(self, report: PassReport, labs: Mapping[str, Lab], seconds: float) -> None:
        """Show a pass that has ended.

        Parameters
        ----------
        report : PassReport
        labs : mapping of str to Lab
        seconds : float
            How long it took.
        """
        telemetry.show_leadership(report.leading)
        if not report.leading:
            self._counted = None
            return
        telemetry.RECONCILE_SECONDS.observe(seconds)
        telemetry.PASS_ERRORS.set(len(report.errors))
        telemetry.JOBS_UNKNOWN.set(len(report.unknown_jobs))
        telemetry.PODS_LEAKED.set(len(report.leaked_jobs))
        if self._counted is None or self._clock() - self._counted >= _COUNTED_EVERY_S:
            self._count(labs)
            self._counted = self._clock()

    def _count(self, labs: Mapping[str, Lab]) -> None:
        telemetry.show_runs(self._ledger.count_runs())
        waits = self._ledger.queue_age_s()
        brakes = {record.name: record.brake for record in self._ledger.pipelines()}
        for name, lab in labs.items():
            telemetry.QUEUE_AGE.labels(name).set(waits.get(name, 0.0))
            try:
                telemetry.TASKS_PENDING.labels(name).set(lab.count_pending())
            except DatabaseError:  # the pass has told of tables that can't be read
                self._ledger.database.ensure_connected()
            telemetry.BRAKED.labels(name).set(brakes.get(name, False))


def show_end(run: RunRecord, attempt: AttemptRecord | None, outcome: str, now: dt.datetime) -> None:
    """Count an attempt that has ended.

    Parameters
    ----------
    run : RunRecord
    attempt : AttemptRecord or None
        None if it was never launched.
    outcome : str
        A failure class, or ``published``.
    now : datetime
        The database's clock.
    """
    telemetry.OUTCOMES.labels(outcome, run.kind, run.pipeline).inc()
    if attempt is not None:
        telemetry.ATTEMPT_SECONDS.labels(run.kind).observe((now - attempt.started).total_seconds())


def show_usage(run: RunRecord, gpu_s: float) -> None:
    """Count what a Job that has ended took.

    Parameters
    ----------
    run : RunRecord
    gpu_s : float
        GPUs x seconds that it held them.
    """
    if gpu_s:
        telemetry.GPU_SECONDS.labels(run.kind, run.pipeline).inc(gpu_s)
