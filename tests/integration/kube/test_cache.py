"""The cache over real HTTP: whatever happens to its watches, it comes to know what there is."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.control.kube import client as client_module
from fmdj_cloud.control.kube.cache import Cache
from fmdj_cloud.control.kube.resources import JOBS
from fmdj_cloud.control.launchers.base import LauncherLostError
from fmdj_cloud.control.launchers.kubernetes.manifest import build_job
from tests.support.kube import behaviour as does
from tests.support.kube.cluster import FakeCluster
from tests.support.launching import Bench, bench

pytestmark = pytest.mark.integration


def eventually(holds: Callable[[], bool], what: str, within_s: float = 20.0) -> None:
    """Wait for threads that follow the cluster in real time."""
    give_up = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up, f"not in {within_s} s: {what}"
        time.sleep(0.005)


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def lab(cluster: FakeCluster, tmp_path: Path) -> Iterator[Bench]:
    with bench(cluster, tmp_path) as made:
        yield made


@pytest.fixture
def cache(lab: Bench) -> Iterator[Cache]:
    """A cache that follows the cluster, and hardly pauses."""
    made = lab.new_cache(lab.new_client(), facemapruns=False, jitter=lambda: -0.9)
    made.start()
    assert made.wait_synced(20)
    yield made
    made.stop()


def knows_all(cache: Cache, cluster: FakeCluster) -> bool:
    def versions(things: list[dict[str, Any]]) -> dict[str, str]:
        return {thing["metadata"]["name"]: thing["metadata"]["resourceVersion"] for thing in things}

    return versions(cache.jobs()) == versions(cluster.list("jobs")) and versions(cache.pods()) == versions(
        cluster.list("pods")
    )


def test_it_follows_jobs_pods_and_what_is_told_about_them(cache: Cache, lab: Bench, cluster: FakeCluster):
    cluster.script("*", does.bad_image())
    request = lab.launch()
    cluster.advance(30)
    eventually(lambda: knows_all(cache, cluster), "everything is known")
    (pod,) = cache.pods_of(request.name)
    eventually(lambda: cache.events_of(pod["metadata"]["uid"]) != [], "its Events are known")
    lab.client.delete(JOBS, request.name)
    cluster.advance(60)
    eventually(lambda: cache.jobs() == [] and cache.pods() == [], "what is gone is gone")
    assert [gone["metadata"]["uid"] for gone in cache.gone_pods_of(request.name)] == [pod["metadata"]["uid"]]


def test_nothing_of_others_is_kept(cache: Cache, lab: Bench, cluster: FakeCluster, tmp_path: Path):
    cluster.script("*", does.bad_image())
    with bench(cluster, tmp_path, instance="other") as other:
        theirs = other.launch()
    mine = lab.launch()
    cluster.advance(30)
    eventually(lambda: cache.pods_of(mine.name) != [], "ours is known")
    (pod,) = cluster.pods_of(theirs.name)
    assert cluster.delivered()
    assert [job["metadata"]["name"] for job in cache.jobs()] == [mine.name]
    assert cache.pods_of(theirs.name) == []
    assert cache.events_of(pod["metadata"]["uid"]) == []


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param({"match": "watch *", "kind": "cut"}, id="connections break"),
        pytest.param({"match": "watch *", "kind": "end"}, id="watches end at once"),
        pytest.param({"match": "watch *", "kind": "drop"}, id="watches aren't answered"),
        pytest.param({"match": "watch *", "kind": "status", "status": 410}, id="410"),
        pytest.param({"match": "watch *", "kind": "status", "status": 503}, id="503 for watches"),
        pytest.param({"match": "watch *", "kind": "garbage", "status": 200}, id="a proxy answers watches"),
        pytest.param({"match": None, "kind": "status", "status": 429}, id="429 for all"),
        pytest.param({"match": None, "kind": "status", "status": 500}, id="500 for all"),
        pytest.param({"match": None, "kind": "garbage", "status": 502}, id="a proxy answers all"),
        pytest.param({"match": None, "kind": "drop"}, id="nothing is answered"),
    ],
)
def test_it_recovers(cache: Cache, lab: Bench, cluster: FakeCluster, trouble: dict[str, Any]):
    lab.launch(1)
    cluster.advance(5)
    eventually(lambda: knows_all(cache, cluster), "everything is known before")
    fault = cluster.fail(trouble.pop("match"), **trouble)
    cluster.cut_watches()
    lab_2 = lab.request(2)
    cluster.create(build(lab, lab_2))
    cluster.advance(5)
    eventually(lambda: fault.hits >= 3, "the trouble is met")
    cluster.heal()
    eventually(lambda: knows_all(cache, cluster), "everything is known after")


def build(lab: Bench, request: Any) -> dict[str, Any]:
    return build_job(request, lab.settings, instance=lab.instance)


def test_it_recovers_from_an_api_server_that_was_down(cache: Cache, lab: Bench, cluster: FakeCluster):
    with cluster.outage():
        cluster.create(build(lab, lab.request(2)))
        cluster.advance(300)
        assert cache.age_s() >= 300
    eventually(lambda: knows_all(cache, cluster) and cache.age_s() < 60, "everything is known after")


def test_it_recovers_from_a_history_that_was_forgotten(cache: Cache, lab: Bench, cluster: FakeCluster):
    for number in range(5):
        cluster.create(build(lab, lab.request(number)))
        cluster.compact()
        cluster.cut_watches()
    cluster.advance(5)
    eventually(lambda: knows_all(cache, cluster), "everything is known after")


def test_it_recovers_from_a_token_that_expired(cache: Cache, lab: Bench, cluster: FakeCluster):
    cluster.expire_token(renewed=False)
    cluster.cut_watches()
    cluster.create(build(lab, lab.request(2)))
    eventually(lambda: cluster.requests.codes("watch *")[401] + cluster.requests.codes("list *")[401] > 5, "401")
    cluster.renew_token()
    eventually(lambda: knows_all(cache, cluster), "everything is known after")


def test_it_recovers_from_silence(lab: Bench, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client_module, "_SILENCE_S", -0.8)  # of a watch of one second
    fault = cluster.fail("watch *", kind="silent")
    cache = lab.new_cache(lab.new_client(), jitter=lambda: -0.9, watch_s=1)
    cache.start()
    try:
        assert cache.wait_synced(20)
        cluster.create(build(lab, lab.request(2)))
        eventually(lambda: knows_all(cache, cluster), "a list shows what the watch didn't")
        assert fault.hits > 0
    finally:
        cache.stop()


def test_a_fault_of_ours_ends_nothing(cache: Cache, lab: Bench, cluster: FakeCluster):
    store = cache._stores[JOBS]
    apply, fail = store.apply, [True]

    def once(*event: Any) -> None:
        if fail.pop() if fail else False:
            raise RuntimeError("a fault of ours")
        apply(*event)

    store.apply = once  # type: ignore[method-assign]
    lab.launch()
    eventually(lambda: knows_all(cache, cluster), "everything is known after")
    assert not fail


def test_a_kind_that_the_cluster_does_not_know_is_no_trouble(lab: Bench, cluster: FakeCluster):
    cache = lab.new_cache(lab.new_client(), facemapruns=True)
    cache.start()
    try:
        assert cache.wait_synced(20)
        assert cache.facemapruns() == []
        cache.check()
    finally:
        cache.stop()


def test_it_ends_at_once_when_asked(cache: Cache):
    began = time.monotonic()
    cache.stop()
    assert time.monotonic() - began < 3
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("cache-")]


def test_what_is_known_too_long_says_so(cache: Cache, cluster: FakeCluster, lab: Bench):
    cache.check()
    cluster.stop_serving()
    cluster.advance(lab.settings.kubernetes.stale_s + 1)
    with pytest.raises(LauncherLostError):
        cache.check()


def test_a_quiet_hour_costs_few_requests_whatever_the_number_of_jobs(cache: Cache, lab: Bench, cluster: FakeCluster):
    cluster.script("*", does.stay())
    for number in range(50):
        cluster.create(build(lab, lab.request(number)))
    cluster.advance(60)
    eventually(lambda: knows_all(cache, cluster), "everything is known")
    cluster.requests.clear()
    for _ in range(60):
        cluster.advance(60)
        eventually(lambda: len(cluster.watches()) == 3, "all watches are open")
    assert cluster.requests.count() < 100
