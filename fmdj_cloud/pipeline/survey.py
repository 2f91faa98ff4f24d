"""How all tasks that a condition selects stand: one query, however many they are."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fmdj_cloud.contracts import BindingState, FailureClass, Kind, RunState
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.keys import KeyColumns
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.ledger_base import Sql
from fmdj_cloud.pipeline.restriction import Columns, restrict_by_keys, restrict_by_text
from fmdj_cloud.pipeline.tasks import Tasks

_TRIGGER, _LOAD = "trigger", "load"


@dataclass(frozen=True)
class TaskStanding:
    """How a task stands.

    Attributes
    ----------
    key : dict
        Native values.
    task_digest : str
    kind : Kind
        Of the task table.
    bound : bool
        Whether anything is known of it.
    has_result : bool
    binding : BindingState or None
    binding_failure : FailureClass or None
    binding_sentence : str
    since : datetime or None
        When its binding came into this state.
    run_id : str
        Of the run that the binding names; empty without one.
    run_state : RunState or None
    run_failure : FailureClass or None
    run_sentence : str
    updated : datetime or None
        When the run last changed.
    frames : int
        Frames that the run is expected to have; 0 where nothing is planned.
    """

    key: dict[str, Any]
    task_digest: str
    kind: Kind = Kind.SVD
    bound: bool = False
    has_result: bool = False
    binding: BindingState | None = None
    binding_failure: FailureClass | None = None
    binding_sentence: str = ""
    since: dt.datetime | None = None
    run_id: str = ""
    run_state: RunState | None = None
    run_failure: FailureClass | None = None
    run_sentence: str = ""
    updated: dt.datetime | None = None
    frames: int = 0


class Surveyor:
    """Looks at the tasks of one task table of a pipeline.

    Parameters
    ----------
    database : Database
    tasks : Tasks
    ledger : Ledger
    pipeline : str
    """

    def __init__(self, database: Database, tasks: Tasks, ledger: Ledger, pipeline: str) -> None:
        self._database = database
        self._tasks = tasks
        self._table = tasks.table
        self._modes = {tasks.kind: _TRIGGER, Kind.IMPORT: _LOAD}
        self._key = KeyColumns.of(database, self._table)
        results = tasks.result.full_table_name
        bindings = ledger.attach(pipeline, tasks.kind, self._table).name
        self._sql = (
            f"SELECT {self._key.select('t')}, b.task_digest, b.state, b.failure_class, b.sentence, b.since, "
            "r.run_id, r.state, r.failure_class, r.sentence, r.updated, r.estimate, "
            f"EXISTS (SELECT 1 FROM {results} s WHERE {self._key.equal('s', 't')}) "
            f"FROM {self._table.full_table_name} t LEFT JOIN {bindings} b ON {self._key.equal('b', 't')} "
            f"LEFT JOIN {ledger.run_table} r ON r.run_id = b.run_id WHERE t.task_mode = %s AND "
        )

    def knows(self, kind: Kind) -> bool:
        """Tell whether tasks of this table are of a kind: what they do, ``import`` or the table's own."""
        return kind in self._modes

    def condition(self, text: str, keys: Sequence[Mapping[str, Any]]) -> Sql:
        """Return the condition that a restriction stands for.

        Parameters
        ----------
        text : str
            A condition as DataJoint's users write it, empty for none.
        keys : sequence of Mapping
            Attribute -> value; tasks that agree with one of these. None is no condition.

        Raises
        ------
        UsageError
            If it isn't safe, or doesn't fit the table.
        """
        columns = Columns(
            table=self._tasks.name,
            attributes=self._table.heading.attributes,
            backend=self._database.backend,
            quote=lambda name: f"t.{self._database.identifier(name)}",
        )
        pieces = [restrict_by_text(text, columns)] if text.strip() else []
        pieces += [restrict_by_keys(keys, columns)] if keys else []
        args = tuple(arg for _, some in pieces for arg in some)
        return " AND ".join(sql for sql, _ in pieces) or "TRUE", args

    def look(self, kind: Kind, condition: Sql) -> list[TaskStanding]:
        """Return the tasks of a kind that a condition selects, by key.

        Raises
        ------
        DatabaseError
            If the server refuses the condition, or is gone.
        ConfigError
            If the table has no tasks of that kind.
        """
        if not self.knows(kind):
            raise ConfigError(f"{self._tasks.name} has no {kind} tasks: use {' or '.join(self._modes)}.")
        sql = f"{self._sql}{condition[0]} ORDER BY {self._key.select('t')}"
        return [self._standing(row) for row in self._database.query(sql, (self._modes[kind], *condition[1]))]

    def _standing(self, row: Sequence[Any]) -> TaskStanding:
        width = len(self._key.names)
        key = self._key.native(row[:width])
        digest, binding, binding_failure, binding_sentence, since, *run, result = row[width:]
        run_id, run_state, run_failure, run_sentence, updated, estimate = run
        return TaskStanding(
            key=key,
            task_digest=str(digest or self._tasks.digest(key)),
            kind=self._tasks.kind,
            bound=digest is not None,
            has_result=bool(result),
            binding=None if binding is None else BindingState(binding),
            binding_failure=None if binding_failure is None else FailureClass(binding_failure),
            binding_sentence=str(binding_sentence or ""),
            since=since,
            run_id=str(run_id or ""),
            run_state=None if run_state is None else RunState(run_state),
            run_failure=None if run_failure is None else FailureClass(run_failure),
            run_sentence=str(run_sentence or ""),
            updated=updated,
            frames=int(json.loads(estimate)["frames"]) if estimate else 0,
        )
