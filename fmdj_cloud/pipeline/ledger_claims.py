"""Which FacemapRun a task belongs to, and what it asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from fmdj_cloud.contracts import POPULATE, ClaimedRun, ClaimRecord, Kind, Overrides, RunState, Wanted
from fmdj_cloud.pipeline.ledger_base import one_of
from fmdj_cloud.pipeline.ledger_bindings import ACTIVE
from fmdj_cloud.pipeline.ledger_orders import Orders

OVERRIDES = ("priority", "profile", "time_budget_s", "shards")
"""Columns of what a FacemapRun asks for."""
_AT_A_TIME = 200


class Claims(Orders):
    """Claims of FacemapRuns on tasks, as they are."""

    def overrides(self, task_digests: Collection[str]) -> dict[str, Overrides]:
        """Return what FacemapRuns ask for of some tasks, by task digest; tasks without one are left out."""
        found = {}
        for some in batches_of(task_digests):
            sql = (
                f"SELECT task_digest, {', '.join(OVERRIDES)} FROM {self._claim} "
                f"WHERE NOT leaving AND task_digest IN ({one_of(some)})"
            )
            for digest, *values in self.database.query(sql, some):
                found[str(digest)] = _overrides(values)
        return found

    def claims(self) -> list[ClaimRecord]:
        """Return all claims with the runs that are under way for them: one query, however many there are."""
        sql = (
            f"SELECT c.task_digest, c.owner, c.owner_name, c.pipeline, c.kind, c.task, c.held, c.stopped, c.leaving, "
            f"{', '.join(f'c.{name}' for name in OVERRIDES)}, r.run_id, r.state, r.attempt, r.wanted, j.launcher "
            f"FROM {self._claim} c "
            f"LEFT JOIN {self._run} r ON r.task_digest = c.task_digest AND r.state IN ({one_of(ACTIVE)}) "
            f"LEFT JOIN {self._attempt} a ON a.run_id = r.run_id AND a.attempt = r.attempt "
            f"LEFT JOIN {self._job} j ON j.run_id = a.run_id AND j.attempt = a.attempt AND j.stage = a.stage "
            "ORDER BY c.task_digest, r.created"
        )
        return [_claim_record(row) for row in self.database.query(sql, ACTIVE)]

    def claims_mark(self) -> tuple[tuple[Any, ...], ...]:
        """Return something that differs whenever a run of a claimed task has changed: one query."""
        sql = (
            f"SELECT c.owner, r.state, COUNT(*), MAX(r.updated) FROM {self._claim} c "
            f"LEFT JOIN {self._run} r ON r.task_digest = c.task_digest GROUP BY c.owner, r.state"
        )
        return tuple(sorted(self.database.query(sql), key=repr))


def batches_of(items: Collection[Any]) -> Iterator[tuple[Any, ...]]:
    """Cut things into pieces that one statement takes."""
    every = tuple(items)
    for start in range(0, len(every), _AT_A_TIME):
        yield every[start : start + _AT_A_TIME]


def _overrides(values: Sequence[Any]) -> Overrides:
    return Overrides(**dict(zip(OVERRIDES, values, strict=True)))


def _claim_record(row: Sequence[Any]) -> ClaimRecord:
    digest, owner, owner_name, pipeline, kind, task, held, stopped, leaving, *rest = row
    run_id, state, attempt, wanted, launcher = rest[len(OVERRIDES) :]
    run = None
    if run_id is not None:
        populates = state == RunState.LAUNCHED.value and launcher == POPULATE
        run = ClaimedRun(
            run_id=run_id, state=RunState(state), attempt=attempt, wanted=Wanted(wanted), populates=populates
        )
    return ClaimRecord(
        task_digest=digest,
        owner=owner,
        owner_name=owner_name,
        pipeline=pipeline,
        kind=Kind(kind),
        task=task,
        overrides=_overrides(rest[: len(OVERRIDES)]),
        held=bool(held),
        stopped=bool(stopped),
        leaving=bool(leaving),
        run=run,
    )
