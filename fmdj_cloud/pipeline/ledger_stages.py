"""The stages of an attempt: each has a Job of its own, and one follows the other."""

from __future__ import annotations

from fmdj_cloud.contracts import RunState, Stage, StageRecord
from fmdj_cloud.pipeline.ledger_rows import STAGE_COLUMNS, stage_record
from fmdj_cloud.pipeline.ledger_runs import Runs
from fmdj_cloud.pipeline.repeating import repeated

DONE = "done"
"""Outcome of the Job of a stage whose commit is there."""


class Stages(Runs):
    """Changes the stage that an attempt has come to."""

    @repeated
    def advance(
        self,
        run_id: str,
        attempt: int,
        stage: Stage,
        following: Stage,
        *,
        launcher: str,
        job_name: str,
        shards: int,
        pods: int,
        epoch: int | None,
    ) -> bool:
        """End a stage whose commit is there and begin the one that follows, before its Job is created.

        The run stays launched. False, and nothing is written, unless the attempt is at `stage`.

        Parameters
        ----------
        run_id : str
        attempt : int
        stage, following : Stage
            That ends, and that begins.
        launcher, job_name : str
            Of the new Job.
        shards : int
            Pods that it takes in all.
        pods : int
            Pods that it may have at a time.
        epoch : int or None
        """
        there = (
            f" AND EXISTS (SELECT 1 FROM {self._attempt} a WHERE a.run_id = %s AND a.attempt = %s AND a.stage = %s "
            "AND a.finished IS NULL)",
            (run_id, attempt, stage.value),
        )
        with self.database.transaction():
            if not self._change(run_id, {RunState.LAUNCHED}, attempt, {"sentence": ""}, epoch=epoch, where=there):
                return False
            key = (run_id, attempt)
            sql = f"UPDATE {self._attempt} SET stage = %s WHERE run_id = %s AND attempt = %s"
            self.database.execute(sql, (following.value, *key))
            sql = f"UPDATE {self._job} SET outcome = %s WHERE run_id = %s AND attempt = %s AND stage = %s"
            self.database.execute(sql, (DONE, *key, stage.value))
            self._insert_job(*key, following, launcher, job_name, shards, pods)
            return True

    def stages(self, run_id: str, attempt: int) -> list[StageRecord]:
        """Return the stages of an attempt that have begun, in their order."""
        rows = self.database.query(
            f"SELECT {STAGE_COLUMNS} FROM {self._job} WHERE run_id = %s AND attempt = %s", (run_id, attempt)
        )
        order = list(Stage)
        return sorted(map(stage_record, rows), key=lambda record: order.index(record.stage))
