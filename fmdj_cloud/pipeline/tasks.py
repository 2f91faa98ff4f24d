"""The lab's tasks: which are pending, and what each one says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import datajoint as dj

from fmdj_cloud.contracts import Kind, RecordingInfo, TaskRecord
from fmdj_cloud.errors import DatabaseError, UsageError
from fmdj_cloud.names import canonical_key, display_key, params_digest, sha256_text, task_digest
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.keys import KeyColumns, batches
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.pending import PendingQuery

Key = Mapping[str, Any]
UNREADABLE = "(unreadable)"
_NO_DIGEST = sha256_text(UNREADABLE)


@dataclass(frozen=True)
class Content:
    """What a task's row says beside its key.

    Attributes
    ----------
    fields : Mapping
        Fields of its :class:`TaskRecord` that only this task table has.
    digested : Mapping
        What the parameter digest covers: never the output directory or the description.
    """

    fields: Mapping[str, Any]
    digested: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The parameter digest."""
        return params_digest(self.digested)


class Tasks(ABC):
    """The rows of one task table of one pipeline; what its columns mean is its subclass's.

    Parameters
    ----------
    database : Database
    element : Element
        Whose recordings the tasks are about.
    ledger : Ledger
        Its binding table for these tasks is attached.
    pipeline : str
    table : datajoint table
        The task table.
    result : datajoint table
        Has a row for every task that is done.
    claimed_only : bool
        Whether only tasks that belong to a FacemapRun are pending.

    Attributes
    ----------
    kind : Kind
        Of the task table.
    name : str
        Class name of the task table.
    result_name : str
        Class name of the result table.
    output_dir : str
        Attribute that says where outputs lie.
    wanted : tuple of str
        Attributes that say what is to be done.
    table, result : datajoint table
    claimed_only : bool
    """

    kind: ClassVar[Kind]
    name: ClassVar[str]
    result_name: ClassVar[str]
    output_dir: str
    wanted: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        database: Database,
        element: Element,
        ledger: Ledger,
        pipeline: str,
        table: Any,
        result: Any,
        *,
        claimed_only: bool = False,
    ) -> None:
        self._database = database
        self._element = element
        self._pipeline = pipeline
        self.table = table
        self.result = result
        self.claimed_only = claimed_only
        self._key = KeyColumns.of(database, table)
        self._recording_key = KeyColumns.of(database, element.VideoRecording)
        self._pending = PendingQuery(
            key=self._key,
            tasks=table.full_table_name,
            results=result.full_table_name,
            bindings=ledger.attach(pipeline, self.kind, table).name,
            runs=ledger.run_table,
            now=database.dialect.now,
            claims=ledger.claim_table if claimed_only else "",
        )

    @abstractmethod
    def _contents(self, rows: Sequence[tuple[Key, Mapping[str, Any]]]) -> list[Content]:
        """Return what rows say: (key, attribute of `wanted` -> value as SQL returned it)."""

    def digest(self, key: Key) -> str:
        """Return a task's digest."""
        return task_digest(self._pipeline, self.name, dict(key))

    def count_pending(self) -> int:
        """Return how many tasks are pending."""
        ((count,),) = self._database.query(*self._pending.count())
        return int(count)

    def pending(self, limit: int) -> list[dict[str, Any]]:
        """Return the keys of the first pending tasks, most urgent first, then by key."""
        return [key for _, key in self.pending_by_priority(limit)]

    def pending_by_priority(self, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """Return (priority, key) of the first pending tasks, most urgent first, then by key."""
        rows = self._database.query(*self._pending.keys(limit))
        return [(int(priority), self._key.native(row)) for priority, *row in rows]

    def get(self, key: Key) -> TaskRecord | None:
        """Return a task with its files and recording; None if it was deleted."""
        found = self.get_many([key])
        return found[0] if found else None

    def get_many(self, keys: Sequence[Key]) -> list[TaskRecord]:
        """Return those of the tasks that exist, in the order of their keys."""
        rows = self._fetch(keys, (self.output_dir, *self.wanted))
        there = [key for key, _ in rows]
        files = self._files(there)
        infos = self._infos(there)
        return [
            TaskRecord(
                pipeline=self._pipeline,
                kind=self.kind,
                table=self.name,
                key=key,
                task_digest=self.digest(key),
                param_digest=content.digest,
                mode=row["task_mode"],
                output_dir=row[self.output_dir] or "",
                files=files.get(canonical_key(key), ()),
                recording_info=infos.get(canonical_key(key)),
                **content.fields,
            )
            for (key, row), content in zip(rows, self._contents(rows), strict=True)
        ]

    def stand_in(self, key: Key, problem: str) -> TaskRecord:
        """Return what stands for a task that exists and can't be read: enough to refuse it, never to compute it.

        Parameters
        ----------
        key : Mapping
        problem : str
            Why it can't be read.
        """
        return TaskRecord(
            pipeline=self._pipeline,
            kind=self.kind,
            table=self.name,
            key=dict(key),
            task_digest=self.digest(key),
            param_digest=self.param_digests([key]).get(canonical_key(key), _NO_DIGEST),
            mode="",
            output_dir="",
            task_id=0,
            params={UNREADABLE: None},
            params_problem=problem,
            files=(),
        )

    def param_digests(self, keys: Sequence[Key], *, lock: bool = False) -> dict[str, str]:
        """Return canonical key -> parameter digest of those of the tasks that exist.

        Parameters
        ----------
        keys : sequence of Mapping
        lock : bool
            Whether nobody may edit or delete these tasks until the caller's transaction ends.
        """
        rows = self._fetch(keys, self.wanted, " FOR UPDATE" if lock else "")
        names = [canonical_key(key) for key, _ in rows]
        try:
            return {name: content.digest for name, content in zip(names, self._contents(rows), strict=True)}
        except DatabaseError:
            raise
        except Exception:  # an impossible row, which is refused when it is planned, must stop no other task
            return {name: self._digest_of(row) for name, row in zip(names, rows, strict=True)}

    def has_result(self, keys: Sequence[Key]) -> set[str]:
        """Return the canonical keys of those of the tasks that have a result row."""
        return {canonical_key(key) for key, _ in self._rows(f"{self.result.full_table_name} t", (), keys)}

    def recording_info(self, key: Key) -> RecordingInfo | None:
        """Return what RecordingInfo says of a task's recording, if there is a row."""
        return self._infos([key]).get(canonical_key(key))

    def select(self, restriction: Key | str) -> list[dict[str, Any]]:
        """Return the keys of the tasks that a DataJoint restriction leaves, by key.

        Parameters
        ----------
        restriction : Mapping or str
            Attribute -> value of the task table, or an SQL condition; empty for all.

        Raises
        ------
        UsageError
            If it has no such attribute, or the restriction doesn't fit its type.
        """
        table = self.table()
        if isinstance(restriction, Mapping):
            for name, value in restriction.items():
                self._check_restriction(table.heading, name, value)
        try:
            rows = (table & restriction if restriction else table).keys(order_by="KEY")
        except (dj.errors.DataJointError, self._database.dialect.driver_error, ValueError, TypeError) as error:
            self._database.ensure_connected()
            shown = restriction if isinstance(restriction, str) else display_key(restriction)
            raise UsageError(f"The restriction {shown} doesn't fit {self.name}: {error}") from error
        return [self._key.native([row[name] for name in self._key.names]) for row in rows]

    def _check_restriction(self, heading: Any, name: str, value: Any) -> None:
        """Refuse what DataJoint would ignore, selecting everything, and what MySQL would read as 0."""
        if name not in heading.names:
            raise UsageError(f"{self.name} has no attribute {name!r}: a key is made of {', '.join(self._key.names)}.")
        if heading[name].numeric and isinstance(value, str):
            try:
                float(value)
            except ValueError:
                raise UsageError(f"{name}={value} doesn't fit {self.name}: {name} is a number.") from None

    def _fetch(
        self, keys: Sequence[Key], columns: Sequence[str], tail: str = ""
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return (key, column -> raw value) of the task rows that exist, in the order of `keys`."""
        rows = self._rows(f"{self.table.full_table_name} t", columns, keys, tail)
        found = {canonical_key(key): (key, row) for key, row in rows}
        return [found[name] for name in dict.fromkeys(map(canonical_key, keys)) if name in found]

    def _rows(
        self, tables: str, columns: Sequence[str], keys: Sequence[Key], tail: str = ""
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Yield (one of `keys`, column -> raw value) of the rows of a FROM clause whose key in table `t` is among them.

        The database decides what is the same: on MySQL a child of the task 'M1' may say 'm1'.
        """
        names, width = [*map(self._database.identifier, columns)], len(self._key.names)
        for batch in batches(keys):
            asked = {canonical_key(key): key for key in batch}
            among, args = self._key.among(batch, "t")
            what = ", ".join([self._key.select("t"), *names])
            found = [
                (self._key.native(row[:width]), dict(zip(columns, row[width:], strict=True)))
                for row in self._database.query(f"SELECT {what} FROM {tables} WHERE {among}{tail}", args)
            ]
            same = [(key, row) for key, row in found if canonical_key(key) in asked]
            yield from same
            if len(same) < len(found):
                seen = {canonical_key(key) for key, _ in same}
                others = [key for name, key in asked.items() if name not in seen]
                yield from self._respelled(tables, columns, others, tail)

    def _respelled(
        self, tables: str, columns: Sequence[str], keys: Sequence[Key], tail: str
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        if not keys:
            return
        place, args = self._key.place(keys, "t")
        among, more = self._key.among(keys, "t")
        what = ", ".join([place, *map(self._database.identifier, columns)])
        for number, *row in self._database.query(f"SELECT {what} FROM {tables} WHERE {among}{tail}", (*args, *more)):
            yield dict(keys[number]), dict(zip(columns, row, strict=True))

    def _of_recordings(self, table: Any) -> str:
        """Return a FROM clause of the tasks `t` with the rows of a table of their recordings."""
        name = table.full_table_name
        return f"{self.table.full_table_name} t JOIN {name} r ON {self._recording_key.equal('r', 't')}"

    def _files(self, keys: Sequence[Key]) -> dict[str, tuple[tuple[int, str], ...]]:
        files: dict[str, tuple[tuple[int, str], ...]] = {}
        tables = self._of_recordings(self._element.VideoFile)
        for key, row in self._rows(tables, ("file_id", "file_path"), keys, " ORDER BY file_id"):
            name = canonical_key(key)
            files[name] = (*files.get(name, ()), (int(row["file_id"]), str(row["file_path"])))
        return files

    def _infos(self, keys: Sequence[Key]) -> dict[str, RecordingInfo]:
        tables = self._of_recordings(self._element.RecordingInfo)
        return {
            canonical_key(key): RecordingInfo(
                height=row["px_height"],
                width=row["px_width"],
                nframes=row["nframes"],
                fps=None if row["fps"] is None else float(row["fps"]),
            )
            for key, row in self._rows(tables, ("px_height", "px_width", "nframes", "fps"), keys)
        }

    def _digest_of(self, row: tuple[Key, Mapping[str, Any]]) -> str:
        try:
            return self._contents([row])[0].digest
        except DatabaseError:
            raise
        except Exception:
            return _NO_DIGEST

    @staticmethod
    def _again(problem: str, key: Key) -> str:
        return f"{problem}: insert the task {display_key(key)} again with the right parameters."
