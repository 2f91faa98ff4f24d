"""Courtesy to those who populate the Element's tables themselves: what they have in hand is theirs, and ours is ours.

The rows in their job tables say so both ways. They are a courtesy and no lock: whoever doesn't look at them computes
all the same, and the loader's transaction decides. So nothing here may hinder a run: where there is no job table, or
no right to write it, everything goes on without.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fmdj_cloud.contracts import (
    FINISHED_STATES,
    POPULATE,
    AttemptRecord,
    BindingRecord,
    Kind,
    Outcome,
    RunRecord,
    RunState,
    TaskRecord,
)
from fmdj_cloud.control.courtesy_words import (
    Fate,
    error_of,
    error_of_refusal,
    fate_of,
    fate_of_refusal,
    told_of,
    told_of_half,
    told_of_result,
)
from fmdj_cloud.control.decide import RunView
from fmdj_cloud.control.report import Tally
from fmdj_cloud.errors import DatabaseError
from fmdj_cloud.names import parse_key
from fmdj_cloud.pipeline.courtesy import JobQueue, JobStatus, Reservation, refusal_of, reserved_by_others
from fmdj_cloud.pipeline.job_tables import is_processed, queues_of
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.silence import populates
from fmdj_cloud.pipeline.tasks import Tasks
from fmdj_cloud.settings import ControllerSettings

_log = logging.getLogger(__name__)
_ERRORS_EVERY_S = 60.0
"""Errors of ours stay until people do something: no need to look at them all the time."""
_UNUSABLE_S = 600.0
_BOTH = (JobStatus.RESERVED, JobStatus.ERROR)
_Place = tuple[str, Kind]
"""Pipeline and kind of task table."""
T = TypeVar("T")


@dataclass(frozen=True)
class PutOff:
    """Why a task is left to somebody else for now.

    Attributes
    ----------
    sentence : str
    look_s : float
        When to look again, seconds from now.
    """

    sentence: str
    look_s: float


class Courtesy:
    """Reservations for runs, in the job tables of all open pipelines.

    Parameters
    ----------
    settings : ControllerSettings
    ledger : Ledger
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, settings: ControllerSettings, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._labs: dict[str, Lab] = {}
        self._queues: dict[_Place, tuple[JobQueue, ...]] = {}
        self._unusable: dict[str, float] = {}
        """Name of a queue -> when to try it again."""
        self._renewed: float | None = None
        self._errors_seen: float | None = None
        self._withdrawn = False

    def open(self, labs: Mapping[str, Lab]) -> None:
        """Look which job tables there are; call it in every pass, before anything is asked for."""
        self._labs = dict(labs)
        self._queues = {
            (lab.name, tasks.kind): queues_of(self._ledger.database, lab, tasks.kind)
            for lab in labs.values()
            for tasks in lab.tables
        }

    def others(self, lab: Lab, tasks: Tasks, keys: Sequence[Mapping[str, Any]]) -> dict[str, PutOff]:
        """Return canonical key -> why that task is left to somebody else; those that aren't are left out."""
        if not self._settings.courtesy or not keys:
            return {}
        queues = self._usable(lab.name, tasks.kind)
        try:
            rows = reserved_by_others(self._ledger.database, queues, keys)
        except DatabaseError:  # one by one: it shows which table refuses
            self._ledger.database.ensure_connected()
            rows = {}
            nothing: dict[str, Reservation] = {}
            for queue in queues:
                rows = self._guarded(queue, self._reserved(keys), nothing) | rows
        return {name: self._put_off(row) for name, row in rows.items()}

    def _reserved(self, keys: Sequence[Mapping[str, Any]]) -> Callable[[JobQueue], dict[str, Reservation]]:
        return lambda queue: reserved_by_others(self._ledger.database, [queue], keys)

    def take(self, run: RunRecord) -> PutOff | None:
        """Reserve all keys of a run that is about to begin, or none.

        Returns
        -------
        PutOff or None
            Why it must not begin; None if it may.
        """
        lab = self._labs.get(run.pipeline)
        queues = self._usable(run.pipeline, run.task_kind) if self._settings.courtesy else []
        if lab is None or not queues:
            return None
        attempts = self._ledger.attempts(run.run_id)
        gone = _processes(attempts)
        for queue in queues:
            row = self._take(queue, run, gone)
            if row is not None:
                self.release(run)
                return self._put_off(row)
        # Whoever had it may have finished since the task was last looked at
        put_off = self._done(lab, run) or (None if attempts or run.attempt > 1 else self._half_done(lab, run))
        if put_off is not None:
            self.release(run)
        return put_off

    def leave(self, run: RunRecord, put_off: PutOff, epoch: int, tally: Tally) -> None:
        """Leave the task of a ready run to whoever has it: it waits, and is planned again later.

        Raises
        ------
        LostRaceError
            If the task has another run meanwhile.
        DatabaseError
            If the database doesn't answer.
        """
        lab = self._labs.get(run.pipeline)
        task = lab.tasks_of(run).get(parse_key(run.task)) if lab is not None else None
        if task is not None:  # one that was deleted is superseded when that is seen
            done = self._ledger.put_off(task, run, put_off.sentence, put_off.look_s, epoch=epoch)
            tally.tell(done, "ended", f"Put off: {put_off.sentence}")

    def refuse(self, task: TaskRecord, outcome: Outcome) -> None:
        """Make an error of a task that can't be planned, where its people look for those, unless somebody has it.

        Raises
        ------
        DatabaseError
            If the database doesn't answer.
        """
        owner, told = refusal_of(task.task_digest), error_of_refusal(outcome)
        for queue in self._usable(task.pipeline, task.kind) if self._settings.courtesy else ():
            if self._guarded(queue, lambda one: one.take(task.key, owner), None) is None:
                self._guarded(queue, lambda one: one.fail(owner, *told), None)

    def release(self, run: RunRecord, *, over: bool = False) -> None:
        """Let a run's keys go; idempotent."""
        for queue in self._usable(run.pipeline, run.task_kind):
            self._release(queue, run.run_id, over=over)

    def keep(self, views: Iterable[RunView]) -> None:
        """Bring all reservations in step with their runs: kept, renewed, released, or turned into errors.

        What a controller that was killed left behind is found like everything else.

        Parameters
        ----------
        views : iterable of RunView
            At least all launched runs: those that have lost a reservation get it again, if nobody has it.
        """
        if not self._settings.courtesy:
            self._withdraw()
            return
        now = self._clock()
        errors_too = self._errors_seen is None or now - self._errors_seen >= _ERRORS_EVERY_S
        renew = self._renewed is None or now - self._renewed >= self._settings.courtesy_renew_s
        statuses = _BOTH if errors_too else (JobStatus.RESERVED,)
        launched: dict[_Place, list[RunRecord]] = defaultdict(list)
        for view in views:
            if view.run.state is RunState.LAUNCHED and not populates(view.run, view.attempt):
                launched[view.run.pipeline, view.run.task_kind].append(view.run)
        for place, queue in self._every():
            kept = self._settle(queue, self._ours(queue, statuses))
            if renew:
                self._renew(queue, kept, launched[place])
        self._errors_seen = now if errors_too else self._errors_seen
        self._renewed = now if renew else self._renewed

    def _settle(self, queue: JobQueue, rows: Sequence[Reservation]) -> list[str]:
        """Do to rows of ours what becomes them, and return the runs whose reservation stays."""
        runs = {run.run_id: run for run in self._ledger.runs_by_id({row.run_id for row in rows})}
        refused = self._bindings({row.refused for row in rows} - {""})
        kept = []
        for row in rows:
            if row.refused:
                self._settle_refusal(queue, row, refused.get(row.refused))
                continue
            run = runs.get(row.run_id)
            fate = fate_of(row, run, self._settings.courtesy_renew_s)
            if fate is Fate.FAIL and run is not None:
                self._fail(queue, run)
            elif fate is not Fate.KEEP:
                self._release(queue, row.run_id, over=fate is Fate.REMOVE)
            elif row.status is JobStatus.RESERVED and run is not None:
                kept.append(row.run_id)
        return kept

    def _settle_refusal(self, queue: JobQueue, row: Reservation, binding: BindingRecord | None) -> None:
        fate = fate_of_refusal(row, binding)
        if fate is Fate.RELEASE:
            self._release(queue, row.run_id, over=False)
        elif fate is Fate.FAIL and binding is not None:
            told = error_of_refusal(Outcome(failure_class=binding.failure_class, sentence=binding.sentence))
            self._guarded(queue, lambda one: one.fail(row.run_id, *told), None)

    def _bindings(self, task_digests: set[str]) -> dict[str, BindingRecord]:
        found = [self._ledger.bindings_of(*place, task_digests) for place in self._queues] if task_digests else []
        return {binding.task_digest: binding for some in found for binding in some}

    def _renew(self, queue: JobQueue, kept: Sequence[str], launched: Iterable[RunRecord]) -> None:
        self._guarded(queue, lambda one: one.renew(kept), None)
        for run in launched:
            if run.run_id not in kept:
                self._take(queue, run, ())

    def _withdraw(self) -> None:
        """Once reservations are switched off, those that are there go."""
        if self._withdrawn:
            return
        for _, queue in self._every():
            rows = self._ours(queue, _BOTH)
            for run in self._ledger.runs_by_id({row.run_id for row in rows}):
                self._release(queue, run.run_id, over=run.state in FINISHED_STATES)
            for digest in self._bindings({row.refused for row in rows} - {""}):
                self._release(queue, refusal_of(digest), over=False)
        self._withdrawn = True

    def _ours(self, queue: JobQueue, statuses: Sequence[JobStatus]) -> list[Reservation]:
        nothing: list[Reservation] = []
        return self._guarded(queue, lambda one: one.ours(statuses), nothing)

    def _fail(self, queue: JobQueue, run: RunRecord) -> None:
        self._guarded(queue, lambda one: one.fail(run.run_id, *error_of(run)), None)

    def _release(self, queue: JobQueue, run_id: str, *, over: bool) -> None:
        self._guarded(queue, lambda one: one.release(run_id, over=over), None)

    def _take(self, queue: JobQueue, run: RunRecord, gone: Sequence[tuple[str, int]]) -> Reservation | None:
        key = parse_key(run.task)
        row = self._guarded(queue, lambda one: one.take(key, run.run_id, gone), None)
        if row is None or not row.run_id:
            return row
        # another run of the same task, such as from before it was edited, if the ledger knows it
        other = self._ledger.run(row.run_id)
        if other is None or other.task_digest != run.task_digest or other.state is RunState.LAUNCHED:
            return row
        self._release(queue, other.run_id, over=True)
        return self._guarded(queue, lambda one: one.take(key, run.run_id, gone), None)

    def _done(self, lab: Lab, run: RunRecord) -> PutOff | None:
        tasks = lab.tasks_of(run)
        if not tasks.has_result([parse_key(run.task)]):
            return None
        return PutOff(told_of_result(tasks.result_name), self._settings.inputs_look_s)

    def _half_done(self, lab: Lab, run: RunRecord) -> PutOff | None:
        """Give whoever has made the first of two results a while for the second, once."""
        wait_s = self._settings.courtesy_wait_s
        if run.task_kind is not Kind.SVD or not wait_s:
            return None
        if not is_processed(self._ledger.database, lab, parse_key(run.task)):
            return None
        return PutOff(told_of_half("FacemapProcessing", "FacialSignal", wait_s), wait_s)

    def _put_off(self, row: Reservation) -> PutOff:
        settings = self._settings
        look_s = max(settings.inputs_look_s, min(settings.inputs_look_max_s, row.age_s))
        return PutOff(told_of(row, self._ledger.database.now()), look_s)

    def _every(self) -> list[tuple[_Place, JobQueue]]:
        return [(place, queue) for place in self._queues for queue in self._usable(*place)]

    def _usable(self, pipeline: str, kind: Kind) -> list[JobQueue]:
        now = self._clock()
        queues = self._queues.get((pipeline, kind), ())
        return [queue for queue in queues if self._unusable.get(queue.name, now) <= now]

    def _guarded(self, queue: JobQueue, call: Callable[[JobQueue], T], otherwise: T) -> T:
        """Ask a job table for something; one that refuses is left alone for a while.

        Raises
        ------
        DatabaseError
            If the server doesn't answer at all.
        """
        database = self._ledger.database
        for last in (False, True):
            try:
                return database.repeated(lambda: call(queue))
            except DatabaseError as error:
                database.ensure_connected()
                if last:
                    first = queue.name not in self._unusable
                    self._unusable[queue.name] = self._clock() + _UNUSABLE_S
                    level = logging.WARNING if first else logging.DEBUG
                    _log.log(level, "No reservations for %s: %s Runs go on without.", queue.name, error.sentence)
        return otherwise


def _processes(attempts: Iterable[AttemptRecord]) -> list[tuple[str, int]]:
    """Return (host, pid) of every ``populate()`` of ours that has had a run, and lost it: what it reserved is free."""
    holders = [(attempt.job_uid or "").split("/") for attempt in attempts if attempt.launcher == POPULATE]
    return [(holder[0], int(holder[1])) for holder in holders if len(holder) > 1 and holder[1].isdigit()]
