"""The whole loop on a real database, a real store over HTTP and real processes."""

from __future__ import annotations

import hashlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fmdj_cloud.contracts import BindingState, FailureClass, JobPhase, Kind, RunState, Wanted

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def database_server(postgres_settings):
    """One kind of server: the ledger's own tests run on every kind."""
    return postgres_settings


@pytest.fixture
def controller(world):
    return world.controller()


@pytest.fixture
def until(world, controller):
    """Runs passes until a task's run is in a state, and returns the run."""

    def wait(key, state, by=None):
        return world.pass_until(by or controller, lambda: run if (run := world.run_of(key)).state is state else None)

    return wait


def pid_of(world, run_id):
    """The process of the run's newest worker."""
    return next(int(line.split()[2]) for line in reversed(world.workers.starts()) if line.startswith(run_id))


def binding(world, key):
    return world.ledger.binding("lab", Kind.SVD, key)


def test_a_task_becomes_a_published_run(world, controller, until):
    key = world.insert_task()
    assert controller.run_pass().launched == 1
    run = until(key, RunState.PUBLISHED)
    assert run.manifest_sha256
    assert run.output_dir == f"{world.bucket}/processed/m1/facemap_0/{run.run_id}"
    (attempt,) = world.ledger.attempts(run.run_id)
    assert (attempt.outcome, attempt.launcher) == ("published", "local")
    assert attempt.job_uid
    assert len(world.workers.starts()) == 1


def test_a_published_job_is_forgotten(world, controller, until, make_launcher):
    key = world.insert_task()
    controller.run_pass()
    until(key, RunState.PUBLISHED)
    launcher = make_launcher()
    world.pass_until(controller, lambda: not launcher.observe())


def test_drain_returns_when_all_is_settled(world):
    good, missing = world.insert_task(), world.insert_task(upload=False)
    assert world.controller().drain(30)
    assert world.run_of(good).state is RunState.PUBLISHED
    assert binding(world, missing).state is BindingState.WAITING


def test_drain_gives_up_in_time(world):
    world.workers.behave("wait")
    world.insert_task()
    assert not world.controller().drain(1.0)


def test_drain_beside_a_leader_waits_for_it(world, controller):
    key = world.insert_task()
    controller.run_pass()
    world.forget_leader = lambda: None
    beside = world.controller()
    with ThreadPoolExecutor(1) as pool:
        drained = pool.submit(beside.drain, 30)
        while not drained.done():
            assert controller.run_pass().leading
    assert drained.result()
    assert world.run_of(key).state is RunState.PUBLISHED
    (request,) = world.ledger.requests("done")
    assert (request.what, request.sentence) == ("drain", "All is settled.")


def test_drain_beside_a_leader_is_told_that_it_stands_still(world, monkeypatch):
    monkeypatch.setattr("fmdj_cloud.control.settle._STANDSTILL_S", 0.2)
    broken = world.settings.pipelines[0].model_copy(update={"name": "broken", "behavior_schema": "nowhere"})
    leader = world.controller(world.settings.model_copy(update={"pipelines": (broken, *world.settings.pipelines)}))
    leader.run_pass()
    world.forget_leader = lambda: None
    beside = world.controller()
    with ThreadPoolExecutor(1) as pool:
        drained = pool.submit(beside.drain, 30)
        while not drained.done():
            assert leader.run_pass().leading
    assert not drained.result()
    (request,) = world.ledger.requests("done")
    assert request.sentence.startswith("Not all can be settled: Pipeline broken")


def test_drain_beside_a_leader_that_does_not_answer_gives_up(world, controller):
    controller.run_pass()
    world.forget_leader = lambda: None
    assert not world.controller().drain(1)


def test_no_more_than_max_active_run(world, controller, until, make_launcher):
    world.workers.behave("wait")
    keys = [world.insert_task() for _ in range(4)]
    world.pass_until(controller, lambda: len(world.workers.starts()) == 2)
    for _ in range(3):
        controller.run_pass()
    assert len(world.workers.starts()) == 2
    assert len(make_launcher().observe()) == 2
    world.workers.release()
    for key in keys:
        until(key, RunState.PUBLISHED)


def test_a_restarted_controller_adopts_what_runs(world, controller, until):
    world.workers.behave("wait")
    key = world.insert_task()
    world.pass_until(controller, world.workers.starts)
    other = world.controller()
    other.run_pass()
    assert world.run_of(key).state is RunState.LAUNCHED
    world.workers.release()
    until(key, RunState.PUBLISHED, by=other)
    assert len(world.workers.starts()) == 1


def test_a_run_that_was_launched_without_a_job_gets_one(world, controller, until, monkeypatch):
    """The controller dies between the ledger's launch and the creation of the Job."""
    key = world.insert_task()

    def die(request):
        raise KeyboardInterrupt

    monkeypatch.setattr(controller._actor._launcher, "create", die)
    with pytest.raises(KeyboardInterrupt):
        controller.run_pass()
    assert world.run_of(key).state is RunState.LAUNCHED
    assert world.ledger.attempt(world.run_of(key).run_id, 1).job_uid is None
    until(key, RunState.PUBLISHED, by=world.controller())
    assert [a.outcome for a in world.ledger.attempts(world.run_of(key).run_id)] == ["published"]


def _spec_is_written(world, key):
    run = world.run_of(key)
    attempt = world.ledger.attempt(run.run_id, run.attempt)
    data = world.store.get_bytes(f"{attempt.folder}/spec.json", max_bytes=1 << 20)
    return hashlib.sha256(data).hexdigest() == attempt.spec_sha256


@pytest.fixture
def launched_without_spec(world, monkeypatch):
    """A task whose controller died between the ledger's launch and its spec."""
    key, controller = world.insert_task(), world.controller()

    def die(uri, data):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(world.store, "put_bytes", die)
        with pytest.raises(KeyboardInterrupt):
            controller.run_pass()
    assert world.run_of(key).state is RunState.LAUNCHED
    return key


def test_a_spec_that_was_not_written_is_written_by_the_next(world, until, launched_without_spec):
    run = until(launched_without_spec, RunState.PUBLISHED, by=world.controller())
    assert run.attempt == 1
    assert _spec_is_written(world, launched_without_spec)


def test_a_spec_that_nobody_can_write_any_more_ends_its_attempt(world, until, launched_without_spec):
    """A check was accepted in between: the bytes that were launched can't be made again."""
    world.ledger.accept(world.lab.tasks(Kind.SVD).get(launched_without_spec), ["view_frames"], "somebody")
    run = until(launched_without_spec, RunState.PUBLISHED, by=world.controller())
    assert [attempt.outcome for attempt in world.ledger.attempts(run.run_id)] == ["disrupted", "published"]
    assert _spec_is_written(world, launched_without_spec)


def test_a_leader_that_lost_does_not_write_over_a_spec(world, controller, until, monkeypatch):
    """While it is about to write one, another controller leads, and a check is accepted."""
    world.workers.behave("wait")
    key = world.insert_task()
    put_bytes = world.store.put_bytes

    def lose(uri, data):
        monkeypatch.undo()
        world.ledger.accept(world.lab.tasks(Kind.SVD).get(key), ["view_frames"], "somebody")
        world.pass_until(world.controller(), world.workers.starts)
        return put_bytes(uri, data)

    monkeypatch.setattr(world.store, "put_bytes", lose)
    controller.run_pass()
    assert _spec_is_written(world, key)


def test_only_the_leader_acts(world, controller):
    controller.run_pass()
    key = world.insert_task()
    second = world.controller
    lease = world.ledger.leader()
    world.forget_leader = lambda: None
    standby = second()
    assert not standby.run_pass().leading
    assert binding(world, key) is None
    assert world.ledger.leader()[:2] == lease[:2]
    assert controller.run_pass().leading


def test_leadership_lost_in_a_pass_ends_it(world, controller, monkeypatch):
    world.insert_task()
    controller._leader._renew_s = 0.0
    acquire = controller._ledger.acquire

    def acquire_then_lose(holder, lease_s):
        epoch = acquire(holder, lease_s)
        world.forget_leader()
        world.ledger.acquire("somebody else", 30)
        return epoch

    monkeypatch.setattr(controller._ledger, "acquire", acquire_then_lose)
    report = controller.run_pass()
    assert (report.leading, report.planned, report.launched) == (False, 0, 0)


def test_a_crash_is_retried_with_its_log_kept(world, controller, until):
    world.workers.behave("silent 1", "publish")
    key = world.insert_task()
    controller.run_pass()
    run = until(key, RunState.PUBLISHED)
    first, second = world.ledger.attempts(run.run_id)
    assert (first.outcome, second.outcome, run.failures) == ("crash", "published", {"crash": 1})
    (log,) = [info.uri for info in world.store.list(first.folder) if info.uri.endswith("captured/run.log")]
    assert b"tiny worker says silent 1" in world.store.get_bytes(log, max_bytes=10_000)


def test_an_input_failure_is_final(world, controller, until):
    world.workers.behave("exit 10")
    key = world.insert_task()
    controller.run_pass()
    run = until(key, RunState.FAILED)
    assert (run.failure_class, run.sentence, run.attempt) == (FailureClass.INPUT, "Told to exit 10.", 1)


def test_memory_is_retried_with_more(world, controller, until):
    world.workers.behave("kill", "publish")
    key = world.insert_task()
    controller.run_pass()
    run = until(key, RunState.PUBLISHED)
    first, second = world.ledger.attempts(run.run_id)
    assert first.outcome == "memory"
    assert second.limits.memory_mib > 1.5 * first.limits.memory_mib


def test_exit_0_without_a_manifest_is_a_crash(world, controller, until):
    world.workers.behave("empty")
    key = world.insert_task()
    controller.run_pass()
    run = until(key, RunState.FAILED)
    assert (run.failure_class, run.attempt) == (FailureClass.CRASH, 3)
    assert "published no valid manifest" in run.sentence


def test_a_manifest_counts_whatever_the_exit_says(world, controller, until):
    world.workers.behave("late")
    key = world.insert_task()
    controller.run_pass()
    assert until(key, RunState.PUBLISHED).attempt == 1


def test_a_supervisor_that_was_killed_is_noticed(world, controller, until, make_launcher):
    world.workers.behave("wait")
    key = world.insert_task()
    world.pass_until(controller, world.workers.starts)
    run = world.run_of(key)
    worker = pid_of(world, run.run_id)
    status = Path(f"/proc/{worker}/status").read_text().splitlines()
    parent = int(next(line for line in status if line.startswith("PPid")).split()[1])
    os.kill(parent, signal.SIGKILL)
    world.workers.behave("publish")
    run = until(key, RunState.PUBLISHED)
    assert run.failures == {"vanished": 1}


def test_a_changed_input_is_planned_again(world, controller, until):
    world.workers.behave("wait")
    key = world.insert_task()
    world.pass_until(controller, world.workers.starts)
    first = world.run_of(key)
    world.upload(key["recording_id"], b"another video")
    world.workers.behave("exit 12")
    world.workers.release()
    os.kill(pid_of(world, first.run_id), signal.SIGKILL)
    # the retry of the old run meets the change, and the task is planned onto a new run
    world.pass_until(controller, lambda: world.run_of(key).run_id != first.run_id)
    world.workers.behave("publish")
    second = until(key, RunState.PUBLISHED)
    assert second.content_digest != first.content_digest
    assert world.ledger.run(first.run_id).state is RunState.SUPERSEDED
    assert binding(world, key).changed == 1


def test_an_input_that_keeps_changing_ends(world):
    world.workers.behave("exit 12")
    retry = world.settings.controller.retry.model_copy(update={"changed": 2})
    controller = world.controller(world.with_controller(retry=retry))
    key = world.insert_task()
    assert controller.drain(30)
    run = world.run_of(key)
    assert (run.state, run.failure_class) == (RunState.FAILED, FailureClass.CHANGED)
    assert "planned anew 2 times" in run.sentence


@pytest.mark.parametrize(("wanted", "state"), [(Wanted.CANCEL, RunState.CANCELLED), (Wanted.HOLD, RunState.HELD)])
def test_what_people_want_of_a_running_run(world, controller, until, is_alive, wanted, state):
    world.workers.behave("wait")
    key = world.insert_task()
    world.pass_until(controller, world.workers.starts)
    run = world.run_of(key)
    pid = pid_of(world, run.run_id)
    world.ledger.set_wanted(run.run_id, wanted)
    until(key, state)
    assert not is_alive(pid)


def test_a_held_run_goes_on_with_its_next_attempt(world, controller, until):
    world.workers.behave("wait", "publish")
    key = world.insert_task()
    world.pass_until(controller, world.workers.starts)
    run_id = world.run_of(key).run_id
    world.ledger.set_wanted(run_id, Wanted.HOLD)
    until(key, RunState.HELD)
    world.ledger.set_wanted(run_id, Wanted.RUN)
    assert until(key, RunState.PUBLISHED).attempt == 2


def test_an_edited_task_is_stopped_and_planned_again(world, controller, until, is_alive):
    world.workers.behave("wait")
    key = world.insert_task()
    world.pass_until(controller, world.workers.starts)
    first = world.run_of(key)
    pid = pid_of(world, first.run_id)
    world.edit_task(key, facemap_params={"sbin": 8})
    world.pass_until(controller, lambda: world.run_of(key).run_id != first.run_id)
    assert not is_alive(pid)
    assert world.ledger.run(first.run_id).state is RunState.SUPERSEDED
    world.workers.release()
    assert world.ledger.plan_of(until(key, RunState.PUBLISHED).run_id).svd.sbin == 8


def test_an_edited_task_is_not_launched_as_it_was(world):
    """Compared right before the launch, not only by the slow rotation."""
    full = world.controller(world.with_controller(max_active=1, recheck_per_pass=0))
    world.workers.behave("wait")
    world.insert_task()
    key = world.insert_task()
    world.pass_until(full, world.workers.starts)
    first = world.run_of(key)
    assert first.state is RunState.READY
    world.edit_task(key, facemap_params={"sbin": 8})
    world.workers.release()
    world.pass_until(full, lambda: world.run_of(key).run_id != first.run_id)
    assert world.ledger.attempts(first.run_id) == []


def test_a_failed_task_is_tried_again_once_it_is_edited(world, controller, until):
    world.workers.behave("exit 10")
    key = world.insert_task()
    controller.run_pass()
    first = until(key, RunState.FAILED)
    assert controller.run_pass().planned == 0
    world.workers.behave("publish")
    world.edit_task(key, facemap_params={"sbin": 8})
    world.pass_until(controller, lambda: world.run_of(key).run_id != first.run_id)
    until(key, RunState.PUBLISHED)
    assert world.ledger.run(first.run_id).state is RunState.SUPERSEDED


def test_a_deleted_task_is_stopped(world, controller, is_alive):
    world.workers.behave("wait")
    key = world.insert_task()
    world.pass_until(controller, world.workers.starts)
    run = world.run_of(key)
    pid = pid_of(world, run.run_id)
    (world.lab.element.FacemapTask & key).delete(prompt=False)
    world.pass_until(controller, lambda: world.ledger.run(run.run_id).state is RunState.SUPERSEDED)
    assert not is_alive(pid)


def test_a_result_that_is_not_ours_is_left_alone(world, controller, until):
    world.workers.behave("wait")
    key = world.insert_task()
    world.pass_until(controller, world.workers.starts)
    world.add_result(key)
    assert "isn't ours" in until(key, RunState.SUPERSEDED).sentence
    assert len(world.lab.element.FacialSignal & key) == 1


def test_deleted_results_are_loaded_again_from_outputs_that_are_still_there(world, controller, until):
    key = world.insert_task()
    controller.run_pass()
    run = until(key, RunState.PUBLISHED)
    assert world.ledger.mark_loaded(run.run_id, 1, run.manifest_sha256)
    world.add_result(key)
    controller.run_pass()
    assert world.run_of(key).state is RunState.LOADED
    world.delete_result(key)
    again = until(key, RunState.PUBLISHED)
    assert (again.run_id, again.attempt, again.manifest_sha256) == (run.run_id, 1, run.manifest_sha256)
    assert len(world.workers.starts()) == 1


def test_deleted_results_are_computed_again_without_outputs(world, controller, until):
    key = world.insert_task()
    controller.run_pass()
    run = until(key, RunState.PUBLISHED)
    assert world.ledger.mark_loaded(run.run_id, 1, run.manifest_sha256)
    log = next(info.uri for info in world.store.list(run.output_dir) if info.uri.endswith("run.log"))
    world.store.delete(log)
    assert until(key, RunState.PUBLISHED).attempt == 2


def test_a_job_of_an_unknown_run_is_left_alone_and_reported(world, controller, make_launcher, eventually):
    from fmdj_cloud.contracts import JobRequest, Limits

    world.workers.behave("wait")
    limits = Limits(time_budget_s=60, memory_mib=1, scratch_mib=1, threads=1)
    name = "fmdj-svd-ffffffffffffffff-a1"
    make_launcher().create(
        JobRequest(
            name=name,
            run_id="svd-ffffffffffffffff",
            attempt=1,
            kind=Kind.SVD,
            spec_uri="nothing",
            spec_sha256="s",
            limits=limits,
        )
    )
    eventually(world.workers.starts)
    assert controller.run_pass().unknown_jobs == (name,)
    assert make_launcher().observe()[0].phase is JobPhase.RUNNING


def test_a_job_that_cannot_be_read_stops_nobody(world, controller, until, tmp_path, caplog):
    for name, text in (("fmdj-garbled", "{"), ("fmdj-newer", '{"instance": "main", "request": {"version": 2}}')):
        folder = tmp_path / "state" / name
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(text.replace("main", world.settings.instance))
    key = world.insert_task()
    assert controller.run_pass().unknown_jobs == ("fmdj-garbled", "fmdj-newer")
    until(key, RunState.PUBLISHED)
    assert caplog.text.count("fmdj-garbled can't be read") == 1
