"""Gather all that decisions rest on: runs, Jobs, manifests, and whether tasks are still what they were."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fmdj_cloud.contracts import (
    FINISHED_STATES,
    AttemptRecord,
    BindingState,
    FailureClass,
    JobObservation,
    JobPhase,
    Kind,
    RunRecord,
    RunState,
    Stage,
    Wanted,
)
from fmdj_cloud.control.commits import shards_after
from fmdj_cloud.control.decide import RunView, needs_manifest
from fmdj_cloud.control.launchers.base import Launcher, LaunchError
from fmdj_cloud.control.report import Tally
from fmdj_cloud.errors import ConfigError, DatabaseError, StorageError
from fmdj_cloud.names import canonical_key, parse_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.silence import populates
from fmdj_cloud.pipeline.tasks import Tasks
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.manifests import read_manifest

_READY_AT_A_TIME = 1000
"""Ready runs looked at in one pass, the most urgent first of each pipeline: more than are launched in one."""
_READY_AT_LEAST = 100
_UNFINISHED = frozenset(RunState) - FINISHED_STATES
_GIVEN_UP = frozenset({BindingState.REFUSED, BindingState.CANCELLED})
_FOREIGN = "A result that isn't ours appeared in the database; it stays as it is."


@dataclass(frozen=True)
class Scene:
    """One consistent enough look at everything.

    Attributes
    ----------
    views : tuple of RunView
    jobs : tuple of JobObservation
    known : mapping of str to RunRecord
        Runs of `jobs`, as far as the ledger knows them.
    now : datetime
        The database's clock.
    """

    views: tuple[RunView, ...]
    jobs: tuple[JobObservation, ...]
    known: Mapping[str, RunRecord]
    now: dt.datetime

    @cached_property
    def _views(self) -> dict[str, RunView]:
        return {view.run.run_id: view for view in self.views}

    @cached_property
    def _jobs(self) -> dict[str, JobObservation]:
        return {job.name: job for job in self.jobs}

    def view(self, run_id: str) -> RunView:
        """Return the view of a run."""
        return self._views[run_id]

    def job(self, name: str) -> JobObservation:
        """Return a Job."""
        return self._jobs[name]


class Observer:
    """Gathers scenes.

    Parameters
    ----------
    ledger : Ledger
    store : Store
    launcher : Launcher
    """

    def __init__(self, ledger: Ledger, store: Store, launcher: Launcher) -> None:
        self._ledger = ledger
        self._store = store
        self._launcher = launcher
        self._rotation: deque[str] = deque()

    def gather(self, labs: Mapping[str, Lab], recheck: int, tally: Tally) -> Scene:
        """Return what there is to decide about.

        Parameters
        ----------
        labs : mapping of str to Lab
            Open pipelines by name. Ready runs of others wait, and so do those of task tables that these don't have.
        recheck : int
            Runs of the slow rotation whose task is compared again.
        tally : Tally
        """
        runs = {run.run_id: run for run in self._runs(labs)}
        rotated = self._next_in_rotation(recheck)
        for run in self._ledger.runs_by_id(rotated - runs.keys()):
            if run.state in _UNFINISHED and _is_open(run, labs):
                runs[run.run_id] = run
        attempts = self._ledger.current_attempts()
        # Jobs after runs: what the ledger calls launched is then seen if it exists, and what is seen beside it is
        # looked up afterwards
        jobs = self._launcher.observe()
        others = self._ledger.runs_by_id({job.run_id for job in jobs} - runs.keys())
        known = runs | {run.run_id: run for run in others}
        tally.unknown_jobs = tuple(job.name for job in jobs if job.run_id not in known)
        tally.leaked_jobs = tuple(job.name for job in jobs if job.leaked)
        by_stage = {(job.run_id, job.attempt, job.stage): job for job in jobs}
        views = tuple(
            RunView(run)
            if run.state is not RunState.LAUNCHED
            else self._launched(run, attempts.get(run.run_id), by_stage, tally)
            for run in runs.values()
        )
        views = tuple(
            replace(view, unsure=True) if _ends_unseen(view) and self._may_be_there(view, tally) else view
            for view in self.with_obsolete(views, rotated, labs, tally)
        )
        return Scene(views, jobs, known, self._ledger.database.now())

    def with_obsolete(
        self, views: Sequence[RunView], run_ids: Iterable[str], labs: Mapping[str, Lab], tally: Tally
    ) -> tuple[RunView, ...]:
        """Return the views with some runs' tasks compared to what they were when they were planned.

        Those of a pipeline whose tables can't be read are unsure, and stop no other pipeline.
        """
        chosen = set(run_ids)
        why: dict[str, str] = {}
        unread: set[str] = set()
        for name, lab in labs.items():
            runs = [view.run for view in views if view.run.run_id in chosen and view.run.pipeline == name]
            try:
                for tasks in lab.tables:
                    why |= _obsolete(tasks, [run for run in runs if run.task_kind is tasks.kind])
            except DatabaseError as error:
                self._ledger.database.ensure_connected()
                tally.trouble(f"Pipeline {name}: {error.sentence}")
                unread |= {run.run_id for run in runs if run.run_id not in why}
        views = [replace(view, unsure=True) if view.run.run_id in unread else view for view in views]
        return tuple(replace(view, obsolete=why[view.run.run_id]) if view.run.run_id in why else view for view in views)

    def _runs(self, labs: Mapping[str, Lab]) -> Iterable[RunRecord]:
        each = max(_READY_AT_LEAST, _READY_AT_A_TIME // max(1, len(labs)))
        for name in labs:
            ready = self._ledger.runs(states={RunState.READY}, pipeline=name, limit=each)
            yield from (run for run in ready if _is_open(run, labs))
        yield from self._ledger.runs(states={RunState.LAUNCHED})
        for state, wanted in ((RunState.HELD, Wanted.HOLD), (RunState.PUBLISHED, Wanted.RUN)):
            yield from self._ledger.runs_wanted_otherwise(state, wanted)

    def _next_in_rotation(self, number: int) -> set[str]:
        if number and not self._rotation:
            self._rotation.extend(self._ledger.run_ids(_UNFINISHED))
        return {self._rotation.popleft() for _ in range(min(number, len(self._rotation)))}

    def _launched(
        self,
        run: RunRecord,
        attempt: AttemptRecord | None,
        jobs: Mapping[tuple[str, int, Stage], JobObservation],
        tally: Tally,
    ) -> RunView:
        if attempt is None:  # it changed since the runs were read, or its row is missing for good
            attempt = self._ledger.attempt(run.run_id, run.attempt)
        if attempt is not None and attempt.attempt != run.attempt:  # it was launched anew since the runs were read
            return RunView(run, unsure=True)
        stage = attempt.stage if attempt is not None else Stage.ALL
        view = RunView(run, attempt, jobs.get((run.run_id, run.attempt, stage)))
        outcome = view.job.outcome if view.job is not None else None
        if outcome is not None and outcome.failure_class is FailureClass.CHANGED:
            binding = self._ledger.binding_of(run.run_id)
            view = replace(view, changed=binding.changed if binding is not None else 0)
        if view.attempt is None or not needs_manifest(view):
            return view
        try:
            found = read_manifest(self._store, view.attempt.folder, run, run.attempt, view.attempt.spec_sha256)
            following = None if found is not None else shards_after(self._store, run, view.attempt)
        except (StorageError, ConfigError) as error:
            tally.trouble(f"Run {run.run_id}: {error.sentence}")
            return view
        if found is not None:
            return replace(view, manifest_known=True, manifest_sha256=found[1])
        # one whose maker died before it said so is asked for by creating it
        was_there = attempt is not None and attempt.job_uid is not None
        unsure = was_there and self._may_be_there(view, tally)
        return replace(view, manifest_known=True, next_shards=following, unsure=unsure)

    def _may_be_there(self, view: RunView, tally: Tally) -> bool:
        """Tell whether a Job that isn't seen is there all the same."""
        attempt = view.attempt
        if view.job is not None or attempt is None or populates(view.run, attempt):
            return False
        try:
            return not self._launcher.is_gone(attempt.job_name)
        except LaunchError as error:
            tally.trouble(f"Run {view.run.run_id}: {error.sentence}")
            return True


def _is_open(run: RunRecord, labs: Mapping[str, Lab]) -> bool:
    """Tell whether the task table of a run's task is at hand."""
    lab = labs.get(run.pipeline)
    return lab is not None and lab.has(run)


def _ends_unseen(view: RunView) -> bool:
    """Tell whether a launched run ends now whose Job nobody has ever seen: its maker may have died after making it."""
    made = view.attempt is not None and view.attempt.job_uid is not None
    ends = bool(view.obsolete) or view.run.wanted is not Wanted.RUN
    return view.run.state is RunState.LAUNCHED and view.job is None and ends and not made and not view.unsure


def count_under_way(views: Sequence[RunView], jobs: Sequence[JobObservation], now: dt.datetime) -> int:
    """Return how much goes on by itself: Jobs and populating processes that run, retries that wait for their time."""
    ours = {view.run.run_id for view in views}
    running = sum(job.phase is JobPhase.RUNNING and job.run_id in ours for job in jobs)
    populating = sum(view.run.state is RunState.LAUNCHED and populates(view.run, view.attempt) for view in views)
    later = sum(
        view.run.state is RunState.READY and view.run.not_before is not None and view.run.not_before > now
        for view in views
    )
    return running + populating + later


class RefusalRotation:
    """Looks at tasks refused, or cancelled before they had a run, a few per pass: one that was edited is pending again.

    Parameters
    ----------
    ledger : Ledger
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._queues: dict[tuple[str, Kind], deque[str]] = {}

    def forget_edited(self, lab: Lab, number: int, epoch: int) -> int:
        """Make tasks pending again that were edited since, and forget deleted ones; return how many.

        Parameters
        ----------
        lab : Lab
        number : int
            Tasks of each task table that are looked at.
        epoch : int
        """
        return sum(self._forget_edited(lab, tasks, number, epoch) for tasks in lab.tables)

    def _forget_edited(self, lab: Lab, tasks: Tasks, number: int, epoch: int) -> int:
        queue = self._queues.setdefault((lab.name, tasks.kind), deque())
        if number and not queue:
            refused = self._ledger.bindings(lab.name, tasks.kind, states=_GIVEN_UP)
            queue.extend(canonical_key(binding.key) for binding in refused)
        keys = [parse_key(queue.popleft()) for _ in range(min(number, len(queue)))]
        digests = tasks.param_digests(keys) if keys else {}
        forgotten = 0
        for key in keys:
            binding = self._ledger.binding(lab.name, tasks.kind, key)
            if binding is None or binding.state not in _GIVEN_UP:
                continue
            digest = digests.get(canonical_key(key))
            if digest is None:
                forgotten += self._ledger.forget(lab.name, tasks.kind, key, epoch=epoch)
            elif digest != binding.param_digest:  # what people want of it, its priority, stays
                forgotten += self._ledger.reopen(binding, "It was edited.")
        return forgotten


def _obsolete(tasks: Tasks, runs: Sequence[RunRecord]) -> dict[str, str]:
    """Return why runs of a task table are no longer wanted, by run_id; those that are wanted are left out."""
    keys = [parse_key(run.task) for run in runs]
    digests = tasks.param_digests(keys)
    results = tasks.has_result(keys)
    why = {}
    for run in runs:
        if run.task not in digests:
            why[run.run_id] = "The task was deleted."
        elif digests[run.task] != run.param_digest:
            why[run.run_id] = "The task was edited since it was planned."
        elif run.task in results:
            why[run.run_id] = _FOREIGN
    return why
