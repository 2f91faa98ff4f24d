"""What is known of each task, run or no run: one binding table per task table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from fmdj_cloud.contracts import (
    FINISHED_STATES,
    BindingRecord,
    BindingState,
    FailureClass,
    Kind,
    Outcome,
    RunState,
    TaskRecord,
    Wanted,
)
from fmdj_cloud.errors import ConfigError, LostRaceError
from fmdj_cloud.names import display_key
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.keys import KEYS_PER_QUERY, KeyColumns
from fmdj_cloud.pipeline.ledger_base import LedgerBase, Sql, one_of
from fmdj_cloud.pipeline.ledger_rows import binding_record, failure_of, fit
from fmdj_cloud.pipeline.ledger_tables import BINDING_COLUMNS, declare_bindings
from fmdj_cloud.pipeline.repeating import repeated

ACTIVE = (RunState.READY.value, RunState.LAUNCHED.value, RunState.PUBLISHED.value, RunState.HELD.value)
_FINISHED = tuple(sorted(state.value for state in FINISHED_STATES))


@dataclass(frozen=True)
class BindingTable:
    """A pipeline's binding table.

    Attributes
    ----------
    name : str
        Quoted full name.
    key : KeyColumns
        The task table's primary key.
    """

    name: str
    key: KeyColumns


class Bindings(LedgerBase):
    """Bindings of all pipelines attached."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._tables: dict[tuple[str, Kind], BindingTable] = {}

    def attach(self, pipeline: str, kind: Kind, task_table: Any) -> BindingTable:
        """Make sure that a task table has its binding table; call it before anything asks for bindings.

        Parameters
        ----------
        pipeline : str
        kind : Kind
        task_table : datajoint table
            The lab's, such as FacemapTask.

        Raises
        ------
        ConfigError
            If a key attribute has a type that can't be copied, or the table can't be created.
        """
        if (pipeline, kind) not in self._tables:
            name = declare_bindings(self.database, pipeline, kind, task_table)
            quoted = self.database.quote(self.database.ledger_schema, name)
            self._tables[pipeline, kind] = BindingTable(quoted, KeyColumns.of(self.database, task_table))
        return self._tables[pipeline, kind]

    def binding_table(self, pipeline: str, kind: Kind) -> BindingTable:
        """Return the binding table of a pipeline that was attached.

        Raises
        ------
        ConfigError
            If it wasn't.
        """
        try:
            return self._tables[pipeline, kind]
        except KeyError:
            raise ConfigError(
                f"The {kind} tasks of pipeline {pipeline!r} are not attached: is the pipeline in the settings?"
            ) from None

    def binding(self, pipeline: str, kind: Kind, key: Mapping[str, Any]) -> BindingRecord | None:
        """Return what is known of a task; None if nothing is."""
        where = self.binding_table(pipeline, kind).key.among([key], "b")
        found = self._bindings(pipeline, kind, where, "")
        return found[0] if found else None

    def binding_of(self, run_id: str) -> BindingRecord | None:
        """Return the binding of the task that a run is planned for, its key in native values."""
        for pipeline, kind in self._tables:
            if found := self._bindings(pipeline, kind, ("b.run_id = %s", (run_id,)), ""):
                return found[0]
        return None

    def bindings(
        self,
        pipeline: str,
        kind: Kind,
        states: Collection[BindingState] | None = None,
        limit: int | None = None,
    ) -> list[BindingRecord]:
        """Return the bindings of a pipeline, in some states or all, by priority, then oldest state first."""
        names = tuple(sorted(BindingState(state).value for state in states or BindingState))
        cut = "" if limit is None else f" LIMIT {int(limit)}"
        tail = f" ORDER BY b.priority, b.since, b.task_digest{cut}"
        return self._bindings(pipeline, kind, (f"b.state IN ({one_of(names)})", names), tail)

    def count_refused(self, pipeline: str, kind: Kind) -> dict[FailureClass, int]:
        """Return how many tasks of a pipeline planning has refused, by class."""
        rows = self.database.query(
            f"SELECT failure_class, COUNT(*) FROM {self.binding_table(pipeline, kind).name} "
            "WHERE state = %s AND failure_class IS NOT NULL GROUP BY failure_class",
            (BindingState.REFUSED.value,),
        )
        return {FailureClass(name): int(number) for name, number in rows}

    def bindings_of(self, pipeline: str, kind: Kind, task_digests: Collection[str]) -> list[BindingRecord]:
        """Return what is known of tasks; those of whom nothing is are left out."""
        found: list[BindingRecord] = []
        digests = tuple(sorted(task_digests))
        for start in range(0, len(digests), KEYS_PER_QUERY):
            some = digests[start : start + KEYS_PER_QUERY]
            found += self._bindings(pipeline, kind, (f"b.task_digest IN ({one_of(some)})", some), "")
        return found

    @repeated
    def wait(self, task: TaskRecord, sentence: str, next_look: dt.datetime | float, *, epoch: int | None) -> None:
        """Note that an input of a task isn't there yet.

        Parameters
        ----------
        task : TaskRecord
        sentence : str
            What is waited for.
        next_look : datetime or float
            When to look again: naive UTC of the database's clock, or seconds from now.
        epoch : int or None
            The leader's epoch.

        Raises
        ------
        LostRaceError
            If `epoch` leads no more, or the task has a run that isn't finished.
        """
        if isinstance(next_look, dt.datetime):
            look: Sql = ("%s", (next_look,))
        else:
            look = (self.database.dialect.soon, (round(next_look * 1_000_000),))
        self._note(task, BindingState.WAITING, sentence, None, look, Wanted.RUN, epoch)

    @repeated
    def refuse(self, task: TaskRecord, outcome: Outcome, *, epoch: int | None) -> None:
        """Note that a task can't be planned, and why; it stays so until it is edited or retried.

        Raises
        ------
        LostRaceError
            As :meth:`wait`.
        """
        failure = failure_of(outcome)
        self._note(task, BindingState.REFUSED, outcome.sentence, failure, ("NULL", ()), Wanted.RUN, epoch)

    @repeated
    def hold_task(self, task: TaskRecord, sentence: str, *, epoch: int | None) -> None:
        """Hold a task that has no run yet; :meth:`forget` lets it go.

        Raises
        ------
        LostRaceError
            As :meth:`wait`.
        """
        self._note(task, BindingState.HELD, sentence, None, ("NULL", ()), Wanted.HOLD, epoch)

    @repeated
    def forget(self, pipeline: str, kind: Kind, key: Mapping[str, Any], *, epoch: int | None) -> bool:
        """Forget what is known of a task, so that it is pending again.

        Returns
        -------
        bool
            False if nothing was known, or its run is still under way.

        Raises
        ------
        LostRaceError
            If `epoch` leads no more.
        """
        table = self.binding_table(pipeline, kind)
        among, args = table.key.among([key])
        active = f"SELECT run_id FROM {self._run} WHERE state IN ({one_of(ACTIVE)})"
        with self.database.transaction():
            self._demand(epoch)
            self._lock(table, (among, args))
            sql = f"DELETE FROM {table.name} WHERE {among} AND (run_id IS NULL OR run_id NOT IN ({active}))"
            return bool(self.database.execute(sql, (*args, *ACTIVE)))

    def _note(
        self,
        task: TaskRecord,
        state: BindingState,
        sentence: str,
        failure: str | None,
        next_look: Sql,
        wanted: Wanted,
        epoch: int | None,
    ) -> None:
        table = self.binding_table(task.pipeline, task.kind)
        with self.database.transaction():
            self._demand(epoch)
            self._insert_binding(table, task, state)
            self._lock(table, ("task_digest = %s", (task.task_digest,)))
            # A task whose run is under way isn't touched, and a plan that fails undoes nothing that people want.
            # MySQL assigns from left to right: `since` first.
            unasked = f" AND wanted = '{Wanted.RUN.value}'" if wanted is Wanted.RUN else ""
            changed = self.database.execute(
                f"UPDATE {table.name} SET since = CASE WHEN state = %s THEN since ELSE {self._clock} END, "
                f"state = %s, sentence = %s, failure_class = %s, next_look = {next_look[0]}, wanted = %s, "
                "param_digest = %s, run_id = NULL "
                "WHERE task_digest = %s AND (state <> %s OR run_id IS NULL OR run_id IN "
                f"(SELECT run_id FROM {self._run} WHERE state IN ({one_of(_FINISHED)}))){unasked}",
                (
                    *(state.value, state.value, fit(sentence), failure, *next_look[1], wanted.value),
                    *(task.param_digest, task.task_digest, BindingState.PLANNED.value, *_FINISHED),
                ),
            )
            # An update to what is there already changes no row on MySQL: only a planned task was lost
            if not changed and self._is_planned(table, task.task_digest):
                raise LostRaceError(f"Task {display_key(task.key)} has a run under way: nothing was changed.")

    def _lock(self, table: BindingTable, where: Sql) -> None:
        """Lock bindings in a statement of its own: the next one sees what whoever had them locked has committed.

        PostgreSQL judges the runs in a condition by how they were when its statement began, however long that waited.
        """
        self.database.query(f"SELECT task_digest FROM {table.name} WHERE {where[0]} FOR UPDATE", where[1])

    def _insert_binding(self, table: BindingTable, task: TaskRecord, state: BindingState) -> None:
        row = table.key.row(task.key) | {
            "task_digest": task.task_digest,
            "state": state.value,
            "sentence": "",
            "priority": 0,
            "wanted": Wanted.RUN.value,
            "param_digest": task.param_digest,
            "changed": 0,
        }
        self.database.insert_new(table.name, row, table.key.names, clock=("since",))

    def _is_planned(self, table: BindingTable, task_digest: str) -> bool:
        sql = f"SELECT state FROM {table.name} WHERE task_digest = %s"
        return self.database.query(sql, (task_digest,)) == [(BindingState.PLANNED.value,)]

    def _bindings(self, pipeline: str, kind: Kind, where: Sql, tail: str) -> list[BindingRecord]:
        table = self.binding_table(pipeline, kind)
        columns = ", ".join(f"b.{name}" for name in BINDING_COLUMNS)
        sql = f"SELECT {table.key.select('b')}, {columns} FROM {table.name} b WHERE {where[0]}{tail}"
        width = len(table.key.names)
        return [
            binding_record(pipeline, kind, table.key.native(row[:width]), row[width:])
            for row in self.database.query(sql, where[1])
        ]
