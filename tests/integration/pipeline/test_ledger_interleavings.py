"""Random interleavings of two controllers, a loader and people: nothing is lost, doubled or stranded."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from fmdj_cloud.contracts import Kind, RunRecord, RunState, TaskRecord, Wanted
from fmdj_cloud.errors import LostRaceError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.ledger import Ledger

from .conftest import LIMITS, SHA, World, failure

pytestmark = pytest.mark.integration

S = RunState
UNDER_WAY = {S.READY, S.LAUNCHED, S.PUBLISHED, S.HELD}
FROM = {
    "launch": {S.READY},
    "confirm": {S.LAUNCHED},
    "publish": {S.LAUNCHED},
    "retry": {S.LAUNCHED},
    "fail": {S.READY, S.LAUNCHED, S.PUBLISHED, S.HELD},
    "hold": {S.READY, S.LAUNCHED},
    "unhold": {S.HELD},
    "cancel": {*UNDER_WAY, S.FAILED},
    "supersede": set(S) - {S.SUPERSEDED},
}


@dataclass
class Model:
    """What a run should be; `state` None before it is planned."""

    state: RunState | None = None
    attempt: int = 1
    pin: str | None = None
    wanted: Wanted = Wanted.RUN
    failures: Counter[str] = field(default_factory=Counter)
    bound: bool = False
    launched: int = 0
    """Attempts that were ever launched."""

    def apply(self, name: str) -> None:
        was = self.state
        match name:
            case "launch":
                self.state, self.launched = S.LAUNCHED, self.launched + 1
            case "publish":
                self.state, self.pin = S.PUBLISHED, SHA
            case "retry":
                self.state, self.attempt = S.READY, self.attempt + 1
                self.failures["crash"] += 1
            case "fail":
                self.state = S.FAILED
            case "hold":
                self.state, self.attempt = S.HELD, self.attempt + (was is S.LAUNCHED)
            case "unhold":
                self.state = S.READY
            case "cancel":
                self.state = S.CANCELLED
            case "supersede":
                self.state = S.SUPERSEDED

    def plan(self, verifies: bool) -> None:
        asked_again = self.state in (S.LOADED, S.SUPERSEDED) or (
            self.state in (S.FAILED, S.CANCELLED) and not self.bound
        )
        if self.state is None:
            self.state = S.READY
        elif asked_again:
            reload = self.state in (S.LOADED, S.SUPERSEDED) and self.pin is not None and verifies
            self.wanted = Wanted.RUN
            if reload:
                self.state = S.PUBLISHED
            else:
                self.state, self.attempt, self.pin = S.READY, self.attempt + 1, None
                self.failures = Counter()
        self.bound = True

    @property
    def pending(self) -> bool:
        return not self.bound or self.state in (S.LOADED, S.SUPERSEDED)


def change(ledger: Ledger, name: str, run_id: str, state: RunState, attempt: int, epoch: int | None) -> bool:
    match name:
        case "launch":
            return ledger.launch(
                run_id,
                attempt,
                folder=f"s3://p/a{attempt}",
                spec_sha256=SHA,
                launcher="local",
                job_name=f"j{attempt}",
                limits=LIMITS,
                epoch=epoch,
            )
        case "confirm":
            return ledger.confirm(run_id, attempt, job_uid="u", epoch=epoch)
        case "publish":
            return ledger.publish(run_id, attempt, SHA, epoch=epoch)
        case "retry":
            return ledger.retry(run_id, attempt, failure(), not_before_s=0, epoch=epoch)
        case "fail":
            return ledger.fail(run_id, state, attempt, failure(), epoch=epoch)
        case "hold":
            return ledger.hold(run_id, state, attempt, epoch=epoch)
        case "unhold":
            return ledger.unhold(run_id, attempt, epoch=epoch)
        case "cancel":
            return ledger.cancel(run_id, state, attempt, epoch=epoch)
        case _:
            return ledger.supersede(run_id, state, attempt, "edited", epoch=epoch, count_changed=True)


TASKS = st.integers(0, 1)
ACTORS = st.integers(0, 1)
SELDOM = st.sampled_from([False, False, True])
MOSTLY = st.sampled_from([True, True, True, False])


class Interleavings(RuleBasedStateMachine):
    """Actors act on what they saw last, which may be stale; leadership goes back and forth."""

    def __init__(self, world: World, ledgers: list[Ledger]) -> None:
        super().__init__()
        self.world = world
        self.ledgers = ledgers

    @initialize()
    def begin(self) -> None:
        self.world.empty()
        self.tasks: list[TaskRecord] = [self.world.task(self.world.add_task(n)) for n in (1, 2)]
        self.ids = ["svd-" + task.task_digest[:16] for task in self.tasks]
        self.models = [Model(), Model()]
        self.views = [[replace(model) for model in self.models] for _ in (0, 1)]
        self.epochs = [0, 0]
        self.epoch = 0
        self.lead(0)
        self.plan(0, 0, verifies=True)

    @rule(actor=ACTORS)
    def lead(self, actor: int) -> None:
        """A lease of no length: whoever asks next may have it."""
        self.epoch += 1
        assert self.ledgers[actor].acquire(f"p{actor}", 0) == self.epoch
        self.epochs[actor] = self.epoch

    @rule(actor=ACTORS, task=TASKS, verifies=st.booleans())
    def plan(self, actor: int, task: int, verifies: bool) -> None:
        ledger, model, epoch = self.ledgers[actor], self.models[task], self.epochs[actor]
        if not model.pending and model.state is None:
            return
        try:
            record = self.world.plan(
                self.tasks[task], epoch=epoch, manifest_verifies=lambda *_: verifies, run_id=self.ids[task], via=ledger
            )
        except LostRaceError:
            assert epoch != self.epoch or self.epoch == 0
            return
        assert epoch == self.epoch
        model.plan(verifies)
        assert record.state is model.state

    @rule(actor=ACTORS, task=TASKS, name=st.sampled_from(list(FROM)), fresh=MOSTLY, fenced=SELDOM)
    def act(self, actor: int, task: int, name: str, fresh: bool, fenced: bool) -> None:
        model = self.models[task]
        if fresh:
            self.views[actor][task] = replace(model)
        view = self.views[actor][task]
        if view.state is None:
            return
        epoch = self.epochs[actor] if fenced else None
        expected = (
            (epoch is None or (epoch == self.epoch and epoch > 0))
            and model.state in FROM[name]
            and model.attempt == view.attempt
            and (name in ("launch", "confirm", "publish", "retry", "unhold") or model.state is view.state)
            and not (name == "launch" and model.wanted is not Wanted.RUN)
        )
        done = change(self.ledgers[actor], name, self.ids[task], view.state, view.attempt, epoch)
        assert done is expected, f"{name} of {view} on {model}"
        if done:
            model.apply(name)

    @rule(actor=ACTORS, task=TASKS, fresh=MOSTLY)
    def load(self, actor: int, task: int, fresh: bool) -> None:
        model, view = self.models[task], self.models[task] if fresh else self.views[actor][task]
        done = self.ledgers[actor].mark_loaded(self.ids[task], view.attempt, SHA)
        assert done is (model.state is S.PUBLISHED and model.attempt == view.attempt and model.wanted is Wanted.RUN)
        if done:
            model.state = S.LOADED

    @rule(task=TASKS, wanted=st.sampled_from([*Wanted, Wanted.RUN, Wanted.RUN]))
    def want(self, task: int, wanted: Wanted) -> None:
        model = self.models[task]
        done = self.world.ledger.set_wanted(self.ids[task], wanted)
        assert done is (model.state in {*UNDER_WAY, S.FAILED})
        if done:
            model.wanted = wanted

    @rule(task=TASKS)
    def forget(self, task: int) -> None:
        model = self.models[task]
        done = self.world.ledger.forget("lab", Kind.SVD, self.tasks[task].key, epoch=None)
        assert done is (model.bound and model.state not in UNDER_WAY)
        model.bound = model.bound and not done

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "models"):
            return
        keys = self.world.tasks.pending(10)
        for task, run_id, model in zip(self.tasks, self.ids, self.models, strict=True):
            run = self.world.ledger.run(run_id)
            assert (run is None) is (model.state is None)
            assert (task.key in keys) is model.pending
            if run is None:
                continue
            found = (run.state, run.attempt, run.manifest_sha256, run.wanted, Counter(run.failures))
            assert found == (model.state, model.attempt, model.pin, model.wanted, model.failures)
            attempts = self.world.ledger.attempts(run_id)
            assert len(attempts) == model.launched
            open_attempts = [a.attempt for a in attempts if a.finished is None]
            assert open_attempts == ([run.attempt] if run.state is S.LAUNCHED else [])


def test_any_interleaving_agrees_with_the_model(world: World, connect: Callable[[], Database]) -> None:
    ledgers = [_ledger(world, connect()) for _ in (0, 1)]
    run_state_machine_as_test(
        lambda: Interleavings(world, ledgers),
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def _ledger(world: World, database: Database) -> Ledger:
    ledger = Ledger(database)
    ledger.attach("lab", Kind.SVD, world.element.FacemapTask)
    return ledger


@pytest.mark.parametrize("seed", range(4))
def test_long_walks_agree_with_the_model(world: World, connect: Callable[[], Database], seed: int) -> None:
    """As above, along the ways that runs usually go, with now and then a step that is refused."""
    choose = random.Random(seed)
    machine = Interleavings(world, [_ledger(world, connect()) for _ in (0, 1)])
    machine.begin()
    for _ in range(200):
        actor, task, fresh = choose.randrange(2), choose.randrange(2), choose.random() < 0.85
        model = machine.models[task]
        dice = choose.random()
        if model.pending or dice < 0.05:
            machine.lead(actor)
            machine.plan(actor, task, choose.random() < 0.5)
        elif dice < 0.15:
            machine.want(task, choose.choice([Wanted.RUN, Wanted.RUN, Wanted.HOLD]))
        elif dice < 0.2:
            machine.forget(task)
        elif dice < 0.3:
            machine.load(actor, task, fresh)
        else:
            legal = [name for name in FROM if model.state in FROM[name] and name != "supersede"]
            names = legal if legal and choose.random() < 0.8 else list(FROM)
            machine.act(actor, task, choose.choice(names), fresh, choose.random() < 0.3)
        machine.agrees()


def test_real_concurrency_changes_every_attempt_once(world: World, connect: Callable[[], Database]) -> None:
    """Four processes at once on two runs: no deadlock, and every attempt ends once."""
    runs = [world.planned(n) for n in (1, 2)]
    ids = [run.run_id for run in runs]
    tasks = [world.task(world.ledger.binding_of(run.run_id).key) for run in runs]
    won: list[tuple[str, int, str, RunState]] = []
    errors: list[BaseException] = []

    def work(seed: int, ledger: Ledger) -> None:
        choose = random.Random(seed)
        try:
            for _ in range(60):
                number = choose.randrange(2)
                _step(choose, ledger, ids[number], tasks[number], seed, won)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n, _ledger(world, connect()))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    ended = Counter((run_id, attempt) for run_id, attempt, name, state in won if state is S.LAUNCHED and name != "load")
    launched = Counter((run_id, attempt) for run_id, attempt, name, _ in won if name == "launch")
    assert set(launched.values()) == {1}
    assert set(ended.values()) == {1}
    assert set(ended) <= set(launched)
    for run_id in ids:
        run = world.ledger.run(run_id)
        assert run is not None
        attempts = world.ledger.attempts(run_id)
        assert {a.attempt for a in attempts} == {attempt for name, attempt in launched if name == run_id}
        still_open = [a.attempt for a in attempts if a.finished is None]
        assert still_open == ([run.attempt] if run.state is S.LAUNCHED else [])


def _step(choose: random.Random, ledger: Ledger, run_id: str, task: TaskRecord, seed: int, won: list[Any]) -> None:
    run: RunRecord | None = ledger.run(run_id)
    assert run is not None
    if choose.random() < 0.2:
        ledger.acquire(f"p{seed}", 0)
        return
    if run.state in (S.LOADED, S.SUPERSEDED):
        try:
            leader = ledger.acquire(f"p{seed}", 0.05)
            ledger.plan(
                task,
                run_id,
                run.content_digest,
                ledger.plan_of(run_id),
                run.output_dir,
                manifest_verifies=lambda *_: choose.random() < 0.5,
                epoch=leader,
            )
        except LostRaceError:
            pass
        return
    if run.state in (S.FAILED, S.CANCELLED):
        ledger.supersede(run_id, run.state, run.attempt, "again", count_changed=True)
        return
    names = [name for name, states in FROM.items() if run.state in states and name != "confirm"]
    if run.state is S.PUBLISHED and choose.random() < 0.5:
        with ledger.database.transaction():
            if ledger.mark_loaded(run_id, run.attempt, SHA):
                won.append((run_id, run.attempt, "load", run.state))
        return
    name = choose.choice(names)
    if change(ledger, name, run_id, run.state, run.attempt, None):
        won.append((run_id, run.attempt, name, run.state))
