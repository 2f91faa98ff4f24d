"""Watch the demo's runs until nothing moves any more."""

from __future__ import annotations

import time
from collections.abc import Callable

from fmdj_cloud.contracts import RunState
from fmdj_cloud.control.status import StatusReport
from fmdj_cloud.errors import BudgetError

_MOVING = (RunState.READY, RunState.LAUNCHED, RunState.PUBLISHED)


def is_settled(report: StatusReport) -> bool:
    """Whether nothing is pending or under way."""
    return all(line.seen and (not line.pending or line.brake) for line in report.pipelines) and not any(
        report.counts.get(state.value, 0) for state in _MOVING
    )


def watch_until_settled(
    look: Callable[[], StatusReport], show: Callable[[StatusReport], None], *, pause_s: float, patience_s: float
) -> StatusReport:
    """Look and show until all is settled.

    Parameters
    ----------
    look, show : callable
        Take a status report; show it.
    pause_s : float
        Between looks, seconds.
    patience_s : float
        How long it may take, seconds.

    Raises
    ------
    BudgetError
        If it isn't settled by then.
    """
    deadline = time.monotonic() + patience_s
    while True:
        report = look()
        show(report)
        if is_settled(report):
            return report
        if time.monotonic() > deadline:
            raise BudgetError(f"Not everything was settled within {patience_s:.0f} s: {report.counts}.")
        time.sleep(pause_s)
