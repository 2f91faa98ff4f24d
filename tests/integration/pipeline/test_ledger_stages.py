"""Stages of an attempt in the ledger: one follows the other, and every fence that refuses it."""

from __future__ import annotations

from typing import Any

import pytest

from fmdj_cloud.contracts import AttemptRecord, RunRecord, RunState, Stage
from fmdj_cloud.pipeline.ledger_columns import add_stages

from .conftest import LIMITS, PLAN, SHA, World, failure

pytestmark = pytest.mark.integration


def launch(world: World, run: RunRecord, **changes: Any) -> bool:
    given = {"folder": f"{run.output_dir}/a{run.attempt}", "spec_sha256": SHA, "launcher": "local"}
    stage = {"job_name": f"{run.run_id}-b", "stage": Stage.BASIS}
    return world.ledger.launch(run.run_id, run.attempt, **given, limits=LIMITS, epoch=None, **stage | changes)


def advance(world: World, run: RunRecord, stage: Stage, following: Stage, **changes: Any) -> bool:
    given = {"launcher": "local", "job_name": f"{run.run_id}-{following.value}", "shards": 1, "pods": 1, "epoch": None}
    attempt = changes.pop("attempt", run.attempt)
    return world.ledger.advance(run.run_id, attempt, stage, following, **given | changes)


@pytest.fixture
def run(world: World) -> RunRecord:
    """A run whose first attempt has begun with its basis."""
    planned = world.planned()
    assert launch(world, planned)
    return world.now(planned)


def attempt_of(world: World, run: RunRecord, number: int = 1) -> AttemptRecord:
    found = world.ledger.attempt(run.run_id, number)
    assert found is not None
    assert world.ledger.current_attempts().get(run.run_id, found) == found
    return found


def test_an_attempt_is_at_the_stage_it_began_with(world: World, run: RunRecord) -> None:
    attempt = attempt_of(world, run)
    assert (attempt.stage, attempt.shards, attempt.pods, attempt.job_uid) == (Stage.BASIS, 1, 1, None)
    assert world.ledger.confirm(run.run_id, 1, job_uid="u1", epoch=None, stage=Stage.BASIS)
    assert attempt_of(world, run).job_uid == "u1"


def test_stages_follow_each_other_with_jobs_of_their_own(world: World, run: RunRecord) -> None:
    world.ledger.confirm(run.run_id, 1, job_uid="u1", epoch=None, stage=Stage.BASIS)
    world.ledger.note(run.run_id, 1, "It is queued.", epoch=None)
    assert advance(world, run, Stage.BASIS, Stage.PROJECT, shards=8, pods=3)
    assert (world.now(run).state, world.now(run).attempt, world.now(run).sentence) == (RunState.LAUNCHED, 1, "")
    attempt = attempt_of(world, run)
    assert (attempt.stage, attempt.shards, attempt.pods) == (Stage.PROJECT, 8, 3)
    assert (attempt.job_name, attempt.job_uid) == (f"{run.run_id}-project", None)
    assert advance(world, run, Stage.PROJECT, Stage.MERGE)
    assert world.ledger.publish(run.run_id, 1, SHA, epoch=None)
    assert [(one.stage, one.outcome) for one in world.ledger.stages(run.run_id, 1)] == [
        (Stage.BASIS, "done"),
        (Stage.PROJECT, "done"),
        (Stage.MERGE, "published"),
    ]
    (only,) = world.ledger.attempts(run.run_id)
    assert (only.stage, only.outcome) == (Stage.MERGE, "published")


def test_machines_and_gpu_seconds_are_kept_by_stage(world: World, run: RunRecord) -> None:
    advance(world, run, Stage.BASIS, Stage.PROJECT, shards=2, pods=2)
    world.ledger.note_usage(run.run_id, 1, node="n1", gpu_s=5.0, epoch=None, stage=Stage.BASIS)
    world.ledger.note_usage(run.run_id, 1, node="n2", gpu_s=80.0, epoch=None, stage=Stage.PROJECT)
    basis, project = world.ledger.stages(run.run_id, 1)
    assert (basis.node, basis.gpu_seconds) == ("n1", 5.0)
    assert (project.node, project.gpu_seconds, project.shards) == ("n2", 80.0, 2)


def test_a_stage_is_left_once_and_by_who_leads(world: World, run: RunRecord) -> None:
    epoch = world.ledger.acquire("me", 100)
    assert epoch is not None

    def refused(**changes: Any) -> bool:
        return not advance(world, run, *changes.pop("way", (Stage.BASIS, Stage.PROJECT)), **{"epoch": epoch} | changes)

    before = world.now(run), attempt_of(world, run), world.ledger.stages(run.run_id, 1)
    assert refused(epoch=epoch - 1)
    assert refused(attempt=2)
    assert refused(way=(Stage.PROJECT, Stage.MERGE))
    assert (world.now(run), attempt_of(world, run), world.ledger.stages(run.run_id, 1)) == before
    assert advance(world, run, Stage.BASIS, Stage.PROJECT, epoch=epoch)
    assert refused()
    assert len(world.ledger.stages(run.run_id, 1)) == 2


@pytest.mark.parametrize("end", ["retry", "hold", "fail", "cancel", "supersede", "publish"])
def test_an_attempt_that_has_ended_comes_to_no_further_stage(world: World, run: RunRecord, end: str) -> None:
    ledger, state = world.ledger, RunState.LAUNCHED
    {
        "retry": lambda: ledger.retry(run.run_id, 1, failure(), not_before_s=0, epoch=None),
        "hold": lambda: ledger.hold(run.run_id, state, 1, epoch=None),
        "fail": lambda: ledger.fail(run.run_id, state, 1, failure()),
        "cancel": lambda: ledger.cancel(run.run_id, state, 1),
        "supersede": lambda: ledger.supersede(run.run_id, state, 1, "edited"),
        "publish": lambda: ledger.publish(run.run_id, 1, SHA, epoch=None),
    }[end]()
    assert not advance(world, run, Stage.BASIS, Stage.PROJECT)
    assert [one.stage for one in ledger.stages(run.run_id, 1)] == [Stage.BASIS]


def test_the_next_attempt_begins_anew(world: World, run: RunRecord) -> None:
    advance(world, run, Stage.BASIS, Stage.PROJECT, shards=2, pods=2)
    world.ledger.retry(run.run_id, 1, failure(), not_before_s=0, epoch=None)
    assert [one.outcome for one in world.ledger.stages(run.run_id, 1)] == ["done", "crash"]
    assert launch(world, world.now(run), job_name="second")
    first, second = world.ledger.attempts(run.run_id)
    assert (first.stage, second.stage, second.job_name) == (Stage.PROJECT, Stage.BASIS, "second")


def test_a_run_knows_its_shards_and_may_be_given_others_before_it_starts(world: World) -> None:
    run = world.planned()
    assert run.shards is None
    cut = PLAN.model_copy(update={"shards": 8})
    assert world.ledger.amend_plan(run.run_id, 1, cut, epoch=None)
    assert (world.now(run).shards, world.ledger.plan_of(run.run_id).shards) == (8, 8)
    launch(world, world.now(run))
    assert not world.ledger.amend_plan(run.run_id, 1, PLAN, epoch=None)


def test_a_ledger_from_before_there_were_stages_is_brought_up(world: World) -> None:
    run = world.launched()
    before = attempt_of(world, run)
    database = world.database
    columns = {"run": ["shards"], "run__attempt": ["stage"], "run__job": ["shards", "pods"]}
    for table, dropped in columns.items():
        for column in dropped:
            database.execute(f"ALTER TABLE {database.quote(database.ledger_schema, table)} DROP COLUMN {column}")
    for _ in range(2):  # one that was cut off is repeated
        add_stages(database)
    assert attempt_of(world, run) == before
    assert world.now(run).shards is None
    assert not advance(world, run, Stage.ALL, Stage.MERGE, attempt=2)
