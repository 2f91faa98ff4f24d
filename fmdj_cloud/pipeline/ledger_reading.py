"""Runs and attempts, as they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fmdj_cloud.contracts import AttemptRecord, Kind, RunPlan, RunRecord, RunState, Wanted
from fmdj_cloud.errors import LostRaceError
from fmdj_cloud.pipeline.ledger_base import LedgerBase, one_of
from fmdj_cloud.pipeline.ledger_rows import ATTEMPT_COLUMNS, RUN_COLUMNS, attempt_record, run_record

_IDS_AT_A_TIME = 500


class RunReading(LedgerBase):
    """Reads the Run table with its parts."""

    def run(self, run_id: str) -> RunRecord | None:
        """Return a run."""
        found = self._runs("run_id = %s", (run_id,), "")
        return found[0] if found else None

    def runs(
        self,
        states: Collection[RunState] | None = None,
        pipeline: str | None = None,
        limit: int | None = None,
    ) -> list[RunRecord]:
        """Return runs in some states (or all) of one pipeline (or all), by priority, then oldest first."""
        names = tuple(sorted(RunState(state).value for state in (RunState if states is None else states)))
        if not names:
            return []
        where, args = f"state IN ({one_of(names)})", names
        if pipeline is not None:
            where, args = f"{where} AND pipeline = %s", (*args, pipeline)
        cut = "" if limit is None else f" LIMIT {int(limit)}"
        return self._runs(where, args, f" ORDER BY priority, created, run_id{cut}")

    def run_ids(self, states: Collection[RunState]) -> list[str]:
        """Return the ids of all runs in some states, by priority, then oldest first: there may be very many."""
        names = tuple(sorted(RunState(state).value for state in states))
        sql = f"SELECT run_id FROM {self._run} WHERE state IN ({one_of(names)}) ORDER BY priority, created, run_id"
        return [str(run_id) for (run_id,) in self.database.query(sql, names)]

    def runs_wanted_otherwise(self, state: RunState, wanted: Wanted) -> list[RunRecord]:
        """Return the runs of a state of which people want anything but `wanted`, by priority, then oldest first."""
        where = ("state = %s AND wanted <> %s", (state.value, wanted.value))
        return self._runs(*where, " ORDER BY priority, created, run_id")

    def runs_by_id(self, run_ids: Collection[str]) -> list[RunRecord]:
        """Return runs by their ids, in no order; those that there aren't are left out."""
        ids = sorted(run_ids)
        found: list[RunRecord] = []
        for start in range(0, len(ids), _IDS_AT_A_TIME):
            some = tuple(ids[start : start + _IDS_AT_A_TIME])
            found += self._runs(f"run_id IN ({one_of(some)})", some, "")
        return found

    def runs_of(self, task_digest: str) -> list[RunRecord]:
        """Return all runs that a task ever had, oldest first."""
        return self._runs("task_digest = %s", (task_digest,), " ORDER BY created, run_id")

    def plan_of(self, run_id: str) -> RunPlan:
        """Return what a run computes.

        Raises
        ------
        LostRaceError
            If there is no such run.
        """
        rows = self.database.query(f"SELECT plan FROM {self._run} WHERE run_id = %s", (run_id,))
        if not rows:
            raise LostRaceError(f"There is no run {run_id} in the ledger.")
        plan = rows[0][0]  # text on MySQL, where DataJoint 0.14 takes bytes for a blob of its own
        return RunPlan.model_validate_json(plan if isinstance(plan, str) else bytes(plan))

    def attempts(self, run_id: str) -> list[AttemptRecord]:
        """Return a run's attempts, oldest first."""
        return self._attempts("", (run_id,))

    def attempt(self, run_id: str, attempt: int) -> AttemptRecord | None:
        """Return one attempt of a run; None if it was never launched."""
        found = self._attempts(" AND a.attempt = %s", (run_id, attempt))
        return found[0] if found else None

    def current_attempts(self) -> dict[str, AttemptRecord]:
        """Return the current attempts of all launched runs, by run_id: one query, however many there are."""
        sql = (
            f"SELECT {ATTEMPT_COLUMNS} FROM {self._run} r JOIN {self._attempt} a "
            f"ON a.run_id = r.run_id AND a.attempt = r.attempt JOIN {self._job} j "
            "ON j.run_id = a.run_id AND j.attempt = a.attempt AND j.stage = a.stage WHERE r.state = %s"
        )
        rows = self.database.query(sql, (RunState.LAUNCHED.value,))
        return {attempt.run_id: attempt for attempt in map(attempt_record, rows)}

    def count_runs(self) -> dict[tuple[str, Kind, RunState], int]:
        """Return how many runs there are by (pipeline, kind, state)."""
        rows = self.database.query(f"SELECT pipeline, kind, state, COUNT(*) FROM {self._run} GROUP BY 1, 2, 3")
        return {(str(name), Kind(kind), RunState(state)): int(n) for name, kind, state, n in rows}

    def queue_age_s(self) -> dict[str, float]:
        """Return how long the run that has waited longest could have started, seconds, by pipeline."""
        rows = self.database.query(
            f"SELECT pipeline, MIN(updated) FROM {self._run} WHERE state = %s AND wanted = %s "
            f"AND (not_before IS NULL OR not_before <= {self._clock}) GROUP BY pipeline",
            (RunState.READY.value, Wanted.RUN.value),
        )
        now = self.database.now()
        return {str(name): max(0.0, (now - since).total_seconds()) for name, since in rows}

    def _runs(self, where: str, args: Sequence[str], tail: str) -> list[RunRecord]:
        sql = f"SELECT {RUN_COLUMNS} FROM {self._run} WHERE {where}{tail}"
        return [run_record(row) for row in self.database.query(sql, tuple(args))]

    def _attempts(self, where: str, args: tuple[str | int, ...]) -> list[AttemptRecord]:
        sql = (
            f"SELECT {ATTEMPT_COLUMNS} FROM {self._attempt} a JOIN {self._job} j "
            "ON j.run_id = a.run_id AND j.attempt = a.attempt AND j.stage = a.stage "
            f"WHERE a.run_id = %s{where} ORDER BY a.attempt"
        )
        return [attempt_record(row) for row in self.database.query(sql, args)]
