"""The smallest client there is: what a test says is what goes over the wire."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.kube.cluster import FakeCluster


@dataclass(frozen=True)
class Answer:
    """An answer."""

    code: int
    data: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.data)

    @property
    def message(self) -> str:
        """Message of a ``Status``."""
        return str(self.json.get("message", ""))


class Wire:
    """Talks to a fake cluster by HTTP. Paths are those of ``kubectl --raw``; ``{ns}`` is the namespace."""

    def __init__(self, cluster: FakeCluster, *, timeout_s: float = 10.0) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s

    def _open(
        self, method: str, path: str, body: Any, headers: Mapping[str, str], query: Mapping[str, Any]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        host = self._cluster.url.partition("//")[2]
        connection = http.client.HTTPConnection(host, timeout=self._timeout_s)
        target = path.replace("{ns}", self._cluster.namespace)
        if query:
            target += "?" + urllib.parse.urlencode(query)
        sent = {"Authorization": f"Bearer {self._cluster.token}", "Content-Type": "application/json", **headers}
        connection.request(method, target, None if body is None else json.dumps(body), sent)
        return connection, connection.getresponse()

    def call(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Answer:
        """Send one request."""
        connection, response = self._open(method, path, body, headers or {}, query)
        try:
            return Answer(response.status, response.read(), dict(response.headers))
        finally:
            connection.close()

    def patch(self, path: str, body: Any, kind: str = "merge") -> Answer:
        """Send a patch: ``merge``, ``json`` or ``strategic-merge``."""
        return self.call("PATCH", path, body, headers={"Content-Type": f"application/{kind}-patch+json"})

    def watch(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Watch; ends when the server ends it, or with what the connection's end raises."""
        connection, response = self._open("GET", path, None, {}, {"watch": "true", **query})
        try:
            for line in response:
                yield json.loads(line)
        finally:
            connection.close()


JOBS = "/apis/batch/v1/namespaces/{ns}/jobs"
PODS = "/api/v1/namespaces/{ns}/pods"
EVENTS = "/api/v1/namespaces/{ns}/events"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"


def job(name: str = "a", **spec: Any) -> dict[str, Any]:
    """Return a Job such as ours: one pod, no retry."""
    container = {"name": "worker", "image": "registry.example.org/fmdj/worker:1", "args": ["--nonce", "$(POD_UID)"]}
    uid = {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
    pod = {"restartPolicy": "Never", "containers": [{**container, "env": [uid]}]}
    template = {"metadata": {"labels": {"fmdj.dev/instance": "lab"}}, "spec": pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"fmdj.dev/instance": "lab"}},
        "spec": {"backoffLimit": 0, "podReplacementPolicy": "Failed", "template": template, **spec},
    }
