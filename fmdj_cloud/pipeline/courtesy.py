"""Reservations in a lab's own job tables, as DataJoint's ``populate(reserve_jobs=True)`` writes and heeds them.

0.14 has one table ``~jobs`` for all tables of a schema, 2.x a table ``~~<table>`` for each that is populated. Where
they exist they are written by plain SQL, never declared: DataJoint's ``.jobs`` would do that, and leave a partial
``~lineage`` in a schema of 0.14's. A row of ours says so by its user, ``fmdj:<run_id>``.
"""

from __future__ import annotations

import enum
import os
import platform
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datajoint import blob

from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.keys import KeyColumns, batches
from fmdj_cloud.pipeline.ledger_base import Sql, one_of
from fmdj_cloud.pipeline.ledger_rows import fit

_OURS = "fmdj:"
_REFUSAL = "refused-"
"""With this and a task's digest, in the place of a run, rows of ours say that the task can't be planned."""
_COLUMNS = 5
"""That a reservation is made of."""
_MESSAGE_MAX = 2047
"""Characters of ``error_message``, in both formats."""


class JobStatus(enum.StrEnum):
    """What a row of a job table says; DataJoint's words."""

    PENDING = "pending"
    RESERVED = "reserved"
    ERROR = "error"
    IGNORE = "ignore"
    SUCCESS = "success"


@dataclass(frozen=True)
class Reservation:
    """A row of a job table.

    Attributes
    ----------
    table : str
        Class name of the table that is populated.
    jobs : str
        Name of the job table, with its schema.
    status : JobStatus
    owner : str
        Database user who wrote it, ``fmdj:<run_id>`` for us.
    host : str
    pid : int
    age_s : float
        How long ago it was reserved, by the database's clock.
    """

    table: str
    jobs: str
    status: JobStatus
    owner: str
    host: str
    pid: int
    age_s: float

    @property
    def run_id(self) -> str:
        """The run that it is for, empty if it isn't ours."""
        return self.owner.removeprefix(_OURS) if self.owner.startswith(_OURS) else ""

    @property
    def refused(self) -> str:
        """Digest of the task that can't be planned, empty if the row is a run's, or not ours."""
        return self.run_id.removeprefix(_REFUSAL) if self.run_id.startswith(_REFUSAL) else ""


def refusal_of(task_digest: str) -> str:
    """Return what stands in the place of a run where a task can't be planned."""
    return f"{_REFUSAL}{task_digest}"


def owner_of(run_id: str) -> str:
    """Return the user that a row for a run has."""
    return f"{_OURS}{run_id}"


@dataclass(frozen=True)
class Among:
    """A question for rows of a job table, and what its answers mean.

    Attributes
    ----------
    select : str
        What identifies a row's key, then what a reservation is made of.
    source : str
        FROM and WHERE.
    args : tuple
    key : callable
        Returns the key that an answer is about.
    """

    select: str
    source: str
    args: tuple[Any, ...]
    key: Callable[[Sequence[Any]], Mapping[str, Any]]


def reserved_by_others(
    database: Database, queues: Sequence[JobQueue], keys: Sequence[Mapping[str, Any]]
) -> dict[str, Reservation]:
    """Return canonical key -> who has reserved it, or marked it as to be ignored, in any of some job tables.

    Rows of ours are left out; one question asks for all tables of one format.

    Parameters
    ----------
    database : Database
    queues : sequence of JobQueue
        Of one kind of task.
    keys : sequence of Mapping
        Native values.

    Raises
    ------
    DatabaseError
        If one of the tables can't be read.
    """
    statuses = (JobStatus.RESERVED.value, JobStatus.IGNORE.value)
    found: dict[str, Reservation] = {}
    for alike in {type(queue): [one for one in queues if type(one) is type(queue)] for queue in queues}.values():
        for batch in batches(keys):
            asked = [queue.among(batch, statuses) for queue in alike]
            sql = " UNION ALL ".join(f"SELECT {at}, {one.select} {one.source}" for at, one in enumerate(asked))
            args = tuple(arg for one in asked for arg in one.args)
            for at, *row in database.query(sql, args):
                reservation = alike[int(at)].reservation(row[-_COLUMNS:])
                if not reservation.run_id:
                    found.setdefault(canonical_key(asked[int(at)].key(row[:-_COLUMNS])), reservation)
    return found


class JobQueue(ABC):
    """The jobs of one populated table in one job table that exists.

    Every method is one short transaction or two; none waits for anybody's computation.

    Parameters
    ----------
    database : Database
    table : datajoint table
        The populated table, whose primary key is its task's.
    jobs : str
        Bare name of the job table in the same schema.
    name : str
        Class name of the populated table.
    """

    _since: str

    def __init__(self, database: Database, table: Any, jobs: str, name: str) -> None:
        self._database = database
        self._name = name
        self._table_name = str(table.table_name)
        self._key = KeyColumns.of(database, table)
        self._shown = f"{table.database}.{jobs}"
        self._jobs = database.quote(table.database, jobs)
        quote = database.identifier
        age = database.dialect.seconds_since(quote(self._since))
        # as text: PostgreSQL's tables have an enumeration each, and no two of them go into one column
        self._columns = f"CONCAT({quote('status')}, ''), {quote('user')}, {quote('host')}, {quote('pid')}, {age}"

    @property
    def name(self) -> str:
        """For people: of what, and where."""
        return f"{self._name} in {self._shown}"

    def take(
        self, key: Mapping[str, Any], run_id: str, instead_of: Collection[tuple[str, int]] = ()
    ) -> Reservation | None:
        """Reserve a key for a run, unless somebody else has it.

        Parameters
        ----------
        key : Mapping
            Native values.
        run_id : str
        instead_of : collection of (str, int)
            Host and pid of processes that are known to be gone: what these have reserved is taken over.

        Returns
        -------
        Reservation or None
            Whose the key is, if it can't be had. None also where an error stands: nobody populates that key before
            somebody has deleted it, and it isn't ours to delete.
        """
        for _ in range(3):
            if self._insert(key, run_id):
                return None
            found = self._row(key)
            if found is None:  # it was released at this moment
                continue
            if found.status is JobStatus.ERROR and found.run_id != run_id and not found.refused:
                return None
            free = found.status in (JobStatus.PENDING, JobStatus.SUCCESS)
            gone = found.status is JobStatus.RESERVED and (found.host, found.pid) in instead_of
            if not (free or gone or found.run_id == run_id or found.refused):
                return found
            if self._replace(key, found, run_id):
                return None
        return self._row(key)

    def ours(self, statuses: Collection[JobStatus]) -> list[Reservation]:
        """Return the rows that runs of ours have."""
        where, args = self._where(statuses)
        user = self._database.identifier("user")
        sql = f"SELECT {self._columns} FROM {self._jobs} WHERE {user} LIKE %s AND {where}"
        return [self.reservation(row) for row in self._database.query(sql, (f"{_OURS}%", *args))]

    def renew(self, run_ids: Sequence[str]) -> None:
        """Show that these reservations are alive, and by which connection."""
        for start in range(0, len(run_ids), 200):
            owned, args = self._owned(run_ids[start : start + 200], JobStatus.RESERVED)
            values, marks = self._signature()
            sql = f"UPDATE {self._jobs} SET {marks}, {self._renewed()} WHERE {owned}"
            self._database.execute(sql, (*values, *args))

    def fail(self, run_id: str, message: str, stack: str) -> None:
        """Make an error of a run's reservation, where people look for those.

        Parameters
        ----------
        run_id : str
        message : str
        stack : str
            In the place of a traceback.
        """
        owned, args = self._owned([run_id], JobStatus.RESERVED)
        sets = {"status": JobStatus.ERROR.value, "error_message": fit(message, _MESSAGE_MAX)}
        sets |= {"error_stack": blob.pack(stack)}
        pairs = ", ".join(f"{self._database.identifier(name)} = %s" for name in sets)
        sql = f"UPDATE {self._jobs} SET {pairs}, {self._ended()} WHERE {owned}"
        self._database.execute(sql, (*sets.values(), *args))

    @abstractmethod
    def release(self, run_id: str, *, over: bool) -> None:
        """Remove what a run has here, reservation or error.

        Parameters
        ----------
        run_id : str
        over : bool
            Whether nobody is to populate the key any more: else a key that was pending in the lab's queue is so
            again.
        """

    @abstractmethod
    def _insert(self, key: Mapping[str, Any], run_id: str) -> bool: ...

    @abstractmethod
    def among(self, keys: Sequence[Mapping[str, Any]], statuses: Sequence[str]) -> Among:
        """Return the question for the rows of these keys that have such a status."""

    @abstractmethod
    def _at(self, key: Mapping[str, Any]) -> Sql:
        """Return the condition that a row is this key's."""

    @abstractmethod
    def _where(self, statuses: Collection[JobStatus]) -> Sql:
        """Return the condition that a row is of this table, and of such a status."""

    @abstractmethod
    def _renewed(self) -> str: ...

    @abstractmethod
    def _ended(self) -> str: ...

    @abstractmethod
    def _reserving(self) -> Sql:
        """Return what a row is set to that is taken over, beside status and signature."""

    def _replace(self, key: Mapping[str, Any], seen: Reservation, run_id: str) -> bool:
        """Take a row over, if it still is what was seen."""
        quote = self._database.identifier
        at, at_args = self._at(key)
        values, marks = self._signature()
        more, more_args = self._reserving()
        # MySQL assigns from left to right: `more` looks at the status before
        sql = (
            f"UPDATE {self._jobs} SET {more}, {quote('status')} = %s, {quote('user')} = %s, {marks}, {self._renewed()} "
            f"WHERE {at} AND {quote('status')} = %s AND {quote('user')} = %s"
        )
        taken = (JobStatus.RESERVED.value, owner_of(run_id))
        self._database.execute(sql, (*more_args, *taken, *values, *at_args, seen.status.value, seen.owner))
        # MySQL counts only rows that have become different: what is there now decides
        found = self._row(key)
        return found is not None and found.run_id == run_id and found.status is JobStatus.RESERVED

    def _row(self, key: Mapping[str, Any]) -> Reservation | None:
        at, args = self._at(key)
        rows = self._database.query(f"SELECT {self._columns} FROM {self._jobs} WHERE {at}", args)
        return self.reservation(rows[0]) if rows else None

    def reservation(self, row: Sequence[Any]) -> Reservation:
        """Return what a row says."""
        status, owner, host, pid, age = row
        age_s = max(0.0, float(age or 0))
        return Reservation(self._name, self._shown, JobStatus(status), str(owner), str(host), int(pid), age_s)

    def _owned(self, run_ids: Sequence[str], *statuses: JobStatus) -> Sql:
        where, args = self._where(statuses)
        owners = tuple(map(owner_of, run_ids))
        return f"{self._database.identifier('user')} IN ({one_of(owners)}) AND {where}", (*owners, *args)

    def _signature(self) -> tuple[tuple[Any, ...], str]:
        """Return arguments and assignments of who writes."""
        quote = self._database.identifier
        connection = f"{quote('connection_id')} = {self._database.dialect.connection_id}"
        return (platform.node()[:255], os.getpid()), f"{quote('host')} = %s, {quote('pid')} = %s, {connection}"
