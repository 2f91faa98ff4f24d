"""Runs that needn't begin: somebody else has the task in hand, or has computed the same."""

from __future__ import annotations

from collections.abc import Collection

from fmdj_cloud.contracts import REUSE, RunRecord, RunState, TaskRecord
from fmdj_cloud.pipeline.ledger_base import one_of
from fmdj_cloud.pipeline.ledger_orders import Orders
from fmdj_cloud.pipeline.repeating import repeated

_AT_A_TIME = 500


class Yielding(Orders):
    """Lets runs wait for others, and finds whose outputs will do."""

    @repeated
    def put_off(self, task: TaskRecord, run: RunRecord, sentence: str, look_s: float, *, epoch: int | None) -> bool:
        """Ready -> superseded, with its task waiting: it is planned again when it is looked at next.

        Parameters
        ----------
        task : TaskRecord
            Of the run.
        run : RunRecord
        sentence : str
            Why.
        look_s : float
            When to look again, seconds from now.
        epoch : int or None

        Raises
        ------
        LostRaceError
            If the task has another run that is under way.
        """
        with self.database.transaction():
            if not self._supersede(run.run_id, RunState.READY, run.attempt, sentence, epoch):
                return False
            self.wait(task, sentence, look_s, epoch=epoch)
            return True

    def with_outputs(self, content_digests: Collection[str]) -> dict[str, list[RunRecord]]:
        """Return content digest -> runs of it that have published, the newest first; those without are left out."""
        found: dict[str, list[RunRecord]] = {}
        digests = tuple(sorted(set(content_digests)))
        states = (RunState.PUBLISHED.value, RunState.LOADED.value)
        for start in range(0, len(digests), _AT_A_TIME):
            some = digests[start : start + _AT_A_TIME]
            where = (
                f"content_digest IN ({one_of(some)}) AND state IN ({one_of(states)}) AND manifest_sha256 IS NOT NULL"
            )
            for run in self._runs(where, (*some, *states), " ORDER BY updated DESC, run_id"):
                found.setdefault(run.content_digest, []).append(run)
        return found

    def reused(self, run_ids: Collection[str]) -> dict[str, str]:
        """Return run_id -> whose outputs a run has, as a sentence; those with outputs of their own are left out."""
        found: dict[str, str] = {}
        ids = tuple(sorted(run_ids))
        for start in range(0, len(ids), _AT_A_TIME):
            some = ids[start : start + _AT_A_TIME]
            sql = (
                f"SELECT r.run_id, a.sentence FROM {self._run} r JOIN {self._attempt} a "
                f"ON a.run_id = r.run_id AND a.attempt = r.attempt JOIN {self._job} j "
                "ON j.run_id = a.run_id AND j.attempt = a.attempt AND j.stage = a.stage "
                f"WHERE j.launcher = %s AND r.run_id IN ({one_of(some)})"
            )
            found |= {str(run_id): str(sentence) for run_id, sentence in self.database.query(sql, (REUSE, *some))}
        return found
