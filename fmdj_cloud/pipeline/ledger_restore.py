"""Rows of runs put back into a ledger that was lost, or came from an old backup."""

from __future__ import annotations

from collections.abc import Sequence

from fmdj_cloud.contracts import AttemptRecord, BindingState, RunPlan, RunRecord, TaskRecord, Wanted
from fmdj_cloud.pipeline.ledger_orders import Orders
from fmdj_cloud.pipeline.ledger_rows import fit
from fmdj_cloud.pipeline.repeating import repeated


class Restoring(Orders):
    """Restores runs; only the leader may."""

    @repeated
    def restore(
        self, task: TaskRecord, run: RunRecord, plan: RunPlan, attempts: Sequence[AttemptRecord], *, epoch: int
    ) -> None:
        """Put a run with its attempts in the place of what is known of it, and bind its task to it.

        Parameters
        ----------
        task : TaskRecord
        run : RunRecord
            Its times are the database's, from now.
        plan : RunPlan
        attempts : sequence of AttemptRecord
        epoch : int

        Raises
        ------
        LostRaceError
            If `epoch` leads no more.
        """
        with self.database.transaction():
            self._demand(epoch)
            for table in (self._job, self._attempt, self._run):
                self.database.execute(f"DELETE FROM {table} WHERE run_id = %s", (run.run_id,))
            self._insert(run, plan)
            for attempt in attempts:
                self._insert_attempt(attempt)
            table_of_task = self.binding_table(task.pipeline, task.kind)
            self._insert_binding(table_of_task, task, BindingState.PLANNED)
            self.database.execute(
                f"UPDATE {table_of_task.name} SET state = %s, run_id = %s, wanted = %s, sentence = '', "
                "failure_class = NULL, next_look = NULL, param_digest = %s WHERE task_digest = %s",
                (BindingState.PLANNED.value, run.run_id, Wanted.RUN.value, task.param_digest, task.task_digest),
            )

    @repeated
    def raise_epoch(self, holder: str, epoch: int, least: int) -> int | None:
        """Lead on under a higher epoch than any that a controller of the lost ledger can have had.

        Returns
        -------
        int or None
            The new epoch; None if `epoch` leads no more.
        """
        raised = max(epoch, least)
        with self.database.transaction():
            sql = f"UPDATE {self._leader} SET epoch = %s, expires = expires WHERE leader_id = 1 AND holder = %s"
            self.database.execute(f"{sql} AND epoch = %s", (raised, holder, epoch))
            rows = self.database.query(f"SELECT holder, epoch FROM {self._leader} WHERE leader_id = 1")
        return raised if rows == [(holder, raised)] else None

    def _insert(self, run: RunRecord, plan: RunPlan) -> None:
        values = run.model_dump(
            mode="json", exclude={"created", "updated", "failures", "estimate", "not_before", "sentence"}
        )
        row = values | {
            "sentence": fit(run.sentence),
            "failures": "{}",
            "estimate": run.estimate.model_dump_json(),
            "plan": plan.model_dump_json().encode(),
        }
        self.database.insert_new(self._run, row, ["run_id"], clock=("created", "updated"))

    def _insert_attempt(self, attempt: AttemptRecord) -> None:
        key = {"run_id": attempt.run_id, "attempt": attempt.attempt}
        row = {
            "folder": attempt.folder,
            "spec_sha256": attempt.spec_sha256,
            "started": attempt.started,
            "finished": attempt.finished,
            "outcome": attempt.outcome,
            "sentence": fit(attempt.sentence),
            "evidence": "{}",
            "limits": attempt.limits.model_dump_json(),
            "stage": attempt.stage.value,
        }
        self.database.insert_new(self._attempt, key | row, list(key))
        key |= {"stage": attempt.stage.value}
        job = {"launcher": attempt.launcher, "job_name": attempt.job_name, "job_uid": attempt.job_uid}
        pods = {"shards": attempt.shards, "pods": attempt.pods}
        self.database.insert_new(self._job, key | job | pods | {"outcome": attempt.outcome}, list(key))
