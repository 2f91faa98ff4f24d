"""One behaviour each: what is decided about an attempt with stages."""

from __future__ import annotations

import datetime as dt

import pytest

from fmdj_cloud.contracts import (
    AttemptRecord,
    FailureClass,
    JobObservation,
    JobPhase,
    Kind,
    Outcome,
    RunState,
    Stage,
    Wanted,
)
from fmdj_cloud.control.actions import Advance, Cancel, Create, Fail, Forget, Hold, Launch, Publish, Retry, Stop
from fmdj_cloud.control.decide import RunView, decide
from fmdj_cloud.names import job_name
from fmdj_cloud.settings import ControllerSettings

NOW = dt.datetime(2026, 1, 31, 12)
SETTINGS = ControllerSettings(max_active=4)
RUN = "svd-0123456789abcdef"
CRASH = Outcome(failure_class=FailureClass.CRASH, sentence="It crashed.")
WORKS = "works"


def name_of(stage: Stage, attempt: int = 1) -> str:
    return job_name(RUN, attempt, "fmdj", stage)


def a_job(stage: Stage, how=WORKS, *, attempt: int = 1, pods: int = 1, uid: str = "u1") -> JobObservation:
    over = isinstance(how, Outcome)
    return JobObservation(
        name=name_of(stage, attempt),
        run_id=RUN,
        attempt=attempt,
        uid=uid,
        spec_sha256="s",
        phase=JobPhase.ENDED if over else JobPhase.RUNNING,
        outcome=how if over else None,
        stage=stage,
        pods=pods,
    )


@pytest.fixture
def launched(make_run, make_limits):
    """A view of a launched run at a stage, whose Job works, ended with an Outcome, or isn't there (None)."""

    def build(stage, how=WORKS, *, done=None, uid="u1", pods=1, manifest=None, known=True, **changes):
        run = make_run(**{"state": RunState.LAUNCHED, "shards": 3} | changes)
        attempt = AttemptRecord(
            run_id=RUN,
            attempt=1,
            folder=f"{run.output_dir}/a1",
            spec_sha256="s",
            launcher="local",
            job_name=name_of(stage),
            job_uid=uid,
            started=NOW,
            finished=None,
            outcome=None,
            sentence="",
            evidence={},
            limits=make_limits(),
            stage=stage,
            pods=pods,
        )
        job = None if how is None else a_job(stage, how, pods=pods)
        return RunView(run, attempt, job, manifest_sha256=manifest, manifest_known=known, next_shards=done)

    return build


def decided(*views: RunView, jobs=(), settings=SETTINGS):
    jobs = [*jobs, *(view.job for view in views if view.job is not None)]
    return decide(views, jobs, {view.run.run_id: view.run for view in views}, settings, NOW)


@pytest.mark.parametrize("how", [Outcome(), CRASH, None])
def test_a_stage_whose_commit_is_there_is_done_whatever_its_job_says(launched, how):
    assert decided(launched(Stage.BASIS, how, done=3)) == (Advance(RUN, 1, Stage.BASIS, Stage.PROJECT, 3, 3),)
    assert decided(launched(Stage.PROJECT, how, done=1)) == (Advance(RUN, 1, Stage.PROJECT, Stage.MERGE, 1, 1),)


def test_a_job_that_works_is_left_alone_at_every_stage(launched):
    for stage in Stage:
        assert decided(launched(stage)) == ()


@pytest.mark.parametrize("stage", [Stage.BASIS, Stage.PROJECT, Stage.MERGE])
def test_a_manifest_means_published_at_every_stage(launched, stage):
    assert decided(launched(stage, CRASH, done=1, manifest="m")) == (Publish(RUN, 1, "m"),)


@pytest.mark.parametrize("stage", list(Stage))
def test_a_stage_that_ends_without_its_commit_ends_its_attempt(launched, stage):
    (again,) = decided(launched(stage, CRASH))
    assert isinstance(again, Retry)
    (final,) = decided(launched(stage, CRASH, failures={"crash": 2}))
    assert isinstance(final, Fail)
    (gone,) = decided(launched(stage, None))
    assert gone.outcome.failure_class is FailureClass.VANISHED


def test_what_is_missing_is_named(launched):
    words = {stage: decided(launched(stage, Outcome()))[0].outcome.sentence for stage in Stage}
    assert "no valid manifest" in words[Stage.ALL]
    assert "no valid basis.json" in words[Stage.BASIS]
    assert "not all of its shards" in words[Stage.PROJECT]
    assert "no valid manifest" in words[Stage.MERGE]


def test_nothing_is_decided_while_nobody_knows_what_was_committed(launched):
    for stage in Stage:
        assert decided(launched(stage, Outcome(), known=False)) == ()


def test_the_job_of_a_stage_that_nobody_has_seen_is_made_again(launched):
    assert decided(launched(Stage.PROJECT, None, uid=None)) == (Create(RUN, 1),)


@pytest.mark.parametrize(("how", "expected"), [(WORKS, Stop), (Outcome(), Forget)])
def test_the_job_of_a_stage_that_was_left_behind_is_cleared_away(launched, how, expected):
    left = a_job(Stage.BASIS, how, uid="u0")
    assert decided(launched(Stage.PROJECT), jobs=[left]) == (expected(left.name),)


def test_a_job_of_a_stage_to_come_is_not_disturbed(launched):
    """The ledger was set back to an old backup: what computes is adopted once its stage has come."""
    assert decided(launched(Stage.BASIS), jobs=[a_job(Stage.PROJECT, uid="u2")]) == ()


@pytest.mark.parametrize("stage", [Stage.BASIS, Stage.PROJECT, Stage.MERGE])
def test_every_stage_is_stopped_before_the_run_is_held_or_cancelled(launched, stage):
    assert decided(launched(stage, wanted=Wanted.CANCEL)) == (Stop(name_of(stage)),)
    assert decided(launched(stage, CRASH, wanted=Wanted.CANCEL)) == (Cancel(RUN, RunState.LAUNCHED, 1),)
    # the commit of the stage stays, and the next attempt uses it
    assert decided(launched(stage, Outcome(), done=2, wanted=Wanted.HOLD)) == (Hold(RUN, RunState.LAUNCHED, 1),)


def test_jobs_of_all_stages_of_a_run_that_is_over_are_cleared_away(make_run):
    run = make_run(state=RunState.FAILED, shards=3)
    jobs = [a_job(Stage.BASIS, Outcome()), a_job(Stage.PROJECT)]
    assert decide([], jobs, {RUN: run}, SETTINGS, NOW) == (Forget(name_of(Stage.BASIS)), Stop(name_of(Stage.PROJECT)))


def test_no_more_pods_than_the_profile_has_free_but_one_at_least(launched, make_run):
    others = [a_job(Stage.ALL, attempt=n, uid=str(n)) for n in range(2, 5)]
    view = launched(Stage.BASIS, Outcome(), done=3)

    def pods(free_after: int) -> int:
        jobs = [job.model_copy(update={"name": f"other-{n}", "run_id": "x"}) for n, job in enumerate(others)]
        actions = decided(view, jobs=jobs[: 4 - free_after])
        return next(action.pods for action in actions if isinstance(action, Advance))

    assert [pods(free) for free in (4, 3, 2, 1)] == [3, 3, 2, 1]
    full = ControllerSettings(max_active=1)
    busy = a_job(Stage.ALL).model_copy(update={"name": "other", "run_id": "x"})
    (action,) = decided(view, jobs=[busy], settings=full)
    assert action.pods == 1


def test_an_attempt_keeps_a_place_between_its_stages(launched, make_run):
    waits = make_run(run_id="svd-b", priority=-9)
    one = ControllerSettings(max_active=1)
    # whether its basis is there isn't known now
    between = launched(Stage.BASIS, Outcome(), known=False)
    assert decided(between, RunView(waits), settings=one) == ()


def test_shards_that_run_hold_as_many_places(launched, make_run):
    views = [launched(Stage.PROJECT, pods=3), *(RunView(make_run(run_id=f"svd-{n}")) for n in "bcd")]
    assert decided(*views) == (Launch("svd-b", 1),)
    unseen = [launched(Stage.PROJECT, None, uid=None, pods=3), *views[1:]]
    assert decided(*unseen) == (Create(RUN, 1), Launch("svd-b", 1))


def test_poses_begin_with_their_shards_and_svds_with_their_basis(make_run):
    pose = make_run(run_id="pose-a", kind=Kind.POSE, shards=8)
    svd = make_run(run_id="svd-b", shards=8)
    assert decided(RunView(svd)) == (Launch("svd-b", 1, 1),)
    assert decided(RunView(pose)) == (Launch("pose-a", 1, 4),)
    assert decided(RunView(svd), RunView(pose)) == (Launch("pose-a", 1, 4),)
