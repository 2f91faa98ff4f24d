"""Whether all is settled, and who wants to know."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from fmdj_cloud.contracts import RunRecord, RunState
from fmdj_cloud.control.leader import Leader
from fmdj_cloud.control.report import PassReport
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger

_log = logging.getLogger(__name__)
_STANDSTILL_S = 10.0
"""After so long with nothing but errors, who waits for the end is told that there is none."""
_DRAIN = "drain"
"""What a controller that was started with ``--once`` beside a leader asks it for."""
_SETTLED = "All is settled."
_UNSETTLED = frozenset({RunState.READY, RunState.LAUNCHED})


class Settlement:
    """Knows when no task is due and no run is ready or launched, and tells those who wait for that.

    Parameters
    ----------
    ledger : Ledger
    leader : Leader
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, ledger: Ledger, leader: Leader, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._leader = leader
        self._clock = clock
        self._idle_since: float | None = None
        """Since when there has been nothing but errors."""

    def note(self, report: PassReport) -> None:
        """Note what a pass did."""
        if not report.errors or not report.idle:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = self._clock()

    def verdict(self, report: PassReport, labs: Mapping[str, Lab]) -> bool | None:
        """Return whether all is settled; None while that isn't known yet."""
        if not report.errors:
            return True if self._is_settled(labs) else None
        stands_still = self._idle_since is not None and self._clock() - self._idle_since >= _STANDSTILL_S
        return False if stands_still else None

    def ask(self) -> str:
        """Ask whoever leads to say when all is settled; return the request's id."""
        return self._ledger.ask(_DRAIN, self._leader.holder)

    def answer(self, request_id: str) -> bool | None:
        """Return what the leader says to a request; None if nothing yet."""
        request = self._ledger.request(request_id)
        if request is not None and request.state != "done":
            return None
        if request is not None and request.sentence != _SETTLED:
            _log.error("%s", request.sentence)
            return False
        return True

    def answer_waiting(self, report: PassReport, labs: Mapping[str, Lab]) -> None:
        """Tell those who wait for it that all is settled, or that it won't be."""
        waiting = [request for request in self._ledger.requests() if request.what == _DRAIN]
        settled = self.verdict(report, labs) if waiting else None
        if settled is not None:
            sentence = _SETTLED if settled else f"Not all can be settled: {report.errors[0]}"
            for request in waiting:
                self._ledger.answer(request.request_id, sentence, epoch=self._leader.check())

    def tell_brakes(self, pipelines: Iterable[str]) -> None:
        """Say which of some pipelines aren't done because nobody has let their tasks go."""
        names = set(pipelines)
        for record in self._ledger.pipelines():
            if record.brake and record.name in names:
                _log.warning(
                    "Pipeline %s is held by the first-start brake: none of its tasks is planned. `fmdj plan` shows "
                    "what they will cost, `fmdj release` lets them go",
                    record.name,
                )

    def _is_settled(self, labs: Mapping[str, Lab]) -> bool:
        counts = self._ledger.count_runs()
        unsettled = (number for (name, _, state), number in counts.items() if name in labs and state in _UNSETTLED)
        if any(unsettled) and any(_goes_on(run, labs) for run in self._ledger.runs(states=_UNSETTLED)):
            return False
        braked = {record.name for record in self._ledger.pipelines() if record.brake}
        return not any(lab.count_pending() for lab in labs.values() if lab.name not in braked)


def _goes_on(run: RunRecord, labs: Mapping[str, Lab]) -> bool:
    """Tell whether something happens to a run by itself: one whose task table isn't open waits."""
    lab = labs.get(run.pipeline)
    return lab is not None and (lab.has(run) or run.state is RunState.LAUNCHED)
