"""Sees to all FacemapRuns: what they select is planned as they ask, and their status says how far it is.

One look at everything takes one query of the ledger, and one for each FacemapRun that isn't complete. It happens when
something has changed, and every few seconds otherwise.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fmdj_cloud.contracts import ClaimRecord, RunState
from fmdj_cloud.control.facemapruns.api import FacemapRunApi
from fmdj_cloud.control.facemapruns.look import UNKNOWN_PIPELINE, Looker, View
from fmdj_cloud.control.facemapruns.model import FacemapRun
from fmdj_cloud.control.facemapruns.overrides import overridden
from fmdj_cloud.control.facemapruns.progress import ProgressReader
from fmdj_cloud.control.facemapruns.select import Allotment, Share, Wish, allot
from fmdj_cloud.control.facemapruns.standing import afresh
from fmdj_cloud.control.facemapruns.status import build_status, differs
from fmdj_cloud.control.kube.cache import Cache
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.recorder import EventRecorder
from fmdj_cloud.control.report import Tally
from fmdj_cloud.errors import FmdjError
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store

_LOOK_S = 10.0
_PER_RUN_S = 2.0
"""Many FacemapRuns share the API server's patience: their progress is written less often."""
_RESTING = frozenset({RunState.READY, RunState.HELD})


class FacemapRunKeeper:
    """Sees to the FacemapRuns of an installation.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger
    store : Store
        For the progress of what runs.
    client : KubeClient
    cache : Cache
    recorder : EventRecorder or None
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: Store,
        client: KubeClient,
        cache: Cache,
        recorder: EventRecorder | None,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._api = FacemapRunApi(client, cache, recorder)
        self._looker = Looker(settings, ledger)
        self._progress = ProgressReader(ledger, store)
        self._seen: Any = None
        """What there was at the last look."""
        self._looked = -float("inf")
        self._written: dict[str, float] = {}
        """When each FacemapRun's status was written last, by UID."""

    def reconcile(self, labs: Mapping[str, Lab], epoch: int, tally: Tally) -> None:
        """Look at all FacemapRuns, if it is time, and do what there is to do; call it before tasks are planned.

        Parameters
        ----------
        labs : mapping of str to Lab
            Open pipelines by name.
        epoch : int
            The leader's.
        tally : Tally

        Raises
        ------
        LostRaceError
            If `epoch` leads no more.
        DatabaseError
            If the database doesn't answer.
        """
        runs = self._api.all()
        mark = self._ledger.claims_mark()
        if not runs and not mark:
            return
        now = self._clock()
        if (seen := _shape(runs, mark)) == self._seen and now - self._looked < _LOOK_S:
            return
        self._seen, self._looked = seen, now
        for lab in labs.values():
            for tasks in lab.tables:
                self._ledger.attach(lab.name, tasks.kind, tasks.table)
        try:
            self._see_to(runs, labs, epoch, tally)
        except BaseException as error:
            self._seen = None  # whatever wasn't done is done in the next pass
            if isinstance(error, FmdjError) or not isinstance(error, Exception):
                raise
            tally.trouble(f"FacemapRuns can't be seen to: {error}", unforeseen=True)

    def _see_to(self, runs: Sequence[FacemapRun], labs: Mapping[str, Lab], epoch: int, tally: Tally) -> None:
        mine = [run for run in runs if run.owner in ("", self._settings.instance)]
        now = self._ledger.database.now()
        brakes = {record.name: record.brake for record in self._ledger.pipelines()}
        claims = self._ledger.claims()
        leaving = {claim.task_digest for claim in claims if claim.leaving}
        looked = [
            self._looker.look(run, labs, brakes, tally) for run in mine if not run.deleting and not run.is_complete
        ]
        welcome = [found for view in looked if (found := self._welcome(view, now, tally)) is not None]
        views = [_afresh(view, leaving) for view in welcome]
        lasting = {run.uid for run in mine if not run.deleting and not run.is_complete}
        lasting |= self._unsure(claims, runs, tally)
        wishes = [self._wish(view, now) for view in views if view.spec is not None]
        allotment = allot(
            wishes,
            claims,
            lasting=lasting - {wish.uid for wish in wishes},
            complete={run.uid for run in mine if run.is_complete},
            may_cancel=not self._looker.plans_all,
        )
        self._carry_out(allotment, runs, labs, epoch)
        again = {task.task_digest for share in allotment.shares for task in share.again}
        if again or any(share.takes for share in allotment.shares):
            self._seen = None  # how they stand now is told in the next pass
        self._write_statuses([_afresh(view, again) for view in views], now, tally)
        self._let_go(mine, {claim.owner for claim in claims}, tally)

    def _welcome(self, view: View, now: dt.datetime, tally: Tally) -> View | None:
        """Make a FacemapRun ours before anything is done for it; None if another installation's it is, or may be."""
        run: FacemapRun | None = view.run
        if not view.verdict.accepted:
            stranger = view.verdict.reason == UNKNOWN_PIPELINE and not view.run.owner
            return None if stranger and view.run.is_known else view
        if not view.run.owner:
            status = {**view.run.status, "instance": self._settings.instance}
            run = self._api.write_status(view.run, status, tally)
        if run is not None:
            run = self._api.set_finalizer(run, True, tally)
        return None if run is None else replace(view, run=run)

    def _wish(self, view: View, now: dt.datetime) -> Wish:
        assert view.spec is not None  # noqa: S101
        return Wish(
            uid=view.run.uid,
            name=view.run.name,
            spec=view.spec,
            tasks=view.tasks,
            observed_at=view.run.observed_at() or now,
            holds=view.spec.suspend and not self._looker.plans_all,
        )

    def _unsure(self, claims: Sequence[ClaimRecord], runs: Sequence[FacemapRun], tally: Tally) -> set[str]:
        """Return owners of claims that the cache doesn't know but may be there all the same."""
        missing = {claim.owner for claim in claims} - {run.uid for run in runs}
        if not missing:
            return set()
        there = self._api.uids(tally)
        return missing if there is None else missing & there

    def _carry_out(self, allotment: Allotment, runs: Sequence[FacemapRun], labs: Mapping[str, Lab], epoch: int) -> None:
        ledger = self._ledger
        names = {claim.owner: claim.owner_name for claim in (*allotment.cancels, *allotment.drops)}
        for owner, name in names.items():
            gone = not any(run.uid == owner and not run.deleting for run in runs)
            why = f"FacemapRun {name} {'was deleted' if gone else 'selects it no more'}."
            cancels = [claim for claim in allotment.cancels if claim.owner == owner]
            drops = [claim for claim in allotment.drops if claim.owner == owner]
            ledger.cancel_claims(cancels, why, epoch=epoch)
            ledger.resume_claims([claim for claim in drops if claim.stopped], why, epoch=epoch)
            ledger.drop_claims(drops, forget=not self._looker.plans_all, epoch=epoch)
        for share in allotment.shares:
            self._carry_out_share(share, labs[share.wish.spec.pipeline], epoch)

    def _carry_out_share(self, share: Share, lab: Lab, epoch: int) -> None:
        ledger, wish = self._ledger, share.wish
        for tasks in lab.tables:
            takes = [task for task in share.takes if task.kind is tasks.kind]
            if not takes:
                continue
            unknown = [task.key for task in takes if not task.bound]
            digests = tasks.param_digests(unknown) if unknown else {}
            ledger.claim_tasks(
                lab.name,
                tasks.kind,
                [(task.key, task.task_digest, digests.get(canonical_key(task.key), "")) for task in takes],
                owner=wish.uid,
                owner_name=wish.name,
                overrides=wish.spec.overrides,
                held=wish.holds,
                epoch=epoch,
            )
        for kind in lab.kinds:
            amended = [claim.task_digest for claim in share.amends if claim.kind is kind]
            ledger.amend_claims(lab.name, kind, amended, wish.spec.overrides, epoch=epoch)
        taken = [task.run_id for task in share.takes if task.run_state in _RESTING]
        self._amend_plans([*taken, *(c.run.run_id for c in share.amends if c.run is not None)], wish, epoch)
        by = f"Asked for again by FacemapRun {wish.name}."
        for kind in {task.kind for task in share.again}:
            again = [task.task_digest for task in share.again if task.kind is kind]
            ledger.ask_again(lab.name, kind, again, by, epoch=epoch)
        ledger.suspend_claims(share.suspends, f"FacemapRun {wish.name} is suspended.", epoch=epoch)
        ledger.resume_claims(share.resumes, f"FacemapRun {wish.name} goes on.", epoch=epoch)

    def _amend_plans(self, run_ids: Sequence[str], wish: Wish, epoch: int) -> None:
        """Let runs that have yet to start do so as the FacemapRun asks now."""
        for run in self._ledger.runs_by_id(run_ids):
            if run.state not in _RESTING:
                continue
            plan = self._ledger.plan_of(run.run_id)
            amended = overridden(plan, wish.spec.overrides, self._settings.controller)
            if amended != plan:
                self._ledger.amend_plan(run.run_id, run.attempt, amended, epoch=epoch)

    def _write_statuses(self, views: Sequence[View], now: dt.datetime, tally: Tally) -> None:
        launched = [task.run_id for view in views for task in view.tasks if task.run_state is RunState.LAUNCHED]
        clock = self._clock()
        progress = self._progress.read(launched, clock)
        pause_s = max(_LOOK_S, _PER_RUN_S * len(views))
        for view in views:
            run = view.run
            status = build_status(
                run,
                view.verdict,
                view.tasks,
                progress,
                instance="" if view.verdict.reason == UNKNOWN_PIPELINE else self._settings.instance,
                suspended=view.spec is not None and view.spec.suspend and not self._looker.plans_all,
                observed_at=run.observed_at() or now,
                now=now,
            )
            how = differs(run.status, status)
            if not how or (how == "progress" and clock - self._written.get(run.uid, -pause_s) < pause_s):
                continue
            if self._api.write_status(run, status, tally) is not None:
                self._written[run.uid] = clock
                self._tell(run, view, status)

    def _tell(self, run: FacemapRun, view: View, status: Mapping[str, Any]) -> None:
        """Say in an Event what has just become true."""
        now = {one["type"]: one for one in status["conditions"]}
        if not run.is_known or run.condition("Accepted").get("reason") != view.verdict.reason:
            kind = "Normal" if view.verdict.accepted else "Warning"
            self._api.tell(run, kind, view.verdict.reason, view.verdict.message)  # type: ignore[arg-type]
        if now["Complete"]["status"] == "True":
            kind = "Warning" if now["Failed"]["status"] == "True" else "Normal"
            self._api.tell(run, kind, "Complete", now["Complete"]["message"])  # type: ignore[arg-type]

    def _let_go(self, mine: Sequence[FacemapRun], owners: set[str], tally: Tally) -> None:
        """Let FacemapRuns disappear for which nothing is left to do."""
        for run in mine:
            if (run.deleting or run.is_complete) and run.has_finalizer and run.uid not in owners:
                self._api.set_finalizer(run, False, tally)
        known = {run.uid for run in mine}
        self._written = {uid: when for uid, when in self._written.items() if uid in known}


def _afresh(view: View, digests: Collection[str]) -> View:
    return replace(view, tasks=tuple(afresh(task, digests) for task in view.tasks)) if digests else view


def _shape(runs: Sequence[FacemapRun], mark: Any) -> Any:
    """Return what is compared to tell whether anything has changed."""
    shapes = tuple((run.uid, run.generation, run.deleting, run.is_complete, run.instance) for run in runs)
    return shapes, mark
