"""A lab with very many tasks, most of them done: rows made by the server itself."""

from __future__ import annotations

import datetime as dt
from typing import Any

from fmdj_cloud.contracts import BindingState, Estimate, Kind, Limits, RunPlan, RunState, SvdParams, Wanted
from fmdj_cloud.pipeline import codec
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.pipeline.ledger import Ledger

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


def add_videos(database: Database, element: Element, path: str) -> None:
    """Give every recording one file, the same for all of them."""
    video, file = element.VideoRecording.full_table_name, element.VideoFile.full_table_name
    key = "subject, session_id, recording_id"
    database.execute(f"INSERT INTO {file} ({key}, file_id, file_path) SELECT {key}, 0, %s FROM {video}", (path,))


def add_runs(database: Database, ledger: Ledger, pipeline: str, tasks: int, state: RunState, *, first: int = 0) -> None:
    """Give tasks, from the first one on, a run in some state that nothing else is known of.

    Parameters
    ----------
    database : Database
    ledger : Ledger
        With the tasks' binding table attached.
    pipeline : str
    tasks : int
    state : RunState
    first : int
        So many tasks are left out before them.
    """
    text = "CHAR(16)" if database.backend == "mysql" else "VARCHAR(16)"
    number = f"LPAD(CAST({first} + n.n AS {text}), 16, '0')"
    recording, task = f"({first} + n.n - 1) / {_PER_RECORDING}", f"MOD({first} + n.n - 1, {_PER_RECORDING})"
    whole = f"FLOOR({recording})" if database.backend == "mysql" else recording  # integers divide to integers there
    estimate = Estimate(
        frames=1000, height=480, width=640, seconds=60, memory_mib=1024, scratch_mib=1024, source="header"
    )
    limits = Limits(time_budget_s=600, memory_mib=1024, scratch_mib=1024, threads=1)
    plan = RunPlan(videos=(), svd=SvdParams(), limits=limits, estimate=estimate)
    digest = f"CONCAT('{'0' * 48}', {number})"
    run_id = f"CONCAT('svd-', {number})"
    key = (
        f"""CONCAT('{{"facemap_task_id":', {task}, ',"recording_id":', {whole} + 1, """
        """',"session_id":1,"subject":"m1"}')"""
    )
    values: dict[str, tuple[str, tuple[Any, ...]]] = {
        "run_id": (run_id, ()),
        "task": (key, ()),
        "task_digest": (digest, ()),
        "content_digest": (digest, ()),
        "param_digest": (digest, ()),
        "state": ("%s", (state.value,)),
        "wanted": ("%s", (Wanted.RUN.value,)),
        "attempt": ("1", ()),
        "priority": ("0", ()),
        "kind": ("%s", (Kind.SVD.value,)),
        "task_kind": ("%s", (Kind.SVD.value,)),
        "pipeline": ("%s", (pipeline,)),
        "output_dir": (f"CONCAT('s3://bucket/processed/m1/facemap_0/svd-', {number})", ()),
        "sentence": ("''", ()),
        "failures": ("'{}'", ()),
        "estimate": ("%s", (estimate.model_dump_json(),)),
        "profile": ("''", ()),
        "plan": ("%s", (plan.model_dump_json().encode(),)),
        "created": (database.dialect.now, ()),
        "updated": (database.dialect.now, ()),
    }
    _insert(database, ledger.run_table, values, tasks)
    bound: dict[str, tuple[str, tuple[Any, ...]]] = {
        "subject": ("'m1'", ()),
        "session_id": ("1", ()),
        "recording_id": (f"{whole} + 1", ()),
        "facemap_task_id": (task, ()),
        "since": (database.dialect.now, ()),
        "changed": ("0", ()),
        **{name: values[name] for name in ("task_digest", "param_digest", "run_id", "priority", "wanted", "sentence")},
        "state": ("%s", (BindingState.PLANNED.value,)),
    }
    bindings = ledger.binding_table(pipeline, Kind.SVD).name
    _insert(database, bindings, bound, tasks)
    verb = "ANALYZE" if database.backend == "postgresql" else "ANALYZE TABLE"
    for table in (ledger.run_table, bindings):
        database.connection.query(f"{verb} {table}")


def _insert(database: Database, table: str, values: dict[str, tuple[str, tuple[Any, ...]]], count: int) -> None:
    columns = ", ".join(map(database.identifier, values))
    chosen = ", ".join(sql for sql, _ in values.values())
    args = tuple(arg for _, some in values.values() for arg in some)
    database.execute(f"INSERT INTO {table} ({columns}) SELECT {chosen} FROM {_numbers(database, count)} n", args)
