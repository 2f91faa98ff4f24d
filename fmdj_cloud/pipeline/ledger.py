"""The ledger: our own schema with bindings, runs, attempts, leadership and requests."""

from __future__ import annotations

from collections.abc import Callable

from fmdj_cloud.contracts import (
    FINISHED_STATES,
    BindingState,
    Kind,
    RunPlan,
    RunRecord,
    RunState,
    TaskRecord,
    Wanted,
)
from fmdj_cloud.errors import LostRaceError
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline.ledger_base import NOTHING
from fmdj_cloud.pipeline.ledger_bindings import ACTIVE
from fmdj_cloud.pipeline.ledger_leader import Leadership, Pipelines, Requests
from fmdj_cloud.pipeline.ledger_quality import Quality
from fmdj_cloud.pipeline.ledger_restore import Restoring
from fmdj_cloud.pipeline.ledger_search import Searching
from fmdj_cloud.pipeline.ledger_triggers import Triggers
from fmdj_cloud.pipeline.ledger_yielding import Yielding
from fmdj_cloud.pipeline.repeating import repeated

_ASKED_AGAIN = FINISHED_STATES | {RunState.FAILED, RunState.CANCELLED}
"""States from which a run starts anew when its task, pending again, is planned onto it."""
_GIVEN_UP = frozenset({RunState.FAILED, RunState.CANCELLED})

ManifestVerifies = Callable[[str, int, str], bool]
"""(run folder, attempt, manifest sha256) -> whether that manifest still verifies."""


class Ledger(Leadership, Pipelines, Quality, Requests, Restoring, Searching, Triggers, Yielding):
    """All of the ledger on one connection.

    Its schema is declared where it isn't yet. Every state change is one conditional UPDATE on the run's
    state and attempt and, where `epoch` is given, on the leader's epoch, in one transaction with what
    belongs to it; all times are the database's.

    Parameters
    ----------
    database : Database

    Raises
    ------
    ConfigError
        If the schema can't be created, or is of another version.
    DatabaseError
        From every method, if the database is gone or refuses.
    """

    @repeated
    def plan(
        self,
        task: TaskRecord,
        run_id: str,
        content_digest: str,
        plan: RunPlan,
        output_dir_uri: str,
        *,
        manifest_verifies: ManifestVerifies,
        epoch: int | None,
    ) -> RunRecord:
        """Plan a task: its binding becomes planned, and its run exists, in one transaction.

        A run that exists and is under way stays as it is, so that planning twice changes nothing. One that
        is over starts anew: as published if its pinned manifest still verifies and nobody asked to have it
        computed anew (its outputs are loaded again), else with the next attempt and fresh budgets. Other runs
        of the task that failed or were cancelled are superseded.

        Parameters
        ----------
        task : TaskRecord
        run_id : str
            ``<kind>-<16 hex>``: the run's kind is its own, not the binding's.
        content_digest : str
        plan : RunPlan
        output_dir_uri : str
            The run's folder.
        manifest_verifies : callable
            (run folder, attempt, manifest sha256) -> bool; called outside of any transaction of ours.
        epoch : int or None
            The leader's epoch.

        Raises
        ------
        LostRaceError
            If `epoch` leads no more, the run changed meanwhile, another run of the task is under way, or
            somebody has just held or cancelled it.
        """
        found = self.run(run_id)
        recompute = self.recompute_asked(task.task_digest)
        if recompute:
            plan = plan.model_copy(update={"reuse": False})
        reload = (
            found is not None
            and found.state in _ASKED_AGAIN
            and found.manifest_sha256 is not None
            and not recompute
            and manifest_verifies(found.output_dir, found.attempt, found.manifest_sha256)
        )
        with self.database.transaction():
            self._demand(epoch)
            self._refuse_second(task, run_id)
            begins = found is None or (found.state in _ASKED_AGAIN and not self._settled(task, found))
            if found is None:
                self._insert_run(task, run_id, content_digest, plan, output_dir_uri)
            elif begins:
                self._revive(task, found, plan, output_dir_uri, reload)
            for other in self.runs_of(task.task_digest):
                if other.run_id != run_id and other.state in _GIVEN_UP:
                    self._supersede(other.run_id, other.state, other.attempt, f"Planned anew as {run_id}.", epoch)
            self._bind(task, run_id, begins)
            if recompute:
                self._recompute_done(task.task_digest)
        planned = self.run(run_id)
        if planned is None:
            raise LostRaceError(f"Run {run_id} disappeared while it was planned.")
        return planned

    @repeated
    def supersede(
        self,
        run_id: str,
        state: RunState,
        attempt: int,
        why: str,
        *,
        epoch: int | None = None,
        count_changed: bool = False,
    ) -> bool:
        """Any state -> superseded: the task is gone, edited, or has a result that isn't ours.

        Parameters
        ----------
        run_id : str
        state : RunState
        attempt : int
        why : str
        epoch : int, optional
            None for the loader.
        count_changed : bool
            Whether the binding counts it as a plan spoilt by a changed input.
        """
        with self.database.transaction():
            if not self._supersede(run_id, state, attempt, why, epoch):
                return False
            if count_changed:
                self._in_bindings("changed = changed + 1", (), run_id)
            return True

    @repeated
    def set_priority(self, run_id: str, priority: int) -> bool:
        """Set the priority of a run and its binding; lower is more urgent. False if there is no such run."""
        with self.database.transaction():
            sql = f"UPDATE {self._run} SET priority = %s, updated = {self._clock} WHERE run_id = %s"
            if not self.database.execute(sql, (priority, run_id)):
                return False
            self._in_bindings("priority = %s", (priority,), run_id)
            return True

    def _in_bindings(self, assignment: str, args: tuple[int, ...], run_id: str) -> None:
        for table in self._tables.values():
            self.database.execute(f"UPDATE {table.name} SET {assignment} WHERE run_id = %s", (*args, run_id))

    def _refuse_second(self, task: TaskRecord, run_id: str) -> None:
        """Refuse to plan a task whose binding names another run that is under way."""
        binding = self.binding(task.pipeline, task.kind, task.key)
        if binding is None or binding.run_id in (None, run_id) or binding.state is not BindingState.PLANNED:
            return
        other = self.run(str(binding.run_id))
        if other is not None and other.state not in FINISHED_STATES:
            raise LostRaceError(
                f"Task {display_key(task.key)} has run {other.run_id}, which is {other.state}: supersede it first."
            )

    def _settled(self, task: TaskRecord, found: RunRecord) -> bool:
        """Whether a failed or cancelled run is still the task's: nobody asked for it again."""
        if found.state in FINISHED_STATES:
            return False
        binding = self.binding(task.pipeline, task.kind, task.key)
        return binding is not None and binding.state is BindingState.PLANNED and binding.run_id == found.run_id

    def _insert_run(
        self, task: TaskRecord, run_id: str, content_digest: str, plan: RunPlan, output_dir_uri: str
    ) -> None:
        binding = self.binding(task.pipeline, task.kind, task.key)
        row = {
            "run_id": run_id,
            "kind": Kind(run_id.rpartition("-")[0]).value,
            "task_kind": task.kind.value,
            "pipeline": task.pipeline,
            "task": canonical_key(task.key),
            "task_digest": task.task_digest,
            "content_digest": content_digest,
            "param_digest": task.param_digest,
            "state": RunState.READY.value,
            "wanted": Wanted.RUN.value,
            "attempt": 1,
            "priority": binding.priority if binding else 0,
            "output_dir": output_dir_uri,
            "sentence": "",
            "failures": "{}",
            "estimate": plan.estimate.model_dump_json(),
            "profile": plan.profile,
            "shards": plan.shards,
            "plan": plan.model_dump_json().encode(),
        }
        if not self.database.insert_new(self._run, row, ["run_id"], clock=("created", "updated")):
            raise LostRaceError(f"Run {run_id} was planned by another controller at the same moment.")

    def _revive(self, task: TaskRecord, found: RunRecord, plan: RunPlan, output_dir_uri: str, reload: bool) -> None:
        sets: dict[str, object] = {
            "state": RunState.PUBLISHED.value,
            "wanted": Wanted.RUN.value,
            "param_digest": task.param_digest,
            "failure_class": None,
            "sentence": "",
        }
        if not reload:
            sets |= {
                "state": RunState.READY.value,
                "attempt": found.attempt + 1,
                "manifest_sha256": None,
                "not_before": None,
                "failures": "{}",
                "output_dir": output_dir_uri,
                "estimate": plan.estimate.model_dump_json(),
                "profile": plan.profile,
                "shards": plan.shards,
            }
        also = ("plan = %s", (plan.model_dump_json().encode(),)) if not reload else ("", ())
        # outputs that verified a moment ago may have been given up since, by housekeeping
        still = (" AND manifest_sha256 = %s", (found.manifest_sha256,)) if reload else NOTHING
        if not self._change(found.run_id, {found.state}, found.attempt, sets, epoch=None, where=still, also=also):
            raise LostRaceError(f"Run {found.run_id} changed while it was planned again.")

    def _bind(self, task: TaskRecord, run_id: str, begins: bool) -> None:
        table = self.binding_table(task.pipeline, task.kind)
        self._insert_binding(table, task, BindingState.PLANNED)
        # What people asked for since the task was found pending: it stays locked until the commit
        sql = f"SELECT state, priority FROM {table.name} WHERE task_digest = %s FOR UPDATE"
        rows = self.database.query(sql, (task.task_digest,))
        if not rows:  # it was there when it was to be inserted
            raise LostRaceError(f"Task {display_key(task.key)} was asked for anew while it was planned: it has no run.")
        ((state, priority),) = rows
        for other in self.runs_of(task.task_digest):  # planned since the first look, by somebody else
            if other.run_id != run_id and other.state.value in ACTIVE:
                raise LostRaceError(f"Task {display_key(task.key)} was planned as {other.run_id} at the same moment.")
        if state in (BindingState.HELD.value, BindingState.CANCELLED.value):
            raise LostRaceError(f"Task {display_key(task.key)} was {state} while it was planned: it has no run.")
        if begins:  # its row is this transaction's; else it was given the priority when that was set
            sql = f"UPDATE {self._run} SET priority = %s WHERE run_id = %s"
            self.database.execute(sql, (priority, run_id))
        # MySQL assigns from left to right: `since` looks at the state before
        self.database.execute(
            f"UPDATE {table.name} SET since = CASE WHEN run_id = %s THEN since ELSE {self._clock} END, "
            "state = %s, run_id = %s, wanted = %s, sentence = '', failure_class = NULL, next_look = NULL, "
            "param_digest = %s WHERE task_digest = %s",
            (
                *(run_id, BindingState.PLANNED.value, run_id, Wanted.RUN.value, task.param_digest),
                task.task_digest,
            ),
        )
