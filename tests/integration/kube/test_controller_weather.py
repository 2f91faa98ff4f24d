"""Whatever happens to the API server and to Jobs in the meantime: every run is loaded, and none is done twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fmdj_cloud.contracts import FailureClass, RunState
from fmdj_cloud.control.launchers.base import LauncherLostError
from fmdj_cloud.settings import DatabaseSettings
from tests.support.kube.behaviour import Behaviour
from tests.support.kube.cluster import FakeCluster
from tests.support.kube_controller.fixtures import kube_premises, world
from tests.support.kube_controller.program import Program
from tests.support.kube_controller.world import KubeWorld

__all__ = ["kube_premises", "world"]
pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One kind of database: these tests are about Kubernetes."""
    return postgres_settings


@pytest.fixture
def program(world: KubeWorld) -> Program:
    """A controller that leads, over a pipeline that it knows."""
    made = world.start()
    made.turn()
    return made


def all_load(world: KubeWorld, program: Program, keys: list[dict[str, Any]]) -> None:
    """Wait until tasks are loaded; each took one attempt."""
    for key in keys:
        world.until_state(program, key, RunState.LOADED, turns=200)
    assert [world.outcomes(key) for key in keys] == [["published"]] * len(keys), world.story()
    assert set(world.workers.starts.values()) == {1}


def forget_history(cluster: FakeCluster) -> None:
    cluster.compact()
    cluster.cut_watches()


Weather = Callable[[FakeCluster], object]
STORMS: dict[str, tuple[dict[str, Any] | None, Weather]] = {
    "410 for every watch": ({"match": "watch *", "status": 410}, lambda cluster: cluster.cut_watches()),
    "a history that is forgotten again and again": (None, forget_history),
    "watches that end at once": ({"match": "watch *", "kind": "end"}, lambda cluster: cluster.end_watches()),
    "watches that break": ({"match": "watch *", "kind": "cut"}, lambda cluster: cluster.cut_watches()),
    "watches that say nothing": ({"match": "watch *", "kind": "silent"}, lambda cluster: cluster.store.wake()),
    "503 now and then": ({"match": None, "status": 503, "skip": 3, "times": 40}, lambda cluster: cluster.cut_watches()),
    "429 with a time to come back": (
        {"match": None, "status": 429, "retry_after": 1, "skip": 2, "times": 40},
        lambda cluster: cluster.cut_watches(),
    ),
    "answers that get lost": ({"match": "create *", "kind": "drop", "after": True, "times": 20}, lambda cluster: None),
    "a token that expires": (None, lambda cluster: cluster.expire_token()),
}


@pytest.mark.parametrize("name", STORMS)
def test_storms(world: KubeWorld, program: Program, name: str) -> None:
    fault, weather = STORMS[name]
    world.script(world.workers.good(lasts_s=12))
    keys = world.insert_tasks(4)
    world.turn(program)
    if fault is not None:
        world.cluster.fail(fault["match"], **{key: value for key, value in fault.items() if key != "match"})
    for _ in range(12):
        world.cluster.advance(5)
        weather(world.cluster)
        program.controller.run_pass()
        world.load()
    world.cluster.heal()
    world.cluster.cut_watches()
    all_load(world, program, keys)


@pytest.mark.parametrize("kind", ["refuse", "drop"])
def test_an_outage_of_five_minutes_in_which_jobs_end(world: KubeWorld, program: Program, kind: str) -> None:
    world.script(world.workers.good(lasts_s=60))
    keys = world.insert_tasks(2)
    world.turn(program)
    with world.cluster.outage(kind):
        late = world.insert_task()
        leading = []
        for _ in range(30):
            world.cluster.advance(10)
            leading.append(program.controller.run_pass().leading)
        assert sum(world.workers.published.values()) == 2
        assert leading[0]
        assert not any(leading[3:]), "without the Lease nothing is done"
    all_load(world, program, [*keys, late])


def test_an_outage_of_ten_minutes_ends_the_process(world: KubeWorld, program: Program) -> None:
    world.turn(program)
    with world.cluster.outage():
        for _ in range(59):
            world.cluster.advance(10)
            program.controller.run_pass()
        world.cluster.advance(30)
        with pytest.raises(LauncherLostError, match=r"kubernetes\.stale_s"):
            program.controller.run_pass()


def test_a_token_that_is_not_renewed_for_minutes(world: KubeWorld, program: Program) -> None:
    world.script(world.workers.good(lasts_s=30))
    keys = world.insert_tasks(2)
    world.turn(program)
    world.cluster.expire_token(renewed=False)
    world.cluster.cut_watches()
    for _ in range(12):
        world.cluster.advance(10)
        program.controller.run_pass()
    world.cluster.renew_token()
    all_load(world, program, keys)


@pytest.mark.parametrize("policy", ["Foreground", "Background", "Orphan"])
@pytest.mark.parametrize("stop_s", [1, 25])
def test_a_job_deleted_by_hand_is_made_again(world: KubeWorld, program: Program, policy: str, stop_s: float) -> None:
    world.script(world.workers.does(lasts_s=60, stop_s=stop_s), world.workers.good())
    key = world.insert_task()
    world.turn(program)
    world.turn(program)
    (job,) = world.jobs()
    world.cluster.delete("jobs", job["metadata"]["name"], policy=policy)
    world.until(program, lambda: world.run_of(key).state is RunState.LOADED and not world.jobs())

    first, second = world.outcomes(key)
    assert first in ("vanished", "disrupted", "crash")
    assert second == "published"
    assert world.workers.doubled == []


@pytest.mark.parametrize("what", ["count/jobs.batch", "count/pods"])
def test_a_quota_that_is_full_for_a_while(world: KubeWorld, what: str) -> None:
    quota = {"metadata": {"name": "few", "namespace": "lab"}, "spec": {"hard": {what: "2"}}}
    world.cluster.create(quota, "resourcequotas")
    world.script(world.workers.good(lasts_s=40))
    world.settings = world.with_profile(max_active=10)
    program = world.start()
    keys = world.insert_tasks(6)
    most = 0

    def counted() -> bool:
        nonlocal most
        running = [pod for pod in world.pods() if pod["status"]["phase"] == "Running"]
        most = max(most, len(running))
        return all(world.run_of(key).state is RunState.LOADED for key in keys)

    program.turn()
    world.until(program, counted, turns=300)
    all_load(world, program, keys)
    assert most <= 2


def test_kueue_may_suspend_a_job_for_hours(world: KubeWorld) -> None:
    world.settings = world.with_profile(kueue_queue="labs")
    program = world.start()
    key = world.insert_task()
    program.turn()
    world.cluster.requests.clear()
    for _ in range(60):
        world.turn(program, 240)
    asked = world.cluster.requests.count(lambda request: request.resource != "leases")
    assert asked / (60 * 240) < 1
    assert world.run_of(key).state is RunState.LAUNCHED
    (job,) = world.jobs()
    assert job["spec"]["suspend"] is True
    (seen,) = program.launcher.observe()
    assert "Kueue" in seen.waiting
    assert seen.give_up is None
    assert seen.created is not None
    assert f"{seen.created.isoformat()}Z" == job["metadata"]["creationTimestamp"]
    assert "Kueue" in world.explained(key).why

    world.cluster.edit("jobs", job["metadata"]["name"], lambda job: job["spec"].update(suspend=False))
    all_load(world, program, [key])


@pytest.mark.parametrize("heals_s", range(14, 46, 4))
def test_no_pod_starts_after_giving_up(world: KubeWorld, heals_s: float) -> None:
    """Its image is there in the end, at a moment like any other while it is given up."""
    world.settings = world.with_kubernetes(image_grace_s=20)
    world.script(
        Behaviour(waiting="ImagePullBackOff", heals_s=heals_s, run=world.workers.note, finish=world.workers.publish)
    )
    program = world.start()
    key = world.insert_task()
    program.turn()

    def over() -> bool:
        return world.run_of(key).state in (RunState.FAILED, RunState.LOADED) and not world.jobs()

    world.until(program, over)
    for _ in range(20):
        world.turn(program)
    run = world.run_of(key)
    started = sum(world.workers.starts.values())
    if run.state is RunState.FAILED:
        assert (run.failure_class, started) == (FailureClass.IMAGE, 0)
    else:
        assert (world.outcomes(key), started) == (["published"], 1)
    assert world.pods() == []


def test_what_runs_on_a_dead_node_is_left_there_and_done_elsewhere(world: KubeWorld, program: Program) -> None:
    world.script(world.workers.does(lasts_s=None), world.workers.good())
    key = world.insert_task()
    world.turn(program)
    world.turn(program)
    world.cluster.add_node("node-2", cpu="64", memory="1Ti", **{"ephemeral-storage": "1Ti"})
    world.cluster.lose_node("node-1")
    leaked: set[str] = set()

    def loaded() -> bool:
        world.cluster.settle()
        program.catch_up()
        leaked.update(program.controller.run_pass().leaked_jobs)
        return world.run_of(key).state is RunState.LOADED

    world.until(program, loaded, seconds=20)
    first, second = world.attempts(key)
    assert (first.outcome, second.outcome) == ("disrupted", "published")
    assert leaked == {first.job_name}
    assert world.cluster.clock.seconds > 300 + 300
    world.cluster.remove_node("node-1")
    world.until(program, lambda: not world.jobs() and not world.pods())
