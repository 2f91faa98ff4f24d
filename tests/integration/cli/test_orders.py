"""retry, cancel, hold, release, priority: people say it, the controller does it."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import BindingState, FailureClass, Kind, Outcome, RunState, Wanted

pytestmark = pytest.mark.integration


def binding(site, key):
    return site.world.ledger.binding("lab", Kind.SVD, key)


def words(key):
    return [f"recording_id={key['recording_id']}"]


def failed(site, key, failure=FailureClass.CRASH, check=""):
    """A task whose published run didn't load."""
    site.until(site.controller(), key, "published")
    run = site.world.run_of(key)
    outcome = Outcome(failure_class=failure, sentence="It failed.", check=check)
    assert site.world.ledger.fail(run.run_id, run.state, run.attempt, outcome)
    return run


def test_a_failed_run_is_retried_with_the_outputs_it_has(site):
    key = site.world.insert_task()
    before = failed(site, key, FailureClass.LOAD)
    (result,) = site.order("retry", before.run_id)
    assert (result["end"], result["run_id"]) == ("done", before.run_id)
    run = site.until(site.controller(), key, "published")
    assert (run.run_id, run.attempt, run.manifest_sha256) == (before.run_id, 1, before.manifest_sha256)


def test_recompute_computes_anew_even_if_outputs_verify(site):
    key = site.world.insert_task()
    failed(site, key, FailureClass.LOAD)
    (result,) = site.order("retry", *words(key), "--recompute")
    assert "computed anew" in result["sentence"]
    run = site.until(site.controller(), key, "published")
    assert run.attempt == 2
    assert not site.world.ledger.recompute_asked(run.task_digest)  # this time only


def test_results_deleted_after_recompute_was_asked_for_are_computed_anew(site):
    key = site.world.insert_task()
    site.until(site.controller(), key, "published")
    site.pretend_loaded(key)
    (result,) = site.order("retry", *words(key), "--recompute")
    assert "delete its FacialSignal row" in result["sentence"]
    (site.world.lab.element.FacemapProcessing & key).delete(prompt=False)
    assert site.until(site.controller(), key, "published").attempt == 2


def test_an_accepted_check_reaches_the_worker_until_the_task_is_edited(site):
    key = site.world.insert_task()
    failed(site, key, FailureClass.INPUT, "missing_frames")
    site.order("retry", *words(key), "--accept", "missing_frames", "--accept", "tail", "--recompute")
    site.until(site.controller(), key, "published")
    attempt = site.world.attempt_of(key)
    spec = site.world.store.get_bytes(f"{attempt.folder}/spec.json", max_bytes=1 << 20)
    assert b'"accept":["missing_frames","tail"]' in spec
    run = site.world.run_of(key)
    (first, second) = site.world.ledger.acceptances(run.task_digest)
    assert first.accepted_by == second.accepted_by != ""
    assert first.accepted >= run.created
    site.world.lab.element.FacemapTask.update1(key | {"facemap_params": {"sbin": 8}})
    edited = site.until(site.controller(), key, "published")
    assert edited.run_id != run.run_id
    assert site.world.ledger.accepted(edited) == ()


def test_a_check_that_is_none_is_refused_before_anything_is_done(site):
    answer = site.run("retry", "recording_id=1", "--accept", "everything")
    assert answer.code == 2
    assert "missing_frames (a header claims more frames than can be decoded)" in answer.err


def test_a_run_is_held_and_goes_on_when_it_is_released(site):
    site.behave("wait")
    key = site.world.insert_task()
    controller = site.controller()
    site.until(controller, key, "launched")
    (result,) = site.order("hold", *words(key))
    assert result["sentence"] == "The controller holds it."
    held = site.until(controller, key, "held")
    assert held.sentence.startswith("Held by ")
    site.let_go()
    (result,) = site.order("release", *words(key))
    assert result["end"] == "done"
    assert site.until(controller, key, "published").attempt == 2


def test_a_cancelled_run_is_over_until_it_is_retried(site):
    site.behave("wait")
    key = site.world.insert_task()
    controller = site.controller()
    site.until(controller, key, "launched")
    site.order("cancel", *words(key))
    site.until(controller, key, "cancelled")
    assert site.world.lab.tasks(Kind.SVD).pending(10) == []
    (result,) = site.order("cancel", *words(key))
    assert (result["end"], result["sentence"]) == ("nothing to do", "It is cancelled already.")
    site.let_go()
    site.order("retry", *words(key))
    assert site.until(controller, key, "published").attempt == 2


def test_a_task_without_a_run_is_held_cancelled_and_asked_for_again(site):
    key = site.world.insert_task()
    site.order("hold", *words(key))
    assert binding(site, key).state is BindingState.HELD
    site.order("cancel", *words(key))
    found = binding(site, key)
    assert (found.state, found.wanted) == (BindingState.CANCELLED, Wanted.CANCEL)
    assert found.sentence.startswith("Cancelled by ")
    assert site.controller().run_pass().planned == 0
    site.order("retry", *words(key))
    assert site.controller().run_pass().planned == 1


def test_a_task_cancelled_before_it_had_a_run_is_pending_when_it_is_edited(site):
    key = site.world.insert_task()
    site.order("cancel", *words(key))
    site.world.lab.element.FacemapTask.update1(key | {"facemap_params": {"sbin": 8}})
    assert site.controller().run_pass().planned == 1


def test_a_hold_wins_over_a_plan_under_way(site, monkeypatch):
    """The controller has found the task pending; somebody holds it; then the controller writes its plan."""
    key = site.world.insert_task()
    controller = site.controller()
    plan = controller._ledger.plan

    def hold_first(*arguments, **keywords):
        site.order("hold", *words(key))
        return plan(*arguments, **keywords)

    monkeypatch.setattr(controller._ledger, "plan", hold_first)
    report = controller.run_pass()
    assert "was held while it was planned" in report.errors[0]
    assert binding(site, key).state is BindingState.HELD
    assert site.world.ledger.runs() == []


def test_a_cancel_that_the_loader_beats_says_so(site, monkeypatch):
    """The run is loaded between the look at it and the change."""
    key = site.world.insert_task()
    site.until(site.controller(), key, "published")
    want = type(site.world.ledger).want

    def load_first(self, run, wanted, sentence):
        if site.world.run_of(key).state is RunState.PUBLISHED:
            site.pretend_loaded(key)
        return want(self, run, wanted, sentence)

    monkeypatch.setattr(type(site.world.ledger), "want", load_first)
    (result,) = site.order("cancel", *words(key))
    assert (result["end"], result["sentence"]) == ("nothing to do", "It is done: there is nothing to cancel.")
    assert site.world.run_of(key).state is RunState.LOADED


def test_priority_orders_tasks_and_runs(site):
    first, second = site.world.insert_task(), site.world.insert_task()
    (result,) = site.order("priority", *words(second), "--", "-5")
    assert result["sentence"] == "Its priority is -5 (lower is more urgent)."
    assert [key["recording_id"] for key in site.world.lab.tasks(Kind.SVD).pending(10)] == [2, 1]
    assert site.controller().run_pass().planned == 2
    assert site.world.run_of(second).priority == -5
    site.order("priority", *words(first), "7")
    assert site.world.run_of(first).priority == binding(site, first).priority == 7


def test_many_tasks_need_a_yes(site):
    keys = [site.world.insert_task() for _ in range(3)]
    answer = site.run("cancel", "subject=m1")
    assert answer.code == 2
    assert "matches 3 tasks: add --yes" in answer.err
    results = site.order("cancel", "subject=m1", "--yes")
    assert [result["task"]["recording_id"] for result in results] == [1, 2, 3]
    results = site.order("retry", "--all", "--yes")
    assert results == []  # what was cancelled is meant to stay so
    assert {binding(site, key).state for key in keys} == {BindingState.CANCELLED}


def test_all_takes_what_the_order_is_for(site):
    good, missing = site.world.insert_task(), site.world.insert_task()
    site.world.store.delete(f"{site.world.bucket}/videos/rec2/cam.avi")
    site.until(site.controller(), good, "published")
    (result,) = site.order("retry", "--all")
    assert result["task"]["recording_id"] == missing["recording_id"]
    held = site.order("hold", "--all", "--yes")
    assert {result["task"]["recording_id"] for result in held} == {1, 2}
    assert binding(site, missing).state is BindingState.HELD
    released = site.order("release", "--all", "--yes")
    assert {result["end"] for result in released} == {"done"}
    assert len(released) == 2


def test_orders_in_words(site):
    site.world.insert_task()
    answer = site.run("hold", "recording_id=1")
    assert answer.code == 0
    assert "recording_id=1" in answer.out
    assert "It is held." in answer.out
    answer = site.run("explain", "recording_id=1")
    assert "Held by " in answer.out
    assert site.run("hold").code == 2
    assert "exclude each other" in site.run("hold", "recording_id=1", "--all").err


def test_the_brake_is_released_without_a_key(site):
    site.world.insert_task()
    settings = site.world.settings
    controller = settings.controller.model_copy(update={"first_start_limit": 0})
    site.controller(settings.model_copy(update={"controller": controller})).run_pass()
    assert site.order("release") == {"lab": {"released": True, "pending": 1}}
    assert site.order("release") == {"lab": {"released": False, "pending": None}}
