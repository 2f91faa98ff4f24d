"""What every computing child does around its work: it takes a job from the desk, and leaves a result or a failure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from fmdj_cloud.errors import FmdjError
from fmdj_cloud.logs import configure_logging, log_context
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.lifeline import die_with
from fmdj_cloud.worker.mishaps import as_ours

log = logging.getLogger(__name__)


def run_child(arguments: Sequence[str], work: Callable[[Desk, ChildJob], ChildResult]) -> int:
    """Do the work that lies on a desk.

    Parameters
    ----------
    arguments : sequence of str
        The desk's folder.
    work : callable
        Computes.

    Returns
    -------
    int
        0, or the exit code of the failure told on the desk.
    """
    desk = Desk(Path(arguments[0]))
    configure_logging("INFO", "text")
    job = desk.get_job()
    die_with(job.parent)
    with log_context(run_id=job.spec.run_id, task=job.spec.task):
        try:
            desk.put_result(work(desk, job))
        except Exception as error:
            ours = as_ours(error)
            if ours is None:
                raise
            return _fail(desk, ours)
    return 0


def _fail(desk: Desk, error: FmdjError) -> int:
    try:
        desk.put_failure(error)
    except OSError:  # no room for it: the exit code says it all
        log.critical("%s", error.sentence)
    return error.exit_code
