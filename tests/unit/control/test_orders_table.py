"""What an order means as things stand: one row per answer."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest

from fmdj_cloud.contracts import BindingRecord, BindingState, Estimate, Kind, RunRecord, RunState, Wanted
from fmdj_cloud.control.orders import Look, Move, Order, decide_order

NOW = dt.datetime(2026, 1, 15, 12, 0)


def binding(state: BindingState = BindingState.PLANNED) -> BindingRecord:
    return BindingRecord(
        pipeline="lab",
        kind=Kind.SVD,
        key={"subject": "m1"},
        task_digest="t",
        state=state,
        since=NOW,
        next_look=None,
        failure_class=None,
        sentence="",
        priority=0,
        wanted=Wanted.RUN,
        param_digest="p",
        changed=0,
        run_id="svd-0123456789abcdef",
    )


def run(state: RunState, wanted: Wanted = Wanted.RUN, **changes: Any) -> RunRecord:
    estimate = Estimate(frames=1, height=1, width=1, seconds=1, memory_mib=1, scratch_mib=1, source="guess")
    values: dict[str, Any] = {
        "run_id": "svd-0123456789abcdef",
        "kind": Kind.SVD,
        "task_kind": Kind.SVD,
        "pipeline": "lab",
        "task": "{}",
        "task_digest": "t",
        "content_digest": "c",
        "param_digest": "p",
        "state": state,
        "wanted": wanted,
        "attempt": 2,
        "priority": 0,
        "output_dir": "s3://b/p",
        "manifest_sha256": None,
        "failure_class": None,
        "sentence": "",
        "not_before": None,
        "failures": {},
        "estimate": estimate,
        "created": NOW,
        "updated": NOW,
    }
    return RunRecord(**values | changes)


def look(
    run: RunRecord | None = None,
    state: BindingState | None = BindingState.PLANNED,
    *,
    exists: bool = True,
    has_result: bool = False,
) -> Look:
    return Look(exists, has_result, binding(state) if state is not None else None, run, "FacialSignal")


UNKNOWN = look(state=None)
S, B = RunState, BindingState
CASES = [
    (Order.RETRY, UNKNOWN, Move.NOTHING, "pending already"),
    (Order.RETRY, look(state=B.REFUSED), Move.REOPEN, "pending again"),
    (Order.RETRY, look(state=B.WAITING), Move.REOPEN, "pending again"),
    (Order.RETRY, look(state=B.CANCELLED), Move.REOPEN, "pending again"),
    (Order.RETRY, look(state=B.HELD), Move.NOTHING, "release it"),
    (Order.RETRY, look(run(S.FAILED), state=B.PENDING), Move.NOTHING, "pending already"),
    (Order.RETRY, look(run(S.FAILED)), Move.REOPEN, "pending again"),
    (Order.RETRY, look(run(S.CANCELLED)), Move.REOPEN, "pending again"),
    (Order.RETRY, look(run(S.LAUNCHED)), Move.NOTHING, "It is launched"),
    (Order.RETRY, look(run(S.LAUNCHED, Wanted.CANCEL)), Move.WANT_RUN, "goes on"),
    (Order.RETRY, look(run(S.HELD, Wanted.HOLD)), Move.NOTHING, "release it"),
    (Order.RETRY, look(run(S.READY, not_before=NOW)), Move.HURRY, "Attempt 2"),
    (Order.RETRY, look(run(S.LOADED), has_result=True), Move.NOTHING, "delete its FacialSignal row"),
    (Order.RETRY, look(run(S.LOADED)), Move.NOTHING, "results are gone"),
    (Order.CANCEL, UNKNOWN, Move.CANCEL_TASK, "cancelled"),
    (Order.CANCEL, look(run(S.LAUNCHED)), Move.WANT_CANCEL, "controller"),
    (Order.CANCEL, look(run(S.PUBLISHED)), Move.WANT_CANCEL, "controller"),
    (Order.CANCEL, look(run(S.LAUNCHED), exists=False), Move.WANT_CANCEL, "controller"),
    (Order.CANCEL, look(run(S.HELD, Wanted.HOLD)), Move.WANT_CANCEL, "controller"),
    (Order.CANCEL, look(run(S.FAILED)), Move.NOTHING, "failed already"),
    (Order.CANCEL, look(run(S.LOADED), has_result=True), Move.NOTHING, "done"),
    (Order.HOLD, UNKNOWN, Move.HOLD_TASK, "held"),
    (Order.HOLD, look(run(S.READY)), Move.WANT_HOLD, "controller"),
    (Order.HOLD, look(run(S.PUBLISHED)), Move.WANT_HOLD, "aren't loaded"),
    (Order.HOLD, look(run(S.LAUNCHED, Wanted.CANCEL)), Move.NOTHING, "about to be cancelled"),
    (Order.HOLD, look(state=B.REFUSED), Move.NOTHING, "refused"),
    (Order.RELEASE, look(run(S.HELD, Wanted.HOLD)), Move.WANT_RUN, "goes on"),
    (Order.RELEASE, look(run(S.LAUNCHED, Wanted.HOLD)), Move.WANT_RUN, "goes on"),
    (Order.RELEASE, look(state=B.HELD), Move.REOPEN, "pending again"),
    (Order.RELEASE, look(run(S.LAUNCHED)), Move.NOTHING, "isn't held"),
    (Order.RELEASE, UNKNOWN, Move.NOTHING, "isn't held"),
]


@pytest.mark.parametrize(("order", "seen", "move", "words"), CASES)
def test_an_order_means_one_change(order: Order, seen: Look, move: Move, words: str) -> None:
    decision = decide_order(order, seen)
    assert decision.move is move
    assert words in decision.sentence


def test_an_order_has_an_answer_whatever_is_seen() -> None:
    runs = [None, *(run(state, wanted) for state, wanted in itertools.product(RunState, Wanted))]
    for order, one, state, exists, result in itertools.product(
        Order, runs, [None, *BindingState], (True, False), (True, False)
    ):
        seen = look(one, state, exists=exists, has_result=result)
        decision = decide_order(order, seen)
        assert decision.sentence.endswith(".")
        if decision.move in (Move.WANT_RUN, Move.WANT_HOLD, Move.WANT_CANCEL, Move.HURRY):
            assert seen.under_way is not None
        if decision.move is Move.REOPEN:
            assert seen.binding is not None
        if decision.move in (Move.HOLD_TASK, Move.CANCEL_TASK):
            assert exists
