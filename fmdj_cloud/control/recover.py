"""Rebuild a lost or old ledger from tasks, manifests and Jobs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fmdj_cloud import names
from fmdj_cloud.contracts import (
    REUSE,
    AttemptRecord,
    Engine,
    FailureClass,
    Frozen,
    Kind,
    RoiKind,
    RunPlan,
    RunRecord,
    RunState,
    TaskRecord,
)
from fmdj_cloud.contracts.shards import first_stage
from fmdj_cloud.control.launchers.base import Launcher
from fmdj_cloud.control.leader import new_holder
from fmdj_cloud.control.models import models_of
from fmdj_cloud.control.plan import plan_task
from fmdj_cloud.control.traces import AttemptTrace, RunTrace, read_traces, recovered_plan, recovered_run, task_kind
from fmdj_cloud.errors import ConfigError, InputError, LostRaceError
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store

_LEASE_S = 60.0
_BY = "recover"
_log = logging.getLogger(__name__)


class RecoveryLine(Frozen):
    """One run that the ledger doesn't know, or knows less of than store and launcher tell."""

    pipeline: str
    task: dict[str, Any]
    run_id: str
    state: RunState
    attempt: int
    sentence: str
    done: bool = False

    @property
    def task_text(self) -> str:
        """The task as people type it."""
        return display_key(self.task)


@dataclass(frozen=True)
class _Found:
    task: TaskRecord
    trace: RunTrace
    run: RunRecord
    plan: RunPlan
    sentence: str


def recover(
    lab: Lab, ledger: Ledger, store: Store, launcher: Launcher, settings: Settings, *, write: bool
) -> list[RecoveryLine]:
    """Find what the ledger has lost, and put it back.

    A task with results and a manifest gets its loaded run; one without results gets its published run if there is
    a valid manifest, its launched one if there is a Job, else the next attempt, so that no number is used twice.
    What people asked for (held, cancelled, priorities) is lost; accepted checks are found in the specs.

    Parameters
    ----------
    lab : Lab
    ledger : Ledger
    store : Store
    launcher : Launcher
    settings : Settings
    write : bool
        Whether to put it back; else the ledger isn't changed.

    Raises
    ------
    ConfigError
        If a controller leads: it would plan what is about to be recovered.
    """
    leader = ledger.leader()
    if write and leader is not None:
        raise ConfigError(f"The controller {leader[0]} leads: stop all controllers, and recover then.")
    traces = read_traces(store, lab.settings.processed_root, lab.name, launcher.observe())
    found = list(_lost(lab, ledger, store, settings, traces))
    if write and traces:
        _write(lab, ledger, settings, found, launcher.name, traces)
    return [
        RecoveryLine(
            pipeline=lab.name,
            task=dict(one.task.key),
            run_id=one.run.run_id,
            state=one.run.state,
            attempt=one.run.attempt,
            sentence=one.sentence,
            done=write,
        )
        for one in found
    ]


def _lost(lab: Lab, ledger: Ledger, store: Store, settings: Settings, traces: Sequence[RunTrace]) -> Iterator[_Found]:
    for tasks in lab.tables:
        by_task: dict[str, list[RunTrace]] = {}
        for trace in traces:
            if task_kind(trace.newest.spec) is tasks.kind:
                by_task.setdefault(trace.task, []).append(trace)
        keys = [names.parse_key(task) for task in by_task]
        with_result = tasks.has_result(keys)
        for task in tasks.get_many(keys):
            name = canonical_key(task.key)
            one = _recovered(lab, store, settings, task, by_task[name], name in with_result)
            if one is not None and _is_news(ledger, one):
                yield one


def _is_news(ledger: Ledger, one: _Found) -> bool:
    """Tell whether the ledger knows less: it has the last word on what it knows as far."""
    known = ledger.run(one.run.run_id)
    if known is None or known.attempt < one.trace.newest.spec.attempt:
        return True
    return one.run.state is RunState.LOADED and known.state is not RunState.LOADED


def _recovered(
    lab: Lab, store: Store, settings: Settings, task: TaskRecord, traces: Sequence[RunTrace], has_result: bool
) -> _Found | None:
    planned = None
    for engine, basis in dict.fromkeys((trace.newest.spec.engine, trace.newest.spec.basis) for trace in traces):
        try:
            models = models_of(lab, store, export=False)
            planned = plan_task(task, lab.settings, store, settings, engine=engine, basis=basis, models=models)
        except (InputError, LostRaceError) as error:
            _log.info("%s can't be planned on paper: %s", display_key(task.key), error.sentence)
            break
        if any(trace.run_id == planned.run_id for trace in traces):
            break
    if has_result:
        trace = _loaded(task, traces, planned.run_id if planned is not None else None)
        if trace is None:
            return None
        plan = recovered_plan(trace)
        run = recovered_run(trace, RunState.LOADED, task.param_digest, plan.estimate, trace.newest.spec.attempt)
        return _Found(task, trace, run, plan, f"Its result is in the database.{_lost_signals(lab, task, trace)}")
    trace = next((one for one in traces if planned is not None and one.run_id == planned.run_id), None)
    if planned is None or trace is None:
        return None
    state, attempt, sentence = _unfinished(trace)
    run = recovered_run(trace, state, task.param_digest, planned.plan.estimate, attempt)
    plan = planned.plan.model_copy(update={"shards": trace.newest.spec.shards})
    return _Found(task, trace, run, plan, sentence)


def _unfinished(trace: RunTrace) -> tuple[RunState, int, str]:
    newest = trace.newest.spec.attempt
    if trace.newest.manifest is not None:
        return RunState.PUBLISHED, newest, "Its outputs are there; the loader writes them into the database."
    if trace.newest.job is not None:
        return RunState.LAUNCHED, newest, f"Its Job is {trace.newest.job.phase}."
    return RunState.READY, newest + 1, "Neither outputs nor a Job are left: it is computed again."


def _loaded(task: TaskRecord, traces: Sequence[RunTrace], planned: str | None) -> RunTrace | None:
    """Return the run whose outputs are in the tables: the one that the task's row points at, or would be planned."""
    published = [trace for trace in traces if trace.newest.manifest is not None]
    named = [trace for trace in published if f"/{trace.run_id}/" in f"/{task.output_dir}/"]
    return next(iter([*named, *(trace for trace in published if trace.run_id == planned)]), None)


def _lost_signals(lab: Lab, task: TaskRecord, trace: RunTrace) -> str:
    """Pupil, blink and running lie in our schema, and are lost with it."""
    svd = trace.newest.spec.svd
    tables = {
        RoiKind.PUPIL: lab.signals.Pupil,
        RoiKind.BLINK: lab.signals.Blink,
        RoiKind.RUNNING: lab.signals.Running,
    }
    kinds = {roi.kind for roi in svd.rois} if svd is not None else set()
    gone = [kind.value for kind, table in tables.items() if kind in kinds and not table & task.key]
    if not gone:
        return ""
    return f" Its {' and '.join(gone)} traces are gone: delete its FacialSignal row to have its outputs loaded again."


def _write(
    lab: Lab,
    ledger: Ledger,
    settings: Settings,
    found: Sequence[_Found],
    launcher: str,
    traces: Sequence[RunTrace],
) -> None:
    holder = new_holder()
    epoch = ledger.acquire(holder, _LEASE_S)
    if epoch is not None:
        epoch = ledger.raise_epoch(holder, epoch, int(ledger.database.now().timestamp()))
    if epoch is None:
        raise LostRaceError("A controller has just taken the lead: stop all controllers, and recover then.")
    try:
        for one in found:
            if not ledger.renew(holder, epoch, _LEASE_S):
                raise LostRaceError("A controller has taken the lead meanwhile: stop it, and recover once more.")
            attempts = [_attempt(trace, one.run, launcher, settings.instance) for trace in one.trace.attempts]
            ledger.restore(one.task, one.run, one.plan, attempts, epoch=epoch)
            if one.trace.newest.spec.accept:
                ledger.accept(one.task, one.trace.newest.spec.accept, _BY)
        newest = max(traces, key=lambda trace: trace.newest.written)
        ledger.see_pipeline(
            lab.name,
            engine=Engine(newest.newest.spec.engine),
            pending=lab.count_pending(),
            limit=settings.controller.first_start_limit,
            basis=newest.newest.spec.basis,
        )
    finally:
        ledger.resign(holder, epoch)


def _attempt(trace: AttemptTrace, run: RunRecord, launcher: str, instance: str) -> AttemptRecord:
    spec = trace.spec
    current = run.state is RunState.LAUNCHED and spec.attempt == run.attempt
    published = trace.manifest is not None
    reused = trace.manifest[0].reused_from if trace.manifest is not None else ""
    ended = f"Its outputs are those in {reused}, with equal content." if reused else ""
    job, stage = trace.job, first_stage(spec.shards, has_basis=spec.kind is Kind.SVD)
    return AttemptRecord(
        run_id=spec.run_id,
        attempt=spec.attempt,
        folder=spec.attempt_uri,
        spec_sha256=trace.spec_sha256,
        launcher=REUSE if reused else launcher,
        job_name=names.job_name(spec.run_id, spec.attempt, instance, job.stage if job is not None else stage),
        job_uid=job.uid if job is not None else None,
        started=trace.written,
        finished=None if current else trace.manifest[0].finished if trace.manifest is not None else trace.written,
        outcome=None if current else RunState.PUBLISHED.value if published else FailureClass.VANISHED.value,
        sentence=ended if current or published else "Recovered: how it ended isn't known.",
        evidence={},
        limits=spec.limits,
        stage=job.stage if job is not None else stage,
        shards=job.shards if job is not None else 1,
        pods=job.pods if job is not None else 1,
    )
