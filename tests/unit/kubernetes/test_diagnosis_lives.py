"""Whole lives of Jobs in a cluster, diagnosed at every moment from the objects that are there then.

A Pod that is gone is handed on as it was last seen, as the cache does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fmdj_cloud.contracts import FailureClass, JobPhase, JobRequest, Kind, Limits
from fmdj_cloud.control.launchers.kubernetes.cases import Case
from fmdj_cloud.control.launchers.kubernetes.diagnosis import Finding, diagnose_job
from fmdj_cloud.control.launchers.kubernetes.manifest import build_job
from fmdj_cloud.control.launchers.kubernetes.pods import GONE
from fmdj_cloud.names import job_name
from fmdj_cloud.settings import KubernetesSettings, ProfileSettings, S3Settings, Settings, StorageSettings
from tests.support.kube.behaviour import (
    Behaviour,
    Exit,
    bad_image,
    config_error,
    fail,
    oom,
    succeed,
    troubled,
    unschedulable,
)
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.resources import PODS

SETTINGS = Settings(
    storage=StorageSettings(s3=S3Settings(region="eu-central-1")),
    kubernetes=KubernetesSettings(profiles={"svd": ProfileSettings(image="lab/worker:1")}),
)
RUN = "svd-0123456789abcdef"
NAME = job_name(RUN, 1, "fmdj")
REQUEST = JobRequest(
    name=NAME,
    run_id=RUN,
    attempt=1,
    kind=Kind.SVD,
    spec_uri="s3://lab/processed/a1/spec.json",
    spec_sha256="ab" * 32,
    limits=Limits(time_budget_s=3600, memory_mib=4096, scratch_mib=1024, threads=2),
)


class Watcher:
    """Sees a Job and its Pods as the launcher's cache does, which misses nothing of what a watch tells."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.seen: list[Finding] = []

    def look(self) -> Finding | None:
        """Diagnose the Job as it is now; None once it is gone."""
        entry = self.cluster.find("jobs", NAME)
        if entry is None:
            return None
        pods: dict[str, dict[str, Any]] = {}
        for change in self.cluster.store.table(PODS).history:
            pod = change.new.copy()
            pods[pod["metadata"]["uid"]] = pod | ({GONE: True} if change.type == "DELETED" else {})
        names = [NAME, *(pod["metadata"]["name"] for pod in pods.values())]
        events = [event for name in names for event in self.cluster.events_of(name)]
        now = self.cluster.clock.now()
        self.seen.append(diagnose_job(entry.obj, list(pods.values()), events, now, SETTINGS.kubernetes))
        return self.seen[-1]

    def until(self, stop: Callable[[Finding], bool], *, limit_s: int = 3600) -> Finding:
        """Look every second until something is found."""
        for _ in range(limit_s):
            finding = self.look()
            assert finding is not None, "it is gone"
            if stop(finding):
                return finding
            self.cluster.step(1.0)
        raise AssertionError(f"never: {self.seen[-1]!r}")


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    found = FakeCluster("lab")  # nobody asks its API: it needn't be served
    yield found
    found.close()
    assert not found.crashes


def live(cluster: FakeCluster, behaviour: Behaviour, *then: Behaviour) -> Watcher:
    cluster.script("*", behaviour, *then)
    body = build_job(REQUEST, SETTINGS, instance="fmdj")
    if behaviour.init is not None:
        body["spec"]["template"]["spec"]["initContainers"] = [{"name": "istio-init", "image": "mesh/init:1"}]
    cluster.create(body)
    return Watcher(cluster)


@pytest.mark.parametrize(
    ("behaviour", "case", "failure"),
    [
        (succeed(), Case.DONE, None),
        (fail(10), Case.WORKER_EXIT, FailureClass.INPUT),
        (fail(41), Case.WORKER_EXIT, FailureClass.GPU),
        (oom(), Case.OOM_KILLED, FailureClass.MEMORY),
        (oom(0), Case.OOM_KILLED, FailureClass.MEMORY),
        (troubled("memory-pressure"), Case.EVICTED_FOR_MEMORY, FailureClass.MEMORY),
        (troubled("disk-pressure"), Case.EVICTED_FOR_SCRATCH, FailureClass.DISK),
        (troubled("ephemeral-limit"), Case.EVICTED_FOR_SCRATCH, FailureClass.DISK),
        (troubled("emptydir-limit"), Case.EVICTED_FOR_SCRATCH, FailureClass.DISK),
        (troubled("eviction-api"), Case.DRAINED, FailureClass.DISRUPTED),
        (troubled("taint"), Case.TAINTED, FailureClass.DISRUPTED),
        (troubled("preempted"), Case.PREEMPTED, FailureClass.DISRUPTED),
        (troubled("podgc"), Case.NODE_GONE, FailureClass.DISRUPTED),
        (troubled("shutdown"), Case.NODE_SHUTDOWN, FailureClass.DISRUPTED),
        (troubled("deleted"), Case.POD_DELETED, FailureClass.DISRUPTED),
        (troubled("node-lost"), Case.NODE_SILENT, FailureClass.DISRUPTED),
        (Behaviour(init=Exit(10)), Case.FOREIGN_CONTAINER, FailureClass.CRASH),
    ],
    ids=lambda value: value.trouble.kind if isinstance(value, Behaviour) and value.trouble else None,
)
def test_a_life_that_ends(cluster, behaviour, case, failure):
    watcher = live(cluster, behaviour)
    finding = watcher.until(lambda found: found.phase is JobPhase.ENDED)
    assert (finding.case, finding.outcome.failure_class) == (case, failure)
    assert all(found.give_up is None for found in watcher.seen)


@pytest.mark.parametrize(
    ("behaviour", "case", "failure", "after_s"),
    [
        (bad_image(), Case.IMAGE_PULL, FailureClass.IMAGE, 600),
        (bad_image("ErrImageNeverPull"), Case.IMAGE_PULL, FailureClass.IMAGE, 600),
        (bad_image("InvalidImageName"), Case.IMAGE_NAME, FailureClass.CONFIG, 0),
        (config_error(), Case.CONTAINER_CONFIG, FailureClass.CONFIG, 900),
        (unschedulable(), Case.UNSCHEDULABLE, FailureClass.UNSCHEDULABLE, 900),
        (Behaviour(mount="MountVolume.SetUp failed"), Case.VOLUME, FailureClass.CONFIG, 900),
    ],
    ids=["image", "image-never", "image-name", "config", "unschedulable", "volume"],
)
def test_a_life_that_never_begins_is_given_up(cluster, behaviour, case, failure, after_s):
    watcher = live(cluster, behaviour)
    started = cluster.clock.now()
    finding = watcher.until(lambda found: found.give_up is not None)
    assert (finding.phase, finding.case, finding.give_up.failure_class) == (JobPhase.RUNNING, case, failure)
    assert after_s <= (cluster.clock.now() - started).total_seconds() <= after_s + 60
    assert all(found.phase is JobPhase.RUNNING for found in watcher.seen)


@pytest.mark.parametrize(
    ("behaviour", "case"),
    [
        (unschedulable(scale_up="triggered", heals_s=600), Case.SCALE_UP),
        (unschedulable("0/1 nodes are available: 1 Insufficient cpu.", heals_s=1800), Case.BUSY),
        (bad_image(heals_s=300), Case.IMAGE_PULL),
        (Behaviour(pull_s=1500), Case.PULLING),
        (Behaviour(gates=True, heals_s=60), Case.NEW),
    ],
    ids=["scale-up", "busy", "image", "pulling", "new"],
)
def test_a_life_that_begins_late_is_waited_for(cluster, behaviour, case):
    watcher = live(cluster, behaviour)
    finding = watcher.until(lambda found: found.phase is JobPhase.ENDED)
    assert finding.outcome.ok
    assert case in {found.case for found in watcher.seen}
    assert not any(found.give_up for found in watcher.seen)


def test_a_pod_that_is_replaced_leaves_its_folder_behind(cluster):
    watcher = live(cluster, troubled("vanish"), succeed())
    finding = watcher.until(lambda found: found.phase is JobPhase.ENDED)
    assert finding.outcome.ok
    assert len(finding.nonces) == 2


def test_a_job_deleted_by_hand_is_over_only_with_its_pod(cluster):
    watcher = live(cluster, Behaviour(lasts_s=None, stop_s=20))
    watcher.until(lambda found: found.case is Case.RUNNING)
    cluster.delete("jobs", NAME, policy="Foreground")
    while watcher.look() is not None:
        running = [pod for pod in cluster.pods_of(NAME) if pod["status"]["phase"] == "Running"]
        assert watcher.seen[-1].phase is JobPhase.RUNNING or not running
        cluster.step(1.0)
    assert any(found.case is Case.ENDING for found in watcher.seen)
