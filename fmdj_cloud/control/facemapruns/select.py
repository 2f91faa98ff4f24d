"""Which FacemapRun gets which task, and what becomes of those that no one selects any more: pure.

- The first FacemapRun that selects a task owns it; another one that selects it, too, watches.
- A task whose owner is deleted, complete, or doesn't select it any more, goes to the next that does.
- If there is none, its run is cancelled, and the task is free once that is confirmed.
- A FacemapRun with ``retryFailed`` takes what had failed before it was seen (each edit counts as new), once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from fmdj_cloud.contracts import ClaimRecord, RunState, Wanted
from fmdj_cloud.control.facemapruns.model import FacemapRunSpec
from fmdj_cloud.control.facemapruns.standing import Stand, failed_at, stand_of
from fmdj_cloud.pipeline.survey import TaskStanding


@dataclass(frozen=True)
class Wish:
    """A FacemapRun that was accepted, and the tasks that it selects.

    Attributes
    ----------
    uid, name : str
    spec : FacemapRunSpec
    tasks : tuple of TaskStanding
    observed_at : datetime
        When its spec as it is was first seen.
    holds : bool
        Whether nothing of it may start.
    """

    uid: str
    name: str
    spec: FacemapRunSpec
    tasks: tuple[TaskStanding, ...]
    observed_at: dt.datetime
    holds: bool = False


@dataclass
class Share:
    """What is to be done for one FacemapRun."""

    wish: Wish
    takes: list[TaskStanding] = field(default_factory=list)
    again: list[TaskStanding] = field(default_factory=list)
    """Of `takes`, and of what it has already, what is asked for again although it failed."""
    amends: list[ClaimRecord] = field(default_factory=list)
    suspends: list[ClaimRecord] = field(default_factory=list)
    resumes: list[ClaimRecord] = field(default_factory=list)


@dataclass
class Allotment:
    """What is to be done, in this order."""

    cancels: list[ClaimRecord] = field(default_factory=list)
    drops: list[ClaimRecord] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)


def allot(
    wishes: Sequence[Wish],
    claims: Sequence[ClaimRecord],
    *,
    lasting: Collection[str],
    complete: Collection[str],
    may_cancel: bool,
) -> Allotment:
    """Return what is to be done.

    Parameters
    ----------
    wishes : sequence of Wish
        The first first.
    claims : sequence of ClaimRecord
        All that there are.
    lasting : collection of str
        UIDs of FacemapRuns whose tasks nobody can tell now: they keep what they have.
    complete : collection of str
        UIDs of FacemapRuns that are complete: they keep nothing, and nothing is cancelled for them.
    may_cancel : bool
        Whether what no FacemapRun selects isn't wanted at all.
    """
    found = Allotment()
    shares = {wish.uid: Share(wish) for wish in wishes}
    by_digest = {claim.task_digest: claim for claim in claims}
    selected = {wish.uid: {task.task_digest for task in wish.tasks} for wish in wishes}
    firsts = _firsts(wishes)
    retries = _retries(wishes)
    staying: set[str] = set()
    for claim in claims:
        digest = claim.task_digest
        if claim.owner in lasting and not claim.leaving:
            staying.add(digest)
        elif claim.leaving or not (digest in selected.get(claim.owner, ()) or digest in firsts or digest in retries):
            _leave(claim, found, may_cancel and claim.owner not in complete)
            staying.add(digest)
        elif digest in selected.get(claim.owner, ()) and digest not in retries:
            _keep(claim, shares[claim.owner])
            staying.add(digest)
    for wanted, asked_again in ((retries, True), (firsts, False)):
        for digest, (wish, task) in wanted.items():
            if digest in staying:
                continue
            staying.add(digest)
            share, held = shares[wish.uid], by_digest.get(digest)
            if held is not None and held.owner == wish.uid:
                _keep(held, share)
            else:
                share.takes.append(task)
            if asked_again:
                share.again.append(task)
    found.shares = list(shares.values())
    return found


def _firsts(wishes: Sequence[Wish]) -> dict[str, tuple[Wish, TaskStanding]]:
    """Return who is the first to select each task that isn't over."""
    found: dict[str, tuple[Wish, TaskStanding]] = {}
    for wish in wishes:
        for task in wish.tasks:
            if not stand_of(task).is_over:
                found.setdefault(task.task_digest, (wish, task))
    return found


def _retries(wishes: Sequence[Wish]) -> dict[str, tuple[Wish, TaskStanding]]:
    """Return who is the first to ask again for each task that failed."""
    found: dict[str, tuple[Wish, TaskStanding]] = {}
    for wish in wishes:
        if not wish.spec.retry_failed or wish.holds:
            continue
        for task in wish.tasks:
            when = failed_at(task)
            if stand_of(task) is Stand.FAILED and when is not None and when < wish.observed_at:
                found.setdefault(task.task_digest, (wish, task))
    return found


def _leave(claim: ClaimRecord, found: Allotment, may_cancel: bool) -> None:
    run = claim.run
    if run is None or run.populates or not may_cancel:
        found.drops.append(claim)
    elif run.wanted is not Wanted.CANCEL or not claim.leaving:
        found.cancels.append(claim)


def _keep(claim: ClaimRecord, share: Share) -> None:
    if claim.overrides != share.wish.spec.overrides:
        share.amends.append(claim)
    run = claim.run
    starts = run is not None and run.state is RunState.READY and run.wanted is Wanted.RUN and not claim.stopped
    if share.wish.holds and (not claim.held or starts):
        share.suspends.append(claim)
    elif not share.wish.holds and (claim.held or claim.stopped):
        share.resumes.append(claim)
