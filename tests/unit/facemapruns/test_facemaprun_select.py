"""Who gets which task, and what becomes of those that no one selects any more."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.contracts import (
    BindingState,
    ClaimedRun,
    ClaimRecord,
    Kind,
    Overrides,
    RunState,
    Wanted,
)
from fmdj_cloud.control.facemapruns.model import FacemapRunSpec
from fmdj_cloud.control.facemapruns.select import Allotment, Wish, allot
from fmdj_cloud.pipeline.survey import TaskStanding

NOW = dt.datetime(2026, 1, 31, 12)
BEFORE, AFTER = NOW - dt.timedelta(hours=1), NOW + dt.timedelta(hours=1)


def task(number: int = 1, state: RunState | None = None, *, result: bool = False, when: dt.datetime = BEFORE) -> Any:
    return TaskStanding(
        key={"recording_id": number},
        task_digest=f"d{number}",
        has_result=result,
        binding=BindingState.PLANNED if state else None,
        run_id=f"r{number}" if state else "",
        run_state=state,
        updated=when,
    )


def wish(uid: str, *tasks: TaskStanding, holds: bool = False, **spec: Any) -> Wish:
    spec = {"pipeline": "lab", "restriction": "true"} | spec
    return Wish(uid, f"run-{uid}", FacemapRunSpec.model_validate(spec), tasks, NOW, holds)


def claim(owner: str, number: int = 1, **changes: Any) -> ClaimRecord:
    fields: dict[str, Any] = {"held": False, "stopped": False, "leaving": False, "overrides": Overrides()}
    fields |= {"task_digest": f"d{number}", "owner": owner, "owner_name": f"run-{owner}"}
    return ClaimRecord(**fields | {"pipeline": "lab", "kind": Kind.SVD, "task": "{}"} | changes)


def run(state: str = "launched", wanted: str = "run", *, populates: bool = False) -> ClaimedRun:
    return ClaimedRun(run_id="r1", state=RunState(state), attempt=1, wanted=Wanted(wanted), populates=populates)


def outcome(
    wishes: list[Wish],
    claims: list[ClaimRecord],
    lasting: tuple[str, ...] = (),
    complete: tuple[str, ...] = (),
    may_cancel: bool = True,
) -> tuple[Allotment, dict[str, list[str]]]:
    found = allot(wishes, claims, lasting=lasting, complete=complete, may_cancel=may_cancel)
    return found, {share.wish.uid: [one.task_digest for one in share.takes] for share in found.shares}


def test_the_first_that_selects_a_task_gets_it() -> None:
    _, takes = outcome([wish("a", task(1), task(2)), wish("b", task(2), task(3))], [])
    assert takes == {"a": ["d1", "d2"], "b": ["d3"]}


def test_who_has_a_task_keeps_it_from_older_ones() -> None:
    found, takes = outcome([wish("a", task(1)), wish("b", task(1))], [claim("b")])
    assert takes == {"a": [], "b": []}
    assert (found.cancels, found.drops) == ([], [])


def test_what_is_over_belongs_to_nobody() -> None:
    over = [task(1, RunState.LOADED, result=True), task(2, RunState.FAILED), task(3, RunState.CANCELLED)]
    _, takes = outcome([wish("a", *over)], [])
    assert takes == {"a": []}


def test_a_task_of_one_that_is_gone_goes_to_the_next_that_selects_it() -> None:
    found, takes = outcome([wish("b", task(1)), wish("c", task(1))], [claim("a", run=run())])
    assert takes == {"b": ["d1"], "c": []}
    assert found.cancels == []


def test_what_nobody_selects_is_cancelled_once() -> None:
    begun = claim("a", run=run())
    assert outcome([], [begun])[0].cancels == [begun]
    leaving = claim("a", run=run(wanted="cancel"), leaving=True)
    found, _ = outcome([], [leaving])
    assert (found.cancels, found.drops) == ([], [])
    confirmed = claim("a", leaving=True)
    assert outcome([], [confirmed])[0].drops == [confirmed]


def test_a_cancellation_under_way_is_not_taken_back_but_waited_for() -> None:
    found, takes = outcome(
        [wish("b", task(1, RunState.LAUNCHED))], [claim("a", run=run(wanted="cancel"), leaving=True)]
    )
    assert takes == {"b": []}
    assert (found.cancels, found.drops) == ([], [])


@pytest.mark.parametrize(
    ("gone", "options"),
    [
        (claim("a"), {}),
        (claim("a", run=run(populates=True)), {}),
        (claim("a", run=run()), {"may_cancel": False}),
        (claim("a", run=run()), {"complete": ("a",)}),
    ],
)
def test_what_has_no_run_of_ours_or_is_wanted_anyway_is_only_let_go(gone: ClaimRecord, options: dict) -> None:
    found, _ = outcome([], [gone], **options)
    assert (found.cancels, found.drops) == ([], [gone])


def test_who_cannot_be_asked_now_keeps_everything() -> None:
    found, takes = outcome([wish("b", task(1))], [claim("a", run=run())], lasting=("a",))
    assert (takes, found.cancels, found.drops) == ({"b": []}, [], [])


def test_a_task_that_is_no_longer_selected_leaves() -> None:
    narrowed = claim("a", 2, run=run())
    found, takes = outcome([wish("a", task(1))], [claim("a", 1), narrowed])
    assert (takes, found.cancels) == ({"a": []}, [narrowed])


@pytest.mark.parametrize(("when", "again"), [(BEFORE, True), (AFTER, False)])
def test_failures_are_tried_again_once_for_each_edit(when: dt.datetime, again: bool) -> None:
    failed = task(1, RunState.FAILED, when=when)
    found, takes = outcome([wish("a", failed, retryFailed=True)], [])
    assert takes == {"a": ["d1"] if again else []}
    assert [one.task_digest for one in found.shares[0].again] == takes["a"]


def test_failures_of_its_own_are_tried_again_without_being_taken() -> None:
    found, takes = outcome([wish("a", task(1, RunState.FAILED), retryFailed=True)], [claim("a")])
    assert takes == {"a": []}
    assert [one.task_digest for one in found.shares[0].again] == ["d1"]


def test_failures_of_another_go_to_who_wants_them_tried_again() -> None:
    failed = task(1, RunState.FAILED)
    found, takes = outcome([wish("a", failed), wish("b", failed, retryFailed=True)], [claim("a")])
    assert takes == {"a": [], "b": ["d1"]}
    assert (found.cancels, found.drops) == ([], [])
    suspended = wish("b", failed, retryFailed=True, holds=True)
    assert outcome([wish("a", failed), suspended], [claim("a")])[1] == {"a": [], "b": []}


def test_refused_and_cancelled_tasks_are_tried_again_too() -> None:
    refused = TaskStanding({}, "d1", bound=True, binding=BindingState.REFUSED, since=BEFORE)
    assert outcome([wish("a", refused, retryFailed=True)], [])[1] == {"a": ["d1"]}
    assert outcome([wish("a", refused)], [])[1] == {"a": []}


def test_what_is_asked_for_otherwise_is_amended() -> None:
    same, other = claim("a", 1, overrides=Overrides(priority=3)), claim("a", 2)
    found, _ = outcome([wish("a", task(1), task(2), priority=3)], [same, other])
    assert found.shares[0].amends == [other]


def test_suspending_holds_what_has_not_started_and_nothing_else() -> None:
    unplanned, ready, running = claim("a", 1), claim("a", 2, run=run("ready")), claim("a", 3, run=run())
    tasks = [task(n) for n in (1, 2, 3)]
    found, _ = outcome([wish("a", *tasks, holds=True)], [unplanned, ready, running])
    assert found.shares[0].suspends == [unplanned, ready, running]
    held = [claim("a", n, held=True, run=one) for n, one in ((1, None), (3, run()))]
    held.append(claim("a", 2, held=True, stopped=True, run=run("held", "hold")))
    assert outcome([wish("a", *tasks, holds=True)], held)[0].shares[0].suspends == []
    retried = claim("a", 3, held=True, run=run("ready"))
    assert outcome([wish("a", *tasks, holds=True)], [retried])[0].shares[0].suspends == [retried]
    assert outcome([wish("a", *tasks)], held)[0].shares[0].resumes == held


_TASKS = st.integers(1, 4).flatmap(
    lambda n: st.builds(
        task,
        st.just(n),
        st.sampled_from([None, *RunState]),
        result=st.booleans(),
        when=st.sampled_from([BEFORE, AFTER]),
    )
)
_WISHES = st.lists(st.sampled_from("abc"), unique=True).flatmap(
    lambda uids: st.tuples(
        *(
            st.builds(
                lambda uid, tasks, again, holds: wish(uid, *tasks, retryFailed=again, holds=holds),
                st.just(uid),
                st.lists(_TASKS, unique_by=lambda one: one.task_digest),
                st.booleans(),
                st.booleans(),
            )
            for uid in uids
        )
    )
)
_RUNS = st.none() | st.builds(
    run, st.sampled_from(["ready", "launched", "published", "held"]), st.sampled_from(["run", "hold", "cancel"])
)
_CLAIMS = st.lists(st.integers(1, 4), unique=True).flatmap(
    lambda numbers: st.tuples(
        *(
            st.builds(
                lambda n, owner, held, leaving, run: claim(owner, n, held=held, leaving=leaving, run=run),
                st.just(n),
                st.sampled_from("abcd"),
                st.booleans(),
                st.booleans(),
                _RUNS,
            )
            for n in numbers
        )
    )
)


@given(_WISHES, _CLAIMS, st.sets(st.sampled_from("bd")), st.booleans())
def test_no_task_goes_two_ways(wishes: tuple, claims: tuple, lasting: set, may_cancel: bool) -> None:
    sure = [one for one in wishes if one.uid not in lasting]
    found, takes = outcome(list(sure), list(claims), tuple(lasting), may_cancel=may_cancel)
    taken = [digest for some in takes.values() for digest in some]
    leaving = [one.task_digest for one in (*found.cancels, *found.drops)]
    assert len(taken) == len(set(taken))
    assert not set(taken) & set(leaving)
    assert len(leaving) == len(set(leaving))
    owners = {one.task_digest: one.owner for one in claims}
    assert not {owners.get(digest) for digest in taken} & lasting
    for share in found.shares:
        selected = {one.task_digest for one in share.wish.tasks}
        assert {one.task_digest for one in (*share.takes, *share.again)} <= selected
        assert {one.owner for one in (*share.amends, *share.suspends, *share.resumes)} <= {share.wish.uid}
        assert not (share.suspends and share.resumes)
    if not may_cancel:
        assert not found.cancels
