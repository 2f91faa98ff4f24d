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
from fmdj_cloud.pipeline.inference import MODEL_ID, Inference
from fmdj_cloud.pipeline.keys import KeyColumns

TASK_ID = "facemap_task_id"


@dataclass(frozen=True)
class TaskOutput:
    """Where a task's outputs are said to lie.

    Attributes
    ----------
    task_id : int
        The model's id for pose inference.
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
    paths : tuple of str
        ``file_path`` of its files by file_id: Facemap names its outputs after them.
    tasks : tuple of TaskOutput
        Of one task table.
    """

    key: Mapping[str, Any]
    paths: tuple[str, ...]
    tasks: tuple[TaskOutput, ...] = ()

    @property
    def first_path(self) -> str:
        """``file_path`` of its first file."""
        return self.paths[0]


def known_recordings(
    database: Database, element: Element, inference: Inference | None = None
) -> tuple[KnownRecording, ...]:
    """Return all recordings that have files.

    Parameters
    ----------
    database : Database
    element : Element
    inference : Inference, optional
        With it, the recordings come with their tasks of pose inference, else with those of FacemapTask.
    """
    recording = KeyColumns.of(database, element.VideoRecording)
    width = len(recording.names)
    files: dict[str, tuple[dict[str, Any], list[str]]] = {}
    # MySQL's usual collations call 'M1' and 'm1' the same: all keys are spelled as in VideoRecording
    spelled = f"JOIN {element.VideoRecording.full_table_name} v ON {recording.equal('v', 't')}"
    rows = database.query(
        f"SELECT {recording.select('v')}, file_path FROM {element.VideoFile.full_table_name} t {spelled} "
        f"ORDER BY {recording.select('v')}, file_id"
    )
    for row in rows:
        key = recording.native(row[:width])
        files.setdefault(canonical_key(key), (key, []))[1].append(str(row[width]))
    tasks: dict[str, list[TaskOutput]] = {}
    if inference is None:
        columns, table = (TASK_ID, "task_mode", "facemap_output_dir"), element.FacemapTask
    else:
        columns, table = (MODEL_ID, "task_mode", inference.output_dir), inference.FacemapInferenceTask
    wanted = ", ".join(map(database.identifier, columns))
    for row in database.query(f"SELECT {recording.select('v')}, {wanted} FROM {table.full_table_name} t {spelled}"):
        number, mode, output_dir = row[width:]
        found = TaskOutput(int(number), str(mode), str(output_dir or ""))
        tasks.setdefault(canonical_key(recording.native(row[:width])), []).append(found)
    return tuple(KnownRecording(key, tuple(paths), tuple(tasks.get(name, ()))) for name, (key, paths) in files.items())


def known_models(database: Database, inference: Inference) -> tuple[int, ...]:
    """Return the ids of all models."""
    name = database.identifier(MODEL_ID)
    rows = database.query(f"SELECT {name} FROM {inference.FacemapModel.full_table_name} ORDER BY {name}")
    return tuple(int(number) for (number,) in rows)


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
    tasks = (
        {**recording, TASK_ID: task_id, "task_mode": "load", "facemap_output_dir": folder, "facemap_params": {}}
        for recording, task_id, folder in rows
    )
    return _insert(element.database, element.FacemapTask, tasks)


def insert_load_inferences(inference: Inference, rows: Iterable[tuple[Mapping[str, Any], int, str]]) -> int:
    """Insert tasks of pose inference that load outputs which exist.

    Parameters
    ----------
    inference : Inference
    rows : iterable of (Mapping, int, str)
        Recording, model, and folder of the output relative to the processed root.

    Returns
    -------
    int
        How many were inserted.

    Raises
    ------
    LostRaceError, DatabaseError
        As :func:`insert_load_tasks`.
    """
    tasks = (
        {**recording, MODEL_ID: model, "task_mode": "load", inference.output_dir: folder}
        for recording, model, folder in rows
    )
    return _insert(inference.database, inference.FacemapInferenceTask, tasks)


def _insert(database: Database, table: Any, rows: Iterable[Mapping[str, Any]]) -> int:
    number = 0
    for row in rows:
        key = display_key({name: row[name] for name in table.primary_key})
        try:
            table.insert1(codec.encode(table, row))
        except dj.errors.DuplicateError as error:
            raise LostRaceError(f"The task {key} was just inserted by somebody: look again.") from error
        except (dj.errors.DataJointError, database.dialect.driver_error) as error:
            raise DatabaseError(f"The task {key} can't be inserted: {error}.") from error
        number += 1
    return number
