"""Which API server is asked, and as whom."""

import json
import os
import socket
import stat
from pathlib import Path

import kubernetes
import pytest
import yaml
from kubernetes.config import incluster_config

from fmdj_cloud.control.kube.connection import connect
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import KubernetesSettings

EXEC = "client.authentication.k8s.io/v1"


def kubeconfig(path: Path, *, user: dict[str, object] | None = None, server: str = "https://one:6443/") -> Path:
    def context(name: str, **more: str) -> dict[str, object]:
        return {"name": name, "context": {"cluster": "c", "user": "u", **more}}

    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "contexts": [context("main", namespace="lab"), context("other")],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t0"} if user is None else user}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "pod" / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "pod" / "ca.crt"))


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The files of a pod's service account."""
    folder = tmp_path / "pod"
    folder.mkdir()
    (folder / "token").write_text("pod-token")
    (folder / "namespace").write_text("pod-namespace\n")
    (folder / "ca.crt").write_text(Path(kubernetes.client.rest.certifi.where()).read_text())
    monkeypatch.setattr(incluster_config.InClusterConfigLoader.__init__, "__defaults__", (True, os.environ))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return folder


def test_the_kubeconfig_of_the_settings_is_taken(tmp_path: Path):
    found = connect(KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "k")))
    assert (found.host, found.namespace, found.authorization()) == ("https://one:6443", "lab", "Bearer t0")


def test_another_context_may_be_chosen(tmp_path: Path):
    found = connect(KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "k"), context="other"))
    assert found.namespace == "default"


def test_without_one_it_is_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "k", server="https://two")))
    assert connect(KubernetesSettings()).host == "https://two"


def test_in_a_pod_it_is_the_pod_s_own_account(pod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "k")))
    found = connect(KubernetesSettings())
    assert (found.host, found.namespace) == ("https://10.0.0.1:443", "pod-namespace")
    assert found.authorization() == "Bearer pod-token"


def test_in_a_pod_no_proxy_is_asked_the_way_to_the_api_server(pod: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.lab:3128")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
    assert connect(KubernetesSettings()).pool.proxy is None


def test_a_token_that_rotates_is_read_anew(pod: Path):
    connect(KubernetesSettings())
    (pod / "token").write_text("rotated\n")
    assert connect(KubernetesSettings()).authorization() == "Bearer rotated"


def test_a_plugin_is_asked_for_credentials_each_time(tmp_path: Path):
    calls = tmp_path / "calls"
    plugin = tmp_path / "plugin"
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-plugin"},
    }
    plugin.write_text(f"#!/bin/sh\necho x >> {calls}\necho '{json.dumps(answer)}'\n")
    plugin.chmod(stat.S_IRWXU)
    user = {"exec": {"apiVersion": EXEC, "command": str(plugin), "interactiveMode": "Never"}}
    settings = KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "k", user=user))
    for _ in range(2):
        assert connect(settings).authorization() == "Bearer from-plugin"
    assert len(calls.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "content", ["", "{", "a: [", "apiVersion: v1\nkind: Config\n", "apiVersion: v1\ncurrent-context: x\ncontexts: []\n"]
)
def test_a_kubeconfig_that_cannot_be_read_says_so(tmp_path: Path, content: str):
    path = tmp_path / "broken"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"can't be reached with the kubeconfig .*broken: .*kubernetes.kubeconfig"):
        connect(KubernetesSettings(kubeconfig=path))


def test_no_kubeconfig_anywhere_says_so():
    with pytest.raises(ConfigError, match="KUBECONFIG"):
        connect(KubernetesSettings())


@pytest.mark.parametrize("version", ["33.1.0", "36.0.1", "37.0.2", "unknown"])
def test_a_client_that_is_not_supported_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str):
    monkeypatch.setattr(kubernetes, "__version__", version)
    with pytest.raises(ConfigError, match=rf"kubernetes {version} isn't supported, 34 and 35 are"):
        connect(KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "k")))


def test_connections_notice_a_peer_that_disappears(tmp_path: Path):
    options = connect(KubernetesSettings(kubeconfig=kubeconfig(tmp_path / "k"))).pool.connection_pool_kw[
        "socket_options"
    ]

    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options
