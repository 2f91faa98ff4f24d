"""``fmdj doctor`` asks a cluster for what Jobs need; each thing that is missing is named with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.control.doctor import diagnose_installation
from fmdj_cloud.control.finding import Finding, Verdict
from fmdj_cloud.control.kube.doctor import diagnose_kubernetes
from fmdj_cloud.control.kube.lease import lease_name
from fmdj_cloud.control.kube.rights import FACEMAPRUN_RIGHTS, RIGHTS
from fmdj_cloud.settings import Settings
from tests.support.kube.api import VERSION, Response, reply
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.faults import Fault
from tests.support.kube.requests import Request
from tests.support.kube.resources import ResourceType

pytestmark = pytest.mark.integration
IMAGE = "registry.lab/fmdj-worker@sha256:" + "0" * 64
QUEUES = ResourceType("kueue.x-k8s.io", "v1beta1", "localqueues", "LocalQueue", custom=True)
FACEMAPRUNS = ResourceType("fmdj.dev", "v1alpha1", "facemapruns", "FacemapRun", custom=True)
Diagnose = Callable[..., dict[str, Finding]]


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def diagnose(cluster: FakeCluster, tmp_path: Path) -> Diagnose:
    kubeconfig = cluster.kubeconfig(tmp_path / "kubeconfig")

    def run(
        profile: dict[str, Any] | None = None, trigger: str = "all", poses: bool = False, **kubernetes: Any
    ) -> dict[str, Finding]:
        pipeline = {"name": "lab", "behavior_schema": "b", "video_roots": ["s3://v"], "processed_root": "s3://p"}
        settings = Settings(
            pipelines=[pipeline | {"inference_schema": "i" if poses else None}],
            controller={"launcher": "kubernetes", "trigger": trigger},
            kubernetes={
                "kubeconfig": kubeconfig,
                "requests_per_s": 1000,
                "profiles": {"default": {"image": IMAGE} | (profile or {})},
            }
            | kubernetes,
        )
        return {finding.check: finding for finding in diagnose_kubernetes(settings)}

    return run


def bad(found: dict[str, Finding]) -> set[str]:
    return {name for name, one in found.items() if one.verdict in (Verdict.FAIL, Verdict.WARN)}


def test_a_cluster_with_everything_has_nothing_to_remedy(diagnose: Diagnose, cluster: FakeCluster) -> None:
    cluster.registry.add(FACEMAPRUNS)
    found = diagnose()
    assert bad(found) == set()
    assert found["kubernetes"].found == "The API server answers; Kubernetes v1.36.0."
    assert found["kubernetes namespace"].found == f"Jobs go to {cluster.namespace}."
    assert found["kubernetes rights"].found == "This account may do all that the controller does."
    assert found["image of default"].found == f"{IMAGE}."
    assert found["FacemapRun"].found == "The cluster knows facemapruns.fmdj.dev/v1alpha1."


def test_nothing_is_changed(diagnose: Diagnose, cluster: FakeCluster) -> None:
    diagnose()
    assert {verb for verb, what in cluster.requests.counts() if what != "selfsubjectaccessreviews"} <= {"get", "list"}


@pytest.mark.parametrize(("minor", "good"), [("30", False), ("31", True), ("33+", True), ("36", True), ("37", False)])
def test_the_version_is_one_it_is_made_for(
    diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch, minor: str, good: bool
) -> None:
    monkeypatch.setitem(VERSION, "minor", minor)
    finding = diagnose()["kubernetes"]
    assert finding.verdict is (Verdict.OK if good else Verdict.WARN)
    assert good or "1.31 to 1.36" in finding.remedy


def test_each_right_that_is_missing_is_named(diagnose: Diagnose, cluster: FakeCluster) -> None:
    cluster.registry.add(FACEMAPRUNS)
    missing = {("delete", "jobs"), ("get", "pods/log"), ("update", "leases"), ("patch", "facemapruns/status")}
    cluster.api.allowed = lambda request: (request.verb, request.target) not in missing
    finding = diagnose()["kubernetes rights"]
    assert finding.verdict is Verdict.FAIL
    assert finding.found == (
        f"This account may not, in namespace {cluster.namespace}: delete jobs.batch, get pods/log, "
        "update leases.coordination.k8s.io, patch facemapruns/status.fmdj.dev."
    )


@pytest.mark.parametrize(("instance", "verdict"), [("fmdj", Verdict.OK), ("another", Verdict.FAIL)])
def test_the_right_to_its_own_lease_is_enough(
    diagnose: Diagnose, cluster: FakeCluster, instance: str, verdict: Verdict
) -> None:
    name = lease_name(instance)
    cluster.api.allowed = lambda asked: (
        asked.target != "leases" or asked.name == ("" if asked.verb == "create" else name)
    )
    assert diagnose()["kubernetes rights"].verdict is verdict


def test_rights_to_facemapruns_are_asked_for_where_there_are_any(diagnose: Diagnose, cluster: FakeCluster) -> None:
    diagnose()
    assert cluster.requests.count("create selfsubjectaccessreviews") == len(RIGHTS)
    cluster.requests.clear()
    cluster.registry.add(FACEMAPRUNS)
    diagnose()
    assert cluster.requests.count("create selfsubjectaccessreviews") == len(RIGHTS + FACEMAPRUN_RIGHTS)


def test_a_namespace_that_isnt_there_is_a_failure(diagnose: Diagnose) -> None:
    finding = diagnose(namespace="nowhere")["kubernetes namespace"]
    assert (finding.verdict, finding.found) == (Verdict.FAIL, "There is no namespace nowhere.")


def test_rights_in_one_namespace_suffice(diagnose: Diagnose, cluster: FakeCluster) -> None:
    cluster.api.allowed = lambda request: bool(request.namespace) or request.resource.startswith("selfsubject")
    found = diagnose()
    assert bad(found) == set()
    assert found["kubernetes namespace"].verdict is Verdict.NOT_APPLICABLE


def test_without_facemapruns_everything_else_works(diagnose: Diagnose) -> None:
    assert diagnose()["FacemapRun"].verdict is Verdict.NOT_APPLICABLE
    assert diagnose(trigger="facemapruns")["FacemapRun"].verdict is Verdict.FAIL


def test_a_profile_without_an_image_is_a_failure(diagnose: Diagnose) -> None:
    found = diagnose(profiles={"svd": {"image": IMAGE}})
    assert found["image of svd"].verdict is Verdict.OK
    assert found["image of import"].verdict is Verdict.FAIL
    assert "kubernetes.profiles.import.image" in found["image of import"].remedy


def test_pose_inference_needs_an_image_where_a_pipeline_has_it(diagnose: Diagnose) -> None:
    profiles = {"svd": {"image": IMAGE}, "import": {"image": IMAGE}}
    assert bad(diagnose(profiles=profiles)) == set()
    assert bad(diagnose(profiles=profiles, poses=True)) == {"image of pose"}


def test_a_queue_needs_kueue(diagnose: Diagnose) -> None:
    finding = diagnose({"kueue_queue": "lab"})["queue lab"]
    assert (finding.verdict, finding.found) == (Verdict.FAIL, "The cluster has no Kueue.")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (None, Verdict.FAIL),
        ({}, Verdict.OK),
        ({"conditions": [{"type": "Active", "status": "True"}]}, Verdict.OK),
        ({"conditions": [{"type": "Active", "status": "False", "message": "No ClusterQueue."}]}, Verdict.WARN),
    ],
)
def test_a_queue_must_be_there_and_active(
    diagnose: Diagnose, cluster: FakeCluster, status: Any, verdict: Verdict
) -> None:
    cluster.registry.add(QUEUES)

    def local_queue(_: Request) -> Response:
        return reply({"kind": "LocalQueue", "status": status})

    if status is not None:
        cluster.api.subresources["get", "localqueues", ""] = local_queue
    assert diagnose({"kueue_queue": "lab"})["queue lab"].verdict is verdict


def test_a_queue_that_may_not_be_looked_at_is_no_fault(diagnose: Diagnose, cluster: FakeCluster) -> None:
    cluster.registry.add(QUEUES)
    cluster.api.allowed = lambda request: request.resource != "localqueues"
    assert diagnose({"kueue_queue": "lab"})["queue lab"].verdict is Verdict.NOT_APPLICABLE


def test_a_server_that_doesnt_answer_is_a_sentence_with_a_remedy(diagnose: Diagnose, cluster: FakeCluster) -> None:
    with cluster.faults.during(Fault(None, kind="drop")):
        found = diagnose(request_timeout_s=1)
    assert found["kubernetes"].verdict is Verdict.FAIL
    assert "kubernetes.kubeconfig" in found["kubernetes"].remedy


def test_no_credentials_are_a_sentence_with_a_remedy(diagnose: Diagnose, tmp_path: Path) -> None:
    finding = diagnose(kubeconfig=tmp_path / "none")["kubernetes"]
    assert finding.verdict is Verdict.FAIL
    assert str(tmp_path / "none") in finding.found


@pytest.mark.parametrize("launcher", ["local", "kubernetes"])
def test_what_is_looked_at_is_where_workers_run(cluster: FakeCluster, tmp_path: Path, launcher: str) -> None:
    settings = Settings(
        controller={"launcher": launcher},
        kubernetes={"kubeconfig": cluster.kubeconfig(tmp_path / "kubeconfig")},
        database={"backend": "mysql", "host": "127.0.0.1", "port": 1, "user": "nobody", "password": "none"},
    )
    checks = {finding.check for finding in diagnose_installation(settings)}
    assert ("facemap" in checks) == (launcher == "local")
    assert ("kubernetes rights" in checks) == (launcher == "kubernetes")
    assert "database" in checks
