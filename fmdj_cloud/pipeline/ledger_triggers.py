"""What a FacemapRun does to the tasks that it selects: written by the leader alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from fmdj_cloud.contracts import BindingState, ClaimRecord, Kind, Overrides, RunPlan, RunState, Wanted
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.ledger_base import Sql, one_of
from fmdj_cloud.pipeline.ledger_bindings import ACTIVE
from fmdj_cloud.pipeline.ledger_claims import OVERRIDES, Claims, batches_of
from fmdj_cloud.pipeline.ledger_rows import fit
from fmdj_cloud.pipeline.repeating import repeated

_RESTING = (RunState.READY.value, RunState.HELD.value)
_GIVEN_UP = (RunState.FAILED.value, RunState.CANCELLED.value)
_REFUSED = (BindingState.REFUSED.value, BindingState.CANCELLED.value, BindingState.PLANNED.value)
_UNPLANNED = (BindingState.PENDING.value, BindingState.WAITING.value)


class Triggers(Claims):
    """Changes of claims. Every method takes many tasks and few statements, and changes nothing unless `epoch` leads."""

    @repeated
    def claim_tasks(
        self,
        pipeline: str,
        kind: Kind,
        tasks: Sequence[tuple[dict[str, Any], str, str]],
        *,
        owner: str,
        owner_name: str,
        overrides: Overrides,
        held: bool,
        epoch: int | None,
    ) -> None:
        """Give tasks to a FacemapRun, whosever they were: they become pending unless something is known of them.

        Parameters
        ----------
        pipeline : str
        kind : Kind
            Of the task table.
        tasks : sequence of tuple
            (key, task digest, parameter digest).
        owner, owner_name : str
            UID and name of the FacemapRun.
        overrides : Overrides
        held : bool
            Whether nothing of it may start yet.
        epoch : int or None

        Raises
        ------
        LostRaceError
            If `epoch` leads no more.
        """
        table = self.binding_table(pipeline, kind)
        asked = {"owner": owner, "owner_name": fit(owner_name, 253), **overrides.model_dump(), "held": held}
        for some in batches_of(tasks):
            digests = tuple(digest for _, digest, _ in some)
            bindings = [
                table.key.row(key)
                | {
                    "task_digest": digest,
                    "state": BindingState.PENDING.value,
                    "sentence": "",
                    "priority": 0,
                    "wanted": Wanted.RUN.value,
                    "param_digest": params,
                    "changed": 0,
                }
                for key, digest, params in some
            ]
            claims = [
                {"task_digest": digest, "pipeline": pipeline, "kind": kind.value, "task": canonical_key(key)}
                | {"stopped": False, "leaving": False}
                | asked
                for key, digest, _ in some
            ]
            with self.database.transaction():
                self._demand(epoch)
                self._prioritise_runs(digests, overrides.priority)
                self._insert_all(table.name, bindings, table.key.names)
                self._prioritise_bindings(table.name, digests, overrides.priority)
                self._insert_all(self._claim, claims, ["task_digest"])
                sets = ", ".join(f"{name} = %s" for name in asked)
                self.database.execute(
                    f"UPDATE {self._claim} SET {sets} WHERE task_digest IN ({one_of(digests)}) AND NOT leaving "
                    "AND owner <> %s",
                    (*asked.values(), *digests, owner),
                )

    @repeated
    def amend_claims(
        self, pipeline: str, kind: Kind, task_digests: Collection[str], overrides: Overrides, *, epoch: int | None
    ) -> None:
        """Change what FacemapRuns ask for of tasks; the priority counts at once, the rest when they are planned.

        Raises
        ------
        LostRaceError
            If `epoch` leads no more.
        """
        table = self.binding_table(pipeline, kind)
        for some in batches_of(task_digests):
            with self.database.transaction():
                self._demand(epoch)
                self._prioritise_runs(some, overrides.priority)
                self._prioritise_bindings(table.name, some, overrides.priority)
                sets = ", ".join(f"{name} = %s" for name in OVERRIDES)
                values = overrides.model_dump()
                self.database.execute(
                    f"UPDATE {self._claim} SET {sets} WHERE task_digest IN ({one_of(some)})",
                    (*(values[name] for name in OVERRIDES), *some),
                )

    @repeated
    def amend_plan(self, run_id: str, attempt: int, plan: RunPlan, *, epoch: int | None) -> bool:
        """Replace what a run that hasn't started its next attempt asks of the cluster, not what it computes."""
        with self.database.transaction():
            sets = {"profile": plan.profile, "shards": plan.shards}
            also: Sql = ("plan = %s", (plan.model_dump_json().encode(),))
            states = {RunState.READY, RunState.HELD}
            return self._change(run_id, states, attempt, sets, epoch=epoch, also=also)

    @repeated
    def ask_again(
        self, pipeline: str, kind: Kind, task_digests: Collection[str], sentence: str, *, epoch: int | None
    ) -> None:
        """Make tasks pending that failed, were refused or cancelled, and whose runs are over.

        Raises
        ------
        LostRaceError
            If `epoch` leads no more.
        """
        table = self.binding_table(pipeline, kind)
        over = f"SELECT run_id FROM {self._run} WHERE state IN ({one_of(_GIVEN_UP)})"
        for some in batches_of(task_digests):
            with self.database.transaction():
                self._demand(epoch)
                self._lock(table, (f"task_digest IN ({one_of(some)})", tuple(some)))
                sets = (BindingState.PENDING.value, fit(sentence), Wanted.RUN.value)
                self.database.execute(
                    f"UPDATE {table.name} SET state = %s, since = {self._clock}, next_look = NULL, "
                    "failure_class = NULL, sentence = %s, wanted = %s, changed = 0 "
                    f"WHERE task_digest IN ({one_of(some)}) AND state IN ({one_of(_REFUSED)}) "
                    f"AND (run_id IS NULL OR run_id IN ({over}))",
                    (*sets, *some, *_REFUSED, *_GIVEN_UP),
                )

    @repeated
    def suspend_claims(self, claims: Sequence[ClaimRecord], sentence: str, *, epoch: int | None) -> None:
        """Let nothing of some tasks start: runs that are ready are held, what runs goes on.

        Raises
        ------
        LostRaceError
            If `epoch` leads no more.
        """
        for some in batches_of(claims):
            with self.database.transaction():
                self._demand(epoch)
                ready = [claim for claim in some if not claim.stopped and _is_startable(claim)]
                stopped = self._want_all(ready, (RunState.READY.value,), Wanted.RUN, Wanted.HOLD, sentence)
                self._mark(some, "held = %s", (True,))
                self._mark(stopped, "stopped = %s", (True,))

    @repeated
    def resume_claims(self, claims: Sequence[ClaimRecord], sentence: str, *, epoch: int | None) -> None:
        """Undo :meth:`suspend_claims`; what people hold stays held.

        Raises
        ------
        LostRaceError
            If `epoch` leads no more.
        """
        for some in batches_of(claims):
            with self.database.transaction():
                self._demand(epoch)
                stopped = [claim for claim in some if claim.stopped and claim.run is not None]
                self._want_all(stopped, _RESTING, Wanted.HOLD, Wanted.RUN, sentence)
                self._mark(some, "held = %s, stopped = %s", (False, False))

    @repeated
    def cancel_claims(self, claims: Sequence[ClaimRecord], sentence: str, *, epoch: int | None) -> None:
        """Cancel the runs of tasks that no FacemapRun selects any more; :meth:`drop_claims` ends it.

        Raises
        ------
        LostRaceError
            If `epoch` leads no more.
        """
        for some in batches_of(claims):
            with self.database.transaction():
                self._demand(epoch)
                for wanted in (Wanted.RUN, Wanted.HOLD):
                    under_way = [claim for claim in some if claim.run is not None and claim.run.wanted is wanted]
                    self._want_all(under_way, ACTIVE, wanted, Wanted.CANCEL, sentence)
                self._mark(some, "leaving = %s", (True,))

    @repeated
    def drop_claims(self, claims: Sequence[ClaimRecord], *, forget: bool, epoch: int | None) -> None:
        """Forget whose tasks these are; a priority that the FacemapRun gave ends.

        Parameters
        ----------
        claims : sequence of ClaimRecord
        forget : bool
            Whether what only waited for its turn is as if nobody had ever asked for it. What was cancelled for a
            FacemapRun's sake is so in any case; what has failed, was refused, or is held by people stays known.
        epoch : int or None

        Raises
        ------
        LostRaceError
            If `epoch` leads no more.
        """
        for (pipeline, kind), table in self._tables.items():
            mine = [claim for claim in claims if (claim.pipeline, claim.kind) == (pipeline, kind)]
            for some in batches_of(mine):
                with self.database.transaction():
                    self._demand(epoch)
                    digests = tuple(claim.task_digest for claim in some)
                    self._lock(table, (f"task_digest IN ({one_of(digests)})", digests))
                    self._forget_unplanned(table.name, [c.task_digest for c in some if forget])
                    self._forget_cancelled(table.name, [c.task_digest for c in some if c.leaving])
                    for priority in {c.overrides.priority for c in some} - {None, 0}:
                        given = tuple(c.task_digest for c in some if c.overrides.priority == priority)
                        self.database.execute(
                            f"UPDATE {table.name} SET priority = 0 WHERE priority = %s "
                            f"AND task_digest IN ({one_of(given)})",
                            (priority, *given),
                        )
        for some in batches_of(claims):
            with self.database.transaction():
                self._demand(epoch)
                digests = tuple(claim.task_digest for claim in some)
                sql = f"DELETE FROM {self._claim} WHERE task_digest IN ({one_of(digests)})"
                self.database.execute(sql, digests)

    def _forget_unplanned(self, table: str, digests: Sequence[str]) -> None:
        active = f"SELECT run_id FROM {self._run} WHERE state IN ({one_of(ACTIVE)})"
        if digests:
            self.database.execute(
                f"DELETE FROM {table} WHERE task_digest IN ({one_of(tuple(digests))}) "
                f"AND state IN ({one_of(_UNPLANNED)}) AND (run_id IS NULL OR run_id NOT IN ({active}))",
                (*digests, *_UNPLANNED, *ACTIVE),
            )

    def _forget_cancelled(self, table: str, digests: Sequence[str]) -> None:
        cancelled = f"SELECT run_id FROM {self._run} WHERE state = %s"
        if digests:
            self.database.execute(
                f"DELETE FROM {table} WHERE task_digest IN ({one_of(tuple(digests))}) "
                f"AND state = %s AND run_id IN ({cancelled})",
                (*digests, BindingState.PLANNED.value, RunState.CANCELLED.value),
            )

    def _want_all(
        self, claims: Sequence[ClaimRecord], states: Sequence[str], now: Wanted, then: Wanted, sentence: str
    ) -> list[ClaimRecord]:
        """Say what is wanted of the claims' runs that are in some states, and return those claims."""
        ids = tuple(claim.run.run_id for claim in claims if claim.run is not None)
        if not ids:
            return []
        where = f"run_id IN ({one_of(ids)}) AND state IN ({one_of(tuple(states))}) AND wanted = %s"
        args = (*ids, *states, now.value)
        # what the controller's own actions and the loader don't change between the two statements
        rows = self.database.query(f"SELECT run_id FROM {self._run} WHERE {where} FOR UPDATE", args)
        found = {run_id for (run_id,) in rows}
        self.database.execute(
            f"UPDATE {self._run} SET wanted = %s, sentence = %s, updated = {self._clock} WHERE {where}",
            (then.value, fit(sentence), *args),
        )
        return [claim for claim in claims if claim.run is not None and claim.run.run_id in found]

    def _mark(self, claims: Sequence[ClaimRecord], assignment: str, args: tuple[bool, ...]) -> None:
        digests = tuple(claim.task_digest for claim in claims)
        if digests:
            sql = f"UPDATE {self._claim} SET {assignment} WHERE task_digest IN ({one_of(digests)})"
            self.database.execute(sql, (*args, *digests))

    def _prioritise_runs(self, digests: Sequence[str], priority: int | None) -> None:
        if priority is not None:
            self.database.execute(
                f"UPDATE {self._run} SET priority = %s, updated = {self._clock} WHERE priority <> %s "
                f"AND task_digest IN ({one_of(tuple(digests))}) AND state IN ({one_of(ACTIVE)})",
                (priority, priority, *digests, *ACTIVE),
            )

    def _prioritise_bindings(self, table: str, digests: Sequence[str], priority: int | None) -> None:
        if priority is not None:
            sql = f"UPDATE {table} SET priority = %s WHERE task_digest IN ({one_of(tuple(digests))})"
            self.database.execute(sql, (priority, *digests))

    def _insert_all(self, table: str, rows: Sequence[dict[str, Any]], key: Sequence[str]) -> None:
        """Insert rows with their ``since``, but for those whose key is there."""
        columns = ", ".join(map(self.database.identifier, (*rows[0], "since")))
        places = f"({', '.join(['%s'] * len(rows[0]))}, {self._clock})"
        skip = self.database.connection.adapter.skip_duplicates_clause(table, list(key))
        self.database.execute(
            f"INSERT INTO {table} ({columns}) VALUES {', '.join([places] * len(rows))}{skip}",
            tuple(value for row in rows for value in row.values()),
        )


def _is_startable(claim: ClaimRecord) -> bool:
    return claim.run is not None and claim.run.state is RunState.READY and claim.run.wanted is Wanted.RUN
