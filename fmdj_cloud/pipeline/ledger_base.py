"""What the parts of the ledger share: the connection, the names of the tables, the leader's fence."""

from __future__ import annotations

from typing import Any

from fmdj_cloud.errors import LostRaceError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger_schema import open_schema

Sql = tuple[str, tuple[Any, ...]]
"""A piece of SQL and its arguments."""
NOTHING: Sql = ("", ())


class LedgerBase:
    """Base of the ledger's parts.

    Locks are taken in one order, so that transactions seldom wait for each other in a circle: Leader (shared),
    Run, Attempt, Job, Binding, Claim; leadership itself changes in transactions that touch nothing else. MySQL
    also locks, after the binding, the runs that a condition on it looks at: what a deadlock undoes is made again
    (:mod:`fmdj_cloud.pipeline.repeating`), so every method that changes something is marked ``repeated``.

    Parameters
    ----------
    database : Database

    Raises
    ------
    ConfigError
        If our schema can't be created, or is of another version.
    """

    def __init__(self, database: Database) -> None:
        open_schema(database)
        self.database = database
        self._clock = database.dialect.now
        schema = database.ledger_schema
        self._pipeline = database.quote(schema, "pipeline")
        self._leader = database.quote(schema, "leader")
        self._request = database.quote(schema, "request")
        self._run = database.quote(schema, "run")
        self._attempt = database.quote(schema, "run__attempt")
        self._job = database.quote(schema, "run__job")
        self._acceptance = database.quote(schema, "acceptance")
        self._quality = database.quote(schema, "quality")
        self._recompute = database.quote(schema, "recompute")
        self._claim = database.quote(schema, "claim")

    @property
    def run_table(self) -> str:
        """Quoted full name of the Run table."""
        return self._run

    @property
    def claim_table(self) -> str:
        """Quoted full name of the Claim table."""
        return self._claim

    def _fence(self, epoch: int | None) -> Sql:
        """Return the condition that `epoch` leads; the row stays locked against a new leader until the commit."""
        if epoch is None:
            return NOTHING
        share = self.database.dialect.share
        return f" AND EXISTS (SELECT 1 FROM {self._leader} WHERE leader_id = 1 AND epoch = %s {share})", (epoch,)

    def _demand(self, epoch: int | None) -> None:
        """Go on only if `epoch` leads; the first statement of a transaction of several.

        Raises
        ------
        LostRaceError
            If somebody else leads now.
        """
        if epoch is None:
            return
        share = self.database.dialect.share
        sql = f"SELECT epoch FROM {self._leader} WHERE leader_id = 1 AND epoch = %s {share}"
        if not self.database.query(sql, (epoch,)):
            raise LostRaceError(f"Leadership {epoch} is over: another controller leads, and nothing was changed.")


def one_of(values: tuple[str, ...]) -> str:
    """Return placeholders for ``IN (...)``."""
    return ", ".join(["%s"] * len(values))
