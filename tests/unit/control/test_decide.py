"""One behaviour each: what is decided about a run in a given situation."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from fmdj_cloud.contracts import AttemptRecord, FailureClass, JobObservation, JobPhase, Outcome, RunState, Wanted
from fmdj_cloud.control.actions import (
    Cancel,
    Confirm,
    Create,
    Fail,
    Forget,
    Hold,
    Launch,
    Note,
    Publish,
    Retry,
    Stop,
    Supersede,
    Unhold,
)
from fmdj_cloud.control.decide import RunView, decide, needs_manifest
from fmdj_cloud.control.profiles import KubernetesProfiles
from fmdj_cloud.settings import ControllerSettings, KubernetesSettings, Settings

NOW = dt.datetime(2026, 1, 31, 12)
SETTINGS = ControllerSettings(max_active=2)
RUN = "svd-0123456789abcdef"
JOB = f"fmdj-{RUN}-a1"
CRASH = Outcome(failure_class=FailureClass.CRASH, sentence="It crashed.")


@pytest.fixture
def launched(make_run, make_limits):
    """A view of a launched run; `job` is running, ended with an Outcome, or None."""

    def build(job=None, *, uid="u1", manifest=None, known=True, sha="s", **changes):
        run = make_run(**{"state": RunState.LAUNCHED} | changes)
        attempt = AttemptRecord(
            run_id=RUN,
            attempt=run.attempt,
            folder=f"{run.output_dir}/a1",
            spec_sha256="s",
            launcher="local",
            job_name=JOB,
            job_uid=uid,
            started=NOW,
            finished=None,
            outcome=None,
            sentence="",
            evidence={},
            limits=make_limits(),
        )
        observed = None
        if job is not None:
            ended = isinstance(job, Outcome)
            observed = JobObservation(
                name=JOB,
                run_id=RUN,
                attempt=run.attempt,
                uid="u1",
                spec_sha256=sha,
                phase=JobPhase.ENDED if ended else JobPhase.RUNNING,
                outcome=job if ended else None,
            )
        return RunView(run, attempt, observed, manifest_sha256=manifest, manifest_known=known)

    return build


def decided(*views: RunView, jobs=(), known=None, settings=SETTINGS):
    jobs = [*jobs, *(view.job for view in views if view.job is not None)]
    runs = {view.run.run_id: view.run for view in views}
    return decide(views, jobs, runs if known is None else known, settings, NOW)


def test_a_ready_run_is_launched(make_run):
    assert decided(RunView(make_run())) == (Launch(RUN, 1),)


def test_a_retry_waits_for_its_time(make_run):
    assert decided(RunView(make_run(not_before=NOW + dt.timedelta(seconds=1)))) == ()
    assert decided(RunView(make_run(not_before=NOW))) == (Launch(RUN, 1),)


def test_no_more_than_max_active_are_launched_the_most_urgent_and_oldest_first(make_run):
    runs = [
        make_run(run_id="svd-c", priority=5),
        make_run(run_id="svd-b", created=NOW + dt.timedelta(seconds=1)),
        make_run(run_id="svd-a"),
    ]
    assert decided(*map(RunView, runs)) == (Launch("svd-a", 1), Launch("svd-b", 1))


def test_a_launched_run_holds_its_place_even_before_it_has_a_job(make_run, launched):
    views = [launched(uid=None), RunView(make_run(run_id="svd-b")), RunView(make_run(run_id="svd-c"))]
    assert decided(*views) == (Create(RUN, 1), Launch("svd-b", 1))


def test_a_stray_that_still_runs_holds_a_place(make_run):
    stray = JobObservation(
        name="other", run_id="svd-b", attempt=1, uid="u", spec_sha256="s", phase=JobPhase.RUNNING, outcome=None
    )
    known = {"svd-b": make_run(run_id="svd-b", state=RunState.FAILED)}
    one = ControllerSettings(max_active=1)
    assert decided(RunView(make_run()), jobs=[stray], known=known, settings=one) == (Stop("other"),)


def test_every_profile_has_places_of_its_own(make_run):
    kubernetes = KubernetesSettings(profiles={"svd": {"max_active": 1}, "big": {"max_active": 2}})
    profiles = KubernetesProfiles(Settings(kubernetes=kubernetes))
    runs = [make_run(run_id=f"svd-{n}", priority=n, profile="big" if n > 1 else "") for n in range(6)]
    actions = decide([RunView(run) for run in runs], (), {}, SETTINGS, NOW, profiles)
    assert actions == (Launch("svd-0", 1), Launch("svd-2", 1), Launch("svd-3", 1))


def test_a_profile_that_there_is_not_is_launched_once_so_that_it_says_why(make_run):
    profiles = KubernetesProfiles(Settings())
    runs = [make_run(run_id=f"svd-{n}", profile="none") for n in range(2)]
    assert decide([RunView(run) for run in runs], (), {}, SETTINGS, NOW, profiles) == (Launch("svd-0", 1),)


def test_a_job_that_will_never_succeed_is_stopped_before_its_run_ends(launched):
    view = launched("running")
    why = Outcome(failure_class=FailureClass.IMAGE, sentence="The image isn't there.")
    hopeless = replace(view, job=view.job.model_copy(update={"give_up": why}))
    assert decided(hopeless) == (Stop(JOB, why),)
    (action,) = decided(launched(why))
    assert action == Fail(RUN, RunState.LAUNCHED, 1, why)


def test_why_a_job_waits_is_noted_when_it_changes_but_not_all_the_time(launched):
    def waits(sentence, noted="", updated=NOW):
        view = launched("running", sentence=noted, updated=updated)
        return replace(view, job=view.job.model_copy(update={"waiting": sentence}))

    assert decided(waits("No node is free.")) == (Note(RUN, 1, "No node is free."),)
    assert decided(waits("1 of 5 nodes is free.", "No node is free.")) == ()
    later = NOW - dt.timedelta(minutes=2)
    assert decided(waits("It is queued.", "No node is free.", later)) == (Note(RUN, 1, "It is queued."),)
    assert decided(waits("", "No node is free.")) == (Note(RUN, 1, ""),)


def test_nothing_is_decided_while_a_job_may_be_there_unseen(launched):
    assert decided(replace(launched(None), unsure=True)) == ()
    assert decided(replace(launched(None, wanted=Wanted.CANCEL), unsure=True)) == ()


def test_a_running_job_is_left_alone(launched):
    assert decided(launched("running")) == ()


def test_the_uid_of_a_new_job_is_recorded(launched):
    assert decided(launched("running", uid=None)) == (Confirm(RUN, 1, "u1"),)


@pytest.mark.parametrize("job", [None, CRASH, Outcome(), Outcome(failure_class=FailureClass.MEMORY, sentence="137")])
def test_a_valid_manifest_means_published_whatever_the_job_says(launched, job):
    assert decided(launched(job, manifest="m")) == (Publish(RUN, 1, "m"),)


def test_success_without_a_manifest_is_a_crash(launched):
    (action,) = decided(launched(Outcome()))
    assert isinstance(action, Retry)
    assert action.outcome.failure_class is FailureClass.CRASH
    assert "published no valid manifest" in action.outcome.sentence


def test_nothing_is_decided_while_the_store_does_not_answer(launched):
    for job in (None, CRASH, Outcome()):
        assert decided(launched(job, known=False)) == ()


def test_a_failed_attempt_is_retried_or_final(launched):
    (again,) = decided(launched(CRASH))
    assert isinstance(again, Retry)
    (final,) = decided(launched(CRASH, failures={"crash": 2}))
    assert isinstance(final, Fail)


def test_a_job_that_was_confirmed_and_is_gone_has_vanished(launched):
    (action,) = decided(launched(None))
    assert action.outcome.failure_class is FailureClass.VANISHED


def test_a_job_that_was_never_confirmed_is_created_again(launched):
    assert decided(launched(None, uid=None)) == (Create(RUN, 1),)


def test_a_job_with_another_spec_is_replaced(launched):
    assert decided(launched("running", sha="other")) == (Create(RUN, 1),)


def test_a_changed_input_is_planned_again_so_often_and_no_more(launched):
    changed = Outcome(failure_class=FailureClass.CHANGED, sentence="cam1.avi was replaced.")
    view = launched(changed)
    assert decided(view) == (Supersede(RUN, RunState.LAUNCHED, 1, "cam1.avi was replaced.", count_changed=True),)
    (action,) = decided(RunView(view.run, view.attempt, view.job, None, True, changed=5))
    assert isinstance(action, Fail)
    assert "5 times" in action.outcome.sentence


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(Wanted.CANCEL, Cancel(RUN, RunState.LAUNCHED, 1)), (Wanted.HOLD, Hold(RUN, RunState.LAUNCHED, 1))],
)
def test_a_running_job_is_stopped_and_confirmed_before_the_state_changes(launched, wanted, expected):
    assert decided(launched("running", wanted=wanted)) == (Stop(JOB),)
    assert decided(launched(CRASH, wanted=wanted)) == (expected,)
    assert decided(launched(None, wanted=wanted)) == (expected,)


def test_what_was_published_before_it_could_be_held_is_kept(launched):
    assert decided(launched(Outcome(), wanted=Wanted.HOLD, manifest="m")) == (Publish(RUN, 1, "m"),)


def test_an_obsolete_run_is_stopped_then_superseded(launched):
    def obsolete(view):
        return RunView(view.run, view.attempt, view.job, None, True, obsolete="The task was deleted.")

    assert decided(obsolete(launched("running"))) == (Stop(JOB),)
    gone = Supersede(RUN, RunState.LAUNCHED, 1, "The task was deleted.")
    assert decided(obsolete(launched(CRASH))) == (gone,)
    assert decided(obsolete(launched(None))) == (gone,)


@pytest.mark.parametrize(
    "state", [RunState.READY, RunState.PUBLISHED, RunState.FAILED, RunState.HELD, RunState.CANCELLED]
)
def test_an_obsolete_run_without_a_job_is_superseded(make_run, state):
    view = RunView(make_run(state=state), obsolete="The task was edited.")
    assert decided(view) == (Supersede(RUN, state, 1, "The task was edited."),)


@pytest.mark.parametrize(
    ("state", "wanted", "expected"),
    [
        (RunState.READY, Wanted.CANCEL, (Cancel(RUN, RunState.READY, 1),)),
        (RunState.HELD, Wanted.CANCEL, (Cancel(RUN, RunState.HELD, 1),)),
        (RunState.PUBLISHED, Wanted.CANCEL, (Cancel(RUN, RunState.PUBLISHED, 1),)),
        (RunState.FAILED, Wanted.CANCEL, (Cancel(RUN, RunState.FAILED, 1),)),
        (RunState.CANCELLED, Wanted.CANCEL, ()),
        (RunState.READY, Wanted.HOLD, (Hold(RUN, RunState.READY, 1),)),
        (RunState.PUBLISHED, Wanted.HOLD, ()),
        (RunState.HELD, Wanted.HOLD, ()),
        (RunState.HELD, Wanted.RUN, (Unhold(RUN, 1),)),
        (RunState.FAILED, Wanted.RUN, ()),
        (RunState.LOADED, Wanted.CANCEL, ()),
        (RunState.SUPERSEDED, Wanted.HOLD, ()),
    ],
)
def test_what_people_want_of_a_run_without_a_job(make_run, state, wanted, expected):
    assert decided(RunView(make_run(state=state, wanted=wanted))) == expected


@pytest.mark.parametrize("state", [RunState.READY, RunState.LAUNCHED, RunState.LOADED])
def test_jobs_of_past_attempts_are_stopped_then_forgotten(make_run, launched, state):
    job = launched("running").job
    known = {RUN: make_run(state=state, attempt=2)}
    assert decided(jobs=[job], known=known) == (Stop(JOB),)
    ended = job.model_copy(update={"phase": JobPhase.ENDED, "outcome": CRASH})
    assert decided(jobs=[ended], known=known) == (Forget(JOB),)


def test_a_job_of_a_run_that_the_ledger_does_not_know_is_left_alone(launched):
    assert decided(jobs=[launched("running").job], known={}) == ()


def test_a_run_without_attempts_left_ends(make_run):
    (action,) = decided(RunView(make_run(attempt=1000)))
    assert isinstance(action, Fail)


def test_a_manifest_is_looked_for_only_when_the_job_is_not_running(make_run, launched):
    assert needs_manifest(launched(None))
    assert needs_manifest(launched(CRASH))
    assert not needs_manifest(launched("running"))
    assert not needs_manifest(RunView(make_run()))
