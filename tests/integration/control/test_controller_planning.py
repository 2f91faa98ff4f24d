"""Planning in the loop: waiting, refusing, the first-start brake, and stores that don't answer."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import BindingState, FailureClass, Kind, RunState
from fmdj_cloud.control import settle
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.explain import explain
from fmdj_cloud.control.inspect import observe_task
from fmdj_cloud.errors import ConfigError, StorageError

pytestmark = pytest.mark.integration


def binding(world, key):
    return world.ledger.binding("lab", Kind.SVD, key)


def test_a_missing_video_is_waited_for(world):
    controller = world.controller(world.with_controller(inputs_look_s=0.05))
    key = world.insert_task(upload=False)
    assert controller.run_pass().waiting == 1
    found = binding(world, key)
    assert found.state is BindingState.WAITING
    assert f"m1/cam{key['recording_id']}.avi" in found.sentence
    world.upload(key["recording_id"])
    world.pass_until(controller, lambda: binding(world, key).state is BindingState.PLANNED)


def test_waiting_ends_after_its_time(world):
    controller = world.controller(world.with_controller(inputs_look_s=0.05, inputs_wait_h=0.5 / 3600))
    key = world.insert_task(upload=False)
    world.pass_until(controller, lambda: binding(world, key).state is BindingState.REFUSED)
    found = binding(world, key)
    assert found.failure_class is FailureClass.INPUT
    assert "waited for" in found.sentence
    assert world.lab.tasks(Kind.SVD).count_pending() == 0


def test_a_wrong_parameter_is_refused_until_the_task_is_edited(world):
    controller = world.controller()
    key = world.insert_task(facemap_params={"spatial_bin": 4})
    other = world.insert_task()
    report = controller.run_pass()
    assert (report.refused, report.planned) == (1, 1)
    assert "spatial_bin" in binding(world, key).sentence
    assert world.run_of(other).state in (RunState.LAUNCHED, RunState.PUBLISHED)
    assert controller.run_pass().refused == 0
    world.edit_task(key, facemap_params={"sbin": 4})
    world.pass_until(controller, lambda: binding(world, key).state is BindingState.PLANNED)


def test_an_import_waits_for_its_output(world):
    key = world.insert_task(task_mode="load")
    world.controller().run_pass()
    found = binding(world, key)
    assert found.state is BindingState.WAITING
    assert "There is no Facemap output for the task" in found.sentence


def test_many_tasks_at_first_sight_are_held_until_released(world, caplog):
    keys = [world.insert_task() for _ in range(3)]
    controller = world.controller(world.with_controller(first_start_limit=2))
    assert controller.run_pass().planned == 0
    for _ in range(2):
        caplog.clear()
        assert controller.drain(5)
        assert "Pipeline lab is held by the first-start brake" in caplog.text
    assert world.ledger.release("lab")
    assert controller.run_pass().planned == 3
    assert {world.run_of(key).pipeline for key in keys} == {"lab"}


def test_a_store_that_does_not_answer_refuses_nobody(world, monkeypatch):
    controller = world.controller(world.with_controller(inputs_look_s=0.05, inputs_wait_h=1e-9))
    key = world.insert_task()

    def fail(uri, **_):
        raise StorageError("The store is down.")

    with monkeypatch.context() as down:
        down.setattr(world.store, "head", fail)
        assert controller.run_pass().waiting == 1
        assert binding(world, key).sentence == "The store is down."
    world.pass_until(controller, lambda: binding(world, key).state is BindingState.PLANNED)


def test_a_bug_in_planning_one_task_stops_no_other(world, monkeypatch):
    bad, good = world.insert_task(), world.insert_task()
    from fmdj_cloud.control import drafts

    plan_task = drafts.plan_task

    def plan(task, *args, **options):
        if task.key == bad:
            raise ZeroDivisionError("by chance")
        return plan_task(task, *args, **options)

    monkeypatch.setattr(drafts, "plan_task", plan)
    report = world.controller().run_pass()
    assert (report.refused, report.planned) == (1, 1)
    assert binding(world, bad).failure_class is FailureClass.CRASH
    assert "ZeroDivisionError" in binding(world, bad).sentence
    assert binding(world, good).state is BindingState.PLANNED


def test_a_task_whose_row_cannot_be_read_is_refused_until_it_is_edited(world, monkeypatch):
    world.insert_task()
    controller = world.controller()
    assert controller.run_pass().planned == 1
    (tasks,) = [lab.tasks(Kind.SVD) for lab in controller._labs.values()]
    bad, get = world.insert_task(), tasks.get

    def fail(key):
        if key == bad:
            raise ZeroDivisionError("by chance")
        return get(key)

    with monkeypatch.context() as broken:
        broken.setattr(tasks, "get", fail)
        assert controller.run_pass().refused == 1
        assert controller.drain(30)
    choice = Choice(world.lab, world.lab.tasks(Kind.SVD), bad)
    told = explain(observe_task(choice, world.ledger, world.store, silent_s=300))
    assert told.state == "refused"
    assert "The task can't be read (ZeroDivisionError: by chance)" in told.why
    world.edit_task(bad, facemap_params={"sbin": 8})
    world.pass_until(controller, lambda: binding(world, bad).state is BindingState.PLANNED)


def test_an_edited_task_that_was_refused_keeps_its_priority(world):
    controller = world.controller()
    key = world.insert_task(facemap_params={"spatial_bin": 4})
    world.ledger.set_task_priority(world.lab.tasks(Kind.SVD).get(key), -5)
    assert controller.run_pass().refused == 1
    world.edit_task(key, facemap_params={"sbin": 4})
    world.pass_until(controller, lambda: binding(world, key).state is BindingState.PLANNED)
    assert binding(world, key).priority == world.run_of(key).priority == -5


def test_a_refused_task_that_was_deleted_is_forgotten(world):
    controller = world.controller()
    key = world.insert_task(facemap_params={"spatial_bin": 4})
    assert controller.run_pass().refused == 1
    (world.lab.element.FacemapTask & key).delete(prompt=False)
    world.pass_until(controller, lambda: binding(world, key) is None)


@pytest.fixture
def broken(world):
    """The settings with a pipeline that can't be opened before the one that can."""
    pipeline = world.settings.pipelines[0].model_copy(update={"name": "broken", "behavior_schema": "nowhere"})
    return world.settings.model_copy(update={"pipelines": (pipeline, *world.settings.pipelines)})


def test_drain_ends_if_no_pipeline_can_be_opened(world, broken):
    nothing = broken.model_copy(update={"pipelines": broken.pipelines[:1]})
    with pytest.raises(ConfigError, match="nowhere"):
        world.controller(nothing).drain(30)


def test_drain_finishes_the_pipelines_that_can_be_opened(world, broken, monkeypatch, caplog):
    monkeypatch.setattr(settle, "_STANDSTILL_S", 0.5)
    key = world.insert_task()
    assert not world.controller(broken).drain(30)
    assert world.run_of(key).state is RunState.PUBLISHED
    assert caplog.text.count("Pipeline broken can't be opened") == 1


def test_drain_ends_if_one_thing_fails_for_ever(world, monkeypatch, caplog):
    monkeypatch.setattr(settle, "_STANDSTILL_S", 0.5)
    controller, key = world.controller(), world.insert_task()

    def fail(request):
        raise StorageError("It never works.")

    monkeypatch.setattr(controller._actor._launcher, "create", fail)
    assert not controller.drain(30)
    assert world.run_of(key).state is RunState.LAUNCHED
    assert caplog.text.count("It never works.") <= 2  # of the launch, of the creation


def test_a_pipeline_that_cannot_be_opened_stops_no_other(world, broken):
    key = world.insert_task()
    report = world.controller(broken).run_pass()
    assert report.planned == 1
    assert "broken" in report.errors[0]
    assert world.run_of(key).pipeline == "lab"


def test_the_recordings_info_is_used_where_there_is_one(world):
    key = world.insert_task()
    recording = {name: key[name] for name in ("subject", "session_id", "recording_id")}
    info = {"px_height": 480, "px_width": 640, "nframes": 1234, "fps": 30, "recording_duration": 41.1}
    world.lab.element.RecordingInfo.insert1(recording | info, allow_direct_insert=True, ignore_extra_fields=True)
    world.controller().run_pass()
    estimate = world.run_of(key).estimate
    assert (estimate.frames, estimate.height, estimate.source) == (1234, 480, "RecordingInfo")
