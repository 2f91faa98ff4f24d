"""The flows of tests/cluster, on the fake cluster: real programs, real kubectl, workers as processes."""

from __future__ import annotations

import contextlib
import datetime as dt
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fmdj_cloud.settings import DatabaseSettings, S3Settings
from tests.support.cluster.flows import CRD, FacemapRunFlows, Flows
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
    """One kind of database: these tests are about Kubernetes."""
    return postgres_settings


@pytest.fixture(scope="module")
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster("lab", start=dt.datetime.now(dt.UTC), secure=True) as made:
        made.go()
        yield made


@pytest.fixture
def site(cluster: FakeCluster, s3_settings: S3Settings, bucket: str, tmp_path: Path) -> Iterator[Site]:
    kubeconfig = cluster.kubeconfig(tmp_path / "fake.yaml")
    kubectl = Kubectl(tool(KUBECTL), kubeconfig, "lab")
    s3 = s3_settings.model_copy(update={"part_size_mib": 5})
    kubectl.apply(bucket_secret(s3, s3.endpoint_url or ""))
    workers = Workers(cluster, tmp_path)
    yield Site(
        kubectl=kubectl,
        kubeconfig=kubeconfig,
        profile={"image": "registry.lab/fmdj-worker:1", "secret_env": SECRET_ENV},
        s3=s3,
        bucket=bucket.removeprefix("s3://"),
        video=b"video" * 1000,
        patience_s=60,
        grace_s=1,
        tell=workers.tell,
    )
    workers.end()


@pytest.fixture
def lab(site: Site, database_settings: DatabaseSettings, tmp_path: Path, zygote: Zygote) -> Iterator[ClusterLab]:
    with cluster_lab(site, database_settings, tmp_path / "lab", f"fmdj-{uuid.uuid4().hex[:6]}") as made:
        made.zygote = zygote
        yield made


@pytest.fixture
def other_lab(
    site: Site, database_settings: DatabaseSettings, tmp_path: Path, zygote: Zygote
) -> Iterator[Callable[[ClusterLab], ClusterLab]]:
    """Makes another release in the same namespace, with the same recordings."""
    settings = database_settings.model_copy(update={"prefix": f"{database_settings.prefix}o_"})
    with contextlib.ExitStack() as stack:

        def make(lab: ClusterLab) -> ClusterLab:
            instance = lab.settings.instance
            made = stack.enter_context(
                cluster_lab(site, settings, tmp_path / "other", f"{instance}-other", videos=instance)
            )
            made.zygote = zygote
            return made

        yield make


class TestFlowsOnFake(Flows):
    test_a_gpu_that_no_node_has_is_final = None  # type: ignore[assignment] # takes 15 s, and is a row of a table here


def test_a_watch_that_kubectl_fmdj_started_ends_with_its_input(lab: ClusterLab) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "fmdj_cloud", "status", "--watch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**lab.of_people(), "KUBECTL_FMDJ": "lifeline"},
        text=True,
    ) as watch:
        assert watch.stdin is not None
        assert watch.stdout is not None
        assert watch.stdout.readline().startswith("controller: ")
        watch.stdin.close()
        assert watch.wait(20) == 130


class TestFacemapRunsOnFake(FacemapRunFlows):
    @pytest.fixture(autouse=True)
    def _definition(self, site: Site) -> None:
        site.kubectl.run("apply", f"--filename={CRD}")
