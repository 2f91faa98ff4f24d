"""FacemapInference.populate() does what a DataJoint user expects."""

from __future__ import annotations

import os
import types
from signal import SIGKILL

import datajoint as dj
import pytest

from fmdj_cloud.contracts import FailureClass, Kind, RunState
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.explain import explain
from fmdj_cloud.control.inspect import observe_task
from fmdj_cloud.errors import BusyError, ConfigError, InputError, LoadError
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.populate import activate_inference
from tests.support.pose import signals

pytestmark = pytest.mark.integration


@pytest.fixture
def inference(world):
    return world.inference.FacemapInference


def test_points_are_computed_checked_and_inserted_by_one_call(world, inference):
    key = world.insert_pose_task()
    other = world.insert_task()
    assert inference.progress() == (1, 1)
    assert inference.populate() == {"success_count": 1, "error_list": []}
    assert (inference & key).fetch1("total_frame_count") == signals.NFRAMES
    assert len(inference.BodyPartPosition & key) == len(BODY_PARTS)
    (directory,) = (world.inference.FacemapInferenceTask & key).to_arrays("facemap_inference_output_dir")
    assert directory.startswith("m1/facemap_recordingid")
    assert "_model1/pose-" in directory
    assert world.run_of(key).state is RunState.LOADED
    (attempt,) = world.attempts(key)
    assert (attempt.launcher, attempt.outcome) == ("populate", "published")
    assert world.element.FacemapProcessing.progress() == (1, 1)
    assert not world.element.FacemapProcessing & other
    assert inference.get_trajectory(key, ["paw"]).shape == (signals.NFRAMES, 3)
    assert inference.populate() == {"success_count": 0, "error_list": []}


def test_the_model_goes_into_the_store_once(world, inference):
    for _ in range(2):
        world.insert_pose_task()
    assert inference.populate()["success_count"] == 2
    (model,) = world.store.list(f"{world.bucket}/processed/.fmdj/models/")
    assert world.store.get_bytes(model.uri, max_bytes=100) == b"weights"


def test_what_fails_raises_its_sentence_and_is_tried_again_when_asked(world, inference):
    world.workers.behave("exit 10", "publish")
    key = world.insert_pose_task()
    with pytest.raises(InputError, match=r"^Told to exit 10\.$"):
        inference.populate(key)
    run = world.run_of(key)
    assert (run.kind, run.task_kind, run.state) == (Kind.POSE, Kind.POSE, RunState.FAILED)
    assert inference.populate(key)["success_count"] == 1


def test_a_task_that_cannot_be_planned_is_refused_in_the_ledger(world, inference):
    bad, good = world.insert_pose_task(bbox=[5, 5, 0, 10]), world.insert_pose_task()
    done = inference.populate(suppress_errors=True)
    assert done["success_count"] == 1
    ((failed, message),) = done["error_list"]
    assert failed == bad
    assert "is empty" in message
    assert "is empty" in world.ledger.binding("lab", Kind.POSE, bad).sentence
    assert inference & good


def test_points_that_fail_their_checks_are_not_inserted(world, inference):
    key = world.insert_pose_task()
    fewer = world.workers.publishing(lambda path: signals.write(path, parts=BODY_PARTS[1:]))
    with fewer, pytest.raises(LoadError, match=r"eye\(back\) missing"):
        inference.populate(key)
    assert not inference & key
    assert (world.run_of(key).state, world.run_of(key).failure_class) == (RunState.FAILED, FailureClass.LOAD)


def test_deleted_results_are_inserted_again_without_computing(world, inference):
    key = world.insert_pose_task()
    inference.populate()
    (inference & key).delete(prompt=False)
    assert inference.populate()["success_count"] == 1
    assert len(inference.BodyPartPosition & key) == len(BODY_PARTS)
    assert len(world.workers.starts()) == 1


def test_several_processes_share_the_work(world, inference):
    keys = [world.insert_pose_task() for _ in range(2)]
    assert inference.populate(processes=2) == {"success_count": 2, "error_list": []}
    assert len({world.attempts(key)[0].job_uid for key in keys}) == 2


def test_a_populate_that_was_killed_can_be_called_again_at_once(world, inference, eventually):
    world.workers.behave("wait", "publish")
    key = world.insert_pose_task()
    pid = world.fork(lambda: inference.populate(key))
    eventually(world.workers.starts, "a worker")
    with pytest.raises(BusyError, match=rf"by populate\(\) in process {pid} on "):
        inference.populate(key)
    silent_s = world.settings.controller.populate_silent_s
    choice = Choice(world.lab, world.lab.tasks(Kind.POSE), key)
    told = explain(observe_task(choice, world.ledger, world.store, silent_s))
    assert told.why.startswith(f"populate() in process {pid} on ")
    os.kill(pid, SIGKILL)
    world.wait_for(pid)
    eventually(lambda: not world.workers.running(), "the end of the worker")
    assert inference.populate(key)["success_count"] == 1
    assert [attempt.outcome for attempt in world.attempts(key)] == ["disrupted", "published"]
    assert inference & key


def test_what_the_controller_computed_is_loaded_by_either(world, inference):
    first, second = world.insert_pose_task(), world.insert_pose_task()
    controller = world.controller()
    states = {RunState.PUBLISHED}
    world.pass_until(
        controller, lambda: {run.state for run in world.ledger.runs()} == states and len(world.workers.starts()) == 2
    )
    assert inference.populate(first)["success_count"] == 1
    assert [result.end.value for result in world.loader().run_pass()] == ["loaded"]
    assert len(inference & [first, second]) == 2


def test_tables_are_activated_on_the_labs_own_connection(world):
    database = world.connect()
    lab_schema = dj.Schema(f"{world.settings.database.prefix}lab", connection=database.connection)
    linked = types.ModuleType("lab")
    lab_schema.make_classes(linked.__dict__)
    schema = world.settings.pipelines[0].inference_schema
    inference = activate_inference(schema, linking_module=linked, settings=world.settings)
    assert inference.FacemapInference.connection is database.connection
    world.insert_pose_task(video=b"")
    with pytest.raises(InputError, match="is empty"):
        inference.FacemapInference.populate()


def test_a_schema_that_no_pipeline_has_is_refused(world):
    with pytest.raises(ConfigError, match="No pipeline in the settings has inference_schema 'elsewhere'"):
        activate_inference("elsewhere", linking_module=world.linked, settings=world.settings)
