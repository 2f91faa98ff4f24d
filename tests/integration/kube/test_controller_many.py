"""Many runs: slots are kept, nothing is done twice, and the API server hardly notices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fmdj_cloud.contracts import JobPhase, RunState
from fmdj_cloud.settings import DatabaseSettings
from tests.support.kube import behaviour as does
from tests.support.kube.cluster import FakeCluster
from tests.support.kube_controller.fixtures import kube_premises, world
from tests.support.kube_controller.world import KubeWorld
from tests.support.launching import Bench, bench

__all__ = ["kube_premises", "world"]
pytestmark = pytest.mark.integration

TASKS, SLOTS = 200, 6
JOBS = 2000
VERBS = ("create", "update", "patch", "delete", "get", "list", "watch")


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One kind of database: these tests are about Kubernetes."""
    return postgres_settings


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Bench]:
    """A launcher with its cache, on a cluster of its own."""
    with FakeCluster() as cluster, bench(cluster, tmp_path) as made:
        yield made


def test_two_hundred_tasks_on_six_slots(world: KubeWorld) -> None:
    world.settings = world.with_profile(max_active=SLOTS)
    keys = world.insert_tasks(TASKS)
    program = world.start()
    program.turn()
    most, turns = 0, 0
    while world.ledger.count_runs().get(("lab", "svd", RunState.LOADED), 0) < TASKS:
        world.cluster.advance(5)
        program.turn()
        most = max(most, sum("completionTime" not in job["status"] for job in world.jobs()))
        turns += 1
        if turns % 10 == 0:
            world.load()
        assert turns < 200, world.story()
    assert most <= SLOTS
    runs = world.ledger.runs(states={RunState.LOADED})
    assert len(runs) == len(keys) == TASKS
    assert {run.attempt for run in runs} == {1}
    assert set(world.workers.starts.values()) == {1}
    assert world.workers.doubled == []
    world.until(program, lambda: not world.jobs())
    assert _asked(world.cluster) / TASKS <= 4


def _asked(cluster: FakeCluster) -> int:
    """Return how many requests there were for single Jobs: those that grow with their number."""
    return sum(
        count
        for (verb, what), count in cluster.requests.counts().items()
        if verb not in ("list", "watch") and not what.startswith("leases")
    )


def test_two_thousand_jobs(many: Bench) -> None:
    """At the level of launcher and cache: the database takes its time for each run whatever the cluster is like."""
    cluster = many.cluster
    cluster.script(None, does.succeed(lasts_s=1800))
    many.cache.start()
    assert many.cache.wait_synced(20)
    requests = [many.launch(number) for number in range(JOBS)]
    cluster.advance(60)
    _until(lambda: all(job.node for job in many.launcher.observe()))
    assert len(many.launcher.observe()) == JOBS

    cluster.requests.clear()
    for _ in range(20):
        _pass_by(many, 60)
    assert cluster.requests.count() / (20 * 60) < 1, cluster.requests.counts()

    cluster.requests.clear()
    for _ in range(20):
        _pass_by(many, 60)
    _until(lambda: all(job.phase is JobPhase.ENDED for job in many.launcher.observe()))
    for request in requests:
        many.launcher.forget(request.name)
    cluster.settle()
    _until(lambda: not many.launcher.observe())
    assert (JOBS + cluster.requests.count()) / JOBS <= 4


def _pass_by(lab: Bench, seconds: float) -> None:
    """Let time pass no faster than watches can end and begin again."""
    lab.cluster.advance(seconds)
    _until(lambda: len(lab.cluster.watches()) == 3 and lab.cache.age_s() < 300)


def _until(holds: Callable[[], object]) -> None:
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.02)
