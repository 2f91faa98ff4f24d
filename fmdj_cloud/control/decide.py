"""What to do next: a pure, total function from what is wanted and observed to actions.

The rules that keep a run from being lost, doubled or stranded:

- a run's state changes only on a fact: its Job is over or confirmed absent, or a valid manifest is there;
- a valid manifest of the current attempt means published, whatever the Job says;
- a Job that isn't the current attempt's, or is of a stage that it has left behind, is stopped if it runs and forgotten
  once it is over: both in every pass, so that what one pass missed the next one does;
- a stage of an attempt is over when its commit is there, whatever its Job says: the next one's Job is made; without
  it, a stage ends as its attempt does;
- a launched run without a recorded UID may have no Job yet: it is created (again) under the same name;
- a Job that will never succeed (its image isn't there, no node can take it) is stopped and confirmed to be over
  before its run ends: it could still start;
- what can't be known now (the store doesn't answer, the launcher's view may be late) is not decided now;
- an attempt that ``populate()`` runs has no Job: it is left alone while its process shows itself, and over after that.

Every state change is conditional on the state seen here, so actions decided from a stale view change nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fmdj_cloud.contracts import (
    AttemptRecord,
    FailureClass,
    JobObservation,
    JobPhase,
    Outcome,
    RunRecord,
    RunState,
    Stage,
    Wanted,
)
from fmdj_cloud.contracts.shards import BASIS_NAME, next_stage
from fmdj_cloud.control.actions import (
    Action,
    Advance,
    Cancel,
    Confirm,
    Create,
    Fail,
    Forget,
    Hold,
    Note,
    Publish,
    Retry,
    Stop,
    Supersede,
    Unhold,
)
from fmdj_cloud.control.diagnose import vanished
from fmdj_cloud.control.profiles import Machine, Profiles
from fmdj_cloud.control.retry import Again, next_step
from fmdj_cloud.control.slots import Slots
from fmdj_cloud.names import ATTEMPT_MAX
from fmdj_cloud.pipeline.ledger_rows import fit
from fmdj_cloud.pipeline.silence import populates, shows_itself, silenced
from fmdj_cloud.settings import ControllerSettings

_NOTE_EVERY = dt.timedelta(minutes=1)
_MISSING = {
    Stage.ALL: "no valid manifest",
    Stage.BASIS: f"no valid {BASIS_NAME}",
    Stage.PROJECT: "not all of its shards",
    Stage.MERGE: "no valid manifest",
}
_RESTING = frozenset({RunState.PUBLISHED, RunState.FAILED, RunState.HELD, RunState.CANCELLED})


@dataclass(frozen=True)
class RunView:
    """All that the decision about one run rests on.

    Attributes
    ----------
    run : RunRecord
    attempt : AttemptRecord or None
        The current attempt; None unless it was launched.
    job : JobObservation or None
        Its Job, None if the launcher has none.
    manifest_sha256 : str or None
        Digest of its valid manifest; None if there is none, or if nobody has looked.
    manifest_known : bool
        Whether somebody has looked, and the store has answered.
    obsolete : str
        Why the run is no longer wanted (task deleted or edited, a foreign result), empty if it is.
    changed : int
        How often the binding was planned anew because inputs had changed.
    unsure : bool
        Whether the Job may be there although `job` is None, or the run's task can't be read: nothing is decided now.
    next_shards : int or None
        If the commit of the stage that the attempt has come to is there, and that isn't the manifest: the pods that
        the next stage takes. Looked for as the manifest is.
    """

    run: RunRecord
    attempt: AttemptRecord | None = None
    job: JobObservation | None = None
    manifest_sha256: str | None = None
    manifest_known: bool = False
    obsolete: str = ""
    changed: int = 0
    unsure: bool = False
    next_shards: int | None = None


def needs_manifest(view: RunView) -> bool:
    """Tell whether the decision needs a look for what was committed: the Job of a launched run isn't running."""
    running = view.job is not None and view.job.phase is JobPhase.RUNNING
    return view.run.state is RunState.LAUNCHED and not running


def decide(
    views: Sequence[RunView],
    jobs: Sequence[JobObservation],
    known: Mapping[str, RunRecord],
    settings: ControllerSettings,
    now: dt.datetime,
    profiles: Profiles | None = None,
    served: Mapping[str, int] | None = None,
) -> tuple[Action, ...]:
    """Return what to do, most urgent first.

    Parameters
    ----------
    views : sequence of RunView
        At least all launched runs, and ready ones in the order of their priority.
    jobs : sequence of JobObservation
        All Jobs that the launcher sees.
    known : mapping of str to RunRecord
        The runs that `jobs` belong to, as far as the ledger knows them. Jobs of other runs are left alone.
    settings : ControllerSettings
    now : datetime
        The database's clock.
    profiles : Profiles, optional
        How many pods may exist at a time and what they may get; by default `settings` say.
    served : mapping of str to int, optional
        Pipeline -> the higher, the later one of its runs was launched last.
    """
    profiles = profiles or Machine(settings)
    slots = Slots(views, jobs, known, profiles, served, reuse=settings.reuse)
    actions = [*_strays(views, jobs, known)]
    for view in views:
        action = _decide_run(view, settings, profiles, now)
        if action is not None:
            actions.append(slots.advance(action, view) if isinstance(action, Advance) else action)
    return (*actions, *slots.launches(views, now))


def _strays(
    views: Sequence[RunView], jobs: Sequence[JobObservation], known: Mapping[str, RunRecord]
) -> Iterator[Action]:
    order = list(Stage)
    stages = {view.run.run_id: view.attempt.stage for view in views if view.attempt is not None}
    for job in jobs:
        run = known.get(job.run_id)
        if run is None:
            continue
        stage = stages.get(job.run_id, job.stage)
        # one of a stage to come was made for this attempt before the ledger was set back: it is adopted then
        left_behind = order.index(job.stage) < order.index(stage) or (stage is Stage.ALL and job.stage is not stage)
        if run.state is RunState.LAUNCHED and run.attempt == job.attempt and not left_behind:
            continue
        yield Stop(job.name) if job.phase is JobPhase.RUNNING else Forget(job.name)


def _decide_run(view: RunView, settings: ControllerSettings, profiles: Profiles, now: dt.datetime) -> Action | None:
    run = view.run
    if populates(run, view.attempt) and shows_itself(run, settings.populate_silent_s, now):
        return None
    if view.unsure:
        return None
    if run.state is RunState.LAUNCHED:
        goes_on = run.wanted is Wanted.RUN and not view.obsolete
        return _decide_launched(view, settings, profiles, now) if goes_on else _decide_ending(view)
    if run.state in (RunState.READY, *_RESTING):
        return _decide_resting(view)
    return None


def _decide_resting(view: RunView) -> Action | None:
    """Decide about a run without a Job."""
    run = view.run
    if view.obsolete:
        return Supersede(run.run_id, run.state, run.attempt, view.obsolete)
    if run.wanted is Wanted.CANCEL and run.state is not RunState.CANCELLED:
        return Cancel(run.run_id, run.state, run.attempt)
    if run.wanted is Wanted.HOLD and run.state is RunState.READY:
        return Hold(run.run_id, run.state, run.attempt)
    if run.wanted is Wanted.RUN and run.state is RunState.HELD:
        return Unhold(run.run_id, run.attempt)
    if run.state is RunState.READY and run.attempt > ATTEMPT_MAX:
        sentence = f"It had {ATTEMPT_MAX} attempts, and a run can't have more."
        outcome = Outcome(failure_class=FailureClass.CRASH, sentence=sentence)
        return Fail(run.run_id, run.state, run.attempt, outcome)
    return None


def _decide_ending(view: RunView) -> Action | None:
    """Decide about a launched run that nobody wants to go on."""
    run = view.run
    if view.job is not None and view.job.phase is JobPhase.RUNNING:
        return Stop(view.job.name)
    if view.obsolete:
        return Supersede(run.run_id, run.state, run.attempt, view.obsolete)
    if run.wanted is Wanted.CANCEL:
        return Cancel(run.run_id, run.state, run.attempt)
    # the work was done before it could be held: it is published, and loaded when it is released
    if view.manifest_sha256 is not None:
        return Publish(run.run_id, run.attempt, view.manifest_sha256)
    return Hold(run.run_id, run.state, run.attempt) if view.manifest_known else None


def _decide_launched(
    view: RunView, settings: ControllerSettings, profiles: Profiles, now: dt.datetime
) -> Action | None:
    run, attempt, job = view.run, view.attempt, view.job
    if attempt is None:
        # only a ledger edited by hand is in this state: a launch writes both rows in one transaction
        outcome = Outcome(failure_class=FailureClass.CRASH, sentence=f"Attempt {run.attempt} has no row in the ledger.")
        return Fail(run.run_id, run.state, run.attempt, outcome)
    if view.manifest_sha256 is not None:
        return Publish(run.run_id, run.attempt, view.manifest_sha256)
    following = next_stage(attempt.stage)
    if view.next_shards is not None and following is not None:
        return Advance(run.run_id, run.attempt, attempt.stage, following, view.next_shards)
    if job is not None and job.spec_sha256 != attempt.spec_sha256:
        return Create(run.run_id, run.attempt)
    if job is not None and job.phase is JobPhase.RUNNING:
        if attempt.job_uid != job.uid:
            return Confirm(run.run_id, run.attempt, job.uid, job.stage)
        return Stop(job.name, job.give_up) if job.give_up is not None else _note(run, job, now)
    if not view.manifest_known:
        return None
    if populates(run, attempt):
        return _settle(view, attempt, silenced(attempt), settings, profiles)
    if job is None and attempt.job_uid is None:
        return Create(run.run_id, run.attempt)
    return _settle(view, attempt, _outcome(run, attempt.stage, job), settings, profiles)


def _note(run: RunRecord, job: JobObservation, now: dt.datetime) -> Note | None:
    """Return the note of why a Job waits, if it is another than before: not all the time, since its figures change."""
    sentence = fit(job.waiting)
    if sentence == run.sentence or (sentence and run.sentence and now - run.updated < _NOTE_EVERY):
        return None
    return Note(run.run_id, run.attempt, sentence)


def _outcome(run: RunRecord, stage: Stage, job: JobObservation | None) -> Outcome:
    """Return how an attempt whose stage has no commit ended."""
    if job is None:
        return vanished(f"Attempt {run.attempt} disappeared: its Job is gone and it published nothing.")
    if job.outcome is None or job.outcome.ok:
        evidence = job.outcome.evidence if job.outcome is not None else {}
        return Outcome(
            failure_class=FailureClass.CRASH,
            sentence=f"The worker ended without an error but published {_MISSING[stage]}: see its log.",
            evidence=evidence,
        )
    return job.outcome


def _settle(
    view: RunView, attempt: AttemptRecord, outcome: Outcome, settings: ControllerSettings, profiles: Profiles
) -> Action:
    run = view.run
    if outcome.failure_class is FailureClass.CHANGED:
        if view.changed < settings.retry.changed:
            return Supersede(run.run_id, run.state, run.attempt, outcome.sentence, count_changed=True)
        sentence = f"{outcome.sentence} It was planned anew {view.changed} times already."
        return Fail(run.run_id, run.state, run.attempt, outcome.model_copy(update={"sentence": sentence}))
    step = next_step(
        outcome, run.failures, attempt.limits, run.attempt, run.run_id, settings.retry, profiles.bounds(run)
    )
    if isinstance(step, Again):
        silent_s = settings.populate_silent_s if populates(run, attempt) else None
        return Retry(run.run_id, run.attempt, outcome, step.not_before_s, silent_s)
    return Fail(run.run_id, run.state, run.attempt, step.outcome)
