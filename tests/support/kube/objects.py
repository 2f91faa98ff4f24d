"""Objects of the cluster as a test reads and changes them: at once, past HTTP, faults and the request log."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.kube.clock import FakeClock
from tests.support.kube.resources import NAMESPACES, NODES, PODS, Registry, ResourceType
from tests.support.kube.store import Entry, Key, Object, Store
from tests.support.kube.writer import Writer


class Objects:
    """What ``kubectl`` does, in methods; ``namespace`` is the one that is meant where none is named."""

    namespace: str
    clock: FakeClock
    store: Store
    registry: Registry
    writer: Writer

    def _place(self, resource: str | ResourceType, name: str, namespace: str) -> tuple[ResourceType, Key]:
        kind = self.registry.named(resource) if isinstance(resource, str) else resource
        return kind, Key((namespace or self.namespace) if kind.namespaced else "", name)

    def create(self, obj: Mapping[str, Any], resource: str | ResourceType = "", namespace: str = "") -> Object:
        """Make an object; admission and validation see it.

        Raises
        ------
        ApiError
            As the server would answer.
        """
        body = json.loads(json.dumps(obj))
        wanted = namespace or body["metadata"].get("namespace") or ""
        kind, key = self._place(resource or obj["kind"], "", wanted)
        with self.store.lock:
            return self.writer.create(kind, key.namespace, body)[0].copy()

    def find(self, resource: str | ResourceType, name: str, namespace: str = "") -> Entry | None:
        """Return an object's version of now, None if there is none."""
        with self.store.lock:
            return self.store.get(*self._place(resource, name, namespace))

    def get(self, resource: str | ResourceType, name: str, namespace: str = "") -> Object:
        """Return an object.

        Raises
        ------
        KeyError
            If there is none.
        """
        entry = self.find(resource, name, namespace)
        if entry is None:
            raise KeyError(f"{resource}/{name}")
        return entry.copy()

    def list(self, resource: str | ResourceType, namespace: str = "") -> list[Object]:
        """Return all objects of a resource in a namespace."""
        kind, key = self._place(resource, "", namespace)
        with self.store.lock:
            return [entry.copy() for entry in self.store.list(kind, key.namespace)]

    def edit(
        self, resource: str | ResourceType, name: str, change: Callable[[Object], object], namespace: str = ""
    ) -> Object:
        """Change an object in place, whatever part of it; nobody checks."""
        with self.store.lock:
            entry = self.store.edit(*self._place(resource, name, namespace), change)
        if entry is None:
            raise KeyError(f"{resource}/{name}")
        return entry.copy()

    def delete(
        self,
        resource: str | ResourceType,
        name: str,
        *,
        policy: str = "Background",
        namespace: str = "",
        **options: Any,
    ) -> None:
        """Delete an object, as ``kubectl delete`` does."""
        with self.store.lock:
            self.writer.delete(*self._place(resource, name, namespace), {"propagationPolicy": policy, **options})

    def pods_of(self, job: str, namespace: str = "") -> list[Object]:
        """Return a Job's pods, oldest first."""
        pods = [
            pod
            for pod in self.list(PODS, namespace)
            if (pod["metadata"].get("labels") or {}).get("batch.kubernetes.io/job-name") == job
        ]
        return sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def events_of(self, name: str, namespace: str = "") -> list[Object]:
        """Return Events about an object of that name."""
        return [event for event in self.list("events", namespace) if event["involvedObject"].get("name") == name]

    def install(self, *paths: Path | str) -> None:
        """Make the objects of YAML files: CustomResourceDefinitions, above all."""
        for path in paths:
            for body in yaml.safe_load_all(Path(path).read_text()):
                if body:
                    self.create(body)

    def add_namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Make a namespace with its default ServiceAccount; labels may enforce Pod Security."""
        if self.find(NAMESPACES, name) is not None:
            return
        meta = {"name": name, "labels": {"kubernetes.io/metadata.name": name, **(labels or {})}}
        self.create({"metadata": meta}, "namespaces")
        self.create({"metadata": {"name": "default"}}, "serviceaccounts", name)

    def add_node(
        self,
        name: str,
        *,
        cpu: str = "8",
        memory: str = "32Gi",
        pods: str = "110",
        labels: Mapping[str, str] | None = None,
        taints: tuple[Mapping[str, str], ...] = (),
        **resources: str,
    ) -> None:
        """Add a node; further resources by name, like ``**{"nvidia.com/gpu": "1"}``."""
        room = {"cpu": cpu, "memory": memory, "pods": pods, "ephemeral-storage": "100Gi", **resources}
        meta = {
            "name": name,
            "uid": self.writer.new_uid(),
            "creationTimestamp": self.clock.stamp(),
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **(labels or {})},
        }
        body = {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": meta,
            "spec": {"taints": [dict(one) for one in taints]} if taints else {},
            "status": {"capacity": room, "allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]},
        }
        with self.store.lock:
            self.store.put(NODES, body)
