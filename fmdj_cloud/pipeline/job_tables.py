"""The job tables of DataJoint 0.14 and of 2.x, where a lab has them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from datajoint import blob

from fmdj_cloud.contracts import Kind
from fmdj_cloud.pipeline.courtesy import Among, JobQueue, JobStatus, owner_of
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.keys import KeyColumns
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger_base import Sql, one_of

OLD_JOBS = "~jobs"
"""Job table of all tables of a schema, in 0.14."""
_PRIORITY = 5
"""Of rows that we add to a queue of 2.x: its own default."""
_ADDED, _WAS_PENDING = "fmdj", "fmdj, was pending"
"""What ``version`` says of rows of ours in 2.x, so that a key which waited in the queue does so again."""


def new_jobs(table: Any) -> str:
    """Return the name that 2.x gives to the job table of a populated table."""
    return f"~~{str(table.table_name).lstrip('_')}"


def key_hash(key: Mapping[str, Any]) -> str:
    """Return by what 0.14 knows a job: MD5 of the values' texts, by attribute name (DataJoint 0.14, ``hash.py``)."""
    texts = (str(value).encode() for _, value in sorted(key.items()))
    return hashlib.md5(b"".join(texts), usedforsecurity=False).hexdigest()


def results_of(lab: Lab, kind: Kind) -> tuple[tuple[str, Any], ...]:
    """Return the populated tables of a lab, with their class names, that a task of a kind has a key in."""
    if kind is Kind.POSE and lab.inference is not None:
        return (("FacemapInference", lab.inference.FacemapInference),)
    element = lab.element
    return (("FacemapProcessing", element.FacemapProcessing), ("FacialSignal", element.FacialSignal))


def queues_of(database: Database, lab: Lab, kind: Kind) -> tuple[JobQueue, ...]:
    """Return the jobs of a lab's tasks of one kind, in those job tables that exist and that this user may see.

    A lab whose people use both DataJoints has both.
    """
    queues: list[JobQueue] = []
    results = results_of(lab, kind)
    tables = {schema: database.tables(schema) for schema in {str(table.database) for _, table in results}}
    for name, table in results:
        there = tables[str(table.database)]
        if OLD_JOBS in there:
            queues.append(OldQueue(database, table, OLD_JOBS, name))
        if new_jobs(table) in there:
            queues.append(NewQueue(database, table, new_jobs(table), name))
    return tuple(queues)


def is_processed(database: Database, lab: Lab, key: Mapping[str, Any]) -> bool:
    """Tell whether a task has its FacemapProcessing row."""
    table = lab.element.FacemapProcessing
    among, args = KeyColumns.of(database, table).among([key])
    return bool(database.query(f"SELECT 1 FROM {table.full_table_name} WHERE {among}", args))


class OldQueue(JobQueue):
    """The rows of ``~jobs`` for one table: one for each key that is reserved, failed or to be ignored."""

    _since = "timestamp"

    def release(self, run_id: str, *, over: bool) -> None:
        """Remove what a run has here: without a row, a key can be had."""
        del over
        owned, args = self._owned([run_id], JobStatus.RESERVED, JobStatus.ERROR)
        self._database.execute(f"DELETE FROM {self._jobs} WHERE {owned}", args)

    def _insert(self, key: Mapping[str, Any], run_id: str) -> bool:
        own = {name: key[name] for name in self._key.names}
        row = {"table_name": self._table_name, "key_hash": key_hash(own)}
        row |= {"status": JobStatus.RESERVED.value, "key": blob.pack(own), "user": owner_of(run_id)}
        if not self._database.insert_new(self._jobs, row, ["table_name", "key_hash"]):
            return False
        self.renew([run_id])
        return True

    def among(self, keys: Sequence[Mapping[str, Any]], statuses: Sequence[str]) -> Among:
        """Return the question for the rows of these keys that have such a status."""
        by_hash = {key_hash({name: key[name] for name in self._key.names}): dict(key) for key in keys}
        quote = self._database.identifier
        source = (
            f"FROM {self._jobs} WHERE {quote('table_name')} = %s AND {quote('key_hash')} IN ({one_of(tuple(by_hash))}) "
            f"AND {quote('status')} IN ({one_of(tuple(statuses))})"
        )
        args = (self._table_name, *by_hash, *statuses)
        return Among(f"{quote('key_hash')}, {self._columns}", source, args, lambda row: by_hash[str(row[0])])

    def _at(self, key: Mapping[str, Any]) -> Sql:
        quote = self._database.identifier
        own = {name: key[name] for name in self._key.names}
        return f"{quote('table_name')} = %s AND {quote('key_hash')} = %s", (self._table_name, key_hash(own))

    def _where(self, statuses: Collection[JobStatus]) -> Sql:
        quote = self._database.identifier
        names = tuple(status.value for status in statuses)
        return f"{quote('table_name')} = %s AND {quote('status')} IN ({one_of(names)})", (self._table_name, *names)

    def _renewed(self) -> str:
        return f"{self._database.identifier('timestamp')} = CURRENT_TIMESTAMP"

    def _ended(self) -> str:
        return self._renewed()

    def _reserving(self) -> Sql:
        quote = self._database.identifier
        return f"{quote('error_message')} = %s, {quote('error_stack')} = NULL", ("",)


class NewQueue(JobQueue):
    """A job table of 2.x: a row for each key that is to be populated, whatever its status."""

    _since = "reserved_time"

    def release(self, run_id: str, *, over: bool) -> None:
        """Remove what a run has here; a key that waited in the queue waits in it again."""
        quote = self._database.identifier
        owned, args = self._owned([run_id], JobStatus.RESERVED, JobStatus.ERROR)
        if not over:
            self._database.execute(
                f"UPDATE {self._jobs} SET {quote('status')} = %s, {quote('user')} = '', {quote('host')} = '', "
                f"{quote('pid')} = 0, {quote('connection_id')} = 0, {quote('version')} = '', "
                f"{quote('error_message')} = '', {quote('error_stack')} = NULL, "
                f"{quote('reserved_time')} = NULL, {quote('completed_time')} = NULL "
                f"WHERE {owned} AND {quote('version')} = %s",
                (JobStatus.PENDING.value, *args, _WAS_PENDING),
            )
        self._database.execute(f"DELETE FROM {self._jobs} WHERE {owned}", args)

    def _insert(self, key: Mapping[str, Any], run_id: str) -> bool:
        row = self._key.row(key) | {"status": JobStatus.RESERVED.value, "priority": _PRIORITY}
        row |= {"user": owner_of(run_id), "version": _ADDED}
        if not self._database.insert_new(self._jobs, row, self._key.names):
            return False
        self.renew([run_id])
        return True

    def among(self, keys: Sequence[Mapping[str, Any]], statuses: Sequence[str]) -> Among:
        """Return the question for the rows of these keys that have such a status."""
        among, args = self._key.among(keys)
        status = f"{self._database.identifier('status')} IN ({one_of(tuple(statuses))})"
        source = f"FROM {self._jobs} WHERE {among} AND {status}"
        return Among(f"{self._key.select()}, {self._columns}", source, (*args, *statuses), self._key.native)

    def _at(self, key: Mapping[str, Any]) -> Sql:
        return self._key.among([key])

    def _where(self, statuses: Collection[JobStatus]) -> Sql:
        names = tuple(status.value for status in statuses)
        return f"{self._database.identifier('status')} IN ({one_of(names)})", names

    def _renewed(self) -> str:
        return f"{self._database.identifier('reserved_time')} = CURRENT_TIMESTAMP(3)"

    def _ended(self) -> str:
        return f"{self._database.identifier('completed_time')} = CURRENT_TIMESTAMP(3)"

    def _reserving(self) -> Sql:
        quote = self._database.identifier
        was = f"CASE WHEN {quote('status')} = %s THEN %s ELSE {quote('version')} END"
        cleared = f"{quote('error_message')} = %s, {quote('error_stack')} = NULL, {quote('completed_time')} = NULL"
        return f"{quote('version')} = {was}, {cleared}", (JobStatus.PENDING.value, _WAS_PENDING, "")
