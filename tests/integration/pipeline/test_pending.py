"""Which tasks are pending, and what a task says."""

from __future__ import annotations

import datetime as dt
import logging
import zlib

import numpy as np
import pytest
from datajoint import blob

from fmdj_cloud.contracts import Kind, RecordingInfo, RunState
from fmdj_cloud.errors import UsageError
from fmdj_cloud.names import canonical_key
from fmdj_cloud.settings import DatabaseSettings

from .conftest import World, failure

pytestmark = pytest.mark.integration


def test_tasks_of_both_modes_are_pending_in_the_order_of_their_keys(world: World) -> None:
    keys = [
        world.add_task(recording, task, {"subject": subject}, task_mode=mode)
        for subject, recording, task, mode in [
            ("m2", 1, 0, "trigger"),
            ("m1", 10, 0, "load"),
            ("m1", 9, 1, "trigger"),
            ("m1", 9, 0, "load"),
        ]
    ]
    assert world.tasks.pending(10) == [keys[3], keys[2], keys[1], keys[0]]
    assert world.tasks.pending(2) == [keys[3], keys[2]]
    assert world.tasks.count_pending() == 4


def test_more_urgent_tasks_come_first(world: World) -> None:
    first, second, third = (world.plan(world.task(world.add_task(n))) for n in (1, 2, 3))
    world.ledger.set_priority(first.run_id, 3)
    world.ledger.set_priority(third.run_id, -1)
    for run in (first, second, third):
        assert world.ledger.supersede(run.run_id, RunState.READY, 1, "edited")
    assert [key["recording_id"] for key in world.tasks.pending(10)] == [3, 2, 1]


def test_results_that_were_deleted_are_asked_for_again(world: World) -> None:
    run = world.loaded()
    binding = world.ledger.binding_of(run.run_id)
    assert binding is not None
    key = binding.key
    world.add_result(key)
    assert world.tasks.pending(10) == []
    (world.element.FacialSignal & key).delete(prompt=False)
    assert world.tasks.pending(10) == [key]
    assert world.tasks.has_result([key]) == set()


def test_processing_without_signal_is_pending(world: World) -> None:
    with_signal, without = world.add_task(1), world.add_task(2)
    world.add_result(with_signal)
    world.add_result(without, signal=False)
    assert world.tasks.pending(10) == [without]
    assert world.tasks.has_result([with_signal, without]) == {canonical_key(with_signal)}


@pytest.mark.parametrize(
    ("state", "pending"),
    [
        ("ready", False),
        ("launched", False),
        ("published", False),
        ("held", False),
        ("failed", False),
        ("cancelled", False),
        ("loaded", True),
        ("superseded", True),
    ],
)
def test_a_planned_task_is_pending_only_when_its_run_is_over(world: World, state: str, pending: bool) -> None:
    run = world.loaded() if state == "loaded" else world.planned()
    if state in ("launched", "published"):
        assert world.launch(run)
    ledger = world.ledger
    assert {
        "published": lambda: ledger.publish(run.run_id, 1, "a" * 64, epoch=None),
        "held": lambda: ledger.hold(run.run_id, run.state, 1),
        "failed": lambda: ledger.fail(run.run_id, run.state, 1, failure()),
        "cancelled": lambda: ledger.cancel(run.run_id, run.state, 1),
        "superseded": lambda: ledger.supersede(run.run_id, run.state, 1, "edited"),
    }.get(state, lambda: True)()
    assert world.now(run).state == state
    assert (world.tasks.count_pending() == 1) is pending


def test_thousands_of_tasks_take_one_query(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.add_recording(1)
    rows = [
        {"subject": "m1", "recording_id": 1, "facemap_task_id": n, "facemap_params": {}, "task_mode": "trigger"}
        for n in range(2000)
    ]
    world.element.FacemapTask.insert(rows)
    done = [{name: row[name] for name in ("subject", "recording_id", "facemap_task_id")} for row in rows[:500]]
    world.element.FacemapProcessing.insert(
        [{**key, "processing_time": dt.datetime(2026, 1, 1)} for key in done], allow_direct_insert=True
    )
    world.element.FacialSignal.insert(done, allow_direct_insert=True)
    world.ledger.refuse(world.task({**done[0], "facemap_task_id": 500}), failure("input"), epoch=None)
    with caplog.at_level(logging.DEBUG, logger="datajoint"):
        assert world.tasks.count_pending() == 1499
        keys = world.tasks.pending(5000)
        assert len(keys) == 1499
        assert len(_queries(caplog)) == 2
        caplog.clear()
        assert len(world.tasks.get_many(keys[:100])) == 100
        assert len(_queries(caplog)) == 3  # tasks, files, recordings
        caplog.clear()
        assert len(world.tasks.param_digests(keys)) == 1499
        assert len(_queries(caplog)) == 8


def _queries(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("Executing SQL")]


def test_a_task_comes_with_its_files_and_recording(world: World) -> None:
    params = {"sbin": 4, "rois": [{"rind": 1, "yrange": np.arange(3)}], "note": "é"}
    key = world.add_task(facemap_params=params, facemap_output_dir="x/y", do_mov_svd=True)
    recording = {name: key[name] for name in ("subject", "recording_id")}
    for file_id in (2, 0, 1):
        world.element.VideoFile.insert1({**recording, "file_id": file_id, "file_path": f"v {file_id}.avi"})
    assert world.tasks.recording_info(key) is None
    info = {"px_height": 240, "px_width": 320, "nframes": 1000, "fps": 30, "recording_duration": 33.3}
    world.element.RecordingInfo.insert1({**recording, **info}, allow_direct_insert=True)
    task = world.task(key)
    assert task.key == key
    assert (task.mode, task.output_dir, task.task_id) == ("trigger", "x/y", 0)
    assert (task.do_mot_svd, task.do_mov_svd, task.params_problem) == (True, True, "")
    assert task.files == ((0, "v 0.avi"), (1, "v 1.avi"), (2, "v 2.avi"))
    assert task.recording_info == RecordingInfo(height=240, width=320, nframes=1000, fps=30.0)
    assert task.recording_info == world.tasks.recording_info(key)
    assert task.params["sbin"] == 4
    np.testing.assert_array_equal(task.params["rois"][0]["yrange"], [0, 1, 2])


def test_a_deleted_task_is_none_and_has_no_digest(world: World) -> None:
    kept, deleted = world.add_task(1), world.add_task(2)
    (world.element.FacemapTask & deleted).delete(prompt=False)
    assert world.tasks.get(deleted) is None
    assert set(world.tasks.param_digests([kept, deleted])) == {canonical_key(kept)}
    assert [task.key for task in world.tasks.get_many([deleted, kept, kept])] == [kept]
    assert world.tasks.get_many([]) == []


@pytest.mark.parametrize(
    ("edit", "changes"),
    [
        ({"facemap_params": {"sbin": 8}}, True),
        ({"facemap_params": {"sbin": 4.0}}, True),
        ({"do_mot_svd": False}, True),
        ({"do_mov_svd": True}, True),
        ({"task_mode": "load"}, True),
        ({"facemap_params": {"sbin": 4}}, False),
        ({"facemap_output_dir": "elsewhere"}, False),
        ({"task_description": "for the paper"}, False),
    ],
)
def test_the_parameter_digest_sees_edits_of_what_is_computed(world: World, edit: dict, changes: bool) -> None:
    key = world.add_task()
    before = world.tasks.param_digests([key])[canonical_key(key)]
    assert before == world.task(key).param_digest
    world.element.FacemapTask.update1({**key, **edit})
    after = world.tasks.param_digests([key], lock=True)[canonical_key(key)]
    assert (after != before) is changes


@pytest.mark.parametrize("params", [[1, 2], "text", np.arange(3)])
def test_parameters_that_are_no_dict_are_a_problem_to_refuse(world: World, params: object) -> None:
    key = world.add_task(facemap_params=params)
    task = world.task(key)
    assert "not a dict" in task.params_problem
    assert "recording_id=1" in task.params_problem
    assert set(task.params) == {"(unreadable)"}
    world.ledger.refuse(task, failure("input", task.params_problem), epoch=None)
    world.element.FacemapTask.update1({**key, "facemap_params": {}})
    assert world.task(key).param_digest != task.param_digest


def test_a_damaged_blob_stops_no_other_task(world: World) -> None:
    key, other = world.add_task(1), world.add_task(2)
    table = world.element.FacemapTask.full_table_name
    world.database.execute(f"UPDATE {table} SET facemap_params = %s WHERE recording_id = 1", (b"ZL123\0damaged",))
    damaged, sound = world.tasks.get_many([key, other])
    assert "can't be read" in damaged.params_problem
    assert sound.params == {"sbin": 4}
    before = world.tasks.param_digests([key])
    world.database.execute(f"UPDATE {table} SET facemap_params = %s WHERE recording_id = 1", (b"ZL123\0otherwise",))
    assert world.tasks.param_digests([key]) != before


@pytest.mark.parametrize(
    "packed",
    [
        blob.pack({"sbin": 1 << 20_000}),
        blob.pack({1 << 20_000: 4}),
        b"ZL123\0" + (1 << 40).to_bytes(8, "little") + zlib.compress(b"dj0\0" + b"\0" * 1000),
    ],
    ids=["number", "name", "bomb"],
)
def test_a_hostile_blob_stops_no_other_task(world: World, packed: bytes) -> None:
    key, other = world.add_task(1), world.add_task(2)
    table = world.element.FacemapTask.full_table_name
    world.database.execute(f"UPDATE {table} SET facemap_params = %s WHERE recording_id = 1", (packed,))
    hostile, sound = world.tasks.get_many([key, other])
    assert "can't be read" in hostile.params_problem
    assert len(hostile.params_problem) < 300
    assert sound.params == {"sbin": 4}
    assert len(world.tasks.param_digests([key, other])) == 2


SESSIONS = {
    "int": ("session_id : int32", {"session_id": 7}),
    "string": ("subject : varchar(32)", {"subject": "mouse ü '%s' \"q\" 100%"}),
    "date": ("session_date : date", {"session_date": dt.date(2026, 1, 31)}),
    "datetime": ("session_datetime : datetime", {"session_datetime": dt.datetime(2026, 1, 31, 9, 30)}),
    "microseconds": ("at : datetime(6)", {"at": dt.datetime(2026, 1, 31, 9, 30, 0, 123456)}),
    "uuid as char": ("session_uuid : char(36)", {"session_uuid": "9f1b3f1e-0000-4000-8000-0123456789ab"}),
    "bool": ("control : bool", {"control": True}),
    "decimal": ("depth : decimal(6, 2)", {"depth": "12.50"}),
    "several": (
        "subject : varchar(8)\nsession : int16\nday : date",
        {"subject": "a", "session": 1, "day": "2026-01-31"},
    ),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_any_session_key_goes_all_the_way(make_world, name: str) -> None:
    definition, session = SESSIONS[name]
    world = make_world(definition)
    key = world.add_task(session=session)
    (pending,) = world.tasks.pending(10)
    assert world.tasks.select(key) == [pending] == world.tasks.select({}) == world.tasks.select("recording_id = 1")
    run = world.plan(world.task(pending))
    assert run.task == canonical_key(pending)
    binding = world.ledger.binding("lab", Kind.SVD, pending)
    assert binding is not None
    assert binding.key == pending
    assert world.tasks.pending(10) == []
    assert set(world.tasks.param_digests([binding.key])) == {run.task}
    world.add_result(pending)
    assert world.tasks.has_result([binding.key]) == {run.task}


def test_selecting_by_what_is_not_there_is_an_error_not_everything(world: World) -> None:
    world.add_task()
    with pytest.raises(UsageError, match="subjct"):
        world.tasks.select({"subjct": "m1"})
    with pytest.raises(UsageError, match="doesn't fit"):
        world.tasks.select({"recording_id": "one"})
    with pytest.raises(UsageError, match="doesn't fit"):
        world.tasks.select("no_such_column = 1")
    assert world.tasks.select({"subject": "m9"}) == []
    assert len(world.tasks.select({"subject": "m1"})) == 1
    assert len(world.tasks.select("facemap_task_id >= 0")) == 1


def test_two_pipelines_share_a_ledger(world: World, database_settings: DatabaseSettings) -> None:
    key = world.add_task()
    for name in ("lab_1", "lab1"):  # one class name in CamelCase
        world.ledger.attach(name, Kind.SVD, world.element.FacemapTask)
    task = world.task(key).model_copy(update={"pipeline": "lab_1"})
    world.ledger.refuse(task, failure("input"), epoch=None)
    assert len(world.ledger.bindings("lab_1", Kind.SVD)) == 1
    assert world.ledger.bindings("lab1", Kind.SVD) == world.ledger.bindings("lab", Kind.SVD) == []
