"""Over TLS, as a pod's own account, whose token changes on disk as it does in every cluster."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
from kubernetes.config import incluster_config

from fmdj_cloud.control.kube.client import KubeClient, KubeError
from fmdj_cloud.control.kube.resources import PODS
from fmdj_cloud.settings import KubernetesSettings
from tests.support.kube import tls
from tests.support.kube.cluster import FakeCluster

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster(secure=True) as made:
        yield made


@pytest.fixture
def account(cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the service account in this pod."""
    (tmp_path / "token").write_text(cluster.token)
    (tmp_path / "namespace").write_text("lab")
    (tmp_path / "ca.crt").write_bytes(tls.certificate()[1])
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(incluster_config.InClusterConfigLoader.__init__, "__defaults__", (True, os.environ))
    host, _, port = cluster.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    return tmp_path


def test_the_api_server_s_certificate_is_checked(account: Path, cluster: FakeCluster):
    client = KubeClient(KubernetesSettings())
    assert client.namespace == "lab"
    assert client.list(PODS).items == []
    (account / "ca.crt").write_text(Path(certifi.where()).read_text())
    with pytest.raises(KubeError, match="certificate verify failed"):
        KubeClient(KubernetesSettings(request_timeout_s=0.1)).list(PODS)


def test_a_token_that_was_rotated_is_read_anew(account: Path, cluster: FakeCluster):
    client = KubeClient(KubernetesSettings())
    client.list(PODS)
    (account / "token").write_text(cluster.expire_token())
    client.list(PODS)
    assert dict(cluster.requests.codes("list pods")) == {200: 2, 401: 1}


def test_a_watch_over_tls_can_be_ended_from_another_thread(account: Path, cluster: FakeCluster):
    client = KubeClient(KubernetesSettings())
    version = client.list(PODS).resource_version

    def listen() -> None:
        try:
            for _ in client.watch(PODS, resource_version=version, timeout_s=60):
                pass
        except KubeError:
            pass

    thread = threading.Thread(target=listen)
    thread.start()
    while thread.is_alive():
        client.interrupt()
        thread.join(0.02)
    client.close()
