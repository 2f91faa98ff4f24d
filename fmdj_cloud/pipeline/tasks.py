"""The lab's tasks: which are pending, and what each one says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import datajoint as dj
import numpy as np

from fmdj_cloud.contracts import Kind, RecordingInfo, TaskRecord
from fmdj_cloud.errors import UsageError
from fmdj_cloud.names import canonical_key, display_key, params_digest, sha256_text, task_digest
from fmdj_cloud.pipeline.codec import decode
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.keys import KeyColumns, batches
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.pending import PendingQuery
from fmdj_cloud.settings import PipelineSettings

Key = Mapping[str, Any]
_TASK_TABLE = "FacemapTask"
_WANTED = ("facemap_params", "do_mot_svd", "do_mov_svd", "task_mode")
"""What the parameter digest covers: never facemap_output_dir or the description."""
_UNREADABLE = "(unreadable)"
_NO_DIGEST = sha256_text(_UNREADABLE)


class Tasks:
    """The FacemapTask rows of one pipeline.

    Parameters
    ----------
    database : Database
    element : Element
    ledger : Ledger
        Its binding table for these tasks is attached.
    pipeline : PipelineSettings
    claimed_only : bool
        Whether only tasks that belong to a FacemapRun are pending.
    """

    def __init__(
        self,
        database: Database,
        element: Element,
        ledger: Ledger,
        pipeline: PipelineSettings,
        *,
        claimed_only: bool = False,
    ) -> None:
        self._database = database
        self._element = element
        self._pipeline = pipeline.name
        self.claimed_only = claimed_only
        self._key = KeyColumns.of(database, element.FacemapTask)
        self._recording_key = KeyColumns.of(database, element.VideoRecording)
        self._pending = PendingQuery(
            key=self._key,
            tasks=element.FacemapTask.full_table_name,
            results=element.FacialSignal.full_table_name,
            bindings=ledger.attach(pipeline.name, Kind.SVD, element.FacemapTask).name,
            runs=ledger.run_table,
            now=database.dialect.now,
            claims=ledger.claim_table if claimed_only else "",
        )

    def digest(self, key: Key) -> str:
        """Return a task's digest."""
        return task_digest(self._pipeline, _TASK_TABLE, dict(key))

    def count_pending(self) -> int:
        """Return how many tasks are pending."""
        ((count,),) = self._database.query(*self._pending.count())
        return int(count)

    def pending(self, limit: int) -> list[dict[str, Any]]:
        """Return the keys of the first pending tasks, most urgent first, then by key."""
        return [self._key.native(row) for row in self._database.query(*self._pending.keys(limit))]

    def get(self, key: Key) -> TaskRecord | None:
        """Return a task with its files and recording; None if it was deleted."""
        found = self.get_many([key])
        return found[0] if found else None

    def get_many(self, keys: Sequence[Key]) -> list[TaskRecord]:
        """Return those of the tasks that exist, in the order of their keys."""
        rows = self._fetch(keys, ("facemap_output_dir", *_WANTED))
        recordings = [{name: key[name] for name in self._recording_key.names} for key, _ in rows]
        distinct = list({canonical_key(recording): recording for recording in recordings}.values())
        files = self._files(distinct)
        infos = self._infos(distinct)
        return [
            self._record(key, row, files.get(canonical_key(recording), ()), infos.get(canonical_key(recording)))
            for (key, row), recording in zip(rows, recordings, strict=True)
        ]

    def stand_in(self, key: Key, problem: str) -> TaskRecord:
        """Return what stands for a task that exists and can't be read: enough to refuse it, never to compute it.

        Parameters
        ----------
        key : Mapping
        problem : str
            Why it can't be read.
        """
        native = dict(key)
        return TaskRecord(
            pipeline=self._pipeline,
            kind=Kind.SVD,
            table=_TASK_TABLE,
            key=native,
            task_digest=task_digest(self._pipeline, _TASK_TABLE, native),
            param_digest=self.param_digests([key]).get(canonical_key(key), _NO_DIGEST),
            mode="",
            output_dir="",
            task_id=0,
            params={_UNREADABLE: None},
            params_problem=problem,
            do_mot_svd=False,
            do_mov_svd=False,
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
        rows = self._fetch(keys, _WANTED, " FOR UPDATE" if lock else "")
        return {canonical_key(key): self._digest_of(row) for key, row in rows}

    def has_result(self, keys: Sequence[Key]) -> set[str]:
        """Return the canonical keys of those of the tasks that have a FacialSignal row."""
        found = set()
        for batch in batches(keys):
            among, args = self._key.among(batch)
            table = self._element.FacialSignal.full_table_name
            rows = self._database.query(f"SELECT {self._key.select()} FROM {table} WHERE {among}", args)
            found |= {canonical_key(self._key.native(row)) for row in rows}
        return found

    def recording_info(self, key: Key) -> RecordingInfo | None:
        """Return what RecordingInfo says of a task's recording, if there is a row."""
        recording = {name: key[name] for name in self._recording_key.names}
        return self._infos([recording]).get(canonical_key(recording))

    def select(self, restriction: Key | str) -> list[dict[str, Any]]:
        """Return the keys of the tasks that a DataJoint restriction leaves, by key.

        Parameters
        ----------
        restriction : Mapping or str
            Attribute -> value of FacemapTask, or an SQL condition; empty for all.

        Raises
        ------
        UsageError
            If FacemapTask has no such attribute, or the restriction doesn't fit its type.
        """
        table = self._element.FacemapTask()
        if isinstance(restriction, Mapping):
            for name, value in restriction.items():
                self._check_restriction(table.heading, name, value)
        try:
            rows = (table & restriction if restriction else table).keys(order_by="KEY")
        except (dj.errors.DataJointError, self._database.dialect.driver_error, ValueError, TypeError) as error:
            self._database.ensure_connected()
            shown = restriction if isinstance(restriction, str) else display_key(restriction)
            raise UsageError(f"The restriction {shown} doesn't fit {_TASK_TABLE}: {error}") from error
        return [self._key.native([row[name] for name in self._key.names]) for row in rows]

    def _check_restriction(self, heading: Any, name: str, value: Any) -> None:
        """Refuse what DataJoint would ignore, selecting everything, and what MySQL would read as 0."""
        if name not in heading.names:
            raise UsageError(f"{_TASK_TABLE} has no attribute {name!r}: a key is made of {', '.join(self._key.names)}.")
        if heading[name].numeric and isinstance(value, str):
            try:
                float(value)
            except ValueError:
                raise UsageError(f"{name}={value} doesn't fit {_TASK_TABLE}: {name} is a number.") from None

    def _fetch(
        self, keys: Sequence[Key], columns: Sequence[str], tail: str = ""
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return (key, column -> raw value) of the task rows that exist, in the order of `keys`."""
        found = {}
        table = self._element.FacemapTask.full_table_name
        for batch in batches(keys):
            for key, row in self._rows(table, self._key, columns, batch, tail):
                found[canonical_key(key)] = key, row
        return [found[name] for name in dict.fromkeys(map(canonical_key, keys)) if name in found]

    def _rows(
        self, table: str, key: KeyColumns, columns: Sequence[str], batch: Sequence[Key], tail: str = ""
    ) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        among, args = key.among(batch)
        names = ", ".join([key.select(), *map(self._database.identifier, columns)])
        width = len(key.names)
        return [
            (key.native(row[:width]), dict(zip(columns, row[width:], strict=True)))
            for row in self._database.query(f"SELECT {names} FROM {table} WHERE {among}{tail}", args)
        ]

    def _files(self, recordings: Sequence[Key]) -> dict[str, tuple[tuple[int, str], ...]]:
        table = self._element.VideoFile.full_table_name
        files: dict[str, tuple[tuple[int, str], ...]] = {}
        for batch in batches(recordings):
            for key, row in self._rows(
                table, self._recording_key, ("file_id", "file_path"), batch, " ORDER BY file_id"
            ):
                name = canonical_key(key)
                files[name] = (*files.get(name, ()), (int(row["file_id"]), str(row["file_path"])))
        return files

    def _infos(self, recordings: Sequence[Key]) -> dict[str, RecordingInfo]:
        table = self._element.RecordingInfo.full_table_name
        infos = {}
        for batch in batches(recordings):
            for key, row in self._rows(table, self._recording_key, ("px_height", "px_width", "nframes", "fps"), batch):
                infos[canonical_key(key)] = RecordingInfo(
                    height=row["px_height"],
                    width=row["px_width"],
                    nframes=row["nframes"],
                    fps=None if row["fps"] is None else float(row["fps"]),
                )
        return infos

    def _digest_of(self, row: Mapping[str, Any]) -> str:
        try:
            return _digest(self._params(row)[0])
        except Exception:  # an impossible row, which is refused when it is planned, must stop no other task
            return _NO_DIGEST

    def _params(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """Return the row with its blob decoded, and why that could not be done."""
        attribute = self._element.FacemapTask.heading["facemap_params"]
        values = {**row, "do_mot_svd": bool(row["do_mot_svd"]), "do_mov_svd": bool(row["do_mov_svd"])}
        raw = row["facemap_params"]
        try:
            params = decode(attribute, raw)
        except Exception as error:  # a damaged blob raises anything, and must stop no other task
            # Its bytes stand for it, so that an edit is seen
            damaged = raw.tobytes() if isinstance(raw, memoryview) else bytes(raw)
            return {**values, "facemap_params": damaged}, f"facemap_params can't be read: {error}"
        if isinstance(params, np.ndarray) and params.shape == ():  # as numpy loads a _proc.npy
            params = params.item()
        problem = ""
        if not isinstance(params, Mapping):
            kind = type(params).__name__
            problem = f"facemap_params is of type {kind}, not a dict of Facemap's arguments or a whole _proc.npy dict"
        return {**values, "facemap_params": params}, problem

    def _record(
        self,
        key: dict[str, Any],
        row: Mapping[str, Any],
        files: tuple[tuple[int, str], ...],
        info: RecordingInfo | None,
    ) -> TaskRecord:
        values, problem = self._params(row)
        if problem:
            problem = f"{problem}: insert the task {display_key(key)} again with the right parameters."
        return TaskRecord(
            pipeline=self._pipeline,
            kind=Kind.SVD,
            table=_TASK_TABLE,
            key=key,
            task_digest=task_digest(self._pipeline, _TASK_TABLE, key),
            param_digest=_digest(values),
            mode=row["task_mode"],
            output_dir=row["facemap_output_dir"] or "",
            task_id=key["facemap_task_id"],
            # A name that no parser knows: whoever overlooks the problem computes nothing with defaults
            params={_UNREADABLE: None}
            if problem
            else {str(name): value for name, value in values["facemap_params"].items()},
            params_problem=problem,
            do_mot_svd=values["do_mot_svd"],
            do_mov_svd=values["do_mov_svd"],
            files=files,
            recording_info=info,
        )


def _digest(values: Mapping[str, Any]) -> str:
    return params_digest({name: values[name] for name in _WANTED})
