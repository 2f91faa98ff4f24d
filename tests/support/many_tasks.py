"""A lab with very many tasks, most of them done: rows made by the server itself."""

from __future__ import annotations

import datetime as dt
from typing import Any

from fmdj_cloud.pipeline import codec
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element

_PER_RECORDING = 100


def add_tasks(database: Database, element: Element, tasks: int, *, pending: int) -> None:
    """Insert tasks, in recordings of a hundred each, with results for all but the last ones.

    Parameters
    ----------
    database : Database
    element : Element
        Whose lab is :mod:`fmdj_cloud.demo.lab`'s, with session 1 of subject m1 and a device called camera.
    tasks, pending : int
        Multiples of a hundred.
    """
    recordings, done = tasks // _PER_RECORDING, (tasks - pending) // _PER_RECORDING
    key = "subject, session_id, recording_id"
    rows = f"SELECT 'm1', 1, r.n FROM {_numbers(database, recordings)} r"
    video, task = element.VideoRecording, element.FacemapTask
    database.execute(f"INSERT INTO {video.full_table_name} ({key}, device) SELECT q.*, 'camera' FROM ({rows}) q")
    numbers = _numbers(database, _PER_RECORDING)
    values: dict[str, Any] = {"facemap_output_dir": "", "task_mode": "trigger", "facemap_params": {"sbin": 4}}
    values |= {"do_mot_svd": True, "do_mov_svd": False, "task_description": ""}
    encoded = codec.to_sql_row(task, values, database.backend) or {}
    each = f"SELECT 'm1', 1, r.n, t.n - 1 FROM {_numbers(database, recordings)} r CROSS JOIN {numbers} t"
    database.execute(
        f"INSERT INTO {task.full_table_name} ({key}, facemap_task_id, {', '.join(encoded)})"
        f" {each.replace(' FROM', ', %s' * len(encoded) + ' FROM', 1)}",
        tuple(encoded.values()),
    )
    finished = each.replace(_numbers(database, recordings), _numbers(database, done), 1)
    database.execute(
        f"INSERT INTO {element.FacemapProcessing.full_table_name} ({key}, facemap_task_id, processing_time)"
        f" {finished.replace(' FROM', ', %s FROM', 1)}",
        (dt.datetime(2026, 1, 1),),
    )
    database.execute(f"INSERT INTO {element.FacialSignal.full_table_name} ({key}, facemap_task_id) {finished}")
    for table in (video, task, element.FacemapProcessing, element.FacialSignal):
        verb = "ANALYZE" if database.backend == "postgresql" else "ANALYZE TABLE"
        database.connection.query(f"{verb} {table.full_table_name}")


def _numbers(database: Database, count: int) -> str:
    """Return a derived table's definition: n from 1 to `count`."""
    if database.backend == "postgresql":
        return f"(SELECT generate_series(1, {count}) AS n)"
    digits = "(SELECT 0 d" + "".join(f" UNION ALL SELECT {digit}" for digit in range(1, 10)) + ")"
    places = max(1, len(str(count - 1)))
    sums = " + ".join(f"{10**place} * d{place}.d" for place in range(places))
    tables = " CROSS JOIN ".join(f"{digits} d{place}" for place in range(places))
    return f"(SELECT 1 + {sums} AS n FROM {tables} WHERE {sums} < {count})"
