"""CustomResourceDefinitions: what they make the server serve."""

from __future__ import annotations

from typing import Any

from tests.support.kube.clock import FakeClock
from tests.support.kube.custom import CustomSchema
from tests.support.kube.resources import CRDS, Registry, ResourceType
from tests.support.kube.store import Change, Key, Object, Store
from tests.support.kube.tables import Tables
from tests.support.kube.timers import Timers
from tests.support.kube.writer import Writer


class Definitions:
    """Serves what CustomResourceDefinitions define, from the moment they are there."""

    def __init__(self, store: Store, registry: Registry, writer: Writer, clock: FakeClock, tables: Tables) -> None:
        self._store = store
        self._registry = registry
        self._writer = writer
        self._tables = tables
        self._clock = clock
        self._served: dict[str, list[ResourceType]] = {}
        self._fresh: dict[Key, None] = {}
        self.timers = Timers(clock)
        self.paused = False
        store.listeners.append(self._heard)

    def _heard(self, resource: ResourceType, change: Change) -> None:
        if resource is not CRDS:
            return
        crd = change.new.obj
        name = crd["metadata"]["name"]
        for one in self._served.pop(name, []):
            self._registry.drop(one)
            if change.type == "DELETED":
                self._writer.schemas.pop(one, None)
        if change.type == "DELETED":
            return
        self._fresh[Key("", name)] = None
        for version in crd["spec"]["versions"]:
            if version.get("served"):
                self._serve(name, crd["spec"], version)

    def _serve(self, name: str, spec: dict[str, Any], version: dict[str, Any]) -> None:
        names = spec["names"]
        resource = ResourceType(
            spec["group"],
            version["name"],
            names["plural"],
            names["kind"],
            namespaced=spec["scope"] == "Namespaced",
            status="status" in (version.get("subresources") or {}),
            generation=True,
            unconditional=False,
            custom=True,
            short_names=tuple(names.get("shortNames") or ()),
        )
        self._registry.add(resource)
        self._served.setdefault(name, []).append(resource)
        age = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
        self._tables.columns[resource] = version.get("additionalPrinterColumns") or [age]
        self._writer.schemas[resource] = CustomSchema((version.get("schema") or {}).get("openAPIV3Schema") or {})

    def sync(self) -> bool:
        """Say in their status that they are served."""
        with self._store.lock:
            fresh, self._fresh = self._fresh, {}
            did = False
            for key in fresh:
                before = self._store.get(CRDS, key)
                did |= before is not None and self._store.edit(CRDS, key, self._establish) is not before
            return did

    def _establish(self, crd: Object) -> None:
        old = {one["type"]: one for one in (crd.get("status") or {}).get("conditions") or ()}
        now = self._clock.stamp()
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}
            for kind, reason, message in (
                ("NamesAccepted", "NoConflicts", "no conflicts found"),
                ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
            )
        ]
        stored = [one["name"] for one in crd["spec"]["versions"] if one.get("storage")]
        crd["status"] = {
            "conditions": [old.get(one["type"], one) for one in conditions],
            "acceptedNames": crd["spec"]["names"],
            "storedVersions": stored,
        }
