"""Every state change of a run, and every fence that refuses one."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from fmdj_cloud.contracts import Kind, Outcome, RunRecord, RunState, Wanted
from fmdj_cloud.errors import LostRaceError

from .conftest import LIMITS, OTHER_SHA, PLAN, SHA, World, failure

pytestmark = pytest.mark.integration


def test_a_planned_run_is_ready_with_all_that_was_planned(world: World) -> None:
    key = world.add_task()
    task = world.task(key)
    run = world.plan(task)
    assert run.state is RunState.READY
    assert (run.attempt, run.priority, run.wanted) == (1, 0, Wanted.RUN)
    assert (run.task_digest, run.param_digest, run.content_digest) == (task.task_digest, task.param_digest, "c")
    assert run.estimate == PLAN.estimate
    assert world.ledger.plan_of(run.run_id) == PLAN
    binding = world.ledger.binding_of(run.run_id)
    assert binding is not None
    assert binding.key == key
    assert world.ledger.runs_of(task.task_digest) == [run]


def test_the_straight_way_from_ready_to_loaded(world: World) -> None:
    run = world.planned()
    assert world.launch(run)
    assert world.ledger.confirm(run.run_id, 1, job_uid="u1", epoch=None)
    assert world.ledger.publish(run.run_id, 1, SHA, epoch=None)
    assert world.now(run).manifest_sha256 == SHA
    assert world.ledger.mark_loaded(run.run_id, 1, SHA)
    (attempt,) = world.ledger.attempts(run.run_id)
    assert (attempt.job_uid, attempt.outcome, attempt.limits) == ("u1", "published", LIMITS)
    assert attempt.finished is not None
    assert world.ledger.count_runs() == {("lab", Kind.SVD, RunState.LOADED): 1}


def test_a_retry_counts_its_class_and_waits_by_the_databases_clock(world: World) -> None:
    run = world.launched()
    assert world.ledger.retry(run.run_id, 1, failure("memory", "Too big."), not_before_s=100, epoch=None)
    again = world.now(run)
    assert (again.state, again.attempt, again.failures) == (RunState.READY, 2, {"memory": 1})
    assert again.not_before is not None
    assert 90 < (again.not_before - world.database.now()).total_seconds() <= 100
    assert world.launch(again)
    assert world.now(run).not_before is None
    assert world.ledger.retry(run.run_id, 2, failure("memory"), not_before_s=0, epoch=None)
    assert world.now(run).failures == {"memory": 2}
    assert [a.outcome for a in world.ledger.attempts(run.run_id)] == ["memory", "memory"]


def test_a_failure_keeps_its_sentence_and_evidence(world: World) -> None:
    run = world.launched()
    assert world.ledger.fail(run.run_id, RunState.LAUNCHED, 1, failure("input", "eye.avi is empty."), epoch=None)
    failed = world.now(run)
    assert (failed.state, failed.failure_class, failed.sentence) == (RunState.FAILED, "input", "eye.avi is empty.")
    attempt = world.ledger.attempt(run.run_id, 1)
    assert attempt is not None
    assert (attempt.outcome, attempt.evidence) == ("input", {"exit": "1"})


def test_the_loader_fails_a_published_run_without_an_epoch(world: World) -> None:
    run = world.published()
    assert world.ledger.fail(run.run_id, RunState.PUBLISHED, 1, failure("load", "No frames."))
    attempt = world.ledger.attempt(run.run_id, 1)
    assert attempt is not None
    assert attempt.outcome == "published"  # the attempt did what it should


def test_holding_a_launched_run_goes_on_with_the_next_attempt(world: World) -> None:
    run = world.launched()
    assert world.ledger.hold(run.run_id, RunState.LAUNCHED, 1, epoch=None)
    held = world.now(run)
    assert (held.state, held.attempt) == (RunState.HELD, 2)
    assert world.ledger.unhold(run.run_id, 2, epoch=None)
    assert world.launch(world.now(run))
    assert [a.outcome for a in world.ledger.attempts(run.run_id)] == ["held", None]


def test_holding_a_ready_run_costs_no_attempt(world: World) -> None:
    run = world.planned()
    assert world.ledger.hold(run.run_id, RunState.READY, 1, sentence="m1 asked.", epoch=None)
    assert (world.now(run).attempt, world.now(run).sentence) == (1, "m1 asked.")


@pytest.mark.parametrize("state", ["ready", "launched", "published", "held", "failed"])
def test_what_is_not_over_can_be_cancelled(world: World, state: str) -> None:
    run = _in_state(world, RunState(state))
    assert world.ledger.cancel(run.run_id, run.state, run.attempt, sentence="Not needed.", epoch=None)
    assert world.now(run).state is RunState.CANCELLED


def test_superseding_counts_a_changed_input_on_the_binding(world: World) -> None:
    run = world.launched()
    assert world.ledger.supersede(run.run_id, run.state, 1, "The video was replaced.", epoch=None, count_changed=True)
    binding = world.ledger.binding_of(run.run_id)
    assert binding is not None
    assert binding.changed == 1
    assert world.ledger.attempts(run.run_id)[0].outcome == "superseded"
    again = world.plan(world.task(binding.key), content="other")
    renewed = world.ledger.binding_of(again.run_id)
    assert renewed is not None
    assert renewed.changed == 1  # the count outlives the new plan


def test_nothing_is_launched_or_loaded_that_is_not_wanted(world: World) -> None:
    ready, published = world.planned(1), world.published(2)
    for run in (ready, published):
        assert world.ledger.set_wanted(run.run_id, Wanted.HOLD)
    assert not world.launch(ready)
    assert not world.ledger.mark_loaded(published.run_id, 1, SHA)
    assert world.ledger.attempts(ready.run_id) == []
    assert world.ledger.set_wanted(published.run_id, Wanted.RUN)
    assert world.ledger.mark_loaded(published.run_id, 1, SHA)
    assert not world.ledger.set_wanted(published.run_id, Wanted.HOLD)  # it is over


def test_only_the_pinned_manifest_is_loaded(world: World) -> None:
    run = world.published()
    assert not world.ledger.mark_loaded(run.run_id, 1, OTHER_SHA)
    assert not world.ledger.mark_loaded(run.run_id, 2, SHA)
    assert world.now(run).state is RunState.PUBLISHED


Change = Callable[[World, RunRecord, int, int | None], bool]
CHANGES: dict[str, tuple[frozenset[RunState], Change]] = {
    "launch": (
        frozenset({RunState.READY}),
        lambda w, r, a, e: w.launch(r.model_copy(update={"attempt": a}), e),
    ),
    "confirm": (
        frozenset({RunState.LAUNCHED}),
        lambda w, r, a, e: w.ledger.confirm(r.run_id, a, job_uid="u", epoch=e),
    ),
    "publish": (frozenset({RunState.LAUNCHED}), lambda w, r, a, e: w.ledger.publish(r.run_id, a, SHA, epoch=e)),
    "retry": (
        frozenset({RunState.LAUNCHED}),
        lambda w, r, a, e: w.ledger.retry(r.run_id, a, failure(), not_before_s=0, epoch=e),
    ),
    "fail": (
        frozenset({RunState.READY, RunState.LAUNCHED, RunState.PUBLISHED, RunState.HELD}),
        lambda w, r, a, e: w.ledger.fail(r.run_id, r.state, a, failure(), epoch=e),
    ),
    "hold": (
        frozenset({RunState.READY, RunState.LAUNCHED}),
        lambda w, r, a, e: w.ledger.hold(r.run_id, r.state, a, epoch=e),
    ),
    "unhold": (frozenset({RunState.HELD}), lambda w, r, a, e: w.ledger.unhold(r.run_id, a, epoch=e)),
    "cancel": (
        frozenset({RunState.READY, RunState.LAUNCHED, RunState.PUBLISHED, RunState.HELD, RunState.FAILED}),
        lambda w, r, a, e: w.ledger.cancel(r.run_id, r.state, a, epoch=e),
    ),
    "supersede": (
        frozenset(RunState) - {RunState.SUPERSEDED},
        lambda w, r, a, e: w.ledger.supersede(r.run_id, r.state, a, "gone", epoch=e),
    ),
    "mark_loaded": (frozenset({RunState.PUBLISHED}), lambda w, r, a, _e: w.ledger.mark_loaded(r.run_id, a, SHA)),
}


def _in_state(world: World, state: RunState, recording_id: int = 1) -> RunRecord:
    """A run that came into `state` the usual way."""
    ledger = world.ledger
    if state is RunState.READY:
        return world.planned(recording_id)
    if state is RunState.LOADED:
        return world.loaded(recording_id)
    if state is RunState.PUBLISHED:
        return world.published(recording_id)
    run = world.launched(recording_id)
    if state is RunState.HELD:
        assert ledger.hold(run.run_id, run.state, 1, epoch=None)
    elif state is RunState.FAILED:
        assert ledger.fail(run.run_id, run.state, 1, failure())
    elif state is RunState.CANCELLED:
        assert ledger.cancel(run.run_id, run.state, 1)
    elif state is RunState.SUPERSEDED:
        assert ledger.supersede(run.run_id, run.state, 1, "edited")
    return world.now(run)


def test_a_change_needs_its_state_its_attempt_and_the_epoch(world: World) -> None:
    """All states against all changes: nothing is written unless all three fit."""
    epoch = world.ledger.acquire("me", 100)
    assert epoch is not None
    for number, (state, name) in enumerate(itertools.product(RunState, CHANGES), start=1):
        states, change = CHANGES[name]
        run = _in_state(world, state, number)
        attempts = world.ledger.attempts(run.run_id)
        assert not change(world, run, run.attempt + 1, epoch), f"{name} in {state} with another attempt"
        if name != "mark_loaded":
            assert not change(world, run, run.attempt, epoch - 1), f"{name} in {state} with a stale epoch"
        assert world.now(run) == run
        assert world.ledger.attempts(run.run_id) == attempts
        assert change(world, run, run.attempt, epoch) is (state in states), f"{name} in {state}"
        if state not in states:
            assert world.now(run) == run


def test_a_change_names_the_state_it_starts_from(world: World) -> None:
    """The loader fails what it saw published, and not what was launched anew meanwhile."""
    run = world.launched()
    assert not world.ledger.fail(run.run_id, RunState.PUBLISHED, 1, failure("load"))
    assert not world.ledger.supersede(run.run_id, RunState.PUBLISHED, 1, "a result is there")
    assert world.now(run) == run


def test_runs_come_by_priority_then_age(world: World) -> None:
    first, second, third = (world.planned(n) for n in (1, 2, 3))
    assert world.ledger.set_priority(third.run_id, -5)
    assert world.ledger.set_priority(first.run_id, 5)
    ids = [third.run_id, second.run_id, first.run_id]
    assert [run.run_id for run in world.ledger.runs()] == ids
    assert [run.run_id for run in world.ledger.runs({RunState.READY}, "lab", 2)] == ids[:2]
    assert world.ledger.runs({RunState.FAILED}) == world.ledger.runs(set()) == world.ledger.runs(pipeline="x") == []
    binding = world.ledger.binding_of(third.run_id)
    assert binding is not None
    assert binding.priority == -5


def test_a_run_that_is_not_there_changes_nothing(world: World) -> None:
    assert world.ledger.run("svd-0") is None
    assert world.ledger.binding_of("svd-0") is None
    assert not world.ledger.retry("svd-0", 1, failure(), not_before_s=0, epoch=None)
    assert not world.ledger.set_wanted("svd-0", Wanted.CANCEL)
    assert not world.ledger.set_priority("svd-0", 1)
    with pytest.raises(LostRaceError, match="svd-0"):
        world.ledger.plan_of("svd-0")


def test_words_that_no_database_takes_are_made_to_fit(world: World) -> None:
    run = world.launched()
    evidence = {"log": "\0\udcff" + "x" * 9000, **{f"k{n}": "ü" * 500 for n in range(40)}}
    outcome = Outcome(failure_class="crash", sentence="bad \0 \udcff " + "y" * 5000, check="tail", evidence=evidence)
    assert world.ledger.retry(run.run_id, 1, outcome, not_before_s=0, epoch=None)
    sentence = world.now(run).sentence
    assert sentence.startswith("bad \\0 \\udcff yyy")
    assert len(sentence) == 2000
    (attempt,) = world.ledger.attempts(run.run_id)
    assert attempt.evidence["check"] == "tail"


def test_a_change_inside_a_transaction_belongs_to_it(world: World) -> None:
    run = world.published()

    def load_and_fail() -> None:
        with world.database.transaction():
            assert world.ledger.mark_loaded(run.run_id, 1, SHA)
            raise KeyError("the rows don't fit")

    with pytest.raises(KeyError):
        load_and_fail()
    assert world.now(run) == run
