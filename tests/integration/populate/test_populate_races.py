"""populate() beside a controller, a loader and other populates: a task is computed by one of them."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from fmdj_cloud.contracts import Kind, RunState, Wanted
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.explain import explain
from fmdj_cloud.control.inspect import observe_task
from fmdj_cloud.errors import BusyError, StoppedError
from fmdj_cloud.pipeline.silence import silenced

pytestmark = pytest.mark.integration


@pytest.fixture
def child(world, eventually):
    """Populates in a process of its own, whose worker waits; returns its pid."""
    world.workers.behave("wait", "publish")

    def start(key):
        pid = world.fork(lambda: world.element.FacemapProcessing.populate(key))
        eventually(world.workers.starts, "a worker")
        return pid

    return start


def test_what_the_controller_computes_is_left_to_it(world):
    world.workers.behave("wait")
    key = world.insert_task()
    controller = world.controller()
    world.pass_until(controller, world.workers.starts)
    with pytest.raises(BusyError, match="by the controller's worker"):
        world.element.FacemapProcessing.populate(key)
    world.workers.release()
    world.pass_until(controller, lambda: world.run_of(key).state is RunState.PUBLISHED)
    assert world.element.FacemapProcessing.populate(key)["success_count"] == 1
    assert len(world.workers.starts()) == 1


def test_what_populate_computes_is_left_to_it(world, child):
    key = world.insert_task()
    pid = child(key)
    controller = world.controller()
    for _ in range(3):
        report = controller.run_pass()
    assert (report.leading, report.launched) == (True, 0)
    other = world.insert_task()  # what populate has in hand takes none of the controller's places
    world.pass_until(controller, lambda: len(world.workers.starts()) == 2)
    world.workers.release()
    assert world.wait_for(pid) == 0
    world.pass_until(controller, lambda: world.run_of(other).state is RunState.PUBLISHED)
    assert [attempt.launcher for attempt in world.attempts(key)] == ["populate"]
    assert world.element.FacemapProcessing & key


def test_people_are_told_which_process_computes(world, child):
    key = world.insert_task()
    pid = child(key)
    silent_s = world.settings.controller.populate_silent_s
    choice = Choice(world.lab, world.lab.tasks(Kind.SVD), key)
    told = explain(observe_task(choice, world.ledger, world.store, silent_s))
    assert told.state == "launched"
    assert told.why.startswith(f"populate() in process {pid} on {socket.gethostname()} computes attempt 1 since ")
    world.workers.release()
    assert world.wait_for(pid) == 0


def test_a_controller_that_decided_from_an_old_look_takes_nothing(world, child):
    key = world.insert_task()
    pid = child(key)
    run, (attempt,) = world.run_of(key), world.attempts(key)
    silent_s = world.settings.controller.populate_silent_s
    assert not world.ledger.retry(run.run_id, 1, silenced(attempt), not_before_s=0, epoch=None, silent_s=silent_s)
    world.workers.release()
    assert world.wait_for(pid) == 0


def test_a_populate_that_was_killed_loses_its_task_to_the_controller(impatient, child, eventually):
    world = impatient
    key = world.insert_task()
    pid = child(key)
    os.kill(pid, signal.SIGKILL)
    world.wait_for(pid)
    eventually(lambda: not world.workers.running(), "the end of the worker")
    controller = world.controller()
    world.pass_until(controller, lambda: world.run_of(key).state is RunState.PUBLISHED)
    first, second = world.attempts(key)
    assert (first.launcher, first.outcome, second.launcher) == ("populate", "disrupted", "local")
    assert (second.started - first.started).total_seconds() > world.settings.controller.populate_silent_s
    assert len(world.loader().run_pass()) == 1
    assert world.element.FacialSignal & key


def test_a_populate_that_was_killed_can_be_called_again_at_once(world, child, eventually):
    key = world.insert_task()
    pid = child(key)
    os.kill(pid, signal.SIGKILL)
    world.wait_for(pid)
    assert world.element.FacemapProcessing.populate(key)["success_count"] == 1
    assert [attempt.outcome for attempt in world.attempts(key)] == ["disrupted", "published"]


def test_what_a_killed_populate_had_finished_is_not_computed_again(world, child, eventually):
    key = world.insert_task()
    pid = child(key)
    os.kill(pid, signal.SIGSTOP)  # so that the worker ends without it
    world.workers.release()
    folder = world.attempts(key)[0].folder
    eventually(lambda: any(info.uri == f"{folder}/manifest.json" for info in world.store.list(folder)))
    os.kill(pid, signal.SIGKILL)
    world.wait_for(pid)
    assert world.element.FacemapProcessing.populate(key)["success_count"] == 1
    assert len(world.workers.starts()) == 1


def test_a_populate_that_hangs_loses_its_worker_first_and_then_its_task(impatient, child):
    world = impatient
    key = world.insert_task()
    pid = child(key)
    os.kill(pid, signal.SIGSTOP)
    controller = world.controller()

    def is_published():
        assert len(world.workers.running()) <= 1
        return world.run_of(key).state is RunState.PUBLISHED

    world.workers.behave("wait", "wait")
    world.pass_until(controller, lambda: not is_published() and len(world.workers.starts()) == 2)
    world.workers.release()
    world.pass_until(controller, is_published)
    os.kill(pid, signal.SIGCONT)
    assert world.wait_for(pid) == 1
    assert [attempt.outcome for attempt in world.attempts(key)] == ["disrupted", "published"]


def test_of_two_populates_at_once_one_computes(world, child):
    key = world.insert_task()
    pid = child(key)
    with pytest.raises(BusyError, match=r"by populate\(\) in process \d+ on "):
        world.element.FacemapProcessing.populate(key)
    world.workers.release()
    assert world.wait_for(pid) == 0
    assert len(world.workers.starts()) == 1


def test_populates_that_start_together_compute_a_task_once(world, eventually):
    world.workers.behave("wait")
    key = world.insert_task()
    children = [world.fork(lambda: world.element.FacemapProcessing.populate(key)) for _ in range(3)]

    def two_have_given_up():
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return sum(os.waitid(os.P_PID, pid, how) is not None for pid in children) == 2

    eventually(two_have_given_up)
    world.workers.release()
    assert sorted(world.wait_for(pid) for pid in children) == [0, 1, 1]
    assert len(world.workers.starts()) == 1


def test_the_loader_may_be_quicker(world, monkeypatch):
    from fmdj_cloud.populate.outputs import SignalOutputs

    key = world.insert_task()
    world.element.FacemapProcessing.populate()
    extract = SignalOutputs.__init__

    def extract_then_load(*arguments):
        extract(*arguments)
        assert [result.end for result in world.loader().run_pass()] == ["loaded"]

    monkeypatch.setattr(SignalOutputs, "__init__", extract_then_load)
    assert world.element.FacialSignal.populate()["success_count"] == 1
    assert len(world.element.Region & key) == 1


@pytest.mark.parametrize(("wanted", "state"), [(Wanted.CANCEL, RunState.CANCELLED), (Wanted.HOLD, RunState.HELD)])
def test_people_can_end_what_populate_computes(world, child, wanted, state):
    key = world.insert_task()
    pid = child(key)
    assert world.ledger.set_wanted(world.run_of(key).run_id, wanted)
    assert world.wait_for(pid) == 1
    assert world.run_of(key).state is state
    assert not world.workers.running()
    if wanted is Wanted.HOLD:
        with pytest.raises(BusyError, match="is held"):
            world.element.FacemapProcessing.populate(key)
    else:
        assert world.element.FacemapProcessing.populate(key)["success_count"] == 1


def test_an_interrupted_populate_leaves_its_task_free(world, child, eventually):
    key = world.insert_task()
    pid = child(key)
    os.kill(pid, signal.SIGINT)
    assert world.wait_for(pid) == 1
    run = world.run_of(key)
    assert (run.state, run.attempt, run.failures) == (RunState.READY, 2, {"disrupted": 1})
    assert not world.workers.running()


def test_a_worker_that_is_stopped_is_told_as_such(world, child):
    key = world.insert_task()
    world.workers.behave("exit 143")
    with pytest.raises(StoppedError, match="Told to exit 143"):
        world.element.FacemapProcessing.populate(key)
    assert world.run_of(key).state is RunState.READY
