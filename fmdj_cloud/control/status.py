"""What there is to say of all runs: the one source of ``fmdj status`` and of the demo's live table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fmdj_cloud.contracts import (
    FINISHED_STATES,
    BindingRecord,
    BindingState,
    FailureClass,
    Frozen,
    Kind,
    Progress,
    RunRecord,
    RunState,
)
from fmdj_cloud.control.progress import read_progress
from fmdj_cloud.names import display_key, parse_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.storage import Store

_WITHOUT_A_RUN = frozenset(BindingState) - {BindingState.PLANNED, BindingState.PENDING}


class RunLine(Frozen):
    """One run, as people see it."""

    run_id: str
    pipeline: str
    kind: Kind
    task_kind: Kind
    """Of the task table."""
    task: dict[str, Any]
    state: RunState
    attempt: int
    failure_class: FailureClass | None
    sentence: str
    updated: dt.datetime
    progress: Progress | None = None

    @property
    def task_text(self) -> str:
        """The task as people type it."""
        return display_key(self.task)


class BindingLine(Frozen):
    """One task that has no run: it waits for an input, planning refused it, or somebody held or cancelled it."""

    pipeline: str
    kind: Kind
    """Of the task table."""
    task: dict[str, Any]
    state: BindingState
    failure_class: FailureClass | None
    sentence: str
    since: dt.datetime
    next_look: dt.datetime | None

    @property
    def task_text(self) -> str:
        """The task as people type it."""
        return display_key(self.task)


class PipelineLine(Frozen):
    """One pipeline."""

    name: str
    pending: int
    by_kind: dict[str, int]
    """Pending tasks of each task table."""
    brake: bool
    seen: bool
    """Whether a controller has met it yet."""
    queue_age_s: float = 0.0
    """How long the run that has waited longest could have started, seconds; 0 if none waits."""


class StatusReport(Frozen):
    """All of ``fmdj status``."""

    leader: str | None
    """Who leads now, None where nobody does."""
    pipelines: tuple[PipelineLine, ...]
    counts: dict[str, int]
    """Runs by state."""
    runs: tuple[RunLine, ...]
    bindings: tuple[BindingLine, ...]


Look = Callable[[Store, RunRecord], Progress | None]
"""Tells how far a launched run is."""


def key_orders(labs: Iterable[Lab]) -> dict[tuple[str, Kind], tuple[str, ...]]:
    """Return the attributes of each task table's key in their order, by pipeline and kind: the ledger sorts them."""
    return {(lab.name, tasks.kind): tuple(tasks.table.primary_key) for lab in labs for tasks in lab.tables}


def run_line(
    run: RunRecord,
    store: Store | None,
    reused: str = "",
    *,
    order: Sequence[str] = (),
    look: Look = read_progress,
) -> RunLine:
    """Return a run as people see it, with its progress if a store is given and it is under way.

    Parameters
    ----------
    run : RunRecord
    store : Store or None
    reused : str
        Whose outputs it has, if they aren't its own.
    order : sequence of str
        Attributes of the task's key, as they are to be named.
    look : callable
        Tells how far it is.
    """
    key = parse_key(run.task)
    progress = look(store, run) if store is not None and run.state is RunState.LAUNCHED else None
    return RunLine(
        run_id=run.run_id,
        pipeline=run.pipeline,
        kind=run.kind,
        task_kind=run.task_kind,
        task={name: key[name] for name in order if name in key} | key,
        state=run.state,
        attempt=run.attempt,
        failure_class=run.failure_class,
        sentence=run.sentence or reused,
        updated=run.updated,
        progress=progress,
    )


def binding_line(binding: BindingRecord) -> BindingLine:
    """Return a task without a run as people see it."""
    return BindingLine(
        pipeline=binding.pipeline,
        kind=binding.kind,
        task=binding.key,
        state=binding.state,
        failure_class=binding.failure_class,
        sentence=binding.sentence,
        since=binding.since,
        next_look=binding.next_look,
    )


def gather_status(
    ledger: Ledger,
    labs: Iterable[Lab],
    store: Store,
    *,
    states: frozenset[RunState] | None = None,
    limit: int = 50,
    look: Look = read_progress,
) -> StatusReport:
    """Gather the status.

    Parameters
    ----------
    ledger : Ledger
    labs : iterable of Lab
        The pipelines to report, opened.
    store : Store
        For the progress of runs under way.
    states : frozenset of RunState, optional
        States of the runs listed; all but ``loaded`` and ``superseded`` first by default.
    limit : int
        Runs and bindings listed at most.
    look : callable, optional
        Tells how far a launched run is, such as one that remembers it for a while.
    """
    labs = tuple(labs)
    names = {lab.name for lab in labs}
    known = {record.name: record for record in ledger.pipelines()}
    leader = ledger.leader()
    counts: dict[str, int] = {}
    for (pipeline, _kind, state), number in ledger.count_runs().items():
        if pipeline in names:
            counts[RunState(state).value] = counts.get(RunState(state).value, 0) + number
    runs: list[RunRecord] = []
    for some in (states,) if states is not None else (frozenset(RunState) - FINISHED_STATES, FINISHED_STATES):
        for lab in labs if len(runs) < limit else ():
            runs += ledger.runs(states=some, pipeline=lab.name, limit=limit)
    reused = ledger.reused([run.run_id for run in runs[:limit]])
    orders = key_orders(labs)
    bindings = [
        binding
        for lab in labs
        for tasks in lab.tables
        for binding in ledger.bindings(lab.name, tasks.kind, states=_WITHOUT_A_RUN, limit=limit)
    ]
    bindings.sort(key=lambda b: (b.priority, b.since, b.task_digest))
    ages = ledger.queue_age_s()
    pending = {lab.name: {tasks.kind.value: tasks.count_pending() for tasks in lab.tables} for lab in labs}
    return StatusReport(
        leader=leader[0] if leader is not None and leader[2] > ledger.database.now() else None,
        pipelines=tuple(
            PipelineLine(
                name=lab.name,
                pending=sum(pending[lab.name].values()),
                by_kind=pending[lab.name],
                brake=lab.name in known and known[lab.name].brake,
                seen=lab.name in known,
                queue_age_s=ages.get(lab.name, 0.0),
            )
            for lab in labs
        ),
        counts=counts,
        runs=tuple(
            run_line(
                run,
                store,
                reused.get(run.run_id, ""),
                order=orders.get((run.pipeline, run.task_kind), ()),
                look=look,
            )
            for run in runs[:limit]
        ),
        bindings=tuple(map(binding_line, bindings[:limit])),
    )
