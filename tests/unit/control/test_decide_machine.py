"""Any interleaving of what may happen never loses, doubles or strands a run.

A model of ledger, launcher and store in memory, after the semantics of the real ones. The
controller's passes are the real `decide`; they may die between any two actions, and come back as a zombie that
finishes the one action it was at.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fmdj_cloud.contracts import (
    AttemptRecord,
    Estimate,
    FailureClass,
    JobObservation,
    JobPhase,
    Kind,
    Limits,
    Outcome,
    RunRecord,
    RunState,
    Stage,
    Wanted,
)
from fmdj_cloud.contracts.shards import first_stage, next_stage
from fmdj_cloud.control import actions as do
from fmdj_cloud.control.decide import RunView, decide, needs_manifest
from fmdj_cloud.control.slots import pods_at_first
from fmdj_cloud.names import job_name
from fmdj_cloud.settings import ControllerSettings, RetrySettings

START = dt.datetime(2026, 1, 1)
SETTINGS = ControllerSettings(
    max_active=3, retry=RetrySettings(disrupted=3, storage=2, memory=2, disk=2, gpu=2, vanished=2, crash=2, changed=2)
)
LIMITS = Limits(time_budget_s=60, memory_mib=1024, scratch_mib=1024, threads=1)
ESTIMATE = Estimate(frames=1, height=1, width=1, seconds=1, memory_mib=1, scratch_mib=1, source="header")
OVER = frozenset({RunState.LOADED, RunState.SUPERSEDED})
RESTING = OVER | {RunState.FAILED, RunState.CANCELLED}
TASKS = ("t0", "t1", "t2")
KINDS = {"t0": Kind.SVD, "t1": Kind.SVD, "t2": Kind.POSE}
SHARDS = {"t0": None, "t1": 3, "t2": 2}
STAGES = list(Stage)


@dataclass
class Task:
    """A task row, its binding and its result."""

    exists: bool = True
    params: int = 0
    videos: int = 0
    result: str | None = None
    """The run whose result is there, ``foreign``, or None."""
    run_id: str | None = None
    changed: int = 0


@dataclass
class World:
    """Ledger, launcher and store."""

    now: dt.datetime = START
    epoch: int = 1
    tasks: dict[str, Task] = field(default_factory=lambda: {name: Task() for name in TASKS})
    runs: dict[str, RunRecord] = field(default_factory=dict)
    attempts: dict[tuple[str, int], AttemptRecord] = field(default_factory=dict)
    jobs: dict[str, JobObservation] = field(default_factory=dict)
    manifests: set[tuple[str, int]] = field(default_factory=set)
    commits: set[tuple[str, int, Stage]] = field(default_factory=set)
    """Of stages that another follows."""
    by_zombies: set[str] = field(default_factory=set)
    stopping: set[str] = field(default_factory=set)
    uids: int = 0
    store_up: bool = True
    late: bool = False
    """Whether the launcher's view lacks what it should show."""

    # the ledger

    def change(self, run_id: str, states: set[RunState], at: int, epoch: int | None, **sets: object) -> bool:
        run = self.runs[run_id]
        if run.state not in states or run.attempt != at or (epoch is not None and epoch != self.epoch):
            return False
        # with a manifest the work is done, whatever the Job says
        undone = run.state is RunState.LAUNCHED and (run_id, at) not in self.manifests
        if undone and sets.get("state", run.state) is not RunState.LAUNCHED:
            job = self.jobs.get(self.attempts[run_id, at].job_name)
            assert job is None or job.phase is JobPhase.ENDED, f"attempt {at} ends while its Job runs"
        self.runs[run_id] = run.model_copy(update=sets)
        return True

    def plan(self, name: str) -> None:
        """What the planner and ``Ledger.plan`` do with one task, if it is pending."""
        task = self.tasks[name]
        bound = self.runs[task.run_id] if task.run_id else None
        if not task.exists or task.result or (bound and bound.state not in OVER):
            return
        run_id = f"svd-{name}-{task.params}-{task.videos}"
        found = self.runs.get(run_id)
        if found is None:
            self.runs[run_id] = RunRecord(
                run_id=run_id,
                kind=KINDS[name],
                task_kind=Kind.SVD,
                pipeline="lab",
                task=name,
                task_digest=name,
                content_digest=run_id,
                param_digest=str(task.params),
                state=RunState.READY,
                wanted=Wanted.RUN,
                attempt=1,
                priority=0,
                output_dir=f"s3://lab/{run_id}",
                manifest_sha256=None,
                failure_class=None,
                sentence="",
                not_before=None,
                failures={},
                estimate=ESTIMATE,
                shards=SHARDS[name],
                created=self.now,
                updated=self.now,
            )
        elif found.state in RESTING:
            fresh = {"wanted": Wanted.RUN, "failures": {}, "not_before": None}
            if found.manifest_sha256 and found.state in OVER and (run_id, found.attempt) in self.manifests:
                fresh |= {"state": RunState.PUBLISHED}
            else:
                fresh |= {"state": RunState.READY, "attempt": found.attempt + 1, "manifest_sha256": None}
            self.runs[run_id] = found.model_copy(update=fresh)
        task.run_id = run_id

    def load(self) -> None:
        """What the loader does with every published run."""
        for run in list(self.runs.values()):
            task = self.tasks[run.task]
            if run.state is not RunState.PUBLISHED or run.wanted is not Wanted.RUN:
                continue
            assert run.manifest_sha256 == f"{run.run_id}/{run.attempt}", "another attempt's manifest was pinned"
            if not task.exists or str(task.params) != run.param_digest or task.result:
                self.change(run.run_id, {RunState.PUBLISHED}, run.attempt, None, state=RunState.SUPERSEDED)
            else:
                assert task.run_id == run.run_id, "a run is loaded for a task that is bound to another"
                self.change(run.run_id, {RunState.PUBLISHED}, run.attempt, None, state=RunState.LOADED)
                task.result = run.run_id

    # the launcher

    def create(self, run_id: str, attempt: int, *, stage: Stage | None = None, zombie: bool = False) -> str:
        record = self.attempts[run_id, attempt]
        stage = stage or record.stage
        name = job_name(run_id, attempt, "fmdj", stage)
        if name not in self.jobs:
            others = [j for j in self.running(run_id) if j.name not in self.by_zombies]
            assert zombie or not others, f"{run_id} would run twice: {others}"
            if zombie:
                self.by_zombies.add(name)
            self.uids += 1
            self.jobs[name] = JobObservation(
                name=name,
                run_id=run_id,
                attempt=attempt,
                uid=str(self.uids),
                spec_sha256=record.spec_sha256,
                phase=JobPhase.RUNNING,
                stage=stage,
                pods=record.pods,
            )
        return self.jobs[name].uid

    def running(self, run_id: str | None = None) -> list[JobObservation]:
        return [
            job
            for job in self.jobs.values()
            if job.phase is JobPhase.RUNNING and (run_id is None or job.run_id == run_id)
        ]

    def end(self, name: str, outcome: Outcome, *, publishes: bool) -> None:
        job = self.jobs[name]
        if publishes and next_stage(job.stage) is not None:
            self.commits.add((job.run_id, job.attempt, job.stage))
        elif publishes:
            self.manifests.add((job.run_id, job.attempt))
        self.jobs[name] = job.model_copy(update={"phase": JobPhase.ENDED, "outcome": outcome})

    # the controller

    def obsolete(self, run: RunRecord) -> str:
        task = self.tasks[run.task]
        if not task.exists:
            return "deleted"
        if str(task.params) != run.param_digest:
            return "edited"
        return "foreign" if task.result else ""

    def decide(self, recheck: bool) -> Sequence[do.Action]:
        """One look at everything, as the loop does it."""
        views = []
        for run in self.runs.values():
            view = RunView(run)
            if run.state is RunState.LAUNCHED:
                attempt = self.attempts[run.run_id, run.attempt]
                there = self.jobs.get(attempt.job_name)
                job = None if self.late else there
                asked = attempt.job_uid is not None or run.wanted is not Wanted.RUN or (recheck and self.obsolete(run))
                unsure = job is None and there is not None and bool(asked)
                view = RunView(run, attempt, job, changed=self.tasks[run.task].changed, unsure=unsure)
                if needs_manifest(view) and self.store_up:
                    found = (run.run_id, run.attempt) in self.manifests
                    digest = f"{run.run_id}/{run.attempt}" if found else None
                    committed = (run.run_id, run.attempt, attempt.stage) in self.commits
                    pods = None if not committed else 3 if attempt.stage is Stage.BASIS else 1
                    unsure = view.unsure and not found
                    view = replace(view, manifest_known=True, manifest_sha256=digest, unsure=unsure, next_shards=pods)
            if run.state not in OVER:
                views.append(replace(view, obsolete=self.obsolete(run) if recheck else ""))
        jobs = [] if self.late else list(self.jobs.values())
        while True:
            actions = decide(views, jobs, self.runs, SETTINGS, self.now)
            launches = {action.run_id for action in actions if isinstance(action, do.Launch)}
            checked = [replace(v, obsolete=self.obsolete(v.run)) if v.run.run_id in launches else v for v in views]
            if checked == views:
                return actions
            views = checked

    def apply(self, action: do.Action, epoch: int, *, zombie: bool = False) -> None:
        match action:
            case do.Launch(run_id, attempt):
                if self.launch(action, epoch):
                    self.confirm(run_id, attempt, self.create(run_id, attempt, zombie=zombie), epoch)
            case do.Create(run_id, attempt):
                self.confirm(run_id, attempt, self.create(run_id, attempt, zombie=zombie), epoch)
            case do.Advance():
                if self.advance(action, epoch):
                    uid = self.create(action.run_id, action.attempt, zombie=zombie)
                    self.confirm(action.run_id, action.attempt, uid, epoch)
            case do.Confirm(run_id, attempt, uid, stage):
                assert zombie or self.attempts[run_id, attempt].stage is stage
                self.confirm(run_id, attempt, uid, epoch)
            case do.Publish(run_id, attempt, digest):
                sets = {"state": RunState.PUBLISHED, "manifest_sha256": digest}
                self.change(run_id, {RunState.LAUNCHED}, attempt, epoch, **sets)
            case do.Retry(run_id, attempt, outcome, not_before_s):
                failure = outcome.failure_class.value
                failures = {**self.runs[run_id].failures}
                failures[failure] = failures.get(failure, 0) + 1
                soon = self.now + dt.timedelta(seconds=not_before_s)
                sets = {"state": RunState.READY, "attempt": attempt + 1, "failures": failures, "not_before": soon}
                done = self.change(run_id, {RunState.LAUNCHED}, attempt, epoch, **sets)
                assert not done or (run_id, attempt) not in self.manifests, "published work is thrown away"
            case do.Fail(run_id, state, attempt, _):
                done = self.change(run_id, {state}, attempt, epoch, state=RunState.FAILED)
                assert not done or (run_id, attempt) not in self.manifests, "published work is thrown away"
            case do.Hold(run_id, state, attempt):
                following = attempt + (state is RunState.LAUNCHED)
                self.change(run_id, {state}, attempt, epoch, state=RunState.HELD, attempt=following)
            case do.Unhold(run_id, attempt):
                self.change(run_id, {RunState.HELD}, attempt, epoch, state=RunState.READY)
            case do.Cancel(run_id, state, attempt):
                self.change(run_id, {state}, attempt, epoch, state=RunState.CANCELLED)
            case do.Supersede(run_id, state, attempt, _, count):
                if self.change(run_id, {state}, attempt, epoch, state=RunState.SUPERSEDED) and count:
                    self.tasks[self.runs[run_id].task].changed += 1
            case do.Note():
                pass  # words alone
            case do.Stop(name, why):
                self.stopping.add(name)
                job = self.jobs.get(name)
                assert why is None or job is None or job.give_up == why or zombie
            case do.Forget(name):
                if name in self.jobs and self.jobs[name].phase is JobPhase.ENDED:
                    del self.jobs[name]

    def launch(self, action: do.Launch, epoch: int) -> bool:
        run = self.runs[action.run_id]
        if run.wanted is not Wanted.RUN:
            return False
        if not self.change(run.run_id, {RunState.READY}, action.attempt, epoch, state=RunState.LAUNCHED):
            return False
        assert (run.run_id, action.attempt) not in self.attempts, "an attempt was launched twice"
        stage = first_stage(run.shards, has_basis=run.kind is Kind.SVD)
        name = job_name(run.run_id, action.attempt, "fmdj", stage)
        self.attempts[run.run_id, action.attempt] = AttemptRecord(
            run_id=run.run_id,
            attempt=action.attempt,
            folder=f"{run.output_dir}/a{action.attempt}",
            spec_sha256=name,
            launcher="model",
            job_name=name,
            job_uid=None,
            started=self.now,
            finished=None,
            outcome=None,
            sentence="",
            evidence={},
            limits=LIMITS,
            stage=stage,
            shards=pods_at_first(run),
            pods=action.pods,
        )
        return True

    def advance(self, action: do.Advance, epoch: int) -> bool:
        run_id, at = action.run_id, action.attempt
        record = self.attempts[run_id, at]
        if record.stage is not action.stage or not self.change(run_id, {RunState.LAUNCHED}, at, epoch):
            return False
        assert (run_id, at, action.stage) in self.commits, "a stage is left that isn't done"
        job = self.jobs.get(record.job_name)
        assert job is None or job.phase is JobPhase.ENDED, "a stage is left while its Job runs"
        name = job_name(run_id, at, "fmdj", action.following)
        following = {"stage": action.following, "job_name": name, "job_uid": None}
        following |= {"shards": action.shards, "pods": action.pods}
        self.attempts[run_id, at] = record.model_copy(update=following)
        return True

    def confirm(self, run_id: str, attempt: int, uid: str, epoch: int) -> None:
        if self.change(run_id, {RunState.LAUNCHED}, attempt, epoch):
            record = self.attempts[run_id, attempt]
            self.attempts[run_id, attempt] = record.model_copy(update={"job_uid": uid})


OUTCOMES = st.sampled_from([None, *FailureClass])


class Machine(RuleBasedStateMachine):
    """All that can happen, in any order."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.zombie: tuple[do.Action, int] | None = None
        for name in TASKS:
            self.world.plan(name)

    def run_pass(self, *, recheck: bool, dies_after: int | None = None) -> None:
        actions = self.world.decide(recheck)
        epoch = self.world.epoch
        for number, action in enumerate(actions):
            if number == dies_after:
                self.zombie = (action, epoch)
                return
            self.world.apply(action, epoch)
        for job in () if self.world.late else self.world.running():
            run = self.world.runs[job.run_id]
            current = run.state is RunState.LAUNCHED and run.attempt == job.attempt
            current = current and job.stage is self.world.attempts[run.run_id, run.attempt].stage
            assert current or job.name in self.world.stopping, f"{job.name} is a stray that nobody stops"

    @rule(recheck=st.booleans())
    def controller_passes(self, recheck: bool) -> None:
        for name in TASKS:
            self.world.plan(name)
        self.run_pass(recheck=recheck)

    @rule(recheck=st.booleans(), after=st.integers(0, 4))
    def controller_dies_between_actions(self, recheck: bool, after: int) -> None:
        self.run_pass(recheck=recheck, dies_after=after)
        self.world.epoch += 1

    @precondition(lambda self: any(r.state is RunState.READY for r in self.world.runs.values()))
    @rule()
    def controller_dies_between_launch_and_create(self) -> None:
        for action in self.world.decide(True):
            if isinstance(action, do.Launch):
                if self.world.launch(action, self.world.epoch):
                    self.zombie = (do.Create(action.run_id, action.attempt), self.world.epoch)
                    self.world.epoch += 1
                return

    @precondition(lambda self: self.zombie is not None)
    @rule()
    def zombie_finishes_its_action(self) -> None:
        action, epoch = self.zombie
        self.zombie = None
        self.world.apply(action, epoch, zombie=True)

    @rule(data=st.data())
    def a_forgotten_zombie_creates_a_job_of_any_attempt(self, data: st.DataObject) -> None:
        if self.world.attempts:
            key = data.draw(st.sampled_from(sorted(self.world.attempts)))
            come_to = STAGES.index(self.world.attempts[key].stage)
            self.world.create(
                *key, stage=data.draw(st.sampled_from(STAGES[min(1, come_to) : come_to + 1])), zombie=True
            )

    @rule(name=st.sampled_from(TASKS))
    def task_is_planned(self, name: str) -> None:
        self.world.plan(name)

    @rule(data=st.data(), failure=OUTCOMES, publishes=st.booleans())
    def job_ends(self, data: st.DataObject, failure: FailureClass | None, publishes: bool) -> None:
        running = [job.name for job in self.world.running()]
        if running:
            name = data.draw(st.sampled_from(running))
            self.world.end(name, Outcome(failure_class=failure, sentence="It ended."), publishes=publishes)
            if failure is FailureClass.CHANGED:
                self.world.tasks[self.world.runs[self.world.jobs[name].run_id].task].videos += 1

    @rule(data=st.data())
    def job_will_never_start(self, data: st.DataObject) -> None:
        running = [job for job in self.world.running() if job.name not in self.world.stopping]
        if running:
            job = data.draw(st.sampled_from(running))
            why = Outcome(failure_class=FailureClass.UNSCHEDULABLE, sentence="No node can take it.")
            self.world.jobs[job.name] = job.model_copy(update={"give_up": why})

    @rule(late=st.booleans())
    def launcher_shows_nothing_or_all(self, late: bool) -> None:
        self.world.late = late

    @rule(data=st.data(), publishes=st.booleans())
    def job_disappears(self, data: st.DataObject, publishes: bool) -> None:
        if self.world.jobs:
            name = data.draw(st.sampled_from(sorted(self.world.jobs)))
            self.world.end(name, Outcome(), publishes=publishes)
            del self.world.jobs[name]

    @rule(data=st.data(), wanted=st.sampled_from(list(Wanted)))
    def people_want(self, data: st.DataObject, wanted: Wanted) -> None:
        live = [r.run_id for r in self.world.runs.values() if r.state not in OVER | {RunState.CANCELLED}]
        if live:
            run_id = data.draw(st.sampled_from(live))
            self.world.runs[run_id] = self.world.runs[run_id].model_copy(update={"wanted": wanted})

    @rule(name=st.sampled_from(TASKS), params=st.integers(0, 2))
    def task_is_edited(self, name: str, params: int) -> None:
        self.world.tasks[name].params = params

    @rule(name=st.sampled_from(TASKS), exists=st.booleans())
    def task_is_deleted_or_inserted_again(self, name: str, exists: bool) -> None:
        self.world.tasks[name].exists = exists
        if not exists:
            self.world.tasks[name].result = None

    @rule(name=st.sampled_from(TASKS), result=st.sampled_from([None, "foreign"]))
    def result_is_deleted_or_foreign(self, name: str, result: str | None) -> None:
        task = self.world.tasks[name]
        if task.exists and (result is None or task.result is None):
            task.result = result

    @rule(data=st.data())
    def commits_are_deleted(self, data: st.DataObject) -> None:
        if self.world.commits:
            self.world.commits.discard(data.draw(st.sampled_from(sorted(self.world.commits))))

    @rule(data=st.data())
    def outputs_are_deleted(self, data: st.DataObject) -> None:
        if self.world.manifests:
            self.world.manifests.discard(data.draw(st.sampled_from(sorted(self.world.manifests))))

    @rule()
    def loader_passes(self) -> None:
        self.world.load()

    @rule(up=st.booleans())
    def store_goes_down_or_up(self, up: bool) -> None:
        self.world.store_up = up

    @rule(seconds=st.sampled_from([1, 60, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += dt.timedelta(seconds=seconds)

    @invariant()
    def no_run_is_doubled(self) -> None:
        for run in self.world.runs.values():
            jobs = [job for job in self.world.running(run.run_id) if job.name not in self.world.by_zombies]
            assert len(jobs) <= 1

    @invariant()
    def every_task_has_at_most_one_run_under_way(self) -> None:
        for name in TASKS:
            active = [r for r in self.world.runs.values() if r.task == name and r.state not in RESTING]
            assert len(active) <= 1

    @invariant()
    def max_active_is_respected(self) -> None:
        own = [job for job in self.world.running() if job.name not in self.world.by_zombies]
        assert sum(job.pods for job in own) <= SETTINGS.max_active

    def teardown(self) -> None:
        """Left alone, everything settles: nothing is lost or stranded."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.store_up = True
        world.late = False
        for _ in range(40):
            world.now += dt.timedelta(hours=1)
            for name in TASKS:
                world.plan(name)
            self.run_pass(recheck=True)
            for job in world.running():
                world.end(job.name, job.give_up or Outcome(), publishes=job.give_up is None)
            world.load()
        assert not world.jobs, "Jobs are left over"
        for run in world.runs.values():
            settled = {
                Wanted.RUN: RESTING,
                Wanted.HOLD: RESTING | {RunState.HELD, RunState.PUBLISHED},
                Wanted.CANCEL: OVER | {RunState.CANCELLED},
            }[run.wanted]
            assert run.state in settled, f"{run.run_id} is stranded"
        for name, task in world.tasks.items():
            bound = world.runs[task.run_id] if task.run_id else None
            given_up = bound is not None and bound.state in RESTING - OVER
            waits = bound is not None and bound.wanted is not Wanted.RUN
            assert not task.exists or task.result or given_up or waits, f"{name} is lost"


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=300, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
