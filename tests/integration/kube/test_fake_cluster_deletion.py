"""How objects go in the fake cluster: at once, by stages, with or without what belongs to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.kube import behaviour as does
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.wire import JOBS, LEASES, PODS, Wire, job

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def wire(cluster: FakeCluster) -> Wire:
    return Wire(cluster)


def run(cluster: FakeCluster, behaviour: does.Behaviour | None = None) -> str:
    """Let a Job's pod run; return its name."""
    cluster.script(None, behaviour or does.stay())
    cluster.create(job())
    cluster.advance(5)
    (pod,) = cluster.pods_of("a")
    return pod["metadata"]["name"]


def test_a_finished_job_goes_at_once_in_the_background(cluster: FakeCluster, wire: Wire):
    run(cluster, does.succeed(lasts_s=1))
    answer = wire.call("DELETE", f"{JOBS}/a", {"propagationPolicy": "Background"})
    assert answer.code == 200
    assert (answer.json["kind"], answer.json["status"]) == ("Status", "Success")
    assert answer.json["details"]["kind"] == "jobs"
    assert wire.call("GET", f"{JOBS}/a").code == 404
    cluster.step()
    assert cluster.list("pods") == []


def test_a_running_job_in_the_background_leaves_a_pod_that_is_stopped(cluster: FakeCluster, wire: Wire):
    name = run(cluster)
    wire.call("DELETE", f"{JOBS}/a", {"propagationPolicy": "Background"})
    assert wire.call("GET", f"{JOBS}/a").code == 404
    cluster.settle()
    pod = cluster.get("pods", name)
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 30
    cluster.advance(3)
    assert cluster.find("pods", name) is None


def test_in_the_foreground_it_goes_after_its_pods(cluster: FakeCluster, wire: Wire):
    name = run(cluster)
    answer = wire.call("DELETE", f"{JOBS}/a", {"propagationPolicy": "Foreground"})
    assert answer.json["kind"] == "Job"
    assert answer.json["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert answer.json["metadata"]["generation"] == 2
    cluster.settle()
    assert wire.call("GET", f"{JOBS}/a").json["metadata"]["deletionTimestamp"]
    assert cluster.find("pods", name) is not None
    cluster.advance(3)
    assert wire.call("GET", f"{JOBS}/a").code == 404
    assert cluster.list("pods") == []


def test_a_pod_that_will_not_stop_is_killed_after_its_grace(cluster: FakeCluster):
    run(cluster, does.stubborn())
    cluster.delete("jobs", "a", policy="Foreground")
    cluster.advance(29)
    assert cluster.find("jobs", "a") is not None
    cluster.advance(2)
    assert cluster.find("jobs", "a") is None


def test_a_job_on_a_dead_node_waits_for_its_pod_for_ever(cluster: FakeCluster):
    name = run(cluster, does.troubled("node-lost"))
    cluster.delete("jobs", "a", policy="Foreground")
    cluster.advance(100_000)
    assert "deletionTimestamp" in cluster.get("jobs", "a")["metadata"]
    cluster.delete("pods", name, gracePeriodSeconds=0)
    cluster.settle()
    assert cluster.find("jobs", "a") is None


def test_without_a_word_a_job_leaves_its_pods_behind(cluster: FakeCluster, wire: Wire):
    name = run(cluster)
    answer = wire.call("DELETE", f"{JOBS}/a")
    assert "child pods are preserved by default" in answer.headers["Warning"]
    assert answer.json["metadata"]["finalizers"] == ["orphan"]
    cluster.advance(100)
    assert wire.call("GET", f"{JOBS}/a").code == 404
    pod = cluster.get("pods", name)
    assert "ownerReferences" not in pod["metadata"]
    assert pod["status"]["phase"] == "Running"


def test_no_new_pod_is_made_for_a_job_that_goes(cluster: FakeCluster):
    cluster.create(job())
    cluster.delete("jobs", "a", policy="Foreground")
    cluster.advance(100)
    assert cluster.kubelet.started == 0
    assert cluster.list("pods") == []


def test_a_pod_that_has_no_node_goes_with_its_job(cluster: FakeCluster):
    run(cluster, does.unschedulable())
    cluster.delete("jobs", "a", policy="Foreground")
    cluster.settle()
    assert cluster.find("jobs", "a") is None


def test_a_pod_deleted_before_it_started_says_nobody_knows(cluster: FakeCluster):
    name = run(cluster, does.bad_image())
    cluster.edit("pods", name, lambda pod: pod["metadata"]["finalizers"].append("test/keep"))
    cluster.delete("pods", name)
    cluster.advance(5)
    pod = cluster.get("pods", name)
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (pod["status"]["phase"], terminated["reason"], terminated["exitCode"]) == (
        "Failed",
        "ContainerStatusUnknown",
        137,
    )
    assert cluster.kubelet.started == 0


@pytest.mark.parametrize("what", ["uid", "resourceVersion"])
def test_only_the_one_that_is_meant_goes(cluster: FakeCluster, wire: Wire, what: str):
    made = cluster.create(job())
    answer = wire.call("DELETE", f"{JOBS}/a", {"preconditions": {what: "other"}})
    assert answer.code == 409
    assert "Precondition failed" in answer.message
    mine = {"preconditions": {what: made["metadata"][what]}, "propagationPolicy": "Background"}
    assert wire.call("DELETE", f"{JOBS}/a", mine).code == 200


def test_deleting_twice_changes_nothing(cluster: FakeCluster, wire: Wire):
    run(cluster)
    first = wire.call("DELETE", f"{JOBS}/a", {"propagationPolicy": "Foreground"}).json
    cluster.settle()
    rv = cluster.store.rv
    again = wire.call("DELETE", f"{JOBS}/a", {"propagationPolicy": "Foreground"}).json
    assert again["metadata"]["deletionTimestamp"] == first["metadata"]["deletionTimestamp"]
    assert cluster.store.rv == rv


def test_a_finalizer_holds_an_object_until_it_is_removed(cluster: FakeCluster, wire: Wire):
    body = {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": {"name": "x"}, "spec": {}}
    body["metadata"]["finalizers"] = ["fmdj.dev/cancel"]
    wire.call("POST", LEASES, body)
    assert wire.call("DELETE", f"{LEASES}/x").json["metadata"]["deletionTimestamp"]
    assert wire.call("GET", f"{LEASES}/x").code == 200
    answer = wire.patch(f"{LEASES}/x", {"metadata": {"finalizers": ["fmdj.dev/cancel", "fmdj.dev/more"]}})
    assert answer.code == 422
    assert wire.patch(f"{LEASES}/x", {"metadata": {"finalizers": None}}).code == 200
    assert wire.call("GET", f"{LEASES}/x").code == 404


def test_a_pod_goes_with_grace_or_by_force(cluster: FakeCluster, wire: Wire):
    name = run(cluster, does.stubborn())
    assert wire.call("DELETE", f"{PODS}/{name}").json["metadata"]["deletionGracePeriodSeconds"] == 30
    cluster.advance(10)
    shorter = wire.call("DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 5}).json
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 5
    assert wire.call("DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0}).code == 200
    cluster.settle()
    assert cluster.get("jobs", "a")["status"].get("active") is None


def test_a_collection_goes_by_its_selector(cluster: FakeCluster, wire: Wire):
    for name in ("a", "b"):
        cluster.create(job(name))
    wire.call("DELETE", JOBS, {"propagationPolicy": "Background"}, fieldSelector="metadata.name=a")
    assert [one["metadata"]["name"] for one in cluster.list("jobs")] == ["b"]


def test_what_names_an_owner_that_never_was_is_collected(cluster: FakeCluster):
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": "x", "uid": "00000000-0000-0000-0000-000000000000"}
    cluster.create({"kind": "ConfigMap", "metadata": {"name": "c", "ownerReferences": [reference]}})
    cluster.step()
    assert cluster.find("configmaps", "c") is None


def test_old_events_are_forgotten_after_an_hour(cluster: FakeCluster):
    run(cluster, does.succeed(lasts_s=1))
    assert cluster.list("events")
    cluster.advance(4000)
    assert cluster.list("events") == []
