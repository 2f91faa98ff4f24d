"""FacemapRuns from kubectl to the ledger and back, on every database."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import Engine, Kind, RunState, Wanted
from fmdj_cloud.control.kube.resources import FACEMAPRUNS

from .conftest import Site

pytestmark = pytest.mark.integration


def test_from_kubectl_apply_to_complete(site: Site) -> None:
    lab = site.laboratory
    for number in (1, 2, 3):
        lab.add_task(number)
    site.apply("mine", restriction="recording_id < 3")
    site.settle()
    assert site.counts("mine") == {"selected": 2, "waiting": 2}
    assert site.condition("mine", "Accepted") == ("True", "Accepted")
    assert site.plan() == [1, 2]
    lab.launch(1)
    site.settle()
    assert site.counts("mine") == {"selected": 2, "waiting": 1, "running": 1}
    lab.load(2)
    lab.publish(1)
    site.settle()
    assert site.counts("mine") == {"selected": 2, "running": 1, "loaded": 1}
    assert site.condition("mine", "Complete") == ("False", "InProgress")
    lab.load(1)
    site.settle()
    assert site.counts("mine") == {"selected": 2, "loaded": 2}
    assert site.condition("mine", "Complete") == ("True", "AllLoaded")
    assert site.condition("mine", "Failed") == ("False", "NoFailures")
    assert site.owners() == {}
    assert site.status("mine")["observedGeneration"] == 1
    assert site.status("mine")["instance"] == site.settings.instance


def test_keys_and_restriction_must_both_hold(site: Site) -> None:
    for number in (1, 2, 3):
        site.laboratory.add_task(number)
    site.apply("some", keys=[{"recording_id": 1}, {"recording_id": "2"}], restriction='subject="m1" AND recording_id>1')
    site.settle()
    assert site.owners() == {2: "some"}


def test_what_the_server_refuses_is_told_and_nothing_else_suffers(site: Site) -> None:
    site.laboratory.add_task(1)
    site.apply("bad", restriction="abs(recording_id) = 1 AND task_mode > lower(task_mode + 1)")
    site.apply("good")
    site.settle()
    assert site.owners() in ({1: "good"}, {1: "bad"})
    if site.laboratory.database.backend == "postgresql":
        assert site.condition("bad", "Accepted") == ("False", "InvalidRestriction")
        assert "refuses the restriction" in site.message("bad")


def test_the_first_owns_a_task_and_the_other_watches(site: Site) -> None:
    lab = site.laboratory
    for number in (1, 2):
        lab.add_task(number)
    site.apply("first", restriction="recording_id = 1")
    site.apply("second")
    site.settle()
    assert site.owners() == {1: "first", 2: "second"}
    assert site.plan() == [1, 2]
    lab.load(1)
    site.settle()
    assert site.counts("second") == {"selected": 2, "waiting": 1, "loaded": 1}
    assert site.condition("first", "Complete") == ("True", "AllLoaded")
    lab.load(2)
    site.settle()
    assert site.condition("second", "Complete") == ("True", "AllLoaded")
    assert len(lab.ledger.runs()) == 2


def test_deleting_cancels_what_was_started_and_waits_for_it(site: Site) -> None:
    lab = site.laboratory
    keys = [lab.add_task(number) for number in (1, 2, 3, 4)]
    site.apply("mine")
    site.settle()
    site.plan()
    lab.launch(1)
    lab.load(2)
    lab.fail(3)
    site.settle()
    site.delete("mine")
    site.settle()
    assert site.exists("mine")
    assert lab.run_of(1).wanted is Wanted.CANCEL
    assert "mine was deleted" in lab.run_of(1).sentence
    lab.obey()
    site.settle()
    assert not site.exists("mine")
    assert [lab.run_of(n).state.value for n in (1, 2, 3, 4)] == ["cancelled", "loaded", "failed", "cancelled"]
    assert [lab.binding_state(key) for key in keys] == [None, "planned", "planned", None]
    assert lab.lab.tasks(Kind.SVD).pending(10) == []


def test_who_selects_it_too_takes_over_what_another_leaves(site: Site) -> None:
    lab = site.laboratory
    for number in (1, 2):
        lab.add_task(number)
    site.apply("first")
    site.apply("second", restriction="recording_id = 2", priority=-7)
    site.settle()
    site.plan()
    lab.launch(1, 2)
    site.delete("first")
    site.settle()
    assert site.owners() == {2: "second"}
    assert [lab.run_of(n).wanted.value for n in (1, 2)] == ["cancel", "run"]
    assert lab.run_of(2).priority == -7
    lab.obey()
    site.settle()
    assert not site.exists("first")
    assert lab.run_of(2).state is RunState.LAUNCHED


def test_what_is_being_cancelled_is_waited_for_before_it_is_started_again(site: Site) -> None:
    lab = site.laboratory
    lab.add_task(1)
    site.apply("first")
    site.settle()
    site.plan()
    lab.launch(1)
    site.delete("first")
    site.settle()
    site.apply("second")
    site.settle()
    assert lab.run_of(1).wanted is Wanted.CANCEL
    assert site.owners() == {}
    lab.obey()
    site.settle()
    assert (site.exists("first"), site.owners()) == (False, {1: "second"})
    assert site.plan() == [1]
    assert lab.run_of(1).attempt == 2


def test_deleting_before_anything_started_leaves_no_trace(site: Site) -> None:
    key = site.laboratory.add_task(1)
    site.apply("mine", priority=3)
    site.settle()
    assert site.laboratory.binding_state(key) == "pending"
    site.delete("mine")
    site.settle()
    assert not site.exists("mine")
    assert site.laboratory.binding_state(key) is None


def test_new_tasks_join_until_it_is_complete(site: Site) -> None:
    lab = site.laboratory
    site.apply("mine")
    site.settle()
    assert site.condition("mine", "Complete") == ("False", "NothingSelected")
    for number in (1, 2):
        lab.add_task(number)
        site.settle()
        assert site.plan() == [number]
    lab.load(1, 2)
    site.settle()
    assert site.condition("mine", "Complete")[0] == "True"
    lab.add_task(3)
    lab.delete_result(lab.add_task(4) | {"recording_id": 1})
    site.settle()
    assert (site.owners(), site.plan(), site.counts("mine")) == ({}, [], {"selected": 2, "loaded": 2})


def test_editing_looks_anew(site: Site) -> None:
    lab = site.laboratory
    for number in (1, 2, 3):
        lab.add_task(number)
    site.apply("mine", restriction="recording_id <= 2")
    site.settle()
    site.plan()
    lab.launch(1)
    lab.load(2)
    site.apply("mine", restriction="recording_id >= 2")
    site.settle()
    assert site.owners() == {2: "mine", 3: "mine"}
    assert lab.run_of(1).wanted is Wanted.CANCEL
    assert "selects it no more" in lab.run_of(1).sentence
    lab.obey()
    site.settle()
    site.plan()
    lab.load(3)
    site.settle()
    assert site.condition("mine", "Complete")[0] == "True"
    site.apply("mine", restriction="true")
    site.settle()
    assert site.status("mine")["observedGeneration"] == 3
    assert site.condition("mine", "Complete") == ("False", "InProgress")
    assert site.plan() == [1]


def test_an_edit_that_is_not_accepted_changes_nothing(site: Site) -> None:
    site.laboratory.add_task(1)
    site.apply("mine")
    site.settle()
    site.plan()
    site.laboratory.launch(1)
    site.apply("mine", restriction="nonsense")
    site.settle()
    assert site.condition("mine", "Accepted") == ("False", "InvalidRestriction")
    assert site.owners() == {1: "mine"}
    assert site.laboratory.run_of(1).wanted is Wanted.RUN
    site.delete("mine")
    site.settle()
    assert site.laboratory.run_of(1).wanted is Wanted.CANCEL


def test_suspending_holds_what_has_not_started(site: Site) -> None:
    lab = site.laboratory
    for number in (1, 2, 3):
        lab.add_task(number)
    site.apply("mine", restriction="recording_id < 3")
    site.settle()
    site.plan()
    lab.launch(1)
    site.apply("mine", suspend=True)
    site.settle()
    lab.obey()
    assert [lab.run_of(n).state.value for n in (1, 2)] == ["launched", "held"]
    assert site.plan() == []
    assert site.condition("mine", "Complete") == ("False", "Suspended")
    lab.load(1)
    site.settle()
    assert site.counts("mine") == {"selected": 3, "waiting": 2, "loaded": 1}
    site.apply("mine", suspend=False)
    site.settle()
    lab.obey()
    assert lab.run_of(2).state is RunState.READY
    assert site.plan() == [3]


def test_made_suspended_it_starts_nothing(site: Site) -> None:
    site.laboratory.add_task(1)
    site.apply("mine", suspend=True)
    site.settle()
    assert site.plan() == []
    site.apply("mine", suspend=False)
    site.settle()
    assert site.plan() == [1]


def test_failures_are_told_and_tried_again_once_when_asked(site: Site) -> None:
    lab = site.laboratory
    for number in (1, 2):
        lab.add_task(number)
    site.apply("mine")
    site.settle()
    site.plan()
    lab.fail(1)
    lab.load(2)
    site.settle()
    assert site.condition("mine", "Complete") == ("True", "SomeFailed")
    assert site.condition("mine", "Failed") == ("True", "TasksFailed")
    (failure,) = site.status("mine")["failures"]
    assert failure["class"] == "input"
    assert "recording_id=1" in failure["task"]
    assert failure["sentence"] == "The video of 1 is empty."
    site.apply("mine", retryFailed=True)
    site.settle()
    assert site.counts("mine") == {"selected": 2, "waiting": 1, "loaded": 1}
    assert site.plan() == [1]
    assert lab.run_of(1).attempt == 2
    lab.fail(1)
    site.settle()
    assert site.condition("mine", "Complete") == ("True", "SomeFailed")
    assert site.plan() == []


def test_another_may_ask_again_for_what_failed(site: Site) -> None:
    lab = site.laboratory
    for number in (1, 2):
        lab.add_task(number)
    site.apply("first")
    site.settle()
    site.plan()
    lab.fail(1)
    site.settle()
    site.apply("watcher", restriction="recording_id = 1")
    site.settle()
    site.apply("again", restriction="recording_id = 1", retryFailed=True)
    site.settle()
    assert site.condition("watcher", "Complete") == ("True", "SomeFailed")
    assert site.owners() == {1: "again", 2: "first"}
    assert site.plan() == [1]
    lab.load(1)
    site.settle()
    assert site.counts("first") == {"selected": 2, "waiting": 1, "loaded": 1}
    assert site.condition("again", "Complete") == ("True", "AllLoaded")


def test_overrides_reach_what_has_not_started_yet(site: Site) -> None:
    lab = site.laboratory
    for number in (1, 2):
        lab.add_task(number)
    site.apply("mine", priority=3)
    site.settle()
    site.plan()
    lab.launch(1)
    assert lab.run_of(2).priority == 3
    site.apply("mine", priority=-3, profile="big", timeBudget="2h", shards=4)
    site.settle()
    assert (lab.run_of(2).priority, lab.run_of(2).profile) == (-3, "big")
    assert lab.ledger.plan_of(lab.run_of(2).run_id).limits.time_budget_s == 7200
    assert lab.run_of(1).profile == ""
    plan = lab.ledger.plan_of(lab.run_of(2).run_id)
    assert lab.run_of(2).shards == plan.shards == (4 if plan.engine is Engine.TURBO else None)
    assert any("shards are asked for" in note for note in plan.notes) == (plan.shards is None)
    site.client.patch(FACEMAPRUNS, "mine", {"spec": {"profile": None, "timeBudget": None}})
    site.settle()
    assert lab.run_of(2).profile == ""
    assert lab.ledger.plan_of(lab.run_of(2).run_id).limits.time_budget_s == 21600


def test_where_all_is_computed_it_only_sets_priorities_and_watches(site: Site) -> None:
    lab = site.laboratory
    site.restart(trigger="all")
    keys = [lab.add_task(number) for number in (1, 2)]
    site.apply("mine", restriction="recording_id = 1", priority=-4, suspend=True)
    site.settle()
    assert "All pending tasks are computed anyway" in site.message("mine")
    assert [key["recording_id"] for key in lab.everything.tasks(Kind.SVD).pending(10)] == [1, 2]
    assert site.plan() == [1]
    assert lab.run_of(1).priority == -4
    lab.launch(1)
    site.delete("mine")
    site.settle()
    assert not site.exists("mine")
    assert lab.run_of(1).wanted is Wanted.RUN
    assert lab.binding_state(keys[0]) == "planned"


def test_hundreds_of_tasks_take_few_queries(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    lab = site.laboratory
    key = lab.add_task(1)
    recording = {name: key[name] for name in ("subject", "session_id", "recording_id")}
    rows = [{**recording, "facemap_task_id": n, "facemap_params": {}, "task_mode": "trigger"} for n in range(1, 600)]
    lab.element.FacemapTask.insert(rows)
    site.apply("mine")
    with caplog.at_level("DEBUG", logger="datajoint"):
        site.reconcile()
        assert len(_queries(caplog)) < 50
        caplog.clear()
        site.reconcile(later_s=100)
        assert len(_queries(caplog)) < 10
        caplog.clear()
        site.reconcile(later_s=1)
        assert len(_queries(caplog)) <= 1 + 9
        caplog.clear()
        site.reconcile(later_s=1)
        assert len(_queries(caplog)) == 1
    assert len(lab.lab.tasks(Kind.SVD).pending(1000)) == 600


def _queries(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("Executing SQL")]
