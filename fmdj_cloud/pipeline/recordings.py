"""A lab's recordings: their first videos, the tasks that they have, and new tasks for outputs that exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import datajoint as dj

from fmdj_cloud.errors import DatabaseError, LostRaceError
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline import codec
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.keys import KeyColumns

TASK_ID = "facemap_task_id"


@dataclass(frozen=True)
class TaskOutput:
    """Where a task's outputs are said to lie.

    Attributes
    ----------
    task_id : int
    mode : str
        ``trigger`` or ``load``.
    output_dir : str
        As in the row, which may be empty.
    """

    task_id: int
    mode: str
    output_dir: str


@dataclass(frozen=True)
class KnownRecording:
    """A recording with what decides which outputs are its own.

    Attributes
    ----------
    key : Mapping
    first_path : str
        ``file_path`` of its first file, after which Facemap names its output.
    tasks : tuple of TaskOutput
    """

    key: Mapping[str, Any]
    first_path: str
    tasks: tuple[TaskOutput, ...] = ()


def known_recordings(database: Database, element: Element) -> tuple[KnownRecording, ...]:
    """Return all recordings that have files."""
    recording = KeyColumns.of(database, element.VideoRecording)
    width = len(recording.names)
    first: dict[str, tuple[dict[str, Any], str]] = {}
    rows = database.query(
        f"SELECT {recording.select()}, file_path FROM {element.VideoFile.full_table_name} "
        f"ORDER BY {recording.select()}, file_id"
    )
    for row in rows:
        key = recording.native(row[:width])
        first.setdefault(canonical_key(key), (key, str(row[width])))
    tasks: dict[str, list[TaskOutput]] = {}
    rows = database.query(
        f"SELECT {recording.select()}, {TASK_ID}, task_mode, facemap_output_dir "
        f"FROM {element.FacemapTask.full_table_name}"
    )
    for row in rows:
        number, mode, output_dir = row[width:]
        found = TaskOutput(int(number), str(mode), str(output_dir or ""))
        tasks.setdefault(canonical_key(recording.native(row[:width])), []).append(found)
    return tuple(KnownRecording(key, path, tuple(tasks.get(name, ()))) for name, (key, path) in first.items())


def insert_load_tasks(element: Element, rows: Iterable[tuple[Mapping[str, Any], int, str]]) -> int:
    """Insert tasks that load outputs which exist.

    Parameters
    ----------
    element : Element
    rows : iterable of (Mapping, int, str)
        Recording, task id, and folder of the output relative to the processed root.

    Returns
    -------
    int
        How many were inserted.

    Raises
    ------
    LostRaceError
        If somebody has just inserted such a task; those before it are there.
    DatabaseError
        If the database refuses.
    """
    table, number = element.FacemapTask, 0
    for recording, task_id, output_dir in rows:
        key = {**recording, TASK_ID: task_id}
        values = {"task_mode": "load", "facemap_output_dir": output_dir, "facemap_params": {}}
        try:
            table.insert1(codec.encode(table, key | values))
        except dj.errors.DuplicateError as error:
            raise LostRaceError(f"The task {display_key(key)} was just inserted by somebody: look again.") from error
        except (dj.errors.DataJointError, element.database.dialect.driver_error) as error:
            raise DatabaseError(f"The task {display_key(key)} can't be inserted: {error}.") from error
        number += 1
    return number
