"""Who holds a place of a profile, and who gets one next: pure.

A place is a pod (a process, on this machine). An attempt holds as many as its Job may have at a time, from the moment
the ledger calls it launched until its Job is over. Between two stages it keeps one: nobody takes the place of an
attempt that is about to go on.

Pipelines take turns: a free place goes to the one that holds the fewest of that profile, of equal ones to the one that
was served longest ago; within a pipeline, to its most urgent run. So none waits for all that another has to do.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fmdj_cloud.contracts import JobObservation, JobPhase, Kind, RunRecord, RunState, Stage, Wanted
from fmdj_cloud.contracts.shards import first_stage, next_stage
from fmdj_cloud.control.actions import Advance, Launch
from fmdj_cloud.control.profiles import Profiles
from fmdj_cloud.names import ATTEMPT_MAX
from fmdj_cloud.pipeline.silence import populates

if TYPE_CHECKING:
    from fmdj_cloud.control.decide import RunView


class Slots:
    """Places of all profiles.

    Parameters
    ----------
    views : sequence of RunView
    jobs : sequence of JobObservation
        All Jobs, strays too: what runs holds its places.
    known : mapping of str to RunRecord
        Runs of `jobs`, as far as the ledger knows them.
    profiles : Profiles
    served : mapping of str to int, optional
        Pipeline -> the higher, the later it was served last; those that never were are left out.
    reuse : bool
        Whether a run waits while another with equal content is computed, whose outputs it may take then.
    """

    def __init__(
        self,
        views: Sequence[RunView],
        jobs: Sequence[JobObservation],
        known: Mapping[str, RunRecord],
        profiles: Profiles,
        served: Mapping[str, int] | None = None,
        *,
        reuse: bool = False,
    ) -> None:
        self._profiles = profiles
        self._served = dict(served or {})
        self._computed = {_content(view.run) for view in views if reuse and view.run.state is RunState.LAUNCHED}
        self._reuse = reuse
        self._held = {
            job.name: _Place(*_owner(profiles, known.get(job.run_id)), job.pods)
            for job in jobs
            if job.phase is JobPhase.RUNNING
        }
        for view in views:
            pods = _held_unseen(view)
            if pods:
                self._held.setdefault(_job_of(view), _Place(*_owner(profiles, view.run), pods))
        self._taken: Counter[str] = Counter()
        self._by_pipeline: Counter[tuple[str, str]] = Counter()
        for place in self._held.values():
            self._take(place.profile, place.pipeline, place.pods)

    def advance(self, action: Advance, view: RunView) -> Advance:
        """Return an action with the pods that its stage may have at a time: one at least, it has a place."""
        place = self._held.pop(_job_of(view), _Place(*_owner(self._profiles, view.run), 0))
        self._take(place.profile, place.pipeline, -place.pods)
        pods = max(1, min(action.shards, self._free(place.profile)))
        self._take(place.profile, place.pipeline, pods)
        return replace(action, pods=pods)

    def launches(self, views: Sequence[RunView], now: dt.datetime) -> Iterator[Launch]:
        """Return whose turn it is, and take their places.

        Parameters
        ----------
        views : sequence of RunView
        now : datetime
            The database's clock.
        """
        ready = [
            view.run
            for view in views
            if view.run.state is RunState.READY
            and view.run.wanted is Wanted.RUN
            and not view.obsolete
            and not view.unsure
            and view.run.attempt <= ATTEMPT_MAX
            and (view.run.not_before is None or view.run.not_before <= now)
        ]
        ready.sort(key=lambda run: (run.priority, run.created, run.run_id))
        queues: dict[tuple[str, str], deque[RunRecord]] = {}
        for run in ready:
            queues.setdefault((self._profiles.of(run), run.pipeline), deque()).append(run)
        while (place := self._next(queues)) is not None:
            run = queues[place].popleft()
            content = _content(run)
            if content in self._computed:
                continue
            if self._reuse:
                self._computed.add(content)
            profile, pipeline = place
            pods = min(pods_at_first(run), self._free(profile))
            self._take(profile, pipeline, pods)
            self._served[pipeline] = max(self._served.values(), default=0) + 1
            yield Launch(run.run_id, run.attempt, pods)

    def _next(self, queues: Mapping[tuple[str, str], deque[RunRecord]]) -> tuple[str, str] | None:
        """Return (profile, pipeline) of whose turn it is; None if nothing is left, or no place is free."""
        waiting = [place for place, queue in queues.items() if queue and self._free(place[0]) > 0]
        return min(waiting, key=lambda place: self._rank(place, queues[place][0]), default=None)

    def _rank(self, place: tuple[str, str], first: RunRecord) -> tuple[int, int, int, dt.datetime, str]:
        last = self._served.get(place[1], 0)
        return self._by_pipeline[place], last, first.priority, first.created, first.run_id

    def _take(self, profile: str, pipeline: str, pods: int) -> None:
        self._taken[profile] += pods
        self._by_pipeline[profile, pipeline] += pods

    def _free(self, profile: str) -> int:
        return self._profiles.max_active(profile) - self._taken[profile]


@dataclass(frozen=True)
class _Place:
    """What an attempt holds."""

    profile: str
    pipeline: str
    pods: int


def _owner(profiles: Profiles, run: RunRecord | None) -> tuple[str, str]:
    """Return profile and pipeline of a run; empty for one that the ledger doesn't know."""
    return (profiles.of(run), run.pipeline) if run is not None else ("", "")


def _content(run: RunRecord) -> tuple[Kind, str]:
    return run.kind, run.content_digest


def _held_unseen(view: RunView) -> int:
    """Return how many places an attempt holds beside those of Jobs that run."""
    attempt = view.attempt
    if view.run.state is not RunState.LAUNCHED or populates(view.run, attempt):
        return 0
    if view.job is None or view.job.phase is JobPhase.RUNNING:
        return attempt.pods if attempt is not None else 1
    return 1 if attempt is not None and next_stage(attempt.stage) is not None else 0


def _job_of(view: RunView) -> str:
    return view.attempt.job_name if view.attempt is not None else view.run.run_id


def pods_at_first(run: RunRecord) -> int:
    """Return how many pods the first stage of a run's attempt takes in all."""
    begins = first_stage(run.shards, has_basis=run.kind is Kind.SVD)
    return run.shards or 1 if begins is Stage.PROJECT else 1
