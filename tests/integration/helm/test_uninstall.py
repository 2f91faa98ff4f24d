"""`fmdj uninstall`, which `helm uninstall` calls first: the controller still runs, and must start nothing again."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.labels import FINALIZER
from fmdj_cloud.control.uninstall import HOLDER, Uninstaller
from fmdj_cloud.settings import DatabaseSettings, KubernetesSettings, S3Settings, Settings
from tests.support.cluster.flows import CRD, apply
from tests.support.cluster.kubectl import Kubectl
from tests.support.cluster.lab import ClusterLab, cluster_lab
from tests.support.cluster.processes import Workers
from tests.support.cluster.site import SECRET_ENV, Site, bucket_secret
from tests.support.kills.zygote import Zygote, running_zygote
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.tools import KUBECTL, tool

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    with running_zygote() as found:
        yield found


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    return postgres_settings


@pytest.fixture(scope="module")
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster("lab", start=dt.datetime.now(dt.UTC), secure=True) as made:
        made.go()
        yield made


@pytest.fixture
def lab(
    cluster: FakeCluster,
    database_settings: DatabaseSettings,
    s3_settings: S3Settings,
    bucket: str,
    tmp_path: Path,
    zygote: Zygote,
) -> Iterator[ClusterLab]:
    kubeconfig = cluster.kubeconfig(tmp_path / "fake.yaml")
    kubectl = Kubectl(tool(KUBECTL), kubeconfig, "lab")
    s3 = s3_settings.model_copy(update={"part_size_mib": 5})
    kubectl.apply(bucket_secret(s3, s3.endpoint_url or ""))
    kubectl.run("apply", f"--filename={CRD}")
    workers = Workers(cluster, tmp_path)
    site = Site(
        kubectl=kubectl,
        kubeconfig=kubeconfig,
        profile={"image": "registry.lab/fmdj-worker:1", "secret_env": SECRET_ENV},
        s3=s3,
        bucket=bucket.removeprefix("s3://"),
        video=b"video" * 1000,
        patience_s=40,
        grace_s=8,
        tell=workers.tell,
    )
    with cluster_lab(site, database_settings, tmp_path / "lab", f"fmdj-{uuid.uuid4().hex[:6]}") as made:
        made.zygote = zygote
        made.kubernetes = {"request_timeout_s": 2}
        yield made
    workers.end()


def lease_holder(lab: ClusterLab) -> str:
    name = f"{lab.settings.instance}-controller"
    return lab.site.kubectl.run("get", "lease", name, "--output=jsonpath={.spec.holderIdentity}").stdout


def finalizers(lab: ClusterLab) -> list[str]:
    return [name for one in lab.site.kubectl.items("fmr") for name in one["metadata"].get("finalizers", ())]


def test_what_runs_is_cancelled_and_nothing_is_started_again(lab: ClusterLab) -> None:
    lab.site.tell("wait")
    lab.start("controller")
    running, waiting, later = (lab.insert_task() for _ in range(3))
    lab.running_pod(running)
    lab.running_pod(waiting)
    said = lab.fmdj("uninstall", "--yes", "--timeout", "30")

    assert "Jobs deleted" in said
    assert [lab.until(key, "cancelled").state.value for key in (running, waiting)] == ["cancelled"] * 2
    assert lab.jobs() == []
    assert lease_holder(lab) == HOLDER
    lab.eventually(lambda: "standing by" in lab.programs[0].log.read_text(), "the controller that stands by")
    lab.insert_task()
    assert lab.run_of(later) is None or lab.run_of(later).state.value == "cancelled"
    assert lab.jobs() == []
    lab.site.tell("go")


def test_facemapruns_can_be_deleted_afterwards(lab: ClusterLab) -> None:
    lab.site.tell("wait")
    key = lab.insert_task()
    lab.start("controller", trigger="facemapruns")
    apply(lab, "left", "true")
    lab.running_pod(key)
    assert finalizers(lab) == [FINALIZER]
    said = lab.fmdj("uninstall", "--yes", "--timeout", "30")

    assert "1 FacemapRuns let go" in said
    assert finalizers(lab) == []
    lab.site.kubectl.delete("fmr", "left")
    assert lab.site.kubectl.items("fmr") == []
    lab.site.tell("go")


def test_a_database_that_is_gone_keeps_nobody_from_leaving(lab: ClusterLab) -> None:
    lab.site.tell("wait")
    controller = lab.start("controller")
    key = lab.insert_task()
    lab.running_pod(key)
    controller.kill()
    nowhere = lab.settings.database.model_copy(update={"host": "127.0.0.1", "port": 1})
    lab.settings = lab.settings.model_copy(update={"database": nowhere})
    said = lab.fmdj("uninstall", "--yes", "--timeout", "30")

    assert "Left: the ledger as it is" in said
    assert lab.jobs() == []
    lab.site.tell("go")


def test_other_installations_are_left_alone(tmp_path: Path) -> None:
    with FakeCluster("lab") as cluster:
        kubernetes = KubernetesSettings(kubeconfig=cluster.kubeconfig(tmp_path / "kubeconfig"), request_timeout_s=1)
        for instance in ("ours", "theirs"):
            metadata = {"name": f"job-{instance}", "namespace": "lab", "labels": {"fmdj.dev/instance": instance}}
            pod = {"restartPolicy": "Never", "containers": [{"name": "w", "image": "w"}]}
            spec = {"template": {"spec": pod}}
            cluster.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
        client = KubeClient(kubernetes)
        settings = Settings(instance="ours", kubernetes=kubernetes)
        removal = Uninstaller(settings, client, None, sleep=lambda _: cluster.advance(5)).run(30)
        client.close()

        assert removal.jobs == 1
        assert removal.troubles == []
        assert [job["metadata"]["name"] for job in cluster.list("jobs")] == ["job-theirs"]


def test_jobs_that_don_t_end_are_named(tmp_path: Path) -> None:
    with FakeCluster("lab") as cluster:
        kubernetes = KubernetesSettings(kubeconfig=cluster.kubeconfig(tmp_path / "kubeconfig"))
        metadata = {"name": "stuck", "namespace": "lab", "labels": {"fmdj.dev/instance": "ours"}}
        pod = {"restartPolicy": "Never", "containers": [{"name": "w", "image": "w"}]}
        body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {**metadata, "finalizers": ["lab/keep"]}}
        cluster.create({**body, "spec": {"template": {"spec": pod}}})
        client = KubeClient(kubernetes)
        settings = Settings(instance="ours", kubernetes=kubernetes)
        seconds = iter(range(1000))
        uninstaller = Uninstaller(settings, client, None, clock=lambda: next(seconds), sleep=lambda _: None)
        removal = uninstaller.run(5)
        client.close()

    assert removal.troubles == ["After 5 s these Jobs are still ending: stuck."]
