"""Planning a task, planning it again, and what is known of tasks without a run."""

from __future__ import annotations

import datetime as dt
import time

import pytest

from fmdj_cloud.contracts import BindingState, Kind, Outcome, RunState, Wanted
from fmdj_cloud.errors import ConfigError, LostRaceError
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.ledger import Ledger

from .conftest import LIMITS, PLAN, SHA, World, failure

pytestmark = pytest.mark.integration


def test_planning_twice_changes_nothing(world: World) -> None:
    task = world.task(world.add_task())
    run = world.plan(task)
    binding = world.ledger.binding("lab", Kind.SVD, task.key)
    assert world.plan(task) == run
    assert world.ledger.binding("lab", Kind.SVD, task.key) == binding
    assert world.launch(run)
    assert world.plan(task).state is RunState.LAUNCHED


@pytest.mark.parametrize("name", ["held", "failed", "cancelled"])
def test_planning_leaves_a_run_alone_that_nobody_asked_for_again(world: World, name: str) -> None:
    run = world.planned()
    if name == "held":
        assert world.ledger.hold(run.run_id, run.state, 1)
    elif name == "failed":
        assert world.ledger.fail(run.run_id, run.state, 1, failure())
    else:
        assert world.ledger.cancel(run.run_id, run.state, 1)
    before = world.now(run)
    binding = world.ledger.binding_of(run.run_id)
    assert binding is not None
    assert world.plan(world.task(binding.key)) == before


def test_a_loaded_run_asked_for_again_is_loaded_again_if_its_manifest_verifies(world: World) -> None:
    run = world.loaded()
    asked: list[tuple[str, int, str]] = []
    binding = world.ledger.binding_of(run.run_id)
    assert binding is not None

    def verifies(folder: str, attempt: int, sha256: str) -> bool:
        assert not world.database.connection.in_transaction  # it asks the object store
        asked.append((folder, attempt, sha256))
        return True

    again = world.plan(world.task(binding.key), manifest_verifies=verifies)
    assert asked == [(run.output_dir, 1, SHA)]
    assert (again.state, again.attempt, again.manifest_sha256) == (RunState.PUBLISHED, 1, SHA)
    assert world.ledger.mark_loaded(run.run_id, 1, SHA)


@pytest.mark.parametrize("state", ["loaded", "superseded"])
def test_a_run_whose_outputs_are_gone_is_computed_anew(world: World, state: str) -> None:
    run = world.loaded()
    if state == "superseded":
        assert world.ledger.supersede(run.run_id, run.state, 1, "edited")
    binding = world.ledger.binding_of(run.run_id)
    assert binding is not None
    again = world.plan(world.task(binding.key))
    assert (again.state, again.attempt, again.manifest_sha256) == (RunState.READY, 2, None)
    assert (again.failures, again.failure_class, again.sentence) == ({}, None, "")
    assert [a.attempt for a in world.ledger.attempts(run.run_id)] == [1]
    assert world.launch(again)


def test_a_superseded_run_that_never_published_asks_nothing_of_the_store(world: World) -> None:
    run = world.launched()
    assert world.ledger.supersede(run.run_id, run.state, 1, "edited")
    binding = world.ledger.binding_of(run.run_id)
    assert binding is not None

    def never(*_: object) -> bool:
        raise AssertionError("there is no manifest to verify")

    assert world.plan(world.task(binding.key), manifest_verifies=never).attempt == 2


def test_editing_and_editing_back_revives_the_first_run(world: World) -> None:
    key = world.add_task()
    first = world.plan(world.task(key), content="first")
    assert world.ledger.fail(first.run_id, first.state, 1, failure("input"))
    assert world.ledger.supersede(first.run_id, RunState.FAILED, 1, "edited")
    second = world.plan(world.task(key), content="second")
    assert second.run_id != first.run_id
    assert world.ledger.supersede(second.run_id, second.state, 1, "edited back")
    revived = world.plan(world.task(key), content="first")
    assert (revived.run_id, revived.state, revived.attempt) == (first.run_id, RunState.READY, 2)
    binding = world.ledger.binding("lab", Kind.SVD, key)
    assert binding is not None
    assert binding.run_id == first.run_id


def test_a_failed_run_starts_anew_once_its_task_was_forgotten(world: World) -> None:
    key = world.add_task()
    run = world.plan(world.task(key))
    assert not world.ledger.forget("lab", Kind.SVD, key, epoch=None)  # it is under way
    assert world.ledger.fail(run.run_id, run.state, 1, failure())
    assert world.tasks.pending(10) == []
    assert world.ledger.forget("lab", Kind.SVD, key, epoch=None)
    assert world.tasks.pending(10) == [key]
    again = world.plan(world.task(key))
    assert (again.run_id, again.state, again.attempt) == (run.run_id, RunState.READY, 2)


def test_a_task_has_one_run_under_way_at_a_time(world: World) -> None:
    key = world.add_task()
    run = world.plan(world.task(key), content="first")
    with pytest.raises(LostRaceError, match=run.run_id):
        world.plan(world.task(key), content="second")
    assert len(world.ledger.runs()) == 1


def test_a_stale_controller_plans_waits_refuses_and_forgets_nothing(world: World) -> None:
    epoch = world.ledger.acquire("me", 100)
    assert epoch is not None
    task = world.task(world.add_task())
    stale = epoch - 1
    with pytest.raises(LostRaceError, match="Leadership"):
        world.plan(task, epoch=stale)
    with pytest.raises(LostRaceError, match="Leadership"):
        world.ledger.wait(task, "video", 1.0, epoch=stale)
    with pytest.raises(LostRaceError, match="Leadership"):
        world.ledger.refuse(task, failure("input"), epoch=stale)
    with pytest.raises(LostRaceError, match="Leadership"):
        world.ledger.hold_task(task, "why", epoch=stale)
    assert world.ledger.binding("lab", Kind.SVD, task.key) is None
    assert world.ledger.runs() == []
    world.plan(task, epoch=epoch)
    with pytest.raises(LostRaceError, match="Leadership"):
        world.ledger.forget("lab", Kind.SVD, task.key, epoch=stale)


def test_a_waiting_task_is_due_by_the_databases_clock(world: World) -> None:
    key = world.add_task()
    task = world.task(key)
    world.ledger.wait(task, "eye.avi is not in the bucket yet.", 0.4, epoch=None)
    first = world.ledger.binding("lab", Kind.SVD, key)
    assert first is not None
    assert (first.state, first.sentence) == (BindingState.WAITING, "eye.avi is not in the bucket yet.")
    assert world.tasks.pending(10) == []
    time.sleep(0.5)
    assert world.tasks.pending(10) == [key]
    world.ledger.wait(task, "still not", world.database.now() + dt.timedelta(hours=1), epoch=None)
    second = world.ledger.binding("lab", Kind.SVD, key)
    assert second is not None
    assert second.since == first.since  # the wait began then
    assert second.next_look is not None
    assert second.next_look > world.database.now()
    assert world.tasks.count_pending() == 0
    run = world.plan(task)  # a person may ask at once
    binding = world.ledger.binding_of(run.run_id)
    assert binding is not None
    assert (binding.state, binding.sentence, binding.next_look) == (BindingState.PLANNED, "", None)


def test_a_refused_task_says_why_and_is_not_pending(world: World) -> None:
    key = world.add_task()
    outcome = Outcome(failure_class="input", sentence="sbin=0 is not positive.")
    for _ in range(2):
        world.ledger.refuse(world.task(key), outcome, epoch=None)
    (binding,) = world.ledger.bindings("lab", Kind.SVD, {BindingState.REFUSED})
    assert (binding.key, binding.failure_class, binding.sentence) == (key, "input", "sbin=0 is not positive.")
    assert world.tasks.pending(10) == []
    assert world.ledger.forget("lab", Kind.SVD, key, epoch=None)
    assert world.tasks.pending(10) == [key]


def test_a_held_task_is_not_pending_until_it_is_let_go(world: World) -> None:
    key = world.add_task()
    world.ledger.hold_task(world.task(key), "m1 wants to look first.", epoch=None)
    binding = world.ledger.binding("lab", Kind.SVD, key)
    assert binding is not None
    assert (binding.state, binding.wanted) == (BindingState.HELD, Wanted.HOLD)
    assert world.tasks.pending(10) == []
    assert world.ledger.forget("lab", Kind.SVD, key, epoch=None)
    assert not world.ledger.forget("lab", Kind.SVD, key, epoch=None)


def test_a_task_with_a_run_under_way_neither_waits_nor_is_refused(world: World) -> None:
    run = world.planned()
    binding = world.ledger.binding_of(run.run_id)
    assert binding is not None
    task = world.task(binding.key)
    with pytest.raises(LostRaceError, match="under way"):
        world.ledger.wait(task, "video", 1.0, epoch=None)
    with pytest.raises(LostRaceError, match="under way"):
        world.ledger.refuse(task, failure("input"), epoch=None)
    assert world.ledger.binding_of(run.run_id) == binding
    assert world.ledger.supersede(run.run_id, run.state, 1, "a video was replaced")
    world.ledger.wait(task, "the new video", 1.0, epoch=None)


def test_an_import_run_hangs_on_the_same_binding(world: World) -> None:
    task = world.task(world.add_task(task_mode="load"))
    run_id = "import-" + "0" * 16
    run = world.ledger.plan(task, run_id, "c", PLAN, "s3://p/x", manifest_verifies=lambda *_: False, epoch=None)
    assert run.kind is Kind.IMPORT
    assert world.ledger.binding_of(run_id) is not None
    assert world.tasks.pending(10) == []


def test_a_pipeline_that_is_not_attached_is_named(world: World) -> None:
    with pytest.raises(ConfigError, match="other"):
        world.ledger.binding("other", Kind.SVD, {})


def test_a_second_connection_opens_the_ledger_as_it_is(world: World, connect) -> None:
    run = world.planned()
    other = Ledger(connect())
    other.attach("lab", Kind.SVD, world.element.FacemapTask)
    assert other.run(run.run_id) == run
    assert other.attempt(run.run_id, 1) is None
    assert other.plan_of(run.run_id).limits == LIMITS
    assert canonical_key(world.task(other.binding_of(run.run_id).key).key) == run.task
