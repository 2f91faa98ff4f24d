"""What the status of a FacemapRun says."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from fmdj_cloud.contracts import BindingState, Estimate, FailureClass, Limits, Overrides, Progress, RunPlan, RunState
from fmdj_cloud.control.facemapruns.model import FacemapRun
from fmdj_cloud.control.facemapruns.overrides import overridden
from fmdj_cloud.control.facemapruns.standing import Stand, frames_of, stand_of
from fmdj_cloud.control.facemapruns.status import Verdict, build_status, differs, merge_patch
from fmdj_cloud.pipeline.survey import TaskStanding
from fmdj_cloud.settings import ControllerSettings

NOW = dt.datetime(2026, 1, 31, 12)
ACCEPTED = Verdict("Accepted", "It selects tasks.", accepted=True)


def planned(number: int, state: RunState, *, result: bool = False, frames: int = 100, **more: Any) -> TaskStanding:
    return TaskStanding(
        key={"recording_id": number},
        task_digest=f"d{number}",
        binding=BindingState.PLANNED,
        has_result=result,
        run_id=f"r{number}",
        run_state=state,
        frames=frames,
        **more,
    )


def bound(state: BindingState | None, **more: Any) -> TaskStanding:
    return TaskStanding(key={"recording_id": 9}, task_digest="d9", binding=state, **more)


def status_of(*tasks: TaskStanding, verdict: Verdict = ACCEPTED, run: FacemapRun | None = None, **more: Any) -> dict:
    options: dict[str, Any] = {"instance": "here", "suspended": False, "observed_at": NOW, "now": NOW} | more
    run = run or FacemapRun(name="a", uid="u")
    return build_status(run, verdict, tasks, options.pop("progress", {}), **options)


def conditions(status: dict) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


@pytest.mark.parametrize(
    ("task", "stand"),
    [
        (bound(None), Stand.WAITING),
        (bound(BindingState.PENDING), Stand.WAITING),
        (bound(BindingState.PENDING, run_state=RunState.FAILED), Stand.WAITING),
        (bound(BindingState.WAITING), Stand.WAITING),
        (bound(BindingState.HELD), Stand.WAITING),
        (bound(BindingState.REFUSED), Stand.FAILED),
        (bound(BindingState.CANCELLED), Stand.FAILED),
        (bound(BindingState.PLANNED), Stand.WAITING),
        (bound(None, has_result=True), Stand.LOADED),
        (planned(1, RunState.READY), Stand.WAITING),
        (planned(1, RunState.LAUNCHED), Stand.RUNNING),
        (planned(1, RunState.PUBLISHED), Stand.RUNNING),
        (planned(1, RunState.LOADED, result=True), Stand.LOADED),
        (planned(1, RunState.LOADED), Stand.WAITING),
        (planned(1, RunState.SUPERSEDED), Stand.WAITING),
        (planned(1, RunState.HELD), Stand.WAITING),
        (planned(1, RunState.FAILED), Stand.FAILED),
        (planned(1, RunState.CANCELLED), Stand.FAILED),
    ],
)
def test_how_a_task_stands(task: TaskStanding, stand: Stand) -> None:
    assert stand_of(task) is stand


def test_tasks_are_counted() -> None:
    status = status_of(
        bound(None),
        planned(1, RunState.LAUNCHED),
        planned(2, RunState.LOADED, result=True),
        planned(3, RunState.FAILED),
    )
    counts = {name: status[name] for name in ("selected", "waiting", "running", "loaded", "failed")}
    assert counts == {"selected": 4, "waiting": 1, "running": 1, "loaded": 1, "failed": 1}
    assert conditions(status) == {
        "Accepted": ("True", "Accepted"),
        "Complete": ("False", "InProgress"),
        "Failed": ("True", "TasksFailed"),
    }


@pytest.mark.parametrize(
    ("tasks", "suspended", "complete", "failed"),
    [
        ([], False, ("False", "NothingSelected"), ("False", "NoFailures")),
        ([planned(1, RunState.LOADED, result=True)], False, ("True", "AllLoaded"), ("False", "NoFailures")),
        ([planned(1, RunState.LOADED, result=True)], True, ("True", "AllLoaded"), ("False", "NoFailures")),
        ([bound(BindingState.REFUSED)], False, ("True", "SomeFailed"), ("True", "TasksFailed")),
        ([bound(None)], True, ("False", "Suspended"), ("False", "NoFailures")),
    ],
)
def test_when_it_is_complete(tasks: list, suspended: bool, complete: tuple, failed: tuple) -> None:
    found = conditions(status_of(*tasks, suspended=suspended))
    assert (found["Complete"], found["Failed"]) == (complete, failed)


def test_what_is_not_accepted_keeps_its_counts() -> None:
    run = FacemapRun(name="a", uid="u", generation=2, status={"selected": 3, "loaded": 1, "observedGeneration": 1})
    status = status_of(verdict=Verdict("InvalidRestriction", "No."), run=run)
    assert (status["selected"], status["loaded"], status["observedGeneration"]) == (3, 1, 2)
    assert conditions(status)["Accepted"] == ("False", "InvalidRestriction")
    assert conditions(status)["Complete"] == ("False", "NotAccepted")


def test_a_condition_keeps_its_time_until_it_changes() -> None:
    first = status_of(bound(None))
    later = NOW + dt.timedelta(hours=1)
    run = FacemapRun(name="a", uid="u", status=first)
    second = status_of(bound(None), planned(1, RunState.LOADED, result=True), run=run, now=later)
    assert {one["lastTransitionTime"] for one in second["conditions"]} == {"2026-01-31T12:00:00Z"}
    third = status_of(planned(1, RunState.LOADED, result=True), run=run, now=later)
    times = {one["type"]: one["lastTransitionTime"] for one in third["conditions"]}
    assert times["Accepted"] == "2026-01-31T12:00:00Z"
    assert times["Complete"] == "2026-01-31T13:00:00Z"


def test_the_first_failures_are_told() -> None:
    failed = [
        planned(n, RunState.FAILED, run_failure=FailureClass.MEMORY, run_sentence=f"Too big {'x' * 900}")
        for n in range(1, 5)
    ]
    refused = bound(BindingState.REFUSED, binding_failure=FailureClass.INPUT, binding_sentence="No ROI.")
    cancelled = planned(7, RunState.CANCELLED)
    status = status_of(cancelled, refused, *failed)
    assert len(status["failures"]) == 5
    assert status["failures"][0] == {
        "task": "recording_id=7",
        "class": "cancelled",
        "sentence": "Somebody cancelled it.",
    }
    assert status["failures"][1] == {"task": "recording_id=9", "class": "input", "sentence": "No ROI."}
    assert status["failures"][2]["class"] == "memory"
    assert len(status["failures"][2]["sentence"]) == 500


def test_what_a_stranger_has_named_does_nothing_on_a_terminal() -> None:
    failed = planned(1, RunState.FAILED, run_failure=FailureClass.INPUT, run_sentence="The video \x1b[2Jgone.avi\n is")
    (told,) = status_of(failed)["failures"]
    assert told["sentence"] == r"The video \x1b[2Jgone.avi\x0a is"


def said(run_id: str, done: int, total: int, speed: float) -> Progress:
    return Progress(
        run_id=run_id,
        attempt=1,
        stage="main",
        frames_done=done,
        frames_total=total,
        frames_per_s=speed,
        eta_s=None,
        at_epoch_s=0,
    )


def test_progress_adds_up_what_is_done_and_what_runs() -> None:
    tasks = [
        planned(1, RunState.LOADED, result=True),
        planned(2, RunState.LAUNCHED),
        planned(3, RunState.LAUNCHED, frames=200),
        planned(4, RunState.PUBLISHED),
        planned(5, RunState.READY),
        planned(6, RunState.FAILED),
    ]
    progress = {"r2": said("r2", 50, 120, 10.0)}
    frames = frames_of(tasks, progress)
    assert (frames.done, frames.total) == (100 + 50 + 100, 100 + 120 + 200 + 100 + 100)
    assert frames.eta_s == (620 - 250) / 10
    assert status_of(*tasks, progress=progress)["progress"] == {
        "framesDone": 250,
        "framesTotal": 620,
        "etaSeconds": 40,
    }


def test_there_is_no_eta_while_some_tasks_are_not_planned_or_nothing_runs() -> None:
    running = planned(2, RunState.LAUNCHED)
    progress = {"r2": said("r2", 50, 100, 10.0)}
    assert frames_of([running, bound(None)], progress).eta_s is None
    assert frames_of([running], {}).eta_s is None
    assert frames_of([], {}).eta_s is None


def test_a_merge_patch_takes_away_what_is_gone() -> None:
    old = {"selected": 3, "progress": {"framesDone": 1, "etaSeconds": 5}, "instance": "a", "failures": [1]}
    new = {"selected": 3, "progress": {"framesDone": 2}, "failures": []}
    assert merge_patch(old, new) == {
        "instance": None,
        "progress": {"framesDone": 2, "etaSeconds": None},
        "failures": [],
    }
    assert [differs(old, old), differs(old, new), differs(new, new | {"progress": {}})] == ["", "more", "progress"]


def test_overrides_change_what_is_asked_of_the_cluster_and_not_what_is_computed() -> None:
    settings = ControllerSettings()
    limits = Limits(time_budget_s=settings.min_budget_s, memory_mib=1, scratch_mib=1, threads=1)
    estimate = Estimate(frames=1, height=1, width=1, seconds=9e3, memory_mib=1, scratch_mib=1, source="guess")
    plan = RunPlan(videos=(), limits=limits, estimate=estimate)
    found = overridden(plan, Overrides(profile="big", time_budget_s=60), settings)
    assert (found.profile, found.limits.time_budget_s, found.limits.memory_mib) == ("big", 60, 1)
    assert overridden(found, Overrides(), settings).limits.time_budget_s == 36e3
    assert overridden(found, Overrides(), settings).profile == ""
