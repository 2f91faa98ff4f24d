"""What people want of runs and tasks: written by the command line, carried out by the controller."""

from __future__ import annotations

from collections.abc import Iterable

from fmdj_cloud.contracts import (
    FINISHED_STATES,
    Acceptance,
    BindingRecord,
    BindingState,
    RunRecord,
    RunState,
    TaskRecord,
    Wanted,
)
from fmdj_cloud.pipeline.ledger_base import one_of
from fmdj_cloud.pipeline.ledger_bindings import ACTIVE, Bindings
from fmdj_cloud.pipeline.ledger_rows import fit
from fmdj_cloud.pipeline.ledger_stages import Stages
from fmdj_cloud.pipeline.repeating import repeated

_FINISHED = tuple(sorted(state.value for state in FINISHED_STATES))


class Orders(Stages, Bindings):
    """Orders. Each is conditional on what was seen: False means that it changed meanwhile, and nothing was written."""

    @repeated
    def want(self, run: RunRecord, wanted: Wanted, sentence: str) -> bool:
        """Say what people want of a run that is as it was seen.

        Parameters
        ----------
        run : RunRecord
            As it was seen.
        wanted : Wanted
        sentence : str
            Who wants it, kept for people.
        """
        with self.database.transaction():
            sql = (
                f"UPDATE {self._run} SET wanted = %s, sentence = %s, updated = {self._clock} "
                "WHERE run_id = %s AND state = %s AND attempt = %s AND wanted = %s"
            )
            seen = (run.run_id, run.state.value, run.attempt, run.wanted.value)
            return bool(self.database.execute(sql, (wanted.value, fit(sentence), *seen)))

    @repeated
    def hurry(self, run: RunRecord) -> bool:
        """Let the next attempt of a ready run start at once."""
        with self.database.transaction():
            sql = (
                f"UPDATE {self._run} SET not_before = NULL, updated = {self._clock} "
                "WHERE run_id = %s AND state = %s AND attempt = %s"
            )
            return bool(self.database.execute(sql, (run.run_id, RunState.READY.value, run.attempt)))

    @repeated
    def reopen(self, binding: BindingRecord, sentence: str) -> bool:
        """Make a task pending whose run, if it had one, is over; its budget of changed inputs is fresh.

        Parameters
        ----------
        binding : BindingRecord
            As it was seen.
        sentence : str
            Who asked, kept for people.
        """
        table = self.binding_table(binding.pipeline, binding.kind)
        active = f"SELECT run_id FROM {self._run} WHERE state IN ({one_of(ACTIVE)})"
        with self.database.transaction():
            self._lock(table, ("task_digest = %s", (binding.task_digest,)))
            sql = (
                f"UPDATE {table.name} SET state = %s, since = {self._clock}, next_look = NULL, failure_class = NULL, "
                "sentence = %s, wanted = %s, changed = 0 "
                "WHERE task_digest = %s AND state = %s AND COALESCE(run_id, '') = %s "
                f"AND (run_id IS NULL OR run_id NOT IN ({active}))"
            )
            seen = (binding.task_digest, binding.state.value, binding.run_id or "", *ACTIVE)
            sets = (BindingState.PENDING.value, fit(sentence), Wanted.RUN.value)
            return bool(self.database.execute(sql, (*sets, *seen)))

    @repeated
    def cancel_task(self, task: TaskRecord, sentence: str, *, epoch: int | None) -> None:
        """Cancel a task that has no run yet; it is pending again when it is edited or reopened.

        Raises
        ------
        LostRaceError
            If `epoch` leads no more, or the task has a run that isn't finished.
        """
        self._note(task, BindingState.CANCELLED, sentence, None, ("NULL", ()), Wanted.CANCEL, epoch)

    @repeated
    def set_task_priority(self, task: TaskRecord, priority: int) -> None:
        """Set the priority of a task, planned or not, and of its run unless that is over; lower is more urgent."""
        table = self.binding_table(task.pipeline, task.kind)
        binding = self.binding(task.pipeline, task.kind, task.key)
        with self.database.transaction():
            if binding is not None and binding.run_id is not None:
                self.database.execute(
                    f"UPDATE {self._run} SET priority = %s, updated = {self._clock} "
                    f"WHERE run_id = %s AND state NOT IN ({one_of(_FINISHED)})",
                    (priority, binding.run_id, *_FINISHED),
                )
            self._insert_binding(table, task, BindingState.PENDING)
            self.database.execute(
                f"UPDATE {table.name} SET priority = %s WHERE task_digest = %s", (priority, task.task_digest)
            )

    @repeated
    def accept(self, task: TaskRecord, checks: Iterable[str], by: str) -> None:
        """Override checks for a task as it is now."""
        with self.database.transaction():
            for check in checks:
                key = {"task_digest": task.task_digest, "check_name": check}
                row = {"param_digest": task.param_digest, "accepted_by": fit(by, 255)}
                if self.database.insert_new(self._acceptance, key | row, list(key), clock=("accepted",)):
                    continue
                self.database.execute(
                    f"UPDATE {self._acceptance} SET param_digest = %s, accepted_by = %s, accepted = {self._clock} "
                    "WHERE task_digest = %s AND check_name = %s",
                    (*row.values(), *key.values()),
                )

    def acceptances(self, task_digest: str) -> list[Acceptance]:
        """Return the checks ever overridden for a task, by name; an edited task makes them void."""
        rows = self.database.query(
            f"SELECT task_digest, check_name, param_digest, accepted_by, accepted FROM {self._acceptance} "
            "WHERE task_digest = %s ORDER BY check_name",
            (task_digest,),
        )
        return [
            Acceptance(task_digest=digest, check=check, param_digest=params, accepted_by=by, accepted=when)
            for digest, check, params, by, when in rows
        ]

    def accepted(self, of: RunRecord | TaskRecord) -> tuple[str, ...]:
        """Return the checks that are overridden for a task, or for the one that a run computes."""
        found = self.acceptances(of.task_digest)
        return tuple(one.check for one in found if one.param_digest == of.param_digest)

    @repeated
    def ask_recompute(self, task_digest: str, by: str) -> None:
        """Have a task computed anew when it is planned next, even if it has outputs that verify."""
        with self.database.transaction():
            row = {"task_digest": task_digest, "asked_by": fit(by, 255)}
            self.database.insert_new(self._recompute, row, ["task_digest"], clock=("asked",))

    def recompute_asked(self, task_digest: str) -> bool:
        """Tell whether a task is to be computed anew."""
        return bool(self.database.query(f"SELECT 1 FROM {self._recompute} WHERE task_digest = %s", (task_digest,)))

    def _recompute_done(self, task_digest: str) -> None:
        self.database.execute(f"DELETE FROM {self._recompute} WHERE task_digest = %s", (task_digest,))
