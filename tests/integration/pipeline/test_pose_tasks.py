"""Tasks of pose inference: what each one says, which are pending, and their place in the ledger."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import BindingState, Kind, Overrides, RecordingInfo, RunState
from fmdj_cloud.errors import ConfigError, UsageError
from fmdj_cloud.names import canonical_key, run_id, task_digest
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.survey import Surveyor

from .conftest import PLAN, SHA, WEIGHTS, Poses, failure

pytestmark = pytest.mark.integration


def test_a_task_comes_with_its_model_files_and_recording(poses: Poses) -> None:
    key = poses.add_task(1, bbox=np.array([0, 10, 5, 20]), task_description="for people")
    recording = {"subject": "m1", "recording_id": 1}
    element = poses.world.element
    element.VideoFile.insert({**recording, "file_id": n, "file_path": f"m1/{n}.avi"} for n in (1, 0))
    info = {"px_height": 4, "px_width": 6, "nframes": 9, "fps": 30, "recording_duration": 0.3}
    element.RecordingInfo.insert1({**recording, **info}, allow_direct_insert=True)
    task = poses.task(key)
    assert (task.kind, task.table, task.key, task.task_id) == (Kind.POSE, "FacemapInferenceTask", key, 7)
    assert task.task_digest == task_digest("lab", "FacemapInferenceTask", key)
    assert (task.mode, task.output_dir, task.params, task.params_problem) == ("trigger", "", {}, "")
    np.testing.assert_array_equal(task.bbox, [0, 10, 5, 20])
    assert task.files == ((0, "m1/0.avi"), (1, "m1/1.avi"))
    assert task.recording_info == RecordingInfo(height=4, width=6, nframes=9, fps=30.0)
    assert task.model is not None
    assert (task.model.key, task.model.body_parts) == ({"model_id": 7}, ("mouth", "paw"))
    assert task.model.files[0].sha256 == hashlib.sha256(WEIGHTS).hexdigest()


def update(poses: Poses, key: dict[str, Any], **columns: Any) -> None:
    poses.inference.FacemapInferenceTask.update1(key | columns)


@pytest.mark.parametrize(
    ("what", "counts"),
    [
        ("bbox", True),
        ("task_mode", True),
        ("weights", True),
        ("body parts", True),
        ("facemap_inference_output_dir", False),
        ("task_description", False),
        ("model_name", False),
    ],
)
def test_the_parameter_digest_covers_what_is_wanted(poses: Poses, what: str, counts: bool) -> None:
    key = poses.add_task(bbox=[0, 10, 0, 20])
    before = poses.tasks.param_digests([key])
    assert before == {canonical_key(key): poses.task(key).param_digest}
    tables = poses.inference
    if what == "weights":
        sql = f"UPDATE {tables.ModelFile.full_table_name} SET model_file = %s"
        poses.world.database.execute(sql, (b"net.pt\0other weights",))
    elif what == "body parts":
        tables.ModelBodyPart.insert1({"model_id": 7, "body_part": "lowerlip"})
    elif what == "model_name":
        tables.FacemapModel.update1({"model_id": 7, "model_name": "other"})
    else:
        update(poses, key, **{what: {"bbox": [0, 10, 0, 21], "task_mode": "load"}.get(what, "other")})
    assert (poses.tasks.param_digests([key], lock=True) != before) is counts


def test_a_box_that_can_t_be_read_stops_no_other_task(poses: Poses) -> None:
    bad, good = poses.add_task(1), poses.add_task(2, bbox=[0, 1, 0, 1])
    table = poses.inference.FacemapInferenceTask.full_table_name
    sql = f"UPDATE {table} SET bbox = %s WHERE recording_id = 1"
    poses.world.database.execute(sql, (b"mYm\0damaged",))
    found = {task.key["recording_id"]: task for task in poses.tasks.get_many([bad, good])}
    assert "bbox can't be read" in found[1].params_problem
    assert "insert the task subject=m1 recording_id=1 model_id=7 again" in found[1].params_problem
    assert (found[2].params_problem, list(found[2].bbox)) == ("", [0, 1, 0, 1])
    before = poses.tasks.param_digests([bad])
    poses.world.database.execute(sql, (b"mYm\0otherwise",))
    assert poses.tasks.param_digests([bad]) != before


def test_both_task_tables_are_served_in_turn_and_by_priority(poses: Poses) -> None:
    svd = [poses.world.add_task(number) for number in (1, 2, 3)]
    pose = [poses.add_task(number) for number in (1, 2, 3)]
    lab = poses.lab
    assert lab.kinds == {Kind.SVD, Kind.POSE}
    assert [tasks.kind for tasks, _ in lab.pending(4)] == [Kind.SVD, Kind.POSE, Kind.SVD, Kind.POSE]
    assert [key for _, key in lab.pending(10)] == [svd[0], pose[0], svd[1], pose[1], svd[2], pose[2]]
    assert [key for _, key in lab.pending(10, {Kind.POSE})] == pose
    poses.world.ledger.set_task_priority(poses.task(pose[2]), -1)
    assert [key for _, key in lab.pending(3)] == [pose[2], svd[0], pose[0]]
    assert lab.count_pending() == 6


def test_a_result_of_one_table_is_none_of_the_other(poses: Poses) -> None:
    svd, pose = poses.world.add_task(1), poses.add_task(1)
    poses.add_result(pose)
    assert poses.tasks.has_result([pose]) == {canonical_key(pose)}
    assert [key for _, key in poses.lab.pending(10)] == [svd]
    (poses.inference.FacemapInference & pose).delete(prompt=False)
    assert poses.tasks.pending(10) == [pose]


def test_a_run_knows_its_task_table_through_its_whole_life(poses: Poses) -> None:
    ledger, key = poses.world.ledger, poses.add_task()
    task = poses.task(key)
    run = poses.world.plan(task)
    assert (run.kind, run.task_kind, run.task_digest) == (Kind.POSE, Kind.POSE, task.task_digest)
    assert poses.lab.tasks_of(run) is poses.tasks
    assert poses.lab.has(run)
    binding = ledger.binding("lab", Kind.POSE, key)
    assert binding is not None
    assert (binding.kind, binding.state, binding.run_id) == (Kind.POSE, BindingState.PLANNED, run.run_id)
    assert poses.tasks.pending(10) == []
    assert poses.world.launch(run)
    assert ledger.publish(run.run_id, 1, SHA, epoch=None)
    assert ledger.mark_loaded(run.run_id, 1, SHA)
    assert ledger.binding_of(run.run_id) == ledger.binding("lab", Kind.POSE, key)
    assert poses.tasks.pending(10) == [key]  # it has no rows: they were deleted


def test_outputs_are_imported_for_either_table(poses: Poses) -> None:
    key, other = poses.add_task(task_mode="load"), poses.world.add_task(task_mode="load")
    runs = []
    for task in (poses.task(key), poses.world.task(other)):
        runs.append(poses.world.plan(task, run_id=run_id(Kind.IMPORT, task.task_digest, "c")))
    assert [(run.kind, run.task_kind) for run in runs] == [(Kind.IMPORT, Kind.POSE), (Kind.IMPORT, Kind.SVD)]
    assert [poses.lab.tasks_of(run).name for run in runs] == ["FacemapInferenceTask", "FacemapTask"]


def test_a_run_of_a_table_that_the_pipeline_has_no_more_is_told(poses: Poses) -> None:
    run = poses.world.plan(poses.task(poses.add_task()))
    settings = poses.lab.settings.model_copy(update={"inference_schema": None})
    lab = dataclasses.replace(poses.lab, settings=settings, inference=None, tables=poses.lab.tables[:1])
    assert not lab.has(run)
    with pytest.raises(ConfigError, match="no pose tasks"):
        lab.tasks_of(run)


def test_what_people_say_of_a_task_holds_for_its_table_alone(poses: Poses) -> None:
    ledger = poses.world.ledger
    svd, pose = poses.world.task(poses.world.add_task()), poses.task(poses.add_task())
    ledger.hold_task(pose, "Held.", epoch=None)
    assert [key for _, key in poses.lab.pending(10)] == [svd.key]
    ledger.refuse(svd, failure("input"), epoch=None)
    assert poses.lab.pending(10) == []
    assert [one.kind for one in ledger.bindings("lab", Kind.POSE)] == [Kind.POSE]
    assert ledger.forget("lab", Kind.POSE, pose.key, epoch=None)
    assert [key for _, key in poses.lab.pending(10)] == [pose.key]


def test_a_lost_run_is_put_back_with_its_table(poses: Poses) -> None:
    ledger, task = poses.world.ledger, poses.task(poses.add_task())
    run = poses.world.plan(task)
    epoch = ledger.acquire("recover", 60)
    assert epoch is not None
    ledger.restore(task, run, PLAN, [], epoch=epoch)
    found = poses.world.now(run)
    assert (found.task_kind, found.state) == (Kind.POSE, RunState.READY)


def test_a_facemaprun_may_own_tasks_of_both_tables(poses: Poses) -> None:
    ledger: Ledger = poses.world.ledger
    svd, pose = poses.world.task(poses.world.add_task()), poses.task(poses.add_task())
    for task in (svd, pose):
        ledger.claim_tasks(
            "lab",
            task.kind,
            [(task.key, task.task_digest, task.param_digest)],
            owner="uid",
            owner_name="both",
            overrides=Overrides(priority=-3),
            held=False,
            epoch=None,
        )
    assert {claim.kind for claim in ledger.claims()} == {Kind.SVD, Kind.POSE}
    assert [priority for priority, _ in poses.tasks.pending_by_priority(10)] == [-3]
    ledger.drop_claims(ledger.claims(), forget=True, epoch=None)
    assert ledger.bindings("lab", Kind.POSE) == [] == ledger.bindings("lab", Kind.SVD)


def test_a_restriction_selects_tasks_of_the_table_that_it_fits(poses: Poses) -> None:
    first, second = poses.add_task(1), poses.add_task(2, model=8, task_mode="load")
    tasks = poses.tasks
    assert tasks.select({"model_id": 8}) == [second] == tasks.select("model_id = 8")
    assert tasks.select({}) == [first, second]
    with pytest.raises(UsageError, match="FacemapInferenceTask has no attribute 'facemap_task_id'"):
        tasks.select({"facemap_task_id": 0})
    surveyor = Surveyor(poses.world.database, tasks, poses.world.ledger, "lab")
    assert [surveyor.knows(kind) for kind in (Kind.POSE, Kind.IMPORT, Kind.SVD)] == [True, True, False]
    (found,) = surveyor.look(Kind.POSE, surveyor.condition("model_id >= 7", ()))
    assert (found.key, found.kind, found.task_digest) == (first, Kind.POSE, tasks.digest(first))
    assert [one.key for one in surveyor.look(Kind.IMPORT, surveyor.condition("", ()))] == [second]
    with pytest.raises(ConfigError, match="FacemapInferenceTask has no svd tasks"):
        surveyor.look(Kind.SVD, surveyor.condition("", ()))
