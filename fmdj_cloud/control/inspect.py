"""Look at tasks without changing anything: observe one, plan them on paper, find their logs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fmdj_cloud.contracts import (
    REUSE,
    AttemptRecord,
    Estimate,
    FailureClass,
    Frozen,
    Kind,
    PipelineRecord,
    QualityCheck,
    RunRecord,
)
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.explain import Observation
from fmdj_cloud.control.models import models_of
from fmdj_cloud.control.plan import plan_task
from fmdj_cloud.control.progress import read_progress
from fmdj_cloud.control.sharding import sharded
from fmdj_cloud.errors import ConfigError, InputError, InputMissingError, LostRaceError, StorageError, UsageError
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import ObjectInfo, Store

_LOG_BYTES = 64 << 20


class PlanLine(Frozen):
    """What one pending task would become."""

    pipeline: str
    task: dict[str, Any]
    run_id: str | None
    estimate: Estimate | None
    notes: tuple[str, ...] = ()
    failure_class: FailureClass | None = None
    sentence: str = ""

    @property
    def task_text(self) -> str:
        """The task as people type it."""
        return display_key(self.task)


class PlanReport(Frozen):
    """All of ``fmdj plan``."""

    pending: int
    brake: bool
    lines: tuple[PlanLine, ...]


def observe_task(choice: Choice, ledger: Ledger, store: Store, silent_s: float) -> Observation:
    """Return all that is known of one task.

    Parameters
    ----------
    choice : Choice
    ledger : Ledger
    store : Store
    silent_s : float
        After how many seconds without a sign of life a ``populate()`` counts as gone.
    """
    lab, tasks, key = choice.lab, choice.tasks, choice.key
    canonical = canonical_key(key)
    digests = tasks.param_digests([key])
    binding = ledger.binding(lab.name, tasks.kind, key)
    run = ledger.run(binding.run_id) if binding is not None and binding.run_id else None
    records = {record.name: record for record in ledger.pipelines()}
    leader = ledger.leader()
    now = ledger.database.now()
    return Observation(
        pipeline=lab.name,
        kind=tasks.kind,
        result_name=tasks.result_name,
        key=key,
        exists=canonical in digests,
        has_result=canonical in tasks.has_result([key]),
        edited=binding is not None and canonical in digests and digests[canonical] != binding.param_digest,
        brake=lab.name in records and records[lab.name].brake,
        seen=lab.name in records,
        leader=leader[0] if leader is not None and leader[2] > now else None,
        unclaimed=tasks.claimed_only and not ledger.overrides([tasks.digest(key)]),
        binding=binding,
        run=run,
        attempts=tuple(ledger.attempts(run.run_id)) if run is not None else (),
        progress=read_progress(store, run) if run is not None else None,
        quality=_quality(ledger, run) if run is not None else (),
        now=now,
        silent_s=silent_s,
    )


def _quality(ledger: Ledger, run: RunRecord) -> tuple[QualityCheck, ...]:
    """Return what was found in the outputs of a run's current attempt: those of an earlier one are history."""
    return tuple(check for check in ledger.quality(run.run_id) if check.attempt == run.attempt)


def preview(
    lab: Lab,
    ledger: Ledger,
    store: Store,
    settings: Settings,
    choices: Sequence[Choice] | None,
    limit: int,
    *,
    kind: Kind | None = None,
) -> PlanReport:
    """Plan tasks on paper.

    Parameters
    ----------
    lab : Lab
    ledger : Ledger
    store : Store
    settings : Settings
    choices : sequence of Choice, optional
        The tasks; by default those that are pending, in the order they would be planned in.
    limit : int
        Tasks planned at most.
    kind : Kind, optional
        Of the task table that pending tasks are taken from and counted in; all by default.
    """
    kinds = lab.kinds if kind is None else lab.kinds & {kind}
    record = next((record for record in ledger.pipelines() if record.name == lab.name), None)
    if choices is None:
        choices = [Choice(lab, tasks, key) for tasks, key in lab.pending(limit, kinds)]
    return PlanReport(
        pending=sum(tasks.count_pending() for tasks in lab.tables if tasks.kind in kinds),
        brake=record is not None and record.brake,
        lines=tuple(_preview_lines(lab, store, settings, choices[:limit], record)),
    )


def _preview_lines(
    lab: Lab, store: Store, settings: Settings, choices: Sequence[Choice], record: PipelineRecord | None
) -> Iterator[PlanLine]:
    engine, basis = (None, None) if record is None else (record.engine, record.basis)
    for choice in choices:
        key, task = choice.key, choice.tasks.get(choice.key)
        if task is None:
            continue
        try:
            models = models_of(lab, store, export=False)
            planned = plan_task(task, lab.settings, store, settings, engine=engine, basis=basis, models=models)
        except (InputMissingError, LostRaceError, StorageError) as error:
            yield PlanLine(pipeline=lab.name, task=key, run_id=None, estimate=None, sentence=error.sentence)
        except (InputError, ConfigError) as error:
            failure = FailureClass.INPUT if isinstance(error, InputError) else FailureClass.CONFIG
            yield PlanLine(
                pipeline=lab.name,
                task=key,
                run_id=None,
                estimate=None,
                failure_class=failure,
                sentence=error.sentence,
            )
        else:
            yield PlanLine(
                pipeline=lab.name,
                task=key,
                run_id=planned.run_id,
                estimate=planned.plan.estimate,
                notes=sharded(planned.plan, "", settings.controller).notes,
            )


def read_logs(choice: Choice, ledger: Ledger, store: Store, attempt: int | None) -> str:
    """Return the log of a task's newest attempt, or of the one asked for.

    Raises
    ------
    UsageError
        If the task has no run, the run no such attempt, or the attempt no log yet.
    """
    binding = ledger.binding(choice.lab.name, choice.tasks.kind, choice.key)
    if binding is None or binding.run_id is None:
        raise UsageError(f"{display_key(choice.key)} has no run yet; `fmdj explain` says why.")
    return read_log(ledger.attempts(binding.run_id), binding.run_id, store, attempt)


def read_log(
    attempts: Sequence[AttemptRecord], run_id: str, store: Store, attempt: int | None, max_bytes: int = _LOG_BYTES
) -> str:
    """Return the log of a run's newest attempt, or of the one asked for: of each of its pods the end.

    Parameters
    ----------
    attempts : sequence of AttemptRecord
        All of the run's.
    run_id : str
    store : Store
    attempt : int or None
    max_bytes : int
        Of one pod's log.

    Raises
    ------
    UsageError
        If there is no such attempt, or it has no log (yet).
    """
    known = {a.attempt: a for a in attempts}
    chosen = known.get(attempt if attempt is not None else max(known, default=0))
    if chosen is None:
        raise UsageError(f"Run {run_id} has no attempt {attempt or ''}; it has {sorted(known) or 'none'}.")
    if chosen.launcher == REUSE and chosen.sentence:
        raise UsageError(f"Attempt {chosen.attempt} of {run_id} computed nothing. {chosen.sentence}")
    logs = [info for info in store.list(f"{chosen.folder}/") if info.uri.endswith("/run.log")]
    if not logs:
        raise UsageError(f"Attempt {chosen.attempt} of {run_id} has written no log yet.")
    logs.sort(key=lambda info: info.modified.timestamp() if info.modified else 0.0)
    return "".join(_tail(store, info, max_bytes) for info in logs)


def _tail(store: Store, info: ObjectInfo, max_bytes: int) -> str:
    start = max(0, info.size - max_bytes)
    data = store.get_bytes(info.uri, max_bytes=max_bytes, byte_range=(start, start + max_bytes))
    return data.decode("utf-8", "replace")
