"""Look at tasks without changing anything: select them, observe one, plan them on paper, find their logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fmdj_cloud.contracts import Engine, Estimate, FailureClass, Frozen, Kind
from fmdj_cloud.control.explain import Observation
from fmdj_cloud.control.plan import plan_task
from fmdj_cloud.control.status import read_progress
from fmdj_cloud.errors import ConfigError, InputError, InputMissingError, StorageError, UsageError
from fmdj_cloud.names import canonical_key, display_key, parse_key
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


def select_tasks(labs: Iterable[Lab], ledger: Ledger, restriction: dict[str, Any]) -> list[tuple[Lab, dict[str, Any]]]:
    """Return the tasks that a KEY names.

    Parameters
    ----------
    labs : iterable of Lab
    ledger : Ledger
    restriction : dict
        Attributes, or ``{"run_id": ...}``.

    Raises
    ------
    UsageError
        If it names none.
    """
    labs = tuple(labs)
    if "run_id" in restriction:
        run = ledger.run(restriction["run_id"])
        if run is None:
            raise UsageError(f"There is no run {restriction['run_id']} in the ledger; `fmdj status` lists them.")
        found = [(lab, parse_key(run.task)) for lab in labs if lab.name == run.pipeline]
        if not found:
            raise UsageError(f"Run {run.run_id} belongs to pipeline {run.pipeline!r}: choose that, or no pipeline.")
        return found
    found = [(lab, key) for lab in labs for key in lab.tasks.select(restriction)]
    if not found:
        raise UsageError(f"No task matches {display_key(restriction) or 'that'}; check the attribute names and values.")
    return found


def observe_task(lab: Lab, ledger: Ledger, store: Store, key: dict[str, Any], silent_s: float) -> Observation:
    """Return all that is known of one task.

    Parameters
    ----------
    lab : Lab
    ledger : Ledger
    store : Store
    key : dict
    silent_s : float
        After how many seconds without a sign of life a ``populate()`` counts as gone.
    """
    canonical = canonical_key(key)
    digests = lab.tasks.param_digests([key])
    binding = ledger.binding(lab.name, Kind.SVD, key)
    run = ledger.run(binding.run_id) if binding is not None and binding.run_id else None
    records = {record.name: record for record in ledger.pipelines()}
    leader = ledger.leader()
    now = ledger.database.now()
    return Observation(
        pipeline=lab.name,
        key=key,
        exists=canonical in digests,
        has_result=canonical in lab.tasks.has_result([key]),
        edited=binding is not None and canonical in digests and digests[canonical] != binding.param_digest,
        brake=lab.name in records and records[lab.name].brake,
        seen=lab.name in records,
        leader=leader[0] if leader is not None and leader[2] > now else None,
        unclaimed=lab.tasks.claimed_only and not ledger.overrides([lab.tasks.digest(key)]),
        binding=binding,
        run=run,
        attempts=tuple(ledger.attempts(run.run_id)) if run is not None else (),
        progress=read_progress(store, run) if run is not None else None,
        now=now,
        silent_s=silent_s,
    )


def preview(
    lab: Lab, ledger: Ledger, store: Store, settings: Settings, keys: list[dict[str, Any]] | None, limit: int
) -> PlanReport:
    """Plan tasks on paper.

    Parameters
    ----------
    lab : Lab
    ledger : Ledger
    store : Store
    settings : Settings
    keys : list of dict, optional
        The tasks; by default those that are pending, in the order they would be planned in.
    limit : int
        Tasks planned at most.
    """
    record = next((record for record in ledger.pipelines() if record.name == lab.name), None)
    chosen = lab.tasks.pending(limit) if keys is None else keys[:limit]
    return PlanReport(
        pending=lab.tasks.count_pending(),
        brake=record is not None and record.brake,
        lines=tuple(_preview_lines(lab, store, settings, chosen, record.engine if record else None)),
    )


def _preview_lines(
    lab: Lab, store: Store, settings: Settings, keys: list[dict[str, Any]], engine: Engine | None
) -> Iterator[PlanLine]:
    for key in keys:
        task = lab.tasks.get(key)
        if task is None:
            continue
        try:
            planned = plan_task(task, lab.settings, store, settings, engine=engine)
        except (InputMissingError, StorageError) as error:
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
                notes=planned.plan.notes,
            )


def read_logs(lab: Lab, ledger: Ledger, store: Store, key: dict[str, Any], attempt: int | None) -> str:
    """Return the log of a task's newest attempt, or of the one asked for.

    Raises
    ------
    UsageError
        If the task has no run, the run no such attempt, or the attempt no log yet.
    """
    binding = ledger.binding(lab.name, Kind.SVD, key)
    if binding is None or binding.run_id is None:
        raise UsageError(f"{display_key(key)} has no run yet; `fmdj explain` says why.")
    attempts = {a.attempt: a for a in ledger.attempts(binding.run_id)}
    chosen = attempts.get(attempt if attempt is not None else max(attempts, default=0))
    if chosen is None:
        raise UsageError(f"Run {binding.run_id} has no attempt {attempt or ''}; it has {sorted(attempts) or 'none'}.")
    logs = [info for info in store.list(f"{chosen.folder}/") if info.uri.endswith("/run.log")]
    if not logs:
        raise UsageError(f"Attempt {chosen.attempt} of {binding.run_id} has written no log yet.")
    logs.sort(key=lambda info: info.modified.timestamp() if info.modified else 0.0)
    return "".join(_tail(store, info) for info in logs)


def _tail(store: Store, info: ObjectInfo) -> str:
    start = max(0, info.size - _LOG_BYTES)
    data = store.get_bytes(info.uri, max_bytes=_LOG_BYTES, byte_range=(start, start + _LOG_BYTES))
    return data.decode("utf-8", "replace")
