"""Where the flows run: a real cluster, or the fake one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from fmdj_cloud.settings import S3Settings
from tests.support.cluster.gate import Gate
from tests.support.cluster.kubectl import Json, Kubectl

SECRET_ENV = {
    "AWS_ACCESS_KEY_ID": "bucket/id",
    "AWS_SECRET_ACCESS_KEY": "bucket/secret",
    "AWS_ENDPOINT_URL_S3": "bucket/endpoint",
}
"""Setting of the workers' profile: what `bucket_secret` holds."""


def bucket_secret(s3: S3Settings, endpoint: str) -> Json:
    """Return the Secret with which workers reach the object store, at the endpoint that they see it at."""
    assert s3.access_key_id is not None
    assert s3.secret_access_key is not None
    values = {
        "id": s3.access_key_id.get_secret_value(),
        "secret": s3.secret_access_key.get_secret_value(),
        "endpoint": endpoint,
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bucket"}, "stringData": values}


def _nothing(_what: str) -> None:
    """Real clusters do by themselves what the fake one must be told."""


@dataclass(frozen=True)
class Site:
    """A namespace of a cluster, with an object store that its pods reach."""

    kubectl: Kubectl
    """With the rights of an administrator."""
    kubeconfig: Path
    """The controller's, with the rights that it needs and no more."""
    profile: dict[str, Any]
    """Of the workers: image, and where their credentials come from."""
    s3: S3Settings
    """The object store as this process and the programs reach it."""
    bucket: str
    video: bytes
    """A recording that takes the workers a little while."""
    patience_s: float
    """How long anything may take."""
    grace_s: float
    """After so long a worker that can't start is given up."""
    tell: Callable[[str], None] = _nothing
    """What is about to happen to the next worker: ``memory``, ``image``, ``gpu``, ``wait``; ``go`` ends ``wait``."""
    environment: dict[str, str] = field(default_factory=dict)
    """Of the programs."""

    @property
    def namespace(self) -> str:
        """Name of the namespace."""
        return self.kubectl.namespace


def server_of(kubeconfig: Path) -> tuple[str, int]:
    """Return host and port of the API server that a kubeconfig's current context names."""
    cluster = _cluster(yaml.safe_load(kubeconfig.read_text()))
    url = urlsplit(cluster["server"])
    assert url.hostname is not None
    return url.hostname, url.port or (443 if url.scheme == "https" else 80)


def through(gate: Gate, kubeconfig: Path, target: Path) -> Path:
    """Write a kubeconfig that reaches the same API server through a gate."""
    config = copy.deepcopy(yaml.safe_load(kubeconfig.read_text()))
    cluster = _cluster(config)
    url = urlsplit(cluster["server"])
    cluster["server"] = url._replace(netloc=f"127.0.0.1:{gate.port}").geturl()
    if url.scheme == "https":
        cluster.setdefault("tls-server-name", url.hostname)  # what its certificate is made out to
    target.write_text(yaml.safe_dump(config))
    target.chmod(0o600)
    return target


def as_account(kubeconfig: Path, token: str, namespace: str, target: Path) -> Path:
    """Write a kubeconfig for the same cluster with a service account's token."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = {"name": "cluster", "cluster": _cluster(config)}
    context = {"name": "test", "context": {"cluster": "cluster", "user": "controller", "namespace": namespace}}
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": "controller", "user": {"token": token}}],
        "contexts": [context],
        "current-context": "test",
    }
    target.write_text(yaml.safe_dump(made))
    target.chmod(0o600)
    return target


def _cluster(config: dict[str, Any]) -> dict[str, Any]:
    contexts = {one["name"]: one["context"] for one in config["contexts"]}
    clusters = {one["name"]: one["cluster"] for one in config["clusters"]}
    found: dict[str, Any] = clusters[contexts[config["current-context"]]["cluster"]]
    return found
