"""Claims in the ledger, on every database."""

from __future__ import annotations

import logging

import pytest

from fmdj_cloud.contracts import ClaimRecord, Kind, Overrides, RunState, Wanted
from fmdj_cloud.errors import LostRaceError

from .conftest import PIPELINE, PLAN, Laboratory

pytestmark = pytest.mark.integration


def claim(lab: Laboratory, *keys: dict, owner: str = "a", held: bool = False, epoch: int = 1, **asked: object) -> None:
    tasks = [lab.lab.tasks(Kind.SVD).get(key) for key in keys]
    lab.ledger.claim_tasks(
        PIPELINE,
        Kind.SVD,
        [(task.key, task.task_digest, task.param_digest) for task in tasks if task is not None],
        owner=owner,
        owner_name=f"run-{owner}",
        overrides=Overrides.model_validate(asked),
        held=held,
        epoch=epoch,
    )


def only(lab: Laboratory) -> ClaimRecord:
    (found,) = lab.ledger.claims()
    return found


def test_only_claimed_tasks_are_pending_where_facemapruns_trigger(laboratory: Laboratory) -> None:
    first, second = laboratory.add_task(1), laboratory.add_task(2)
    assert laboratory.lab.tasks(Kind.SVD).pending(10) == []
    assert laboratory.lab.tasks(Kind.SVD).count_pending() == 0
    claim(laboratory, second)
    assert laboratory.lab.tasks(Kind.SVD).pending(10) == [second]
    assert laboratory.everything.tasks(Kind.SVD).pending(10) == [first, second]
    claim(laboratory, first, held=True)
    assert laboratory.lab.tasks(Kind.SVD).pending(10) == [second]
    assert laboratory.lab.tasks(Kind.SVD).count_pending() == 1


def test_thousands_of_claims_take_few_queries(laboratory: Laboratory, caplog: pytest.LogCaptureFixture) -> None:
    key = laboratory.add_task(1)
    recording = {name: key[name] for name in ("subject", "session_id", "recording_id")}
    rows = [{**recording, "facemap_task_id": n, "facemap_params": {}, "task_mode": "trigger"} for n in range(1, 1000)]
    laboratory.element.FacemapTask.insert(rows)
    keys = laboratory.everything.tasks(Kind.SVD).pending(2000)
    tasks = [(key, f"{n:064}", "p") for n, key in enumerate(keys)]
    with caplog.at_level(logging.DEBUG, logger="datajoint"):
        laboratory.ledger.claim_tasks(
            *(PIPELINE, Kind.SVD, tasks), owner="a", owner_name="a", overrides=Overrides(), held=False, epoch=1
        )
        assert len(_queries(caplog)) < 40
        caplog.clear()
        assert len(laboratory.lab.tasks(Kind.SVD).pending(2000)) == 1000
        assert len(laboratory.ledger.claims()) == 1000
        assert len(laboratory.ledger.claims_mark()) == 1
        assert len(laboratory.ledger.overrides([digest for _, digest, _ in tasks])) == 1000
        assert len(_queries(caplog)) == 3 + 5
        caplog.clear()
        laboratory.ledger.drop_claims(laboratory.ledger.claims(), forget=True, epoch=1)
        assert len(_queries(caplog)) < 60
    assert laboratory.lab.tasks(Kind.SVD).pending(10) == []


def _queries(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("Executing SQL")]


def test_what_is_asked_for_comes_with_the_claim(laboratory: Laboratory) -> None:
    key, other = laboratory.add_task(1), laboratory.add_task(2)
    claim(laboratory, key, priority=-3, profile="big", time_budget_s=60.0, shards="4")
    claim(laboratory, other)
    digests = {claim.task: claim.task_digest for claim in laboratory.ledger.claims()}
    asked = laboratory.ledger.overrides(list(digests.values()))
    assert sorted(asked.values(), key=str) == sorted(
        [Overrides(), Overrides(priority=-3, profile="big", time_budget_s=60.0, shards="4")], key=str
    )
    assert laboratory.ledger.overrides([]) == laboratory.ledger.overrides(["unknown"]) == {}
    laboratory.plan_pending()
    assert (laboratory.run_of(1).priority, laboratory.run_of(1).profile) == (-3, "big")
    assert laboratory.run_of(2).priority == 0


def test_a_claim_can_change_hands_with_its_priority(laboratory: Laboratory) -> None:
    key = laboratory.add_task(1)
    claim(laboratory, key, priority=5)
    laboratory.plan_pending()
    claim(laboratory, key, owner="b", priority=-5)
    assert (only(laboratory).owner, only(laboratory).owner_name) == ("b", "run-b")
    assert laboratory.run_of(1).priority == -5
    claim(laboratory, key, owner="b", priority=7)
    assert only(laboratory).overrides.priority == -5  # it is amended, not claimed again
    laboratory.ledger.amend_claims(
        PIPELINE, Kind.SVD, [only(laboratory).task_digest], Overrides(priority=7, profile="big"), epoch=1
    )
    assert only(laboratory).overrides == Overrides(priority=7, profile="big")
    assert laboratory.run_of(1).priority == 7


def test_only_the_leader_changes_claims(laboratory: Laboratory) -> None:
    key = laboratory.add_task(1)
    with pytest.raises(LostRaceError):
        claim(laboratory, key, epoch=7)
    claim(laboratory, key)
    laboratory.plan_pending()
    ledger, found = laboratory.ledger, laboratory.ledger.claims()
    run = laboratory.run_of(1)
    digests = [one.task_digest for one in found]
    for change in (
        lambda: ledger.cancel_claims(found, "", epoch=7),
        lambda: ledger.drop_claims(found, forget=True, epoch=7),
        lambda: ledger.suspend_claims(found, "", epoch=7),
        lambda: ledger.resume_claims(found, "", epoch=7),
        lambda: ledger.ask_again(PIPELINE, Kind.SVD, digests, "", epoch=7),
        lambda: ledger.amend_claims(PIPELINE, Kind.SVD, digests, Overrides(priority=1), epoch=7),
    ):
        with pytest.raises(LostRaceError):
            change()
    assert not ledger.amend_plan(run.run_id, run.attempt, PLAN, epoch=7)
    assert ledger.claims() == found
    assert laboratory.run_of(1) == run


def test_suspending_holds_ready_runs_only_and_resuming_lets_them_go(laboratory: Laboratory) -> None:
    for number in (1, 2, 3):
        claim(laboratory, laboratory.add_task(number))
    laboratory.plan_pending()
    laboratory.launch(2)
    laboratory.ledger.set_wanted(laboratory.run_of(3).run_id, Wanted.HOLD)  # by a person
    laboratory.ledger.suspend_claims(laboratory.ledger.claims(), "Suspended.", epoch=1)
    laboratory.obey()
    assert [laboratory.run_of(n).state.value for n in (1, 2, 3)] == ["held", "launched", "held"]
    assert {one.held for one in laboratory.ledger.claims()} == {True}
    assert sum(one.stopped for one in laboratory.ledger.claims()) == 1
    laboratory.ledger.resume_claims(laboratory.ledger.claims(), "On.", epoch=1)
    laboratory.obey()
    assert [laboratory.run_of(n).state.value for n in (1, 2, 3)] == ["ready", "launched", "held"]
    assert not any(one.held or one.stopped for one in laboratory.ledger.claims())


def test_a_run_that_was_launched_at_the_same_moment_is_not_held(laboratory: Laboratory) -> None:
    claim(laboratory, laboratory.add_task(1))
    laboratory.plan_pending()
    seen = laboratory.ledger.claims()
    laboratory.launch(1)
    laboratory.ledger.suspend_claims(seen, "Suspended.", epoch=1)
    assert (laboratory.run_of(1).state, laboratory.run_of(1).wanted) == (RunState.LAUNCHED, Wanted.RUN)
    assert not only(laboratory).stopped


def test_cancelling_ends_in_a_task_that_nobody_ever_asked_for(laboratory: Laboratory) -> None:
    key = laboratory.add_task(1)
    claim(laboratory, key, priority=4)
    laboratory.plan_pending()
    laboratory.launch(1)
    laboratory.ledger.cancel_claims(laboratory.ledger.claims(), "FacemapRun a was deleted.", epoch=1)
    assert laboratory.run_of(1).wanted is Wanted.CANCEL
    assert laboratory.run_of(1).sentence == "FacemapRun a was deleted."
    assert only(laboratory).leaving
    assert only(laboratory).run is not None
    assert laboratory.ledger.overrides([only(laboratory).task_digest]) == {}
    laboratory.obey()
    assert only(laboratory).run is None
    laboratory.ledger.drop_claims(laboratory.ledger.claims(), forget=True, epoch=1)
    assert laboratory.ledger.claims() == []
    assert laboratory.binding_state(key) is None
    claim(laboratory, key, owner="b")
    assert laboratory.plan_pending() == [1]
    assert (laboratory.run_of(1).state, laboratory.run_of(1).attempt) == (RunState.READY, 2)


def test_what_is_known_of_a_task_outlives_its_claim(laboratory: Laboratory) -> None:
    failed, cancelled, ready = (laboratory.add_task(n) for n in (1, 2, 3))
    claim(laboratory, failed, cancelled, ready, priority=4)
    laboratory.plan_pending()
    laboratory.fail(1)
    laboratory.ledger.set_wanted(laboratory.run_of(2).run_id, Wanted.CANCEL)  # by a person
    laboratory.obey()
    laboratory.ledger.drop_claims(laboratory.ledger.claims(), forget=True, epoch=1)
    assert [laboratory.run_of(n).state.value for n in (1, 2, 3)] == ["failed", "cancelled", "ready"]
    assert {laboratory.binding_state(key) for key in (failed, cancelled, ready)} == {"planned"}
    binding = laboratory.ledger.binding(PIPELINE, Kind.SVD, failed)
    assert binding is not None
    assert binding.priority == 0


def test_failures_can_be_asked_for_again_but_nothing_that_goes_on(laboratory: Laboratory) -> None:
    keys = [laboratory.add_task(n) for n in (1, 2)]
    claim(laboratory, *keys)
    laboratory.plan_pending()
    laboratory.fail(1)
    digests = [one.task_digest for one in laboratory.ledger.claims()]
    laboratory.ledger.ask_again(PIPELINE, Kind.SVD, digests, "Again.", epoch=1)
    assert [laboratory.binding_state(key) for key in keys] == ["pending", "planned"]
    assert laboratory.plan_pending() == [1]
    assert (laboratory.run_of(1).state, laboratory.run_of(1).attempt) == (RunState.READY, 2)


def test_plans_change_only_before_they_start(laboratory: Laboratory) -> None:
    claim(laboratory, laboratory.add_task(1))
    laboratory.plan_pending()
    run = laboratory.run_of(1)
    big = PLAN.model_copy(update={"profile": "big"})
    assert laboratory.ledger.amend_plan(run.run_id, 1, big, epoch=1)
    assert laboratory.run_of(1).profile == "big"
    assert laboratory.ledger.plan_of(run.run_id) == big
    assert not laboratory.ledger.amend_plan(run.run_id, 2, PLAN, epoch=1)
    laboratory.launch(1)
    assert not laboratory.ledger.amend_plan(run.run_id, 1, PLAN, epoch=1)


def test_the_mark_changes_with_the_runs_of_claimed_tasks(laboratory: Laboratory) -> None:
    claim(laboratory, laboratory.add_task(1))
    marks = [laboratory.ledger.claims_mark()]
    for step in (laboratory.plan_pending, lambda: laboratory.launch(1), lambda: laboratory.load(1)):
        step()
        marks.append(laboratory.ledger.claims_mark())
    assert len(set(marks)) == 4
    assert laboratory.ledger.claims_mark() == marks[-1]
