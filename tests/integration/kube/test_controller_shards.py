"""Sharded runs on Kubernetes, from the task to the rows: killed pods, lost stages, a controller that dies between."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from fmdj_cloud.contracts import Engine, RunState, Stage, Wanted
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.launchers.kubernetes.indexed import INDEX_LABEL
from fmdj_cloud.control.progress import read_progress
from fmdj_cloud.settings import DatabaseSettings
from fmdj_cloud.storage.stages import basis_uri, part_uri
from tests.support.kube import behaviour as does
from tests.support.kube.objects import Object
from tests.support.kube_controller.deaths import deaths, made
from tests.support.kube_controller.fixtures import kube_premises
from tests.support.kube_controller.fixtures import world as plain_world
from tests.support.kube_controller.program import Program
from tests.support.kube_controller.world import PIPELINE, KubeWorld

__all__ = ["kube_premises", "plain_world"]
pytestmark = pytest.mark.integration
SHARDS = 4
PIECES = [f"{start}:{stop};" for start, stop in ((0, 30), (30, 50), (50, 80), (80, 100))]


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One kind of database: these tests are about Kubernetes."""
    return postgres_settings


@pytest.fixture
def world(plain_world: KubeWorld) -> KubeWorld:
    """A lab whose recordings are cut into four shards, of which three are computed at a time."""
    plain_world.ledger.see_pipeline(PIPELINE, engine=Engine.TURBO, pending=0, limit=100)
    plain_world.settings = plain_world.with_controller(shards=SHARDS, shard_retries=1)
    plain_world.settings = plain_world.with_profile(max_active=3)
    return plain_world


def of(stage: Stage, *, shard: int | None = None, attempt: int | None = None) -> Any:
    """Tells which pods are of a stage."""

    def match(pod: Object) -> bool:
        found = pod["metadata"]["labels"]
        return (
            found.get(labels.STAGE) == stage.value
            and (shard is None or found.get(INDEX_LABEL) == str(shard))
            and (attempt is None or found[labels.ATTEMPT] == str(attempt))
        )

    return match


def done(world: KubeWorld, attempt: int, *stages: str) -> Counter[tuple[str, str]]:
    """What the pods of an attempt did."""
    return Counter((stage, said) for stage, _, number, said in world.workers.stages if number == attempt)


def assert_loaded(world: KubeWorld, program: Program, key: dict[str, Any], *outcomes: str, **options: Any) -> None:
    world.until_state(program, key, RunState.LOADED, **options)
    assert world.outcomes(key) == [*outcomes, "published"]
    assert world.workers.doubled == []
    (text,) = world.workers.merged
    assert [piece.partition(":")[2] + ";" for piece in text.split(";")[:-1]] == PIECES
    assert len({piece.partition(":")[0] for piece in text.split(";")[:-1]}) == 1, "of several bases"


def test_a_run_goes_through_its_stages(world: KubeWorld) -> None:
    key = world.insert_task()
    program = world.start()
    assert_loaded(world, program, key)
    assert done(world, 1) == {("basis", "done"): 1, ("project", "done"): SHARDS, ("merge", "done"): 1}
    run = world.run_of(key)
    assert run.shards == SHARDS
    stages = world.ledger.stages(run.run_id, 1)
    assert [(one.stage, one.shards, one.pods, one.outcome) for one in stages] == [
        (Stage.BASIS, 1, 1, "done"),
        (Stage.PROJECT, SHARDS, 3, "done"),
        (Stage.MERGE, 1, 1, "published"),
    ]
    assert all(one.node for one in stages)


def test_no_more_pods_than_the_profile_has_places(world: KubeWorld) -> None:
    keys = world.insert_tasks(3)
    program = world.start()
    most = 0
    for _ in range(80):
        world.turn(program, 2)
        alive = [pod for pod in world.pods() if pod["status"].get("phase") in ("Pending", "Running")]
        most = max(most, len(alive))
        if all(world.run_of(key).state is RunState.LOADED for key in keys):
            break
    assert most == 3
    assert {world.run_of(key).state for key in keys} == {RunState.LOADED}
    assert len(world.workers.merged) == 3


def test_a_killed_shard_is_computed_again_in_its_job(world: KubeWorld) -> None:
    world.cluster.script(of(Stage.PROJECT, shard=1), does.troubled("podgc"), world.workers.good())
    key = world.insert_task()
    assert_loaded(world, world.start(), key)
    assert done(world, 1)["project", "done"] == SHARDS


def test_two_pods_of_a_shard_do_no_harm(world: KubeWorld) -> None:
    """The first has committed, but its machine goes away before anybody knows: the second finds its work done."""
    late = world.workers.does(run=world.workers.publish, lasts_s=None, trouble=does.Trouble("podgc", 2))
    world.cluster.script(of(Stage.PROJECT, shard=2), late, world.workers.good())
    key = world.insert_task()
    assert_loaded(world, world.start(), key)
    assert done(world, 1)["project", "found"] == 1


def test_finished_shards_are_used_again_by_the_next_attempt(world: KubeWorld) -> None:
    world.cluster.script(of(Stage.PROJECT, shard=3, attempt=1), does.oom())
    key = world.insert_task()
    assert_loaded(world, world.start(), key, "memory")
    assert done(world, 1) == {("basis", "done"): 1, ("project", "done"): SHARDS - 1}
    assert done(world, 2) == {
        ("basis", "reused"): 1,
        ("project", "reused"): SHARDS - 1,
        ("project", "done"): 1,
        ("merge", "done"): 1,
    }
    first, second = world.attempts(key)
    assert second.limits.memory_mib > first.limits.memory_mib


def test_a_lost_basis_pod_costs_an_attempt(world: KubeWorld) -> None:
    world.cluster.script(of(Stage.BASIS), does.troubled("podgc"), world.workers.good())
    key = world.insert_task()
    assert_loaded(world, world.start(), key, "disrupted")
    assert [one.stage for one in world.ledger.stages(world.run_of(key).run_id, 1)] == [Stage.BASIS]


def test_a_basis_pod_that_is_lost_after_its_commit_costs_nothing(world: KubeWorld) -> None:
    late = world.workers.does(run=world.workers.publish, lasts_s=None, trouble=does.Trouble("podgc", 2))
    world.cluster.script(of(Stage.BASIS), late)
    key = world.insert_task()
    assert_loaded(world, world.start(), key)


def test_a_merge_that_dies_halfway_is_merged_again_and_nothing_else(world: KubeWorld) -> None:
    world.cluster.script(of(Stage.MERGE, attempt=1), does.fail(1, lasts_s=2))
    key = world.insert_task()
    assert_loaded(world, world.start(), key, "crash")
    assert done(world, 2) == {("basis", "reused"): 1, ("project", "reused"): SHARDS, ("merge", "done"): 1}


def test_a_refused_input_is_final_at_every_stage(world: KubeWorld) -> None:
    program = world.start()
    for stage in (Stage.BASIS, Stage.PROJECT, Stage.MERGE):
        world.cluster.script(of(stage), does.fail(10, '{"code": "input", "exit_code": 10, "sentence": "No frames."}'))
        key = world.insert_task()
        run = world.until_state(program, key, RunState.FAILED)
        assert (run.failure_class, run.sentence.endswith("No frames.")) == ("input", True)
        assert [one.stage for one in world.ledger.stages(run.run_id, 1)][-1] is stage
        world.cluster.scripted.clear()


def test_commits_that_were_lost_between_stages_are_made_again(world: KubeWorld) -> None:
    """Somebody clears up in the bucket while the shards compute: the basis is gone, then a shard."""
    store = world.premises.store
    slow = world.workers.good(lasts_s=20)
    world.cluster.script(of(Stage.PROJECT, attempt=1), slow)
    key = world.insert_task()
    program = world.start()
    program.turn()
    run = world.run_of(key)
    world.until(program, lambda: any(of(Stage.PROJECT)(pod) for pod in world.pods()), "the shards")
    store.delete(basis_uri(f"{run.output_dir}/a1"))
    world.until(program, lambda: world.run_of(key).attempt == 2, "the second attempt")
    world.until(program, lambda: len(done(world, 2)) > 1, "its first shards")
    store.delete(part_uri(f"{run.output_dir}/a2", 0))
    world.until_state(program, key, RunState.LOADED)
    assert world.workers.doubled == []
    assert world.outcomes(key)[-1] == "published"


@pytest.mark.parametrize("stage", [Stage.BASIS, Stage.PROJECT, Stage.MERGE])
def test_a_run_is_cancelled_at_every_stage(world: KubeWorld, stage: Stage) -> None:
    world.cluster.script(of(stage), does.stay())
    key = world.insert_task()
    program = world.start()
    program.turn()
    world.until(program, lambda: any(of(stage)(pod) for pod in world.pods()), "the stage")
    run = world.run_of(key)
    assert world.ledger.set_wanted(run.run_id, Wanted.CANCEL)
    world.until_state(program, key, RunState.CANCELLED)


def test_a_task_that_is_edited_is_computed_anew_at_every_stage(world: KubeWorld) -> None:
    world.cluster.script(of(Stage.PROJECT), does.stay())
    key = world.insert_task()
    program = world.start()
    program.turn()
    world.until(program, lambda: any(of(Stage.PROJECT)(pod) for pod in world.pods()), "the shards")
    old = world.run_of(key)
    world.cluster.scripted.clear()
    world.premises.element.FacemapTask.update1({**key, "facemap_params": {"sbin": 8}})
    world.until(program, lambda: world.run_of(key).run_id != old.run_id, "the new run")
    world.until_state(program, key, RunState.LOADED)
    assert world.pods(old.run_id) == world.jobs(old.run_id) == []


def test_progress_adds_up(world: KubeWorld) -> None:
    world.cluster.script(of(Stage.PROJECT, shard=1), does.stay())
    key = world.insert_task()
    program = world.start()
    program.turn()
    world.until(program, lambda: done(world, 1)["project", "done"] == SHARDS - 1, "the other shards")
    progress = read_progress(world.premises.store, world.run_of(key))
    assert progress is not None
    assert (progress.shards_done, progress.shards) == (3, SHARDS)
    assert (progress.frames_done, progress.frames_total) == (80, 100)
    assert "3 of 4 shards done" in world.explained(key).why


def test_nothing_is_lost_or_doubled_wherever_the_controller_dies(world: KubeWorld) -> None:
    world.settings = world.with_controller(shards=2)
    died = Counter[str]()
    for step, key in deaths(world, lambda program, key: world.until_state(program, key, RunState.LOADED, seconds=8)):
        assert world.outcomes(key) == ["published"], step
        stages = world.ledger.stages(world.run_of(key).run_id, 1)
        assert [one.outcome for one in stages] == ["done", "done", "published"], step
        assert made(world, world.run_of(key).run_id) == {"1-b": 1, "1-p": 1, "1-m": 1}, step
        died[step.split()[1]] += 1
    assert world.workers.doubled == []
    assert all(text.count(";") == 2 for text in world.workers.merged)
    assert len(world.workers.merged) == died.total() + 1  # the last one lived
    assert died["create"] >= 3
    assert died["COMMIT"] >= 8
