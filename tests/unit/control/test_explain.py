"""Why a task is not done: one row per answer."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from fmdj_cloud.contracts import (
    REUSE,
    AttemptRecord,
    BindingRecord,
    BindingState,
    Estimate,
    FailureClass,
    Kind,
    Limits,
    Progress,
    QualityCheck,
    RunRecord,
    RunState,
    Verdict,
    Wanted,
)
from fmdj_cloud.control.advice import ADVICE
from fmdj_cloud.control.courtesy_words import ELSEWHERE
from fmdj_cloud.control.explain import Observation, explain

NOW = dt.datetime(2026, 1, 15, 12, 0)
KEY = {"subject": "m1", "recording_id": 3}


def binding(**changes: Any) -> BindingRecord:
    values: dict[str, Any] = {
        "pipeline": "lab",
        "kind": Kind.SVD,
        "key": KEY,
        "task_digest": "t",
        "state": BindingState.PLANNED,
        "since": NOW,
        "next_look": None,
        "failure_class": None,
        "sentence": "",
        "priority": 0,
        "wanted": Wanted.RUN,
        "param_digest": "p",
        "changed": 0,
        "run_id": None,
    }
    return BindingRecord(**(values | changes))


def run(state: RunState, **changes: Any) -> RunRecord:
    estimate = Estimate(frames=9, height=9, width=9, seconds=9, memory_mib=9, scratch_mib=9, source="header")
    values: dict[str, Any] = {
        "run_id": "svd-0123456789abcdef",
        "kind": Kind.SVD,
        "task_kind": Kind.SVD,
        "pipeline": "lab",
        "task": '{"recording_id":3,"subject":"m1"}',
        "task_digest": "t",
        "content_digest": "c",
        "param_digest": "p",
        "state": state,
        "wanted": Wanted.RUN,
        "attempt": 2,
        "priority": 0,
        "output_dir": "s3://b/p/x",
        "manifest_sha256": None,
        "failure_class": None,
        "sentence": "",
        "not_before": None,
        "failures": {},
        "estimate": estimate,
        "created": NOW,
        "updated": NOW,
    }
    return RunRecord(**(values | changes))


def observe(**changes: Any) -> Observation:
    values: dict[str, Any] = {
        "pipeline": "lab",
        "kind": Kind.SVD,
        "result_name": "FacialSignal",
        "key": KEY,
        "exists": True,
        "has_result": False,
        "edited": False,
        "brake": False,
        "seen": True,
        "leader": "host-1",
        "binding": None,
        "run": None,
        "now": NOW,
        "silent_s": 300,
    }
    return Observation(**(values | changes))


def attempted(**changes: Any) -> AttemptRecord:
    values: dict[str, Any] = {
        "run_id": "r",
        "attempt": 2,
        "folder": "s3://b/p/x/a2",
        "spec_sha256": "0" * 64,
        "launcher": "local",
        "job_name": "j",
        "job_uid": None,
        "started": NOW,
        "finished": None,
        "outcome": None,
        "sentence": "",
        "evidence": {},
        "limits": Limits(time_budget_s=1, memory_mib=1, scratch_mib=1, threads=1),
    }
    return AttemptRecord(**(values | changes))


def populating(ago_s: float = 5, **changes: Any) -> Observation:
    """A task that populate() computes, last heard of so long ago."""
    then = NOW - dt.timedelta(seconds=ago_s)
    attempt = attempted(launcher="populate", job_uid="rig-3/4711/1/boot/x", started=NOW - dt.timedelta(hours=1))
    wanted = changes.pop("wanted", Wanted.RUN)
    return observe(run=run(RunState.LAUNCHED, updated=then, wanted=wanted), attempts=(attempt,), **changes)


PROGRESS = Progress(
    run_id="r", attempt=2, stage="projection", frames_done=5, frames_total=10, frames_per_s=2, eta_s=3, at_epoch_s=0
)
CASES = [
    (observe(exists=False), "no task", "no such task", "Check the key"),
    (observe(has_result=True, run=run(RunState.LOADED)), "done", "loaded on 2026-01-15", "fetch it"),
    (observe(has_result=True), "done", "not loaded by us", "Delete the FacialSignal row"),
    (observe(seen=False, leader=None), "pending", "No controller has seen", "fmdj controller"),
    (observe(), "pending", "waiting to be planned", "by itself"),
    (observe(leader=None), "pending", "waiting to be planned", "No controller is running"),
    (observe(unclaimed=True), "pending", "No FacemapRun selects it", "Apply a FacemapRun"),
    (observe(brake=True), "braked", "many pending tasks", "fmdj release"),
    (
        observe(binding=binding(state=BindingState.WAITING, sentence="no such video", next_look=NOW)),
        "waiting",
        "no such video The next look is at 12:00",
        "Upload",
    ),
    (
        observe(binding=binding(state=BindingState.REFUSED, sentence="bad ROI", failure_class=FailureClass.INPUT)),
        "refused",
        "bad ROI",
        "an edited task is planned again",
    ),
    (observe(binding=binding(state=BindingState.HELD)), "held", "Somebody holds it", "release"),
    (observe(run=run(RunState.READY)), "ready", "waits for a free slot", "by itself"),
    (
        observe(run=run(RunState.READY, not_before=NOW + dt.timedelta(minutes=1), sentence="the store was away")),
        "ready",
        "starts at 12:01:00 UTC. The last one failed: the store was away",
        "by itself",
    ),
    (observe(run=run(RunState.LAUNCHED)), "launched", "reported no progress yet", "by itself"),
    (observe(run=run(RunState.LAUNCHED, sentence="No node is free.")), "launched", "waits: No node", "by itself"),
    (
        observe(run=run(RunState.LAUNCHED), progress=PROGRESS),
        "launched",
        "projection: 5 of 10 frames, 2 frames/s, about 3 s to go",
        "by itself",
    ),
    (observe(run=run(RunState.PUBLISHED)), "published", "loader writes them", "fmdj loader"),
    (
        observe(run=run(RunState.LAUNCHED, wanted=Wanted.CANCEL)),
        "launched",
        "asked to cancel it",
        "by itself",
    ),
    (observe(run=run(RunState.CANCELLED)), "cancelled", "Somebody cancelled it", "fmdj retry KEY"),
    (observe(run=run(RunState.HELD)), "held", "Somebody holds it", "release"),
    (observe(run=run(RunState.FAILED), edited=True), "edited", "planned again", "by itself"),
    (
        populating(),
        "launched",
        "populate() in process 4711 on rig-3 computes attempt 2 since 2026-01-15 11:00 UTC; its last sign of life is "
        "5 s old.",
        "if it was killed, the task is free 300 s after it was last heard of. `fmdj cancel KEY` ends it.",
    ),
    (populating(progress=PROGRESS), "launched", "at projection: 5 of 10 frames", "as long as that process lives"),
    (populating(301), "launched", "last heard of at 2026-01-15 11:54:59 UTC: it was killed, hangs", "by itself"),
    (populating(301, leader=None), "launched", "was killed", "Call populate() again, or start one"),
    (populating(wanted=Wanted.HOLD), "launched", "asked to hold it; populate() in process 4711", "by itself"),
    (
        observe(run=run(RunState.PUBLISHED), attempts=(attempted(launcher="populate"),)),
        "published",
        "loader writes them",
        "(`fmdj loader`), or call FacialSignal.populate().",
    ),
    (observe(run=run(RunState.LOADED)), "pending", "waiting to be planned", "by itself"),
]


@pytest.mark.parametrize(("observed", "state", "why", "advice"), CASES, ids=lambda value: str(value)[:24])
def test_a_task_is_explained(observed: Observation, state: str, why: str, advice: str) -> None:
    found = explain(observed)
    assert found.state == state
    assert why in found.why
    assert advice in found.advice


@pytest.mark.parametrize("failure", list(FailureClass))
def test_every_failure_class_has_advice(failure: FailureClass) -> None:
    found = explain(observe(run=run(RunState.FAILED, failure_class=failure, sentence="That failed.")))
    assert found.why == "That failed."
    assert found.advice == f"{ADVICE[failure]} `fmdj retry KEY` tries again."
    assert ADVICE[failure].endswith((".", "?"))


def checked(name: str, verdict: Verdict) -> QualityCheck:
    return QualityCheck(
        run_id="r", attempt=2, check=name, value=1, threshold=0, verdict=verdict, sentence="It is so.", checked=NOW
    )


def test_checks_of_outputs_that_failed_are_named_together_if_all_can_be_accepted() -> None:
    failed = run(RunState.FAILED, failure_class=FailureClass.LOAD, sentence="It is flat.")
    found = tuple(checked(name, Verdict.FAIL) for name in ("flat", "tail", "flat"))
    assert "`fmdj retry KEY --accept flat --accept tail`" in explain(observe(run=failed, quality=found)).advice
    found = (*found, checked("seams", Verdict.WARN), checked("frames", Verdict.FAIL))
    assert "--accept" not in explain(observe(run=failed, quality=found)).advice


def test_what_is_flagged_in_a_result_is_to_be_looked_at() -> None:
    loaded = run(RunState.LOADED)
    good, flagged = checked("flat", Verdict.PASS), checked("seams", Verdict.WARN)
    assert explain(observe(run=loaded, has_result=True, quality=(good,))).advice == "Nothing: fetch it."
    said = explain(observe(run=loaded, has_result=True, quality=(good, flagged)))
    assert said.advice == "Look at what is flagged (1)."
    assert said.quality == (good, flagged)


def test_a_failed_check_that_can_be_accepted_is_named() -> None:
    attempt = attempted(finished=NOW, outcome="input", evidence={"check": "missing_frames"})
    failed = run(RunState.FAILED, failure_class=FailureClass.INPUT, sentence="Cut.")
    assert "--accept missing_frames" in explain(observe(run=failed, attempts=(attempt,))).advice


def test_a_failed_run_that_was_retried_is_pending() -> None:
    found = explain(observe(binding=binding(state=BindingState.PENDING, sentence="Retried."), run=run(RunState.FAILED)))
    assert (found.state, found.why) == ("pending", "Retried. It is waiting to be planned.")


def test_a_task_cancelled_before_it_had_a_run_says_so() -> None:
    found = explain(observe(binding=binding(state=BindingState.CANCELLED, sentence="Cancelled by ann@lab.")))
    assert (found.state, found.why) == ("cancelled", "Cancelled by ann@lab.")


def test_a_task_that_somebody_else_has_in_hand_waits_for_them() -> None:
    told = f"{ELSEWHERE}alice has reserved it."
    found = explain(observe(binding=binding(state=BindingState.WAITING, sentence=told)))
    assert (found.state, found.why) == ("waiting", told)
    assert "fmdj never takes what others have reserved" in found.advice


@pytest.mark.parametrize("state", [RunState.PUBLISHED, RunState.LOADED])
def test_a_result_that_another_run_computed_says_so(state: RunState) -> None:
    attempt = attempted(finished=NOW, outcome="published", launcher=REUSE, sentence="Its outputs are those of svd-1.")
    found = explain(observe(has_result=state is RunState.LOADED, run=run(state), attempts=(attempt,)))
    assert found.why.endswith("Its outputs are those of svd-1.")
