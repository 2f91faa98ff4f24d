"""Random histories of runs, with housekeeping at any moment: what is in use is never deleted."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fmdj_cloud.contracts import RunState
from fmdj_cloud.control.gc.decide import OVER, decide
from fmdj_cloud.control.gc.facts import STORED, Facts, Heap, References, RunFact, Thing
from fmdj_cloud.settings import GcSettings

TASKS = st.integers(0, 1)
KEEP = GcSettings(outputs_days=2, parts_days=1, logs_days=2, specs_days=3)


@dataclass
class Run:
    """A run as the ledger has it, and what it has pinned."""

    run_id: str
    task: int
    state: RunState
    updated: dt.datetime
    attempt: int = 1
    pinned: tuple[str, int] | None = None
    """(run, attempt) whose files its manifest names."""
    past: list[tuple[str, int]] = field(default_factory=list)


class Histories(RuleBasedStateMachine):
    """Tasks whose runs are planned, computed, reused, loaded, edited, deleted and asked for again."""

    def __init__(self):
        super().__init__()
        self.now = dt.datetime(2026, 1, 1)
        self.runs: dict[str, Run] = {}
        self.bound: dict[int, str] = {}
        self.loaded: dict[int, tuple[str, int]] = {}
        """Task -> attempt that its rows in the database come from."""
        self.output_dir: dict[int, str] = {}
        """Task -> run that its facemap_output_dir names."""
        self.edits = 0
        self.disk: dict[tuple[str, int, Thing], dt.datetime] = {}
        self.inputs = {"cam.avi"}

    @initialize(reused=st.booleans())
    def begin(self, reused):
        self.complete(0)
        if reused:
            self.load_anothers(1)
        else:
            self.complete(1)

    def run_of(self, task):
        return self.runs.get(self.bound.get(task, ""))

    def change(self, run, state):
        run.state, run.updated = state, self.now

    def write(self, run, *things):
        for thing in things:
            self.disk[run.run_id, run.attempt, thing] = self.now

    def plan(self, task):
        run = self.run_of(task)
        if run is None or run.state is RunState.SUPERSEDED:
            name = f"svd-{len(self.runs):016x}"
            self.runs[name] = Run(name, task, RunState.READY, self.now)
            self.bound[task] = name
        elif run.state in OVER and task not in self.loaded:  # asked for again: outputs that are there are loaded
            there = run.pinned is not None and (*run.pinned, Thing.OUTPUTS) in self.disk
            if there:
                self.change(run, RunState.PUBLISHED)
            else:
                run.attempt, run.pinned = run.attempt + 1, None
                self.change(run, RunState.READY)

    def launch(self, task):
        run = self.run_of(task)
        if run is not None and run.state is RunState.READY:
            self.change(run, RunState.LAUNCHED)
            self.write(run, Thing.SPECS, Thing.LOGS, Thing.PARTS)

    def reuse(self, task, other):
        run, donor = self.run_of(task), self.run_of(other)
        donating = (RunState.PUBLISHED, RunState.LOADED)
        if run is None or donor is None or run is donor or run.state is not RunState.READY:
            return
        if donor.state in donating and donor.pinned is not None:
            run.pinned = donor.pinned
            self.write(run, Thing.SPECS)
            self.change(run, RunState.PUBLISHED)

    def publish(self, task):
        run = self.run_of(task)
        if run is not None and run.state is RunState.LAUNCHED:
            self.write(run, Thing.OUTPUTS)
            run.pinned = (run.run_id, run.attempt)
            self.change(run, RunState.PUBLISHED)

    def load(self, task):
        run = self.run_of(task)
        if run is not None and run.state is RunState.PUBLISHED and run.pinned is not None:
            self.change(run, RunState.LOADED)
            self.loaded[task] = run.pinned
            self.output_dir[task] = run.pinned[0]

    def retry(self, task):
        run = self.run_of(task)
        if run is not None and run.state is RunState.LAUNCHED:
            run.attempt += 1
            self.change(run, RunState.READY)

    @rule(task=TASKS, state=st.sampled_from([RunState.FAILED, RunState.CANCELLED]))
    def end(self, task, state):
        run = self.run_of(task)
        if run is not None and run.state not in OVER:
            self.change(run, state)

    @rule(task=TASKS)
    def edit_or_delete(self, task):
        run = self.run_of(task)
        if run is not None and run.state is not RunState.SUPERSEDED:
            self.change(run, RunState.SUPERSEDED)

    @rule(task=TASKS)
    def delete_results(self, task):
        self.loaded.pop(task, None)

    @rule(task=TASKS, other=TASKS)
    def point_at(self, task, other):
        run = self.run_of(other)
        if run is not None:
            self.output_dir[task] = run.run_id

    @rule(task=TASKS, steps=st.lists(st.sampled_from(["plan", "launch", "retry", "publish", "load"]), max_size=4))
    def go_on(self, task, steps):
        for step in steps:
            getattr(self, step)(task)

    @rule(task=TASKS)
    def complete(self, task):
        for step in (self.plan, self.launch, self.publish, self.load):
            step(task)

    @rule(task=TASKS)
    def load_anothers(self, task):
        self.plan(task)
        self.reuse(task, 1 - task)
        self.load(task)

    @rule(days=st.sampled_from([0, 1, 2, 5]))
    def clear_away(self, days):
        self.now += dt.timedelta(days=days)
        facts = self.facts()
        for line in decide(facts, KEEP):
            assert line.goes, "the ledger knows every run here"
            run = self.runs[line.run_id]
            assert run.state in OVER, "of a run under way"
            assert line.thing is Thing.PARTS or (line.run_id, line.attempt) not in self.in_use(), "in use"
            assert (self.now - self.disk[line.run_id, line.attempt, line.thing]).days >= KEEP.parts_days
            del self.disk[line.run_id, line.attempt, line.thing]
            if line.thing is Thing.OUTPUTS and run.pinned == (line.run_id, line.attempt):
                run.pinned = None

    @invariant()
    def what_is_in_use_is_there(self):
        for run_id, attempt in self.in_use():
            assert (run_id, attempt, Thing.OUTPUTS) in self.disk
        assert self.inputs == {"cam.avi"}

    def in_use(self):
        """Attempts whose outputs are loaded, or about to be, or named by a task and there ever since."""
        pinned = [run.pinned for run in self.runs.values() if run.pinned and run.state in (*_USING,)]
        return {*self.loaded.values(), *pinned}

    def facts(self):
        def pinned(run):
            return "d" * 64 if run.pinned is not None else None

        standing = [run for run in self.runs.values() if run.pinned is not None]
        return Facts(
            now=self.now,
            runs={
                run.run_id: RunFact(
                    run_id=run.run_id,
                    pipeline="lab",
                    state=run.state,
                    attempt=run.attempt,
                    updated=run.updated,
                    manifest_sha256=pinned(run),
                    has_result=run.task in self.loaded,
                )
                for run in self.runs.values()
            },
            pipelines={"lab"},
            heaps=tuple(
                Heap(
                    folder=f"s3://b/{run_id}/a{attempt}",
                    place=f"{run_id}/a{attempt}",
                    run_id=run_id,
                    attempt=attempt,
                    thing=thing,
                    files=1,
                    size=1,
                    newest=written,
                )
                for (run_id, attempt, thing), written in self.disk.items()
                if thing in STORED
            ),
            references=References(
                runs=frozenset(self.output_dir.values()),
                attempts=frozenset(run.pinned for run in standing if run.pinned[0] != run.run_id),
            ),
        )


_USING = (RunState.PUBLISHED, RunState.LOADED)
TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=300, stateful_step_count=15, deadline=None)
