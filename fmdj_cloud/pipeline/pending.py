"""The antijoin that says which tasks are pending: one query, however many tasks."""

from __future__ import annotations

from dataclasses import dataclass

from fmdj_cloud.contracts import FINISHED_STATES, BindingState
from fmdj_cloud.pipeline.keys import KeyColumns
from fmdj_cloud.pipeline.ledger_base import Sql, one_of

_FINISHED = tuple(sorted(state.value for state in FINISHED_STATES))


@dataclass(frozen=True)
class PendingQuery:
    """Tasks without a result, minus those whose binding says that there is nothing to do (yet).

    A task is pending if it has no result row and either nothing is known of it, or an input that it waits
    for is due to be looked for, or its run is over (loaded, so that its result was deleted; superseded), or
    somebody asked for it again.

    Attributes
    ----------
    key : KeyColumns
        Primary key of the task table and of all others.
    tasks, results, bindings, runs : str
        Quoted full names of the tables.
    now : str
        Expression of the database's clock.
    claims : str
        Quoted full name of the Claim table where only tasks of FacemapRuns that aren't suspended are pending;
        empty where all are.
    """

    key: KeyColumns
    tasks: str
    results: str
    bindings: str
    runs: str
    now: str
    claims: str = ""

    def count(self) -> Sql:
        """Return the query of how many are pending."""
        return f"SELECT COUNT(*){self._body()}", self._args()

    def keys(self, limit: int) -> Sql:
        """Return the query of priority and key of the first `limit` tasks: most urgent first, then by key."""
        what = f"COALESCE(b.priority, 0), {self.key.select('t')}"
        return f"SELECT {what}{self._body()} ORDER BY {what} LIMIT {int(limit)}", self._args()

    def _body(self) -> str:
        claimed = (
            f" JOIN {self.claims} c ON c.task_digest = b.task_digest AND NOT c.held AND NOT c.leaving"
            if self.claims
            else ""
        )
        return (
            f" FROM {self.tasks} t"
            f" LEFT JOIN {self.bindings} b ON {self.key.equal('b', 't')}{claimed}"
            f" LEFT JOIN {self.runs} r ON r.run_id = b.run_id"
            f" WHERE NOT EXISTS (SELECT 1 FROM {self.results} s WHERE {self.key.equal('s', 't')})"
            " AND (b.state IS NULL OR b.state = %s"
            f" OR (b.state = %s AND b.next_look <= {self.now})"
            f" OR (b.state = %s AND r.state IN ({one_of(_FINISHED)})))"
        )

    def _args(self) -> tuple[str, ...]:
        return BindingState.PENDING.value, BindingState.WAITING.value, BindingState.PLANNED.value, *_FINISHED
